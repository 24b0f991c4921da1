"""The ASGI application beside plain requests, which the suite of every transport covers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import count
from typing import Any

import httpx
import pytest
from attrs import define, field

from mock_server.transports.asgi import MockASGI
from mock_server.wire.message import MAX_BODY, MAX_DRAIN, Request, Response

Message = dict[str, Any]


@define
class Recorder:
    seen: list[Request] = field(factory=list)

    def handle(self, request: Request) -> Response:
        self.seen.append(request)
        return Response(200, (), b"hello")


HTTP: Message = {
    "type": "http",
    "method": "POST",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "headers": [],
}


def run(app: MockASGI, scope: Message, incoming: Iterable[Message]) -> list[Message]:
    """Everything the application sends."""
    waiting, sent = iter(incoming), list[Message]()

    async def receive() -> Message:
        return next(waiting)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def test_lifespan_is_acknowledged() -> None:
    sent = run(
        MockASGI(Recorder()),
        {"type": "lifespan"},
        [{"type": f"lifespan.{x}"} for x in ("startup", "shutdown")],
    )
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_websockets_are_refused() -> None:
    sent = run(MockASGI(Recorder()), {"type": "websocket"}, [{"type": "websocket.connect"}])
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_an_unknown_scope_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="'carrier pigeon'"):
        run(MockASGI(Recorder()), {"type": "carrier pigeon"}, [])


def test_a_client_that_leaves_half_way_is_not_handled() -> None:
    recorder = Recorder()
    begun: list[Message] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert run(MockASGI(recorder), HTTP, begun) == []
    assert recorder.seen == []


def test_a_body_without_end_is_given_up_and_the_connection_closed() -> None:
    recorder = Recorder()
    read = count()
    endless = ({"type": "http.request", "body": b"x" * MAX_BODY, "more_body": True} for _ in read)
    start, _ = run(MockASGI(recorder), HTTP, endless)
    assert (b"connection", b"close") in start["headers"]
    assert recorder.seen[0].too_large
    assert next(read) == MAX_DRAIN // MAX_BODY + 1


@pytest.mark.parametrize(
    ("path", "expected"), [("/a b/ü", "/a%20b/%C3%BC"), ("/user:WhoAmI", "/user:WhoAmI")]
)
def test_a_path_is_encoded_anew_where_the_server_withholds_the_raw_one(path: str, expected: str) -> None:
    recorder = Recorder()
    scope = {key: value for key, value in HTTP.items() if key != "raw_path"} | {"path": path}
    run(MockASGI(recorder), scope, [{"type": "http.request"}])
    assert recorder.seen[0].path == expected


def test_it_serves_httpx_through_its_own_asgi_transport() -> None:
    recorder = Recorder()

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(MockASGI(recorder))
        async with httpx.AsyncClient(transport=transport, base_url="http://mock") as client:
            return await client.get("/a%2Fb?c=d")

    assert asyncio.run(ask()).text == "hello"
    assert (recorder.seen[0].path, recorder.seen[0].query) == ("/a%2Fb", "c=d")
