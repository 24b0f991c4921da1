"""A transport for the library responses, for code written with requests.

The only module of the reference server that imports responses, requests and urllib3.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from http.client import IncompleteRead
from http.client import responses as phrases
from io import BytesIO, RawIOBase
from typing import Any
from urllib.parse import urlsplit

import responses
from requests import ConnectionError, PreparedRequest, ReadTimeout
from urllib3 import HTTPResponse, Timeout
from urllib3._collections import HTTPHeaderDict  # which urllib3 1.26 does not export

from mock_server.transports.common import BodyBuffer, Handler, Unhandled, checked_hosts, framed, refusal
from mock_server.wire.message import Delivery, Request

_ANYTHING = re.compile("")


def requests_mock(
    handler: Handler, hosts: str | Iterable[str], unhandled: Unhandled
) -> responses.RequestsMock:
    """Return the mock of the library responses, answered by the world; you can add answers for other hosts."""
    names = checked_hosts(hosts, unhandled)
    mock = responses.RequestsMock(
        assert_all_requests_are_fired=False,
        passthru_prefixes=(_ANYTHING,) if unhandled == "pass" else (),  # type: ignore[arg-type]  # takes patterns
    )
    mock.add(_World(handler, names))
    return mock


class _World(responses.BaseResponse):
    """The whole world as one registered answer of responses, for any method and path."""

    def __init__(self, handler: Handler, hosts: frozenset[str]) -> None:
        super().__init__("any method", f"https://{sorted(hosts)[0]}/")
        self._handler = handler
        self._hosts = hosts

    def matches(self, request: PreparedRequest) -> tuple[bool, str]:
        """Return whether the request goes to a host that is answered for, and if not, what to do."""
        host = urlsplit(str(request.url)).hostname or ""
        return (True, "") if host in self._hosts else (False, refusal(host, self._hosts))

    def get_response(self, request: PreparedRequest) -> HTTPResponse:
        """Return the world's answer."""
        method = str(request.method).upper()
        response = self._handler.handle(_read(method, request))
        headers, body = framed(method, response)
        delivery, limit = response.delivery or Delivery(), _read_timeout(request)
        if _is_late(delivery.delay, limit):
            raise ReadTimeout(f"Read timed out. (read timeout={limit:g})", request=request)
        if delivery.dropped:
            raise ConnectionError("Remote end closed connection without response", request=request)
        raw = HTTPHeaderDict()
        for name, value in headers:
            raw.add(name, value)
        # Cookies are looked for in the message below; the server sets none.
        below = HTTPResponse(body=BytesIO(), msg=raw, preload_content=False)  # type: ignore[arg-type]  # a mapping
        return HTTPResponse(
            body=_Line(delivery.parts(body), delivery.pause, limit, len(body)),
            headers=raw,
            status=response.status,
            reason=phrases.get(response.status),
            original_response=below,  # type: ignore[arg-type]  # requests reads its msg only
            preload_content=False,
            request_method=method,
        )


class _Line(RawIOBase):
    """A body as it arrives: in pieces, with pauses between them, for as long as the client waits for a piece.

    It reports its end, and an early end, as ``http.client.HTTPResponse`` does, which urllib3 expects.
    """

    def __init__(self, pieces: Iterable[bytes], pause: float, limit: float | None, length: int) -> None:
        super().__init__()
        self._pieces = deque(pieces)
        self._pause, self._limit = pause, limit
        self._missing = length - sum(map(len, self._pieces))
        self._has_begun = self._has_ended = False

    def isclosed(self) -> bool:
        """Return whether the end was read; urllib3 continues to read until then."""
        return self._has_ended or self.closed

    def readall(self) -> bytes:
        """Return the rest of the body. Raises IncompleteRead if it ends too early."""
        rest = super().readall() or b""
        if self._missing:
            raise IncompleteRead(rest, self._missing)
        return rest

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer with the next piece, or as much of it as goes in. TimeoutError as a socket has it."""
        if not self._pieces:
            self._has_ended = True
            return 0
        if self._has_begun and _is_late(self._pause, self._limit):
            raise TimeoutError("The read operation timed out")
        piece = self._pieces.popleft()
        filled, rest = piece[: len(buffer)], piece[len(buffer) :]
        if rest:
            self._pieces.appendleft(rest)
        self._has_begun = not rest
        buffer[: len(filled)] = filled
        return len(filled)


def _read_timeout(request: PreparedRequest) -> float | None:
    """Return the seconds that ``timeout=``, in any of its forms, allows for a piece of the answer; or None."""
    # responses notes here what the session hands its adapter.
    given = getattr(request, "req_kwargs", {}).get("timeout")
    if isinstance(given, Timeout):
        given = given.clone()
        given.start_connect()  # what a total leaves for reading counts from here
        given = given.read_timeout
    elif isinstance(given, tuple):
        given = given[1]
    return float(given) if isinstance(given, int | float) else None


def _is_late(seconds: float, limit: float | None) -> bool:
    """Wait, but not longer than the caller does; return whether the caller has given up."""
    late = limit is not None and seconds > limit
    time.sleep(limit if late and limit is not None else seconds)
    return late


def _read(method: str, request: PreparedRequest) -> Request:
    body = BodyBuffer()
    for piece in _pieces(request.body):
        if not body.feed(piece):
            break
    path, _, query = request.path_url.partition("?")
    headers = [(_text(name).lower(), _text(value)) for name, value in request.headers.items()]
    if not any(name == "host" for name, _ in headers):
        headers.insert(0, ("host", urlsplit(str(request.url)).netloc.rpartition("@")[2]))
    return Request(method, path, query, tuple(headers), body.value(), body.too_large)


def _pieces(body: object) -> Iterator[bytes]:
    """A body as requests holds it: nothing, text, bytes, or an iterable of either."""
    if isinstance(body, str | bytes):
        yield body.encode() if isinstance(body, str) else body
    elif isinstance(body, Iterable):
        for piece in body:
            yield piece.encode() if isinstance(piece, str) else bytes(piece)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
