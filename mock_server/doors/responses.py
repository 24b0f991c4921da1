"""The responses door, for code written with requests.

The only module of the reference server that imports responses, requests and urllib3.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from http.client import responses as phrases
from io import BytesIO
from urllib.parse import urlsplit

import responses
from requests import ConnectionError, PreparedRequest
from urllib3 import HTTPHeaderDict, HTTPResponse

from mock_server.doors.edge import BodyBuffer, Handler, framed
from mock_server.doors.hosts import Unhandled, checked_hosts, refusal
from mock_server.wire.message import Request

_ANYTHING = re.compile("")


def requests_mock(
    handler: Handler, hosts: str | Iterable[str], unhandled: Unhandled
) -> responses.RequestsMock:
    """responses' own mock with the world behind it; answers for other hosts may be added."""
    names = checked_hosts(hosts, unhandled)
    mock = responses.RequestsMock(
        assert_all_requests_are_fired=False,
        passthru_prefixes=(_ANYTHING,) if unhandled == "pass" else (),  # type: ignore[arg-type]  # takes patterns
    )
    mock.add(_World(handler, names))
    return mock


class _World(responses.BaseResponse):
    """What responses takes for one registered answer: the whole world, whatever method and path."""

    def __init__(self, handler: Handler, hosts: frozenset[str]) -> None:
        super().__init__("any method", f"https://{sorted(hosts)[0]}/")
        self._handler = handler
        self._hosts = hosts

    def matches(self, request: PreparedRequest) -> tuple[bool, str]:
        """Whether the request goes to a host that is answered for, and if not, what to do."""
        host = urlsplit(str(request.url)).hostname or ""
        return (True, "") if host in self._hosts else (False, refusal(host, self._hosts))

    def get_response(self, request: PreparedRequest) -> HTTPResponse:
        """The world's answer."""
        method = str(request.method).upper()
        response = self._handler.handle(_read(method, request))
        headers, body = framed(method, response)
        delivery = response.delivery
        if delivery is not None:
            # How long the caller would wait is not told to a mock: all pauses are held at once, then.
            time.sleep(delivery.delay + delivery.pause * len(delivery.parts(body)))
            if delivery.dropped:
                raise ConnectionError("Remote end closed connection without response", request=request)
            body = body[: delivery.keep]
        raw = HTTPHeaderDict()
        for name, value in headers:
            raw.add(name, value)
        # Cookies are looked for in the message below; the server sets none.
        below = HTTPResponse(body=BytesIO(), msg=raw, preload_content=False)  # type: ignore[arg-type]  # a mapping
        return HTTPResponse(
            body=BytesIO(body),
            headers=raw,
            status=response.status,
            reason=phrases.get(response.status),
            original_response=below,  # type: ignore[arg-type]  # requests reads its msg only
            preload_content=False,
            request_method=method,
        )


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
