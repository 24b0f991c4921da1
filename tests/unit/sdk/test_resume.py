"""Resuming with the records on the disk: the same request or none, and the account that is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import time, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from training_sdk import (
    AlreadyAppliedError,
    BadRequestError,
    InvalidArgumentError,
    Outcome,
    OutcomeUnknownError,
    OverlappingPlanError,
    PermissionDeniedError,
    PlanMismatchError,
    RecordsDamagedError,
    RecordsUnwritableError,
    ResetPlan,
    StalePlanError,
    Waves,
)
from training_sdk._core.flow import NoAnswerError, Request, Response
from training_sdk._core.listing import Calls
from training_sdk._core.urls import VENDOR_HOSTS, BaseUrl
from training_sdk.local_plans.plan_records import resets_begun, resets_known
from training_sdk.local_plans.record_check import check_records
from training_sdk.outcome import Code
from training_sdk.plans.planner import PlanOptions, make_plan
from training_sdk.records import storage
from training_sdk.records.audit import AuditLog
from training_sdk.records.events import Closed, Opened, ReadBack
from training_sdk.records.journal import Journal
from training_sdk.records.state import StateDirectory
from training_sdk.reports.report_file import last_resets
from training_sdk.resets.reset_request import Progress
from training_sdk.resets.waves import kept, restored
from unit.sdk.fakes import (
    CALLS,
    CLEARED,
    COURSE,
    START,
    FakeDriver,
    Organisation,
    answer,
    row,
    tail,
    untouched,
    user_id,
)
from unit.sdk.machine import LATER, Machine, ends, new_machine

NEW = "2026-03-01T09:00:00Z"
MIDWAY = {"completed_at": "", "completed_lessons": 2, "progress_percent": 60.0}
OPENED = {**CLEARED, "opened_at": "2026-01-01T00:00:00Z"}


@contextmanager
def another_user(organisation: Organisation) -> Iterator[None]:
    somebody = answer({"user_id": "user_other", "organisation_id": organisation.organisation_id})
    with mock.patch.object(Organisation, "_who", return_value=somebody):
        yield


def bodies_and_keys(requests: list[Request]) -> list[tuple[bytes | None, tuple[tuple[str, str], ...]]]:
    return [(request.body, request.headers) for request in requests]


def interrupt(progress: Progress) -> None:
    if progress.what == "reset":
        raise KeyboardInterrupt


# --- the same request, or none ----------------------------------------------------------------------------------------


def test_what_was_lost_is_sent_again_exactly_as_it_was_and_never_with_others(machine: Machine) -> None:
    plan = machine.plan(0, 1, 2)
    machine.lose(plan, arrives=False, waves=Waves(size=2))
    report = machine.resume(plan, waves=Waves(size=3))
    assert machine.organisation.people_sent == [
        [user_id(0), user_id(1)],
        [user_id(0), user_id(1)],
        [user_id(2)],
    ]
    first, second, third = bodies_and_keys(machine.organisation.resets)
    assert first == second != third
    assert report.is_complete


def interrupted_before_sending(machine: Machine, plan: ResetPlan, **order: Any) -> None:
    """Begin a plan that ends before its first request."""
    with pytest.raises(KeyboardInterrupt):
        machine.apply(plan, on_progress=_interrupt_at_once, **order)
    assert not machine.organisation.resets
    assert any(isinstance(event, Opened) for event in machine.events(plan))


def _interrupt_at_once(_: Progress) -> None:
    raise KeyboardInterrupt


def test_a_plan_that_sent_nothing_is_not_resumed_past_a_warning_that_it_lacks(machine: Machine) -> None:
    plan = machine.plan(0, 1)
    interrupted_before_sending(machine, plan)
    machine.organisation.other_courses.append({"id": "c_twin", "title": "Forklift basics (2025)"})
    with pytest.raises(StalePlanError, match="c_twin") as caught:
        machine.resume(plan)
    assert (caught.value.reason, machine.organisation.resets) == ("WARNING_MISSING", [])
    machine.organisation.other_courses.clear()
    assert machine.resume(plan).is_complete


def test_a_plan_that_sent_nothing_is_not_resumed_in_waves_that_outlast_it(machine: Machine) -> None:
    plan = evolve(machine.plan(0, 1), expires_at=START + timedelta(hours=1))
    interrupted_before_sending(machine, plan)
    with pytest.raises(InvalidArgumentError, match="would not end before the plan expires"):
        machine.resume(plan, waves=Waves(size=1, every=timedelta(hours=2)))
    assert not machine.organisation.resets
    assert machine.resume(plan).is_complete


def test_another_user_waits_on_the_reference_server_too_for_what_may_still_arrive(machine: Machine) -> None:
    plan = machine.plan(0, 1)
    machine.lose(plan, arrives=False)
    with another_user(machine.organisation):
        assert ends(machine.resume(plan)) == [Outcome.UNKNOWN, Outcome.UNKNOWN]
        assert len(machine.organisation.resets) == 1
        machine.puppet.clock += LATER
        assert machine.resume(plan).is_complete
    assert len(machine.organisation.resets) == 2


def test_what_another_user_sent_is_not_the_same_request_for_the_first(machine: Machine) -> None:
    plan = machine.plan(0)
    machine.lose(plan, arrives=False)
    machine.puppet.clock += LATER
    machine.organisation.on_reset = lambda _: answer({}, 503)
    with another_user(machine.organisation), pytest.raises(OutcomeUnknownError):
        machine.resume(plan)
    machine.organisation.on_reset = None
    assert ends(machine.resume(plan)) == [Outcome.UNKNOWN]
    assert len(machine.organisation.resets) == 2


@pytest.mark.parametrize(
    ("before", "now", "ended"),
    [
        ({}, {}, Outcome.UNKNOWN),
        (MIDWAY, {}, Outcome.UNKNOWN),
        (MIDWAY, {"completed_lessons": 3, "progress_percent": 100.0}, Outcome.UNKNOWN),
        (MIDWAY, {"completed_at": NEW, "completed_lessons": 3, "progress_percent": 100.0}, Outcome.UNKNOWN),
        (OPENED, {"completed_lessons": 1, "progress_percent": 30.0}, Outcome.UNKNOWN),
        (OPENED, CLEARED, Outcome.RESET),
        (MIDWAY, {"completed_lessons": 0, "progress_percent": 0.0}, Outcome.RESET),
        ({}, {"completed_at": "", "completed_lessons": 1, "progress_percent": 30.0}, Outcome.RESET),
        (MIDWAY, {"progress_percent": 40.0}, Outcome.UNKNOWN),  # the course may have been revised
        ({}, {"completed_at": "", "progress_percent": 75.0}, Outcome.UNKNOWN),
        ({}, {"completed_at": NEW}, Outcome.UNKNOWN),
    ],
)
def test_opening_the_course_again_is_a_reset_on_a_live_service_only_if_something_of_before_is_gone(
    tmp_path: Path, before: dict[str, Any], now: dict[str, Any], ended: Outcome
) -> None:
    machine = new_machine(tmp_path, 1, reference=False)
    machine.organisation.rows[0].update(before)
    plan = machine.plan(0)
    machine.lose(plan, arrives=False)
    machine.organisation.rows[0].update({"opened_at": NEW, **now})
    machine.puppet.clock += LATER
    assert ends(machine.resume(plan)) == [ended]
    assert len(machine.organisation.resets) == 1


@pytest.mark.parametrize(
    ("now", "at", "ended"),
    [
        ({"completed_at": NEW, "completed_lessons": 1}, NEW, Outcome.RESET),
        ({"completed_at": "", "completed_lessons": 1}, NEW, Outcome.RESET),
        ({"completed_at": "", "completed_lessons": 1}, "2026-01-02T00:00:00Z", Outcome.UNKNOWN),
    ],
)
def test_old_lessons_contradict_the_row(tmp_path: Path, now: dict[str, Any], at: str, ended: Outcome) -> None:
    machine = new_machine(tmp_path, 1, reference=False)
    plan = machine.plan(0)
    machine.lose(plan, arrives=False)
    machine.organisation.rows[0].update({"opened_at": NEW, **now})
    machine.puppet.clock += LATER
    dates = {user_id(0): at}
    with mock.patch.object(Organisation, "_lessons", lambda _, request: _one_lesson(dates, request)):
        assert ends(machine.resume(plan)) == [ended]
    assert len(machine.organisation.resets) == 1


def test_what_an_earlier_version_had_settled_by_a_later_opening_stays_settled(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, 2, reference=False)
    for one in machine.organisation.rows:
        one.update(MIDWAY)
    plan = machine.plan(0, 1)
    machine.lose(plan, arrives=False)
    for one in machine.organisation.rows:
        one.update(opened_at=NEW)
    folder = machine.state / "plans" / plan.digest
    with closing(Journal.open(folder)) as journal:
        journal.note(ReadBack(START, 0, {user_id(0): "applied", user_id(1): "unknown"}))
    machine.puppet.clock += LATER
    assert ends(machine.resume(plan)) == [Outcome.RESET, Outcome.UNKNOWN]
    assert len(machine.organisation.resets) == 1


def test_a_request_that_cannot_be_the_same_waits(machine: Machine) -> None:
    plan = machine.plan(0, 1)
    machine.lose(plan, arrives=False)
    machine.organisation.rows[0].update(row(0, score=12))
    assert ends(machine.resume(plan)) == [Outcome.UNKNOWN, Outcome.UNKNOWN]
    machine.puppet.clock += LATER
    assert ends(machine.resume(plan)) == [Outcome.UNKNOWN, Outcome.RESET]


def test_lessons_learned_again_before_a_second_request_send_nobody_again(tmp_path: Path) -> None:
    """No date tells, and both look as planned; the second was reset and has learned since."""
    machine = new_machine(tmp_path, 2, reference=False)
    for one in machine.organisation.rows:
        one.update(opened_at="", completed_at="", completed_lessons=1, progress_percent=33.3, score=None)
    plan = machine.plan(0, 1)
    dates = {user_id(0): "2026-01-02T00:00:00Z"}
    machine.lose(plan, arrives=False)
    machine.puppet.clock += LATER
    with mock.patch.object(Organisation, "_lessons", lambda _, request: _one_lesson(dates, request)):
        machine.organisation.on_reset = lambda _: _cut()
        with pytest.raises(OutcomeUnknownError):
            machine.resume(plan)
        dates[user_id(1)] = "2026-03-01T09:00:00Z"
        machine.puppet.clock += LATER
        with pytest.raises(OutcomeUnknownError) as caught:
            machine.resume(plan)
    assert machine.organisation.people_sent == [[user_id(0), user_id(1)], [user_id(0)], [user_id(0)]]
    assert ends(caught.value.report) == [Outcome.UNKNOWN, Outcome.RESET]


def _cut() -> Response:
    raise NoAnswerError("the line was cut")


def _one_lesson(dates: dict[str, str], request: Request) -> Response:
    at = dates.get(request.path.split("/")[-3])
    if at is None:
        return answer({"code": 7, "message": "no"}, 403)
    lesson = {
        "courseId": COURSE,
        "lessonId": "l0",
        "opened": True,
        "completed": True,
        "completedDateTime": at,
    }
    return answer({"totalCount": 1, "items": [lesson]})


def test_a_reading_that_began_too_early_counts_as_early_however_long_it_took(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, 1, reference=False)
    plan = machine.plan(0)
    machine.lose(plan, arrives=False)
    machine.puppet.clock += LATER - 60

    def take_long(request: Request) -> None:
        if "/feed/" in request.path:
            machine.puppet.clock += 120

    machine.organisation.before = take_long
    assert ends(machine.resume(plan)) == [Outcome.UNKNOWN]
    assert len(machine.organisation.resets) == 1


# --- the account ------------------------------------------------------------------------------------------------------


def test_a_resumption_that_is_refused_at_once_says_what_was_known_before(machine: Machine) -> None:
    plan = machine.plan(0, 1, 2)

    def reply(request: Request) -> Response:
        if len(machine.organisation.resets) == 2:
            return answer({"code": 3, "message": "no", "details": []}, 400)
        return machine.organisation.reset(request)

    machine.organisation.on_reset = reply
    with pytest.raises(BadRequestError) as first:
        machine.apply(plan, waves=Waves(size=1))
    with (
        mock.patch.object(Organisation, "_feed", return_value=answer({"code": 7}, 403)),
        pytest.raises(PermissionDeniedError) as second,
    ):
        machine.resume(plan)
    assert (
        ends(first.value.report)
        == ends(second.value.report)
        == [Outcome.RESET, Outcome.FAILED, Outcome.SKIPPED]
    )


def test_an_expired_plan_is_read_back_and_ends_if_nobody_is_left(machine: Machine) -> None:
    plan = evolve(machine.plan(0, 1), expires_at=START + timedelta(hours=1))
    machine.lose(plan, arrives=True)
    machine.puppet.clock += 3700
    assert machine.resume(plan).is_complete
    assert isinstance(machine.events(plan)[-1], Closed)


def test_an_expired_plan_sends_nothing_more_and_says_who_is_left(machine: Machine) -> None:
    plan = evolve(machine.plan(0, 1), expires_at=START + timedelta(hours=1))
    machine.lose(plan, arrives=False, waves=Waves(size=1))
    machine.puppet.clock += 3700
    with pytest.raises(
        StalePlanError, match=r"read back.*do not plan these people again before 2026-03-01 11:1"
    ) as caught:
        machine.resume(plan)
    assert caught.value.reason == "PLAN_EXPIRED"
    assert ends(caught.value.report) == [Outcome.UNKNOWN, Outcome.SKIPPED]
    machine.puppet.clock += LATER
    with pytest.raises(StalePlanError, match="Plan again for those who are left") as caught:
        machine.resume(plan)
    assert ends(caught.value.report) == [Outcome.SKIPPED, Outcome.SKIPPED]
    assert len(machine.organisation.resets) == 1


# --- the settings of the beginning --------------------------------------------------------------------------------


def test_waves_are_those_of_the_beginning_and_the_pause_goes_on(machine: Machine) -> None:
    plan = machine.plan(0, 1, 2)
    with pytest.raises(KeyboardInterrupt):
        machine.apply(plan, waves=Waves(size=1, every=timedelta(hours=1)), on_progress=interrupt)
    began = machine.puppet.clock
    assert machine.resume(plan).is_complete
    assert [len(people) for people in machine.organisation.people_sent] == [1, 1, 1]
    assert machine.puppet.clock - began > 2 * 3600 - 60


@given(
    st.builds(
        Waves,
        size=st.integers(1, 5000),
        every=st.timedeltas(timedelta(0), timedelta(days=300)),
        between=st.none() | st.just((time(22, 30), time(6))),
        days=st.sampled_from([("mon",), ("tue", "sun")]),
        zone=st.just("Europe/Zurich"),
    )
)
def test_waves_come_back_from_a_journal_as_they_were(waves: Waves) -> None:
    assert restored(kept(waves)) == waves


def test_a_journal_without_waves_is_read(machine: Machine) -> None:
    plan = machine.plan(0)
    machine.lose(plan, arrives=True)
    with Journal.open(machine.state / "plans" / plan.digest) as journal:
        opened = journal.state().opened
    assert isinstance(opened, Opened)
    assert opened.waves is None
    assert machine.resume(plan).is_complete


def test_the_tolerance_is_that_of_the_plan_however_often_it_is_resumed(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, 6)
    plan = machine.plan(*range(6))
    machine.organisation.rows[5].update(row(5, score=1))
    with pytest.raises(KeyboardInterrupt):
        machine.apply(plan, waves=Waves(size=1), tolerance=1, on_progress=interrupt)
    machine.organisation.rows[4].update(row(4, score=1))
    for _ in range(2):
        with pytest.raises(StalePlanError):
            machine.resume(plan)
    assert len(machine.organisation.resets) == 1
    assert len(list((tmp_path / "evidence").iterdir())) == 1  # what ends before a request needs no other pack


# --- other plans over the same people -----------------------------------------------------------------------------


def test_people_who_are_unknown_in_another_plan_are_not_sent_before_that_is_resumed(machine: Machine) -> None:
    first = machine.plan(0, 1)
    machine.lose(first, arrives=False)
    second = machine.plan(1, 2)
    with pytest.raises(
        OverlappingPlanError, match=rf"#{tail(first.digest)} reset .*Resume that plan first"
    ) as caught:
        machine.apply(second)
    assert dict(caught.value.info.metadata) == {"user_id": user_id(1)}
    assert machine.organisation.resets == []
    assert machine.resume(first).is_complete
    assert machine.apply(machine.plan(2)).is_complete


def named(machine: Machine, base_url: str) -> Machine:
    """The same machine and organisation, reached by another address."""
    return Machine(machine.state, machine.organisation, Calls(BaseUrl(base_url), max_retry_seconds=90.0))


@pytest.mark.parametrize("name", VENDOR_HOSTS[1:])
def test_the_vendors_hosts_are_one_service_to_other_plans(tmp_path: Path, name: str) -> None:
    machine = named(new_machine(tmp_path), f"https://{VENDOR_HOSTS[0]}")
    there = named(machine, f"https://{name}")
    first = machine.plan(0, 1)
    machine.lose(first, arrives=False)
    second = there.plan(1, 2)
    with pytest.raises(OverlappingPlanError, match="Resume that plan first"):
        there.apply(second)
    assert machine.organisation.resets == []


@pytest.mark.parametrize("name", VENDOR_HOSTS[1:])
def test_who_was_reset_under_one_name_was_reset_under_all_of_them(tmp_path: Path, name: str) -> None:
    machine = named(new_machine(tmp_path), f"https://{VENDOR_HOSTS[0]}")
    there = named(machine, f"https://{name}")
    plan = machine.plan(0)
    assert machine.apply(plan).is_complete
    state = StateDirectory.existing(tmp_path)
    assert state is not None
    origin = there.plan(1).origin
    assert origin.base_url == f"https://{name}"
    assert (
        last_resets(state, origin).keys() == resets_begun(state, origin)[0].keys() == {(COURSE, user_id(0))}
    )
    assert not last_resets(state, evolve(origin, organisation_id="role_other"))
    assert not resets_begun(state, evolve(origin, base_url="https://api.safetyculture.example"))[0]


@pytest.mark.parametrize("name", VENDOR_HOSTS[1:])
def test_a_plan_stays_bound_to_the_name_it_was_made_under(tmp_path: Path, name: str) -> None:
    machine = named(new_machine(tmp_path), f"https://{VENDOR_HOSTS[0]}")
    with pytest.raises(PlanMismatchError):
        named(machine, f"https://{name}").apply(machine.plan(0))
    assert machine.organisation.resets == []


def test_a_person_who_stays_unknown_is_decided_by_a_new_plan_later(machine: Machine) -> None:
    first = machine.plan(0)
    machine.lose(first, arrives=False)
    machine.organisation.rows[0].update(row(0, score=12))
    second = machine.plan(0)
    machine.puppet.clock += LATER
    with pytest.raises(OverlappingPlanError):
        machine.apply(second)
    assert ends(machine.resume(first)) == [Outcome.UNKNOWN]
    assert machine.apply(second).is_complete


def test_another_plan_sends_nobody_again_while_the_feed_may_be_late(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, reference=False)
    first, second = machine.plan(0), machine.plan(0, 1)
    assert machine.apply(first).is_complete
    machine.organisation.rows[0].update(row(0))  # the feed shows the past
    with pytest.raises(OverlappingPlanError, match="may show older data until 2026-03-01 11:16 UTC"):
        machine.apply(second)
    assert len(machine.organisation.resets) == 1
    machine.puppet.clock += LATER
    assert machine.apply(second).is_complete


def test_what_another_plan_did_later_is_no_proof_of_this_one(machine: Machine) -> None:
    first, second = machine.plan(0), machine.plan(0)
    second = evolve(second, expires_at=second.expires_at + timedelta(hours=1))
    machine.lose(first, arrives=False)
    machine.puppet.clock += LATER
    with mock.patch(
        "training_sdk.resets.recorder.refuse_overlapping"
    ):  # as on a machine that did not look yet
        assert machine.apply(second).is_complete
    assert machine.organisation.rows[0]["opened_at"] == CLEARED["opened_at"]
    assert ends(machine.resume(first)) == [Outcome.UNKNOWN]


def test_a_plan_that_is_being_applied_keeps_its_people_from_others(machine: Machine) -> None:
    first, second = machine.plan(0, 1), machine.plan(1, 2)
    refused: list[str] = []

    def meanwhile(request: Request) -> Response:
        if not refused:
            other = Machine(machine.state, machine.organisation)
            refused.append("")
            with pytest.raises(OverlappingPlanError, match="Another process is applying") as caught:
                other.apply(second)
            refused[0] = caught.value.message
        return machine.organisation.reset(request)

    machine.organisation.on_reset = meanwhile
    assert machine.apply(first, waves=Waves(size=1)).is_complete
    assert f"#{tail(first.digest)}" in refused[0]


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["report", "audit log", "journal"])
def test_a_full_disk_at_the_end_leaves_no_fault_and_resuming_ends_it(machine: Machine, what: str) -> None:
    plan = machine.plan(0)
    append, write, note = AuditLog.append, storage.write_whole, Journal.note
    full = RecordsUnwritableError("no space left")

    def no_line(log: AuditLog, event: str, **facts: Any) -> None:
        if event == "reset ended" and what == "audit log":
            raise full
        append(log, event, **facts)

    def no_report(path: Path, data: bytes) -> None:
        if path.name == "report.json" and what == "report":
            raise full
        write(path, data)

    def no_event(journal: Journal, event: Any) -> None:
        if isinstance(event, Closed) and what == "journal":
            raise full
        note(journal, event)

    with (
        mock.patch.object(AuditLog, "append", no_line),
        mock.patch.object(storage, "write_whole", no_report),
        mock.patch.object(Journal, "note", no_event),
        pytest.raises(RecordsUnwritableError) as caught,
    ):
        machine.apply(plan)
    assert ends(caught.value.report) == [Outcome.RESET]
    assert ("reset ended" in machine.lines()) == (what == "journal")
    assert not {"reset ended", "reset stopped"} <= set(machine.lines())
    assert machine.resume(plan).is_complete
    assert machine.lines()[-1] == "reset ended"
    with pytest.raises(AlreadyAppliedError):
        machine.resume(plan)
    assert len(machine.organisation.resets) == 1


def test_a_person_with_nothing_to_reset_who_had_begun_stays_skipped(tmp_path: Path) -> None:
    """R21: resumed, the report does not say "nothing to reset" of somebody who has progress by now."""
    machine = new_machine(tmp_path, people=2)
    machine.organisation.rows.append(untouched(7))
    plan = machine.plan(0, 1, 7)
    machine.organisation.rows[-1].update(row(7))
    machine.lose(plan, arrives=True, tolerance=1)
    report = machine.resume(plan)
    assert ends(report) == [Outcome.RESET, Outcome.RESET, Outcome.SKIPPED]
    assert [str(one) for one in check_records(StateDirectory.open(machine.state))] == []


def test_a_person_who_was_skipped_stays_so(machine: Machine) -> None:
    plan = machine.plan(0, 1, 2)
    machine.organisation.rows[2].update(row(2, score=1))
    with pytest.raises(KeyboardInterrupt):
        machine.apply(plan, waves=Waves(size=1), tolerance=1, on_progress=interrupt)
    report = machine.resume(plan)
    assert [user.code for user in report.users] == [None, None, Code.MOVED]
    assert json.loads(machine.organisation.resets[-1].body or b"")["userIds"] == [user_id(1)]


def test_a_report_that_cannot_be_read_is_named_in_the_plan_and_stops_no_planning(machine: Machine) -> None:
    plans = [machine.plan(0), machine.plan(1)]
    for plan in plans:
        assert machine.apply(plan).is_complete
    (machine.state / "plans" / plans[0].digest / "report.json").write_text("{}x", encoding="ascii")
    state = StateDirectory.open(machine.state)
    machine.organisation.rows[0].update(row(0))
    wanted = PlanOptions(
        (COURSE,), None, last_resets=lambda origin: last_resets(state, origin, pass_over=True)
    )
    again = FakeDriver(machine.organisation).run(make_plan(CALLS, wanted))
    assert [user.last_reset_at is not None for user in again.users] == [False, True, False]
    assert any(plans[0].digest in warning and "report.json" in warning for warning in again.warnings)
    with pytest.raises(RecordsDamagedError, match=plans[0].digest):
        last_resets(state, plans[0].origin)


def test_who_was_reset_is_known_by_reports_and_by_journals(machine: Machine) -> None:
    """A report that was lost, or was written before a process was killed, hides nobody; nor does a damaged journal."""
    plans = [machine.plan(0), machine.plan(1)]
    for plan in plans:
        assert machine.apply(plan).is_complete
    state, origin = StateDirectory.open(machine.state), plans[0].origin
    (machine.state / "plans" / plans[0].digest / "report.json").unlink()
    everyone = {(COURSE, user_id(0)), (COURSE, user_id(1))}
    assert resets_known(state, origin).keys() == everyone
    journal = machine.state / "plans" / plans[1].digest / "journal.jsonl"
    journal.write_bytes(b"?" + journal.read_bytes())
    known = resets_known(state, origin)
    assert known.keys() == everyone
    assert any(plans[1].digest in warning for warning in known.warnings)
    assert not resets_known(state, evolve(origin, organisation_id="role_other"))


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl"


def test_ids_that_look_like_secrets_do_not_stop_the_end_from_being_written(machine: Machine) -> None:
    """Also where another driver hands them on as they came, and where the organisation itself has such an id."""
    machine.organisation.organisation_id = JWT
    plan = machine.plan(0, 1)

    def reply(request: Request) -> Response:
        return evolve(machine.organisation.reset(request), request_id=JWT)

    machine.organisation.on_reset = reply
    assert machine.apply(plan).requests == (JWT,)
    assert isinstance(machine.events(plan)[-1], Closed)
    assert machine.lines()[-1] == "reset ended"
    assert JWT.encode() not in (machine.state / "audit.jsonl").read_bytes()


def test_an_older_journal_with_a_token_in_its_reason_can_be_ended(machine: Machine) -> None:
    plan = machine.plan(0, 1)
    machine.lose(plan, arrives=True, reason=f"with {JWT}", ticket="T-1")
    assert machine.resume(plan).is_complete
    assert isinstance(machine.events(plan)[-1], Closed)
    entry = AuditLog(machine.state / "audit.jsonl").entries()[-1]
    assert (entry["event"], entry["ticket"], JWT in str(entry)) == ("reset ended", "T-1", False)
