"""A proof, stopped anywhere: what goes on sends nothing twice, and no proof is kept that was not seen."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from training_sdk import (
    AlreadyAppliedError,
    Code,
    InvalidArgumentError,
    Outcome,
    OverlappingPlanError,
    ProofFailedError,
    ProofPlan,
    RecordsDamagedError,
    RecordsLockedError,
    ResetFormat,
    Safeguards,
    TrainingError,
)
from training_sdk._core import codec
from training_sdk._core.flow import Request, Response, RunLocally
from training_sdk._core.model import Key
from training_sdk.api.progress import ProgressRow
from training_sdk.format_proof import pending
from training_sdk.format_proof.proof_ends import ProofRecorder
from training_sdk.format_proof.proof_planner import WantedProof, plan_proof
from training_sdk.format_proof.proof_run import ProofRun, was_unreadable
from training_sdk.format_proof.proofs import Observation, Proof, find_proof, save_proof
from training_sdk.local_plans.admission import proof_that_holds
from training_sdk.local_plans.plan_records import resets_begun, resets_known
from training_sdk.local_plans.record_check import check_records
from training_sdk.plans.planned import PlannedReset
from training_sdk.plans.planner import PlanOptions
from training_sdk.plans.reading import kept_fields_here
from training_sdk.plans.reset_effect import KeptFields, has_lost
from training_sdk.records.journal_state import RecordedRequest, RequestState
from training_sdk.records.state import StateDirectory
from training_sdk.resets.reset_request import Order
from training_sdk.resets.unfinished import prove_command, report_in
from unit.sdk.fakes import (
    CALLS,
    CLEARED,
    COURSE,
    START,
    FakeDriver,
    Organisation,
    answer,
    refusal,
    row,
    untouched,
    user_id,
)
from unit.sdk.proving import proof_of

FORMAT = ResetFormat()
IN_ANOTHER = row(0, course_id="another")
CASES = (
    row(0),
    row(1),
    untouched(2),
    row(3, completed_at="", progress_percent=50.0, completed_lessons=1, score=0),
)


class Killed(BaseException):
    """The process is gone."""


class Mortal(FakeDriver):
    """Dies right before the nth effect that reaches disk or network, or right after it."""

    def __init__(self, organisation: Organisation, at: int, *, after: bool, clock: float) -> None:
        super().__init__(organisation, clock=clock)
        self.left, self.after = at, after

    def _perform(self, effect: object) -> object:
        if not isinstance(effect, RunLocally | Request):
            return super()._perform(effect)
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        result = super()._perform(effect)
        if self.left == 0:
            raise Killed
        return result


def service(*more: dict[str, Any], drops_course: bool = False) -> Organisation:
    """A live service with progress of the first person in another course, which a reset may reach as well."""
    rows = [dict(one) for one in (*CASES, IN_ANOTHER, *more)]
    organisation = Organisation(rows, reference=False, counted=len(CASES))

    def reply(request: Request) -> Response:
        people = json.loads(request.body or b"").get("userIds")
        for one in organisation.rows:
            is_named = people is None or one["user_id"] in people
            if is_named and (drops_course or one["course_id"] == COURSE):
                one.update(CLEARED)
        return answer({"usersUpdated": 1})

    organisation.on_reset = reply
    return organisation


def planned(organisation: Organisation, clock: float = 0.0) -> ProofPlan:
    wanted = WantedProof(PlanOptions((COURSE,), None), FORMAT, user_id(0), None)
    return FakeDriver(organisation, clock=clock).run(plan_proof(CALLS, wanted))


def proving(plan: ProofPlan) -> ProofRun:
    keeper = ProofRecorder(None, None, timedelta(hours=4), witnesses=plan.witnesses)
    return ProofRun(CALLS, plan, Order(plan.reset, FORMAT, "why"), keeper, timedelta(hours=4))


def prove(organisation: Organisation, plan: ProofPlan, clock: float = 1.0) -> Proof:
    return FakeDriver(organisation, clock=clock).run(proving(plan).run())


def stop_waiting(organisation: Organisation, plan: ProofPlan) -> None:
    """Send the request of a proof, and give up at once: the proof is pending."""
    with refusal(ProofFailedError, "NOT_SEEN_YET"):
        FakeDriver(organisation, clock=1.0).run(evolve(proving(plan), deadline=timedelta(0)).run())


def kept(plan: ProofPlan) -> Proof | None:
    state = StateDirectory.existing()
    return None if state is None else find_proof(state, plan.ground)


def test_a_proof_takes_nobody_whose_address_or_id_only_folds_alike() -> None:
    people = [row(0, user_email="max@strasse.example"), *CASES[1:]]
    service = Organisation([*map(dict, people), dict(IN_ANOTHER)], reference=False, counted=len(CASES))
    for person in ("max@stra\u00dfe.example", user_id(0).upper(), "\u212aim@x.example"):
        wanted = WantedProof(PlanOptions((COURSE,), None), FORMAT, person, None)
        with pytest.raises(InvalidArgumentError, match="fits no person"):
            FakeDriver(service).run(plan_proof(CALLS, wanted))
    wanted = WantedProof(PlanOptions((COURSE,), None), FORMAT, " MAX@strasse.example", None)
    (user,) = FakeDriver(service).run(plan_proof(CALLS, wanted)).reset.users
    assert user.user_id == user_id(0)


@pytest.mark.parametrize(
    "progress",
    [
        None,
        {**CLEARED},
        {**CLEARED, "opened_at": "2026-01-01T00:00:00Z"},  # a service may keep when a course was opened
        {**CLEARED, "score": 80},  # or a score
    ],
    ids=["no row", "nothing", "opened only", "score only"],
)
def test_a_proof_demands_progress_of_the_person_in_another_course(progress: dict[str, Any] | None) -> None:
    organisation = service(row(1, course_id="another"))  # that of somebody else on the course shows nothing
    if progress is None:
        organisation.rows.remove(IN_ANOTHER)
    else:
        next(one for one in organisation.rows if one == IN_ANOTHER).update(progress)
    with refusal(InvalidArgumentError, "PROOF_TOO_NARROW", "visible in another course"):
        planned(organisation)


@pytest.mark.parametrize(
    ("person", "others", "elsewhere", "missing"),
    [
        (True, True, False, "No completion of this person is visible in another course"),
        (True, False, True, "No other person has completed this course"),
        (True, True, True, None),
        (False, False, False, None),
    ],
)
def test_a_proof_needs_completions(person: bool, others: bool, elsewhere: bool, missing: str | None) -> None:
    midway = {"completed_at": "", "progress_percent": 50.0, "completed_lessons": 1}
    organisation = service()
    for one in organisation.rows:
        is_first, is_here = one["user_id"] == user_id(0), one["course_id"] == COURSE
        if not (person if is_first and is_here else elsewhere if is_first else others):
            one.update(midway)
    if missing is None:
        assert planned(organisation).is_wide_enough
        return
    with pytest.raises(InvalidArgumentError, match=missing) as caught:
        planned(organisation)
    assert caught.value.reason == "PROOF_TOO_NARROW"


def test_a_service_that_ignores_the_course_is_caught_by_the_other_course() -> None:
    organisation = service(drops_course=True)
    plan = planned(organisation)
    with pytest.raises(ProofFailedError) as caught:
        prove(organisation, plan)
    assert caught.value.reason == "WITNESS_CLEARED"
    assert "another" in caught.value.message
    assert kept(plan) is None


def test_a_proof_keeps_the_courses_that_were_seen_to_stay() -> None:
    organisation = service()
    plan = planned(organisation)
    proof = prove(organisation, plan)
    assert proof == kept(plan)
    assert proof.other_courses == ("another",)
    assert proof_that_holds(StateDirectory.open(), plan.ground) == proof


def test_a_pending_proof_is_not_shown_as_done_and_nobody_is_told_to_plan_again() -> None:
    organisation = service()
    organisation.on_reset = lambda request: answer({"usersUpdated": 1})
    plan = planned(organisation)
    stop_waiting(organisation, plan)
    state = StateDirectory.open()
    folder = state.plan_folder(plan.reset.digest)
    report, unfinished = report_in(state, folder, START)
    assert unfinished is not None
    assert not report.is_complete
    assert [(one.outcome, one.code) for one in report.users] == [(Outcome.UNKNOWN, Code.NOT_SEEN)]
    assert "accepted, and the effect is not seen yet" in str(unfinished)
    assert _begun(state, plan) == ([], [plan.reset.users[0].key])
    (found,) = check_records(state)
    assert found.is_note
    assert "is pending. Prove it again" in str(found)
    assert f"training-sdk prove --course {COURSE} --person {user_id(0)} --reason TEXT, not before" in str(
        unfinished
    )
    refused = prove_command(plan.reset, server_side=False, refused_with="user_other")
    assert f"--person {user_id(0)} --refused-with user_other --reason TEXT" in refused
    keeper = ProofRecorder(None, None, timedelta(hours=4), witnesses=plan.witnesses, resuming=True)
    with pytest.raises(AlreadyAppliedError, match="prove_format") as caught:
        FakeDriver(organisation, clock=2.0).run(keeper.claim_plan(plan.reset))
    keeper.release()
    assert "Plan again" not in caught.value.message


def test_a_proof_that_was_planned_beside_another_is_not_sent_while_that_one_is_pending() -> None:
    organisation = service(row(1, course_id="another"))
    plan = planned(organisation)
    wanted = WantedProof(PlanOptions((COURSE,), None), FORMAT, user_id(1), None)
    other = FakeDriver(organisation).run(plan_proof(CALLS, wanted))
    refused: list[TrainingError] = []

    def prove_other() -> None:
        with pytest.raises(TrainingError) as caught:
            prove(organisation, other, 2.0)
        refused.append(caught.value)

    def reply(request: Request) -> Response:
        prove_other()  # by another process, while the first one waits for its answer
        return answer({"usersUpdated": 1})

    organisation.on_reset = reply
    stop_waiting(organisation, plan)
    prove_other()
    assert [type(error) for error in refused] == [RecordsLockedError, OverlappingPlanError]
    assert len(organisation.resets) == 1
    state = StateDirectory.open()
    report, unfinished = report_in(state, state.plan_folder(plan.reset.digest), START)
    assert (unfinished is not None, report.is_complete) == (True, False)


def _clear_elsewhere(organisation: Organisation) -> Response:
    """Reset another person than the one who was named."""
    organisation.rows[1].update(CLEARED)
    return answer({"usersUpdated": 1})


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (lambda organisation: answer({"usersUpdated": 1}), "NOT_SEEN"),
        (_clear_elsewhere, "WITNESS_CLEARED"),
    ],
)
def test_a_failed_proof_reports_no_resets(reply: Callable[[Organisation], Response], reason: str) -> None:
    organisation = service()
    organisation.on_reset = lambda request: reply(organisation)
    plan = planned(organisation)
    with pytest.raises(ProofFailedError) as caught:
        prove(organisation, plan)
    assert caught.value.reason == reason
    state = StateDirectory.open()
    read, unfinished = report_in(state, state.plan_folder(plan.reset.digest), START)
    assert unfinished is None
    for report in (caught.value.report, read):
        assert report is not None
        assert [(one.outcome, one.code) for one in report.users] == [(Outcome.UNKNOWN, Code.NOT_SEEN)]
        assert "not seen when the proof ended" in str(report)
    assert not resets_known(state, plan.reset.origin)
    assert _begun(state, plan) == ([], [plan.reset.users[0].key])


def _begun(state: StateDirectory, plan: ProofPlan) -> tuple[list[Key], list[Key]]:
    """Who was reset by the records, and who may have been."""
    found, in_doubt = resets_begun(state, plan.reset.origin)
    return [*found], [*in_doubt]


def test_a_proof_that_an_older_version_began_ends_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    organisation = service()
    whole = planned(organisation)
    old = evolve(whole, witnesses=tuple(one for one in whole.witnesses if one.course_id == COURSE))
    with monkeypatch.context() as before:
        before.setattr("training_sdk.format_proof.proof_run.check_witnesses", lambda plan: None)
        stop_waiting(organisation, old)
    with refusal(ProofFailedError, "PROOF_TOO_NARROW"):
        prove(organisation, planned(organisation, 60.0), 60.0)
    assert kept(whole) is None
    assert len(organisation.resets) == 1


@pytest.mark.heavy
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_effect_it_goes_on_and_sends_nothing_twice(
    after: bool, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    at, died = (
        -1,
        True,
    )  # right after one effect is right before the next: every second one, twice, is all of them
    while died:
        assert at < 1000, "it ends"
        at, organisation = at + 2, service()
        monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(tmp_path_factory.mktemp("state") / "own"))
        plan = planned(organisation)
        mortal = Mortal(organisation, at, after=after, clock=1.0)
        flow = proving(plan).run()
        try:
            mortal.run(flow)
            died = False
        except (Killed, TrainingError):
            flow.close()
        assert not (kept(plan) and not organisation.resets)
        if died and kept(plan) is None:
            _go_on(organisation, mortal.clock + 60)
        assert kept(plan) is not None
        assert [json.loads(one.body or b"")["userIds"] for one in organisation.resets] == [[user_id(0)]]
    assert at > 40


def _go_on(organisation: Organisation, clock: float) -> None:
    """Plan again and prove again, as somebody would who finds it stopped."""
    try:
        prove(organisation, planned(organisation, clock), clock)
    except ProofFailedError as error:
        # Marked as sent, and killed before it was: nobody can know that before the feed has had its time.
        if (error.reason, organisation.resets) != ("NOT_SEEN", []):
            raise
        later = clock + 4 * 3600
        prove(organisation, planned(organisation, later), later)


def _pending_files() -> list[Path]:
    return [*StateDirectory.open().proofs.glob("*.pending.json")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no fork")
@pytest.mark.parametrize("where", ["gather", "note"])
def test_a_forked_child_ends_no_proof_of_its_parent(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that is stopped by the parent's lock may not drop the parent's pending proof."""
    organisation = service()
    plan = planned(organisation)
    parent = os.getpid()
    ends: list[int] = []
    real = getattr(ProofRecorder, where)

    def forking(*given: Any) -> Any:
        if not ends:
            child = os.fork()
            ends.append(os.waitpid(child, 0)[1] if child else 0)  # the parent holds its locks meanwhile
        return (yield from real(*given))

    monkeypatch.setattr(ProofRecorder, where, forking)
    caught: BaseException | None = None
    try:
        proof = prove(organisation, plan)
    except BaseException as error:
        caught = error
    if os.getpid() != parent:
        is_whole = isinstance(caught, RecordsLockedError) and not organisation.resets
        os._exit(0 if is_whole and _pending_files() else 1)
    assert [os.waitstatus_to_exitcode(end) for end in ends] == [0]
    assert caught is None
    assert proof == kept(plan)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no fork")
