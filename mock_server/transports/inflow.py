"""How requests lie in a stream of bytes, without any I/O: where lines, heads and bodies end, for both engines.

The readers are generators. Each yields b"" where it needs more bytes, which are then to be fed.
"""

from __future__ import annotations

from collections.abc import Generator
from http import HTTPStatus

from mock_server.transports.http1 import (
    MAX_CHUNK_LINE,
    MAX_CHUNKS,
    MAX_HEAD,
    MAX_HEADERS,
    Head,
    ProtocolError,
    parse_chunk_size,
    parse_head,
)

Reading = Generator[bytes, None, None]
"""Yields pieces, and b"" for more bytes."""


class Inflow:
    """Bytes that have come and were not read yet."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __bool__(self) -> bool:
        return bool(self._bytes)

    def feed(self, data: bytes) -> None:
        """Add what has come."""
        self._bytes += data

    def head(self) -> Generator[bytes, None, list[bytes]]:
        """The lines of a request's head; one empty line before it is allowed. ProtocolError beyond MAX_HEAD."""
        most = MAX_HEADERS + 1  # the request line is one more
        return (yield from self._block(most)) or (yield from self._block(most)) or [b""]

    def body(self, head: Head) -> Reading:
        """The pieces of a body, freed of what chunks put around them. ProtocolError for bad or too many chunks."""
        if head.length is None:
            yield from self._chunks()
        else:
            yield from self.pieces(head.length)

    def pieces(self, count: int) -> Reading:
        """The next so many bytes, as they come."""
        while count:
            piece = bytes(self._bytes[:count])
            del self._bytes[:count]
            count -= len(piece)
            yield piece

    def _chunks(self) -> Reading:
        misfit = "the body's chunks do not fit their size lines"
        left = MAX_CHUNKS
        while size := parse_chunk_size((yield from self._line(MAX_CHUNK_LINE, ProtocolError(misfit)))):
            if not left:
                raise ProtocolError(f"a body may come in {MAX_CHUNKS} chunks")
            left -= 1
            yield from self.pieces(size)
            # Two bytes hold nothing but the CRLF that must follow.
            yield from self._line(2, ProtocolError(misfit))
        yield from self._block(MAX_HEADERS)

    def _block(self, most: int) -> Generator[bytes, None, list[bytes]]:
        """The lines up to an empty one, at most so many: a head, or the trailers of a chunked body."""
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        too_long = ProtocolError(f"request line and headers may take {MAX_HEAD} bytes", status)
        left = MAX_HEAD
        lines: list[bytes] = []
        while line := (yield from self._line(left, too_long)):
            if len(lines) == most:
                raise ProtocolError(f"a request may have {MAX_HEADERS} headers", status)
            lines.append(line)
            left -= len(line) + 2
        return lines

    def _line(self, limit: int, too_long: ProtocolError) -> Generator[bytes, None, bytes]:
        """One line without its CRLF; ProtocolError when it is too long or ends in a bare LF."""
        searched = 0
        while (end := self._bytes.find(b"\n", searched, limit)) < 0:
            searched = len(self._bytes)
            if searched >= limit:
                raise too_long
            yield b""
        line = bytes(self._bytes[:end])
        del self._bytes[: end + 1]
        if not line.endswith(b"\r"):
            raise ProtocolError("lines end in CR LF")
        return line[:-1]


class Sieve:
    """Lets through to a more lenient parser what the built-in server accepts, and nothing behind a first error.

    Bodies in chunks leave it in chunks of its own, without extensions and trailers.
    """

    def __init__(self) -> None:
        self._inflow = Inflow()
        self._requests = self._sieved()
        self.is_idle = True
        """Nothing of the next request has come."""
        self.error: ProtocolError | None = None
        """What the client did wrong behind all that was let through."""

    def feed(self, data: bytes) -> bytes:
        """Take in what has come; what of it, and of what was held back, may pass."""
        if self.error is not None or not data:
            return b""
        self._inflow.feed(data)
        self.is_idle = False
        passed = []
        try:
            while piece := next(self._requests):
                passed.append(piece)
        except ProtocolError as error:
            self.error = error
        return b"".join(passed)

    def _sieved(self) -> Reading:
        while True:
            self.is_idle = not self._inflow
            lines = yield from self._inflow.head()
            head = parse_head(lines)
            yield b"\r\n".join((*lines, b"", b""))
            if head.length is None:
                yield from _rechunked(self._inflow.body(head))
            else:
                yield from self._inflow.body(head)


def _rechunked(pieces: Reading) -> Reading:
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece) if piece else b""
    yield b"0\r\n\r\n"
