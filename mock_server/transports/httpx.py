"""An httpx transport that calls ``handle()`` without a socket.

The only module of the reference server that imports httpx.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

import anyio
import httpx

from mock_server.transports.common import BodyBuffer, Handler, framed
from mock_server.wire.message import Delivery, Request, Response


class MockTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers for every host, so that code runs against it with the vendor's base URL unchanged.

    Serves ``httpx.Client(transport=...)`` and ``httpx.AsyncClient(transport=...)``; nothing to close.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of a synchronous client."""
        body = BodyBuffer()
        if not isinstance(request.stream, httpx.SyncByteStream):
            raise _unsuitable(
                request, "A synchronous client cannot send an asynchronous body. Use httpx.AsyncClient."
            )
        for piece in request.stream:
            if not body.feed(piece):
                break
        response = self._handler.handle(_read(request, body))
        if response.delivery is not None:
            time.sleep(_wait(request, response.delivery.delay))
        return _written(request, response)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of an asynchronous client; inline, as the ASGI application does and for its reasons."""
        body = BodyBuffer()
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise _unsuitable(
                request, "An asynchronous client cannot send a synchronous body. Use httpx.Client."
            )
        async for piece in request.stream:
            if not body.feed(piece):
                break
        response = self._handler.handle(_read(request, body))
        if response.delivery is not None:
            await anyio.sleep(_wait(request, response.delivery.delay))
        return _written(request, response)


def _unsuitable(request: object, why: str) -> TypeError:
    if isinstance(request, httpx.Request):
        return TypeError(why)
    library = type(request).__module__.partition(".")[0]
    return TypeError(
        f"This transport is for clients of httpx, not of {library}. Use mock.serve(), or an ASGI transport of "
        f"{library} with mock.asgi."
    )


def _read(request: httpx.Request, body: BodyBuffer) -> Request:
    path, _, query = request.url.raw_path.decode("latin-1").partition("?")
    headers = [(key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in request.headers.raw]
    return Request(request.method.upper(), path, query, tuple(headers), body.value(), body.too_large)


def _written(request: httpx.Request, response: Response) -> httpx.Response:
    headers, body = framed(request.method.upper(), response)
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    delivery = response.delivery
    if delivery is not None:
        if _too_slow(request, delivery.delay):
            raise httpx.ReadTimeout("The read operation timed out", request=request)
        if delivery.dropped:
            said = "Server disconnected without sending a response."
            raise httpx.RemoteProtocolError(said, request=request)
        stream = _Troubled(request, body, delivery)
        return httpx.Response(response.status, headers=raw, stream=stream, request=request)
    return httpx.Response(response.status, headers=raw, content=body, request=request)


def _read_timeout(request: httpx.Request) -> float | None:
    """Seconds that the client waits for a piece of the answer; None without a limit."""
    seconds: float | None = request.extensions.get("timeout", {}).get("read")
    return seconds


def _too_slow(request: httpx.Request, seconds: float) -> bool:
    limit = _read_timeout(request)
    return limit is not None and seconds > limit


def _wait(request: httpx.Request, seconds: float) -> float:
    """Return the seconds to delay an answer: not beyond the moment at which the client gives up."""
    limit = _read_timeout(request)
    return seconds if limit is None else min(seconds, limit)


class _Troubled(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in pieces with pauses, and may end too soon."""

    def __init__(self, request: httpx.Request, body: bytes, delivery: Delivery) -> None:
        self._request = request
        self._body = body
        self._delivery = delivery

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._delivery.parts(self._body):
            yield piece
            time.sleep(_wait(self._request, self._delivery.pause))
            self._check_pause()
        self._check_end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._delivery.parts(self._body):
            yield piece
            await anyio.sleep(_wait(self._request, self._delivery.pause))
            self._check_pause()
        self._check_end()

    def _check_pause(self) -> None:
        if _too_slow(self._request, self._delivery.pause):
            raise httpx.ReadTimeout("The read operation timed out", request=self._request)

    def _check_end(self) -> None:
        keep = self._delivery.keep
        if keep is not None and keep < len(self._body):
            said = "peer closed connection without sending complete message body"
            raise httpx.RemoteProtocolError(said, request=self._request)
