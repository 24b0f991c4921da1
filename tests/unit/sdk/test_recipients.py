"""One call for everyone: all whom it would reach are compared before each, and it is never made once more in doubt."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import evolve

from training_sdk import (
    Code,
    IncompleteResetError,
    Outcome,
    OutcomeUnknownError,
    ResetFormat,
    ResetInterruptedError,
    ResetPlan,
    StalePlanError,
)
from training_sdk._core.flow import NoAnswerError, NotDeliveredError, Request, Response
from training_sdk.format_proof.proofs import ProofScope, save_proof
from training_sdk.records.events import ReadBack
from training_sdk.records.journal_state import replay
from training_sdk.records.state import StateDirectory
from training_sdk.reports.report_file import load
from unit.sdk.fakes import (
    CALLS,
    CLEARED,
    COURSE,
    START,
    Asker,
    Organisation,
    answer,
    over_the_wire,
    row,
    untouched,
    user_id,
)
from unit.sdk.machine import LATER, Machine, ends, new_machine
from unit.sdk.proving import proof_of
from unit.sdk.resetting import planned

LADDERS = "bad00bad00bad00bad00bad0"
COMPLETED = {
    "opened_at": "2026-02-28T00:00:00Z",
    "completed_at": "2026-02-28T00:00:00Z",
    "completed_lessons": 3,
    "progress_percent": 100.0,
}


class TwoCourses(Organisation):
    """The second course is called Ladders; everything is by course."""

    def _feed(self, request: Request) -> Response:
        query = parse_qs(urlsplit(request.target).query)
        users, wanted = query.get("user_id"), query.get("course_id")
        data = [
            one
            for one in self.rows
            if (not users or one["user_id"] in users) and (not wanted or one["course_id"] in wanted)
        ]
        return answer({"metadata": {"next_page": None}, "data": data})

    def _courses(self, request: Request) -> Response:
        items = [{"id": COURSE, "title": "Forklift basics"}, {"id": LADDERS, "title": "Ladders"}]
        return answer({"totalCount": 2, "items": items})

    def _statistics(self, request: Request) -> Response:
        items = [
            {"courseId": course, "totalUsers": sum(one["course_id"] == course for one in self.rows)}
            for course in (COURSE, LADDERS)
        ]
        return answer({"totalCount": 2, "items": items})

    def reset(self, request: Request) -> Response:
        course = json.loads(request.body or b"")["courseId"]
        for one in self.rows:
            if one["course_id"] == course:
                one.update(CLEARED)
        return answer({})


def of_everyone(machine: Machine) -> ResetPlan:
    plan = evolve(planned(machine.organisation, calls=CALLS), read_at=START)
    machine.organisation.sent.clear()
    return plan


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return new_machine(tmp_path, 2, reference=False)


@pytest.fixture
def plan(machine: Machine) -> ResetPlan:
    return of_everyone(machine)


def test_resume_sends_no_call_to_people_who_had_nothing_to_reset(ask: Asker, tmp_path: Path) -> None:
    in_ladders = [row(one, course_id=LADDERS) for one in range(2)]
    idle = row(2, course_id=LADDERS, **CLEARED)
    place = TwoCourses([row(0), row(1), *in_ladders, idle], reference=False)
    place.on_reset = place.reset
    state = tmp_path / "state"

    def asking(use: Any) -> Any:
        return ask(over_the_wire(place), use, state_dir=state)

    plan = asking(lambda client: client.resets.plan_everyone([COURSE, LADDERS]))
    ground = ProofScope.of(plan.origin, ResetFormat(), server_side=True)
    proof = evolve(proof_of(ground, datetime.now(UTC)), counted=False)
    save_proof(StateDirectory.open(state), proof)
    with pytest.raises(ResetInterruptedError):
        asking(
            lambda client: client.resets.apply(
                plan, confirm=plan.phrase, reason="yearly", server_side=True, stop=lambda: bool(place.resets)
            )
        )
    idle.update(COMPLETED)
    with pytest.raises(StalePlanError, match=r"'Zoë No. 2 .* in 'Ladders' has changed"):
        asking(lambda client: client.resets.resume(plan, confirm=plan.phrase))
    assert len(place.resets) == 1
    assert idle["completed_at"]


def test_resume_calls_for_the_second_course_where_everyone_stands_as_planned(tmp_path: Path) -> None:
    ask, state = Asker("sync"), tmp_path / "state"
    idle = [row(2, **CLEARED), row(2, course_id=LADDERS, **CLEARED)]
    place = TwoCourses([row(0), row(0, course_id=LADDERS), *idle])
    place.on_reset = lambda request: (place.reset(request), answer({"usersUpdated": 1}))[1]

    def asking(use: Any) -> Any:
        return ask(over_the_wire(place), use, state_dir=state)

    plan = asking(lambda client: client.resets.plan_everyone([COURSE, LADDERS]))
    with pytest.raises(ResetInterruptedError):
        asking(
            lambda client: client.resets.apply(
                plan, confirm=plan.phrase, reason="yearly", server_side=True, stop=lambda: bool(place.resets)
            )
        )
    idle[0].update(COMPLETED)  # in the course that is done
    assert asking(lambda client: client.resets.resume(plan, confirm=plan.phrase)).is_complete
    assert len(place.resets) == 2


@pytest.mark.parametrize("reference", [True, False])
def test_a_lost_call_is_not_made_again_while_somebody_is_unknown(tmp_path: Path, reference: bool) -> None:
    machine = new_machine(tmp_path, 3, reference=reference)
    machine.organisation.rows[0].update(completed_at="", completed_lessons=1, progress_percent=33.3)
    plan = of_everyone(machine)
    machine.lose(plan, arrives=False, server_side=True)
    machine.organisation.rows[0].update(completed_at="2026-03-01T08:30:00Z", completed_lessons=3)
    machine.puppet.clock += LATER
    with pytest.raises(IncompleteResetError, match=r"names the people who are left\. Then close") as caught:
        machine.resume(plan)
    assert caught.value.report is not None
    assert ends(caught.value.report) == [Outcome.UNKNOWN, Outcome.SKIPPED, Outcome.SKIPPED]
    assert "One call for everyone" in (caught.value.report.users[1].detail or "")
    assert len(machine.organisation.resets) == 1


def test_a_lost_call_is_made_again_where_everyone_stands_as_planned(machine: Machine) -> None:
    machine.organisation.rows.append(untouched(2))
    plan = of_everyone(machine)
    machine.lose(plan, arrives=False, server_side=True)
    machine.puppet.clock += LATER
    assert ends(machine.resume(plan)) == [Outcome.RESET, Outcome.RESET, Outcome.NOTHING_TO_RESET]


def test_everyone_is_compared_again_before_a_call_is_tried_again(machine: Machine) -> None:
    idle = untouched(2)
    machine.organisation.rows.append(idle)
    plan = of_everyone(machine)

    def refused(request: Request) -> Response:
        machine.organisation.on_reset = None
        idle.update(COMPLETED)
        raise NotDeliveredError("refused")

    machine.organisation.on_reset = refused
    with pytest.raises(StalePlanError, match=r"No\. 2") as caught:
        machine.apply(plan, server_side=True)
    assert caught.value.report is not None
    assert caught.value.report.users[2].code is Code.MOVED
    assert idle["completed_at"]


@pytest.mark.parametrize("counted", [False, True])
def test_reading_back_counts_each_stranger_once(machine: Machine, plan: ResetPlan, counted: bool) -> None:

    def joined(request: Request) -> Response:
        machine.organisation.rows.append(row(7))
        said = machine.organisation.reset(request)  # it counts three
        if counted:
            return said
        raise NoAnswerError("the line was cut")

    machine.organisation.on_reset = joined
    with pytest.raises(OutcomeUnknownError):
        machine.apply(plan, server_side=True)
    report = machine.resume(plan)
    assert (report.reached_others, report.is_complete) == (1, False)
    back = [event for event in machine.events(plan) if isinstance(event, ReadBack)]
    assert [event.others for event in back] == [() if counted else (user_id(7),)]
    assert replay(machine.events(plan)).reached_others == 1


def test_who_is_counted_once_is_not_counted_by_the_next_resume(machine: Machine, plan: ResetPlan) -> None:
    machine.lose(plan, arrives=True, server_side=True)
    machine.organisation.rows.append(untouched(7))
    machine.organisation.rows.pop(1)  # so one person stays unknown, and the plan open
    for _ in range(2):
        report = machine.resume(plan)
        assert (report.reached_others, report.others_seen) == (1, (user_id(7),))
        assert (
            f"not in the plan: {user_id(7)}. The call did not reset people who were assigned after it"
            in str(report)
        )
    saved = load(machine.state / "plans" / plan.digest)
    assert saved.others_seen == (user_id(7),)


@pytest.mark.parametrize("not_reset", ["nobody", "left", "as before"])
def test_people_who_join_after_an_exact_count_were_not_reset(tmp_path: Path, not_reset: str) -> None:
    machine = new_machine(tmp_path, 3, reference=False)
    plan = of_everyone(machine)
    machine.organisation.on_reset = lambda request: answer({"usersUpdated": 3})  # seen later
    assert ends(machine.apply(plan, server_side=True)) == [Outcome.UNKNOWN] * 3
    for one in machine.organisation.rows[not_reset == "as before" :]:
        one.update(CLEARED)
    machine.organisation.rows.append(untouched(7))
    if not_reset == "left":
        machine.organisation.rows.pop(0)
    if not_reset == "as before":
        assert machine.resume(plan).reached_others == 0  # so early, the feed may show their past
        machine.puppet.clock += LATER
    report = machine.resume(plan)
    # Who came may have been counted in the place of whoever was not reset.
    expected = (0, True) if not_reset == "nobody" else (1, False)
    assert (report.reached_others, report.is_complete) == expected


@pytest.mark.parametrize(
    ("count", "others", "proved"),
    [(2, 0, None), (3, 1, None), (4, 0, None), (5, 3, None), (4, 0, True), (4, 2, False), (2, 0, False)],
)
def test_whom_a_call_may_count(machine: Machine, count: int, others: int, proved: bool | None) -> None:
    machine.find_proof = lambda ground: evolve(proof_of(ground, START), counts_everyone=proved)
    machine.organisation.rows += [untouched(2), untouched(3)]
    plan = of_everyone(machine)

    def reset(request: Request) -> Response:
        machine.organisation.reset(request)
        return answer({"usersUpdated": count})

    machine.organisation.on_reset = reset
    if others:
        with pytest.raises(OutcomeUnknownError, match=f"At least {others} "):
            machine.apply(plan, server_side=True)
    else:
        assert machine.apply(plan, server_side=True).is_complete
    assert replay(machine.events(plan)).reached_others == others


def test_nobody_is_counted_before_the_call_is_seen_to_arrive(machine: Machine, plan: ResetPlan) -> None:
    machine.lose(plan, arrives=False, server_side=True)
    machine.organisation.rows.append(untouched(7))
    assert machine.resume(plan).reached_others == 0


def test_a_call_without_effect_has_reached_nobody(machine: Machine, plan: ResetPlan) -> None:
    machine.lose(plan, arrives=False, server_side=True)
    machine.organisation.rows.append(untouched(7))
    machine.puppet.clock += LATER
    with pytest.raises(StalePlanError, match=r"No\. 7") as caught:
        machine.resume(plan)
    assert caught.value.report is not None
    assert caught.value.report.reached_others == 0


def test_an_error_names_few_of_many_strangers(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, 1, reference=False)
    plan = of_everyone(machine)

    def joined(request: Request) -> Response:
        said = machine.organisation.reset(request)
        machine.organisation.rows.extend(row(number) for number in range(10, 30))
        return said

    machine.organisation.on_reset = joined
    with pytest.raises(OutcomeUnknownError, match="and 15 more") as caught:
        machine.apply(plan, server_side=True)
    assert len(caught.value.info.metadata) == 20
