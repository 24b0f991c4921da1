"""Recorded requests to the reference server, sent again to fresh worlds.

``requests.jsonl`` holds sessions: a line that begins one, then a line per request. ``answers.jsonl`` holds an answer
for each. Tokens and ids of worlds are drawn at random, so both files number them by their first appearance. Left
out are the date, request ids, the identity header, and in refusals every text for people, also in those that the
request journal returns.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import define, field

from mock_server import MockTraining
from mock_server.wire.message import Request, Response
from mock_server.world.people import digest

HERE = Path(__file__).parent
REQUESTS, ANSWERS = HERE / "requests.jsonl", HERE / "answers.jsonl"
NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
MOST_KEPT = 1000
"""Bytes of a body that the record holds whole; of longer ones it holds the digest and the beginning."""
_DRAWN = re.compile(r"\b(?:mock_[0-9a-f]{48}|world_[0-9a-f]{16})\b")
_HIDDEN = re.compile(rf"{_DRAWN.pattern}|\b[0-9a-f]{{64}}\b")
"""The same, or what may be the digest of a token."""
_NAMED = re.compile(r"\{drawn:(\d+)\}")
_LEFT_OUT = frozenset({"date", "x-request-id", "x-training-mock-identity", "x-training-mock"})
_PROSE = frozenset({"message", "description", "detail"})

Line = dict[str, Any]


@define
class Names:
    """Values that are drawn at random, named by the order of their first sight."""

    known: dict[str, str] = field(factory=dict)

    def hide(self, text: str) -> str:
        """A text in which every drawn value is replaced by its name."""

        for value in _DRAWN.findall(text):
            for drawn in (value, digest(value)):
                self.known.setdefault(drawn, f"{{drawn:{len(self.known)}}}")
        return _HIDDEN.sub(lambda found: self.known.get(found[0], found[0]), text)

    def fill(self, text: str) -> str:
        """A text in which every name is replaced by the value it stands for in this run."""
        values = list(self.known)
        return _NAMED.sub(lambda found: values[int(found[1])], text)


def sessions(path: Path = REQUESTS) -> Iterator[tuple[str, list[Line]]]:
    """Every session by its name, with its requests."""
    found: dict[str, list[Line]] = {}
    current: list[Line] = []
    for text in path.read_text().splitlines():
        line = json.loads(text)
        if "session" in line:
            current = found.setdefault(line["session"], [])
        else:
            current.append(line)
    yield from found.items()


def line_of(value: Line) -> str:
    """A line of one of these files."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@cache
def recorded() -> dict[str, list[Line]]:
    """The recorded answers of every session."""
    return dict(sessions(ANSWERS))


def replay(requests: list[Line]) -> Iterator[tuple[Line, Line]]:
    """Send the requests of one session to a fresh world, and give each with its answer as a record holds it."""
    mock, names = MockTraining.demo(now=NOW), Names()
    names.hide(" ".join(each["token"] for each in mock.tokens()))
    for number, line in enumerate(requests):
        response = mock.handle(read(line, number, names))
        yield line, written(response, names)


def read(line: Line, number: int, names: Names) -> Request:
    """The request that a line describes: the method and the target, whose token, and what differs from the usual."""
    method, _, target = line["ask"].partition(" ")
    path, _, query = names.fill(target).partition("?")
    body = line.get("body", "")
    raw = base64.b64decode(body["base64"]) if isinstance(body, dict) else names.fill(body).encode()
    usual = {
        "user-agent": "recorded/1",
        "x-request-id": f"r{number}",
        **({"authorization": f"Bearer {names.fill(line['as'])}"} if "as" in line else {}),
        **({"content-type": "application/json"} if raw else {}),
    }
    own = [(name, names.fill(value)) for name, value in line.get("headers", [])]
    left_out = {*line.get("without", []), *(name for name, _ in own)}
    headers = (*((name, value) for name, value in usual.items() if name not in left_out), *own)
    return Request(method, path, query, headers, raw, line.get("too_large", False))


def written(response: Response, names: Names) -> Line:
    """An answer as a record holds it: of a 2xx the body as it is, of a refusal what programs read."""
    headers = {name: names.hide(value) for name, value in response.headers if name not in _LEFT_OUT}
    text = _without_quoted_prose(names.hide(response.body.decode()))
    if 200 <= response.status < 300 or not text.startswith(("{", "[")):
        return {"status": response.status, "headers": headers, "body": _kept(text)}
    return {"status": response.status, "headers": headers, "refusal": _without_prose(json.loads(text))}


def _kept(text: str) -> object:
    if len(text) <= MOST_KEPT:
        return text
    return {"sha256": sha256(text.encode()).hexdigest(), "characters": len(text), "begins": text[:200]}


def _without_quoted_prose(text: str) -> str:
    """Return an answer without the texts of the refusals that it quotes, as the request journal does."""
    if not text.startswith('{"calls":'):
        return text
    for call in json.loads(text)["calls"]:
        quoted = call["answer"].get("text", "")
        if call["status"] >= 400 and quoted.startswith("{"):
            bare = line_of(_without_prose(json.loads(quoted)))
            text = text.replace(json.dumps(quoted, ensure_ascii=False), json.dumps(bare, ensure_ascii=False))
    return text


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_prose(each) for name, each in value.items() if name not in _PROSE}
    return [_without_prose(each) for each in value] if isinstance(value, list) else value
