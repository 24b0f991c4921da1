"""Making a plan: read-only, from the progress feed, and never narrower or wider than it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from training_sdk._flow import Flow, Moment, Now
from training_sdk._pages import Calls
from training_sdk.errors import (
    DecodingError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    StalePlanError,
)
from training_sdk.models.courses import Course
from training_sdk.models.progress import ProgressRow
from training_sdk.resets.identity import who_and_where
from training_sdk.resets.plan import Only, PlannedCourse, PlannedReset, ResetPlan
from training_sdk.resources.analytics import statistics
from training_sdk.resources.courses import get_course
from training_sdk.resources.progress import progress_rows

MOST_NAMED = 5

NO_READ_RIGHT = (
    "a reset cannot be planned with this token: planning reads other people's progress, which needs "
    '"Training: Administration" (everyone) or "Training: Manage teams" (one\'s teams). '
    'The right to reset, "Platform management: Users", does not include it'
)


def make_plan(
    calls: Calls, course_id: str, user_ids: Sequence[str] | None, only: Only | None
) -> Flow[ResetPlan]:
    """Plan a reset of the users named, or of everyone where ``user_ids`` is None."""
    origin = yield from who_and_where(calls)
    now: Moment = yield Now()
    course = yield from get_course(calls, course_id)
    rows = yield from read_rows(calls, course_id, user_ids)
    if user_ids is None:
        yield from _refuse_narrow_view(calls, course, len(rows))
    elif missing := [user_id for user_id in user_ids if user_id not in rows]:
        yield from _explain_missing(calls, course, missing)
    plan = ResetPlan(
        course=PlannedCourse(course.id, course.title, course.external_id, course.status),
        scope="everyone" if user_ids is None else "users",
        only=only,
        users=tuple(PlannedReset.of(rows[user_id]) for user_id in (rows if user_ids is None else user_ids)),
        read_at=now.utc,
        origin=origin,
    )
    if not plan.users or (only and not plan.targets):
        whom = f"has {only}" if only else "is assigned to"
        raise InvalidArgumentError(f"nobody in scope {whom} {course.title!r}: there is nobody to plan for")
    return plan


def read_again(
    calls: Calls, plan: ResetPlan, people: Sequence[PlannedReset], *, closed: bool = False
) -> Flow[None]:
    """Raise StalePlanError if the course or any of these people of the plan has moved since it was made.

    ``closed`` also refuses anyone whom the plan does not know, since a call for everyone would reach them too.
    """
    course = yield from get_course(calls, plan.course.id)
    if course.title != plan.course.title:
        raise StalePlanError(f"the course was {plan.course.title!r} and is now {course.title!r}. Plan again")
    rows = yield from read_rows(calls, plan.course.id, [user.user_id for user in people])
    moved = {
        user.user_id: user.name
        for user in people
        if user.user_id not in rows or PlannedReset.of(rows[user.user_id]).standing != user.standing
    }
    if closed:
        everyone = yield from read_rows(calls, plan.course.id, None)
        planned = {user.user_id for user in plan.users}
        moved |= {row.user_id: row.user_name for row in everyone.values() if row.user_id not in planned}
    if moved:
        raise StalePlanError(
            f"{_some([name or user_id for user_id, name in moved.items()])} moved in {plan.course.title!r} "
            f"since the plan was made{_already(plan, rows)}. Nothing was sent for them. Plan again",
            metadata=tuple(("user_id", user_id) for user_id in moved),
        )


def read_rows(calls: Calls, course_id: str, user_ids: Sequence[str] | None) -> Flow[dict[str, ProgressRow]]:
    """The feed's rows of one course by user; the whole course is read unless a single user is asked for."""
    single = user_ids[0] if user_ids is not None and len(user_ids) == 1 else None
    found = yield from progress_rows(calls, course_id=course_id, user_id=single).gather()
    rows: dict[str, ProgressRow] = {}
    for row in found:
        if rows.setdefault(row.user_id, row) != row:
            raise DecodingError(
                f"the progress feed shows user {row.user_id!r} twice, with different progress; it moved while it "
                "was read. Plan again"
            )
    return rows


def _people_counted(calls: Calls, course_id: str) -> Flow[int | None]:
    """How many people the statistics count; refused without the right to read, which the feed alone would hide."""
    try:
        found = yield from statistics(calls, (course_id,)).gather()
    except PermissionDeniedError as error:
        raise PermissionDeniedError(NO_READ_RIGHT, status=403, reason="READ_PERMISSION_MISSING") from error
    return found[0].total_users if found else None


def _refuse_narrow_view(calls: Calls, course: Course, seen: int) -> Flow[None]:
    counted = yield from _people_counted(calls, course.id)
    if counted is not None and counted > seen:
        raise PermissionDeniedError(
            f"{course.title!r} has {counted} people, but this token sees the progress of {seen}: "
            "a plan for everyone would leave people out. Plan with a token that sees all of them",
            reason="NARROW_VIEW",
        )


def _explain_missing(calls: Calls, course: Course, missing: Sequence[str]) -> Flow[None]:
    yield from _people_counted(calls, course.id)
    raise NotFoundError(
        f"{_some(missing)} cannot be found in {course.title!r}{_hint(missing)}: unknown, deactivated, not assigned "
        "to it, or outside the teams that this token sees. Nothing was planned",
        reason="USER_NOT_IN_COURSE",
        metadata=tuple(("user_id", user_id) for user_id in missing),
    )


def _hint(missing: Sequence[str]) -> str:
    return (
        " (users are named by their id, user_…, not by e-mail)" if any("@" in one for one in missing) else ""
    )


def _already(plan: ResetPlan, rows: Mapping[str, ProgressRow]) -> str:
    """The likeliest reason why everyone has moved: they stand where the plan would have put them."""
    targets = plan.targets
    cleared = all(user.user_id in rows and not rows[user.user_id].has_recorded_progress for user in targets)
    return (
        ", and all of them stand at 0 %: it has probably been applied already" if targets and cleared else ""
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:MOST_NAMED])
    return shown if len(names) <= MOST_NAMED else f"{shown} and {len(names) - MOST_NAMED} more"
