"""A live service: locked until its format was proved on a course that matters to nobody, and a lying one never is.

The sacrificial course has four people: one who has completed it, two who are on the way, one who has not begun.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import evolve

from contract.conftest import NewStage, Pair
from contract.hours import Hours, quick_hours
from contract.stage import RESET, Handle, Stage
from mock_server import MockTraining, Policy
from mock_server.policy import Behaviour
from mock_server.wire.message import Request, Response
from mock_server.world.courses import Assigned
from training_sdk import (
    AlreadyAppliedError,
    BadRequestError,
    ClockError,
    Code,
    ConfirmationError,
    InvalidArgumentError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    PlanMismatchError,
    ProofFailedError,
    ProofPlan,
    ResetFormat,
    ResetReport,
    StalePlanError,
    UnconfirmedFormatError,
)
from training_sdk.format_proof.proofs import save_proof
from training_sdk.records.audit import AuditLog
from training_sdk.records.state import StateDirectory
from unit.sdk.fakes import refusal

WHY = "prove the format"
Meddle = Callable[[Request, Handle], Response]


PAIRS: list[Pair] = [("sync", "in-process"), ("async", "in-process")]
"""One transport is enough: the hours that go by are not the transport's."""


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Hours:
    return quick_hours(monkeypatch)


@pytest.fixture
def live(new_stage: NewStage, hours: Hours) -> Stage:
    return playing(new_stage, hours, "live")


def playing(
    new_stage: NewStage,
    hours: Hours,
    plays: Literal["reference", "live", "treacherous"],
    *,
    lag: int = 0,
    people: int = 5,
) -> Stage:
    """A service for which the hours go by as well."""
    mock = MockTraining.generate(users=people, courses=3, policy=Policy(plays=plays, lag_seconds=lag))
    hours.on_wait.append(mock.clock.advance)
    return new_stage(mock)


def courses(stage: Stage) -> list[str]:
    return [course.id for course in stage.mock.world.main.courses.values()]


def plan(stage: Stage, **options: Any) -> ProofPlan:
    who = {} if options.get("server_side") else {"person": "user1@generated.example"}
    found: ProofPlan = stage.client().resets.plan_proof(courses(stage)[0], **{**who, **options})
    return found


def prove(stage: Stage, proof: ProofPlan, **options: Any) -> Any:
    settings = {"confirm": proof.phrase, "reason": WHY, **options}
    return stage.client().resets.prove_format(proof, **settings)


def answering(change: Callable[[dict[str, Any]], None]) -> Meddle:
    """The body of the answer to a reset, changed on its way."""

    def meddle(request: Request, handle: Handle) -> Response:
        response = handle(request)
        if request.path == RESET and response.status == 200:
            said = json.loads(response.body)
            change(said)
            response = evolve(response, body=json.dumps(said).encode())
        return response

    return meddle


def silent(said: dict[str, Any]) -> None:
    del said["usersUpdated"]


def touched(stage: Stage, before: dict[str, Any]) -> set[tuple[str, ...]]:
    """Every course and user of whom anything has changed in the world, and whatever else has."""
    changes = stage.mock.diff(before)
    return {
        change.key for change in changes if change.kind not in ("audit entry", "notification", "certificate")
    }


def state() -> StateDirectory:
    return StateDirectory.open()


def proofs() -> list[Path]:
    return sorted(state().proofs.iterdir())


def events() -> list[str]:
    return [entry["event"] for entry in AuditLog(state().audit).entries()]


@pytest.fixture(params=["counted", "silent"])
def voice(request: pytest.FixtureRequest, live: Stage) -> Stage:
    """A live service that says how many people it reset, or does not."""
    if request.param == "silent":
        live.tap.meddle = answering(silent)
    return live


