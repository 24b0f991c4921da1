"""Transports that patch an HTTP library: the vendor's host is answered for, others are refused or let through."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator

import httpx
import pytest
import requests
import responses as responses_library
import urllib3

from mock_server import MockTraining
from mock_server.wire.message import MAX_BODY, MAX_DRAIN

VENDOR = "https://api.safetyculture.io"
WHO_AM_I = "/accounts/user/v1/user:WhoAmI"


@pytest.fixture
def mock() -> MockTraining:
    return MockTraining.demo()


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A real server on this machine, which a patched client reaches only if it is let through."""
    with MockTraining.generate(users=1, courses=1).serve() as server:
        yield server.url


def as_learner(mock: MockTraining) -> dict[str, str]:
    return {"authorization": f"Bearer {mock.token('learner')}"}


def test_code_written_with_requests_meets_the_world(mock: MockTraining) -> None:
    with mock.responses():
        answer = requests.get(VENDOR + WHO_AM_I, headers=as_learner(mock), timeout=5)
    assert answer.status_code == 200
    assert answer.json()["user_id"] == mock.world.user("anna.oezdemir@nordwerk.example").id
    assert answer.headers["x-training-mock"]


def test_code_written_with_httpx_meets_the_world(mock: MockTraining) -> None:
    async def asynchronously() -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(VENDOR + WHO_AM_I, headers=as_learner(mock))

    with mock.respx() as router:
        answers = [httpx.get(VENDOR + WHO_AM_I, headers=as_learner(mock)), asyncio.run(asynchronously())]
        assert router["training"].call_count == 2
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize("host", ["api.safetyculture.io", "api.safetyculture.com", "api.mitti.com"])
def test_every_name_of_the_vendor_is_answered_in_the_process(mock: MockTraining, host: str) -> None:
    url, headers = f"https://{host}{WHO_AM_I}", as_learner(mock)

    async def asynchronously() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(mock.asgi)) as client:
            return (await client.get(url, headers=headers)).status_code

    with mock.respx():
        assert httpx.get(url, headers=headers).status_code == 200
    with mock.responses():
        assert requests.get(url, headers=headers, timeout=5).status_code == 200
    with httpx.Client(transport=mock.transport()) as client:
        assert client.get(url, headers=headers).status_code == 200
    assert asyncio.run(asynchronously()) == 200


def test_respx_refuses_other_hosts_and_says_what_to_do(mock: MockTraining, elsewhere: str) -> None:
    async def asynchronously() -> None:
        async with httpx.AsyncClient() as client:
            await client.get(f"{elsewhere}/_mock/health")

    with mock.respx():
        with pytest.raises(AssertionError, match=r"not for 127\.0\.0\.1\. Add the host to hosts="):
            httpx.get(f"{elsewhere}/_mock/health")
        with pytest.raises(AssertionError, match=r"not for 127\.0\.0\.1\. Add the host to hosts="):
            asyncio.run(asynchronously())


def test_responses_refuses_other_hosts_and_says_what_to_do(mock: MockTraining, elsewhere: str) -> None:
    with mock.responses(), pytest.raises(requests.ConnectionError, match=r"Add the host to hosts="):
        requests.get(f"{elsewhere}/_mock/health", timeout=5)


def test_other_hosts_are_let_through_by_choice(mock: MockTraining, elsewhere: str) -> None:
    async def asynchronously() -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(f"{elsewhere}/_mock/health")

    with mock.respx(unhandled="pass"):
        assert httpx.get(f"{elsewhere}/_mock/health").status_code == 200
        assert asyncio.run(asynchronously()).status_code == 200
        assert httpx.get(VENDOR + WHO_AM_I).status_code == 401
    with mock.responses(unhandled="pass"):
        assert requests.get(f"{elsewhere}/_mock/health", timeout=5).status_code == 200
        assert requests.get(VENDOR + WHO_AM_I, timeout=5).status_code == 401


def test_other_hosts_can_be_mocked_beside(mock: MockTraining) -> None:
    with mock.respx() as router:
        router.get("https://hr.example/people").respond(json=["somebody"])
        assert httpx.get("https://hr.example/people").json() == ["somebody"]
        assert httpx.get(VENDOR + WHO_AM_I).status_code == 401
    with mock.responses() as others:
        others.get("https://hr.example/people", json=["somebody"])
        assert requests.get("https://hr.example/people", timeout=5).json() == ["somebody"]
        assert requests.get(VENDOR + WHO_AM_I, timeout=5).status_code == 401


