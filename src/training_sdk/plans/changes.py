"""Changes since a plan was made: of courses, of warnings, and of the progress and names of its people."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from training_sdk._core.flow import Flow
from training_sdk._core.listing import Calls
from training_sdk._core.model import Key
from training_sdk._core.text import sentence
from training_sdk.api.courses import Course, all_courses
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import Remedy, StalePlanError
from training_sdk.outcome import Code
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.plan_warnings import facts_of_courses, facts_of_due_dates, facts_of_paths, read_paths
from training_sdk.plans.planned import PlannedCourse, PlannedReset
from training_sdk.plans.planner import find_courses
from training_sdk.plans.reset_effect import NO_KEPT_FIELDS, KeptFields, facts_kept
from training_sdk.plans.wording import number, shown, some, who

# --- courses and warnings ---


def check_course(calls: Calls, planned: PlannedCourse) -> Flow[None]:
    """Raise StalePlanError if the title of a course has changed since the plan was made."""
    catalogue = yield from all_courses(calls, (planned.id,))
    (course,) = find_courses(catalogue, (planned.id,))
    _check_title(planned, course)


def _check_title(planned: PlannedCourse, course: Course) -> None:
    if course.title != planned.title:
        raise StalePlanError(
            f"The title of the course was {planned.title!r} and is now {course.title!r}. Plan again."
        )


def refuse_new_warnings(calls: Calls, plan: ResetPlan, kept_fields: KeptFields) -> Flow[None]:
    """Raise StalePlanError if a fact about courses or service now needs a warning that the plan does not have.

    Due dates are compared with the time at which the plan was read: one that has passed since then is no such fact.
    """
    paths = yield from read_paths(calls)
    catalogue = yield from all_courses(calls)
    courses = find_courses(catalogue, [course.id for course in plan.courses])
    for planned, course in zip(plan.courses, courses, strict=True):
        _check_title(planned, course)
    facts = (
        *facts_of_courses(courses, catalogue),
        *facts_of_due_dates(courses, plan.users, plan.read_at),
        *facts_of_paths(courses, paths),
        *facts_kept(kept_fields),
    )
    missing = [text for fact in facts if (text := fact.missing_in(plan.warnings))]
    if missing:
        more = f" {number(len(missing) - 1, 'more warning')} would be new." if len(missing) > 1 else ""
        raise StalePlanError(
            f"The plan lacks a warning that is true now: {sentence(shown(missing[0]))}{more} Nothing was sent. "
            "Plan again with this token, which may see more than the token of the planner, and read the warnings.",
            reason="WARNING_MISSING",
        )


# --- people ---


def change_of(
    planned: PlannedReset, row: ProgressRow | None, kept_fields: KeptFields = NO_KEPT_FIELDS
) -> Code | None:
    """Return what has changed for a person since the plan was made, or None.

    A plan shows names and resets user ids, so both must still belong to one person.
    """
    if row is None:
        return Code.MOVED
    now = kept_fields.plan(row)
    if planned.is_target and now.identity != planned.identity:
        return Code.IDENTITY_CHANGED
    return None if now.standing == kept_fields.standing(planned) else Code.MOVED


def changed_people(
    people: Sequence[PlannedReset], rows: Mapping[Key, ProgressRow], kept_fields: KeptFields
) -> dict[Key, str]:
    """Return the people whose row differs from the plan, each with name and e-mail."""
    return {
        user.key: who(user) for user in people if change_of(user, rows.get(user.key), kept_fields) is not None
    }


def all_cleared(
    people: Sequence[PlannedReset], rows: Mapping[Key, ProgressRow], kept_fields: KeptFields
) -> bool:
    """Return whether every target has no progress left: the plan has probably been applied already."""
    found = [rows.get(user.key) for user in people if user.is_target]
    return bool(found) and all(
        kept_fields.row_vanishes if row is None else not kept_fields.without(row).has_recorded_progress
        for row in found
    )


def refuse_changed(
    plan: ResetPlan,
    names: Mapping[Key, str],
    *,
    cleared: bool = False,
    renamed: Collection[Key] = (),
    may_skip: bool = False,
) -> None:
    """Raise StalePlanError if ``names`` is not empty: it has the people whose progress or identity has changed.

    ``may_skip`` adds the advice to apply the plan again with a higher tolerance.
    """
    if not names:
        return
    user_ids = tuple(("user_id", user_id) for _, user_id in names)
    if renamed:
        raise StalePlanError(
            identity_changed([names[key] for key in renamed], "Nothing was sent for them"),
            reason="IDENTITY_CHANGED",
            metadata=user_ids,
        )
    titles = {course.id: course.title for course in plan.courses}
    where = ", ".join(sorted({repr(titles[course_id]) for course_id, _ in names}))
    again = (
        ", and none of them has any progress left, so the plan has probably been applied already"
        if cleared
        else ""
    )
    skip = Remedy(
        "skip_changed",
        f"Plan again, or skip them with tolerance={len(names)}.",
        (("tolerance", str(len(names))),),
    )
    raise StalePlanError(
        f"The progress of {some(list(names.values()))} in {where} has changed since the plan was made{again}. "
        "Nothing was sent for them.",
        metadata=user_ids,
        remedy=skip if may_skip and not cleared else Remedy("plan_again", "Plan again."),
    )


def identity_changed(names: Sequence[str], effect: str) -> str:
    """Return the message about user ids that have other names, e-mails or external ids than in the plan."""
    return (
        "The service has another name, e-mail or external id than the plan for the user ids of "
        f"{some(names)}. {effect}. If the data of these people was not changed, the plan was: find out by whom. "
        "Plan again."
    )
