"""The transport: streamed bodies are read within bounds, and the vendor's own host is answered for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import repeat

import httpx
import pytest
from attrs import define, field

from mock_server import MockTraining
from mock_server.transports.httpx import MockTransport
from mock_server.wire.message import MAX_BODY, MAX_DRAIN, Request, Response


@define
class Recorder:
    seen: list[Request] = field(factory=list)

    def handle(self, request: Request) -> Response:
        self.seen.append(request)
        return Response(200, (("x-repeated", "1"), ("x-repeated", "2")), b"hello")


def pieces() -> Iterator[bytes]:
    yield b"one "
    yield b"two"


async def asynchronous(source: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in source:
        yield piece


def send(recorder: Recorder, source: Iterator[bytes], *, by_async: bool) -> httpx.Response:
    if not by_async:
        with httpx.Client(transport=MockTransport(recorder)) as client:
            return client.post("https://api.safetyculture.io/a%2Fb?c=%20d", content=source)

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=MockTransport(recorder)) as client:
            return await client.post(
                "https://api.safetyculture.io/a%2Fb?c=%20d", content=asynchronous(source)
            )

    return asyncio.run(run())


@pytest.mark.parametrize("by_async", [False, True])
def test_a_streamed_body_and_a_raw_path_arrive_as_sent(by_async: bool) -> None:
    recorder = Recorder()
    response = send(recorder, pieces(), by_async=by_async)
    (seen,) = recorder.seen
    assert (seen.method, seen.path, seen.query, seen.body) == ("POST", "/a%2Fb", "c=%20d", b"one two")
    assert seen.header("host") == "api.safetyculture.io"
    assert response.headers.get_list("x-repeated") == ["1", "2"]
    assert (response.text, response.headers["content-length"]) == ("hello", "5")


@pytest.mark.parametrize("by_async", [False, True])
def test_a_body_without_end_is_given_up(by_async: bool) -> None:
    recorder = Recorder()
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        for piece in repeat(b"x" * MAX_BODY):
            read += len(piece)
            yield piece

    send(recorder, endless(), by_async=by_async)
    assert recorder.seen[0].too_large
    assert recorder.seen[0].body == b""
    assert MAX_DRAIN < read <= MAX_DRAIN + MAX_BODY


def test_a_client_of_httpx2_gets_a_clear_error() -> None:
    httpx2 = pytest.importorskip("httpx2")
    with (
        httpx2.Client(transport=MockTransport(Recorder())) as http,
        pytest.raises(TypeError, match=r"not of httpx2\. Use mock\.serve"),
    ):
        http.get("http://x/")


def test_a_body_of_the_other_kind_is_a_clear_error() -> None:
    transport = MockTransport(Recorder())
    with pytest.raises(TypeError, match=r"Use httpx\.AsyncClient"):
        transport.handle_request(httpx.Request("POST", "http://x/", content=asynchronous(pieces())))
    with pytest.raises(TypeError, match=r"Use httpx\.Client"):
        asyncio.run(transport.handle_async_request(httpx.Request("POST", "http://x/", content=pieces())))


def test_clients_of_one_world_share_it_and_survive_one_anothers_end() -> None:
    mock = MockTraining.demo()
    for _ in range(2):
        with httpx.Client(transport=mock.transport(), base_url="https://api.safetyculture.io") as client:
            assert client.get("/_mock/health").json()["status"] == "ok"
