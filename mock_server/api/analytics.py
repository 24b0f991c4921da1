"""Course statistics, lesson progress and attempts; the figures of lessons and slides have modules of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from mock_server.api.call import Call
from mock_server.api.paging import numbered, numbered_part
from mock_server.api.selection import (
    courses_asked,
    courses_of_user,
    figures,
    members,
    parts,
    total,
    users_asked,
)
from mock_server.behaviours import Behaviour
from mock_server.rules import visibility
from mock_server.rules.completion import lessons_of
from mock_server.wire import shapes
from mock_server.wire.message import Response
from mock_server.wire.shapes import Event, Json
from mock_server.world.courses import Course, Lesson
from mock_server.world.progress import Attempt, CourseProgress, LessonTally, Tally
from mock_server.world.progress_table import MatchingRows, ProgressTable, Weigh, rows_after


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
        (each, table.page_index.rows(question, each, progress, users, _attempts))
        for each, progress in table.courses.items()
        if course_id in (None, each)
    ]
    total = sum(places.total for _, places in parts)
    return numbered_part(call, total, lambda offset: map(_attempt, _attempts_after(table, parts, offset)))


def _attempts(progress: CourseProgress, user_id: str) -> int:
    record = progress.records.get(user_id)
    return 0 if record is None else len(record.attempts)


def _attempts_after(
    table: ProgressTable, parts: Iterable[tuple[str, MatchingRows]], offset: int
) -> Iterator[tuple[str, str, Attempt]]:
    return (
        (course_id, user_id, attempt)
        for course_id, user_id, skip in rows_after(parts, offset)
        for attempt in table[course_id].records[user_id].attempts[skip:]
    )


def _attempt(found: tuple[str, str, Attempt]) -> Json:
    return shapes.attempt(*found)


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
