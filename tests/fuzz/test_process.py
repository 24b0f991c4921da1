"""``training-mock serve`` as a process under the same fire: it lives, complains of nothing and keeps nothing."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings

from e2e.test_training_mock_process import Running, running
from fuzz.harness import settled
from fuzz.mutations import Delivery, deliveries
from fuzz.seeds import KNOWN
from fuzz.test_wire import LONG
from rawhttp import connected, read_answer, request

pytestmark = pytest.mark.heavy


def _kept(server: Running) -> tuple[int, int]:
    """Its threads and its open files."""
    here = Path("/proc", str(server.process.pid))
    if not here.exists():  # not every system tells
        return 0, 0
    return len(list((here / "task").iterdir())), len(list((here / "fd").iterdir()))


def _fire(server: Running, delivery: Delivery) -> None:
    """Send it, and hang up once the answers are there or nobody cares."""
    with connected(server.port) as sock, contextlib.suppress(ConnectionError):
        for piece in delivery.pieces():
            sock.sendall(piece)
        if delivery.end != "leave":
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass


def _control(server: Running, method: str, path: str, document: object = None) -> None:
    body = b"" if document is None else json.dumps(document).encode()
    headers = (("content-type", "application/json"),) if body else ()
    with connected(server.port) as sock:
        sock.sendall(request(method, f"/_mock/{path}", headers, body))
        assert read_answer(sock).status == 200


def test_a_process_lives_on_and_keeps_nothing() -> None:
    with running() as server:
        _control(server, "POST", "marks", {"name": "start"})
        start = _kept(server)

        @settings(LONG, max_examples=250)
        @given(delivery=deliveries(KNOWN))
        def volley(delivery: Delivery) -> None:
            _fire(server, delivery)
            _control(server, "DELETE", "faults")
            _control(server, "POST", "marks/start")
            assert server.process.poll() is None

        volley()
        assert settled(lambda: _kept(server) <= start), (start, _kept(server))
        assert server.get("/_mock/health").status == 200
        code, _, complaints = server.end(signal.SIGTERM)
    assert (code, complaints) == (0, "")
