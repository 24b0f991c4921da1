"""The main task as a walkthrough: ``python -m training_sdk.testing.demo``.

Starts the reference server on a loopback socket and does with the SDK what an admin does: read, be refused, plan,
confirm, reset, read again. Exits with 0 only if every step follows the rules.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from attrs import frozen

from training_sdk import (
    ConfirmationError,
    Course,
    CourseStatistics,
    PermissionDeniedError,
    PlannedReset,
    ProgressRow,
    ResetPlan,
    ResetReport,
    TrainingClient,
    TrainingError,
)
from training_sdk.cli.streams import run_with_streams
from training_sdk.plans.wording import headline
from training_sdk.recertification import Due, FromCompletion, who_is_due
from training_sdk.testing.story import Story

if TYPE_CHECKING:
    from mock_server import MockTraining
    from mock_server.mock import TokenName
    from mock_server.world.ledger import Certificate

COURSE = "Forklift basics"
RULE = FromCompletion(months=9)
TODAY = datetime(2026, 12, 1, 9, tzinfo=UTC)  # some completions are due, others are not
PEOPLE_SHOWN = 6


@frozen
class Stage:
    """Setting of the walkthrough: the server, an admin's client, and the course."""

    mock: MockTraining
    url: str
    admin: TrainingClient
    story: Story
    course: Course

    def client(self, who: TokenName) -> TrainingClient:
        """Return the admin's client with another token; it stores its records in the same place."""
        return self.admin.with_options(token=self.mock.token(who))

    def rows(self) -> list[ProgressRow]:
        """Return the course as the progress feed shows it now."""
        return list(self.admin.progress.list(course_id=self.course.id))

    def show_figures(self) -> CourseStatistics:
        """Print the completion figures and return them."""
        (now,) = self.admin.analytics.course_statistics(course_ids=[self.course.id])
        self.story.table(
            ("course", "assigned", "opened", "completed", "completion", "average score"),
            [
                (
                    self.course.title,
                    now.total_users,
                    now.opened_count,
                    now.completed_count,
                    f"{now.completion_percent or 0:.1f} %",
                    f"{now.average_score or 0:.1f}",
                )
            ],
        )
        return now


def main() -> int:
    """Run the walkthrough on standard output and return the exit code."""
    return run_with_streams(_tell, "demo", 1)


def _tell() -> int:
    """Run the walkthrough with its own records."""
    from mock_server import MockTraining

    story = Story()
    mock = MockTraining.demo(now=TODAY)
    with (
        TemporaryDirectory() as records,
        mock.serve(port=0) as server,
        TrainingClient(
            mock.token("admin"), base_url=server.url, max_retry_seconds=10, state_dir=Path(records) / "state"
        ) as admin,
    ):
        story.say(f"The reference server answers on {server.url}. Nothing here touches a live organisation.")
        story.say("Marks such as [R06] name the rules of a reset; docs/explanation/rules.md lists them.")
        _play(story, mock, server.url, admin)
    return story.verdict()


def _play(story: Story, mock: MockTraining, url: str, admin: TrainingClient) -> None:
    with TrainingClient(mock.token("outsider"), base_url=url) as outsider:
        course = _list_courses(story, admin, outsider)
    stage = Stage(mock, url, admin, story, course)
    _show_course(stage)
    _refused_without_permission(stage)
    _refused_without_confirmation(stage)
    learner, certificates = _reset_one(stage)
    _read_back_one(stage, learner)
    _renew_what_is_due(stage)
    _complete_again(stage, learner, certificates)
    _audit(stage)


def _list_courses(story: Story, admin: TrainingClient, outsider: TrainingClient) -> Course:
    story.heading("The courses of the organisation")
    courses = list(admin.courses.list())
    story.table(
        ("course", "status", "lessons", "mandatory", "due"),
        [
            (
                course.title,
                course.status,
                course.lesson_count,
                "yes" if course.is_mandatory else "no",
                course.due_by,
            )
            for course in courses
        ],
    )
    foreign = {course.id for course in outsider.courses.list()}
    story.check(
        "the courses of another organisation on this server are not among them",
        bool(foreign) and foreign.isdisjoint(course.id for course in courses),
        rule="R03",
    )
    (course,) = (course for course in courses if course.title == COURSE)
    return course


def _show_course(stage: Stage) -> None:
    stage.story.heading(f"Progress in {COURSE!r}")
    figures = stage.show_figures()
    completed = [row for row in stage.rows() if row.completed_at]
    stage.story.check(
        "the completions in the analytics are those in the progress feed",
        0 < figures.completed_count == len(completed),
        rule="R14",
    )


def _refused_without_permission(stage: Stage) -> None:
    story = stage.story
    story.heading("A manager without 'Platform management: Users' tries to reset it")
    before = stage.rows()
    with stage.client("manager") as manager:
        plan = manager.resets.plan_everyone(stage.course.id)
        story.say(f"They may read, so they can plan, and they type: {plan.phrase}")
        error = _refusal(partial(manager.resets.apply, plan, confirm=_typed(plan)))
    story.say(f"{type(error).__name__}: {error}")
    story.check(
        "refused with 403, and the permission is named",
        isinstance(error, PermissionDeniedError) and "Platform management: Users" in error.message,
        rule="R01",
    )
    story.check("nothing changed", stage.rows() == before, rule="R01")


