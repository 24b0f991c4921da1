"""Course statistics, lesson progress and attempts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mock_server.operations.call import Call
from mock_server.operations.paging import numbered, numbered_part
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import visibility
from mock_server.rules.completion import lessons_of
from mock_server.wire import shapes
from mock_server.wire.message import Response
from mock_server.wire.shapes import Json
from mock_server.world.courses import Course
from mock_server.world.progress import Attempt, CourseProgress, ProgressTable, Tally
from mock_server.world.walks import Places, rows_after

_ALL_LESSONS = 1000


def course_statistics(call: Call) -> Response:
    """GET /training/analytics/v1/courses/statistics."""
    wanted = call.query.ids("courseIds")
    team = visibility.users(call.actor, call.reach)
    every = call.organisation.courses.values()
    found = [course for course in every if wanted is None or course.id in wanted]
    return numbered(call, found, lambda course: _figures(call, course, team))


def _figures(call: Call, course: Course, users: set[str] | None) -> Json:
    """The kept counters, or for a team a count over its members."""
    progress = call.organisation.progress[course.id]
    if users is None:
        return shapes.course_statistics(course, len(progress.roster), progress.tally)
    members = [user_id for user_id in users if progress.has(user_id)]
    tally = Tally()
    for user_id in members:
        tally.count(progress.records.get(user_id), +1)
    return shapes.course_statistics(course, len(members), tally)


def lesson_progress(call: Call) -> Response:
    """GET /training/analytics/v1/users/{userId}/lessons/progress."""
    user_id, course_id = call.path_id("userId"), call.query.id("courseId")
    seen = visibility.users(call.actor, call.reach)
    if user_id not in call.organisation.people or (seen is not None and user_id not in seen):
        # The same answer for somebody hidden and somebody unknown, or it would tell the two apart (R04).
        raise RefusedError(
            Reason.USER_NOT_FOUND,
            f"There is no user {user_id}, or this token does not see them; "
            'all users are seen with the permission "Training: Administration".',
            {"ids": user_id},
        )
    table = call.organisation.progress
    items = [
        item
        for course in call.organisation.courses.values()
        if course_id in (None, course.id) and table[course.id].has(user_id)
        for item in _lessons(course, table[course.id], user_id)
    ]
    return numbered(call, items, lambda item: item, size=_ALL_LESSONS)


def _lessons(course: Course, progress: CourseProgress, user_id: str) -> list[Json]:
    record = progress.records.get(user_id)
    lessons = lessons_of(course, progress.enrolments[user_id])
    return [
        shapes.lesson_progress(course, lesson, record.lesson(lesson.id) if record else None)
        for lesson in lessons
    ]


def lesson_attempts(call: Call) -> Response:
    """GET /training/analytics/v1/lessons/attempts."""
    user_id, course_id = call.query.id("userId"), call.query.id("courseId")
    seen = visibility.users(call.actor, call.reach)
    users = None if seen is None else sorted(seen)
    if user_id is not None:
        users = [user_id] if seen is None or user_id in seen else []
    table = call.organisation.progress
    question = ("attempts", None if users is None else tuple(users))
    parts = [
        (each, table.walks.places(question, each, progress, users, _attempts))
        for each, progress in table.courses.items()
        if course_id in (None, each)
    ]
    total = sum(places.total for _, places in parts)
    return numbered_part(call, total, lambda offset: map(_attempt, _attempts_after(table, parts, offset)))


def _attempts(progress: CourseProgress, user_id: str) -> int:
    record = progress.records.get(user_id)
    return 0 if record is None else len(record.attempts)


def _attempts_after(
    table: ProgressTable, parts: Iterable[tuple[str, Places]], offset: int
) -> Iterator[tuple[str, str, Attempt]]:
    return (
        (course_id, user_id, attempt)
        for course_id, user_id, skip in rows_after(parts, offset)
        for attempt in table[course_id].records[user_id].attempts[skip:]
    )


def _attempt(found: tuple[str, str, Attempt]) -> Json:
    return shapes.attempt(*found)
