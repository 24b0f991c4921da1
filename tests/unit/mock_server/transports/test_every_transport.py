"""One suite through every transport: the same answers, byte for byte, to the same requests in the same order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx
import pytest
import requests

from mock_server import MockTraining
from mock_server.transports.common import framed
from mock_server.transports.serving import serve
from mock_server.wire.message import MAX_BODY, Request
from rawhttp import Answer, connected, read_answer
from rawhttp import request as raw_request

Headers = tuple[tuple[str, str], ...]
Send = Callable[[str, str, Headers, bytes], Answer]
Transport = Callable[[MockTraining], Any]

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
RESET = "/training/courseprogress/v1/reset"


def new_world() -> MockTraining:
    return MockTraining.demo(now=NOW)


def _answer(response: httpx.Response) -> Answer:
    return Answer(response.status_code, tuple(response.headers.multi_items()), response.content)


def _built(
    client: httpx.Client | httpx.AsyncClient, method: str, target: str, headers: Headers, body: bytes
) -> httpx.Request:
    # The URL's raw path is set afterwards, since httpx would rewrite what it is given.
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    built = client.build_request(method, "http://localhost/", headers=raw, content=body)
    built.url = built.url.copy_with(raw_path=target.encode())
    return built


@contextmanager
def httpx_sync(mock: MockTraining) -> Iterator[Send]:
    with httpx.Client(transport=mock.transport()) as client:
        yield lambda *parts: _answer(client.send(_built(client, *parts)))


@contextmanager
def httpx_async(mock: MockTraining) -> Iterator[Send]:
    async def send(*parts: Any) -> Answer:
        async with httpx.AsyncClient(transport=mock.transport()) as client:
            return _answer(await client.send(_built(client, *parts)))

    with asyncio.Runner() as runner:
        yield lambda *parts: runner.run(send(*parts))


@contextmanager
def asgi(mock: MockTraining) -> Iterator[Send]:
    app = mock.asgi

    async def send(method: str, target: str, headers: Headers, body: bytes) -> Answer:
        path, _, query = target.partition("?")
        half = len(body) // 2
        incoming = iter(
            [
                {"type": "http.request", "body": body[:half], "more_body": True},
                {"type": "http.request", "body": body[half:]},
            ]
        )
        sent: list[Any] = []

        async def receive() -> Any:
            return next(incoming)

        async def collect(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": "/decoded-and-not-to-be-used",
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        }
        await app(scope, receive, collect)
        start, rest = sent
        decoded = tuple((name.decode(), value.decode("latin-1")) for name, value in start["headers"])
        return Answer(start["status"], decoded, rest["body"])

    with asyncio.Runner() as runner:
        yield lambda *parts: runner.run(send(*parts))


@contextmanager
def _socket(mock: MockTraining, engine: Literal["stdlib", "uvicorn"]) -> Iterator[Send]:
    with ExitStack() as stack:
        server = stack.enter_context(serve(mock, engine=engine))
        sock = stack.enter_context(connected(server.port))

        def send(method: str, target: str, headers: Headers, body: bytes) -> Answer:
            sock.sendall(raw_request(method, target, headers, body))
            return read_answer(sock, method)

        yield send


@contextmanager
def stdlib(mock: MockTraining) -> Iterator[Send]:
    with _socket(mock, "stdlib") as send:
        yield send


@contextmanager
def uvicorn(mock: MockTraining) -> Iterator[Send]:
    with _socket(mock, "uvicorn") as send:
        yield send


@contextmanager
def respx_sync(mock: MockTraining) -> Iterator[Send]:
    with mock.respx(hosts="localhost"), httpx.Client() as client:
        yield lambda *parts: _answer(client.send(_built(client, *parts)))


@contextmanager
def respx_async(mock: MockTraining) -> Iterator[Send]:
    async def send(*parts: Any) -> Answer:
        async with httpx.AsyncClient() as client:
            return _answer(await client.send(_built(client, *parts)))

    with mock.respx(hosts="localhost"), asyncio.Runner() as runner:
        yield lambda *parts: runner.run(send(*parts))


@contextmanager
def responses(mock: MockTraining) -> Iterator[Send]:
    def send(method: str, target: str, headers: Headers, body: bytes) -> Answer:
        raw = {name: value.encode("latin-1") for name, value in headers}
        prepared = requests.Request(method, "http://localhost/", headers=raw, data=body).prepare()
        # Set afterwards, since requests would rewrite what it is given.
        prepared.url = f"http://localhost{target}"
        answer = session.send(prepared)
        return Answer(answer.status_code, tuple(answer.raw.headers.iteritems()), answer.content)

    with mock.responses(hosts="localhost"), requests.Session() as session:
        yield send


TRANSPORTS = [httpx_sync, httpx_async, respx_sync, respx_async, responses, asgi, stdlib, uvicorn]


@pytest.fixture(params=TRANSPORTS, ids=lambda transport: transport.__name__)
def transport(request: pytest.FixtureRequest) -> Transport:
    chosen: Transport = request.param
    return chosen


def conversation(mock: MockTraining) -> Iterator[tuple[str, str, Headers, bytes]]:
    """Requests of every kind, the later ones showing what the earlier ones did."""
    admin = (("user-agent", "tests/1"), ("authorization", f"Bearer {mock.token('admin')}"))
    as_json = (*admin, ("content-type", "application/json"))
    course = mock.world.course("Forklift basics")
    feed = f"/training/v1/feed/training-course-progress?course_id={course.id}"
    recorded = sum(record.is_recorded for record in mock.world.main.progress[course.id].records.values())
    confirmation = json.dumps({"courseTitle": course.title, "users": recorded})
    reset = json.dumps({"courseId": course.id, "allUsers": True}).encode()
    yield "GET", "/accounts/user/v1/user:WhoAmI", (), b""
    yield "GET", "/accounts/user/v1/user:WhoAmI", admin, b""
    yield "get", "/accounts/user/v1/user:WhoAmI", (*admin, ("x-request-id", "mine-1")), b""
    yield "HEAD", "/_mock/health", (), b""
    yield "GET", "/_mock/health", (), b""
    yield "GET", "/_mock/tokens", (), b""
    yield "DELETE", "/_mock/tokens", (), b""
    yield "GET", "/training/courses/v1?pageSize=3&searchTerm=%C3%BC", admin, b""
    yield "GET", "/training/courses/v1?pageSize=3&searchTerm=%FC", admin, b""
    yield "GET", "/training%2Fcourses/v1", admin, b""
    yield "GET", "//training/courses/v1", admin, b""
    yield "GET", "/training/courses/v1/%2E%2E/lessons", admin, b""
    yield "GET", feed, admin, b""
    yield "POST", RESET, as_json, b""
    yield "POST", RESET, as_json, b"{broken"
    yield "POST", RESET, as_json, b" " * (MAX_BODY + 1)
    yield "POST", RESET, as_json, reset
    yield "POST", RESET, (*as_json, ("reset-confirmation", confirmation)), reset
    yield "GET", feed, admin, b""
    yield "POST", "/training/courses/v1", as_json, b"{}"
    yield "PURGE", "/nowhere", admin, b""


def direct(mock: MockTraining, method: str, target: str, headers: Headers, body: bytes) -> Answer:
    """What ``handle()`` itself answers, framed as HTTP wants it."""
    path, _, query = target.partition("?")
    too_large = len(body) > MAX_BODY
    request = Request(method.upper(), path, query, headers, b"" if too_large else body, too_large)
    response = mock.handle(request)
    framed_headers, framed_body = framed(request.method, response)
    return Answer(response.status, framed_headers, framed_body)


def test_every_transport_gives_the_answers_of_handle_byte_for_byte(transport: Transport) -> None:
    reference, behind_the_transport = new_world(), new_world()
    with transport(behind_the_transport) as send:
        for parts in conversation(reference):
            expected = direct(reference, *parts)
            assert send(*parts) == expected, parts[:2]


def test_the_conversation_reaches_successes_and_refusals_alike() -> None:
    """Guards the test above: a conversation of nothing but refusals would prove little."""
    mock = new_world()
    seen = [direct(mock, *parts).status for parts in conversation(mock)]
    assert {200, 400, 401, 404, 405, 413, 428} <= set(seen)
    assert seen.count(200) >= 8


def test_r06_a_reset_without_confirmation_changes_nothing_through_any_transport(transport: Transport) -> None:
    mock = new_world()
    headers = (
        ("user-agent", "tests/1"),
        ("authorization", f"Bearer {mock.token('admin')}"),
        ("content-type", "application/json"),
    )
    course = mock.world.course("Forklift basics").id
    before = mock.world.main.progress[course].records.copy()
    with transport(mock) as send:
        answer = send("POST", RESET, headers, json.dumps({"courseId": course, "allUsers": True}).encode())
    assert answer.status == 428
    assert mock.world.main.progress[course].records == before != {}


def test_an_answer_is_dated_by_the_clock_of_its_world(transport: Transport) -> None:
    mock = new_world()
    with transport(mock) as send:
        for expected in ("Mon, 02 Nov 2026 09:00:00 GMT", "Tue, 02 Nov 2027 09:00:00 GMT"):
            answer = send("GET", "/accounts/user/v1/user:WhoAmI", (), b"")
            assert [value for name, value in answer.headers if name == "date"] == [expected]
            mock.clock.advance(timedelta(days=365))


def test_a_body_of_fifty_megabytes_is_answered_413(transport: Transport) -> None:
    mock = new_world()
    headers = (
        ("user-agent", "tests/1"),
        ("authorization", f"Bearer {mock.token('admin')}"),
        ("content-type", "application/json"),
    )
    with transport(mock) as send:
        assert send("POST", RESET, headers, b"x" * 50_000_000).status == 413
        # The connection is in order afterwards.
        assert send("GET", "/_mock/health", (), b"").status == 200


def test_headers_beyond_ascii_arrive_as_latin_1(transport: Transport) -> None:
    mock = new_world()
    with transport(mock) as send:
        answer = send("GET", "/accounts/user/v1/user:WhoAmI", (("authorization", "Bearer schlüssel"),), b"")
    assert answer.status == 401
