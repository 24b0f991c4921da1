"""The last look before each request: one token, its owner, the last reading, and nothing waited for after it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from training_sdk import (
    APITimeoutError,
    AsyncTrainingClient,
    InvalidArgumentError,
    Outcome,
    PlanMismatchError,
    ResetReport,
    TrainingClient,
)
from training_sdk._core.flow import Flow, Request, Response, Sleep, Unpaced
from training_sdk.resets import reset_request
from unit.sdk.fakes import (
    CALLS,
    RESET,
    SETTINGS,
    Answer,
    Asker,
    FakeDriver,
    Organisation,
    answer,
    over_the_wire,
    row,
)
from unit.sdk.resetting import apply, just_planned, many, planned
from unit.sdk.wire import GOOD, HEAD, Wire, wire

WHO = "/accounts/user/v1/user:WhoAmI"
COURSES = "/training/courses/v1"
FEED = "/training/v1/feed/training-course-progress"


@define
class Watching(FakeDriver):
    """A driver that keeps what is sent and what is waited for in one list."""

    def run_on(self, organisation: Organisation) -> list[str]:
        """Let every request and every wait be noted in the order in which they happen."""
        seen: list[str] = []

        def reply(request: Request) -> Response:
            seen.append(request.path)
            return organisation(request)

        def wait(sleep: Sleep) -> None:
            seen.append("wait")

        self.answer, self.on_sleep = reply, wait
        return seen


def last_looks(seen: list[str]) -> list[list[str]]:
    """What happened from the last WhoAmI before each reset up to it."""
    found = []
    for number, what in enumerate(seen):
        if what == RESET:
            start = max(place for place in range(number) if seen[place] == WHO)
            found.append(seen[start : number + 1])
    return found


@define(eq=False)
class EveryTurnWaits(Unpaced):
    """A pace under which whoever asks for a turn waits a second."""

    def acquire(self, request: Request) -> Flow[float]:
        yield Sleep(1.0, planned=True)
        return 1.0


def test_who_asks_the_last_reading_and_the_request_follow_each_other_in_this_order() -> None:
    organisation = many(25)
    plan = planned(organisation)
    puppet = Watching(organisation)
    seen = puppet.run_on(organisation)
    with mock.patch.object(reset_request, "MOST_PER_REQUEST", 10):
        apply(organisation, plan, puppet=puppet)
    assert last_looks(seen) == [[WHO, COURSES, FEED, RESET]] * 3


def test_every_turn_is_waited_for_before_who_asks() -> None:
    organisation = many(25)
    plan = planned(organisation)
    puppet = Watching(organisation)
    seen = puppet.run_on(organisation)
    with mock.patch.object(reset_request, "MOST_PER_REQUEST", 10):
        apply(organisation, plan, puppet=puppet, calls=evolve(CALLS, pace=EveryTurnWaits()))
    assert last_looks(seen) == [[WHO, COURSES, FEED, RESET]] * 3
    assert seen.count("wait") > 12


@define
class Paged(Organisation):
    """An organisation whose feed comes in three pages, of which the first two are empty."""

    def _routes(self) -> dict[str, Answer]:
        return {**Organisation._routes(self), FEED: self._in_pages}

    def _in_pages(self, request: Request) -> Response:
        page = int(request.target.rpartition("at=")[2]) if "at=" in request.target else 0
        if page == 2:
            return self._feed(request)
        return answer({"metadata": {"next_page": f"{FEED}?at={page + 1}"}, "data": []})


def test_a_feed_with_more_pages_than_thought_is_read_again_with_turns_for_all_of_them() -> None:
    organisation = Paged([row(number) for number in range(3)])
    plan = planned(organisation)
    puppet = Watching(organisation)
    seen = puppet.run_on(organisation)
    apply(organisation, plan, puppet=puppet, calls=evolve(CALLS, pace=EveryTurnWaits()))
    assert last_looks(seen) == [[WHO, COURSES, FEED, FEED, FEED, RESET]]
    assert seen.count(WHO) == 3  # on arriving, then twice


TROUBLES = st.lists(
    st.tuples(st.sampled_from([WHO, COURSES, FEED, RESET]), st.sampled_from([429, 503])), max_size=8
)


@given(TROUBLES)
def test_nothing_is_waited_for_between_reading_and_request(troubles: list[tuple[str, int]]) -> None:
    organisation = many(4)
    plan = planned(organisation)
    left = [trouble for trouble in troubles if trouble != (RESET, 503)]
    seen: list[str] = []
    taken: list[str] = []

    def reply(request: Request) -> Response:
        seen.append(request.path)
        if left and left[0][0] == request.path and len(seen) > 4:
            return evolve(answer({}, left.pop(0)[1]), is_reference=True)
        if request.path == RESET:
            taken.extend(json.loads(request.body or b"")["userIds"])
        return organisation(request)

    puppet = FakeDriver(reply, on_sleep=lambda sleep: seen.append("wait"))
    report: ResetReport | None
    reason: str | None = None
    with mock.patch.object(reset_request, "MOST_PER_REQUEST", 2):
        try:
            report = apply(organisation, plan, puppet=puppet)
        except APITimeoutError as error:
            report, reason = error.report, error.reason
    assert reason in (None, "NO_QUIET_MOMENT")
    assert reason is None or seen[-1] != RESET
    assert all("wait" not in look for look in last_looks(seen))
    assert report is not None
    assert report.counts[Outcome.UNKNOWN] == 0
    assert {user.user_id for user in report.users if user.outcome is Outcome.RESET} == set(taken)


@pytest.mark.parametrize("path", [WHO, COURSES, FEED])
def test_after_three_looks_that_had_to_wait_it_stops_and_nothing_is_sent(path: str) -> None:
    organisation = many(2)
    plan = planned(organisation)
    odd = count()

    def meddle(request: Request) -> Response:
        begun = any(sent.path.endswith("lessons/progress") or sent.path == FEED for sent in puppet.sent[:-1])
        if request.path == path and begun and next(odd) % 2 == 0:
            return evolve(answer({}, 503), is_reference=True)
        return organisation(request)

    puppet = FakeDriver(meddle)
    with pytest.raises(APITimeoutError, match="Nothing was sent") as caught:
        apply(organisation, plan, puppet=puppet)
    assert caught.value.reason == "NO_QUIET_MOMENT"
    assert organisation.resets == []
    report = caught.value.report
    assert report is not None
    assert report.counts[Outcome.SKIPPED] == 2


# --- one token, and whose it is ------------------------------------------------------------------------------------


@define
class OfTwo(Organisation):
    """An organisation in which a token is the name of its owner; ``seen`` is who sent what."""

    seen: list[tuple[str, str]] = field(factory=list)

    def __call__(self, request: Request) -> Response:
        self.seen.append((_owner(request), request.path))
        return Organisation.__call__(self, request)

    def _who(self, request: Request) -> Response:
        return answer({"user_id": _owner(request), "organisation_id": self.organisation_id})


def _owner(request: Request) -> str:
    return dict(request.headers).get("authorization", "").removeprefix("Bearer ")


def test_the_report_names_the_user_of_the_token_that_sent(ask: Asker, tmp_path: Path) -> None:
    """At each draw of a token in turn, until it turns over after the end."""
    at, ended = 0, False
    while not ended:
        at += 1
        assert at < 1000, "it ends"
        organisation, drawn = OfTwo([row(number) for number in range(12)]), count()
        plan = just_planned(organisation)
        seen = organisation.seen = []

        def draw(at: int = at, drawn: Any = drawn) -> str:
            return "anna" if next(drawn) < at else "bert"

        def use(client: Any, plan: Any = plan) -> Any:
            return client.resets.apply(plan, confirm=plan.phrase)

        report: ResetReport | None
        reason: str | None = None
        with mock.patch.object(reset_request, "MOST_PER_REQUEST", 5):
            try:
                report = ask(over_the_wire(organisation), use, token=draw, state_dir=tmp_path / str(at))
            except PlanMismatchError as error:
                report, reason = error.report, error.reason
        assert reason in (None, "TOKEN_OWNER_CHANGED")
        assert report is not None
        assert {who for who, path in seen if path == RESET} <= {report.applied_by} == {"anna"}
        looks = [seen[number - 3 : number + 1] for number, (_, path) in enumerate(seen) if path == RESET]
        assert all({who for who, _ in look} == {"anna"} for look in looks)
        ended = report.is_complete and next(drawn) < at
    assert at > 10


def test_another_token_takes_no_cookies_along_and_leaves_none(library: Any) -> None:
    cookies: list[tuple[str, str | None]] = []

    def handle(request: Any) -> Any:
        who = request.headers["authorization"].removeprefix("Bearer ")
        cookies.append((who, request.headers.get("cookie")))
        answer_ = library.Response(200, json={"user_id": who, "organisation_id": "role_1"})
        answer_.headers["set-cookie"] = f"session={who}; Path=/"
        return answer_

    with library.Client(transport=library.MockTransport(handle), cookies={"gateway": "x"}) as http:
        anna = TrainingClient("anna", http_client=http, **SETTINGS)
        bert = anna.with_options(token="bert", timeout=3)
        still_anna = anna.with_options(timeout=3)
        for client in (anna, bert, still_anna, bert, anna):
            client.users.me()
    assert {sent for who, sent in cookies if who == "bert"} == {None}
    assert [sent for who, sent in cookies if who == "anna"] == [
        "gateway=x",
        "gateway=x; session=anna",
        "gateway=x; session=anna",
    ]
    with pytest.raises(InvalidArgumentError, match="closed"):
        bert.users.me()


@pytest.mark.parametrize("name", ["cookie", "Cookie", "COOKIE2"])
@pytest.mark.parametrize("backend", ["sync", "asyncio"])
def test_another_token_takes_no_cookies_from_default_headers(library: Any, backend: str, name: str) -> None:
    sent: list[tuple[str, str | None, str | None]] = []

    def handle(request: Any) -> Any:
        who = request.headers["authorization"].removeprefix("Bearer ")
        sent.append((who, request.headers.get(name), request.headers.get("x-gateway")))
        return library.Response(200, json={"user_id": who, "organisation_id": "role_1"})

    headers = {name: "session=A", "x-gateway": "1"}
    transport = library.MockTransport(handle)
    if backend == "sync":
        with library.Client(transport=transport, headers=headers) as http:
            anna = TrainingClient("anna", http_client=http, **SETTINGS)
            bert = anna.with_options(token="bert")
            for client in (anna, bert, bert.with_options(timeout=3), anna):
                client.users.me()
    else:

        async def asking() -> None:
            async with library.AsyncClient(transport=transport, headers=headers) as http:
                anna = AsyncTrainingClient("anna", http_client=http, **SETTINGS)
                bert = anna.with_options(token="bert")
                for client in (anna, bert, bert.with_options(timeout=3), anna):
                    await client.users.me()

        anyio.run(asking)
    own, other = ("anna", "session=A", "1"), ("bert", None, "1")
    assert sent == [own, other, other, own]


@pytest.mark.parametrize("backend", ["sync", "asyncio"])
def test_a_client_of_the_sdk_keeps_no_cookies(backend: str) -> None:
    heads: list[bytes] = []

    def keeps_alive(wire_: Wire) -> Callable[[socket.socket], None]:
        def behave(connection: socket.socket) -> None:
            while data := wire_.read(connection):
                heads.append(data.lower())
                connection.sendall(GOOD.replace(HEAD, HEAD + b"set-cookie: session=anna; Path=/\r\n"))

        return behave

    with wire(keeps_alive) as server:
        if backend == "sync":
            with TrainingClient("t", base_url=server.url) as client:
                for _ in range(3):
                    client.users.me()
        else:

            async def asking() -> None:
                async with AsyncTrainingClient("t", base_url=server.url) as client:
                    for _ in range(3):
                        await client.users.me()

            anyio.run(asking)
    assert [b"cookie:" in head for head in heads] == [False] * 3
