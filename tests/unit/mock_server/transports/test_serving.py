"""Starting and stopping servers: clear errors, patience with slow clients, nothing lost at the end."""

from __future__ import annotations

import logging
import re
import socket
import threading
from typing import Literal

import pytest

from mock_server import MockTraining, Policy
from mock_server.transports.common import Handler, Limits
from mock_server.transports.serving import Engine, ServeError, serve
from mock_server.transports.stdlib import StdlibServer
from mock_server.wire.message import Request, Response
from rawhttp import connected, everything, read_answer, request, statuses
from unit.mock_server.transports.helpers import Hello, eventually, health


def test_a_world_is_served_and_stops(engine: Engine) -> None:
    with MockTraining.demo().serve(engine=engine) as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert health(server) == 200
    with pytest.raises(ConnectionError), connected(server.port):
        pass
    assert "stopped" in repr(server)
    server.stop()


def test_starting_leaves_no_trace_in_the_world(engine: Engine) -> None:
    seen: list[Request] = []

    class Spy:
        def handle(self, request: Request) -> Response:
            seen.append(request)
            return Response(200)

    with serve(Spy(), engine=engine):
        pass
    assert seen == []


def test_servers_run_side_by_side_each_with_its_own_world(engine: Engine) -> None:
    one, other = MockTraining.demo(), MockTraining.demo()
    with one.serve(engine=engine) as first, other.serve(engine=engine) as second:
        assert first.port != second.port
        assert health(first) == health(second) == 200


def test_a_server_starts_again_on_the_port_it_left(engine: Engine) -> None:
    with serve(Hello(), engine=engine) as server:
        everything(server.port, request("GET", "/", (("connection", "close"),)))
    with serve(Hello(), engine=engine, port=server.port) as again:
        assert health(again) == 200


def test_an_occupied_port_is_named_with_the_remedy(engine: Engine) -> None:
    with serve(Hello()) as server:
        expected = f"Port {server.port} on 127.0.0.1 is in use. Choose another port, or 0 for any free port."
        with pytest.raises(ServeError, match=re.escape(expected)):
            serve(Hello(), port=server.port, engine=engine)
        assert health(server) == 200


@pytest.mark.parametrize("port", [-1, 65536, 10**9])
def test_a_port_that_cannot_be_is_refused(port: int) -> None:
    with pytest.raises(ServeError, match=f"port must be a whole number from 1 to 65535, .*, not {port}"):
        serve(Hello(), port=port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 300, ""])
