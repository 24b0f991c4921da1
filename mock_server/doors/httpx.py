"""The cheapest door: an httpx transport that calls ``handle()`` without any socket.

The only module of the reference server that imports httpx.
"""

from __future__ import annotations

import httpx

from mock_server.doors.edge import BodyBuffer, Handler, framed
from mock_server.wire.message import Request, Response


class MockTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers for every host, so that code runs against it with the vendor's base URL unchanged.

    Serves ``httpx.Client(transport=...)`` and ``httpx.AsyncClient(transport=...)`` alike; nothing to close.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of a synchronous client."""
        body = BodyBuffer()
        if not isinstance(request.stream, httpx.SyncByteStream):
            raise TypeError("a synchronous client cannot send an asynchronous body: use httpx.AsyncClient")
        for piece in request.stream:
            if not body.feed(piece):
                break
        return self._answer(request, body)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of an asynchronous client; inline, as the ASGI door does and for its reasons."""
        body = BodyBuffer()
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise TypeError("an asynchronous client cannot send a synchronous body: use httpx.Client")
        async for piece in request.stream:
            if not body.feed(piece):
                break
        return self._answer(request, body)

    def _answer(self, request: httpx.Request, body: BodyBuffer) -> httpx.Response:
        response = self._handler.handle(_read(request, body))
        return _written(request, response)


def _read(request: httpx.Request, body: BodyBuffer) -> Request:
    path, _, query = request.url.raw_path.decode("latin-1").partition("?")
    headers = [(key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in request.headers.raw]
    return Request(request.method.upper(), path, query, tuple(headers), body.value(), body.too_large)


def _written(request: httpx.Request, response: Response) -> httpx.Response:
    headers, body = framed(request.method.upper(), response)
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return httpx.Response(response.status, headers=raw, content=body, request=request)
