"""Malformed and hostile HTTP on the built-in server: each request is refused or ends the connection."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator

import pytest
from attrs import define, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mock_server.transports.http1 import MAX_CHUNKS, MAX_HEAD
from mock_server.transports.serving import Server, serve
from mock_server.wire.message import MAX_BODY, MAX_DRAIN, Request, Response
from rawhttp import connected, everything, read_answer, request, statuses


@define
class Recorder:
    """A handler that remembers what reached it, and answers with the length of the body."""

    seen: list[Request] = field(factory=list)

    def handle(self, request: Request) -> Response:
        self.seen.append(request)
        status = 413 if request.too_large else 200
        return Response(status, (("content-type", "text/plain"),), b"%d" % len(request.body))


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Server, Recorder]]:
    recorder = Recorder()
    with serve(recorder) as server:
        yield server, recorder


@pytest.fixture
def server(served: tuple[Server, Recorder]) -> Iterator[Server]:
    """The server, which must still answer when the test is over."""
    running, recorder = served
    recorder.seen.clear()
    yield running
    with connected(running.port) as sock:
        sock.sendall(request("GET", "/alive"))
        assert read_answer(sock).status == 200


@pytest.fixture
def seen(served: tuple[Server, Recorder]) -> list[Request]:
    return served[1].seen


HOST = b"host: localhost\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST

TOO_MUCH = MAX_HEAD + 100

MALFORMED = {
    "no version": b"GET /\r\n" + HOST + b"\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "byte beyond ASCII in the target": b"GET /\xfc HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in the target": b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in the method": b"G\x00T / HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\n" + HOST + b"a: b\x00c\r\n\r\n",
    "NUL in a header name": b"GET / HTTP/1.1\r\n" + HOST + b"a\x00: b\r\n\r\n",
    "header without a colon": b"GET / HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\n" + HOST + b"a : b\r\n\r\n",
    "empty header name": b"GET / HTTP/1.1\r\n" + HOST + b": b\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0 in the manner of 1.1": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "folded header": b"GET / HTTP/1.1\r\n" + HOST + b"a: b\r\n c\r\n\r\n",
    "bare LF everywhere": b"GET / HTTP/1.1\nhost: localhost\n\n",
    "bare LF in a header": b"GET / HTTP/1.1\r\n" + HOST + b"a: b\nc: d\r\n\r\n",
    "bare CR in a header": b"GET / HTTP/1.1\r\n" + HOST + b"a: b\rc: d\r\n\r\n",
    "control character in a header": b"GET / HTTP/1.1\r\n" + HOST + b"a: b\x01c\r\n\r\n",
    "another expectation": b"GET / HTTP/1.1\r\n" + HOST + b"expect: tea\r\n\r\n",
    "two empty lines first": b"\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "absolute target of another host": b"GET http://127.0.0.1/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute target of another port": b"GET http://localhost:81/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute target with a user": b"GET http://evil@localhost/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute target with https": b"GET https://localhost/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute target without a host": b"GET http:///feed HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute target and two Hosts": b"GET http://localhost/ HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "absolute target without Host": b"GET http://localhost/ HTTP/1.1\r\n\r\n",
    "absolute target to connect to": b"CONNECT http://localhost/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk target": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority target": b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "negative length": POST + b"content-length: -1\r\n\r\n",
    "length in words": POST + b"content-length: ten\r\n\r\n",
    "length with a plus": POST + b"content-length: +5\r\n\r\nhello",
    "two lengths": POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    "two equal lengths": POST + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    "two equal lengths in one": POST + b"content-length: 5, 5\r\n\r\nhello",
    "two lengths in one": POST + b"content-length: 5, 6\r\n\r\nhello!",
    "length and chunks": POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\n"
    + HOST
    + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "unknown coding": POST + b"transfer-encoding: gzip\r\n\r\nhello",
    "chunked twice": POST + b"transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two headers": POST + b"transfer-encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "chunk size in words": POST + b"transfer-encoding: chunked\r\n\r\nfive\r\nhello\r\n0\r\n\r\n",
    "negative chunk": POST + b"transfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
    "chunk longer than it says": POST + b"transfer-encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
    "chunk line with a bare LF": POST + b"transfer-encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    "chunk line without end": POST + b"transfer-encoding: chunked\r\n\r\n5;" + b"a" * 300,
    "too many chunks": POST
    + b"transfer-encoding: chunked\r\n\r\n"
    + b"1\r\na\r\n" * (MAX_CHUNKS + 1)
    + b"0\r\n\r\n",
    "trailer with a bare LF": POST + b"transfer-encoding: chunked\r\n\r\n0\r\na: b\n\r\n",
    "huge trailers": POST + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * (TOO_MUCH // 6),
    "huge request line": b"GET /" + b"a" * TOO_MUCH + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "huge header": b"GET / HTTP/1.1\r\n" + HOST + b"a: " + b"b" * TOO_MUCH + b"\r\n\r\n",
    "endless headers": b"GET / HTTP/1.1\r\n" + HOST + b"a: b\r\n" * (TOO_MUCH // 6) + b"\r\n",
}


OTHER_STATUSES = {
    "HTTP/2": 505,
    "HTTP/2.0 in the manner of 1.1": 505,
    "another expectation": 417,
    "huge trailers": 431,
    "huge request line": 431,
    "huge header": 431,
    "endless headers": 431,
}


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"http://localhost/feed/users?limit=2", "/feed/users", "limit=2"),
        (b"HTTP://LocalHost/feed/users", "/feed/users", ""),
        (b"http://localhost", "/", ""),
        (b"http://localhost?limit=2", "/", "limit=2"),
        (b"http://localhost/http://localhost/x", "/http://localhost/x", ""),
    ],
)
def test_the_absolute_form(server: Server, seen: list[Request], target: bytes, path: str, query: str) -> None:
    """As RFC 9112, 3.2.2 demands of a server, and as clients with a proxy send it."""
    head = b"GET " + target + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    assert statuses(everything(server.port, head)) == [200]
    assert [(each.path, each.query) for each in seen] == [(path, query)]


def test_an_absolute_form_is_checked_as_a_host_is(server: Server, seen: list[Request]) -> None:
    evil = b"GET http://evil.example/ HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n"
    received = everything(server.port, evil)
    assert statuses(received) == [403]
    assert b"HOST_NOT_ALLOWED" in received
    assert seen == []


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_never_handled(server: Server, seen: list[Request], name: str) -> None:
    received = everything(server.port, MALFORMED[name], half_close=True)
    assert statuses(received) == [OTHER_STATUSES.get(name, 400)]
    assert b"x-training-mock: " in received
    assert b'"reason":"INVALID_ARGUMENT"' in received
    assert re.search(rb"\r\nx-request-id: req-[0-9a-f]{24}\r\n", received)
    assert seen == []


@pytest.mark.parametrize("half_close", [False, True])
@pytest.mark.parametrize("length", [MAX_DRAIN + 1, 999_999_999, 999_999_999_999])
@pytest.mark.parametrize("expected", [b"", b"expect: 100-continue\r\n"])
def test_a_length_that_is_too_large_is_refused_unread(
    server: Server, seen: list[Request], expected: bytes, length: int, half_close: bool
) -> None:
    head = POST + expected + b"content-length: %d\r\n\r\n" % length
    received = everything(server.port, request("GET", "/good") + head, half_close=half_close)
    assert statuses(received) == [200, 413]
    assert b'"reason":"BODY_TOO_LARGE"' in received
    assert [each.path for each in seen] == ["/good"]


def test_a_head_at_the_limit_is_read(server: Server, seen: list[Request]) -> None:
    head = b"GET / HTTP/1.1\r\n" + HOST + b"a: %s\r\nconnection: close\r\n\r\n"
    for spare, status in ((0, 200), (-1, 431)):
        value = b"b" * (MAX_HEAD - len(head) + 2 - spare)
        assert statuses(everything(server.port, head % value)) == [status]
    assert len(seen) == 1


def test_one_empty_line_before_a_request_is_no_fault(server: Server, seen: list[Request]) -> None:
    last = request("GET", "/last", (("connection", "close"),))
    assert statuses(everything(server.port, b"\r\n" + request("GET", "/") + b"\r\n" + last)) == [200, 200]
    assert [each.path for each in seen] == ["/", "/last"]


def test_what_follows_two_lengths_is_never_read(server: Server, seen: list[Request]) -> None:
    body = b"0\r\n\r\n" + request("GET", "/inner")
    lengths = [b"content-length: %d\r\n" % len(body), b"transfer-encoding: chunked\r\n"]
    for ordered in (lengths, lengths[::-1]):
        received = everything(server.port, POST + b"".join(ordered) + b"\r\n" + body)
        assert statuses(received) == [400]
    assert seen == []


CUT_SHORT = {
    "in the request line": b"GET / HT",
    "in the headers": b"GET / HTTP/1.1\r\n" + HOST,
    "in the body": POST + b"content-length: 100\r\n\r\nhello",
    "in a chunk": POST + b"transfer-encoding: chunked\r\n\r\n5\r\nhe",
    "before the last chunk": POST + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
}


@pytest.mark.parametrize("data", CUT_SHORT.values(), ids=CUT_SHORT.keys())
def test_a_request_cut_short_is_never_handled(server: Server, seen: list[Request], data: bytes) -> None:
    assert 200 not in statuses(everything(server.port, data, half_close=True))
    assert seen == []


def test_nothing_at_all(server: Server, seen: list[Request]) -> None:
    assert everything(server.port, b"", half_close=True) == b""
    assert seen == []


@pytest.mark.parametrize("pieces", [[b"hello"], [b"h", b"ello"], [b"x" * 70_000]])
def test_a_chunked_body_arrives_whole(server: Server, seen: list[Request], pieces: list[bytes]) -> None:
    chunks = b"".join(b"%x;note=1\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    data = POST + b"Transfer-Encoding: Chunked\r\n\r\n" + chunks + b"0\r\ntrailer: 1\r\n\r\n"
    with connected(server.port) as sock:
        sock.sendall(data)
        assert read_answer(sock).status == 200
    assert [each.body for each in seen] == [b"".join(pieces)]


def test_pipelined_requests_are_answered_in_order(server: Server, seen: list[Request]) -> None:
    posts = b"".join(request("POST", f"/{n}", body=b"x" * n) for n in (1, 2, 3))
    received = everything(server.port, posts + request("GET", "/last", (("connection", "close"),)))
    assert statuses(received) == [200, 200, 200, 200]
    assert [each.path for each in seen] == ["/1", "/2", "/3", "/last"]


def test_a_bad_request_behind_a_good_one_spoils_nothing(server: Server, seen: list[Request]) -> None:
    received = everything(server.port, request("GET", "/good") + b"nonsense\r\n\r\n", half_close=True)
    assert statuses(received) == [200, 400]
    assert [each.path for each in seen] == ["/good"]


def test_a_body_is_no_second_request(server: Server, seen: list[Request]) -> None:
    inner = request("GET", "/inner")
    with connected(server.port) as sock:
        sock.sendall(request("POST", "/outer", body=inner))
        assert read_answer(sock).status == 200
    assert [(each.path, each.body) for each in seen] == [("/outer", inner)]


def test_expect_100_continue_is_honoured(server: Server, seen: list[Request]) -> None:
    with connected(server.port) as sock:
        sock.sendall(POST + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"hello")
        assert read_answer(sock).body == b"5"
    assert len(seen) == 1


def test_a_body_at_the_limit_is_read_one_beyond_is_drained(server: Server, seen: list[Request]) -> None:
    with connected(server.port) as sock:
        for size in (MAX_BODY, MAX_BODY + 1, 3):
            sock.sendall(request("POST", "/", body=b"x" * size))
            assert read_answer(sock).status == (413 if size > MAX_BODY else 200)
    assert [(len(each.body), each.too_large) for each in seen] == [(MAX_BODY, False), (0, True), (3, False)]


def test_a_body_beyond_what_is_drained_ends_the_connection(server: Server) -> None:
    head = POST + b"content-length: %d\r\n\r\n" % (10 * MAX_DRAIN)
    with connected(server.port) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(head)
        for _ in range(2 * MAX_DRAIN // MAX_BODY):
            sock.sendall(b"x" * MAX_BODY)
        pytest.fail("the server went on reading")


def test_a_slow_client_holds_up_nobody(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for part in (b"", b"GET / HT", POST + b"content-length: 9\r\n\r\nx"):
            for _ in range(10):
                stack.enter_context(connected(server.port)).sendall(part)
        fast = stack.enter_context(connected(server.port))
        for _ in range(20):
            fast.sendall(request("GET", "/fast"))
            assert read_answer(fast).status == 200


@pytest.mark.parametrize(
    "value", [b" " * 60_000 + b"\x01", b"a" + b" " * 60_000 + b"b"], ids=["bad", "sound"]
)
def test_a_header_of_blanks_holds_up_nobody(server: Server, seen: list[Request], value: bytes) -> None:
    with connected(server.port) as hostile, connected(server.port) as other:
        hostile.sendall(b"GET /blanks HTTP/1.1\r\n" + HOST + b"x:" + value + b"\r\n\r\n")
        other.sendall(request("GET", "/other"))
        assert read_answer(other).status == 200
        assert read_answer(hostile).status == (400 if b"\x01" in value else 200)


def test_trailers_of_blanks_hold_up_nobody(server: Server, seen: list[Request]) -> None:
    trailers = b"x:" + b" " * 60_000 + b"\x00\r\n\r\n"
    with connected(server.port) as hostile, connected(server.port) as other:
        hostile.sendall(POST + b"transfer-encoding: chunked\r\n\r\n0\r\n" + trailers)
        other.sendall(request("GET", "/other"))
        assert read_answer(other).status == 200
        assert read_answer(hostile).status == 200
    assert len(seen) == 2


def test_many_clients_at_once_each_get_their_own_answer(server: Server, seen: list[Request]) -> None:
    wrong: list[object] = []

    def client(size: int) -> None:
        with connected(server.port) as sock:
            for _ in range(20):
                sock.sendall(request("POST", "/", body=b"x" * size))
                if (answer := read_answer(sock)).body != b"%d" % size:
                    wrong.append(answer)

    threads = [threading.Thread(target=client, args=(size,)) for size in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(seen) == 160


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda line, rest: line + rest,
            st.sampled_from([POST, b"GET / HTTP/1.1\r\n"]),
            st.binary(max_size=80),
        ),
    )
)
def test_no_bytes_whatever_make_a_fault(server: Server, data: bytes) -> None:
    assert not any(
        status >= 500 and status != 505 for status in statuses(everything(server.port, data, half_close=True))
    )
