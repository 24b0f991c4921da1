"""The reference server under an ASGI server of your choice: ``uvicorn mock_server.asgi:app``.

The environment variable ``TRAINING_MOCK_OPTIONS`` takes those options of ``training-mock serve`` that choose the world,
its policy, its secret and its names; what listens, and where, is the ASGI server's business.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from attrs import frozen

from mock_server.refusal import Reason, RefusedError
from mock_server.startup import UsageError, add_access, add_world, secret_of, served_world
from mock_server.transports.asgi import MockASGI, Receive, Scope, Send
from mock_server.transports.common import ServerAnswers
from mock_server.transports.guard import Guard, Guarded, is_loopback
from mock_server.transports.serving import ServeError, check_secret
from mock_server.wire.message import Request, Response

__all__ = ["OPTIONS_VARIABLE", "Application", "app"]

OPTIONS_VARIABLE = "TRAINING_MOCK_OPTIONS"
"""Options of ``training-mock serve``, separated and quoted as in a shell."""

_OPEN = "Other machines can reach this server, and it has no secret. Set the environment variable TRAINING_MOCK_SECRET."
_SECOND = (
    "Another process serves this port too, with a world of its own, so that answers would contradict each other."
    " Nothing was done. Start the ASGI server with one worker."
)


class Application:
    """An ASGI application that serves one world, behind the guard that a server on a socket has.

    The world is made when the server starts, or at the first request if the server sends no lifespan events. Without a
    secret only requests from this machine to a loopback address are answered. A second process on the same port
    refuses every request with 500, since a world lives in one process.
    """

    def __init__(self) -> None:
        self._served: _Served | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope. UsageError or ServeError if no world can be made, outside of lifespan events."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        served = self._ready()
        await (served.answering(scope) if scope["type"] == "http" else served.asgi)(scope, receive, send)

    def _ready(self) -> _Served:
        if self._served is None:
            self._served = _from_environment()
        return self._served

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            served = self._ready()
        except (UsageError, ServeError) as error:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        else:
            await served.asgi(scope, receive, send)


@frozen
class _Served:
    """A world that is served, and what the guard cannot see in a request."""

    asgi: MockASGI
    front: ServerAnswers
    is_open: bool
    """True if the server has no secret."""

    def answering(self, scope: Scope) -> MockASGI:
        """Return what answers a request: the world, or a refusal."""
        server = scope.get("server") or ("", None)
        if self.is_open and not (_is_loopback(server) and _is_loopback(scope.get("client"))):
            return MockASGI(_Refusing(RefusedError(Reason.CONTROL_SECRET_REQUIRED, _OPEN), self.front))
        if isinstance(server[1], int) and not _PORTS.claim(server[1]):
            return MockASGI(_Refusing(RefusedError(Reason.INTERNAL, _SECOND), self.front))
        return self.asgi


def _is_loopback(end: Sequence[object] | None) -> bool:
    return end is not None and is_loopback(str(end[0]))


@frozen
class _Refusing:
    refusal: RefusedError
    front: ServerAnswers

    def handle(self, request: Request) -> Response:
        """Refuse the request."""
        return self.front.refused(self.refusal, request)


class _Ports:
    """The ports that this process serves: a second process of the same user finds them taken.

    Workers of one server share its port, and nothing else that an application can see. The lock is a byte of a file, at
    the port's number; the system releases it when the process ends.
    """

    def __init__(self) -> None:
        self._claimed: set[int] = set()
        self._file: int | None = None

    def claim(self, port: int) -> bool:
        """Return whether this process is the one that serves the port; also where the system has no such locks."""
        if port not in self._claimed and not self._lock(port):
            return False
        self._claimed.add(port)
        return True

    def _lock(self, port: int) -> bool:
        if sys.platform == "win32":
            return True
        import fcntl

        try:
            if self._file is None:
                path = Path(tempfile.gettempdir()) / f"training-mock-{os.getuid()}.lock"
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                self._file = os.open(path, flags, 0o600)
        except OSError:  # no such directory, or a file of another user
            return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
        return True


_PORTS = _Ports()


class _Options(argparse.ArgumentParser):
    """A parser whose errors are raised."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{OPTIONS_VARIABLE}: {message[0].upper()}{message[1:].rstrip('.')}.")


def _from_environment() -> _Served:
    parser = _Options(prog=OPTIONS_VARIABLE, allow_abbrev=False, add_help=False)
    add_access(parser.add_argument_group("access"))
    add_world(parser)
    try:
        words = shlex.split(os.environ.get(OPTIONS_VARIABLE, ""))
    except ValueError as error:
        raise UsageError(f"{OPTIONS_VARIABLE}: {error}.") from None
    arguments = parser.parse_args(words)
    secret = secret_of(arguments)
    check_secret(secret)
    mock = served_world(arguments, secret)
    mock._serve_by_asgi(secret)
    for host in arguments.allow_webhook_host:
        mock.webhooks.allow(host)
    front = ServerAnswers(mock.policy.is_reference)
    guarded = Guarded(mock, Guard(arguments.allow_host, secret), front)
    return _Served(MockASGI(guarded), front, is_open=secret is None)


app = Application()
"""The application that ASGI servers are given by its name, ``mock_server.asgi:app``."""
