"""Reading who is on a course: everyone whom the service counts, or an error that says what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve

from training_sdk._core.flow import Flow
from training_sdk._core.listing import LISTING_INCOMPLETE, Calls
from training_sdk._core.printable import sentence
from training_sdk.api.analytics import CourseStatistics, statistics
from training_sdk.api.progress import ProgressRow, progress_rows
from training_sdk.errors import DecodingError, NotFoundError, NotSupportedError, PermissionDeniedError
from training_sdk.format_proof.traces import Traces
from training_sdk.plans.plan import PlannedReset


def read_rows(calls: Calls, course_id: str, user_ids: Sequence[str] | None) -> Flow[dict[str, ProgressRow]]:
    """The feed's rows of one course by user; the whole course is read unless a single user is asked for.

    Raises DecodingError (``LISTING_INCOMPLETE``) if some people are shown twice and others not at all, twice in a row.
    """
    single = user_ids[0] if user_ids is not None and len(user_ids) == 1 else None
    problem: str | None = None
    for _ in range(2):
        rows, repeated = yield from _read_once(calls, course_id, single)
        problem = (yield from _unstable(calls, course_id, rows, repeated)) if repeated else None
        if problem is None:
            return rows
    raise DecodingError(
        f"{sentence(str(problem))} Nothing of it was used. Try again later", reason=LISTING_INCOMPLETE
    )


def _read_once(calls: Calls, course_id: str, user_id: str | None) -> Flow[tuple[dict[str, ProgressRow], int]]:
    """The rows by user, and how many more were shown of the same people."""
    found = yield from progress_rows(calls, course_id=course_id, user_id=user_id).gather()
    rows: dict[str, ProgressRow] = {}
    for row in found:
        known = rows.setdefault(row.user_id, row)
        if known is not row and PlannedReset.of(known) != PlannedReset.of(row):
            raise DecodingError(
                f"the progress feed shows user {row.user_id!r} twice, with different progress; it moved while it "
                "was read. Plan again"
            )
    return rows, len(found) - len(rows)


def _unstable(
    calls: Calls, course_id: str, rows: Mapping[str, ProgressRow], repeated: int
) -> Flow[str | None]:
    """What to say where rows that repeat others stand in the place of people who are not shown; else None.

    Rows that only repeat the end of the page before come besides those of everyone.
    """
    try:
        found = (yield from course_counts(calls, (course_id,))).get(course_id)
    except (PermissionDeniedError, NotFoundError, NotSupportedError):
        return None
    people, counted = len(rows), 0 if found is None else found.total_users
    if found is None or not people < counted <= people + repeated or others_have_nothing(found, rows):
        return None
    return (
        f"the progress feed shows {people} of the {counted} people in course {course_id!r}, and some of them twice: "
        "the order of its pages changes while they are read"
    )


def course_counts(calls: Calls, course_ids: Sequence[str]) -> Flow[dict[str, CourseStatistics]]:
    """What the statistics count in each course; read once more if a course is missing."""
    counted: dict[str, CourseStatistics] = {}
    for _ in range(2):
        found = yield from statistics(calls, course_ids).gather()
        counted = {one.course_id: one for one in found}
        if counted.keys() >= set(course_ids):
            break
    return counted


def others_have_nothing(counted: CourseStatistics, rows: Mapping[str, ProgressRow]) -> bool:
    """Whether people without a row have nothing recorded.

    So it is where no row is empty, and as many have opened and completed the course as the statistics count; both
    numbers, since whether those who completed are counted among those who opened is assumed.
    """
    opened = sum(row.opened_at is not None for row in rows.values())
    completed = sum(row.completed_at is not None for row in rows.values())
    return all(row.has_recorded_progress for row in rows.values()) and (
        counted.opened_count,
        counted.completed_count,
    ) == (opened, completed)


def traces_here(
    calls: Calls, course_id: str, user_ids: Sequence[str], rows: Mapping[str, ProgressRow], traces: Traces
) -> Flow[Traces]:
    """What resets leave of rows, as far as it holds for this reading.

    A listing may end too early. So where somebody's row is missing, it has vanished only if by the statistics people
    without a row have nothing recorded.
    """
    missing = [user_id for user_id in user_ids if user_id not in rows]
    if not traces.row_vanishes or not missing:
        return traces
    everyone = (yield from read_rows(calls, course_id, None)) if len(user_ids) == 1 else rows
    fits = yield from missing_have_nothing(calls, course_id, missing, everyone)
    return traces if fits else evolve(traces, row_vanishes=False)


def missing_have_nothing(
    calls: Calls, course_id: str, missing: Sequence[str], everyone: Mapping[str, ProgressRow]
) -> Flow[bool | None]:
    """Whether by feed and statistics people without a row have nothing recorded; None if the statistics are refused."""
    if not everyone.keys().isdisjoint(missing):
        return False
    try:
        counted = (yield from course_counts(calls, (course_id,))).get(course_id)
    except (PermissionDeniedError, NotFoundError, NotSupportedError):
        return None
    except DecodingError:
        return False
    return counted is not None and others_have_nothing(counted, everyone)