def test_a_child_that_is_forked_while_a_proof_is_watched_keeps_and_drops_nothing() -> None:
    organisation = service()
    plan = planned(organisation)
    parent = os.getpid()
    forks: list[int] = []

    def fork(_: object) -> None:
        if not forks:
            child = os.fork()
            forks.append(child)
            if child:
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
                assert kept(plan) is None

    puppet = FakeDriver(organisation, clock=1.0)
    made = proving(plan)
    made.on_progress = fork
    try:
        puppet.run(made.run())
    except RecordsLockedError:
        assert os.getpid() != parent
    if os.getpid() != parent:
        os._exit(0 if _pending_files() else 1)
    assert kept(plan) is not None


def a_row(**changes: Any) -> ProgressRow:
    return ProgressRow(
        **{
            "course_id": COURSE,
            "user_id": "u",
            "opened_at": None,
            "completed_at": None,
            "completed_lessons": 2,
            "progress_percent": 50.0,
            **changes,
        }
    )


@given(lessons=st.integers(0, 5), percent=st.floats(0, 100))
def test_whoever_learned_on_has_lost_nothing_and_whoever_has_less_has(lessons: int, percent: float) -> None:
    before = PlannedReset.of(a_row())
    found = has_lost(before, a_row(completed_lessons=lessons, progress_percent=percent))
    assert found == (lessons < 2)  # the percent may be of a course with more lessons


