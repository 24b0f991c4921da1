"""Making and applying plans on a fake organisation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from attrs import evolve

from training_sdk import ResetFormat, ResetPlan, ResetReport, TrainingError
from training_sdk._core.flow import Flow, Request, Response
from training_sdk._core.listing import Calls
from training_sdk._core.model import Key
from training_sdk.api.progress import ProgressRow
from training_sdk.plans.people import People
from training_sdk.plans.planned import PlannedReset
from training_sdk.plans.planner import PlanOptions, make_plan
from training_sdk.plans.reading import read_rows
from training_sdk.records.events import Event
from training_sdk.resets.preflight import Preflight
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.reset_request import Order
from training_sdk.resets.reset_run import apply_plan
from unit.sdk.fakes import CALLS, COURSE, FakeDriver, Organisation, row

T = TypeVar("T")
DECADES = timedelta(days=36500)


class NothingKept(Recorder):
    """Keeps no records: for what is sent and believed, wherever the records are kept."""

    def refuse(self, plan: ResetPlan) -> Flow[None]:
        yield from ()

    def open(self, preflight: Preflight) -> Flow[None]:
        yield from ()

    def gather(self, calls: Calls, people: Sequence[PlannedReset]) -> Flow[Mapping[Key, ProgressRow]]:
        found: dict[Key, ProgressRow] = {}
        for course_id in {user.course_id for user in people}:
            here = [user.user_id for user in people if user.course_id == course_id]
            rows = yield from read_rows(calls, course_id, here)
            found |= {(course_id, user_id): row for user_id, row in rows.items()}
        return found

    def refresh(self, calls: Calls, people: Sequence[PlannedReset]) -> Flow[Mapping[Key, ProgressRow] | None]:
        yield from ()
        return None

    def note(self, event: Event) -> Flow[None]:
        yield from ()

    def has_noted(self, event: Event) -> bool:
        return True

    def withdraw_proof(self, report: ResetReport) -> Flow[None]:
        yield from ()

    def close(self, report: ResetReport, error: BaseException | None) -> Flow[None]:
        yield from ()

    def release(self) -> None:
        pass


def planned(
    organisation: Organisation, *, users: list[str] | None = None, only: Any = None, calls: Calls = CALLS
) -> ResetPlan:
    """A plan made on an organisation whose log is then cleared."""
    wanted = PlanOptions((COURSE,), None if users is None else People.of(users), only)
    made = FakeDriver(organisation).run(make_plan(calls, wanted))
    plan = evolve(made, expires_at=made.read_at + DECADES)
    organisation.sent.clear()
    return plan


def just_planned(organisation: Organisation) -> ResetPlan:
    """A plan for a client that goes by the real clock."""
    return evolve(planned(organisation), read_at=datetime.now(UTC))


def apply(
    organisation: Organisation,
    plan: ResetPlan,
    *,
    calls: Calls = CALLS,
    puppet: FakeDriver | None = None,
    **order: Any,
) -> ResetReport:
    """Apply a plan whose confirmation is not what the test is about."""
    return (puppet or FakeDriver(organisation)).run(apply_flow(plan, calls=calls, **order))


def refused(
    organisation: Organisation, plan: ResetPlan, error: type[TrainingError], said: str, **order: Any
) -> TrainingError:
    """Apply a plan, which ends with this error, in whose text this is found, before anything is sent."""
    with pytest.raises(error, match=said) as caught:
        apply(organisation, plan, **order)
    assert organisation.resets == []
    return caught.value


def apply_flow(plan: ResetPlan, *, calls: Calls = CALLS, **order: Any) -> Flow[ResetReport]:
    """The flow that applies a plan."""
    settings = {"format": ResetFormat(), **order}
    return apply_plan(
        calls, Order(plan, **settings), NothingKept(None, None, timedelta(hours=4)), lambda ground: None
    )


def interrupted_at(flow: Flow[T], at: int, stop: type[BaseException]) -> Flow[T]:
    """The flow, with an interrupt in place of the effect of this number."""
    step: Callable[[Any], Any] = flow.send
    value: Any = None
    for number in itertools.count():
        try:
            effect = step(value)
        except StopIteration as end:
            result: T = end.value
            return result
        if number == at:
            value, step = stop(), flow.throw
            continue
        try:
            value, step = (yield effect), flow.send
        except Exception as problem:
            value, step = problem, flow.throw
    raise AssertionError


def account_of(problem: BaseException) -> ResetReport:
    """The report that came with whatever stopped a reset."""
    report: ResetReport = vars(problem)["report"]
    return report


def many(number: int) -> Organisation:
    return Organisation([row(one) for one in range(number)])


def nth_reset(
    organisation: Organisation, number: int, step: Callable[[Request], Response] | BaseException
) -> None:
    """Let the nth reset end otherwise."""

    def reply(request: Request) -> Response:
        if len(organisation.resets) != number:
            return organisation.reset(request)
        if isinstance(step, BaseException):
            raise step
        return step(request)

    organisation.on_reset = reply


def everyone_once(report: ResetReport) -> bool:
    return sorted(one.user_id for one in report.users) == sorted(one.user_id for one in report.plan.users)