def _refused_without_confirmation(stage: Stage) -> None:
    story, admin = stage.story, stage.admin
    story.heading("An admin at 2 a.m.: no confirmation, and one for the wrong course")
    before = stage.rows()
    plan = admin.resets.plan_everyone(stage.course.id)
    other = next(course for course in admin.courses.list(search="Forklift") if course.id != stage.course.id)
    wrong = admin.resets.plan_everyone(other.id)
    for confirm in ("yes", _typed(wrong)):
        error = _refusal(partial(admin.resets.apply, plan, confirm=confirm))
        story.say(f"{type(error).__name__}: {error}")
        story.check(
            f"the SDK sends nothing for {confirm!r}", isinstance(error, ConfirmationError), rule="R06"
        )
    body = {"courseId": stage.course.id, "allUsers": True}
    counted = len(plan.targets)
    for what, confirmation, status in (
        ("without a confirmation", None, 428),
        ("with the title of another course", {"courseTitle": other.title, "users": counted}, 412),
        ("with the wrong number of users", {"courseTitle": stage.course.title, "users": counted - 1}, 412),
    ):
        answered = _bare_reset(stage, body, confirmation)
        fact = f"sent past the SDK {what}, the server itself refuses it: {answered}"
        story.check(fact, answered == status, rule="R06")
    story.check("nothing changed", stage.rows() == before, rule="R06")


def _reset_one(stage: Stage) -> tuple[ProgressRow, list[Certificate]]:
    story, admin = stage.story, stage.admin
    story.heading("One learner has to train again after an incident")
    with TrainingClient(stage.mock.token("learner"), base_url=stage.url) as learner:
        me = learner.users.me()
    (row,) = admin.progress.list(course_id=stage.course.id, user_id=me.user_id)
    certificates = _certificates(stage, row)
    plan = admin.resets.plan(stage.course.id, [row.user_id])
    _show_plan(story, plan)
    report = admin.resets.apply(plan, confirm=_typed(plan), reason="near miss in bay 4", ticket="INC-2041")
    _show_report(story, report)
    story.check("one person was reset, and everyone in the plan is accounted for", _accounts(report, 1))
    return row, certificates


def _read_back_one(stage: Stage, past: ProgressRow) -> None:
    story, admin = stage.story, stage.admin
    story.heading("Reading back: 0 %, and the past is gone")
    (now,) = admin.progress.list(course_id=stage.course.id, user_id=past.user_id)
    story.table(
        (past.user_name, "state", "percent", "lessons", "score", "completed"),
        [
            (when, row.state, f"{row.progress_percent:g} %", row.completed_lessons, row.score, _date(row))
            for when, row in (("before", past), ("after", now))
        ],
    )
    story.check("not started, 0 %, no date, no score", not now.has_recorded_progress, rule="R12")
    lessons = admin.analytics.lesson_progress(past.user_id, course_id=stage.course.id)
    story.check(
        "nothing is left in any lesson", not any(each.opened or each.score for each in lessons), rule="R12"
    )
    story.check("the old certificate is shown no more", not _certificates(stage, past), rule="R19")
    others = [row for row in admin.progress.list(user_id=past.user_id) if row.course_id != stage.course.id]
    story.check(
        "their other courses are as before", any(row.has_recorded_progress for row in others), rule="R16"
    )


def _renew_what_is_due(stage: Stage) -> None:
    story, admin = stage.story, stage.admin
    story.heading("Yearly recertification: only the people whose completion is due")
    before = stage.rows()
    due = _find_due(stage)
    story.say(str(due).partition("\n")[0])
    story.check("people are due, and people in mid-course are not", 0 < len(due.due) < len(before))
    if not due.due:
        return
    plan = admin.resets.plan_due(due)
    _show_plan(story, plan)
    story.check("no person in mid-course is in the plan", not plan.mid_course)
    report = admin.resets.apply(plan, confirm=_typed(plan), reason="recertification 2027", ticket="HSE-118")
    _show_report(story, report)
    story.check("everyone in the plan is accounted for", _accounts(report, len(due.due)))
    figures, after = stage.show_figures(), stage.rows()
    left = figures.completed_count == sum(row.completed_at is not None for row in after)
    story.check("analytics count the completions left", left, rule="R14")
    story.check("everyone is still assigned", figures.total_users == len(before), rule="R16")
    reset = {case.user_id for case in due.due}
    others = [[row for row in rows if row.user_id not in reset] for rows in (before, after)]
    story.check("no other person has lost anything", others[0] == others[1], rule="R16")
    lapsed = _find_due(stage, already=[(*case.key, report.finished_at) for case in due.due]).lapsed
    found = {case.user_id for case in lapsed}
    story.check(f"the {len(found)} are listed as lapsed until they complete again", found == reset)