@pytest.mark.parametrize(("total", "lost"), [(1, False), (2, True), (0, True)])
def test_who_keeps_their_completion_lost_no_lesson_that_was_taken_out(total: int, lost: bool) -> None:
    done = {"opened_at": START, "completed_at": START}
    before = PlannedReset.of(a_row(**done, total_lessons=2))
    assert has_lost(before, a_row(**done, total_lessons=total, completed_lessons=1)) is lost
    again = START + timedelta(days=1)
    assert has_lost(before, a_row(opened_at=again, completed_at=again, total_lessons=1, completed_lessons=1))


def test_every_target_and_every_witness_that_is_not_as_planned_is_sighted_once() -> None:
    organisation = service()
    plan = planned(organisation)
    assert len(plan.witnesses) == 4
    rows = {(one["course_id"], one["user_id"]): _as_row(one) for one in (*CASES, IN_ANOTHER)}
    assert Observation.of(plan, rows) == Observation((), ((COURSE, user_id(0)),), (), ())
    rows[COURSE, user_id(0)] = _as_row(untouched(0))
    rows[COURSE, user_id(1)] = _as_row({**row(1), **CLEARED})
    rows[COURSE, user_id(2)] = _as_row(row(2))
    del rows[COURSE, user_id(3)]
    seen = Observation.of(plan, rows)
    assert (seen.cleared, seen.unchanged) == (((COURSE, user_id(0)),), ())
    assert seen.lost == ((COURSE, user_id(1)),)
    assert set(seen.moved) == {(COURSE, user_id(2)), (COURSE, user_id(3))}


