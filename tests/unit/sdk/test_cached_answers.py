"""A caching proxy on the way: readings forbid it, and what decides something believes no answer of its."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define, field

from mock_server import MockTraining, Policy
from training_sdk import APIConnectionError, OutcomeUnknownError, TrainingClient, TrainingError
from training_sdk._core.flow import Response
from training_sdk.cli.exit_codes import ExitCode, code_for

RESET = "/training/courseprogress/v1/reset"


@define
class Proxy(httpx.BaseTransport):
    """A proxy before a world. It answers the nth request, and all after it, as if from a cache."""

    world: MockTraining
    since: int = 10**9
    age: str = "30"
    sent: list[httpx.Request] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self._inner = self.world.transport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        answer = self._inner.handle_request(request)
        if len(self.sent) > self.since:
            answer.headers["age"] = self.age
        return answer


def _client(world: MockTraining, proxy: Proxy, folder: Path) -> TrainingClient:
    return TrainingClient(world.token("admin"), http_client=httpx.Client(transport=proxy), state_dir=folder)


@pytest.mark.parametrize(
    ("values", "age"),
    [
        ([], 0), (["0"], 0), (["1"], 1), (["0", "7"], 7), (["0, 90"], 90), (["soon"], 0), (["-3"], 0),
        (["\u0663"], 0), ([" 12 "], 12), (["0" * 5000 + "7"], 7), (["9" * 10], 9999999999),
        (["9" * 11], 10**10), (["9" * 5000], 10**10), (["0, " + "1" * 4301], 10**10),
    ],
)  # fmt: skip
def test_how_old_an_answer_says_it_is(values: list[str], age: int) -> None:
    assert Response(200, tuple(("age", value) for value in values), b"").age == age


def test_every_reading_forbids_caches_and_no_reset_is_one(tmp_path: Path) -> None:
    world = MockTraining.generate(users=6, courses=1)
    proxy = Proxy(world)
    client = _client(world, proxy, tmp_path)
    plan = client.resets.plan_everyone(list(world.world.main.courses))
    report = client.resets.apply(plan, confirm=plan.phrase)
    client.resets.wait_until_verified(report, deadline=timedelta(0))
    list(client.users.list())
    assert len(proxy.sent) > 20
    for request in proxy.sent:
        expected = None if request.url.path == RESET else "no-cache, no-store"
        assert request.headers.get("cache-control") == expected, request.url.path


def _plan_apply_and_verify(client: TrainingClient, world: MockTraining) -> TrainingError | None:
    """What ended it, if anything did."""
    try:
        plan = client.resets.plan_everyone(list(world.world.main.courses))
        report = client.resets.apply(plan, confirm=plan.phrase)
        client.resets.wait_until_verified(report, deadline=timedelta(0))
    except TrainingError as error:
        return error
    return None


def test_an_answer_from_a_cache_is_refused_from_whatever_request_of_plan_apply_and_verify_on(
    tmp_path: Path,
) -> None:
    """The proxy begins to cache at each request in turn."""
    world = MockTraining.generate(users=4, courses=1)
    clean = Proxy(world)
    assert _plan_apply_and_verify(_client(world, clean, tmp_path / "clean"), world) is None
    paths = [request.url.path for request in clean.sent]
    (reset,) = (number for number, path in enumerate(paths) if path == RESET)
    for since in range(len(paths)):
        world = MockTraining.generate(users=4, courses=1)
        proxy = Proxy(world, since)
        error = _plan_apply_and_verify(_client(world, proxy, tmp_path / str(since)), world)
        assert error is not None
        assert error.reason == "CACHED_ANSWER", (paths[since], error)
        assert isinstance(error, OutcomeUnknownError) == (since == reset)
        assert len(proxy.sent) == since + 1
        if since != reset:
            assert code_for(error) is ExitCode.NOTHING_SENT


def test_a_proof_is_not_planned_by_what_a_cache_says(tmp_path: Path) -> None:
    world = MockTraining.generate(users=4, courses=2, policy=Policy(plays="live"))
    client = _client(world, Proxy(world, 0), tmp_path)
    with pytest.raises(APIConnectionError) as caught:
        client.resets.plan_proof(next(iter(world.world.main.courses)), "anybody@example.test")
    assert caught.value.reason == "CACHED_ANSWER"


def test_a_plain_listing_is_read_all_the_same_and_logs_it_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = MockTraining.generate(users=4, courses=1)
    client = _client(world, Proxy(world, 0), tmp_path)
    with caplog.at_level(logging.WARNING, "training_sdk"):
        assert list(client.courses.list()) == list(client.courses.list())
        assert client.users.me().user_id
    assert sum("cache" in record.getMessage() for record in caplog.records) == 1


def test_approving_and_resuming_refuse_caches_too(tmp_path: Path) -> None:
    world = MockTraining.generate(users=4, courses=1)
    proxy = Proxy(world)
    client = _client(world, proxy, tmp_path)
    plan: Any = client.resets.plan_everyone(list(world.world.main.courses))
    proxy.since, proxy.sent = 0, []
    for use in (client.resets.approve, client.resets.apply):
        with pytest.raises(APIConnectionError) as caught:
            use(plan, confirm=plan.phrase)
        assert caught.value.reason == "CACHED_ANSWER"
        assert "proxy" in caught.value.message
