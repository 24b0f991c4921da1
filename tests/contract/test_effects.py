"""What a live service may do to a row at a reset and after it: kept fields, vanished rows, dates that move."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from attrs import define, evolve

from contract.conftest import NewStage, Pair
from contract.hours import Hours, quick_hours
from contract.meddling import FEED
from contract.stage import RESET, Handle, Stage
from contract.test_live_service import courses, plan, prove
from mock_server import MockTraining, Policy
from mock_server.wire.message import Request, Response
from training_sdk import (
    Code,
    Outcome,
    OutcomeUnknownError,
    Proof,
    ProofFailedError,
    ResetPlan,
    ResetReport,
    StalePlanError,
    VerificationCode,
    VerificationState,
)
from training_sdk.plans.reset_effect import VANISHED, KeptFields

WHY = "yearly"
SETTLED = timedelta(hours=4)


PAIRS: list[Pair] = [("sync", "in-process")]
"""One is enough: what a proof saw is judged by code of both clients; `test_live_service` proves with each."""


@define
class Live:
    """A service that was proved, or is about to be, and the hours that go by."""

    stage: Stage
    hours: Hours

    @property
    def course(self) -> str:
        """One that is not the course of the proof."""
        return courses(self.stage)[1]

    def prove(self) -> Proof:
        proof: Proof = prove(self.stage, plan(self.stage))
        return proof

    def plan(self) -> ResetPlan:
        made: ResetPlan = self.stage.client().resets.plan_everyone(self.course)
        return made

    def apply(self, wanted: ResetPlan) -> ResetReport:
        report: ResetReport = self.stage.client().resets.apply(wanted, confirm=wanted.phrase, reason=WHY)
        return report

    def resume(self, wanted: ResetPlan) -> ResetReport:
        report: ResetReport = self.stage.client().resets.resume(wanted, confirm=wanted.phrase)
        return report

    def lose(self, wanted: ResetPlan, *, arrives: bool) -> None:
        """Apply a plan whose answer is lost, and let the feed settle."""

        def meddle(request: Request, handle: Handle) -> Response:
            if request.path != RESET:
                return handle(request)
            if arrives:
                handle(request)
            return Response(502, (), b"")

        self.stage.tap.meddle = meddle
        with pytest.raises(OutcomeUnknownError):
            self.apply(wanted)
        self.stage.tap.meddle = lambda request, handle: handle(request)
        self.hours.wait(SETTLED)


Serve = Callable[..., Live]


@pytest.fixture
def serve(new_stage: NewStage, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """A live service with these behaviours."""

    def make(emulates: str, people: int = 5) -> Live:
        hours = quick_hours(monkeypatch)
        mock = MockTraining.generate(users=people, courses=3, policy=Policy(plays="live", emulates=emulates))
        hours.on_wait.append(mock.clock.advance)
        return Live(new_stage(mock), hours)

    return make


KEEPS = {
    "keeps_score": ("score",),
    "keeps_time_spent": ("time_spent_seconds",),
    "keeps_opened_at": ("opened_at",),
    "keeps_score,keeps_time_spent,keeps_opened_at": ("score", "time_spent_seconds", "opened_at"),
}


@pytest.mark.parametrize("emulates", KEEPS)
def test_kept_fields_of_the_proof_are_disregarded_everywhere(serve: Serve, emulates: str) -> None:
    live = serve(emulates)
    assert live.prove().traces.fields == KEEPS[emulates]
    wanted = live.plan()
    (note,) = [one for one in wanted.warnings if one.startswith("This service keeps the ")]
    assert all(getattr(user, name) is None for user in wanted.users for name in KEEPS[emulates])
    report = live.apply(wanted)
    assert report.is_complete
    found = live.stage.client().resets.wait_until_verified(report)
    assert (found.is_verified, found.notes) == (True, (note,))
    assert note in str(found)
    assert live.plan().targets == ()


@pytest.mark.parametrize("arrives", [False, True])
@pytest.mark.parametrize("emulates", KEEPS)
def test_kept_fields_leave_nobody_unknown_after_a_loss(serve: Serve, emulates: str, arrives: bool) -> None:
    live = serve(emulates)
    live.prove()
    wanted = live.plan()
    live.lose(wanted, arrives=arrives)
    report = live.resume(wanted)
    assert report.is_complete
    assert ("Read back. This service keeps the" in str(report)) == arrives
    assert len(live.stage.tap.resets) == 3 - arrives


def test_a_plan_made_before_the_proof_is_not_applied_without_the_note(serve: Serve) -> None:
    live = serve("keeps_score")
    wanted = live.plan()
    live.prove()
    with pytest.raises(StalePlanError, match="keeps the score after a reset") as caught:
        live.apply(wanted)
    assert (caught.value.reason, len(live.stage.tap.resets)) == ("WARNING_MISSING", 1)


def test_where_opening_dates_stay_whoever_began_again_is_known_by_lost_lessons(serve: Serve) -> None:
    live = serve("keeps_opened_at")
    live.prove()
    wanted = live.plan()
    complete = [user for user in wanted.targets if user.completed_at]
    report = live.apply(wanted)
    world = live.stage.mock.world
    first = complete[0].user_id
    world.open(live.course, first)
    world.complete_lesson(live.course, first, world.course(live.course).lessons[0].id)
    found = live.stage.client().resets.wait_until_verified(report)
    assert [one.code for one in found.retrained] == [VerificationCode.BEGUN_AGAIN]


@pytest.mark.parametrize("emulates", ["keeps_score,keeps_opened_at", "omits_empty_rows"])
def test_the_call_for_everyone_is_judged_alike(serve: Serve, emulates: str) -> None:
    live = serve(emulates, people=4)
    prove(live.stage, plan(live.stage, server_side=True))
    wanted = live.plan()
    client = live.stage.client()
    report = client.resets.apply(wanted, confirm=wanted.phrase, reason=WHY, server_side=True)
    assert report.is_complete
    assert len(live.stage.tap.resets) == 2


# --- no row where nothing is recorded ------------------------------------------------------------------------------


def test_a_service_without_empty_rows_is_proved_planned_reset_and_verified(serve: Serve) -> None:
    live = serve("omits_empty_rows")
    proof = live.prove()
    assert (proof.traces.row_vanishes, proof.traces.fields) == (True, ())
    wanted = live.plan()
    assert VANISHED.warning in wanted.warnings
    report = live.apply(wanted)
    found = live.stage.client().resets.wait_until_verified(report)
    assert (report.is_complete, found.is_verified, VANISHED.warning in str(found)) == (True, True, True)


@pytest.mark.parametrize("arrives", [False, True])
def test_a_missing_row_is_cleared_where_the_proof_saw_one_vanish(serve: Serve, arrives: bool) -> None:
    live = serve("omits_empty_rows")
    live.prove()
    wanted = live.plan()
    live.lose(wanted, arrives=arrives)
    assert live.resume(wanted).is_complete
    assert len(live.stage.tap.resets) == 3 - arrives


def leaves(live: Live, user_id: str) -> None:
    """The feed has no row of somebody in the course of the test any more; elsewhere it has."""

    def meddle(request: Request, handle: Handle) -> Response:
        response = handle(request)
        if request.path != FEED or response.status != 200:
            return response
        said = json.loads(response.body)
        gone = {(live.course, user_id), (courses(live.stage)[0], user_id)}
        said["data"] = [one for one in said["data"] if (one["course_id"], one["user_id"]) not in gone]
        return evolve(response, body=json.dumps(said).encode())

    live.stage.tap.meddle = meddle


def test_a_missing_row_stays_unknown_where_the_proof_saw_an_empty_one(serve: Serve) -> None:
    live = serve("")
    assert live.prove().traces == KeptFields()
    wanted = live.plan()
    live.lose(wanted, arrives=True)
    gone = wanted.targets[0]
    leaves(live, gone.user_id)
    report = live.resume(wanted)
    left = [one.user_id for one in report.users if one.outcome is Outcome.UNKNOWN]
    assert left == [gone.user_id]
    found = live.stage.client().resets.wait_until_verified(report)
    assert [one.code for one in found.people if one.state is not VerificationState.VERIFIED] == [
        VerificationCode.NOT_SHOWN
    ]


def test_somebody_who_leaves_the_course_of_a_proof_is_not_taken_for_a_vanished_row(serve: Serve) -> None:
    live = serve("")
    proof = plan(live.stage)
    (person,) = proof.reset.targets
    live.hours.on_wait.append(lambda by: leaves(live, person.user_id))
    with pytest.raises(ProofFailedError) as caught:
        prove(live.stage, proof)
    assert caught.value.reason == "WITNESS_MOVED"


# --- an opening date that moves -------------------------------------------------------------------------------------


def in_mid_course(live: Live, wanted: ResetPlan) -> str:
    return next(user.user_id for user in wanted.targets if user.completed_lessons and not user.completed_at)


def test_opening_the_course_after_a_request_that_never_arrived_is_no_reset(serve: Serve) -> None:
    live = serve("updates_opened_at")
    live.prove()
    wanted = live.plan()
    somebody = in_mid_course(live, wanted)
    live.lose(wanted, arrives=False)
    live.stage.mock.world.open(live.course, somebody)
    report = live.resume(wanted)
    assert [one.user_id for one in report.users if one.outcome is Outcome.UNKNOWN] == [somebody]
    found = live.stage.client().resets.wait_until_verified(report)
    left = [(one.user_id, one.code) for one in found.people if one.state is not VerificationState.VERIFIED]
    assert left == [(somebody, VerificationCode.LESSONS_RECORDED)]
    assert (live.course, somebody) not in {(one.course_id, one.user_id) for one in found.retrained}


@pytest.mark.parametrize("emulates", ["", "updates_opened_at", "keeps_opened_at"])
def test_somebody_in_mid_course_who_completes_it_soon_is_verified(serve: Serve, emulates: str) -> None:
    live = serve(emulates)
    live.prove()
    wanted = live.plan()
    somebody = in_mid_course(live, wanted)
    report = live.apply(wanted)
    live.hours.wait(timedelta(minutes=6))  # by more than the clocks may differ
    live.stage.mock.world.complete_course(live.course, somebody)
    found = live.stage.client().resets.wait_until_verified(report)
    assert [(one.user_id, one.code) for one in found.retrained] == [
        (somebody, VerificationCode.COMPLETE_AGAIN)
    ]
    assert found.is_verified


# --- a service that resets completed people only --------------------------------------------------------------------

SELECTIVE = "The service seems to reset only people who have completed the course"


@pytest.mark.parametrize("emulates", ["resets_completed_only", "resets_completed_only,counts_nobody"])
def test_a_service_that_resets_completed_people_only_is_named(serve: Serve, emulates: str) -> None:
    live = serve(emulates)
    live.prove()
    wanted = live.plan()
    done = {user.user_id for user in wanted.targets if user.completed_at}
    left = {user.user_id for user in wanted.targets} - done
    assert done
    assert left
    if "," in emulates:
        live.apply(wanted)
    else:
        with pytest.raises(OutcomeUnknownError, match=SELECTIVE):
            live.apply(wanted)
    assert SELECTIVE not in str(live.resume(wanted))  # the feed may still show the past
    for _ in range(2):
        live.hours.wait(SETTLED)
        report = live.resume(wanted)
        assert {one.user_id for one in report.users if one.outcome is Outcome.RESET} == done
        assert {one.user_id for one in report.users if one.code is Code.COMPLETED_ONLY} == left
        assert SELECTIVE in str(report)
    found = live.stage.client().resets.wait_until_verified(report)
    assert (found.counts[VerificationState.CONTRADICTED], SELECTIVE in str(found)) == (len(left), True)
    assert len(live.stage.tap.resets) == 2


def test_where_completed_people_only_are_reset_a_plan_of_those_is_complete(serve: Serve) -> None:
    live = serve("resets_completed_only")
    live.prove()
    wanted = live.stage.client().resets.plan_everyone(live.course, only="completed")
    assert live.apply(wanted).is_complete


@pytest.mark.parametrize(
    ("emulates", "reason"),
    [("resets_completed_only", "COUNT_DIFFERS"), ("resets_completed_only,counts_nobody", "NOT_SEEN")],
)
def test_a_proof_with_somebody_in_mid_course_names_it(serve: Serve, emulates: str, reason: str) -> None:
    live = serve(emulates)
    proof = live.stage.client().resets.plan_proof(courses(live.stage)[0], "user4@generated.example")
    assert proof.reset.targets[0].completed_at is None
    with pytest.raises(ProofFailedError, match="only people who have completed the course") as caught:
        prove(live.stage, proof)
    assert caught.value.reason == reason


def test_a_proof_of_the_call_for_everyone_names_it_by_what_is_seen(serve: Serve) -> None:
    live = serve("resets_completed_only,counts_nobody")
    with pytest.raises(ProofFailedError, match=SELECTIVE) as caught:
        prove(live.stage, plan(live.stage, server_side=True))
    assert caught.value.reason == "COMPLETED_ONLY"
