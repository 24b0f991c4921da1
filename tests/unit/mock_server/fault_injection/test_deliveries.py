"""Every transport drops, cuts, delays and divides answers as the script of faults says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from urllib3 import Timeout

from mock_server import MockTraining
from mock_server.control.faults import Kind
from mock_server.transports.serving import serve

URL = "https://api.safetyculture.io/accounts/user/v1/user:WhoAmI"
Get = Callable[[str, float], httpx.Response]
Transport = Callable[[MockTraining], AbstractContextManager[Get]]
LATE: tuple[tuple[Kind, float, float], ...] = (("slow", 0.1, 0.1), ("drip", 0.02, 0.1))
"""Kinds that take their time, how long they are told to, and how long it is at least until all has come."""


@contextmanager
def in_process(mock: MockTraining) -> Iterator[Get]:
    with httpx.Client(transport=mock.transport()) as client:
        yield lambda token, timeout: client.get(URL, headers=_bearer(token), timeout=timeout)


@contextmanager
def in_process_async(mock: MockTraining) -> Iterator[Get]:
    async def get(token: str, timeout: float) -> httpx.Response:  # noqa: ASYNC109 - httpx's own
        async with httpx.AsyncClient(transport=mock.transport()) as client:
            return await client.get(URL, headers=_bearer(token), timeout=timeout)

    yield lambda token, timeout: asyncio.run(get(token, timeout))


@contextmanager
def stdlib(mock: MockTraining) -> Iterator[Get]:
    with serve(mock) as server, httpx.Client() as client:
        url = f"{server.url}/accounts/user/v1/user:WhoAmI"
        yield lambda token, timeout: client.get(url, headers=_bearer(token), timeout=timeout)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(params=[in_process, in_process_async, stdlib], ids=lambda each: each.__name__)
def transport(request: pytest.FixtureRequest) -> Transport:
    chosen: Transport = request.param
    return chosen


def test_a_dropped_or_cut_answer_is_an_error(transport: Transport, caplog: pytest.LogCaptureFixture) -> None:
    mock = MockTraining.demo()
    with transport(mock) as get:
        kinds: tuple[Kind, ...] = ("drop", "cut")
        for kind in kinds:
            mock.faults.add(kind)
            with pytest.raises(httpx.RemoteProtocolError):
                get(mock.token("admin"), 30)
            assert mock.calls[-1].delivered == ("nothing" if kind == "drop" else "cut")
            assert mock.calls[-1].faults == (kind,)
            assert get(mock.token("admin"), 30).status_code == 200
    assert [each for each in caplog.records if each.name.startswith("mock_server")] == []


def test_slow_and_dripping_answers_take_their_time_and_are_whole(transport: Transport) -> None:
    mock = MockTraining.demo()
    with transport(mock) as get:
        true = get(mock.token("admin"), 30).content
        for kind, seconds, least in LATE:
            mock.faults.add(kind, seconds=seconds)
            began = time.monotonic()
            assert get(mock.token("admin"), 30).content == true
            assert time.monotonic() - began >= least


def test_an_answer_slower_than_the_client_waits_is_a_read_timeout(transport: Transport) -> None:
    mock = MockTraining.demo()
    with transport(mock) as get:
        for kind in ("slow", "drip"):
            mock.faults.add(kind, seconds=1)
            with pytest.raises(httpx.ReadTimeout):
                get(mock.token("admin"), 0.05)


def test_a_server_stops_while_an_answer_is_held_back() -> None:
    mock = MockTraining.demo()
    mock.faults.add("slow", seconds=600)
    server = serve(mock)
    with httpx.Client() as client:
        with pytest.raises(httpx.ReadTimeout):
            client.get(f"{server.url}/feed/users", headers=_bearer(mock.token("admin")), timeout=0.05)
        server.stop(grace=0.05)
        with pytest.raises(httpx.ConnectError):
            client.get(f"{server.url}/feed/users", timeout=5)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("drop", requests.ConnectionError), ("cut", requests.exceptions.ChunkedEncodingError)],
)
def test_requests_raises_its_own_errors(kind: Kind, error: type[requests.RequestException]) -> None:
    mock = MockTraining.demo()
    mock.faults.add(kind)
    with mock.responses():
        with pytest.raises(error):
            requests.get(URL, headers=_bearer(mock.token("admin")), timeout=5)
        mock.faults.add("drip", seconds=0.001)
        answer = requests.get(URL, headers=_bearer(mock.token("admin")), timeout=5)
        assert answer.json()["organisation_id"] == mock.world.main.id


TIMEOUTS = [0.05, (5, 0.05), (None, 0.05), Timeout(connect=5, read=0.05), Timeout(0.05)]


@pytest.mark.parametrize("limit", TIMEOUTS, ids=repr)
@pytest.mark.parametrize(
    ("kind", "error"), [("slow", requests.ReadTimeout), ("drip", requests.ConnectionError)]
)
def test_a_timeout_of_requests_counts(kind: Kind, error: type[requests.RequestException], limit: Any) -> None:
    mock = MockTraining.demo()
    headers = _bearer(mock.token("admin"))
    with mock.serve() as server:
        mock.faults.add(kind, seconds=0.5)
        with pytest.raises(error) as on_a_socket:
            requests.get(server.url + urlsplit(URL).path, headers=headers, timeout=limit)
    mock.faults.add(kind, seconds=30)
    with mock.responses(), pytest.raises(error) as patched:
        requests.get(URL, headers=headers, timeout=limit)
    # A pause of 30 s is not held to its end: the errors come of the limit, not of what took too long.
    assert type(patched.value) is type(on_a_socket.value)
    assert "timed out" in str(patched.value)
    assert mock.calls.times(2)[0].faults == mock.calls[1].faults == (kind,)


@pytest.mark.parametrize("limit", [None, 30, (30, None), (30, 30)])
def test_requests_waits_for_what_comes_in_time(limit: Any) -> None:
    mock = MockTraining.demo()
    with mock.responses():
        true = requests.get(URL, headers=_bearer(mock.token("admin")), timeout=5).content
        for kind, seconds, least in LATE:
            mock.faults.add(kind, seconds=seconds)
            began = time.monotonic()
            assert requests.get(URL, headers=_bearer(mock.token("admin")), timeout=limit).content == true
            assert time.monotonic() - began >= least


def test_requests_that_stream_meet_the_pieces_before_the_line_goes_quiet() -> None:
    mock = MockTraining.demo()
    mock.faults.add("drip", seconds=30)
    with mock.responses():
        answer = requests.get(URL, headers=_bearer(mock.token("admin")), timeout=0.05, stream=True)
        pieces = answer.iter_content(16)
        assert next(pieces)[:1] == b"{"
        with pytest.raises(requests.ConnectionError):
            list(pieces)


def test_under_another_asgi_server_a_dropped_connection_is_an_error_of_the_application() -> None:
    mock = MockTraining.demo()
    mock.faults.add("drop")

    async def get() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(mock.asgi)) as client:
            with pytest.raises(ConnectionAbortedError):
                await client.get(URL, headers=_bearer(mock.token("admin")))

    asyncio.run(get())
