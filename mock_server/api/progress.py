"""The progress feed: one row per assigned user and course, begun or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice

from mock_server.api.call import Call
from mock_server.api.paging import FEED, feed_metadata, window
from mock_server.api.selection import users_asked
from mock_server.behaviours import Behaviour
from mock_server.wire import answers
from mock_server.wire.message import Response
from mock_server.wire.shapes import progress_fragment
from mock_server.world.progress import CourseProgress
from mock_server.world.progress_table import rows_after

TEMPLATE = "/training/v1/feed/training-course-progress"
QUERY = (*FEED, "completion_status", "course_id", "user_id", "modified_after")
_STATUSES = ("COMPLETION_STATUS_ALL", "COMPLETION_STATUS_COMPLETED", "COMPLETION_STATUS_NON_COMPLETED")

Test = Callable[[CourseProgress, str], bool]


def progress_feed(call: Call) -> Response:
    """GET /training/v1/feed/training-course-progress."""
    offset, limit = window(call)
    rows = list(_rows(call, offset, limit + 1))
    metadata = feed_metadata(call, TEMPLATE, offset + limit if len(rows) > limit else None)
    data = b",".join(progress_fragment(call.organisation, *row) for row in rows[:limit])
    return answers.raw_ok(b'{"metadata":%b,"data":[%b]}' % (answers.to_json(metadata), data))


def _rows(call: Call, offset: int, limit: int) -> Iterator[tuple[str, str]]:
    """Course and user of the rows asked for, found by position without walking those before them."""
    table, courses, users = call.organisation.progress, _courses(call), users_asked(call, "user_id")
    status = call.query.choice("completion_status", _STATUSES)
    after = call.query.moment("modified_after")
    omits_empty = Behaviour.OMITS_EMPTY_ROWS in call.world.policy.emulates
    if users is None and status == _STATUSES[0] and after is None and not omits_empty:
        return table.window(courses, offset, limit)
    question = (TEMPLATE, status, after, omits_empty, None if users is None else tuple(users))
    tests = [*_tests(status, after), *([_is_recorded] if omits_empty else [])]

    def weigh(progress: CourseProgress, user_id: str) -> int:
        return all(test(progress, user_id) for test in tests)

    parts = ((each, table.page_index.rows(question, each, table[each], users, weigh)) for each in courses)
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
