"""Connections: one client for each event loop, after a fork, and to a server that has never answered."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import socketserver
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from mock_server import MockTraining
from training_sdk import (
    APIConnectionError,
    AsyncTrainingClient,
    InvalidArgumentError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    People,
    TrainingClient,
)
from training_sdk._core.connections import LoopClients
from training_sdk._core.flow import NoAnswerError, NotDeliveredError, Request, Response, Sleep, TransportError
from training_sdk._core.send_policy import call
from unit.sdk.fakes import FakeDriver

COURSE = "6908610029087ab67fa50c2e"
SIOBHAN = "siobhan.doyle@nordwerk.example"
TRIO, ASYNCIO = "trio", "asyncio"
Make = Callable[..., AsyncTrainingClient]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a test leaves open is found within it, and not within another one."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def mock() -> MockTraining:
    return MockTraining.demo()


@pytest.fixture(scope="module")
def url(mock: MockTraining) -> Iterator[str]:
    with mock.serve() as server:
        yield server.url


@pytest.fixture
def make(mock: MockTraining, url: str, tmp_path: Path) -> Make:
    def made(http: Any = None) -> AsyncTrainingClient:
        return AsyncTrainingClient(
            mock.token("admin"),
            base_url=url,
            http_client=http,
            max_retry_seconds=0,
            state_dir=tmp_path / "state",
        )

    return made


async def read(client: AsyncTrainingClient) -> str:
    """Read twice, so that a connection is used again."""
    await client.users.me()
    return (await client.users.me()).user_id


@pytest.mark.parametrize("backends", [[ASYNCIO] * 4, [TRIO] * 2, [ASYNCIO, TRIO, ASYNCIO, TRIO]])
def test_a_client_works_on_successive_loops_and_closes_all(make: Make, backends: list[str]) -> None:
    client, sibling = make(), make().with_options(timeout=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for backend in backends:
            assert anyio.run(read, client, backend=backend) == anyio.run(read, sibling, backend=backend)
            gc.collect()
        anyio.run(client.aclose, backend=backends[0])
    with pytest.raises(InvalidArgumentError, match="closed"):
        asyncio.run(read(client))


def test_a_plan_of_one_run_is_applied_in_the_next(make: Make) -> None:
    client = make()
    plan = asyncio.run(client.resets.plan([COURSE], People.of([SIOBHAN])))
    report = asyncio.run(client.resets.apply(plan, confirm=plan.phrase, reason="Yearly"))
    assert report.counts[Outcome.RESET] == 1


def test_threads_with_loops_of_their_own_share_a_client_that_one_of_them_closes(make: Make) -> None:
    client = make()

    async def together() -> set[str]:
        return set(await asyncio.gather(*(read(client) for _ in range(4))))

    async def closing() -> set[str]:
        async with client:
            return await together()

    with ThreadPoolExecutor() as pool:
        found = [*pool.map(lambda _: asyncio.run(together()), range(6))]
        found.append(pool.submit(lambda: asyncio.run(closing())).result())
    assert len(set.union(*found)) == 1
    with pytest.raises(InvalidArgumentError, match="closed"):
        asyncio.run(together())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_loop_that_was_closed_without_ending_its_generators_does_not_hold_up_the_next(make: Make) -> None:
    client = make()
    for _ in range(3):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(read(client))
        loop.close()
    asyncio.run(client.aclose())
    gc.collect()


def test_without_a_loop_the_error_says_how_to_run_it(make: Make) -> None:
    with pytest.raises(InvalidArgumentError, match=r"asyncio\.run"):
        make().users.me().send(None)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("second", [ASYNCIO, TRIO])
def test_another_loop_refuses_the_client(make: Make, mock: MockTraining, library: Any, second: str) -> None:
    http = library.AsyncClient()
    clients = [make(http), make(http), make(http).with_options(token=mock.token("manager"))]
    asyncio.run(read(clients[0]))
    before = len(mock.calls)
    for client in clients:
        with pytest.raises(InvalidArgumentError, match="Nothing was sent") as raised:
            anyio.run(read, client, backend=second)
        assert raised.value.reason == "OTHER_LOOP"
    assert len(mock.calls) == before


def test_an_outside_client_without_connections_works_on_every_loop(make: Make, mock: MockTraining) -> None:
    closing = httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0))
    for http in (closing, httpx.AsyncClient(transport=mock.transport())):
        client = make(http)
        for backend in (ASYNCIO, ASYNCIO, TRIO):
            assert anyio.run(read, client, backend=backend)


class Wrapped(httpx.AsyncBaseTransport):
    """A transport of the user's own, whose connections nobody sees."""

    def __init__(self) -> None:
        self.inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.inner.handle_async_request(request)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("is_write", [False, True])