def test_a_proof_resets_one_person_alone_and_unlocks_resets(voice: Stage, hours: Hours) -> None:
    before = voice.mock.state()
    proof_plan = plan(voice)
    (person,) = proof_plan.reset.users
    found = prove(voice, proof_plan)
    assert (found.person, found.ground) == (person.user_id, proof_plan.ground)
    assert timedelta(hours=3, minutes=14) < hours.passed < timedelta(hours=4)
    assert len(voice.tap.resets) == 1
    course = courses(voice)[0]
    assert touched(voice, before) == {(course, person.user_id)}
    assert voice.mock.world.record(course, person.user_id) is None
    assert [path.name for path in proofs()] == [f"{found.ground.name}.json"]
    assert events().count("format proved") == 1
    assert len(list(state().evidence.iterdir())) == 1


def test_after_a_proof_plans_are_applied_by_plain_calls(voice: Stage) -> None:
    proved = prove(voice, plan(voice))
    other = courses(voice)[1]
    wanted = voice.client().resets.plan_everyone(other)
    report = voice.client().resets.apply(wanted, confirm=wanted.phrase, reason="renewal")
    sent = voice.tap.resets[-1]
    assert not {"reset-confirmation", "idempotency-key"} & {name.lower() for name, _ in sent.headers}
    assert json.loads(sent.body or b"") == {
        "courseId": other,
        "userIds": [user.user_id for user in wanted.targets],
    }
    targets = {user.user_id for user in wanted.targets}
    outcomes = {one.outcome for one in report.users if one.user_id in targets}
    codes = {one.code for one in report.users if one.outcome is Outcome.UNKNOWN}
    assert (outcomes, codes) == (
        ({Outcome.RESET}, set()) if proved.counted else ({Outcome.UNKNOWN}, {Code.COUNT_UNKNOWN})
    )


@pytest.mark.parametrize(
    "change", [silent, lambda said: said.update(usersUpdated=2)], ids=["missing", "differing"]
)
def test_another_count_is_an_unknown_outcome(live: Stage, change: Callable[[dict[str, Any]], None]) -> None:
    assert prove(live, plan(live)).counted
    wanted = live.client().resets.plan_everyone(courses(live)[1])
    live.tap.meddle = answering(change)
    with pytest.raises(OutcomeUnknownError) as caught:
        live.client().resets.apply(wanted, confirm=wanted.phrase, reason="renewal")
    assert caught.value.report is not None
    assert caught.value.report.counts[Outcome.UNKNOWN] == len(wanted.targets)


@pytest.mark.parametrize(
    ("status", "body"),
    [(204, b""), (200, b""), (200, b" \n"), (200, b"null"), (200, b"[]"), (200, b"{}"), (202, b"")],
)
def test_without_a_count_people_settle_later(live: Stage, hours: Hours, status: int, body: bytes) -> None:
    def meddle(request: Request, handle: Handle) -> Response:
        response = handle(request)
        return evolve(response, status=status, body=body) if request.path == RESET else response

    live.tap.meddle = meddle
    assert not prove(live, plan(live)).counted
    wanted = live.client().resets.plan_everyone(courses(live)[1])
    report = live.client().resets.apply(wanted, confirm=wanted.phrase, reason="renewal")
    targets = {user.user_id for user in wanted.targets}
    accepted = {(one.outcome, one.code) for one in report.users if one.user_id in targets}
    assert accepted == {(Outcome.UNKNOWN, Code.COUNT_UNKNOWN)}
    hours.wait(timedelta(hours=4))
    assert live.client().resets.resume(wanted, confirm=wanted.phrase).is_complete
    assert len(live.tap.resets) == 2


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}"])
def test_where_answers_were_counted_an_empty_one_is_an_unknown_outcome(live: Stage, body: bytes) -> None:
    assert prove(live, plan(live)).counted
    wanted = live.client().resets.plan_everyone(courses(live)[1])

    def meddle(request: Request, handle: Handle) -> Response:
        response = handle(request)
        return evolve(response, body=body) if request.path == RESET else response

    live.tap.meddle = meddle
    with pytest.raises(OutcomeUnknownError, match="no count"):
        live.client().resets.apply(wanted, confirm=wanted.phrase, reason="renewal")


