"""While a server is busy with something long, nobody else waits for it who need not."""

from __future__ import annotations

import socket
import threading

from attrs import define, field

from mock_server import MockTraining
from mock_server.transports.serving import Engine, serve
from mock_server.wire.message import Request, Response
from rawhttp import PATIENCE, connected, read_answer, request, statuses


@define
class Locked:
    """A handler as the world is: the control plane holds its lock for long, all others want it, health does not."""

    lock: threading.Lock = field(factory=threading.Lock)
    entered: threading.Event = field(factory=threading.Event)
    let_go: threading.Event = field(factory=threading.Event)
    order: list[str] = field(factory=list)

    def handle(self, request: Request) -> Response:
        if request.path != "/_mock/health":
            with self.lock:
                if request.path == "/_mock/long":
                    self.entered.set()
                    assert self.let_go.wait(PATIENCE)
        self.order.append(request.path)
        return Response(200, (), request.path.encode())


def test_the_control_plane_at_work_holds_up_nobody_but_those_who_need_the_same(engine: Engine) -> None:
    locked = Locked()
    with (
        serve(locked, engine=engine) as server,
        connected(server.port) as control,
        connected(server.port) as vendor,
        connected(server.port) as alive,
    ):
        control.sendall(request("POST", "/_mock/long"))
        assert locked.entered.wait(PATIENCE)
        vendor.sendall(request("GET", "/vendor"))
        for _ in range(3):
            alive.sendall(request("GET", "/_mock/health"))
            assert read_answer(alive).status == 200
        locked.let_go.set()
        assert read_answer(control).body == b"/_mock/long"
        assert read_answer(vendor).body == b"/vendor"
    assert locked.order[:3] == ["/_mock/health"] * 3


def test_a_client_that_has_said_all_is_answered_however_long_it_takes() -> None:
    locked = Locked()
    with serve(locked) as server, connected(server.port) as sock:
        sock.sendall(request("POST", "/_mock/long") + request("GET", "/next"))
        sock.shutdown(socket.SHUT_WR)
        assert locked.entered.wait(PATIENCE)
        with connected(server.port) as other:  # answered once the end of the first has been seen
            other.sendall(request("GET", "/_mock/health"))
            assert read_answer(other).status == 200
        locked.let_go.set()
        received = b"".join(iter(lambda: sock.recv(65536), b""))
    assert statuses(received) == [200, 200]
    assert received.endswith(b"/next")


def test_whether_a_server_is_alive_is_answered_without_the_worlds_lock(engine: Engine) -> None:
    mock = MockTraining.demo()
    with (
        mock.serve(engine=engine) as server,
        mock.world.lock,
        connected(server.port) as sock,
    ):
        sock.sendall(request("GET", "/_mock/health"))
        assert read_answer(sock).status == 200


def test_a_fault_of_the_control_plane_is_answered_and_the_loop_goes_on() -> None:
    class Faulty:
        def handle(self, request: Request) -> Response:
            if request.path == "/_mock/faulty":
                raise RuntimeError("broken inside")
            return Response(200)

    with serve(Faulty(), engine="uvicorn") as server:
        for path, status in (("/_mock/faulty", 500), ("/after", 200)):
            with connected(server.port) as sock:
                sock.sendall(request("GET", path))
                assert read_answer(sock).status == status
