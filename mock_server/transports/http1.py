"""HTTP/1.1 as the built-in server reads and writes it (RFC 9112), without any I/O.

Strict where leniency lets two readers of one byte stream disagree: no bare LF, no folded headers, no repeated
or doubtful framing. Everything has a bound.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from functools import lru_cache
from http import HTTPStatus

from attrs import frozen

from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.transports.common import LONGEST_KEPT, MOST_KEPT, ServerAnswers, framed
from mock_server.wire.message import MAX_BODY, MAX_DRAIN, Response

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers together."""

MAX_HEADERS = 100
"""Header lines of one request; of the trailers behind a body in chunks as well."""

MAX_CHUNK_LINE = 256
"""Bytes of a chunk's size line with its extensions, which are ignored."""

MAX_CHUNKS = 16 * 1024
"""Chunks of one body: each costs time, and a client may put every byte into one of its own."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/(\d)\.(\d)")
# The blanks around a value are stripped afterwards: left to the expression, it tries every way to share them out.
_HEADER = re.compile(rb"(" + _TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*)")
_LENGTH = re.compile(r"[0-9]{1,18}")
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


class ProtocolError(Exception):
    """Bytes that are not an acceptable HTTP/1.1 request. The connection cannot be used any further."""

    def __init__(self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def too_late() -> ProtocolError:
    """Return the error 408: the client was too slow."""
    return ProtocolError("The request did not arrive in time.", HTTPStatus.REQUEST_TIMEOUT)


def too_many(connections: int) -> ProtocolError:
    """Return the error 503: there is no room for one more client."""
    message = f"{connections} connections are open, which is the limit. Close some, then try again."
    return ProtocolError(message, HTTPStatus.SERVICE_UNAVAILABLE)


@frozen
class Head:
    """Request line and headers, and what they say of the body and the connection."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    length: int | None
    """Bytes of the body; None when it comes in chunks."""
    keep_alive: bool
    expects_continue: bool


def parse_head(lines: Sequence[bytes]) -> Head:
    """Read the lines of a head, their line ends removed. ProtocolError for anything doubtful."""
    method, target, minor = _request_line(lines[0])
    headers = tuple([_remembered(line) if len(line) <= LONGEST_KEPT else _header(line) for line in lines[1:]])
    return Head(
        method=method,
        target=target,
        headers=headers,
        length=_body_length(headers, chunks_known=minor >= 1),
        keep_alive=minor >= 1 and "close" not in _tokens(headers, "connection"),
        expects_continue=_expects_continue(headers) and minor >= 1,
    )


