"""Limits of the built-in server: time, number of connections and headers; and how it ends a connection."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import time

import pytest

from mock_server.transports.common import Limits
from mock_server.transports.http1 import MAX_HEADERS
from mock_server.transports.serving import serve
from mock_server.transports.stdlib import StdlibServer
from mock_server.wire.message import Delivery, Request, Response
from rawhttp import PATIENCE, connected, everything, read_answer, request, statuses
from unit.mock_server.transports.helpers import Hello, eventually, health


def test_a_request_that_does_not_arrive_in_time_is_answered_408() -> None:
    with serve(Hello(), limits=Limits(head=0.05, body=0.05)) as server:
        for half in (b"GET / HT", b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nx"):
            with connected(server.port) as sock:
                sock.sendall(half)
                assert read_answer(sock).status == 408
                assert sock.recv(1) == b""


def test_each_request_of_a_connection_has_its_time() -> None:
    limits = Limits(head=1.0, body=1.0)
    post = request("POST", "/slow", body=b"xy")
    end = time.monotonic() + 1.5
    with serve(Hello(), limits=limits) as server, connected(server.port) as sock:
        while time.monotonic() < end:
            for part in (post[:10], post[10:-1], post[-1:]):
                sock.sendall(part)
                time.sleep(0.05)
            assert read_answer(sock).body == b"/slow"


def test_the_time_that_an_answer_takes_is_not_the_clients() -> None:
    class Slow:
        def handle(self, request: Request) -> Response:
            return Response(200, (), b"late", Delivery(delay=1.0))

    limits = Limits(idle=0.5, head=0.5, body=0.5)
    with serve(Slow(), limits=limits) as server, connected(server.port) as sock:
        sock.sendall(request("GET", "/"))
        assert read_answer(sock).body == b"late"


def test_a_body_has_a_time_of_its_own() -> None:
    body = b"x" * 9
    with (
        serve(Hello(), limits=Limits(head=0.05)) as server,
        connected(server.port) as sock,
    ):
        sock.sendall(request("POST", "/late", (("content-length", "9"),)))
        time.sleep(0.2)
        sock.sendall(body)
        assert read_answer(sock).body == b"/late"


def test_a_refused_client_sees_the_end_though_it_keeps_its_own_side_open() -> None:
    limits = Limits(linger=2 * PATIENCE)
    with serve(Hello(), limits=limits) as server, connected(server.port) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        assert statuses(b"".join(iter(lambda: sock.recv(1024), b""))) == [400]


def test_a_dripping_client_does_not_stretch_the_time_it_is_given() -> None:
    with serve(Hello(), limits=Limits(head=0.2)) as server, connected(server.port) as sock:
        sock.settimeout(0.01)
        end = time.monotonic() + PATIENCE
        received = b""
        with contextlib.suppress(ConnectionError):
            while not received:
                assert time.monotonic() < end
                sock.sendall(b"a")
                with contextlib.suppress(TimeoutError):
                    received = sock.recv(100)
        assert statuses(received) in ([408], [])


def test_an_idle_connection_is_closed_without_a_word() -> None:
    with serve(Hello(), limits=Limits(idle=0.05)) as server:
        with connected(server.port) as sock:
            assert sock.recv(1) == b""
        with connected(server.port) as sock:
            sock.sendall(request("GET", "/once"))
            assert read_answer(sock).body == b"/once"
            assert sock.recv(1) == b""


def test_an_answer_arrives_whole_however_long_it_is() -> None:
    class Sized:
        def handle(self, request: Request) -> Response:
            return Response(200, (), random.Random(0).randbytes(int(request.path[1:])))

    with serve(Sized()) as server, connected(server.port) as sock:
        for length in (0, 1, 65_535, 65_536, 65_537, 131_073, 5_000_000, 2):
            sock.sendall(request("GET", f"/{length}"))
            assert read_answer(sock).body == random.Random(0).randbytes(length)


@pytest.mark.parametrize("headers", [(), (("connection", "close"),)])
def test_a_client_that_does_not_read_is_given_up(headers: tuple[tuple[str, str], ...]) -> None:
    class Much:
        def handle(self, request: Request) -> Response:
            return Response(200, (), b"x" * (50_000_000 if request.path == "/much" else 1))

    limits = Limits(answer=0.05, connections=1)
    with serve(Much(), limits=limits) as server, connected(server.port) as sock:
        sock.sendall(request("GET", "/much", headers))
        # Its place is free again once the server has given it up.
        eventually(lambda: health(server) == 200)


def test_one_connection_too_many_is_answered_503_and_the_others_live_on() -> None:
    with (
        serve(Hello(), limits=Limits(connections=2)) as server,
        connected(server.port) as first,
        connected(server.port) as second,
    ):
        for sock in (first, second):
            sock.sendall(request("GET", "/in"))
            assert read_answer(sock).status == 200
        assert statuses(everything(server.port, b"")) == [503]
        first.sendall(request("GET", "/still"))
        assert read_answer(first).body == b"/still"


def test_one_connection_too_many_reads_why_however_much_it_sends() -> None:
    large = request("POST", "/large", body=b"x" * 300_000)
    with (
        serve(Hello(), limits=Limits(connections=1)) as server,
        connected(server.port) as first,
    ):
        first.sendall(request("GET", "/in"))
        assert read_answer(first).status == 200
        for _ in range(20):
            with connected(server.port) as sock:
                sock.sendall(large)
                assert read_answer(sock).status == 503


@pytest.mark.parametrize("refused", ["one too many", "malformed"])
def test_refused_clients_that_left_are_not_logged(refused: str, caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits(connections=1 if refused == "one too many" else 512)
    with (
        caplog.at_level(logging.INFO),
        serve(Hello(), limits=limits) as server,
        connected(server.port) as first,
    ):
        first.sendall(request("GET", "/in"))
        assert read_answer(first).status == 200
        for _ in range(50):
            with connected(server.port) as sock, contextlib.suppress(ConnectionError):
                if refused == "malformed":
                    sock.sendall(b"nonsense\r\n\r\n")
                # Closed with most of the answer unread, the socket resets the connection.
                assert sock.recv(9) == b"HTTP/1.1 "
        first.sendall(request("GET", "/still"))
        assert read_answer(first).body == b"/still"
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_those_turned_away_do_not_keep_a_server_from_stopping() -> None:
    server = serve(Hello(), limits=Limits(connections=0, linger=2 * PATIENCE))
    with connected(server.port) as sock:
        assert read_answer(sock).status == 503
        server.stop(grace=2 * PATIENCE)
        assert sock.recv(1) == b""


def test_an_answer_in_pieces_waits_for_no_acknowledgement() -> None:
    with serve(Hello()) as server, connected(server.port) as sock:
        sock.sendall(request("GET", "/"))
        assert read_answer(sock).status == 200
        assert isinstance(server._engine, StdlibServer)
        (accepted,) = server._engine._connections
        assert accepted._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_request_has_at_most_so_many_headers_and_trailers() -> None:
    few, many = MAX_HEADERS - 1, MAX_HEADERS
    chunks = (("transfer-encoding", "chunked"),)
    with serve(Hello()) as server:
        for number, status in ((few, 200), (many, 431)):
            with connected(server.port) as sock:
                # The helper adds a Host header, which is one of them.
                sock.sendall(request("GET", "/", tuple((f"h{each}", "") for each in range(number))))
                assert read_answer(sock).status == status
        for number, status in ((MAX_HEADERS, 200), (MAX_HEADERS + 2, 431)):
            trailers = b"".join(b"t%d: \r\n" % each for each in range(number))
            with connected(server.port) as sock:
                sock.sendall(request("POST", "/", chunks) + b"0\r\n" + trailers + b"\r\n")
                assert read_answer(sock).status == status