@pytest.mark.parametrize(
    ("now", "traces"),
    [
        (CLEARED, KeptFields()),
        ({**CLEARED, "score": 90}, KeptFields(("score",))),
        ({**CLEARED, "opened_at": "2026-01-01T00:00:00Z"}, KeptFields(("opened_at",))),
        ({**CLEARED, "score": 80}, None),
        ({**CLEARED, "opened_at": "2026-03-01T09:00:00Z"}, None),
        ({"completed_at": ""}, None),
        ({"completed_at": "", "progress_percent": 0.0}, None),
    ],
)
def test_a_field_stays_only_if_all_else_is_gone(now: dict[str, Any], traces: KeptFields | None) -> None:
    organisation = service()
    plan = planned(organisation)
    rows = {(one["course_id"], one["user_id"]): _as_row(one) for one in (*CASES, IN_ANOTHER)}
    key = (COURSE, user_id(0))
    seen = Observation.of(plan, {**rows, key: _as_row({**CASES[0], **now})})
    if traces is None:
        assert (seen.cleared, seen.moved) == ((), (key,))
    else:
        assert (seen.cleared, seen.kept_fields, seen.moved) == ((key,), traces, ())


def test_whoever_had_only_what_a_service_keeps_does_not_look_reset() -> None:
    people = [row(0, **{**CLEARED, "score": 90}), row(1)]
    organisation = Organisation([*people, dict(IN_ANOTHER)], reference=False, counted=len(people))
    plan = planned(organisation)
    rows = {(one["course_id"], one["user_id"]): _as_row(one) for one in organisation.rows}
    seen = Observation.of(plan, rows)
    assert (seen.unchanged, seen.cleared) == (((COURSE, user_id(0)),), ())


