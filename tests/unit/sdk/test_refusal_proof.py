"""A proof of refusals: only a status that was seen to have no effect is believed of several people (R05)."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from training_sdk import (
    InvalidArgumentError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    ProofFailedError,
    ProofPlan,
    RecordsDamagedError,
    UnconfirmedFormatError,
)
from training_sdk._core.flow import NotDeliveredError, Request, Response, TransportError
from training_sdk.format_proof import pending
from training_sdk.format_proof.proof_ends import ProofRecorder
from training_sdk.format_proof.proof_planner import WantedProof, plan_proof
from training_sdk.format_proof.proof_run import RefusalProofRun
from training_sdk.format_proof.proofs import PROVABLE, Proof, ProofScope, find_proof, save_proof
from training_sdk.local_plans.admission import proof_that_holds
from training_sdk.local_plans.record_check import check_records
from training_sdk.plans.planner import PlanOptions
from training_sdk.records.audit import AuditLog
from training_sdk.records.events import Intent, Refused, RefusedInDoubt
from training_sdk.records.journal import read_journal
from training_sdk.records.journal_state import PersonState, replay
from training_sdk.records.state import StateDirectory
from training_sdk.resets.reset_request import Order
from unit.sdk.fakes import CALLS, CLEARED, COURSE, FakeDriver, answer, row, user_id
from unit.sdk.machine import Machine, new_machine
from unit.sdk.machine import any_proof as proof_of
from unit.sdk.test_proof_run import FORMAT, Killed, Mortal, kept, planned, proving, service

ABSENT = user_id(7)
"""A user who is assigned to another course only."""
ELSEWHERE = row(7, course_id="another")
Reply = Callable[[Request], Response]


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(tmp_path / "own"))


class Course:
    """A live service on which the format is proved, and the person of the proof has learned again."""

    def __init__(self, *, prove: bool = True) -> None:
        self.service = service(dict(ELSEWHERE))
        self.puppet = FakeDriver(self.service, clock=1.0)
        if prove:
            self.puppet.run(proving(planned(self.service)).run())
            self.service.rows[0].update(row(0))

    @property
    def person(self) -> dict[str, Any]:
        return self.service.rows[0]

    def plan(self, refused_with: str | None = ABSENT) -> ProofPlan:
        wanted = WantedProof(PlanOptions((COURSE,), None), FORMAT, user_id(0), None, refused_with)
        plan = self.puppet.run(plan_proof(CALLS, wanted))
        self.ground = plan.ground
        return plan

    def prove(self, plan: ProofPlan, **changes: Any) -> Proof:
        assert plan.refused_with is not None
        keeper = ProofRecorder(None, None, timedelta(hours=4), witnesses=plan.witnesses)
        order = Order(plan.reset, FORMAT, "why", named_last=(plan.refused_with,))
        made = RefusalProofRun(CALLS, plan, order, keeper, timedelta(hours=6))
        return self.puppet.run(evolve(made, **changes).run())

    def fails(self, reply: Reply, reason: str) -> ProofFailedError:
        """Prove with a service that answers so, and see it end with this reason."""
        self.service.on_reset = reply
        with pytest.raises(ProofFailedError) as caught:
            self.prove(self.plan())
        assert caught.value.reason == reason, caught.value.message
        return caught.value


def refuses(status: int) -> Reply:
    """Refuse the whole of it."""
    return lambda _: answer({"message": "not that one"}, status)


def resets_first(course: Course, response: Response) -> Reply:
    """Reset the person, and answer this."""

    def reply(_: Request) -> Response:
        course.person.update(CLEARED)
        return response

    return reply


def events() -> list[str]:
    return [entry["event"] for entry in AuditLog(StateDirectory.open().audit).entries()]


@pytest.mark.parametrize("status", PROVABLE)
def test_r05_a_refusal_that_is_seen_to_have_no_effect_is_kept_with_its_status_alone(status: int) -> None:
    course = Course()
    course.service.on_reset = refuses(status)
    plan = course.plan()
    before, sent_at = kept(plan), course.puppet.clock
    found = course.prove(plan)
    assert before is not None
    assert found == kept(plan) == evolve(before, refusals_without_effect=(status,))
    assert json.loads(course.service.resets[-1].body or b"")["userIds"] == [user_id(0), ABSENT]
    assert course.puppet.clock - sent_at >= 3.25 * 3600
    assert events()[-1] == "refusal proved"
    (intent,) = (one for one in _events(plan) if isinstance(one, Intent))
    assert (intent.user_ids, intent.named_last) == ((user_id(0),), (ABSENT,))
    assert replay(_events(plan)).person_state(COURSE, user_id(0)) is PersonState.UNSENT
    assert pending.find(StateDirectory.open(), plan.ground) is None
    assert not [one for one in check_records(StateDirectory.open()) if not one.is_note]


def _events(plan: ProofPlan) -> tuple[Any, ...]:
    return read_journal(StateDirectory.open().plan_folder(plan.reset.digest))


def test_a_second_status_is_added_to_the_first() -> None:
    course = Course()
    for status, known in ((404, (404,)), (400, (400, 404))):
        course.service.on_reset = refuses(status)
        assert course.prove(course.plan()).refusals_without_effect == known


@pytest.mark.parametrize("status", [401, 409, 412, 413, 422, 428, 429, 501])
def test_a_refusal_of_the_request_as_a_whole_shows_nothing_of_one_of_the_people(status: int) -> None:
    course = Course()
    course.service.on_reset = refuses(status)
    plan = course.plan()
    with pytest.raises(ProofFailedError) as caught:
        course.prove(plan)
    assert caught.value.reason in ("REFUSED", "NOT_REFUSED")
    proof = kept(plan)
    assert proof is not None
    assert proof.refusals_without_effect == ()


def test_r05_a_refusal_after_a_part_is_not_kept_and_takes_back_that_status_only() -> None:
    course = Course()
    proof = kept(course.plan())
    assert proof is not None
    save_proof(StateDirectory.open(), evolve(proof, refusals_without_effect=(400, 404)))
    error = course.fails(resets_first(course, answer({"message": "no"}, 404)), "REFUSED_WITH_EFFECT")
    assert "The proof of the format is still valid" in error.message
    assert "but it reset" in error.message
    assert kept_now(course) == evolve(proof, refusals_without_effect=(400,))


def kept_now(course: Course) -> Proof | None:
    return proof_that_holds(StateDirectory.open(), course.ground)


def test_a_refusal_that_is_carried_out_late_is_seen() -> None:
    course = Course()
    refused: list[float] = []

    def work(_: Request) -> None:
        if refused and course.puppet.clock >= refused[0] + 3 * 3600:
            course.person.update(CLEARED)

    def refuse(_: Request) -> Response:
        refused.append(course.puppet.clock)
        return answer({"message": "no"}, 404)

    course.service.before = work
    course.fails(refuse, "REFUSED_WITH_EFFECT")
    proof = kept_now(course)
    assert proof is not None
    assert proof.refusals_without_effect == ()


@pytest.mark.parametrize("count", [None, 0, 1, 2])
def test_a_service_that_accepts_the_request_keeps_its_proof_and_no_status(count: int | None) -> None:
    course = Course()
    proof = kept(course.plan())
    said = {} if count is None else {"usersUpdated": count}
    error = course.fails(resets_first(course, answer(said)), "NOT_REFUSED")
    assert "was reset" in error.message
    assert error.report is not None
    assert [user.outcome for user in error.report.users] == [Outcome.RESET]
    assert error.report.reached_others == 0
    assert kept_now(course) == proof
    assert len(course.service.resets) == 2


def test_a_count_above_two_withdraws_the_proof_of_the_format() -> None:
    course = Course()
    plan = course.plan()
    error = course.fails(resets_first(course, answer({"usersUpdated": 3})), "COUNT_DIFFERS")
    assert error.report is not None
    assert error.report.reached_others == 1
    assert kept(plan) is None


def test_somebody_else_who_loses_progress_withdraws_the_proof_of_the_format() -> None:
    course = Course()
    plan = course.plan()

    def reply(_: Request) -> Response:
        course.service.rows[1].update(CLEARED)
        return answer({"message": "no"}, 404)

    course.fails(reply, "WITNESS_CLEARED")
    assert kept(plan) is None


def test_the_user_who_is_refused_is_watched_in_their_other_course() -> None:
    course = Course()

    def reply(_: Request) -> Response:
        course.service.rows[-1].update(CLEARED)
        return answer({"message": "no"}, 404)

    assert course.service.rows[-1]["user_id"] == ABSENT
    course.fails(reply, "WITNESS_CLEARED")


def test_an_answer_that_was_lost_is_no_refusal() -> None:
    course = Course()

    def lose(_: Request) -> Response:
        raise TransportError("reset by peer")

    error = course.fails(lose, "NOT_REFUSED")
    assert "did not change" in error.message


def test_without_a_proof_of_the_format_nothing_is_sent() -> None:
    course = Course(prove=False)
    with pytest.raises(UnconfirmedFormatError, match="never proved"):
        course.prove(course.plan())
    assert not course.service.resets


def test_another_users_token_is_refused_since_a_403_could_be_about_the_token() -> None:
    course = Course()
    plan = course.plan()
    proof = kept(plan)
    assert proof is not None
    save_proof(StateDirectory.open(), evolve(proof, proved_by="user_other"))
    with pytest.raises(UnconfirmedFormatError, match="user_other"):
        course.prove(plan)
    assert len(course.service.resets) == 1


def test_whoever_stops_waiting_goes_on_and_sends_nothing_again() -> None:
    course = Course()
    course.service.on_reset = refuses(404)
    with pytest.raises(ProofFailedError) as caught:
        course.prove(course.plan(), deadline=timedelta(0))
    assert caught.value.reason == "NOT_SEEN_YET"
    assert "still valid" in caught.value.message
    course.puppet.clock += 60
    with pytest.raises(InvalidArgumentError, match=f"to be refused, {ABSENT}"):
        course.plan(None)
    assert course.prove(course.plan()).refusals_without_effect == (404,)
    assert len(course.service.resets) == 2


def test_a_request_that_was_never_delivered_leaves_nothing_open() -> None:
    course = Course()

    def lose(_: Request) -> Response:
        raise NotDeliveredError("no route", hopeless=True)

    course.service.on_reset = lose
    with pytest.raises(Exception, match="no route"):
        course.prove(course.plan())
    course.service.on_reset = refuses(404)
    course.puppet.clock += 60
    assert course.prove(course.plan()).refusals_without_effect == (404,)


def test_a_proof_withdrawn_meanwhile_keeps_no_status() -> None:
    course = Course()
    course.service.on_reset = refuses(404)
    plan = course.plan()
    with pytest.raises(ProofFailedError):
        course.prove(plan, deadline=timedelta(0))
    state = StateDirectory.open()
    (state.proofs / f"{plan.ground.name}.json").unlink()
    with pytest.raises(ProofFailedError, match="no longer valid"):
        course.prove(course.plan())
    assert find_proof(state, plan.ground) is None
    assert pending.find(state, plan.ground) is None


@pytest.mark.parametrize(
    ("refused_with", "why"), [(user_id(1), "is on 'Forklift"), (user_id(2), "is on"), ("nobody", "no course")]
)
def test_who_is_refused_is_not_on_the_course_and_known_to_the_service(refused_with: str, why: str) -> None:
    with pytest.raises(InvalidArgumentError, match=why):
        Course(prove=False).plan(refused_with)


def test_the_person_has_progress_that_a_reset_would_take_away() -> None:
    course = Course()
    course.person.update({**CLEARED, "opened_at": "2026-01-01T00:00:00Z"})
    with pytest.raises(InvalidArgumentError, match="no completed lesson in the course"):
        course.plan()


def test_the_phrase_and_the_text_say_whom_the_request_names() -> None:
    plan = Course(prove=False).plan()
    other = evolve(plan, refused_with=None)
    assert ABSENT in plan.phrase
    assert plan.digest != other.digest
    assert plan.phrase != other.phrase
    assert "expected to refuse it" in str(plan)


def test_a_proof_of_an_earlier_version_has_none() -> None:
    course = Course()
    plan = course.plan()
    path = StateDirectory.open().proofs / f"{plan.ground.name}.json"
    said = json.loads(path.read_bytes())
    del said["refusals_without_effect"]
    path.write_text(json.dumps(said))
    proof = kept(plan)
    assert proof is not None
    assert proof.refusals_without_effect == ()
    path.write_text(json.dumps({**said, "refusals_without_effect": [429]}))
    with pytest.raises(RecordsDamagedError, match="429"):
        kept(plan)


@pytest.mark.heavy
@pytest.mark.parametrize("partway", [False, True], ids=["as a whole", "after a part"])
def test_killed_at_any_effect_no_status_is_kept_that_was_not_seen(
    partway: bool, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    at, died = 0, True
    while died:
        assert at < 1000, "it ends"
        at += 1
        monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(tmp_path_factory.mktemp("state") / "own"))
        course = Course()
        refusal = answer({"message": "no"}, 404)
        course.service.on_reset = resets_first(course, refusal) if partway else refuses(404)
        clock = course.puppet.clock
        course.puppet = Mortal(course.service, 10_000, after=False, clock=clock)
        plan = course.plan()
        course.puppet.left = at
        died = _prove_or_die(course, plan)
        course.puppet = FakeDriver(course.service, clock=course.puppet.clock + 60)
        if died and (proof := kept_now(course)) is not None and not proof.refusals_without_effect:
            with suppress(ProofFailedError, InvalidArgumentError):
                course.prove(course.plan())
        proof = kept_now(course)
        assert proof is not None
        assert proof.refusals_without_effect == () or not partway
        assert len(course.service.resets) <= 2
    assert at > 40


def _prove_or_die(course: Course, plan: ProofPlan) -> bool:
    try:
        course.prove(plan)
    except Killed:
        return True
    except ProofFailedError:
        return False
    return False


# --- what it changes --------------------------------------------------------------------------------------------------


def proved(machine: Machine, *statuses: int) -> None:
    """Let the bench apply under a proof that holds these statuses."""

    def find(ground: ProofScope) -> Proof | None:
        proof = proof_of(ground)
        return None if proof is None else evolve(proof, refusals_without_effect=statuses)

    machine.find_proof = find


def test_r05_a_refusal_of_a_proved_status_is_certain_for_several_people(tmp_path: Path) -> None:
    machine: Machine = new_machine(tmp_path, reference=False)
    proved(machine, 404)
    plan = machine.plan(0, 1, 2)
    machine.organisation.on_reset = refuses(404)
    with pytest.raises(NotFoundError) as caught:
        machine.apply(plan)
    assert caught.value.report is not None
    assert [user.outcome for user in caught.value.report.users] == [Outcome.FAILED] * 3
    assert [one for one in machine.events(plan) if isinstance(one, Refused)]
    machine.organisation.on_reset = None
    assert machine.resume(plan).is_complete, "at once, and not after the lag"
    assert [len(people) for people in machine.organisation.people_sent] == [3, 3]


@pytest.mark.parametrize("status", [400, 403, 429])
def test_r05_a_refusal_of_another_status_stays_unknown(tmp_path: Path, status: int) -> None:
    machine: Machine = new_machine(tmp_path, reference=False)
    proved(machine, 404)
    plan = machine.plan(0, 1, 2)
    machine.organisation.on_reset = refuses(status)
    with pytest.raises(OutcomeUnknownError):
        machine.apply(plan)
    assert [one.status for one in machine.events(plan) if isinstance(one, RefusedInDoubt)] == [status]


def test_r05_resume_believes_a_proved_status_too(tmp_path: Path) -> None:
    machine: Machine = new_machine(tmp_path, reference=False)
    plan = machine.plan(0, 1, 2)
    machine.organisation.on_reset = refuses(404)
    with pytest.raises(OutcomeUnknownError):
        machine.apply(plan)
    proved(machine, 404)
    machine.puppet.clock += 5 * 3600
    with pytest.raises(NotFoundError):
        machine.resume(plan)
    assert [type(one) for one in machine.events(plan) if isinstance(one, Refused | RefusedInDoubt)] == [
        RefusedInDoubt,
        Refused,
    ]


def test_the_first_step_sends_nobody_else() -> None:
    course = Course()
    assert [json.loads(one.body or b"")["userIds"] for one in course.service.resets] == [[user_id(0)]]
