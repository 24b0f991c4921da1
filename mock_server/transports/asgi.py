"""The ASGI application over a handler, for uvicorn, hypercorn or ``httpx.ASGITransport``.

For the vendor's operations ``handle()`` is called inline, not in a thread. It is pure computation of a fraction of a
millisecond to a few milliseconds; under the interpreter lock a thread would run it no sooner, and the hand-over alone
costs as much as a small answer. The control plane makes, compares and loads whole worlds, which takes seconds for a
large one and holds the world's lock meanwhile: it is answered from a thread, and so is whatever else is asked until it
has ended, so that the loop waits for no lock. Only the question whether the server is alive needs none.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from mock_server.transports.common import LONGEST_KEPT, MOST_KEPT, BodyBuffer, Handler, framed, origin_form
from mock_server.transports.guard import HEALTH
from mock_server.wire.message import Delivery, Request, Response

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PATH_CHARACTERS = "/:@!$&'()*+,;="
_BROKEN = {"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"1")]}
"""The head of an answer whose body never comes."""


class MockASGI:
    """The ASGI 3 application over a handler: ``http`` and ``lifespan``; websockets are refused.

    ASGI cannot close a connection. A fault that drops an answer sends the head of a 500 that announces a body, and then
    raises ConnectionAbortedError, as a fault that cuts an answer does after the part that is sent. uvicorn, hypercorn
    and granian then close the connection, so that the client reads an incomplete answer; daphne leaves it open until
    the client gives up. ``httpx.ASGITransport`` raises the error itself and keeps no timeouts; ``mock.transport()``
    does both as a connection would.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._under_control = 0
        """Requests to the control plane that threads are about."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope. RuntimeError for a scope type that is not ASGI's."""
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await _lifespan(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000})
            case other:
                raise RuntimeError(f"The reference server does not support ASGI {other!r}.")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = BodyBuffer()
        complete = await _fill(body, receive)
        if complete is None:
            return
        request = origin_form(_read(scope, body))
        if self._is_answered_inline(request.path):
            response = self._handler.handle(request)
        else:
            response = await self._answer_aside(request)
        if response.delivery is None:
            await _write(request.method, response, send, close=not complete or request.is_ambiguous)
        else:
            await _deliver(request, response, response.delivery, send)

    def _is_answered_inline(self, path: str) -> bool:
        return path == HEALTH or not (self._under_control or path.startswith("/_mock/"))

    async def _answer_aside(self, request: Request) -> Response:
        controls = request.path.startswith("/_mock/")
        self._under_control += controls

        def done() -> None:
            self._under_control -= controls

        return await _aside(lambda: self._handler.handle(request), done)


async def _aside(work: Callable[[], Response], done: Callable[[], None]) -> Response:
    """Let a thread work. ``done`` is called on the loop when it has ended, even if the request was cancelled.

    The thread is one of its own and a daemon: a pool could be full of those that wait for a lock, and would keep
    the process from ending.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Response] = loop.create_future()

    def settle(made: Response | Exception) -> None:
        done()
        if answer.done():  # the request was cancelled
            return
        if isinstance(made, Exception):
            answer.set_exception(made)
        else:
            answer.set_result(made)

    def run() -> None:
        made: Response | Exception
        try:
            made = work()
        except Exception as fault:
            made = fault
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, made)

    threading.Thread(target=run, name="training-mock control", daemon=True).start()
    return await answer


async def _fill(body: BodyBuffer, receive: Receive) -> bool | None:
    """Read the body: True when it was read to its end, False when given up, None when the client has gone.

    A request whose client left before the end is not handled: it is incomplete.
    """
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        piece = message.get("body")
        if piece and not body.feed(piece):
            return False
        if not message.get("more_body", False):
            return True


def _read(scope: Scope, body: BodyBuffer) -> Request:
    return Request(
        method=scope["method"].upper(),
        path=_raw_path(scope),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=_headers(scope["headers"]),
        body=body.value(),
        too_large=body.too_large,
    )


def _raw_path(scope: Scope) -> str:
    """Return the path as sent; ASGI servers may leave it out, then encode the decoded path again."""
    raw: bytes | None = scope.get("raw_path")
    return quote(scope["path"], safe=_PATH_CHARACTERS) if raw is None else raw.decode("latin-1")


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    # Long ones are not cached: clients can send any number of them.
    return tuple(
        [
            _remembered(name, value) if len(name) + len(value) <= LONGEST_KEPT else _header(name, value)
            for name, value in raw
        ]
    )


def _header(name: bytes, value: bytes) -> tuple[str, str]:
    return name.decode("latin-1").lower(), value.decode("latin-1")


_remembered = lru_cache(maxsize=MOST_KEPT)(_header)


async def _write(method: str, response: Response, send: Send, *, close: bool) -> None:
    head, body = _framed(method, response, close=close)
    await send(head)
    await send({"type": "http.response.body", "body": body})


def _framed(method: str, response: Response, *, close: bool) -> tuple[Message, bytes]:
    headers, body = framed(method, response)
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if close:
        raw.append((b"connection", b"close"))
    return {"type": "http.response.start", "status": response.status, "headers": raw}, body


async def _deliver(request: Request, response: Response, delivery: Delivery, send: Send) -> None:
    """Answer with a delay, in pieces, cut short or not at all."""
    await asyncio.sleep(delivery.delay)
    if delivery.dropped:
        await send(_BROKEN)
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        raise _aborted()
    head, body = _framed(request.method, response, close=request.is_ambiguous)
    await send(head)
    for piece in delivery.parts(body):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(delivery.pause)
    if delivery.keep is not None and body:
        raise _aborted()
    await send({"type": "http.response.body", "body": b""})


def _aborted() -> ConnectionAbortedError:
    return ConnectionAbortedError("A fault in the script of this server ends the connection.")


async def _lifespan(receive: Receive, send: Send) -> None:
    """There is nothing to start or to stop, only to acknowledge."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