ELSEWHERE = "c_else"


@pytest.mark.parametrize(
    ("empty_row", "is_elsewhere", "vanished"),
    [(False, True, True), (True, True, False), (False, False, False)],
)
def test_when_a_missing_row_has_vanished(empty_row: bool, is_elsewhere: bool, vanished: bool) -> None:
    people = [row(0), row(1), *([untouched(2)] if empty_row else [])]
    organisation = Organisation([*people, dict(IN_ANOTHER)], reference=False, counted=len(people))
    plan = planned(organisation)
    rows = {(COURSE, one["user_id"]): _as_row(one) for one in people}
    del rows[COURSE, user_id(0)]
    if is_elsewhere:
        rows[ELSEWHERE, user_id(0)] = _as_row(row(0, course_id=ELSEWHERE))
    seen = Observation.of(plan, rows)
    assert (bool(seen.cleared), seen.kept_fields.row_vanishes) == (vanished, vanished)
    del rows[COURSE, user_id(1)]
    rows[ELSEWHERE, user_id(1)] = _as_row(row(1, course_id=ELSEWHERE))
    assert (COURSE, user_id(1)) in (
        Observation.of(plan, rows).lost if vanished else Observation.of(plan, rows).moved
    )


def test_an_older_proof_saw_nothing_stay(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    state = StateDirectory.open(str(tmp_path))
    plan = planned(service())
    proof = Proof(plan.ground, START, "a", COURSE, "u", (), counted=True, traces=KeptFields(("score",)))
    save_proof(state, proof)
    assert find_proof(state, plan.ground) == proof
    path = state.proofs / f"{plan.ground.name}.json"
    said = json.loads(path.read_bytes())
    del said["traces"]
    path.write_text(json.dumps(said))
    found = find_proof(state, plan.ground)
    assert found is not None
    assert found.traces == KeptFields()
    path.write_text(json.dumps({**said, "traces": {"fields": ["percent"], "row_vanishes": False}}))
    with pytest.raises(RecordsDamagedError, match="percent"):
        find_proof(state, plan.ground)


@pytest.mark.parametrize(
    ("now", "lost"),
    [
        ({}, False),
        ({"completed_lessons": 2, "progress_percent": 70.0}, False),
        ({"completed_lessons": 0}, True),
        ({"progress_percent": 10.0}, False),
        (CLEARED, True),
    ],
)
def test_a_witness_who_opened_the_course_again_has_lost_nothing(now: dict[str, Any], lost: bool) -> None:
    organisation = service()
    plan = planned(organisation)
    changes = {3: {"opened_at": "2026-03-01T09:00:00Z", **now}}
    rows = {(COURSE, one["user_id"]): _as_row({**one, **changes.get(n, {})}) for n, one in enumerate(CASES)}
    rows["another", user_id(0)] = _as_row(IN_ANOTHER)
    seen = Observation.of(plan, rows)
    witness = ((COURSE, user_id(3)),)
    assert (seen.lost, seen.moved) == ((witness, ()) if lost else ((), witness))


def _as_row(fields: dict[str, Any]) -> ProgressRow:
    body = json.dumps(fields).encode()
    return codec.decoder(ProgressRow)(Response(200, (), body))


@pytest.mark.parametrize(
    ("cause", "message", "unreadable"),
    [
        ("DecodingError", "in other words", True),
        ("NoAnswerError", "something unreadable was said of it", False),
        (None, "the server answered 200 with something unreadable", False),
        (None, None, False),
    ],
)
def test_an_unreadable_answer_by_its_cause(cause: str | None, message: str | None, unreadable: bool) -> None:
    chunk = RecordedRequest(0, COURSE, ("u1",), "key", RequestState.LOST, message=message, cause=cause)
    assert was_unreadable(chunk) is unreadable


def test_the_phrase_fits_no_other_proof() -> None:
    plan = planned(service())
    assert plan.phrase.startswith('prove on "Forklift basics" with "Zoë No. 0" #')
    others = (
        evolve(plan, witnesses=plan.witnesses[1:]),
        evolve(plan, format=ResetFormat(users="learnerIds")),
        evolve(plan, way="everyone"),
        evolve(plan, reset=evolve(plan.reset, read_at=plan.reset.read_at + timedelta(seconds=1))),
    )
    assert len({plan.phrase, *(other.phrase for other in others)}) == 5


# --- the call for everyone, refused -----------------------------------------------------------------------------------


def _everyone(clock: float = 0.0) -> tuple[Organisation, ProofPlan]:
    """A service on which one of the people has progress in another course, and the proof of the call for everyone."""
    rows = [dict(one) for one in CASES] + [row(1, course_id="another")]
    organisation = Organisation(rows, reference=False, counted=len(CASES))

    def reply(request: Request) -> Response:
        targets = [one for one in organisation.rows if one["course_id"] == COURSE and one["opened_at"]]
        for one in targets:
            one.update(CLEARED)
        return answer({"usersUpdated": len(targets)})

    organisation.on_reset = reply
    wanted = WantedProof(PlanOptions((COURSE,), None), FORMAT, None, None)
    return organisation, FakeDriver(organisation, clock=clock).run(plan_proof(CALLS, wanted))


def _proving_everyone(plan: ProofPlan) -> ProofRun:
    keeper = ProofRecorder(None, None, timedelta(hours=4), witnesses=plan.witnesses)
    order = Order(plan.reset, FORMAT, "why", server_side=True)
    return ProofRun(CALLS, plan, order, keeper, timedelta(hours=6))


@pytest.mark.parametrize(("count", "expected"), [(3, False), (4, True)])
def test_a_proof_keeps_whether_everyone_is_counted(count: int, *, expected: bool) -> None:
    organisation, plan = _everyone()
    reset = organisation.on_reset
    assert reset is not None
    organisation.on_reset = lambda request: [reset(request), answer({"usersUpdated": count})][-1]
    proof = FakeDriver(organisation, clock=1.0).run(_proving_everyone(plan).run())
    assert proof.counts_everyone is expected
    assert kept(plan) == proof


@pytest.mark.parametrize("status", [400, 403, 404, 429])
def test_a_refused_call_for_everyone_proves_nothing_and_withdraws_nothing(status: int) -> None:
    organisation, plan = _everyone()
    puppet = FakeDriver(organisation, clock=1.0)
    before = puppet.run(_proving_everyone(plan).run())
    for one, as_it_was in zip(organisation.rows, CASES, strict=False):
        one.update(as_it_was)
    again = FakeDriver(organisation, clock=puppet.clock).run(
        plan_proof(CALLS, WantedProof(PlanOptions((COURSE,), None), FORMAT, None, None))
    )
    organisation.on_reset = lambda _: answer({"message": "no"}, status)
    with refusal(ProofFailedError, "REFUSED", "had no effect"):
        puppet.run(_proving_everyone(again).run())
    assert (kept(plan), len(organisation.resets)) == (before, 2)


def test_a_refused_call_for_everyone_that_took_effect_is_no_proof() -> None:
    organisation, plan = _everyone()

    def reply(request: Request) -> Response:
        for one in organisation.rows[:2]:
            one.update(CLEARED)
        return answer({"message": "no"}, 403)

    organisation.on_reset = reply
    with refusal(ProofFailedError, "REFUSED_WITH_EFFECT", "but it reset"):
        FakeDriver(organisation, clock=1.0).run(_proving_everyone(plan).run())
    assert kept(plan) is None


# --- how long a service works on a reset ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "hours", "least"), [(0, 1, 0), (900, 1, 900), (9_000, 1, 9_000), (900, 6, 900)]
)
def test_the_proof_keeps_when_its_effect_was_seen_first(after: int, hours: int, least: int) -> None:
    organisation = service()
    plan = planned(organisation)
    puppet = FakeDriver(organisation, clock=1.0)
    queue: list[float] = []

    def work(request: Request) -> None:
        if queue and puppet.clock >= queue[0] + after:
            organisation.rows[0].update(CLEARED)

    def accept(request: Request) -> Response:
        queue.append(puppet.clock)
        return answer({"usersUpdated": 1}, 202)

    organisation.before, organisation.on_reset = work, accept
    guards = Safeguards(processing_time=timedelta(hours=hours))
    proof = puppet.run(evolve_order(proving(plan), guards).run())
    assert kept(plan) == proof
    assert proof.seen_after_seconds is not None
    assert least <= proof.seen_after_seconds <= least + 1800
    assert puppet.clock - queue[0] >= (2.25 + hours) * 3600


