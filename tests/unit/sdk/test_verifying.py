"""Accepted is not verified: what the read side shows of a reset, and for how long it is looked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from attrs import evolve

from training_sdk import (
    Code,
    IncompleteResetError,
    InvalidArgumentError,
    Outcome,
    PlanMismatchError,
    ResetPlan,
    ResetReport,
    UserOutcome,
    Verification,
    VerificationState,
)
from training_sdk._core.flow import Request, Response
from training_sdk.plans.plan import plan_bytes
from training_sdk.records import plan_copy, storage
from training_sdk.records.audit import AuditLog
from training_sdk.records.state import StateDirectory
from training_sdk.reports import report_file
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.verifying import VerificationOptions, wait_until_verified
from unit.sdk.fakes import (
    CALLS,
    CLEARED,
    RESET,
    START,
    FakeDriver,
    Organisation,
    answer,
    row,
    tail,
    untouched,
)
from unit.sdk.machine import new_machine
from unit.sdk.resetting import planned

H = timedelta(hours=1)
SETTLED = timedelta(hours=3, minutes=15)
AGAIN = "2026-03-01T08:30:00Z"
PENDING, VERIFIED, CONTRADICTED = (
    VerificationState.PENDING,
    VerificationState.VERIFIED,
    VerificationState.CONTRADICTED,
)


class Feed(Organisation):
    """An organisation whose lessons may lag behind its feed."""

    lessons_late = False
    is_unstable = False
    """Shows the last person twice, in the place of the first."""
    lessons_short = False
    lesson: dict[str, object] | None = None

    def _lessons(self, request: Request) -> Response:
        if self.lesson is not None:
            number = max(1, self.rows[0]["completed_lessons"])
            items = [
                {"courseId": self.course_id, "lessonId": f"l{each}", **self.lesson} for each in range(number)
            ]
            return answer({"totalCount": number, "items": items})
        if self.lessons_late:
            return answer(
                {"totalCount": 1, "items": [{"courseId": self.course_id, "lessonId": "l", "completed": True}]}
            )
        if self.lessons_short:
            return answer({"totalCount": 3, "items": []})
        return super()._lessons(request)

    def _feed(self, request: Request) -> Response:
        if self.is_unstable and "user_id=" not in request.target:
            return answer({"metadata": {"next_page": None}, "data": [*self.rows[1:], self.rows[-1]]})
        return super()._feed(request)

    course_id = row(0)["course_id"]


def a_reset_of(people: int) -> tuple[Feed, ResetReport]:
    """People who stand as before in the feed, and the report of their reset, which was accepted at START."""
    feed = Feed([row(number) for number in range(people)])
    return feed, report_on(planned(feed))


def report_on(plan: ResetPlan, outcome: Outcome = Outcome.RESET) -> ResetReport:
    users = tuple(UserOutcome(user.course_id, user.user_id, outcome) for user in plan.users)
    return ResetReport(plan, "user_admin", users, ("req-1",), START, START, "why", None)


def verify(
    feed: Feed,
    report: ResetReport | str,
    *changes: tuple[timedelta, Callable[[], object]],
    deadline: timedelta = 4 * H,
    every: timedelta = timedelta(minutes=5),
    lessons: int = 1000,
    puppet: FakeDriver | None = None,
) -> tuple[Verification, FakeDriver]:
    """Verify, while these things happen so long after START."""
    left = sorted(changes, key=lambda change: change[0])

    def happen(request: Request) -> None:
        while left and driver.clock >= left[0][0].total_seconds():
            left.pop(0)[1]()

    driver = puppet or FakeDriver(feed)
    feed.before = happen
    flow = wait_until_verified(
        CALLS, report, VerificationOptions(deadline, every, lessons), Recorder(None, None, H)
    )
    return driver.run(flow), driver


def clear(feed: Feed, *numbers: int) -> Callable[[], object]:
    return lambda: [feed.rows[number].update(CLEARED) for number in numbers]


def resets(driver: FakeDriver) -> list[Request]:
    return [request for request in driver.sent if request.path == RESET]


def ends(found: Verification) -> list[tuple[VerificationState, str | None]]:
    return [(one.state, one.code) for one in found.people]


def codes(found: Verification) -> list[str | None]:
    return [one.code for one in found.people]


def test_at_once_where_the_feed_shows_it_at_once() -> None:
    feed, report = a_reset_of(3)
    clear(feed, 0, 1, 2)()
    found, driver = verify(feed, report)
    assert (found.is_verified, found.lessons_read, driver.slept) == (True, 3, [])
    found.raise_for_unverified()


@pytest.mark.parametrize("lag", [timedelta(minutes=1), H, 2 * H])
def test_a_lagging_feed_is_waited_for(lag: timedelta) -> None:
    feed, report = a_reset_of(3)
    found, driver = verify(feed, report, (lag, clear(feed, 0, 1, 2)))
    assert found.is_verified
    assert lag <= found.finished_at - START <= lag + timedelta(minutes=30)
    assert resets(driver) == []


def test_polls_slow_down_and_no_sleep_is_longer_than_an_hour() -> None:
    feed, report = a_reset_of(1)
    _, driver = verify(feed, report, every=timedelta(minutes=20), deadline=4 * H)
    waits = [sleep.seconds for sleep in driver.slept]
    assert waits[:3] == [1200, 1800, 2700]
    assert max(waits) <= 3600
    assert sum(waits) == SETTLED.total_seconds()


def test_what_is_still_recorded_after_the_lag_contradicts_and_not_before() -> None:
    feed, report = a_reset_of(2)
    clear(feed, 0)()
    early, _ = verify(feed, report, deadline=H)
    assert [one.state for one in early.people] == [VERIFIED, PENDING]
    late, driver = verify(feed, report)
    assert ends(late) == [
        (VERIFIED, None),
        (CONTRADICTED, "STILL_RECORDED"),
    ]
    assert late.finished_at - START == SETTLED
    assert not late.people[1].took_effect
    with pytest.raises(IncompleteResetError) as caught:
        late.raise_for_unverified()
    assert (caught.value.reason, caught.value.report) == ("NOT_VERIFIED", report)
    assert resets(driver) == []


@pytest.mark.parametrize(("completed_at", "code"), [(AGAIN, "COMPLETE_AGAIN"), ("", "BEGUN_AGAIN")])
def test_starting_again_is_told_from_not_being_reset(completed_at: str, code: str) -> None:
    feed, report = a_reset_of(1)
    again = {"opened_at": AGAIN, "completed_at": completed_at}
    found, _ = verify(feed, report, (H, lambda: feed.rows[0].update(again)))
    (one,) = found.people
    assert (one.state, one.code, one.took_effect) == (VERIFIED, code, True)
    assert (found.is_verified, found.retrained, found.lessons_read) == (True, (one,), 0)
    found.raise_for_unverified()
    what = "completed" if completed_at else "begun"
    assert str(found) == f'"Forklift basics": 1 verified (trained again since: 1 {what})'


@pytest.mark.parametrize("reference", [True, False])
@pytest.mark.parametrize("lessons", [0, 1000])
def test_people_who_retrain_at_once_are_verified_on_a_late_feed(reference: bool, lessons: int) -> None:
    """On a live service by fewer lessons: a later completion alone may follow a revision of the course."""
    feed, report = a_reset_of(3)
    feed.reference = reference
    report = evolve(
        report, plan=evolve(report.plan, origin=evolve(report.plan.origin, reference_server=reference))
    )
    counts = {} if reference else {"completed_lessons": 2}
    again = {"opened_at": AGAIN, "completed_at": AGAIN, **counts}  # before the first reading
    found, driver = verify(
        feed, report, (2 * H, lambda: feed.rows[0].update(again)), (2 * H, clear(feed, 1, 2)), lessons=lessons
    )
    assert (found.is_verified, [one.code for one in found.retrained]) == (True, ["COMPLETE_AGAIN"])
    assert resets(driver) == []


def test_lessons_that_were_begun_after_the_reset_are_not_the_old_ones() -> None:
    feed, report = a_reset_of(1)
    clear(feed, 0)()
    for opened, state, code in (
        (AGAIN, VERIFIED, "BEGUN_AGAIN"),
        ("2026-02-01T08:00:00Z", CONTRADICTED, "LESSONS_RECORDED"),
        (None, CONTRADICTED, "LESSONS_RECORDED"),
    ):
        feed.lesson = {"percentageCompleted": 50.0, "openedDateTime": opened}
        found, _ = verify(feed, report)
        assert ends(found) == [(state, code)]


MIDWAY = {"completed_at": "", "progress_percent": 50.0, "completed_lessons": 2}


@pytest.mark.parametrize(
    ("before", "now", "live", "reference"),
    [
        ({}, {"opened_at": AGAIN}, "STILL_RECORDED", "STILL_RECORDED"),
        (MIDWAY, {"opened_at": AGAIN}, "CANNOT_TELL", "BEGUN_AGAIN"),
        (MIDWAY, {"opened_at": AGAIN, "progress_percent": 60.0}, "CANNOT_TELL", "BEGUN_AGAIN"),
        (MIDWAY, {"opened_at": AGAIN, "progress_percent": 20.0}, "CANNOT_TELL", "BEGUN_AGAIN"),
        ({}, {"opened_at": AGAIN, "completed_at": ""}, "CANNOT_TELL", "BEGUN_AGAIN"),
        (MIDWAY, {"opened_at": AGAIN, "completed_lessons": 1}, "BEGUN_AGAIN", "BEGUN_AGAIN"),
        (MIDWAY, {"progress_percent": 20.0}, "STILL_RECORDED", "STILL_RECORDED"),
    ],
)
def test_opening_a_course_later_is_no_reset_while_nothing_of_before_is_gone(
    before: dict[str, object], now: dict[str, object], live: str, reference: str
) -> None:
    for is_reference, code in ((False, live), (True, reference)):
        feed = Feed([row(0, **before)], reference=is_reference)
        report = report_on(planned(feed))
        feed.rows[0].update(now)
        (one,) = verify(feed, report)[0].people
        assert (one.code, one.took_effect) == (code, code == "BEGUN_AGAIN")


BEYOND = {"opened_at": AGAIN, "completed_at": AGAIN, "progress_percent": 100.0, "completed_lessons": 3}
OPENED = {"completed_at": "", "progress_percent": 0.0, "completed_lessons": 0, "score": 0}


def live_report(before: dict[str, object]) -> tuple[Feed, ResetReport]:
    feed = Feed([row(0, **before)], reference=False)
    return feed, report_on(planned(feed))


@pytest.mark.parametrize("lessons", [0, 1000])
def test_a_completion_since_is_not_verified_on_a_live_service_without_dates_of_lessons(lessons: int) -> None:
    feed, report = live_report(MIDWAY)
    feed.rows[0].update(BEYOND)
    found, driver = verify(feed, report, lessons=lessons)
    assert ends(found) == [(PENDING, "CANNOT_TELL")]
    assert (found.is_verified, resets(driver)) == (False, [])


OPENED_AGAIN = {"opened_at": AGAIN, "progress_percent": 60.0}
SHORTER = {"opened_at": AGAIN, "progress_percent": 25.0, "completed_lessons": 1}
"""As after lessons were taken out of the course."""
NEW_LESSON = {"completed": True, "completedDateTime": AGAIN}
OLD_LESSON = {"completed": True, "completedDateTime": "2026-02-01T08:00:00Z"}


@pytest.mark.parametrize(
    ("before", "now", "lesson", "state", "code"),
    [
        (MIDWAY, BEYOND, NEW_LESSON, VERIFIED, "COMPLETE_AGAIN"),
        (MIDWAY, BEYOND, OLD_LESSON, CONTRADICTED, "LESSONS_RECORDED"),
        (MIDWAY, OPENED_AGAIN, NEW_LESSON, VERIFIED, "BEGUN_AGAIN"),
        (MIDWAY, OPENED_AGAIN, OLD_LESSON, CONTRADICTED, "LESSONS_RECORDED"),
        (MIDWAY, SHORTER, OLD_LESSON, CONTRADICTED, "LESSONS_RECORDED"),
        ({}, BEYOND, NEW_LESSON, VERIFIED, "COMPLETE_AGAIN"),
        (MIDWAY, {"opened_at": AGAIN}, {"completed": True}, PENDING, "CANNOT_TELL"),
        (OPENED, BEYOND, NEW_LESSON, PENDING, "CANNOT_TELL"),
    ],
)
def test_the_dates_of_lessons_decide_where_the_row_does_not(
    before: dict[str, object], now: dict[str, object], lesson: dict[str, object], state: str, code: str
) -> None:
    feed, report = live_report(before)
    feed.rows[0].update(now)
    feed.lesson = lesson
    found, _ = verify(feed, report)
    assert ends(found) == [(state, code)]


@pytest.mark.parametrize(("is_old", "code"), [(False, "BEGUN_AGAIN"), (True, "CANNOT_TELL")])
def test_a_sealed_plan_judges_as_the_plan_does(is_old: bool, code: str) -> None:
    feed, report = live_report(MIDWAY)
    folder = StateDirectory.open().plan_folder(report.plan.digest)
    plan_copy.write_plan_copy(folder, plan_bytes(report.plan), b"sealed")
    report_file.save(report, folder)
    if is_old:
        outline = json.loads((folder / plan_copy.OUTLINE).read_bytes())
        for user in outline["users"]:
            del user["percent"], user["completed_lessons"]
        (folder / plan_copy.OUTLINE).write_text(json.dumps(outline))
    feed.rows[0].update(opened_at=AGAIN, progress_percent=20.0, completed_lessons=1)
    found, _ = verify(feed, report.plan.digest)
    assert codes(found) == [code]
    assert [one.state for one in found.people] == [PENDING if is_old else VERIFIED]


def test_whom_nothing_can_be_told_of_is_pending_and_not_waited_for_beyond_the_lag() -> None:
    feed, report = live_report(MIDWAY)
    feed.rows[0]["opened_at"] = AGAIN
    early, _ = verify(feed, report, deadline=H)
    assert codes(early) == ["NOT_SEEN_YET"]
    found, _ = verify(feed, report, deadline=5 * H)
    assert (found.counts[PENDING], found.is_verified) == (1, False)
    assert found.finished_at - START == SETTLED


def test_whoever_went_on_before_the_reset_arrived_is_no_proof_of_it() -> None:
    feed = Feed([row(0, completed_at="", progress_percent=50.0)])
    report = report_on(planned(feed))
    found, _ = verify(
        feed, report, (H, lambda: feed.rows[0].update(completed_at=AGAIN, progress_percent=100.0))
    )
    assert codes(found) == ["STILL_RECORDED"]


def test_somebody_unassigned_meanwhile_stays_pending_and_is_not_waited_for_beyond_the_lag() -> None:
    feed, report = a_reset_of(2)
    clear(feed, 1)()
    found, _ = verify(feed, report, (timedelta(minutes=1), lambda: feed.rows.pop(0)), deadline=5 * H)
    gone = found.people[0]
    assert (gone.state, gone.code) == (PENDING, "NOT_SHOWN")
    assert found.finished_at - START == SETTLED


@pytest.mark.parametrize("what", ["is_unstable", "lessons_short"])
def test_listings_that_are_not_whole_are_looked_at_again(what: str) -> None:
    feed, report = a_reset_of(2)
    clear(feed, 0, 1)()
    setattr(feed, what, True)
    found, _ = verify(feed, report, (H, lambda: setattr(feed, what, False)))
    assert (found.is_verified, found.finished_at - START >= H) == (True, True)
    setattr(feed, what, True)
    stuck, _ = verify(feed, report, deadline=5 * H)
    assert stuck.finished_at - START >= 5 * H
    assert {(one.state, one.code) for one in stuck.people} == {(PENDING, "NOT_WHOLE")}


def test_lessons_that_lag_behind_the_feed_keep_somebody_pending() -> None:
    feed, report = a_reset_of(1)
    clear(feed, 0)()
    feed.lessons_late = True
    found, _ = verify(feed, report, (H, lambda: setattr(feed, "lessons_late", False)))
    assert (found.is_verified, found.finished_at - START >= H) == (True, True)
    feed.lessons_late = True
    stuck, _ = verify(feed, report)
    assert codes(stuck) == ["LESSONS_RECORDED"]
    assert stuck.counts[CONTRADICTED] == 1


def test_lessons_are_read_once_of_those_seen_cleared_and_of_no_more_than_told() -> None:
    feed, report = a_reset_of(10)
    clear(feed, *range(5))()
    found, driver = verify(feed, report, (H, clear(feed, *range(5, 10))))
    assert sum(request.path.endswith("/lessons/progress") for request in driver.sent) == 10
    some, driver = verify(feed, report, lessons=3)
    assert (
        sum(request.path.endswith("/lessons/progress") for request in driver.sent) == some.lessons_read <= 3
    )
    none, driver = verify(feed, report, lessons=0)
    assert (none.is_verified, none.lessons_read) == (True, 0)
    assert found.is_verified


def test_those_with_nothing_to_reset_are_not_looked_for() -> None:
    feed = Feed([row(0), untouched(1)])
    report = report_on(planned(feed))
    clear(feed, 0)()
    found, _ = verify(feed, report)
    assert [one.user_id for one in found.people] == [row(0)["user_id"]]


def test_unknown_people_are_looked_for_and_left_unknown() -> None:
    feed = Feed([row(0)])
    report = report_on(planned(feed), Outcome.UNKNOWN)
    clear(feed, 0)()
    found, _ = verify(feed, report)
    assert (found.counts[VERIFIED], found.is_verified, found.left_unknown) == (1, False, 1)
    assert "client.resets.resume(plan, confirm=…)" in str(found)
    with pytest.raises(IncompleteResetError, match="1 of 1 reset not verified"):
        found.raise_for_unverified()


CONTINUE = "Continue with client.resets.resume"


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        (Outcome.SKIPPED, Code.NOT_SENT, f"2 of 3 resets were never sent. {CONTINUE}"),
        (Outcome.SKIPPED, Code.INTERRUPTED, f"2 of 3 resets were never sent. {CONTINUE}"),
        (Outcome.FAILED, Code.REFUSED, f"2 of 3 resets were refused by the service. {CONTINUE}"),
        (Outcome.UNKNOWN, Code.ANSWER_LOST, "2 of 3 resets were left unknown in the report"),
        (Outcome.SKIPPED, Code.MOVED, "2 of 3 resets were skipped"),
    ],
)
def test_people_not_known_to_be_reset_are_no_success(outcome: Outcome, code: Code, said: str) -> None:
    feed, report = a_reset_of(3)
    first, *others = report.users
    left = (evolve(user, outcome=outcome, code=code) for user in others)
    report = evolve(report, users=(first, *left))
    clear(feed, 0, 1, 2)()
    found, _ = verify(feed, report)
    assert not found.is_verified
    assert said in str(found)
    with pytest.raises(IncompleteResetError, match="2 of 3 resets not verified"):
        found.raise_for_unverified()
    (line,) = AuditLog(StateDirectory.open().audit).entries()
    assert line["event"] == "reset not verified"


@pytest.mark.parametrize("outcome", [Outcome.SKIPPED, Outcome.FAILED])
def test_if_nobody_was_reset_there_is_nothing_to_verify(outcome: Outcome) -> None:
    feed = Feed([row(0)])
    with pytest.raises(InvalidArgumentError, match="nothing to verify"):
        verify(feed, report_on(planned(feed), outcome))
    assert feed.sent == []


def test_a_saved_report_is_found_by_the_digest_of_its_plan() -> None:
    feed, report = a_reset_of(1)
    with pytest.raises(InvalidArgumentError, match="no report"):
        verify(feed, report.plan.digest)
    folder = StateDirectory.open().plan_folder(report.plan.digest)
    storage.write_whole(folder / report_file.PLAN, plan_bytes(report.plan))
    report_file.save(report, folder)
    clear(feed, 0)()
    for named in (report.plan.digest, tail(report.plan.digest), f"#{tail(report.plan.digest)}"):
        found, _ = verify(feed, named)
        assert (found.is_verified, found.report) == (True, report)
    for wrong in ("", "..", report.plan.digest[:5]):
        with pytest.raises(InvalidArgumentError, match="digest"):
            verify(feed, wrong)


def test_it_is_noted_in_the_audit_log_once_and_nowhere_else() -> None:
    feed, report = a_reset_of(2)
    clear(feed, 0)()
    verify(feed, report)
    state = StateDirectory.open()
    (line,) = AuditLog(state.audit).entries()
    assert (line["event"], line["plan_digest"]) == ("reset not verified", report.plan.digest)
    assert line["verification"] == {"pending": 0, "verified": 1, "contradicted": 1}
    assert line["codes"] == {"STILL_RECORDED": 1}
    assert [path.name for path in state.path.iterdir() if path.is_dir()] == []


def test_a_report_of_another_organisation_is_refused() -> None:
    feed, report = a_reset_of(1)
    feed.organisation_id = "role_2"
    with pytest.raises(PlanMismatchError):
        verify(feed, report)


def test_a_report_from_long_ago_needs_no_waiting() -> None:
    feed, report = a_reset_of(1)
    long_ago: datetime = START - timedelta(days=30)
    found, driver = verify(feed, evolve(report, started_at=long_ago, finished_at=long_ago))
    assert (codes(found), driver.slept) == (["STILL_RECORDED"], [])


def test_lateness_counts_from_the_request_for_each_person(tmp_path: Path) -> None:
    """The first was sent hours before the second, and only the second can still be late."""
    machine = new_machine(tmp_path, reference=False)
    plan = machine.plan(0, 1)
    pause = timedelta(hours=4).total_seconds()

    def once(request: Request) -> Response:
        machine.organisation.on_reset = stop
        return machine.organisation.reset(request)

    def stop(_: Request) -> Response:
        raise KeyboardInterrupt

    machine.organisation.on_reset = once
    with pytest.raises(KeyboardInterrupt):
        machine.apply(plan, per_request=1, reason="yearly")
    machine.organisation.on_reset = None
    machine.puppet.clock += pause
    report = machine.resume(plan)
    assert [user.outcome for user in report.users] == [Outcome.RESET, Outcome.RESET]
    for number in (0, 1):
        machine.organisation.rows[number].update(row(number))  # the feed shows what was before
    recorder = Recorder(str(machine.state), None, H)
    watch = VerificationOptions(timedelta(0), timedelta(minutes=5), 0)
    found = machine.puppet.run(wait_until_verified(machine.calls, report, watch, recorder))
    assert codes(found) == ["STILL_RECORDED", "NOT_SEEN_YET"]


def test_lessons_from_before_the_last_request_verify_nobody_whenever_applying_began() -> None:
    """Waves and resumes send hours after the start: who retrained in between may have kept the old progress."""
    feed, report = a_reset_of(1)
    between = f"{START - H / 2:%Y-%m-%dT%H:%M:%SZ}"
    feed.rows[0].update(opened_at=between, completed_at=between)
    feed.lesson = {"completed": True, "completedDateTime": between}
    found, _ = verify(feed, evolve(report, started_at=START - 6 * H), deadline=timedelta(0))
    assert not found.is_verified
    assert found.people[0].state is not VERIFIED


def test_lessons_between_the_start_and_the_request_prove_no_reset(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, 1, reference=False)
    machine.organisation = feed = Feed([row(0)], reference=False)
    machine.puppet = FakeDriver(feed, cost=300.0)  # so that evidence takes its time
    report = machine.apply(machine.plan(0))
    between = report.started_at + timedelta(seconds=1)
    feed.lesson = {"completed": True, "openedDateTime": f"{between:%Y-%m-%dT%H:%M:%SZ}"}
    flow = wait_until_verified(
        CALLS, report, VerificationOptions(timedelta(0), H, 1), Recorder(str(tmp_path), None, H)
    )
    (seen,) = machine.puppet.run(flow).people
    assert (seen.state, seen.code) == (PENDING, "LESSONS_RECORDED")
