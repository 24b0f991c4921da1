"""Plans and their application over random organisations and random trouble."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import attrs
from hypothesis import assume, given
from hypothesis import strategies as st

from training_sdk import (
    EveryonePlan,
    Origin,
    Outcome,
    PlannedCourse,
    PlannedReset,
    ProgressState,
    ResetPlan,
    ResetReport,
    TrainingError,
)
from training_sdk._core.flow import InterruptedSendError, NoAnswerError, NotDeliveredError, Request, Response
from training_sdk._core.text import visible
from training_sdk.plans.plan import parse_plan, plan_bytes
from training_sdk.reports.report import report_of
from training_sdk.resets import reset_request
from unit.sdk.fakes import Organisation, answer, row, tail, untouched, user_id
from unit.sdk.resetting import apply, planned

TEXT = st.text(max_size=100)
MAYBE = st.none() | TEXT
MOMENTS = st.datetimes(min_value=datetime(1990, 1, 1), timezones=st.just(UTC))
PEOPLE = st.builds(
    PlannedReset,
    course_id=TEXT,
    user_id=TEXT,
    name=TEXT,
    email=MAYBE,
    state=st.sampled_from(ProgressState),
    percent=st.floats(0, 100),
    completed_at=st.none() | MOMENTS,
    score=st.none() | st.integers(0, 100),
    due_at=st.none() | MOMENTS,
    left_out=MAYBE,
    last_reset_at=st.none() | MOMENTS,
)
COURSES = st.builds(PlannedCourse, id=TEXT, title=TEXT, external_id=MAYBE, status=MAYBE)
ORIGINS = st.builds(Origin, base_url=TEXT, organisation_id=TEXT, user_id=TEXT, reference_server=st.booleans())


def _of_its_courses(plan: ResetPlan) -> ResetPlan:
    """The same plan with everyone in one of its courses, as planning makes it."""
    users = (attrs.evolve(user, course_id=plan.courses[0].id) for user in plan.users)
    return attrs.evolve(plan, users=tuple(users))


PLANS = (
    st.sampled_from([ResetPlan, EveryonePlan])
    .flatmap(
        lambda kind: st.builds(
            kind,
            courses=st.lists(COURSES, min_size=1, max_size=3, unique_by=lambda course: course.id).map(tuple),
            selection=MAYBE,
            users=st.lists(PEOPLE, max_size=4, unique_by=lambda user: user.user_id).map(tuple),
            read_at=MOMENTS,
            expires_at=MOMENTS,
            origin=ORIGINS,
            warnings=st.lists(TEXT, max_size=2).map(tuple),
        )
    )
    .map(_of_its_courses)
)


MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "users": PEOPLE,
    "courses": COURSES,
    "warnings": TEXT,
    "unassigned": st.tuples(TEXT, TEXT),
}


def _other_values(value: Any) -> st.SearchStrategy[Any]:
    if isinstance(value, bool):
        return st.just(not value)
    if isinstance(value, datetime):
        return st.just(value + timedelta(microseconds=1))
    if isinstance(value, float | int):
        return st.just(value + 1)
    return TEXT.filter(lambda other: other != value)


def _another(draw: st.DrawFn, value: Any) -> Any:
    return draw(changed(value)) if attrs.has(type(value)) else draw(_other_values(value))


@st.composite
def changed(draw: st.DrawFn, whole: Any) -> Any:
    """The same thing with exactly one field, at any depth, another; a signature signs the digest, which lacks it."""
    names = [field.name for field in attrs.fields(type(whole)) if field.name != "signature"]
    name = draw(st.sampled_from(names))
    value = getattr(whole, name)
    if attrs.has(type(value)):
        other = draw(changed(value))
    elif isinstance(value, tuple):
        index = draw(st.integers(0, len(value)))
        added = (draw(MEMBERS[name]),) if index == len(value) else (_another(draw, value[index]),)
        other = (*value[:index], *added, *value[index + 1 :])
    elif name == "state":
        other = draw(st.sampled_from([state for state in ProgressState if state is not value]))
    else:
        other = draw(_other_values(value))
    return attrs.evolve(whole, **{name: other})


@given(st.data(), PLANS)
def test_changing_anything_in_a_plan_makes_it_another(data: st.DataObject, plan: ResetPlan) -> None:
    other = data.draw(changed(plan))
    assume(other != plan)
    assert other.digest != plan.digest


@given(PLANS)
def test_a_plan_has_one_digest_and_a_phrase_of_one_line(plan: ResetPlan) -> None:
    assert plan.digest == attrs.evolve(plan).digest
    assert "\n" not in plan.phrase
    assert plan.phrase.endswith(f" for {plan.people} user{'s' * (plan.people != 1)} #{tail(plan.digest)}")
    assert len(plan.phrase) < 80 + 60
    assert str(plan).endswith(visible(plan.phrase) if plan.targets else "there is nothing to confirm.")
    assert parse_plan(plan_bytes(plan), "plan.json") == plan
    assert sum(plan.counts.values()) == len(plan.users)
    assert all(user.state is not ProgressState.NOT_STARTED for user in plan.targets)


# --- applying ---------------------------------------------------------------------------------------------------------

STEPS = st.one_of(
    st.none(),
    st.sampled_from(
        [
            NoAnswerError("reset by peer"),
            NotDeliveredError("refused"),
            NotDeliveredError("certificate", hopeless=True),
            InterruptedSendError(KeyboardInterrupt()),
            KeyboardInterrupt(),
            *(answer({}, status) for status in (302, 400, 403, 408, 409, 412, 429, 500, 503)),
            *(answer(body=body) for body in (b"", b"<html>", b"{}", b'{"usersUpdated": -1}')),
        ]
    ),
)


def _report(organisation: Organisation, plan: ResetPlan) -> ResetReport:
    """The report of a reset, whether it is returned or comes with an error."""
    report: ResetReport | None
    try:
        report = apply(organisation, plan)
    except (TrainingError, KeyboardInterrupt) as error:
        report = report_of(error)
    assert report is not None
    return report


@given(
    st.lists(st.booleans(), min_size=1, max_size=12),
    st.lists(STEPS, max_size=8),
    st.sampled_from([None, "completed"]),
    st.booleans(),
)
def test_whatever_happens_nobody_else_is_sent_and_everyone_is_accounted_for_truly(
    started: list[bool], steps: list[Response | BaseException | None], only: Any, everyone: bool
) -> None:
    """The server's own list of those it reset is compared with what the report claims."""
    organisation = Organisation([row(n) if done else untouched(n) for n, done in enumerate(started)])
    assume(any(started))
    ids = None if everyone else [user_id(n) for n in range(len(started)) if n % 3 != 2]
    assume(ids is None or any(started[n] for n in range(len(started)) if n % 3 != 2))
    plan = planned(organisation, users=ids, only=only)
    trouble, cleared = iter(steps), set[str]()

    def reset(request: Request) -> Response:
        step = next(trouble, None)
        reached = step is None or not isinstance(step, NotDeliveredError)
        refused = isinstance(step, Response) and 400 <= step.status < 500 and step.status != 408
        if reached and not refused:
            cleared.update(json.loads(request.body or b"")["userIds"])
        if isinstance(step, BaseException):
            raise step
        return step or organisation.reset(request)

    organisation.on_reset = reset
    with mock.patch.object(reset_request, "MOST_PER_REQUEST", 3):
        report = _report(organisation, plan)
    targets = {user.user_id for user in plan.targets}
    outcomes = {one.user_id: one.outcome for one in report.users}
    assert cleared <= targets
    assert list(outcomes) == [user.user_id for user in plan.users]
    assert len(outcomes) == len(report.users)
    for who, outcome in outcomes.items():
        if outcome is Outcome.RESET:
            assert who in cleared
        elif outcome is not Outcome.UNKNOWN:
            assert who not in cleared
    assert report.is_complete == all(outcomes[who] is Outcome.RESET for who in targets)


@given(st.integers(1, 40), st.integers(1, 15))
def test_the_ids_sent_are_exactly_the_targets_each_once(people: int, size: int) -> None:
    organisation = Organisation([row(n) if n % 4 else untouched(n) for n in range(people)])
    plan = planned(organisation)
    with mock.patch.object(reset_request, "MOST_PER_REQUEST", size):
        apply(organisation, plan)
    assert [one for people in organisation.people_sent for one in people] == [
        user.user_id for user in plan.targets
    ]
    assert all(0 < len(people) <= size for people in organisation.people_sent)