def test_without_a_proof_nothing_is_sent(live: Stage) -> None:
    wanted = live.client().resets.plan_everyone(courses(live)[1])
    with pytest.raises(UnconfirmedFormatError, match="prove_format"):
        live.client().resets.apply(wanted, confirm=wanted.phrase, reason="renewal")
    assert live.tap.resets == []


def test_a_proof_of_listed_people_is_none_of_everyone_and_none_of_another_format(live: Stage) -> None:
    prove(live, plan(live))
    wanted = live.client().resets.plan_everyone(courses(live)[1])
    with pytest.raises(UnconfirmedFormatError):
        live.client().resets.apply(wanted, confirm=wanted.phrase, reason="renewal", server_side=True)
    other = live.client(reset_format=ResetFormat(users="learnerIds"))
    with pytest.raises(UnconfirmedFormatError):
        other.resets.apply(wanted, confirm=wanted.phrase, reason="renewal")
    assert len(live.tap.resets) == 1


@pytest.mark.parametrize("count", ["said", "not said"])
@pytest.mark.parametrize("lag", [0, 3600])
def test_the_worst_case_service_is_caught(new_stage: NewStage, hours: Hours, count: str, lag: int) -> None:
    stage = playing(new_stage, hours, "treacherous", lag=lag)
    if count == "not said":
        stage.tap.meddle = answering(silent)
    before, proof_plan = stage.mock.state(), plan(stage)
    with pytest.raises(ProofFailedError) as caught:
        prove(stage, proof_plan)
    assert caught.value.reason == ("COUNT_DIFFERS" if count == "said" else "WITNESS_CLEARED")
    names = {one.name for one in (*proof_plan.reset.users, *proof_plan.witnesses)}
    assert len(names) == 5
    assert all(name in caught.value.message for name in names)
    assert {user_id for _, user_id in caught.value.info.metadata} == set(proof_plan.people)
    assert caught.value.report is not None
    assert proofs() == []
    assert "proof failed" in events()
    sacrificed, *others = courses(stage)
    assert {key[0] for key in touched(stage, before)} == {sacrificed}
    wanted = stage.client().resets.plan_everyone(others[0])
    with pytest.raises(UnconfirmedFormatError):
        stage.client().resets.apply(wanted, confirm=wanted.phrase, reason="renewal")
    assert len(stage.tap.resets) == 1


def test_a_later_failure_withdraws_what_was_proved_before(live: Stage) -> None:
    prove(live, plan(live))
    assert len(proofs()) == 1
    live.tap.meddle = answering(lambda said: said.update(usersUpdated=3))
    (second,) = live.client().resets.plan(courses(live)[2], ["user2@generated.example"]).users
    _complete_once(live, second.course_id, second.user_id)
    again = live.client().resets.plan_proof(courses(live)[1], "user2@generated.example")
    with pytest.raises(ProofFailedError, match="answer counts 3") as caught:
        prove(live, again)
    assert proofs() == []
    assert caught.value.report is not None
    assert caught.value.report.reached_others == 2


def test_a_witness_who_learns_on_makes_it_prove_nothing(live: Stage, hours: Hours) -> None:
    proof_plan = plan(live)
    witness = next(one for one in proof_plan.witnesses if one.is_target and one.completed_at is None)
    hours.on_wait.append(lambda by: _complete_once(live, witness.course_id, witness.user_id))
    with refusal(ProofFailedError, "WITNESS_MOVED"):
        prove(live, proof_plan)
    assert proofs() == []


# --- a refusal --------------------------------------------------------------------------------------------------------


def with_an_absent_user(new_stage: NewStage, hours: Hours) -> tuple[Stage, str]:
    """A live service on which the format is proved, and a user who is not on the sacrificial course."""
    stage = playing(new_stage, hours, "live")
    sacrificed, organisation = courses(stage)[0], stage.mock.world.main
    roster, since = organisation.progress[sacrificed].roster, stage.mock.clock.now()
    (absent,) = (user for user in roster if stage.mock.world.record(sacrificed, user) is None)
    others = [user for user in roster if user != absent]
    organisation.assign(sacrificed, Assigned(dict.fromkeys(others, since), {}, {}))
    proved = prove(stage, plan(stage))
    assert proved.person in others
    stage.mock.world.complete_course(sacrificed, proved.person)
    return stage, absent


