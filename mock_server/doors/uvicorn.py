"""uvicorn behind the ASGI door, in a thread, with a stop signal of its own.

uvicorn looks ten times a second whether it should end, and then waits a tenth of a second twice more; here an
event wakes it. The only module of the reference server that imports uvicorn.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mock_server.doors import http1
from mock_server.doors.asgi import CLOSE, MockASGI
from mock_server.doors.edge import Handler, ServeError
from mock_server.doors.http1 import MAX_HEAD, ProtocolError

_KEEP_ALIVE = 75
_LINGER = 2.0
_STEP = 0.005
_START = 30.0


class _Protocol(H11Protocol):
    """h11, the strict one, whatever else is installed; its own refusals in the shape of all others."""

    refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn types it
        """Offer the application to close this connection."""
        super().connection_made(transport)
        app = self.app

        async def closable(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})[CLOSE] = {"close": transport.close}
            await app(scope, receive, send)

        self.app = closable

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that never became a request; close a little later, for a reset may overtake the answer."""
        self.refused = True
        answer = http1.refusal(ProtocolError(msg))
        self.transport.write(http1.render("GET", answer, close=True))
        self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.close)

    def data_received(self, data: bytes) -> None:
        """Take in what the client sends, in vain after a refusal."""
        if not self.refused:
            super().data_received(data)

    def shutdown(self) -> None:
        """End the connection as soon as no request is under way."""
        if self.refused:
            self.transport.close()
        else:
            super().shutdown()


class _Server(uvicorn.Server):
    """A uvicorn server that says when it has started and ends as soon as it is told to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self.grace = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()

    async def main_loop(self) -> None:
        """Wait until woken."""
        self._loop = asyncio.get_running_loop()
        self.ready.set()
        while not await self.on_tick(0):
            await self._wake.wait()

    def end(self, grace: float) -> None:
        """Begin to stop; from any thread."""
        self.grace = grace
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._wake.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the requests under way, cut off what takes longer than the grace."""
        self._stop_accepting()
        await self._handed_over()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._finish()
        for task in list(self.server_state.tasks):
            task.cancel()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        await self.lifespan.shutdown()

    def _stop_accepting(self) -> None:
        """Take no more connections, and leave the servers open until those that were taken are made.

        A closed server refuses to have a connection made of what it has accepted, and the socket stays open unseen.
        """
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):  # Windows has another kind of loop
            for server in self.servers:
                for listener in server.sockets:
                    loop.remove_reader(listener.fileno())

    async def _handed_over(self) -> None:
        """Wait for what asyncio has accepted and not made a connection of: else nobody would ever close it."""
        own = asyncio.current_task()
        accepting = {each for each in asyncio.all_tasks() - self.server_state.tasks if each is not own}
        if accepting:
            await asyncio.wait(accepting, timeout=_LINGER)

    async def _finish(self) -> None:
        await asyncio.sleep(0)
        for _ in range(int(self.grace / _STEP)):
            if not (self.server_state.connections or self.server_state.tasks):
                break
            await asyncio.sleep(_STEP)


class UvicornServer:
    """Serves a handler on a bound socket, which it owns from now on, until `stop`."""

    def __init__(self, handler: Handler, listener: socket.socket) -> None:
        self._listener = listener
        self._server = _Server(_config(handler))
        self._thread = threading.Thread(target=self._run, name="training-mock uvicorn", daemon=True)

    def start(self) -> None:
        """Listen; returns when connections are taken. ServeError if uvicorn gives up."""
        self._thread.start()
        self._server.ready.wait(_START)
        if not self._server.started:
            raise ServeError("uvicorn did not start: see its log, or use the engine stdlib")

    def stop(self, grace: float) -> None:
        """Take no more connections, finish requests under way, cut off what outlasts the grace (seconds)."""
        self._server.end(grace)
        self._thread.join(2 * grace + _START)

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._listener]))
        finally:
            self._server.ready.set()


def _config(handler: Handler) -> uvicorn.Config:
    return uvicorn.Config(
        MockASGI(handler),
        http=_Protocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        date_header=False,
        server_header=False,
        headers=[("server", http1.SERVER)],
        timeout_keep_alive=_KEEP_ALIVE,
        h11_max_incomplete_event_size=MAX_HEAD,
    )
