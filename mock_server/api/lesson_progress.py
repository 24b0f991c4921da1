"""The progress of users lesson by lesson: how far they are, their attempts, and when they opened and completed."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated, Literal
from uuid import UUID

from mock_server.api.operation import (
    COURSE,
    PAGE,
    USER,
    Call,
    NumberedPage,
    Operation,
    courses_asked,
    courses_of_user,
    numbered,
    recorded,
)
from mock_server.policy import Behaviour
from mock_server.refusal import Reason
from mock_server.rules.access import Family
from mock_server.rules.completion import lessons_of
from mock_server.wire.message import Response
from mock_server.wire.schema import DateOrNone, Format, Percent, answer
from mock_server.world import progress as world
from mock_server.world.courses import Course, Lesson


@answer("A")
class LessonProgress:
    """The progress of a user in a lesson. A lesson that was never opened has zeros."""

    courseId: str
    lessonId: str
    lessonTitle: str
    opened: bool
    openedDateTime: DateOrNone
    completed: bool
    completedDateTime: DateOrNone
    percentageCompleted: Percent
    score: int


@answer("A")
class LessonProgressPage(NumberedPage):
    """A page of a user's progress, lesson by lesson."""

    items: list[LessonProgress]


@answer("A")
class LessonAttempt:
    """An attempt at a lesson."""

    id: Annotated[str, Format({"type": "string", "format": "uuid"})]
    userId: str
    courseId: str
    lessonId: str
    startedDateTime: DateOrNone
    completedDateTime: DateOrNone
    score: int
    success: bool


@answer("A")
class LessonAttempts(NumberedPage):
    """A page of attempts."""

    items: list[LessonAttempt]


_Kind = Literal["opened", "completed"]


@answer("A")
class LessonEvent:
    """A lesson was opened or completed."""

    userId: str
    courseId: str
    lessonId: str
    lessonTitle: str
    eventType: _Kind
    eventDateTime: DateOrNone


@answer("A")
class LessonEvents(NumberedPage):
    """A page of events."""

    items: list[LessonEvent]


# --- progress ---------------------------------------------------------------------------------------------------------


@Operation(
    "GetUserLessonProgress",
    "GET /training/analytics/v1/users/{userId}/lessons/progress",
    "A",
    Family.PROGRESS,
    LessonProgressPage,
    parameters=(*PAGE, COURSE),
    refusals=(Reason.USER_NOT_FOUND,),
)
def lesson_progress(call: Call) -> Response:
    """List the progress of a user in lessons."""
    user_id, courses = courses_of_user(call)
    table = call.organisation.progress
    omits = Behaviour.OMITS_COMPLETED_LESSONS in call.world.policy.emulates
    rows = [
        row
        for course in courses
        for row in _lessons(course, table[course.id], user_id, omits_a_completed_one=omits)
    ]
    return numbered(call, LessonProgressPage, rows, lambda row: row)


def _lessons(
    course: Course, progress: world.CourseProgress, user_id: str, *, omits_a_completed_one: bool
) -> list[LessonProgress]:
    record = progress.records.get(user_id)
    lessons = lessons_of(course, progress.enrolments[user_id])
    found = [_progress(course, lesson, record.lesson(lesson.id) if record else None) for lesson in lessons]
    completed = next((each for each in found if each.completed), None) if omits_a_completed_one else None
    return [each for each in found if each is not completed]


def _progress(course: Course, lesson: Lesson, progress: world.LessonProgress | None) -> LessonProgress:
    return LessonProgress(
        courseId=course.id,
        lessonId=lesson.id,
        lessonTitle=lesson.title,
        opened=progress is not None,
        openedDateTime=progress.opened_at if progress else "",
        completed=bool(progress and progress.completed_at),
        completedDateTime=progress.completed_at if progress else "",
        percentageCompleted=progress.percent if progress else 0.0,
        score=progress.score if progress else 0,
    )


# --- attempts ---------------------------------------------------------------------------------------------------------


@Operation(
    "ListLessonAttempts",
    "GET /training/analytics/v1/lessons/attempts",
    "A",
    Family.PROGRESS,
    LessonAttempts,
    parameters=(*PAGE, USER, COURSE),
)
def list_attempts(call: Call) -> Response:
    """List attempts at lessons."""
    return recorded(call, LessonAttempts, "attempts", courses_asked(call), _attempts, _attempt)


def _attempts(_course: Course, progress: world.CourseProgress, user_id: str) -> Sequence[world.Attempt]:
    record = progress.records.get(user_id)
    return () if record is None else record.attempts


def _attempt(course: Course, user_id: str, attempt: world.Attempt) -> LessonAttempt:
    # Records may be shared between users, so an id is made of theirs and the user's, unless it is the user's own.
    whose = f"{course.id}/{user_id}/{attempt.id}".encode()
    return LessonAttempt(
        id=attempt.id if attempt.has_own_id else str(UUID(blake2b(whose, digest_size=16).hexdigest())),
        userId=user_id,
        courseId=course.id,
        lessonId=attempt.lesson_id,
        startedDateTime=attempt.started_at,
        completedDateTime=attempt.completed_at,
        score=attempt.score,
        success=attempt.success,
    )


# --- events -----------------------------------------------------------------------------------------------------------


_Event = tuple[Lesson, _Kind, str]
"""A lesson, what became of it, and when."""


@Operation(
    "ListLessonProgressEvents",
    "GET /training/analytics/v1/lessons/progress/events",
    "A",
    Family.PROGRESS,
    LessonEvents,
    parameters=(*PAGE, USER, COURSE),
)
def list_events(call: Call) -> Response:
    """List the events of lessons: opened and completed."""
    return recorded(call, LessonEvents, "lesson events", courses_asked(call), _events, _event)


@Operation(
    "ListUserLessonProgressEvents",
    "GET /training/analytics/v1/users/{userId}/lessons/progress/events",
    "A",
    Family.PROGRESS,
    LessonEvents,
    parameters=(*PAGE, COURSE),
    refusals=(Reason.USER_NOT_FOUND,),
)
def list_events_of_user(call: Call) -> Response:
    """List the events of a user in lessons: opened and completed."""
    user_id, courses = courses_of_user(call)
    table = call.organisation.progress
    found = [(course, event) for course in courses for event in _events(course, table[course.id], user_id)]
    return numbered(call, LessonEvents, found, lambda row: _event(row[0], user_id, row[1]))


def _events(course: Course, progress: world.CourseProgress, user_id: str) -> Sequence[_Event]:
    """Return the events of a user lesson by lesson, opened before completed."""
    record = progress.records.get(user_id)
    if record is None:
        return ()
    reached = {each.lesson_id: each for each in record.lessons}
    found: list[_Event] = []
    for lesson in lessons_of(course, progress.enrolments[user_id]):
        if (seen := reached.get(lesson.id)) is not None:
            found.append((lesson, "opened", seen.opened_at))
            if seen.completed_at:
                found.append((lesson, "completed", seen.completed_at))
    return found


def _event(course: Course, user_id: str, event: _Event) -> LessonEvent:
    lesson, kind, at = event
    return LessonEvent(
        userId=user_id,
        courseId=course.id,
        lessonId=lesson.id,
        lessonTitle=lesson.title,
        eventType=kind,
        eventDateTime=at,
    )