def evolve_order(made: ProofRun, guards: Safeguards) -> ProofRun:
    """The same proof under these safeguards, with time enough."""
    made.order, made.deadline = evolve(made.order, safeguards=guards), timedelta(hours=12)
    return made


KEYS = ("course_id", "user_id")


class Vanishing(Organisation):
    """Rows of people who are reset vanish; the statistics say how many have completed it after the request."""

    left = 1

    def _statistics(self, request: Request) -> Response:
        here = self.left if self.resets else 2
        item = {"courseId": COURSE, "totalUsers": 2, "openedCount": here, "completedCount": here}
        return answer({"totalCount": 1, "items": [item]})

    def _feed(self, request: Request) -> Response:
        asked = parse_qs(urlsplit(request.target).query)
        rows = [one for one in self.rows if all(one[name] in asked.get(name, [one[name]]) for name in KEYS)]
        return answer({"metadata": {"next_page": None}, "data": rows})


def vanishing(reaches: int, left: int) -> Vanishing:
    people = [row(0), row(1), dict(IN_ANOTHER)]
    organisation = Vanishing(people, reference=False, counted=2)
    organisation.left = left

    def reply(_: Request) -> Response:
        del organisation.rows[:reaches]
        return answer({})

    organisation.on_reset = reply
    return organisation


