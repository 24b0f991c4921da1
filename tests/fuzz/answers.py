"""Reading a stream of answers to the letter: whatever does not add up is a fault of the server."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rawhttp import Answer

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [\t\x20-\x7e]*")
_FIELD = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?"
)
_BODILESS = (204, 304)


class CutShortError(Exception):
    """The stream ends within an answer."""


def answers(received: bytes, methods: Sequence[str]) -> list[Answer]:
    """Every final answer, interim ones left out; ``methods`` are those of the requests in order, then GET.

    AssertionError for what is not HTTP/1.1, CutShortError for an end within an answer.
    """
    found: list[Answer] = []
    while received:
        method = methods[len(found)] if len(found) < len(methods) else "GET"
        answer, received = _one(received, method)
        if answer.status >= 200:
            found.append(answer)
    return found


def _one(received: bytes, method: str) -> tuple[Answer, bytes]:
    head, end, rest = received.partition(b"\r\n\r\n")
    if not end:
        raise CutShortError
    first, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    assert status, first
    headers = tuple(map(_field, lines))
    answer = Answer(int(status.group(1)), headers, b"")
    length = _length(answer, method)
    if len(rest) < length:
        raise CutShortError
    return Answer(answer.status, headers, rest[:length]), rest[length:]


def _field(line: bytes) -> tuple[str, str]:
    field = _FIELD.fullmatch(line)
    assert field, line
    return field.group(1).decode().lower(), field.group(2).decode("latin-1")


def _length(answer: Answer, method: str) -> int:
    """Bytes of the body that follow the head."""
    names = [name for name, _ in answer.headers]
    assert "transfer-encoding" not in names
    if answer.status < 200 or answer.status in _BODILESS:
        assert "content-length" not in names
        return 0
    assert names.count("content-length") == names.count("content-type") == 1, names
    length = int(dict(answer.headers)["content-length"])
    return 0 if method == "HEAD" else length
