"""uvicorn behind the ASGI door, in a thread, with a stop signal of its own.

uvicorn looks ten times a second whether it should end, and then waits a tenth of a second twice more; here an
event wakes it. The only module of the reference server that imports uvicorn.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import threading
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from mock_server.transports import http1
from mock_server.transports.asgi import CLOSE, MockASGI
from mock_server.transports.edge import Front, Handler, Limits, ServeError
from mock_server.transports.http1 import MAX_HEAD, ProtocolError
from mock_server.transports.inflow import Sieve
from mock_server.wire.message import MAX_DRAIN

_CONNECTIONS = 16_384
_LINGER = 2.0
_STEP = 0.005
_START = 30.0
_READING = (h11.IDLE, h11.SEND_BODY)


class _Config(uvicorn.Config):
    """uvicorn's configuration, and what it lacks."""

    limits: Limits
    front: Front
    connections: set[_Protocol]
    """Those that were let in."""


class _Protocol(H11Protocol):
    """h11, whatever else is installed, behind the built-in server's own reading and with its limits."""

    def __init__(
        self,
        config: _Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = config.limits
        self._front = config.front
        self._admitted = config.connections
        self._sieve = Sieve()
        self._refused = False
        self._discarded = 0
        self._has_said_all = False
        self._deadline: asyncio.TimerHandle | None = None
        self._awaited = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn types it
        """Let the client in if there is room, and offer the application to close this connection."""
        super().connection_made(transport)
        self.app = _closable(self.app, transport)
        most = _CONNECTIONS if self._limits.connections is None else self._limits.connections
        if len(self._admitted) < most:
            self._admitted.add(self)
            self._watch()
        else:
            self._refuse(http1.too_many(len(self._admitted)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room for another one."""
        self._admitted.discard(self)
        self._allow("", None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what the client sends, in vain after a refusal."""
        if self._refused:
            self._discard(data)
        elif passed := self._sieve.feed(data):
            super().data_received(passed)
        else:
            self._unset_keepalive_if_required()
            self.handle_events()

    def handle_events(self) -> None:
        """Serve what has come, then refuse what is wrong behind it, once all before it is answered."""
        super().handle_events()
        if self._sieve.error is not None and self.conn.their_state in _READING:
            self._refuse(self._sieve.error)
        elif self._has_said_all and self.conn.their_state in _READING:
            self.transport.close()
        self._watch()

    def eof_received(self) -> bool | None:  # type: ignore[override]  # as uvicorn types it
        """Answer a client that will say no more and still listens, if all of a request has come."""
        self._has_said_all = True
        return self._under_way() is not None and self.conn.their_state not in _READING

    def on_response_complete(self) -> None:
        """Go on with the next request, or give the client time to take the last answer."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Wait for a client that does not read, though not for ever."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Go on as the client reads again."""
        super().resume_writing()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse what h11 refuses."""
        self._refuse(ProtocolError(msg))

    def shutdown(self) -> None:
        """End the connection as soon as no request is under way."""
        if self._refused:
            self.transport.close()
        else:
            super().shutdown()

    def _refuse(self, error: ProtocolError) -> None:
        """Answer what never became a request; end a little later, for a reset may overtake the answer."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        if cycle := self._under_way():
            cycle.disconnected = True  # nobody will read what is left of this request
            cycle.message_event.set()
        answer = http1.refusal(error, self._front)
        self.transport.write(http1.render("GET", answer, close=True, front=self._front))
        with contextlib.suppress(OSError):  # the client has read enough and gone
            self.transport.write_eof()
        self._watch()

    def _discard(self, data: bytes) -> None:
        """Let a refused client send on, so that it gets to read why, up to what a door drains at most."""
        self._discarded += len(data)
        if self._discarded > MAX_DRAIN:
            self.transport.abort()

    def _under_way(self) -> RequestResponseCycle | None:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # there is none before the first request
        return None if cycle is None or cycle.response_complete else cycle

    def _watch(self) -> None:
        """Set the client a time for what it owes now; one that is set already goes on."""
        owed = self._owed()
        if owed != self._awaited:
            self._allow(owed, getattr(self._limits, owed) if owed else None)

    def _owed(self) -> str:
        """The name of the limit that holds now, or "" while it is the server's turn."""
        if self._refused:
            return "linger"
        if self.flow.write_paused or self.transport.is_closing():
            return "answer"
        if self.conn.their_state is h11.SEND_BODY:
            return "body"
        if self.conn.their_state is h11.IDLE:
            return "idle" if self._sieve.is_idle else "head"
        return ""

    def _allow(self, owed: str, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._awaited = owed
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        cycle = self._under_way()
        if self._awaited in ("head", "body") and not (cycle and cycle.response_started):
            self._refuse(http1.too_late())
        else:
            self.transport.abort()


def _closable(app: Any, transport: asyncio.Transport) -> Any:
    """The application, offered to close its connection, and ending without a word when the server ends."""

    async def closable(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("extensions", {})[CLOSE] = {"close": transport.close}
        # Cancelled is what outlasts the grace, its connection being cut; uvicorn would log it as a fault.
        with contextlib.suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return closable


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
        await self._cut()
        await self.lifespan.shutdown()

    async def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # until they know that they are lost
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LINGER)

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
        loop = asyncio.get_running_loop()
        end = loop.time() + self.grace
        await asyncio.sleep(0)
        for _ in range(int(self.grace / _STEP)):
            if loop.time() >= end or not (self.server_state.connections or self.server_state.tasks):
                break
            await asyncio.sleep(_STEP)


class UvicornServer:
    """Serves a handler on a bound socket, which it owns from now on, until `stop`."""

    def __init__(
        self,
        handler: Handler,
        listener: socket.socket,
        limits: Limits | None = None,
        front: Front | None = None,
    ) -> None:
        self._listener = listener
        self._server = _Server(_config(handler, limits or Limits(), front or Front()))
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


def _config(handler: Handler, limits: Limits, front: Front) -> _Config:
    config = _Config(
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
        headers=list(front.signature),
        timeout_keep_alive=math.ceil(limits.idle),
        h11_max_incomplete_event_size=MAX_HEAD,
    )
    config.limits = limits
    config.front = front
    config.connections = set()
    return config