@pytest.mark.parametrize("left", [1, 2])
def test_a_row_that_vanished_proves_nothing_unless_the_statistics_lack_it_too(left: int) -> None:
    organisation = vanishing(reaches=1, left=left)
    plan = planned(organisation)
    made = proving(plan)
    if left == 1:
        assert FakeDriver(organisation, clock=1.0).run(made.run()).traces.row_vanishes
        return
    with pytest.raises(ProofFailedError) as caught:
        FakeDriver(organisation, clock=1.0).run(made.run())
    assert (caught.value.reason, kept(plan)) == ("NOT_SEEN_YET", None)
    with refusal(ProofFailedError, "STATISTICS_DIFFER"):
        prove(organisation, plan, 40 * 3600.0)
    assert pending.find(StateDirectory.open(), plan.ground) is None


def test_a_row_that_one_short_listing_lacks_proves_nothing() -> None:
    organisation = vanishing(reaches=0, left=2)
    plan = planned(organisation)
    puppet = FakeDriver(organisation, clock=1.0)
    there, short = list(organisation.rows), [False]

    def before(request: Request) -> None:
        is_short = puppet.clock > 3.3 * 3600 and "feed" in request.path and not short[0]
        short[0] = short[0] or is_short
        organisation.rows = there[1:] if is_short else there

    organisation.before = before
    with pytest.raises(ProofFailedError) as caught:
        puppet.run(proving(plan).run())
    assert short[0]
    assert (caught.value.reason, kept(plan)) == ("NOT_SEEN", None)