def refusing_whole(stage: Stage, status: int) -> Meddle:
    """A service that looks at everyone listed before it resets anybody."""

    def meddle(request: Request, handle: Handle) -> Response:
        if request.path == RESET:
            said = json.loads(request.body)
            there = stage.mock.world.main.progress[said["courseId"]]
            if not all(there.has(user) for user in said["userIds"]):
                return Response(
                    status, (("content-type", "application/json"),), b'{"message":"not assigned"}'
                )
        return handle(request)

    return meddle


def test_r05_a_refusal_as_a_whole_is_believed_for_that_status_only(new_stage: NewStage, hours: Hours) -> None:
    stage, absent = with_an_absent_user(new_stage, hours)
    stage.tap.meddle = refusing_whole(stage, 404)
    before, second = stage.mock.state(), plan(stage, refused_with=absent)
    found = prove(stage, second)
    assert found.refusals_without_effect == (404,)
    assert touched(stage, before) == set()
    wanted = stage.client().resets.plan_everyone(courses(stage)[1])
    stage.tap.meddle = refusing_all(404)
    with pytest.raises(NotFoundError) as certain:
        stage.client().resets.apply(wanted, confirm=wanted.phrase, reason="renewal")
    assert codes_sent(certain.value.report) == {Code.REFUSED}
    again = stage.client().resets.plan_everyone(courses(stage)[1])
    stage.tap.meddle = refusing_all(403)
    with pytest.raises(OutcomeUnknownError) as uncertain:
        stage.client().resets.apply(again, confirm=again.phrase, reason="renewal")
    assert codes_sent(uncertain.value.report) == {Code.REFUSAL_UNCERTAIN}


def refusing_all(status: int) -> Meddle:
    """A service that refuses every reset."""
    return lambda request, handle: (
        Response(status, (("content-type", "application/json"),), b'{"message":"no"}')
        if request.path == RESET
        else handle(request)
    )


def codes_sent(report: ResetReport | None) -> set[Code | None]:
    """The codes of those who were sent."""
    assert report is not None
    return {user.code for user in report.users if user.outcome in (Outcome.FAILED, Outcome.UNKNOWN)}


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour.REFUSES_PARTWAY_404,
        Behaviour.REFUSES_PARTWAY_403,
        Behaviour.REFUSES_PARTWAY_400,
        Behaviour.REFUSES_PARTWAY_429,
    ],
)
def test_r05_a_refusal_after_a_part_is_caught(
    new_stage: NewStage, hours: Hours, behaviour: Behaviour
) -> None:
    stage, absent = with_an_absent_user(new_stage, hours)
    second = plan(stage, refused_with=absent)
    stage.mock.world.policy = Policy(emulates=(behaviour,))
    with refusal(ProofFailedError, "REFUSED_WITH_EFFECT", "but it reset"):
        prove(stage, second)
    (kept,) = proofs()
    assert json.loads(kept.read_bytes())["refusals_without_effect"] == []
    assert "proof failed" in events()


def _complete_once(stage: Stage, course: str, user: str) -> None:
    record = stage.mock.world.record(course, user)
    if record is None or not record.completed_at:
        stage.mock.world.complete_course(course, user)


def test_whoever_gives_up_waiting_goes_on_later_and_nothing_is_sent_again(live: Stage, hours: Hours) -> None:
    proof_plan = plan(live)
    with refusal(ProofFailedError, "NOT_SEEN_YET"):
        prove(live, proof_plan, deadline=timedelta(minutes=30))
    assert [path.name for path in proofs()] == [f"{proof_plan.ground.name}.pending.json"]
    hours.wait(timedelta(hours=30))  # longer than a plan lives
    again = plan(live)
    assert again == proof_plan
    assert prove(live, again).person == proof_plan.reset.users[0].user_id
    assert len(live.tap.resets) == 1
    with pytest.raises(AlreadyAppliedError):
        prove(live, again)
    assert len(live.tap.resets) == 1


