"""What tests of servers share: the smallest handler, and patience."""

from __future__ import annotations

import time
from collections.abc import Callable

from mock_server.transports.serving import Server
from mock_server.wire.message import Request, Response
from rawhttp import PATIENCE, connected, read_answer, request


class Hello:
    """Answers every request with its path."""

    def handle(self, request: Request) -> Response:
        return Response(200, (), request.path.encode())


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what must come; long patience, since a busy machine is no fault."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def health(server: Server) -> int:
    with connected(server.port) as sock:
        sock.sendall(request("GET", "/_mock/health"))
        return read_answer(sock).status
