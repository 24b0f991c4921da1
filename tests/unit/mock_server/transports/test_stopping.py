"""A stop that meets connections which are just being accepted: each is closed, none is forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
import threading

import pytest
from attrs import define, field

from mock_server import MockTraining
from mock_server.transports.serving import Engine, serve
from mock_server.transports.uvicorn import UvicornServer
from mock_server.wire.message import Delivery, Request, Response
from rawhttp import PATIENCE, connected, everything, read_answer, request

CLIENTS = 8
HALF = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nx"


@define
class Held:
    """A handler whose answers wait until they are let go, or take their time on the line."""

    entered: threading.Event = field(factory=threading.Event)
    let_go: threading.Event = field(factory=threading.Event)

    def handle(self, request: Request) -> Response:
        if request.path == "/_mock/held":
            self.entered.set()
            assert self.let_go.wait(PATIENCE)
        if request.path == "/slow":
            self.entered.set()
            return Response(200, (), b"late", Delivery(delay=2 * PATIENCE))
        return Response(200)


@pytest.mark.parametrize("engine", ["stdlib", "uvicorn"])
@pytest.mark.parametrize("data", [HALF, request("GET", "/slow"), request("GET", "/_mock/held")])
def test_what_outlasts_the_grace_is_cut_without_a_word(
    engine: Engine, data: bytes, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    held = Held()
    server = serve(held, engine=engine)
    with caplog.at_level(logging.DEBUG, "uvicorn"), connected(server.port) as sock:
        sock.sendall(data)
        if data is HALF:
            everything(server.port, request("GET", "/", (("connection", "close"),)))
        else:
            assert held.entered.wait(PATIENCE)
        caplog.clear()
        server.stop(grace=0.05)
        with contextlib.suppress(ConnectionError):
            assert sock.recv(1000) == b""
        held.let_go.set()
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["stdlib", "uvicorn"])
def test_a_grace_without_end_lets_a_request_under_way_finish(engine: Engine) -> None:
    held = Held()
    server = serve(held, engine=engine)
    with connected(server.port) as sock:
        sock.sendall(request("GET", "/_mock/held"))
        assert held.entered.wait(PATIENCE)
        letting_go = threading.Timer(0.1, held.let_go.set)
        letting_go.start()
        server.stop(grace=math.inf)
        letting_go.join()
        assert read_answer(sock).status == 200


def test_what_is_accepted_while_the_server_stops_is_closed() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    running = UvicornServer(MockTraining.demo(), listener)
    running.start()
    loop, server = running._server._loop, running._server
    assert loop is not None
    clients: list[socket.socket] = []
    connected = threading.Event()

    def meet() -> None:
        """On the loop: they knock, and in the very round in which they are accepted the stop begins."""
        clients.extend(socket.create_connection(address, PATIENCE) for _ in range(CLIENTS))
        loop.call_soon(lambda: stopping.append(loop.create_task(server.shutdown())))
        connected.set()

    stopping: list[asyncio.Task[None]] = []
    loop.call_soon_threadsafe(meet)
    assert connected.wait(PATIENCE)
    try:
        for client in clients:
            with client, contextlib.suppress(ConnectionError):  # closed in a hurry is closed too
                assert client.recv(1) == b""
    finally:
        running.stop(grace=0)
    assert len(clients) == CLIENTS