def test_a_host_that_cannot_be_resolved_is_refused(host: str) -> None:
    with pytest.raises(ServeError, match="cannot be resolved"):
        serve(Hello(), host=host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_another_host_than_loopback_needs_a_secret(host: str) -> None:
    with pytest.raises(
        ServeError, match=r"Set a secret \(--secret-file PATH, .* TRAINING_MOCK_SECRET.*, or serve on"
    ):
        serve(Hello(), host=host)


@pytest.mark.parametrize("secret", ["", " padded", "line\nbreak", "ümlaut"])
def test_a_secret_that_no_header_can_carry_is_refused(secret: str) -> None:
    with pytest.raises(ServeError, match="The secret must be") as caught:
        serve(Hello(), secret=secret)
    assert not secret or secret not in str(caught.value)


def test_with_a_secret_the_control_plane_asks_for_it(engine: Engine) -> None:
    secret = (("x-training-mock-secret", "open sesame"),)
    with (
        MockTraining.demo().serve(engine=engine, secret="open sesame") as server,
        connected(server.port) as sock,
    ):
        for path, headers, status in [
            ("/_mock/health", (), 200),
            ("/_mock/tokens", (), 403),
            ("/_mock/tokens", (("x-training-mock-secret", "open"),), 403),
            ("/_mock/tokens", secret * 2, 403),
            ("/%5fmock/tokens", (), 403),
            ("/_mock/tokens", secret, 200),
        ]:
            sock.sendall(request("GET", path, headers))
            assert read_answer(sock).status == status, (path, headers)
        assert "sesame" not in repr(server)


def test_a_strange_host_or_origin_is_refused_on_the_socket(engine: Engine) -> None:
    with serve(Hello(), engine=engine) as server, connected(server.port) as sock:
        for data in (
            request("GET", "/_mock/tokens", host="rebound.example"),
            request("GET", "/_mock/tokens", (("origin", "http://evil.example"),)),
        ):
            sock.sendall(data)
            answer = read_answer(sock)
            assert answer.status == 403
            assert "x-training-mock" in dict(answer.headers)
            assert re.fullmatch("req-[0-9a-f]{24}", dict(answer.headers)["x-request-id"])
            # Shown as a page it would belong to this origin, and the browser ask for its icon in the server's name.
            assert dict(answer.headers)["content-security-policy"] == "default-src 'none'; sandbox"


def test_a_refusal_on_the_socket_goes_by_the_id_that_was_sent(engine: Engine) -> None:
    with serve(Hello(), engine=engine) as server, connected(server.port) as sock:
        sock.sendall(request("GET", "/", (("x-request-id", "mine-1"),), host="rebound.example"))
        answer = read_answer(sock)
    assert (answer.status, dict(answer.headers)["x-request-id"]) == (403, "mine-1")


@pytest.mark.parametrize("plays", ["live", "treacherous"])
def test_a_server_that_plays_another_names_itself_in_no_answer(plays: Literal["live", "treacherous"]) -> None:
    asked = [
        (request("GET", "/accounts/user/v1/user:WhoAmI"), 401),
        (request("GET", "/", host="rebound.example"), 403),
        (request("GET", "/", (("origin", "http://evil.example"),)), 403),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HT", 408),
    ]
    mock = MockTraining.demo(policy=Policy(plays=plays))
    with mock.serve(limits=Limits(head=0.2, idle=0.2)) as server:
        for data, status in asked:
            received = everything(server.port, data)
            assert statuses(received) == [status]
            assert b'"details":[]' in received
            assert re.search(rb"(?i)mock|\nserver:|--allow", received) is None


def test_the_reference_server_names_itself_in_every_answer(engine: Engine) -> None:
    close = (("connection", "close"),)
    with MockTraining.demo().serve(engine=engine) as server:
        for data in (request("GET", "/", close), request("GET", "/", close, host="evil.example")):
            received = everything(server.port, data)
            assert b"\r\nserver: training-mock\r\n" in received
            assert b"\r\nx-training-mock: " in received


def test_an_unknown_engine_is_refused() -> None:
    chosen: Engine = "stdlib"
    with pytest.raises(ServeError, match="engine must be 'auto', 'stdlib' or 'uvicorn', not 'gunicorn'"):
        serve(Hello(), engine=chosen.replace("stdlib", "gunicorn"))  # type: ignore[arg-type] # that is the point


def test_auto_is_the_built_in_server_and_uvicorn_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(Hello(), engine="auto") as server:
        assert isinstance(server._engine, StdlibServer)
    monkeypatch.setattr("mock_server.transports.serving.find_spec", lambda name: None)
    with pytest.raises(ServeError, match=r"In a checkout of the SDK, run pip install '\.\[server\]'"):
        serve(Hello(), engine="uvicorn")


def test_uvicorn_takes_no_limits_since_it_has_its_own() -> None:
    with pytest.raises(ServeError, match="limits must be None for the engine uvicorn"):
        serve(Hello(), engine="uvicorn", limits=Limits(head=1))


def test_a_fault_of_the_handler_is_logged_and_answered_500(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty:
        def handle(self, request: Request) -> Response:
            raise RuntimeError("broken inside")

    headers = (("authorization", "Bearer mine"), ("x-request-id", "mine-7"))
    with caplog.at_level(logging.ERROR), serve(Faulty()) as server, connected(server.port) as sock:
        for _ in range(2):
            sock.sendall(request("GET", "/secret?query", headers))
            answer = read_answer(sock)
            assert (answer.status, dict(answer.headers)["x-request-id"]) == (500, "mine-7")
    assert "broken inside" in caplog.text
    assert "mine" not in caplog.text
    assert "query" not in caplog.text


def test_serving_keeps_no_thread_and_no_socket_behind(engine: Engine) -> None:
    before = threading.active_count()
    for _ in range(5):
        handler: Handler = Hello()
        with serve(handler, engine=engine) as server:
            assert health(server) == 200
    eventually(lambda: threading.active_count() <= before)


def test_ipv6_loopback_has_its_brackets() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with serve(Hello(), host="::1") as server:
        assert server.url == f"http://[::1]:{server.port}"
