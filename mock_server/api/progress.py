"""The progress feed: one row per assigned user and course, started or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice

from attrs import evolve

from mock_server.api.listing import FEED, NextPage, next_page, users_asked, window
from mock_server.api.operation import COURSE, USER, Call, Link, Operation, Parameter
from mock_server.policy import Behaviour
from mock_server.rules.permissions import Family
from mock_server.wire import answers
from mock_server.wire.answer_class import DateOrNone, Percent, answer, field
from mock_server.wire.message import Response
from mock_server.wire.schema import choice, date
from mock_server.world.organisation import Organisation
from mock_server.world.progress import CourseProgress, Record
from mock_server.world.progress_table import rows_after

_STATUSES = ("COMPLETION_STATUS_ALL", "COMPLETION_STATUS_COMPLETED", "COMPLETION_STATUS_NON_COMPLETED")
_NO_RECORD = Record(datetime.min)
"""The record of a row before a user starts, and after a reset (A)."""

Test = Callable[[CourseProgress, str], bool]


@answer("P")
class ProgressRow:
    """A row of the progress feed."""

    opened_at: DateOrNone
    completed_at: DateOrNone
    completed_lessons: int
    progress_percent: Percent
    score: int
    time_spent_seconds: int = field(mark="T")
    completion_expiry_date: DateOrNone = field(mark="T")
    total_lessons: int
    course_id: str
    course_external_id: str
    course_title: str
    user_email: str
    user_first_name: str
    user_last_name: str
    user_id: str
    user_external_id: str
    due_at: DateOrNone


@answer("P")
class ProgressPage:
    """A page of the progress feed."""

    metadata: NextPage
    data: list[ProgressRow]


_FIRST_USER, _FIRST_COURSE = "$response.body#/data/0/user_id", "$response.body#/data/0/course_id"


@Operation(
    "ListTrainingCourseProgress",
    "GET /training/v1/feed/training-course-progress",
    "P",
    Family.PROGRESS,
    ProgressPage,
    noun="progress",
    parameters=(
        *FEED,
        Parameter("completion_status", choice(_STATUSES, "That ALL is the default is assumed.")),
        evolve(COURSE, name="course_id"),
        evolve(USER, name="user_id"),
        Parameter("modified_after", date("Rows that have changed since.")),
    ),
    lagged=True,
    links=(
        Link(
            "Lessons", "GetUserLessonProgress", "The row's user, lesson by lesson.", {"userId": _FIRST_USER}
        ),
        Link(
            "Preview",
            "PreviewReset",
            "What a reset of the row's user would clear.",
            body={"courseId": _FIRST_COURSE, "userIds": [_FIRST_USER]},
        ),
    ),
)
def progress_feed(call: Call) -> Response:
    """List progress: a row per assigned user and course; from a warehouse, up to 2 h old."""
    offset, limit = window(call)
    rows = list(_rows(call, offset, limit + 1))
    metadata = NextPage(*next_page(call, offset + limit if len(rows) > limit else None))
    # The rows are kept as JSON, so the page is put together here.
    data = b",".join(_row_as_json(call.organisation, *row) for row in rows[:limit])
    return answers.raw_ok(b'{"metadata":%b,"data":[%b]}' % (answers.to_json(metadata), data))


def _row_as_json(organisation: Organisation, course_id: str, user_id: str) -> bytes:
    """Return a row as JSON, which is kept until something in it changes."""
    progress = organisation.progress[course_id]
    fragment = progress.fragments.get(user_id)
    if fragment is None:
        fragment = answers.to_json(progress_row(organisation, course_id, user_id))
        organisation.progress.row_cache.keep(progress, user_id, fragment)
    return fragment


def progress_row(organisation: Organisation, course_id: str, user_id: str) -> ProgressRow:
    """Return the row of a user and a course, with the names that the enrolment states if it states any."""
    course, person = organisation.courses[course_id], organisation.people[user_id]
    progress = organisation.progress[course_id]
    record = progress.records.get(user_id, _NO_RECORD)
    enrolment = progress.enrolments[user_id]
    stated = enrolment.identity
    return ProgressRow(
        opened_at=record.opened_at,
        completed_at=record.completed_at,
        completed_lessons=record.completed_lessons,
        progress_percent=record.progress_percent,
        score=record.score,
        time_spent_seconds=record.time_spent_seconds,
        completion_expiry_date=record.completion_expiry_date,
        total_lessons=stated.total_lessons if stated else len(course.lessons),
        course_id=course.id,
        course_external_id=stated.course_external_id if stated else course.external_id,
        course_title=stated.course_title if stated else course.title,
        user_email=stated.user_email if stated else person.email,
        user_first_name=stated.user_first_name if stated else person.first_name,
        user_last_name=stated.user_last_name if stated else person.last_name,
        user_id=person.id,
        user_external_id=stated.user_external_id if stated else person.external_id,
        due_at=enrolment.due_at,
    )


def _rows(call: Call, offset: int, limit: int) -> Iterator[tuple[str, str]]:
    """Return course and user of the requested rows; rows before the position are not read."""
    table, courses, users = call.organisation.progress, _courses(call), users_asked(call, "user_id")
    status = call.query.choice("completion_status", _STATUSES)
    after = call.query.moment("modified_after")
    omits_empty = Behaviour.OMITS_EMPTY_ROWS in call.world.policy.emulates
    if users is None and status == _STATUSES[0] and after is None and not omits_empty:
        return table.window(courses, offset, limit)
    question = ("progress", status, after, omits_empty, None if users is None else tuple(users))
    tests = [*_tests(status, after), *([_is_recorded] if omits_empty else [])]

    def count_rows(progress: CourseProgress, user_id: str) -> int:
        return all(test(progress, user_id) for test in tests)

    parts = (
        (each, table.page_index.rows(question, each, table[each], users, count_rows)) for each in courses
    )
    return islice(((course, user) for course, user, _ in rows_after(parts, offset)), limit)


def _courses(call: Call) -> Iterable[str]:
    course_id = call.query.id("course_id")
    every = call.organisation.progress.courses
    return every if course_id is None else [course_id] if course_id in every else []


def _tests(status: str, after: datetime | None) -> list[Test]:
    tests: list[Test] = []
    if status != _STATUSES[0]:
        wanted = status == _STATUSES[1]
        tests.append(lambda progress, user_id: _is_completed(progress, user_id) is wanted)
    if after is not None:
        tests.append(lambda progress, user_id: progress.modified_at(user_id) > after)
    return tests


def _is_recorded(progress: CourseProgress, user_id: str) -> bool:
    record = progress.records.get(user_id)
    return record is not None and record.is_recorded


def _is_completed(progress: CourseProgress, user_id: str) -> bool:
    record = progress.records.get(user_id)
    return record is not None and bool(record.completed_at)