def _request_line(line: bytes) -> tuple[str, str, int]:
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError("The request line must have the form METHOD target HTTP/1.1.")
    method, target, major, minor = match.groups()
    if major != b"1":
        raise ProtocolError("This server supports HTTP/1.1 only.", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    return method.decode().upper(), target.decode(), int(minor)


def _header(line: bytes) -> tuple[str, str]:
    match = _HEADER.fullmatch(line)
    if match is None:
        raise ProtocolError("A header line must be a name, a colon and a printable value.")
    name, value = match.groups()
    return name.decode().lower(), value.strip(b" \t").decode("latin-1")


_remembered = lru_cache(maxsize=MOST_KEPT)(_header)


def _body_length(headers: Sequence[tuple[str, str]], *, chunks_known: bool) -> int | None:
    lengths = [value for name, value in headers if name == "content-length"]
    codings = [value for name, value in headers if name == "transfer-encoding"]
    if codings:
        if lengths:
            raise ProtocolError("Send Content-Length or Transfer-Encoding, not both.")
        if [coding.lower() for coding in codings] != ["chunked"] or not chunks_known:
            raise ProtocolError(
                "The only transfer encoding that this server supports is chunked, in HTTP/1.1."
            )
        return None
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise ProtocolError("Content-Length must be one whole number.")
    length = int(lengths[0]) if lengths else 0
    if length > MAX_DRAIN:
        # Refused unread, and before a client that expects 100 Continue gets it.
        raise ProtocolError(f"The body is larger than {MAX_BODY} bytes.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return length


def _tokens(headers: Sequence[tuple[str, str]], name: str) -> set[str]:
    return {token.strip().lower() for key, value in headers if key == name for token in value.split(",")}


def _expects_continue(headers: Sequence[tuple[str, str]]) -> bool:
    expected = _tokens(headers, "expect")
    if not expected <= {"100-continue"}:
        raise ProtocolError(
            "The only expectation that this server supports is 100-continue.", HTTPStatus.EXPECTATION_FAILED
        )
    return bool(expected)


def parse_chunk_size(line: bytes) -> int:
    """Return the number of bytes in the chunk that follows; 0 for the last one."""
    match = _CHUNK.fullmatch(line)
    if match is None:
        raise ProtocolError("The size line of a chunk is malformed.")
    return int(match.group(1), 16)


def render(
    method: str, response: Response, *, close: bool, front: ServerAnswers | None = None
) -> tuple[bytes, bytes]:
    """Return the head of an answer as it is sent, and its body. ValueError for a line break in a header."""
    headers, body = framed(method, response)
    signature = (front or ServerAnswers()).signature
    lines = [f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, '')}"]
    lines += [f"{name}: {value}" for name, value in (*signature, *headers)]
    if close:
        lines.append("connection: close")
    head = "\r\n".join((*lines, "", ""))
    if head.count("\r") != len(lines) + 1 or head.count("\n") != len(lines) + 1:
        raise ValueError("A header of the answer contains a line break.")
    return head.encode("latin-1"), body


def refusal(error: ProtocolError, front: ServerAnswers) -> Response:
    """Return the answer to bytes that never became a request, in the shape of all other errors."""
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return front.refused(RefusedError(Reason.BODY_TOO_LARGE, error.message))
    return front.refused(invalid(error.message), status=int(error.status))


Reading = Generator[bytes, None, None]
"""Yields pieces, and b"" for more bytes."""


class ReceiveBuffer:
    """Bytes that have arrived and were not read yet."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __bool__(self) -> bool:
        return bool(self._bytes)

    def feed(self, data: bytes) -> None:
        """Add bytes that have arrived."""
        self._bytes += data

    def head(self) -> Generator[bytes, None, list[bytes]]:
        """Return the lines of a request's head; one empty line may precede it. ProtocolError beyond MAX_HEAD."""
        most = MAX_HEADERS + 1  # the request line is one more
        end = self._bytes.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end > 0:  # all of it is here; what is doubtful about it is found line by line
            lines = bytes(self._bytes[:end]).split(b"\r\n")
            if len(lines) <= most and lines[0] and not any(b"\n" in line for line in lines):
                del self._bytes[: end + 4]
                return lines
        return (yield from self._block(most)) or (yield from self._block(most)) or [b""]

    def body(self, head: Head) -> Reading:
        """Yield the pieces of a body, without the framing of chunks. ProtocolError for bad or too many chunks."""
        if head.length is None:
            yield from self._chunks()
        else:
            yield from self.pieces(head.length)

    def pieces(self, count: int) -> Reading:
        """Yield the next ``count`` bytes, as they arrive."""
        while count:
            piece = bytes(self._bytes[:count])
            del self._bytes[:count]
            count -= len(piece)
            yield piece

    def _chunks(self) -> Reading:
        misfit = "The chunks of the body do not match their size lines."
        left = MAX_CHUNKS
        while size := parse_chunk_size((yield from self._line(MAX_CHUNK_LINE, ProtocolError(misfit)))):
            if not left:
                raise ProtocolError(f"A body may have at most {MAX_CHUNKS} chunks.")
            left -= 1
            yield from self.pieces(size)
            # Two bytes hold nothing but the CRLF that must follow.
            yield from self._line(2, ProtocolError(misfit))
        yield from self._block(MAX_HEADERS)

    def _block(self, most: int) -> Generator[bytes, None, list[bytes]]:
        """Return the lines up to an empty one, at most ``most``: a head, or the trailers of a chunked body."""
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        too_long = ProtocolError(f"Request line and headers may have at most {MAX_HEAD} bytes.", status)
        left = MAX_HEAD
        lines: list[bytes] = []
        while line := (yield from self._line(left, too_long)):
            if len(lines) == most:
                raise ProtocolError(f"A request may have at most {MAX_HEADERS} headers.", status)
            lines.append(line)
            left -= len(line) + 2
        return lines

    def _line(self, limit: int, too_long: ProtocolError) -> Generator[bytes, None, bytes]:
        """Return one line without its CRLF. ProtocolError if it is too long or ends in a bare LF."""
        searched = 0
        while (end := self._bytes.find(b"\n", searched, limit)) < 0:
            searched = len(self._bytes)
            if searched >= limit:
                raise too_long
            yield b""
        line = bytes(self._bytes[:end])
        del self._bytes[: end + 1]
        if not line.endswith(b"\r"):
            raise ProtocolError("Lines must end in CR LF.")
        return line[:-1]