def test_beside_a_proof_whose_end_is_open_no_other_begins(live: Stage) -> None:
    with pytest.raises(ProofFailedError):
        prove(live, plan(live), deadline=timedelta(0))
    for course, person in ((courses(live)[1], "user1"), (courses(live)[0], "user2")):
        with pytest.raises(InvalidArgumentError, match="did not end"):
            live.client().resets.plan_proof(course, f"{person}@generated.example")


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_lost_answer_is_looked_for_and_not_sent_again(live: Stage, cut: Literal["before", "after"]) -> None:
    proof_plan = plan(live)
    client = live.client(cut=lambda request: cut if request.url.path == RESET else None)
    settings: dict[str, Any] = {"confirm": proof_plan.phrase, "reason": WHY}
    if cut == "after":
        assert not client.resets.prove_format(proof_plan, **settings).counted
    else:
        with refusal(ProofFailedError, "NOT_SEEN"):
            client.resets.prove_format(proof_plan, **settings)
    assert len(live.tap.resets) == (1 if cut == "after" else 0)


def test_what_a_service_refuses_leaves_nothing_behind(live: Stage) -> None:
    live.tap.meddle = lambda request, handle: (
        Response(400, (("content-type", "application/json"),), b'{"message":"unknown field userIds"}')
        if request.path == RESET
        else handle(request)
    )
    with pytest.raises(BadRequestError, match="unknown field"):
        prove(live, plan(live))
    assert proofs() == []
    live.tap.meddle = lambda request, handle: handle(request)
    assert prove(live, plan(live)).counted


def test_everyone_has_a_proof_of_its_own(live: Stage) -> None:
    before, proof_plan = live.mock.state(), plan(live, server_side=True)
    found = prove(live, proof_plan)
    assert (found.ground.way, found.person) == ("everyone", None)
    sacrificed, *others = courses(live)
    assert touched(live, before) == {(sacrificed, user.user_id) for user in proof_plan.reset.targets}
    wanted = live.client().resets.plan_everyone(others[0])
    report = live.client().resets.apply(wanted, confirm=wanted.phrase, reason="renewal", server_side=True)
    assert report.is_complete
    assert json.loads(live.tap.resets[-1].body or b"") == {"courseId": others[0], "allUsers": True}


def test_a_call_for_everyone_that_reaches_another_course_proves_nothing(live: Stage, hours: Hours) -> None:
    proof_plan = plan(live, server_side=True)
    elsewhere = next(one for one in proof_plan.witnesses if one.completed_at)

    def wide(request: Request, handle: Handle) -> Response:
        if request.path == RESET:
            body = json.dumps({"courseId": elsewhere.course_id, "userIds": [elsewhere.user_id]}).encode()
            handle(evolve(request, body=body))
        return handle(request)

    live.tap.meddle = wide
    with pytest.raises(ProofFailedError) as caught:
        prove(live, proof_plan)
    assert caught.value.reason == "WITNESS_CLEARED"
    assert elsewhere.course_id in caught.value.message
    assert proofs() == []


@pytest.mark.parametrize("ignored", [Behaviour.IGNORES_COURSE, Behaviour.IGNORES_USER_LIST])
def test_resetting_too_many_people_is_caught(new_stage: NewStage, hours: Hours, ignored: Behaviour) -> None:
    policy = Policy(plays="live", emulates=(ignored, Behaviour.RESETS_COMPLETED_ONLY))
    mock = MockTraining.generate(users=5, courses=3, policy=policy)
    hours.on_wait.append(mock.clock.advance)
    stage = new_stage(mock)
    stage.tap.meddle = answering(silent)
    with refusal(ProofFailedError, "WITNESS_CLEARED"):
        prove(stage, plan(stage))
    assert proofs() == []


