"""A world ends with its last user: nothing of it waits for a garbage collection, and each part keeps what it needs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import ref

import httpx
import pytest

from mock_server import MockTraining
from mock_server.control import worlds
from mock_server.world.codec import StateError
from training_sdk import AsyncTrainingClient, TrainingClient
from unit.mock_server.core.speaker import FORKLIFT, WHO, Speaker, course_id, recorded
from unit.mock_server.state.receiver import receiver
from unit.mock_server.state.test_webhooks import reset, subscribe

Use = Callable[[MockTraining], object]


@pytest.fixture(autouse=True)
def _without_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left(ends: Sequence[ref[Any]]) -> list[Any]:
    """Return the objects that are left when the threads of webhooks and servers had the time to end."""
    until = time.monotonic() + 10
    while any(end() is not None for end in ends) and time.monotonic() < until:
        time.sleep(0.01)
    return [end() for end in ends if end() is not None]


def asked(http: httpx.Client, mock: MockTraining) -> int:
    headers = {"authorization": f"Bearer {mock.token('admin')}"}
    return http.get(f"https://api.safetyculture.com{WHO}", headers=headers).status_code


def sync_calls(mock: MockTraining) -> None:
    with httpx.Client(transport=mock.transport()) as http:
        client = TrainingClient(mock.token("admin"), http_client=http)
        client.users.me()
        assert [each.title for each in client.courses.list()]
        assert len(list(client.progress.list())) > 1


def async_calls(mock: MockTraining) -> None:
    async def calls() -> None:
        async with httpx.AsyncClient(transport=mock.transport()) as http:
            client = AsyncTrainingClient(mock.token("admin"), http_client=http)
            await client.users.me()
            assert [each.title async for each in client.courses.list()]

    asyncio.run(calls())


def faults(mock: MockTraining) -> None:
    mock.faults.add("error", status=403, times=1)
    mock.faults.add("drop", after=1, times=1)
    with httpx.Client(transport=mock.transport()) as http:
        assert asked(http, mock) == 403
        with contextlib.suppress(httpx.RemoteProtocolError):
            asked(http, mock)
    assert [each.kind for each in mock.faults.struck] == ["error", "drop"]
    mock.faults.add("course_archived", course=FORKLIFT)


def further_world(mock: MockTraining) -> None:
    speaker = Speaker(mock)
    for _ in range(2):
        made = speaker.post(worlds.PATH, {}).json
        assert Speaker(mock, made["tokens"][0]["token"]).get(WHO).status == 200
    speaker.send("DELETE", f"{worlds.PATH}/{made['id']}")
    assert len(mock.worlds.all()) == 1


def webhook(mock: MockTraining) -> None:
    with receiver() as there:
        there.held.set()
        admin = Speaker(mock)
        subscribe(admin, there.url)
        reset(admin, 1)
        assert len(mock.webhooks.wait()) == 1


def served(mock: MockTraining) -> None:
    with mock.serve() as server:
        assert httpx.get(f"{server.url}/_mock/health", trust_env=False).status_code == 200
    assert server.is_stopped
    assert not mock.is_served_openly


def rolled_back(mock: MockTraining) -> None:
    before = mock.state()
    mock.draw_tokens()
    assert Speaker(mock).get(WHO).status == 200
    mock.rollback(before)
    assert mock.calls.by("admin").once().status == 200


@pytest.mark.parametrize(
    "use", [sync_calls, async_calls, faults, further_world, webhook, served, rolled_back]
)
def test_a_world_ends_with_its_last_user(use: Use) -> None:
    mock = MockTraining.demo()
    use(mock)
    every = [mock, *(kept.mock for kept in mock.worlds.all())]
    ends = [
        ref(part) for each in every for part in (each, each.world, each.world.main, each.calls, each.faults)
    ]
    del mock, every
    assert left(ends) == []


def test_a_client_that_was_used_ends_with_its_last_user() -> None:
    mock = MockTraining.demo()
    client = TrainingClient(mock.token("admin"), http_client=httpx.Client(transport=mock.transport()))
    me = client.users.me
    assert client.request("GET", WHO).json() == client.request("GET", WHO).json()
    plan = client.resets.plan(course_id(mock), recorded(mock)[:1])
    ends = [ref(each) for each in (client, client.users, client.resets, mock)]
    del client, mock, plan
    assert me().user_id  # the method alone keeps its resource, the connections and the world
    del me
    assert left(ends) == []


def test_each_part_alone_keeps_what_it_needs() -> None:
    transport, token = MockTraining.demo().transport(), MockTraining.demo().token("admin")
    with httpx.Client(transport=transport) as http:
        del transport
        assert TrainingClient(token, http_client=http).users.me().user_id
    faults = MockTraining.demo().faults
    assert faults.add("course_archived", course=FORKLIFT).course == FORKLIFT
    with pytest.raises(ValueError, match="Flying"):
        faults.add("course_archived", course="Flying")
    calls = MockTraining.demo().calls
    calls.by("admin").never()
    with pytest.raises(LookupError, match="No token has this name"):
        calls.by("nobody")
    assert MockTraining.demo().webhooks.wait(0) == ()
    with MockTraining.demo().serve() as server:
        assert httpx.get(f"{server.url}/_mock/tokens", trust_env=False).json()["tokens"]


def test_a_further_world_alone_keeps_what_it_needs() -> None:
    first = MockTraining.demo()
    state, end = first.state(), ref(first)
    assert Speaker(first).post(worlds.PATH, {}).status == 201
    (kept,) = first.worlds.all()
    del first
    assert left([end]) == []
    assert Speaker(kept.mock).get(WHO).status == 200
    with pytest.raises(StateError, match="opens another world"):  # as long as the worlds are on one server
        kept.mock.become(state)
