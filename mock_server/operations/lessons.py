"""How lessons stand, and when they were opened and completed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from mock_server.operations.call import Call
from mock_server.operations.paging import numbered, numbered_part
from mock_server.operations.selection import (
    courses_asked,
    courses_of_user,
    figures,
    members,
    parts,
    total,
    users_asked,
)
from mock_server.rules.completion import lessons_of
from mock_server.wire import shapes
from mock_server.wire.message import Response
from mock_server.wire.shapes import Event, Json
from mock_server.world.courses import Course, Lesson
from mock_server.world.progress import CourseProgress, LessonTally
from mock_server.world.walks import Weigh, rows_after

Tallies = dict[str, LessonTally]


def lesson_statistics(call: Call) -> Response:
    """GET /training/analytics/v1/lessons/statistics."""
    team = members(call)
    found = [(course, lesson) for course in courses_asked(call) for lesson in course.lessons]
    asked: dict[str, Tallies] = {}  # to ask for those of a course once a page, not once a row

    def shape(row: tuple[Course, Lesson]) -> Json:
        course, lesson = row
        if course.id not in asked:
            asked[course.id] = _tallies(call, course, team)
        return shapes.lesson_statistics(course, lesson, asked[course.id][lesson.id])

    return numbered(call, found, shape)


def _tallies(call: Call, course: Course, users: Sequence[str] | None) -> Tallies:
    return figures(call, "lessons", course, users, _counted)


def _counted(course: Course, progress: CourseProgress, users: Iterable[str]) -> Tallies:
    found = {lesson.id: LessonTally() for lesson in course.lessons}
    for user_id in users:
        lessons = lessons_of(course, progress.enrolments[user_id])
        for lesson in lessons:
            found[lesson.id].users += 1
        record = progress.records.get(user_id)
        theirs = {lesson.id for lesson in lessons} if record else ()
        for reached in record.lessons if record else ():
            if reached.lesson_id in theirs:
                found[reached.lesson_id].count(reached)
    return found


def lesson_events(call: Call) -> Response:
    """GET /training/analytics/v1/lessons/progress/events."""
    found = parts(call, "lesson events", users_asked(call), courses_asked(call), _weigh)
    table, known = call.organisation.progress, call.organisation.courses

    def after(offset: int) -> Iterator[Json]:
        return (
            shapes.lesson_event(known[course_id], user_id, event)
            for course_id, user_id, skip in rows_after(found, offset)
            for event in islice(_of_user(known[course_id], table[course_id], user_id), skip, None)
        )

    return numbered_part(call, total(found), after)


def user_lesson_events(call: Call) -> Response:
    """GET /training/analytics/v1/users/{userId}/lessons/progress/events."""
    user_id, courses = courses_of_user(call)
    table = call.organisation.progress
    found = [(course, event) for course in courses for event in _of_user(course, table[course.id], user_id)]
    return numbered(call, found, lambda row: shapes.lesson_event(row[0], user_id, row[1]))


def _weigh(course: Course) -> Weigh:
    return lambda progress, user_id: sum(1 for _ in _of_user(course, progress, user_id))


def _of_user(course: Course, progress: CourseProgress, user_id: str) -> Iterator[Event]:
    """Lesson by lesson, opened before completed."""
    record = progress.records.get(user_id)
    if record is None:
        return
    reached = {each.lesson_id: each for each in record.lessons}
    for lesson in lessons_of(course, progress.enrolments[user_id]):
        found = reached.get(lesson.id)
        if found is not None:
            yield lesson, "opened", found.opened_at
            if found.completed_at:
                yield lesson, "completed", found.completed_at
