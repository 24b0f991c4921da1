"""Answers that may not be of this request: from a cache, or with rows of another course or user only."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from mock_server import MockTraining, Policy
from training_sdk import (
    APIConnectionError,
    AsyncTrainingClient,
    DecodingError,
    OutcomeUnknownError,
    TrainingClient,
    TrainingError,
)
from training_sdk._core.flow import Request, Response
from training_sdk.api.progress import progress_rows
from training_sdk.cli.exit_codes import ExitCode, code_for
from unit.sdk.fakes import CALLS, COURSE, SETTINGS, Asker, FakeDriver, answer, over_the_wire, row, user_id
from unit.sdk.wire import HEAD, Wire, wire

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


def test_a_cached_answer_is_refused_at_any_request_of_plan_apply_and_verify(tmp_path: Path) -> None:
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


def test_a_plain_listing_is_read_and_logs_it_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
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


OTHER = "0ther000ther000ther00000"
THIRD = "3hird0003hird0003hird000"


def feed(*rows: dict[str, Any]) -> Response:
    return answer({"metadata": {"next_page": None}, "data": list(rows)})


def keeps_alive(*rows: dict[str, Any]) -> Callable[[Wire], Callable[[Any], None]]:
    """Answer every request on a connection with a feed of these rows."""
    body = json.dumps({"metadata": {"next_page": None}, "data": list(rows)}).encode()

    def make(here: Wire) -> Callable[[Any], None]:
        def behave(connection: Any) -> None:
            while here.read(connection):
                connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)

        return behave

    return make


@pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])
def test_what_another_connection_gets_wrong_is_read_right_on_a_new_one(colour: str) -> None:
    async def asking(url: str) -> list[Any]:
        async with AsyncTrainingClient("t", base_url=url) as client:
            return [each async for each in client.progress.list(course_id=COURSE)]

    with wire(keeps_alive(row(1, course_id=OTHER)), keeps_alive(row(1), row(2))) as server:
        if colour == "sync":
            with TrainingClient("t", base_url=server.url) as client:
                found = list(client.progress.list(course_id=COURSE))
        else:
            found = anyio.run(asking, server.url, backend=colour)
    assert [each.user_id for each in found] == [user_id(1), user_id(2)]
    assert len(server.requests) == 2


def test_of_one_other_course_twice_is_an_error_that_names_the_parameter(ask: Asker) -> None:
    sent: list[Request] = []

    def reply(request: Request) -> Response:
        sent.append(request)
        return feed(row(1, course_id=OTHER), row(2, course_id=OTHER))

    with pytest.raises(DecodingError, match=r"course_id.*'0ther000ther000ther00000'"):
        ask(over_the_wire(reply), lambda client: client.progress.list(course_id=COURSE))
    assert len(sent) == 2
    with pytest.raises(DecodingError, match="requested with user_id"):
        ask(over_the_wire(lambda _: feed(row(1))), lambda client: client.progress.list(user_id=user_id(7)))


def test_an_ignored_parameter_of_many_courses_is_logged(ask: Asker, caplog: pytest.LogCaptureFixture) -> None:
    def reply(_: Request) -> Response:
        return feed(row(1, course_id=OTHER), row(1, course_id=THIRD))

    with caplog.at_level(logging.WARNING, "training_sdk"):
        assert ask(over_the_wire(reply), lambda client: client.progress.list(course_id=COURSE)) == []
    assert any("ignores course_id" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    "use",
    [
        lambda client: client.courses.get("65f0c0ffee00000000000001"),
        lambda client: list(client.courses.list(ids=["65f0c0ffee00000000000001"])),
        lambda client: list(client.analytics.course_statistics(course_ids=["65f0c0ffee00000000000001"])),
    ],
    ids=["get", "list", "statistics"],
)
def test_so_it_is_for_whatever_is_asked_for_by_its_id(use: Callable[[Any], Any]) -> None:
    item = {"id": OTHER, "title": "Other", "courseId": OTHER, "totalUsers": 1, "completedCount": 0}
    body = {"totalCount": 1, "items": [item]}
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=body))) as http:
        client = TrainingClient("t", http_client=http, **SETTINGS)
        with pytest.raises(DecodingError, match="requested with courseId"):
            use(client)


ROWS = st.lists(
    st.tuples(st.sampled_from([COURSE, OTHER, THIRD]), st.sampled_from([1, 2]), st.booleans()), max_size=5
)


@given(ROWS, st.booleans(), st.sampled_from([None, 1]))
def test_listed_is_what_was_asked(
    rows: list[tuple[str, int, bool]], by_course: bool, who: int | None
) -> None:
    course = COURSE if by_course else None
    user = None if who is None else user_id(who)
    data = [row(number, course_id=one, score=place) for place, (one, number, _) in enumerate(rows)]
    right = [each for each in data if course in (None, each["course_id"]) and user in (None, each["user_id"])]
    others = [
        {each["course_id"] for each in data if course not in (None, each["course_id"])},
        {each["user_id"] for each in data if user not in (None, each["user_id"])},
    ]
    puppet = FakeDriver(lambda _: feed(*data))
    flow = progress_rows(CALLS, course_id=course, user_id=user).gather()
    if data and not right and max(map(len, others)) == 1:
        with pytest.raises(DecodingError):
            puppet.run(flow)
    else:
        assert [each.score for each in puppet.run(flow)] == [each["score"] for each in right]
    again = bool(data and not right)
    assert [sent.on_new_connection for sent in puppet.sent] == [False, True][: 1 + again]
