"""Serving a world on a socket, in a thread: which engine, which address, who may come in, and a clean end."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from mock_server.transports.common import Handler, Limits, ServeError, ServerAnswers
from mock_server.transports.guard import WILDCARDS, Guard, Guarded, is_loopback
from mock_server.transports.stdlib import StdlibServer

__all__ = ["GRACE", "Engine", "Guarded", "ServeError", "Server", "serve"]

Engine = Literal["auto", "stdlib", "uvicorn"]

SECRET_VARIABLE = "TRAINING_MOCK_SECRET"  # noqa: S105 - the name of a variable, not what is in it
"""The variable that can hold the secret of the control plane instead of a file."""

GRACE = 5.0
"""Seconds that requests under way have when a server stops."""

# An engine waits twice, and threads know no longer wait than this, some centuries on most systems.
_LONGEST_GRACE = threading.TIMEOUT_MAX / 4
LAST_PORT = 65535
_PROBE_SECONDS = 30.0
# The guard refuses this one by itself, so that the probe leaves no trace in the world.
_PROBE = b"OPTIONS * HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n"


class _Engine(Protocol):
    def start(self) -> None: ...
    def stop(self, grace: float) -> None: ...


class Server:
    """A running server. As a context manager it stops at the end of the block."""

    def __init__(self, engine: _Engine, bound: str, port: int, secret: str | None = None) -> None:
        self._engine: _Engine | None = engine
        """None after `stop`: the world knows its servers, and the engine knows the world."""
        self._bound = bound
        self.host = _reachable(bound)
        """The host name or address for clients on this machine."""
        self.port = port
        self.secret = secret
        """The secret that the control plane requires in the header ``X-Training-Mock-Secret``, or None."""

    @property
    def url(self) -> str:
        """The base URL for clients on this machine."""
        return _url(self.host, self.port)

    @property
    def address(self) -> str:
        """The address on which the server listens, as a URL: 0.0.0.0 or [::] for every address of this machine."""
        return _url(self._bound, self.port)

    @property
    def is_stopped(self) -> bool:
        """True after the server was stopped."""
        return self._engine is None

    def start(self) -> None:
        """Start the server and wait until it answers. Raises ServeError if it does not."""
        if self._engine is None:
            raise ServeError(f"The server on {self.url} was stopped. Serve the world again.")
        self._engine.start()
        try:
            with socket.create_connection((self.host, self.port), _PROBE_SECONDS) as probe:
                probe.sendall(_PROBE)
                answer = b"".join(iter(lambda: probe.recv(1024), b""))
        except OSError:
            answer = b""
        if not answer.startswith(b"HTTP/1.1 "):
            raise ServeError(
                f"The server started on {self.url}, but it does not answer. Try another port or engine."
            )

    def stop(self, *, grace: float = GRACE) -> None:
        """Stop the server. A second call has no effect.

        - ``grace``: Seconds that current requests have to finish; it may be ``math.inf``.
        """
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.stop(min(grace, _LONGEST_GRACE))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Server {self.url}{', stopped' if self.is_stopped else ''}>"


def serve(
    handler: Handler,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    engine: Engine = "stdlib",
    secret: str | None = None,
    allow_hosts: tuple[str, ...] = (),
    limits: Limits | None = None,
    is_marked: bool = True,
    when_bound: Callable[[], None] | None = None,
    local_only: bool = False,
) -> Server:
    """Serve a world in a thread. The server answers when this function returns.

    Arguments:

    - ``handler``: The world.
    - ``host``: The address to listen on. An address other than loopback needs a ``secret``.
    - ``port``: The port to listen on. 0 selects a free one.
    - ``engine``: ``"stdlib"`` or ``"auto"`` is the built-in server. ``"uvicorn"`` reads HTTP more leniently and has
      time limits of its own.
    - ``secret``: The secret that requests below ``/_mock/`` must have in the header ``X-Training-Mock-Secret``.
    - ``allow_hosts``: More host names by which clients may call the server.
    - ``limits``: The limits of the built-in server for each client.
    - ``is_marked``: False if no answer of the server itself may identify it as the reference server.
    - ``when_bound``: A function that is called when the port is bound, before the first request is answered.
    - ``local_only``: Refuse addresses other than loopback, also with a secret.

    Raises ServeError, with the reason, if the world cannot be served.
    """
    check_secret(secret)
    listener = _bind(host, port, local_only=local_only or secret is None)
    front = ServerAnswers(is_marked)
    guarded = Guarded(handler, Guard(frozenset({host, *allow_hosts}), secret), front)
    try:
        running = _engine(engine, listener, guarded, limits)
        if when_bound is not None:
            when_bound()
    except BaseException:
        listener.close()
        raise
    server = Server(running, host, listener.getsockname()[1], secret)
    try:
        server.start()
    except BaseException:
        server.stop(grace=0)
        raise
    return server


def check_secret(secret: str | None) -> None:
    """Raise ServeError for a secret that no header can carry."""
    if secret is None or (secret.isascii() and secret.isprintable() and secret.strip() == secret != ""):
        return
    raise ServeError("The secret must be printable ASCII, not empty, without white space around it.")


def _bind(host: str, port: int, *, local_only: bool) -> socket.socket:
    """Return a listening socket: only listening shows for certain whether the port is free."""
    family, address = _resolve(host, port)
    if local_only and not is_loopback(str(address[0])):
        raise ServeError(
            f"{host!r} can be reached from other machines, and the control plane returns tokens. Nothing was served."
            f" Set a secret (--secret-file PATH, the environment variable {SECRET_VARIABLE}, or secret= in Python),"
            " or serve on 127.0.0.1."
        )
    # TCP by name: only of such a socket asyncio lets small answers go at once, and not 40 ms later.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # elsewhere the option would let two servers share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        raise ServeError(_why_not(error, host, port)) from None
    return listener


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    if not 0 <= port <= LAST_PORT:
        raise ServeError(
            f"port must be a whole number from 1 to {LAST_PORT}, or 0 for any free port, not {port}."
        )
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ServeError(f"The host {host!r} cannot be resolved. Name an address of this machine.") from None
    family, _, _, _, address = found[0]
    return family, address


def _why_not(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} on {host} is in use. Choose another port, or 0 for any free port."
        case errno.EACCES:
            return f"Port {port} on {host} is reserved for the system. Choose one above 1023, or 0 for any free port."
        case _:
            return f"The server cannot listen on {host}, port {port}: {error.strerror}."


def _engine(engine: Engine, listener: socket.socket, guarded: Guarded, limits: Limits | None) -> _Engine:
    if engine in ("auto", "stdlib"):
        return StdlibServer(guarded, listener, limits, guarded.front)
    if engine != "uvicorn":
        raise ServeError(f"engine must be 'auto', 'stdlib' or 'uvicorn', not {engine!r}.")
    if limits is not None:
        raise ServeError("limits must be None for the engine uvicorn, which has limits of its own.")
    if find_spec("uvicorn") is None:
        raise ServeError(
            "The library uvicorn is not installed. In a checkout of the SDK, run pip install '.[server]', or use the"
            " engine stdlib."
        )
    from mock_server.transports.uvicorn import UvicornServer

    return UvicornServer(guarded, listener, guarded.front)


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _reachable(host: str) -> str:
    """Return the host that clients on this machine use instead of a wildcard address."""
    if host not in WILDCARDS:
        return host
    return "::1" if host == "::" else "127.0.0.1"