def test_worlds_at_different_hosts_stand_side_by_side(mock: MockTraining) -> None:
    other = MockTraining.generate(users=2, courses=1)
    with mock.respx(hosts="demo.example"), other.respx(hosts=["Generated.Example"]):
        seen = [
            httpx.get(f"https://{host}/_mock/tokens").json()["tokens"][0]["organisation_id"]
            for host in ("demo.example", "generated.example")
        ]
    assert seen == [mock.world.main.id, other.world.main.id]


def test_nothing_stays_patched_after_the_block(mock: MockTraining, elsewhere: str) -> None:
    with mock.respx(), mock.responses():
        pass
    assert httpx.get(f"{elsewhere}/_mock/health").status_code == 200
    assert requests.get(f"{elsewhere}/_mock/health", timeout=5).status_code == 200


@pytest.mark.parametrize("hosts", ["https://api.safetyculture.io", "localhost:8080", "", (), ["a b"]])
def test_a_host_that_could_never_match_is_refused(mock: MockTraining, hosts: str | list[str]) -> None:
    with pytest.raises(ValueError, match="host name without scheme and port"):
        mock.respx(hosts=hosts)
    with pytest.raises(ValueError, match="host name without scheme and port"):
        mock.responses(hosts=hosts)


def test_an_unknown_choice_is_refused(mock: MockTraining) -> None:
    with pytest.raises(ValueError, match="unhandled must be 'refuse' or 'pass', not 'passs'"):
        mock.respx(unhandled="passs")  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize("name", ["respx", "responses"])
def test_missing_library_names_extra(mock: MockTraining, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"mock_server.transports.{name}", raising=False)
    with pytest.raises(
        ImportError,
        match=rf"{name} is not installed\. In a checkout of the SDK, run pip install '\.\[testing\]'",
    ):
        getattr(mock, name)()


def test_requests_streams_bodies_of_any_kind_within_bounds(mock: MockTraining) -> None:
    seen: list[int] = []
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += MAX_BODY
            yield b"x" * MAX_BODY

    headers = as_learner(mock) | {"content-type": "application/json"}
    with mock.responses():
        for body in ("{", b"{", iter([b"{", b"}"]), endless()):
            answer = requests.post(
                f"{VENDOR}/training/courseprogress/v1/reset", data=body, headers=headers, timeout=5
            )
            seen.append(answer.status_code)
    assert seen[3] == 413
    assert set(seen[:3]) <= {400, 403}
    assert MAX_DRAIN < read <= MAX_DRAIN + 2 * MAX_BODY


def test_responses_of_ones_own_still_count_calls(mock: MockTraining) -> None:
    with mock.responses() as router:
        requests.get(VENDOR + WHO_AM_I, timeout=5)
        assert isinstance(router, responses_library.RequestsMock)
        assert len(router.calls) == 1


STREAMS: dict[str, Callable[[requests.Response], bytes]] = {
    "iter_content(None)": lambda answer: b"".join(answer.iter_content(chunk_size=None)),
    "iter_content(7)": lambda answer: b"".join(answer.iter_content(chunk_size=7)),
    "iter_lines(None)": lambda answer: b"".join(answer.iter_lines(chunk_size=None)),
    "raw.read": lambda answer: answer.raw.read(),
    "raw.stream(None)": lambda answer: b"".join(answer.raw.stream(None)),
    "raw.read twice": lambda answer: answer.raw.read() + answer.raw.read(),
    "content": lambda answer: answer.content,
}


@pytest.mark.parametrize("how", STREAMS)
@pytest.mark.parametrize("fault", ["none", "drip"])
def test_a_streamed_answer_ends_with_requests(mock: MockTraining, how: str, fault: str) -> None:
    url, headers = VENDOR + WHO_AM_I, as_learner(mock)
    with mock.responses():
        expected = requests.get(url, headers=headers, timeout=5).content
        if fault == "drip":
            mock.faults.add("drip", seconds=0.001)
        answer = requests.get(url, headers=headers, timeout=5, stream=True)
        assert STREAMS[how](answer) == expected
        assert answer.raw.read() == b""


@pytest.mark.parametrize("how", STREAMS)
def test_a_streamed_answer_that_is_cut_is_an_error_with_requests(mock: MockTraining, how: str) -> None:
    mock.faults.add("cut")
    with mock.responses():
        answer = requests.get(VENDOR + WHO_AM_I, headers=as_learner(mock), timeout=5, stream=True)
        with pytest.raises((requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError)):
            STREAMS[how](answer)
