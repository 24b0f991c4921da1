"""Breaking R12 to R21: what it does."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from mock_server.operations import resets
from mock_server.operations.table import OPERATIONS
from mock_server.refusal import invalid
from mock_server.rules import (
    certificates,
    eligibility,
    notifications,
)
from mock_server.rules.permissions import Reach
from mock_server.world.courses import CourseStatus, DueKind
from mock_server.world.ledger import Notification
from mock_server.world.organisation import Organisation
from mock_server.world.progress import CourseProgress, Record
from unit.sdk.contract_kit.spoiling import Break, after_reset, altered, left_behind, nothing

NONE, OWN, ALL = Reach.NONE, Reach.OWN, Reach.ALL


def scores_stay(patch: pytest.MonkeyPatch) -> None:
    left_behind(patch, lambda was: {"score": was.score, "time_spent_seconds": was.time_spent_seconds})


def attempts_stay(patch: pytest.MonkeyPatch) -> None:
    left_behind(patch, lambda was: {"attempts": was.attempts})


def slides_stay(patch: pytest.MonkeyPatch) -> None:
    left_behind(patch, lambda was: {"slides": was.slides})


def submissions_stay(patch: pytest.MonkeyPatch) -> None:
    left_behind(patch, lambda was: {"submissions": was.submissions})


def posts_stay(patch: pytest.MonkeyPatch) -> None:
    left_behind(patch, lambda was: {"posts": was.posts})


def figures_stand_still(patch: pytest.MonkeyPatch) -> None:
    honest = CourseProgress.put

    def put(self: CourseProgress, user_id: str, record: Any) -> None:
        kept = evolve(self.tally)
        honest(self, user_id, record)
        self.tally = kept

    patch.setattr(CourseProgress, "put", put)


def the_past_comes_back_with_the_assignment(patch: pytest.MonkeyPatch) -> None:
    archive: dict[tuple[int, str], Record] = {}
    honest = CourseProgress.enrol

    def keep(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        at = id(organisation.progress[course.id])
        archive.update({(at, user_id): record for user_id, record in was.items()})

    def enrol(self: CourseProgress, user_id: str, enrolment: Any) -> None:
        returns = not self.has(user_id)
        honest(self, user_id, enrolment)
        record = archive.get((id(self), user_id))
        if returns and record is not None:
            self.put(user_id, record)

    after_reset(patch, keep)
    patch.setattr(CourseProgress, "enrol", enrol)


def learners_still_see_their_past(patch: pytest.MonkeyPatch) -> None:
    archive: dict[str, Record] = {}
    (operation,) = (each for each in OPERATIONS if each.name == "ListLessonAttempts")

    def show(call: Any) -> Any:
        assert operation.handler is not None
        record = archive.get(call.actor.id) if call.reach is OWN else None
        if record is None:
            return operation.handler(call)
        progress = call.organisation.progress[call.query.id("courseId")]
        progress.put(call.actor.id, record)
        try:
            return operation.handler(call)
        finally:
            progress.put(call.actor.id, None)

    after_reset(patch, lambda _organisation, _course, was: archive.update(was))
    altered(patch, operation.name, handler=show)


def other_courses_are_reset_too(patch: pytest.MonkeyPatch) -> None:
    def more(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        for course_id, progress in organisation.progress.courses.items():
            for user_id in was if course_id != course.id else ():
                if progress.has(user_id):
                    progress.put(user_id, None)

    after_reset(patch, more)


def somebody_else_is_unassigned(patch: pytest.MonkeyPatch) -> None:
    def leave(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        progress = organisation.progress[course.id]
        others = [user_id for user_id in progress.roster if user_id not in was]
        if was and others:
            progress.leave(others[-1])

    after_reset(patch, leave)


def the_course_is_unpublished(patch: pytest.MonkeyPatch) -> None:
    def unpublish(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        organisation.put_course(evolve(course, status=CourseStatus.DRAFT))

    after_reset(patch, unpublish)


def nobody_is_notified(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(notifications, "for_reset", lambda *_: [])


def everybody_is_notified(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(notifications, "recipients", lambda _, user_ids: list(user_ids))


def old_certificates_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(certificates, "withdraw", nothing)


def no_new_certificates(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(certificates, "issue", nothing)


def certificates_for_every_course(patch: pytest.MonkeyPatch) -> None:
    honest = certificates.issue

    def issue(world: Any, organisation: Any, course: Any, user_id: str) -> None:
        honest(world, organisation, evolve(course, certificate=True), user_id)

    patch.setattr(certificates, "issue", issue)


def relative_due_dates_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        Organisation,
        "restarted",
        lambda self, course_id, user_id: self.progress[course_id].enrolments[user_id],
    )


def fixed_due_dates_go(patch: pytest.MonkeyPatch) -> None:
    honest = Organisation.restarted

    def restarted(self: Organisation, course_id: str, user_id: str) -> Any:
        made = honest(self, course_id, user_id)
        return evolve(made, due_at="") if self.courses[course_id].due.kind is DueKind.STATIC else made

    patch.setattr(Organisation, "restarted", restarted)


def nothing_to_reset_is_refused(patch: pytest.MonkeyPatch) -> None:
    honest = eligibility.eligible

    def eligible(policy: Any, progress: Any, ids: Any) -> list[str]:
        found = honest(policy, progress, ids)
        if ids and not found and all(map(progress.has, ids)):
            raise invalid("Nothing to reset.")
        return found

    patch.setattr(resets, "eligible", eligible)


def those_with_nothing_are_notified(patch: pytest.MonkeyPatch) -> None:
    def handler(call: Any) -> Any:
        answer = resets.reset_progress(call)
        if answer.body == b'{"usersUpdated":0}':
            course_id, (user_id, *_) = call.body["courseId"], call.body["userIds"]
            told = Notification("n", call.organisation.id, user_id, course_id, "2026-12-01T12:00:00.000Z")
            call.world.outbox.append(told)
        return answer

    altered(patch, resets.NAME, handler=handler)


BREAKS: dict[Break, tuple[str, ...]] = {
    scores_stay: ("R12-the-course-begins-anew",),
    attempts_stay: ("R12-the-course-begins-anew",),
    slides_stay: ("R12-the-course-begins-anew",),
    submissions_stay: ("R13-what-lies-inside-is-cleared",),
    posts_stay: ("R13-what-lies-inside-is-cleared",),
    figures_stand_still: ("R14-analytics-follow-at-once",),
    the_past_comes_back_with_the_assignment: ("R15-no-archive-behind-the-assignment",),
    learners_still_see_their_past: ("R15-the-past-is-gone-everywhere",),
    other_courses_are_reset_too: ("R16-nothing-else-is-touched",),
    somebody_else_is_unassigned: ("R16-nothing-else-is-touched",),
    the_course_is_unpublished: ("R17-it-stays-the-same-course",),
    nobody_is_notified: ("R18-notifications",),
    everybody_is_notified: ("R18-notifications",),
    old_certificates_stay: ("R19-certificates",),
    no_new_certificates: ("R19-certificates",),
    certificates_for_every_course: ("R19-no-undeserved-certificates",),
    relative_due_dates_stay: ("R20-relative-due-dates-start-anew",),
    fixed_due_dates_go: ("R20-fixed-due-dates-stay",),
    nothing_to_reset_is_refused: ("R21-nothing-to-reset-is-no-error",),
    those_with_nothing_are_notified: ("R21-nothing-to-reset-is-no-error",),
}