def _find_due(stage: Stage, *, already: Iterable[tuple[str, str, datetime]] = ()) -> Due:
    """Return the list for today."""
    return who_is_due(stage.rows(), RULE, on=stage.mock.clock.now(), zone="Europe/Zurich", already=already)


def _complete_again(stage: Stage, past: ProgressRow, old: list[Certificate]) -> None:
    story, mock = stage.story, stage.mock
    story.heading("The learner completes the course again")
    mock.clock.advance(timedelta(hours=1))
    mock.world.complete_course(stage.course.id, past.user_id)
    (now,) = stage.admin.progress.list(course_id=stage.course.id, user_id=past.user_id)
    new = _certificates(stage, past)
    story.table(
        ("certificate", "for", "issued", ""),
        [(each.number, past.user_name, each.issued_at, "gone") for each in old]
        + [(each.number, past.user_name, each.issued_at, "new") for each in new],
    )
    story.check("the feed shows 100 % again", now.progress_percent == 100 and _date(now) != "", rule="R17")
    is_new = (
        len(old) == len(new) == 1 and new[0].number != old[0].number and new[0].issued_at > old[0].issued_at
    )
    story.check("one certificate is shown, with a new number and date", is_new, rule="R19")
    told = Counter(message.user_id for message in mock.outbox)
    story.table(
        ("notification", "to", "sent"),
        [
            (message.kind, _name(mock, message.user_id), message.sent_at)
            for message in mock.outbox[:PEOPLE_SHOWN]
        ],
    )
    story.say(f"{len(mock.outbox)} notifications were sent to {len(told)} people with notifications on.")
    story.check(
        "the learner was notified once per reset of their progress", told[past.user_id] == 1, rule="R18"
    )


def _audit(stage: Stage) -> None:
    stage.story.heading("The server's audit log: resets done and refused, and no past completions")
    entries = stage.mock.audit
    stage.story.table(
        ("when", "who", "outcome", "users", "request"),
        [
            (
                f"{entry.at:%H:%M:%S}",
                _name(stage.mock, entry.actor_id),
                entry.outcome,
                len(entry.user_ids),
                entry.request_id[:8],
            )
            for entry in entries
        ],
    )
    done = sum(entry.outcome == "done" for entry in entries)
    refused = len(entries) - done
    fact = f"{done} resets done and {refused} refused are on record"
    stage.story.check(fact, (done, refused) == (2, 4), rule="R23")


def _typed(plan: ResetPlan) -> str:
    """Stand in for the person at the keyboard, who reads the phrase and types it. A script must not do this."""
    return plan.phrase


def _refusal(attempt: Callable[[], object]) -> TrainingError | None:
    try:
        attempt()
    except TrainingError as error:
        return error
    return None


def _bare_reset(stage: Stage, body: dict[str, object], confirmation: dict[str, object] | None) -> int:
    """Send what a person with curl could send, without the SDK's guard for this path; return the status."""
    headers = {
        "Authorization": f"Bearer {stage.mock.token('admin')}",
        "Content-Type": "application/json",
        "User-Agent": "training-sdk-demo",
    }
    if confirmation is not None:
        headers["Reset-Confirmation"] = json.dumps(confirmation)
    connection = HTTPConnection(stage.url.removeprefix("http://"), timeout=10)
    try:
        connection.request("POST", "/training/courseprogress/v1/reset", json.dumps(body), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _accounts(report: ResetReport, expected: int) -> bool:
    everyone = sum(report.counts.values()) == len(report.plan.users)
    return everyone and report.is_complete and report.reset_count == expected


def _certificates(stage: Stage, of: ProgressRow) -> list[Certificate]:
    key = (stage.course.id, of.user_id)
    return [each for each in stage.mock.certificates if (each.course_id, each.user_id) == key]


def _show_plan(story: Story, plan: ResetPlan) -> None:
    shown = plan.targets[:PEOPLE_SHOWN]
    story.table(
        ("will be reset", "e-mail", "state", "percent", "completed"),
        [(each.name, each.email, each.state, f"{each.percent:g} %", _date(each)) for each in shown],
    )
    if len(plan.targets) > len(shown):
        story.say(f"… and {len(plan.targets) - len(shown)} more.")
    story.say(headline(plan))
    story.say(f"Read at {plan.read_at:%H:%M:%S} UTC. It cannot be undone. The operator types:")
    story.say(f"> {plan.phrase}")


def _show_report(story: Story, report: ResetReport) -> None:
    counts = ", ".join(f"{number} {outcome}" for outcome, number in report.counts.items() if number)
    story.say(f"Report: {counts}; reason {report.reason!r}, ticket {report.ticket}.")


def _date(row: ProgressRow | PlannedReset) -> str:
    return f"{row.completed_at:%Y-%m-%d}" if row.completed_at else ""


def _name(mock: MockTraining, user_id: str) -> str:
    person = mock.world.user(user_id)
    return f"{person.first_name} {person.last_name}"


if __name__ == "__main__":
    sys.exit(main())