def test_a_proof_that_does_not_say_whether_completions_stayed_is_not_enough(live: Stage) -> None:
    found = prove(live, plan(live))
    assert found.completions_stayed
    wanted = live.client().resets.plan_everyone(courses(live)[1])
    save_proof(state(), evolve(found, completions_stayed=None))  # as an older version kept it
    with refusal(UnconfirmedFormatError, "PROOF_TOO_NARROW", "completions"):
        live.client().resets.apply(wanted, confirm=wanted.phrase, reason="renewal")
    assert len(live.tap.resets) == 1


def test_a_service_that_resets_strangers_too_is_stopped_by_its_own_count(live: Stage) -> None:
    prove(live, plan(live))
    wanted = live.client().resets.plan_everyone(courses(live)[1])
    left = wanted.targets[:1]
    few = live.client().resets.plan(courses(live)[1], [user.user_id for user in left])
    live.mock.world.policy = Policy(emulates=(Behaviour.RESETS_STRANGERS,))
    with pytest.raises(OutcomeUnknownError) as caught:
        live.client().resets.apply(few, confirm=few.phrase, reason="renewal")
    assert caught.value.report is not None
    assert caught.value.report.reached_others > 0
    assert proofs() == []
    sent = len(live.tap.resets)
    with refusal(UnconfirmedFormatError, "PROOF_WITHDRAWN"):
        live.client().resets.apply(wanted, confirm=wanted.phrase, reason="renewal")
    assert live.client().resets.resume(few, confirm=few.phrase).reached_others > 0
    assert len(live.tap.resets) == sent


def test_a_proof_without_another_course_of_the_person_is_not_enough(live: Stage) -> None:
    found = prove(live, plan(live))
    assert found.other_courses
    wanted = live.client().resets.plan_everyone(courses(live)[1])
    save_proof(state(), evolve(found, other_courses=()))  # as an older version kept it
    with refusal(UnconfirmedFormatError, "PROOF_TOO_NARROW", "other courses"):
        live.client().resets.apply(wanted, confirm=wanted.phrase, reason="renewal")
    assert len(live.tap.resets) == 1


