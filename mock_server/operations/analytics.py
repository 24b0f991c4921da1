"""Course statistics, lesson progress and attempts; the figures of lessons and slides have modules of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mock_server.behaviours import Behaviour
from mock_server.operations.call import Call
from mock_server.operations.paging import numbered, numbered_part
from mock_server.operations.selection import courses_of_user, users_asked
from mock_server.rules import visibility
from mock_server.rules.completion import lessons_of
from mock_server.wire import shapes
from mock_server.wire.message import Response
from mock_server.wire.shapes import Json
from mock_server.world.courses import Course
from mock_server.world.progress import Attempt, CourseProgress, ProgressTable, Tally
from mock_server.world.walks import Places, rows_after


def course_statistics(call: Call) -> Response:
    """GET /training/analytics/v1/courses/statistics."""
    wanted = _courses_wanted(call)
    team = visibility.users(call.actor, call.reach)
    omits_all = Behaviour.OMITS_COURSE_STATISTICS in call.world.policy.emulates
    every = () if omits_all else call.organisation.courses.values()
    found = [course for course in every if wanted is None or course.id in wanted]
    return numbered(call, found, lambda course: _figures(call, course, team))


def _courses_wanted(call: Call) -> list[str] | None:
    """The course asked for (P) and the ones of the older parameter (A); None for all."""
    one, several = call.query.id("courseId"), call.query.ids("courseIds")
    return several if one is None else [one, *(several or ())]


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
    user_id, courses = courses_of_user(call)
    table = call.organisation.progress
    omits = Behaviour.OMITS_COMPLETED_LESSONS in call.world.policy.emulates
    items = [
        item
        for course in courses
        for item in _lessons(course, table[course.id], user_id, omits_a_completed_one=omits)
    ]
    return numbered(call, items, lambda item: item)


def _lessons(
    course: Course, progress: CourseProgress, user_id: str, *, omits_a_completed_one: bool
) -> list[Json]:
    record = progress.records.get(user_id)
    lessons = lessons_of(course, progress.enrolments[user_id])
    found = [
        shapes.lesson_progress(course, lesson, record.lesson(lesson.id) if record else None)
        for lesson in lessons
    ]
    completed = next((each for each in found if each["completed"]), None) if omits_a_completed_one else None
    return [each for each in found if each is not completed]


def lesson_attempts(call: Call) -> Response:
    """GET /training/analytics/v1/lessons/attempts."""
    users, course_id = users_asked(call), call.query.id("courseId")
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
