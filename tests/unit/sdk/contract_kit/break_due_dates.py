"""Breaking R20, R21 and R25: due dates, nothing to reset, the course's status."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from mock_server.api import resets
from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.rules import scope, webhooks
from mock_server.world import clock
from mock_server.world.courses import CourseStatus, DueKind
from mock_server.world.ledger import Notification
from mock_server.world.organisation import Organisation
from unit.sdk.contract_kit.faulty_server import (
    altered,
    breaks,
    counted_and_not_cleared,
    entered,
    handler_of,
    replaces,
)

ANEW, FROM_THE_RESET = "R20-relative-due-dates-start-anew", "R20-relative-due-dates-count-from-the-reset"
NO_ERROR = "R21-nothing-to-reset-is-no-error"


@breaks(ANEW, FROM_THE_RESET)
def relative_due_dates_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        Organisation,
        "restarted",
        lambda self, course_id, user_ids: [self.progress[course_id].enrolments[each] for each in user_ids],
    )


def _due(patch: pytest.MonkeyPatch, after: timedelta) -> None:
    honest = Organisation.restarted

    def restarted(self: Organisation, course_id: str, user_ids: Sequence[str]) -> Any:
        made = honest(self, course_id, user_ids)
        due_at = clock.to_text(self.clock.now() + after)
        is_relative = self.courses[course_id].due.kind is DueKind.RELATIVE
        return [evolve(each, due_at=due_at) for each in made] if is_relative else made

    patch.setattr(Organisation, "restarted", restarted)


@breaks(FROM_THE_RESET)
def due_in_a_minute(patch: pytest.MonkeyPatch) -> None:
    _due(patch, timedelta(minutes=1))


@breaks(FROM_THE_RESET)
def due_in_a_century(patch: pytest.MonkeyPatch) -> None:
    _due(patch, timedelta(days=36_500))


@replaces(Organisation, "restarted", "R20-fixed-due-dates-stay")
def fixed_due_dates_go(honest: Any, self: Organisation, course_id: str, user_ids: Sequence[str]) -> Any:
    made = honest(self, course_id, user_ids)
    is_fixed = self.courses[course_id].due.kind is DueKind.STATIC
    return [evolve(each, due_at="") for each in made] if is_fixed else made


@breaks(NO_ERROR)
def nothing_to_reset_is_refused(patch: pytest.MonkeyPatch) -> None:
    honest = scope.eligible

    def eligible(policy: Any, progress: Any, ids: Any) -> list[str]:
        found = honest(policy, progress, ids)
        if ids and not found and all(map(progress.has, ids)):
            raise invalid("Nothing to reset.")
        return found

    patch.setattr(resets, "eligible", eligible)


def _after_nothing(patch: pytest.MonkeyPatch, then: Callable[[Any, Any, str], None]) -> None:
    """Something happens after a reset that has found nothing to clear."""

    def handler(call: Any) -> Any:
        answer = handler_of(resets.NAME)(call)
        if answer.body == b'{"usersUpdated":0}':
            course = call.organisation.courses[call.body["courseId"]]
            then(call, course, call.body["userIds"][0])
        return answer

    altered(patch, resets.NAME, handler=handler)


@breaks(NO_ERROR, "R21-nothing-to-reset-tells-nobody")
def those_with_nothing_are_notified(patch: pytest.MonkeyPatch) -> None:
    def notify(call: Any, course: Any, user_id: str) -> None:
        told = Notification("n", call.organisation.id, user_id, course.id, "2026-12-01T12:00:00.000Z")
        call.world.outbox.extend([told])

    _after_nothing(patch, notify)


@breaks("R21-nothing-to-reset-is-no-event")
def those_with_nothing_are_an_event(patch: pytest.MonkeyPatch) -> None:
    def send(call: Any, course: Any, user_id: str) -> None:
        webhooks.send(call.world, webhooks.for_reset(call.world, call.actor, course, [user_id]))

    _after_nothing(patch, send)


@breaks(NO_ERROR)
def those_with_nothing_get_a_new_due_date(patch: pytest.MonkeyPatch) -> None:
    def restart(call: Any, course: Any, user_id: str) -> None:
        if call.organisation.progress[course.id].has(user_id):
            call.organisation.restart_due_date(course.id, user_id)

    _after_nothing(patch, restart)


def _refused(patch: pytest.MonkeyPatch, status: CourseStatus) -> None:
    honest = scope.find

    def find(organisation: Organisation, asked: Any) -> Any:
        course = honest(organisation, asked)
        if course.status is status:
            raise RefusedError(Reason.COURSE_NOT_FOUND, f"It is {status}.")
        return course

    patch.setattr(scope, "find", find)


def _not_cleared(patch: pytest.MonkeyPatch, status: CourseStatus) -> None:
    counted_and_not_cleared(patch, lambda _, course, __: course.status is status)


def _enter_status(status: CourseStatus) -> None:
    check = f"R25-{status.lower()}-courses"
    entered(f"{status}_is_refused", lambda patch: _refused(patch, status), check)
    entered(f"{status}_is_counted_and_not_cleared", lambda patch: _not_cleared(patch, status), check)


_enter_status(CourseStatus.DRAFT)
_enter_status(CourseStatus.ARCHIVED)
