"""uvicorn in a thread, on a socket that is bound already. The only module of the reference server that imports uvicorn.

It reads HTTP, and keeps its times and bounds, as uvicorn does: more leniently than the built-in server.
"""

from __future__ import annotations

import math
import socket
import threading
import time

import uvicorn

from mock_server.transports.asgi import MockASGI
from mock_server.transports.common import Handler, ServeError, ServerAnswers

_START = 30.0
_STEP = 0.005


class _Server(uvicorn.Server):
    """A uvicorn server that also ends the connections which outlast its grace period."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the requests under way, then cut off what is left."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class UvicornServer:
    """Serves a handler on a bound socket, which it owns from now on, until `stop`."""

    def __init__(self, handler: Handler, listener: socket.socket, front: ServerAnswers) -> None:
        self._listener = listener
        self._config = uvicorn.Config(
            MockASGI(handler),
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
        )
        self._server = _Server(self._config)
        self._thread = threading.Thread(
            target=self._server.run,
            kwargs={"sockets": [listener]},
            name="training-mock uvicorn",
            daemon=True,
        )

    def start(self) -> None:
        """Return when connections are accepted. ServeError if uvicorn does not start."""
        self._thread.start()
        end = time.monotonic() + _START
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > end:
                raise ServeError(
                    "The server uvicorn did not start. Its log shows the reason. Correct it, or use the engine stdlib."
                )
            time.sleep(_STEP)

    def stop(self, grace: float) -> None:
        """Accept no more connections, finish requests under way, cut off what outlasts the grace period (seconds)."""
        self._config.timeout_graceful_shutdown = math.ceil(grace)
        self._server.should_exit = True
        self._thread.join(2 * grace + _START)
        self._listener.close()