def test_connections_of_a_custom_transport_end_in_our_error(make: Make, is_write: bool) -> None:
    client = make(httpx.AsyncClient(transport=Wrapped()))

    async def use() -> Any:
        return await (client.request("POST", "/training/rapidrefresh/v1") if is_write else client.users.me())

    asyncio.run(read(client))
    with pytest.raises(
        OutcomeUnknownError if is_write else InvalidArgumentError, match="another event loop"
    ) as raised:
        asyncio.run(use())
    assert "Nothing was sent" not in str(raised.value)


def test_a_fork_on_a_running_loop_makes_connections_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use() -> None:
        wire: LoopClients[httpx.AsyncClient] = LoopClients(None, httpx.AsyncClient)
        of_parent = wire.http
        assert wire.http is of_parent
        with monkeypatch.context() as forked:
            forked.setattr("os.getpid", lambda: -1)
            of_child = wire.http
            assert of_child is not of_parent
            await wire.aclose()
        assert (of_child.is_closed, of_parent.is_closed) == (True, False)
        await of_parent.aclose()

    asyncio.run(use())


def slept(error: TransportError, most: float) -> tuple[float, str]:
    """For how long a request is tried that is never delivered, and the message at the end."""
    pauses: list[Sleep] = []

    def never(_: Request) -> Response:
        raise error

    with pytest.raises(APIConnectionError) as caught:
        FakeDriver(never, on_sleep=pauses.append).run(
            call(Request("GET", "/x"), lambda answer: answer, max_retry_seconds=most)
        )
    return sum(one.seconds for one in pauses), caught.value.message


def test_who_has_never_been_answered_gives_up_after_ten_seconds() -> None:
    waited, said = slept(NotDeliveredError("refused by http://x. Right?", nobody_yet=True), 90)
    assert 5 < waited <= 10
    assert "Right? No server has answered there yet. Stopped trying after 10 s." in said
    assert "set max_retry_seconds" in said
    waited, said = slept(NotDeliveredError("refused"), 90)
    assert 60 < waited <= 90
    assert "would exceed the 90 s for retries" in said
    assert slept(NotDeliveredError("refused", nobody_yet=True), 3)[0] <= 3
    assert slept(NoAnswerError("closed", nobody_yet=True), 90)[0] <= 10
    cut = NoAnswerError("closed within an answer", nobody_yet=True)
    cut.status = 200
    assert slept(cut, 90)[0] > 60


def nowhere() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def failure(client: TrainingClient) -> TransportError:
    with pytest.raises(TransportError) as caught:
        client._driver._send(Request("GET", "/training/courses/v1"))
    return caught.value


def test_only_a_client_that_was_told_nothing_and_heard_nothing_gives_up_early() -> None:
    url = nowhere()
    with TrainingClient("mock_1", base_url=url) as client:
        found = failure(client)
        assert found.nobody_yet
        assert url in found.message
        assert not failure(client.with_options(max_retry_seconds=60)).nobody_yet
    with TrainingClient("mock_1", base_url=url, max_retry_seconds=90) as client:
        assert not failure(client).nobody_yet


class Closing(socketserver.BaseRequestHandler):
    """Closes every connection without an answer."""

    def handle(self) -> None:
        self.request.recv(65536)


def test_a_server_that_closes_every_connection_has_not_answered() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), Closing) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with TrainingClient("mock_1", base_url=f"http://127.0.0.1:{server.server_address[1]}") as client:
            found = failure(client)
            assert isinstance(found, NoAnswerError)
            assert found.nobody_yet
            assert not failure(client.with_options(max_retry_seconds=60)).nobody_yet
        server.shutdown()


def test_a_client_that_was_answered_once_waits_as_long_as_ever() -> None:
    mock = MockTraining.demo()
    with mock.serve(port=0) as server:
        client = TrainingClient(mock.token("admin"), base_url=server.url)
        other = client.with_options(timeout=5)
        client.users.me()
    with contextlib.suppress(
        NoAnswerError, NotDeliveredError
    ):  # the connection that the server left open may break only now
        client._driver._send(Request("GET", "/training/courses/v1"))
    assert not failure(client).nobody_yet
    assert not failure(other).nobody_yet
    client.close()


class Shop(BaseHTTPRequestHandler):
    """A web server that is not the API."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_a_web_server_that_is_another_is_named() -> None:
    with HTTPServer(("127.0.0.1", 0), Shop) as shop:
        threading.Thread(target=shop.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{shop.server_port}"
        with TrainingClient("mock_1", base_url=url) as client, pytest.raises(NotFoundError) as caught:
            list(client.courses.list())
        shop.shutdown()
    assert f"The server at {url} answered 404 without an explanation." in caught.value.message
    assert "Check that this is the base URL of the API." in caught.value.message
