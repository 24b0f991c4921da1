"""The progress feed: one row per assigned user and course, started or not."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime
from itertools import chain, islice
from operator import attrgetter

from attrs import evolve

from mock_server.api.operation import (
    COURSE,
    FEED,
    USER,
    Call,
    Link,
    NextPage,
    Operation,
    Parameter,
    next_page,
    users_asked,
    window,
)
from mock_server.policy import Behaviour
from mock_server.rules import access
from mock_server.rules.access import Family
from mock_server.wire import answers
from mock_server.wire.message import Response
from mock_server.wire.schema import DateOrNone, Percent, answer, choice, date, field, legible, part_writer
from mock_server.world.organisation import Organisation
from mock_server.world.progress import CourseProgress, Identity, Record
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
        Parameter("completion_status", choice(_STATUSES, "The default of ALL is assumed.")),
        evolve(COURSE, name="course_id"),
        evolve(USER, name="user_id"),
        Parameter("modified_after", date("Rows that have changed since this moment.")),
    ),
    links=(
        Link(
            "Lessons",
            "GetUserLessonProgress",
            "The progress of the row's user in lessons.",
            {"userId": _FIRST_USER},
        ),
        Link(
            "Preview",
            "PreviewReset",
            "The effect of a reset of the row's user.",
            body={"courseId": _FIRST_COURSE, "userIds": [_FIRST_USER]},
        ),
    ),
)
def progress_feed(call: Call) -> Response:
    """List progress, with a row for each assigned user and course. The data is up to 2 h old."""
    pages = call.organisation.progress.page_cache
    question = _question(call)
    page = pages.find((call.organisation.progress.changes, call.organisation.people_changes), question)
    if page is None:
        page = _page(call)
        pages.keep(question, page)
    return answers.raw_ok(page)


def _question(call: Call) -> Hashable:
    """Return all that the answer depends on in addition to the data: query, visible rows and policy."""
    asked = tuple([(name, *values) for name, values in call.query.values.items()])
    whose = "" if access.visible_users(call.actor, call.reach) is None else call.actor.id
    policy = call.world.policy
    return asked, whose, policy.emulates, policy.default_page_size


def _page(call: Call) -> bytes:
    offset, limit = window(call)
    found = list(_rows(call, offset, limit + 1))
    goes_on = sum(len(user_ids) for _, user_ids in found) > limit
    if goes_on:
        found[-1][1].pop()  # it was read to know whether there is a next page
    metadata = NextPage(*next_page(call, offset + limit if goes_on else None))
    # The rows are cached as JSON, so the page is put together here, and is copied once.
    rows = [row for each in found for row in rows_as_json(call.organisation, *each)] or [b""]
    rows[0] = b'{"metadata":%b,"data":[%b' % (answers.to_json(metadata), rows[0])
    rows[-1] += b"]}"
    return b",".join(rows)


def rows_as_json(organisation: Organisation, course_id: str, user_ids: Sequence[str]) -> Iterable[bytes]:
    """Return rows of a course as JSON, each cached until something in it changes."""
    progress = organisation.progress[course_id]
    if user_ids and not progress.fragments:
        written = _written(organisation, course_id, user_ids)
        organisation.progress.row_cache.keep(progress, user_ids, written)
        return written
    kept = list(map(progress.fragments.get, user_ids))
    missing = [user_id for user_id, row in zip(user_ids, kept, strict=True) if row is None]
    if not missing:
        return filter(None, kept)
    written = _written(organisation, course_id, missing)
    organisation.progress.row_cache.keep(progress, missing, written)
    fresh = iter(written)
    return [next(fresh) if row is None else row for row in kept]


_write_record = part_writer(
    ProgressRow,
    "opened_at",
    "completed_at",
    "completed_lessons",
    "progress_percent",
    "score",
    "time_spent_seconds",
    "completion_expiry_date",
)
_write_course = part_writer(ProgressRow, "total_lessons", "course_id", "course_external_id", "course_title")
_PERSON = ("user_email", "user_first_name", "user_last_name", "user_id", "user_external_id", "due_at")
_write_person = part_writer(ProgressRow, *_PERSON)
_write_legible_person = part_writer(ProgressRow, *_PERSON, escapes=False)
_NAMES = attrgetter("email", "first_name", "last_name", "external_id")


def _written(organisation: Organisation, course_id: str, user_ids: Sequence[str]) -> list[bytes]:
    """Write rows of a course, with the names that each enrolment states if it states any."""
    course, progress = organisation.courses[course_id], organisation.progress[course_id]
    # Looked up column by column, which waits less for the memory of a large world than row by row.
    enrolments = list(map(progress.enrolments.__getitem__, user_ids))
    records = list(map(progress.records.get, user_ids))
    names = list(map(_NAMES, list(map(organisation.people.__getitem__, user_ids))))
    of_course = _write_course(len(course.lessons), course_id, course.external_id, course.title).encode()
    texts = chain(user_ids, [each.due_at for each in enrolments], *names)
    write_person = _write_legible_person if legible(texts) else _write_person
    heads: dict[int, bytes] = {}  # people with the same progress share a record, which is written once
    rows = []
    for user_id, enrolment, record, (email, first, last, external) in zip(
        user_ids, enrolments, records, names, strict=True
    ):
        head = heads.get(id(record))
        if head is None:
            head = heads[id(record)] = _head(record or _NO_RECORD)
        if enrolment.identity is None:
            of_person = write_person(email, first, last, user_id, external, enrolment.due_at)
            rows.append(b"".join((head, of_course, b",", of_person.encode(), b"}")))
        else:
            stated = _stated(enrolment.identity, course_id, user_id, enrolment.due_at)
            rows.append(b"".join((head, stated.encode(), b"}")))
    return rows


def _head(record: Record) -> bytes:
    """Write the beginning of a row: what is recorded."""
    written = _write_record(
        record.opened_at,
        record.completed_at,
        record.completed_lessons,
        record.progress_percent,
        record.score,
        record.time_spent_seconds,
        record.completion_expiry_date,
    )
    return f"{{{written},".encode()


def _stated(stated: Identity, course_id: str, user_id: str, due_at: str) -> str:
    """Write course and person as an enrolment names them."""
    course = _write_course(stated.total_lessons, course_id, stated.course_external_id, stated.course_title)
    person = _write_person(
        stated.user_email,
        stated.user_first_name,
        stated.user_last_name,
        user_id,
        stated.user_external_id,
        due_at,
    )
    return f"{course},{person}"


def _rows(call: Call, offset: int, limit: int) -> Iterable[tuple[str, list[str]]]:
    """Return the requested rows as courses and users; rows before the position are not read."""
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
    found: dict[str, list[str]] = {}
    for course_id, user_id, _ in islice(rows_after(parts, offset), limit):
        found.setdefault(course_id, []).append(user_id)
    return found.items()


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