def test_where_rows_vanish_a_witness_without_one_is_lost_and_an_earlier_proof_withdrawn() -> None:
    organisation = vanishing(reaches=2, left=0)
    plan = planned(organisation)
    save_proof(StateDirectory.open(), proof_of(plan.ground, START))
    with pytest.raises(ProofFailedError) as caught:
        prove(organisation, plan)
    assert (caught.value.reason, kept(plan)) == ("WITNESS_CLEARED", None)


def test_a_time_that_was_not_watched_is_not_kept() -> None:
    organisation = service()
    plan = planned(organisation)
    usual, organisation.on_reset = organisation.on_reset, lambda request: answer({})
    stop_waiting(organisation, plan)
    assert usual is not None
    usual(organisation.resets[-1])
    proof = prove(organisation, plan, 15 * 3600.0)
    assert proof.seen_after_seconds is None


@pytest.mark.parametrize(("left", "believed"), [(1, True), (2, False)])
@pytest.mark.parametrize("asked", [[user_id(0)], [user_id(0), user_id(1)]])
def test_a_row_is_missing_if_the_statistics_lack_it(asked: list[str], left: int, believed: bool) -> None:
    organisation = vanishing(reaches=1, left=left)
    organisation(Request("POST", "/training/courseprogress/v1/reset", b"{}"))
    rows = {user_id(1): _as_row(row(1))} if len(asked) > 1 else {}
    found = FakeDriver(organisation).run(
        kept_fields_here(CALLS, COURSE, asked, rows, KeptFields(row_vanishes=True))
    )
    assert found.row_vanishes is believed


def test_a_row_is_not_missing_where_the_whole_course_shows_it() -> None:
    """A feed that is asked for one user may lack what the feed of the course has."""
    organisation = vanishing(reaches=0, left=2)
    found = FakeDriver(organisation).run(
        kept_fields_here(CALLS, COURSE, [user_id(0)], {}, KeptFields(row_vanishes=True))
    )
    assert not found.row_vanishes


def test_a_row_is_not_missing_where_the_statistics_omit_the_course() -> None:
    organisation = vanishing(reaches=1, left=1)
    organisation(Request("POST", "/training/courseprogress/v1/reset", b"{}"))

    def without_statistics(request: Request) -> Response:
        if request.path.endswith("/statistics"):
            return answer({"totalCount": 1, "items": [{"courseId": "another", "totalUsers": 1}]})
        return organisation(request)

    found = FakeDriver(without_statistics).run(
        kept_fields_here(CALLS, COURSE, [user_id(0)], {}, KeptFields(row_vanishes=True))
    )
    assert not found.row_vanishes
