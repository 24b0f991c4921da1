"""Whether a token sees everyone in a course: what the statistics count, held against the rows of the feed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from training_sdk._core.flow import Flow
from training_sdk._core.listing import LISTING_INCOMPLETE, Calls
from training_sdk.api.analytics import CourseStatistics
from training_sdk.api.courses import Course
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import DecodingError, NotFoundError, NotSupportedError, PermissionDeniedError
from training_sdk.plans.course_rows import course_counts, others_have_nothing
from training_sdk.plans.people_lookup import Rows
from training_sdk.plans.wording import number

NO_READ_RIGHT = (
    "this token can neither plan a reset nor say who is due: both read other people's progress, which needs "
    '"Training: Administration" (everyone) or "Training: Manage teams" (one\'s teams). '
    'The right to reset, "Platform management: Users", does not include it'
)


def people_counted(calls: Calls, course_ids: Sequence[str]) -> Flow[dict[str, CourseStatistics]]:
    """What the statistics count; refused without the right to read, which the feed alone would hide."""
    try:
        return (yield from course_counts(calls, course_ids))
    except PermissionDeniedError as error:
        raise PermissionDeniedError(NO_READ_RIGHT, status=403, reason="READ_PERMISSION_MISSING") from error


def sees_everyone(calls: Calls, course_id: str, rows: Mapping[str, ProgressRow]) -> Flow[bool]:
    """Whether this token sees as many people in a course as its statistics count, or all who have anything recorded."""
    try:
        one = (yield from course_counts(calls, (course_id,))).get(course_id)
    except PermissionDeniedError:
        return False
    if one is None:
        return False
    # A count of 0 may be one that was left out.
    is_whole = len(rows) >= one.total_users and (one.total_users > 0 or not rows)
    return is_whole or others_have_nothing(one, rows)


def about_narrow_view(calls: Calls, rows: Rows, what: str) -> Flow[tuple[str, ...]]:
    """Warnings about courses that have more people than this token sees, so that others are missing in a list or file.

    Raises PermissionDeniedError without the right to read: then the feed shows the owner of the token alone.
    """
    try:
        counted = yield from people_counted(calls, tuple(rows))
    except (NotFoundError, NotSupportedError):
        return ()
    return tuple(
        f"course {course_id!r} has {number(one.total_users, 'person', 'people')}, and this token sees the progress of "
        f"{len(here)}: the others are not in {what}"
        for course_id, here in rows.items()
        if (one := counted.get(course_id))
        and one.total_users > len(here)
        and not others_have_nothing(one, here)
    )


def refuse_narrow_view(calls: Calls, courses: Sequence[Course], rows: Rows) -> Flow[tuple[str, ...]]:
    """Raise unless this token sees everyone, or everyone who has anything recorded; then a warning says so."""
    counted = yield from people_counted(calls, [course.id for course in courses])
    warnings: list[str] = []
    for course in courses:
        one, here = counted.get(course.id), rows[course.id]
        if one is None:
            raise DecodingError(
                f"the statistics lack course {course.title!r}, also when they were read once more: whether this token "
                "sees everyone cannot be known. Nothing was sent. Plan again later, or name the people",
                reason=LISTING_INCOMPLETE,
            )
        people, seen = one.total_users, len(here)
        counted_here = f"{course.title!r} has {number(people, 'person', 'people')}"
        if here and people == 0:
            raise DecodingError(
                f"the statistics count nobody in {course.title!r} ($.items[*].totalUsers is 0 or missing), and the "
                f"progress feed shows {number(seen, 'person', 'people')}: whether this token sees everyone cannot be "
                "known. Nothing was sent. Plan again later, or name the people"
            )
        if people > seen:
            if not others_have_nothing(one, here):
                raise PermissionDeniedError(
                    f"{counted_here}, but this token sees the progress of {seen}: "
                    "a plan for everyone would leave people out. Plan with a token that sees all of them",
                    reason="NARROW_VIEW",
                )
            warnings.append(
                f"{counted_here}, and the feed has rows of {seen}: by the statistics the others "
                "have nothing recorded. If they begin now, they are not in this plan"
            )
    return tuple(warnings)
