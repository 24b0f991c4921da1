"""Stopping a server: requests under way are finished within the grace period, and the rest is cut off."""

from __future__ import annotations

import contextlib
import logging
import math
import threading

import pytest
from attrs import define, field

from mock_server.transports.serving import serve
from mock_server.wire.message import Delivery, Request, Response
from rawhttp import PATIENCE, connected, everything, read_answer, request

HALF_A_HEAD = b"GET / HT"
HALF = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nx"


@define
class Held:
    """A handler whose answers wait until they are released, or are delivered slowly."""

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


@pytest.mark.parametrize("data", [HALF_A_HEAD, HALF, request("GET", "/slow"), request("GET", "/_mock/held")])
def test_what_outlasts_the_grace_is_cut_without_a_word(
    data: bytes, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    held = Held()
    server = serve(held)
    with caplog.at_level(logging.DEBUG), connected(server.port) as sock:
        sock.sendall(data)
        if data in (HALF_A_HEAD, HALF):
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


def test_a_grace_without_end_lets_a_request_under_way_finish() -> None:
    held = Held()
    server = serve(held)
    with connected(server.port) as sock:
        sock.sendall(request("GET", "/_mock/held"))
        assert held.entered.wait(PATIENCE)
        letting_go = threading.Timer(0.1, held.let_go.set)
        letting_go.start()
        server.stop(grace=math.inf)
        letting_go.join()
        assert read_answer(sock).status == 200


def test_a_request_under_way_is_finished_when_the_server_stops() -> None:
    held = Held()
    server = serve(held)
    with connected(server.port) as busy, connected(server.port) as idle:
        idle.sendall(request("GET", "/before"))
        assert read_answer(idle).status == 200
        busy.sendall(request("GET", "/_mock/held"))
        assert held.entered.wait(PATIENCE)
        stopping = threading.Thread(target=server.stop, kwargs={"grace": PATIENCE})
        stopping.start()
        assert idle.recv(1) == b""
        assert stopping.is_alive()
        held.let_go.set()
        answer = b"".join(iter(lambda: busy.recv(1024), b""))
        stopping.join()
    assert b"\r\nconnection: close\r\n" in answer
