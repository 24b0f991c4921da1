"""Course statistics, lesson progress and attempts."""

from __future__ import annotations

from mock_server.operations.call import Call
from mock_server.operations.paging import numbered
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import visibility
from mock_server.rules.completion import lessons_of
from mock_server.wire import shapes
from mock_server.wire.message import Response
from mock_server.wire.shapes import Json
from mock_server.world.courses import Course
from mock_server.world.progress import CourseProgress, Tally

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
    found = [
        (course, user, attempt)
        for course, progress in call.organisation.progress.courses.items()
        if course_id in (None, course)
        for user in progress.roster
        if user_id in (None, user) and (seen is None or user in seen)
        for attempt in (progress.records[user].attempts if user in progress.records else ())
    ]
    return numbered(call, found, lambda each: shapes.attempt(*each))