def test_resume_under_a_weak_proof_reads_back(
    live: Stage, hours: Hours, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = prove(live, plan(live))
    wanted = live.client().resets.plan_everyone(courses(live)[1:])
    client = live.client(cut=lambda request: "after" if request.url.path == RESET else None)
    with pytest.raises(OutcomeUnknownError):
        client.resets.apply(wanted, confirm=wanted.phrase, reason="renewal")
    save_proof(state(), evolve(found, other_courses=()))
    hours.wait(timedelta(hours=4))
    with pytest.raises(UnconfirmedFormatError, match="read back") as caught:
        live.client().resets.resume(wanted, confirm=wanted.phrase)
    assert caught.value.reason == "PROOF_TOO_NARROW"
    report = caught.value.report
    assert report is not None
    first, second = courses(live)[1:]
    targets = {user.key for user in wanted.targets}
    ended = {one.key: one.outcome for one in report.users if one.key in targets}
    assert {outcome for key, outcome in ended.items() if key[0] == first} == {Outcome.RESET}
    assert {outcome for key, outcome in ended.items() if key[0] == second} == {Outcome.SKIPPED}
    assert len(live.tap.resets) == 2
    save_proof(state(), found)  # as proved again
    assert live.client().resets.resume(wanted, confirm=wanted.phrase).is_complete


# --- what is refused before anything is sent ------------------------------------------------------------------------


def test_the_reference_server_is_never_proved(new_stage: NewStage, hours: Hours) -> None:
    stage = playing(new_stage, hours, "reference")
    with pytest.raises(PlanMismatchError, match="reference server"):
        plan(stage)
    assert StateDirectory.existing() is None


def test_a_live_plan_is_not_proved_on_the_reference(new_stage: NewStage, live: Stage, hours: Hours) -> None:
    proof_plan, reference = plan(live), playing(new_stage, hours, "reference")
    with pytest.raises(PlanMismatchError):
        prove(reference, proof_plan)
    assert reference.tap.resets == []


def test_a_course_of_more_than_five_people_is_no_test_course(new_stage: NewStage, hours: Hours) -> None:
    stage = playing(new_stage, hours, "live", people=6)
    with pytest.raises(InvalidArgumentError, match="6 people"):
        plan(stage)


def test_whoever_has_no_visible_progress_cannot_be_seen_to_lose_it(live: Stage) -> None:
    with pytest.raises(InvalidArgumentError, match="no visible progress"):
        plan(live, person="user3@generated.example")


@pytest.mark.parametrize("person", ["nobody@generated.example", "user_0"])
def test_somebody_who_is_not_on_the_course_cannot_be_reset(live: Stage, person: str) -> None:
    with pytest.raises(InvalidArgumentError, match="fits no person"):
        plan(live, person=person)


def test_either_a_person_is_named_or_everyone_is_meant(live: Stage) -> None:
    resets = live.client().resets
    with pytest.raises(InvalidArgumentError):
        resets.plan_proof(courses(live)[0])
    with pytest.raises(InvalidArgumentError):
        resets.plan_proof(courses(live)[0], "user1@generated.example", server_side=True)


@pytest.mark.parametrize("typed", ["", "yes", None, True])
def test_nothing_is_proved_without_its_phrase(live: Stage, typed: Any) -> None:
    proof_plan = plan(live)
    for wrong in (typed, proof_plan.reset.phrase, proof_plan.phrase.upper(), proof_plan.phrase + " "):
        with pytest.raises(ConfirmationError):
            prove(live, proof_plan, confirm=wrong)
    assert live.tap.resets == []


def test_nothing_is_proved_without_a_reason(live: Stage) -> None:
    with pytest.raises(InvalidArgumentError, match="reason"):
        prove(live, plan(live), reason="")


def test_if_somebody_moved_since_it_was_planned_nothing_is_sent(live: Stage) -> None:
    proof_plan = plan(live)
    witness = next(one for one in proof_plan.witnesses if one.is_target and one.completed_at is None)
    live.mock.world.complete_course(witness.course_id, witness.user_id)
    with pytest.raises(StalePlanError, match=witness.user_id):
        prove(live, proof_plan)
    assert (live.tap.resets, proofs()) == ([], [])


def dated(offset: timedelta, hours: Hours) -> Meddle:
    """Answers with a Date, so much off the clock here."""

    def meddle(request: Request, handle: Handle) -> Response:
        response = handle(request)
        when = format_datetime(hours.now().utc + offset, usegmt=True)
        headers = tuple((name, when if name == "date" else value) for name, value in response.headers)
        return evolve(response, headers=headers)

    return meddle


@pytest.mark.parametrize("minutes", [-4, 4])
def test_a_clock_that_is_about_right_will_do(live: Stage, hours: Hours, minutes: int) -> None:
    live.tap.meddle = dated(timedelta(minutes=minutes), hours)
    assert prove(live, plan(live)).counted


@pytest.mark.parametrize("minutes", [-6, 6])
def test_by_a_clock_that_is_off_nothing_is_sent(live: Stage, hours: Hours, minutes: int) -> None:
    proof_plan = plan(live)
    live.tap.meddle = dated(timedelta(minutes=minutes), hours)
    with pytest.raises(ClockError) as caught:
        prove(live, proof_plan)
    assert caught.value.reason == "CLOCK_OFF"
    assert ("behind" if minutes > 0 else "ahead of") in caught.value.message
    assert live.tap.resets == []


def test_a_clock_that_jumps_after_the_proof_stops_the_next_reset(live: Stage, hours: Hours) -> None:
    prove(live, plan(live))
    wanted = live.client().resets.plan_everyone(courses(live)[1])
    jumped, before = hours.passed, len(live.tap.requests)
    live.tap.meddle = dated(-timedelta(hours=3), hours)
    with pytest.raises(ClockError):
        live.client().resets.apply(wanted, confirm=wanted.phrase, reason="renewal")
    assert (hours.passed, len(live.tap.resets)) == (jumped, 1)
    asked = [request.path for request in live.tap.requests[before:]]
    assert asked == ["/accounts/user/v1/user:WhoAmI"], "user, place and time are in one answer"
