"""Making a plan: read-only, from the progress feed, and never narrower or wider than it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from attrs import evolve, field, frozen

from training_sdk._core.flow import Flow, Moment, Now, RunLocally
from training_sdk._core.listing import Calls
from training_sdk._core.model import Key
from training_sdk._core.text import MOST_NAMED
from training_sdk.api.courses import Course, all_courses
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import DecodingError, InvalidArgumentError, NotFoundError
from training_sdk.format_proof.traces import Traces
from training_sdk.plans.course_rows import people_counted, read_rows, refuse_narrow_view
from training_sdk.plans.origin import service_time, who_and_where
from training_sdk.plans.people import People
from training_sdk.plans.people_lookup import Resolved, Rows, member_ids, resolve
from training_sdk.plans.plan import EveryonePlan, Only, ResetPlan
from training_sdk.plans.plan_warnings import (
    Paths,
    about_absent,
    about_courses,
    about_due_dates,
    about_paths,
    about_recent,
    read_paths,
)
from training_sdk.plans.planned import Origin, PlannedCourse, PlannedReset
from training_sdk.plans.selection import Where
from training_sdk.plans.wording import number, shown, some
from training_sdk.recertification.civil import refuse_future, zone_called
from training_sdk.recertification.due import Due
from training_sdk.resets.report_file import LastResets
from training_sdk.resets.safeguards import Safeguards

RENEWED = "RENEWED"
P = TypeVar("P", bound=ResetPlan)


def _never(_: Origin) -> LastResets:
    return LastResets()


def no_traces(_: Origin) -> Traces:
    """For a plan by which they are to be found out, or of a server that leaves none."""
    return Traces()


@frozen
class Wanted:
    """What a plan is asked for: courses, also by learning path, people (None: everyone), and whom of them."""

    courses: tuple[str, ...]
    people: People | None
    only: Only | None = None
    where: Where | None = None
    paths: tuple[str, ...] = ()
    safeguards: Safeguards = field(factory=Safeguards)
    last_resets: Callable[[Origin], LastResets] = _never
    """When this machine last reset whom; reads from its records."""
    traces: Callable[[Origin], Traces] = no_traces
    """What a reset leaves of a row there; reads from the proofs of this machine."""
    due_by: Mapping[Key, datetime | None] | None = None
    """The completion that somebody was found due by; whoever has another by now is left out."""
    skip_unassigned: bool = False
    """Whether people are left out of courses in which they have no row, if they have one in another."""


def make_plan(calls: Calls, wanted: Wanted) -> Flow[ResetPlan]:
    """Plan a reset of the people named, or of everyone where there are none, and change nothing."""
    return (yield from _make(calls, wanted, EveryonePlan if wanted.people is None else ResetPlan))


def make_everyone_plan(calls: Calls, wanted: Wanted) -> Flow[EveryonePlan]:
    """Plan a reset of everyone, and change nothing."""
    return (yield from _make(calls, evolve(wanted, people=None), EveryonePlan))


def make_due_plan(calls: Calls, wanted: Wanted, due: Due) -> Flow[ResetPlan]:
    """Plan a reset of the people in a list of due people, and change nothing."""
    now = yield from service_time(calls)
    refuse_future(due.on, zone_called(due.zone), now)
    return (
        yield from make_plan(calls, evolve(wanted, due_by={case.key: case.completed_at for case in due.due}))
    )


def _make(calls: Calls, wanted: Wanted, kind: type[P]) -> Flow[P]:
    here = yield from who_and_where(calls)
    origin = here.origin
    now: Moment = yield Now()
    paths = yield from read_paths(calls, wanted.paths)
    catalogue = yield from all_courses(calls)
    courses = find_courses(catalogue, _course_ids(wanted, paths))
    _check_courses(courses, wanted.safeguards)
    rows = yield from _rows_of(calls, courses, wanted.people)
    chosen = yield from _choose(calls, wanted, courses, rows)
    last: LastResets = yield RunLocally(lambda: wanted.last_resets(origin), "records: last resets")
    traces = Traces()
    if not origin.reference_server:
        traces = yield RunLocally(lambda: wanted.traces(origin), "proofs: what resets leave")
    left_out = {
        (course_id, user_id): _left_out(rows[course_id][user_id], wanted, traces)
        for course_id, user_ids in chosen.by_course.items()
        for user_id in user_ids
    }
    users = tuple(
        PlannedReset.of(
            traces.without(rows[course_id][user_id]),
            left_out=why,
            last_reset_at=last.get((course_id, user_id)),
        )
        for (course_id, user_id), why in left_out.items()
    )
    plan = kind(
        courses=tuple(
            PlannedCourse(course.id, course.title, course.external_id, course.status) for course in courses
        ),
        selection=_selection(wanted),
        users=users,
        unassigned=chosen.unassigned,
        read_at=now.utc,
        expires_at=now.utc + wanted.safeguards.plan_lifetime,
        origin=origin,
        warnings=(
            *chosen.warnings,
            *_about_planner(users, origin),
            *_about_renewed(left_out),
            *about_recent(users, now.utc),
            *traces.notes,
            *(about_absent(courses, rows, last) if wanted.people is None and not traces.row_vanishes else ()),
            *about_courses(courses, catalogue),
            *about_due_dates(courses, users, now.utc),
            *about_paths(courses, paths),
            *last.warnings,
        ),
    )
    _refuse_nobody(plan, courses)
    wanted.safeguards.check_people(plan.people)
    return plan


def find_courses(catalogue: Sequence[Course], ids: Sequence[str]) -> list[Course]:
    """The courses with these ids, in this order. Raises NotFoundError naming those that are not there."""
    by_id = {course.id: course for course in catalogue}
    if missing := [one for one in ids if one not in by_id]:
        raise NotFoundError(
            f"there is no course {some(missing)} in this organisation, or this token may not see it"
            f"{_hint_of_titles(catalogue, missing)}",
            status=404,
            reason="COURSE_NOT_FOUND",
        )
    return [by_id[one] for one in ids]


def _hint_of_titles(catalogue: Sequence[Course], missing: Sequence[str]) -> str:
    """The ids of courses that have as title what was given as id."""
    found = [course for course in catalogue if shown(course.title) in map(shown, missing)]
    named = ", ".join(f"{course.id!r} is the id of {course.title!r}" for course in found[:MOST_NAMED])
    return f". Courses are named by id here: {named}" if named else ""


def _check_courses(courses: Sequence[Course], safeguards: Safeguards) -> None:
    """Raise DecodingError for a course without a title, by which people confirm it; refuse protected courses."""
    for course in courses:
        if not course.title:
            raise DecodingError(
                f"/training/courses/v1 has no title for course {course.id!r} ($.items[*].title), and a reset is "
                "confirmed by the title. Nothing was sent. Give the course a title, then plan again"
            )
        safeguards.check_course(course.id)


def _course_ids(wanted: Wanted, paths: Paths) -> tuple[str, ...]:
    """The courses asked for, and those of the learning paths asked for, each once."""
    ids = list(wanted.courses)
    by_id = {path.id: path for path in paths.details}
    for path_id in wanted.paths:
        if path_id not in by_id:
            raise NotFoundError(
                f"there is no learning path {path_id!r} in this organisation, or this token may not see it",
                reason="PATH_NOT_FOUND",
            )
        if not by_id[path_id].courses:
            raise InvalidArgumentError(f"learning path {path_id!r} holds no course that this token sees")
        ids += [course.id for course in by_id[path_id].courses]
    return tuple(dict.fromkeys(ids))


def _selection(wanted: Wanted) -> str | None:
    said = [wanted.only or "", str(wanted.where or ""), "" if wanted.due_by is None else "still due"]
    return ", ".join(one for one in said if one) or None


def _left_out(row: ProgressRow, wanted: Wanted, traces: Traces) -> str | None:
    if wanted.only == "completed" and row.completed_at is None:
        return "NOT_COMPLETED"
    if wanted.where is not None:
        has_progress = traces.without(row).has_recorded_progress
        if not (has_progress and wanted.where.matches(row)):
            return "NOT_SELECTED"
    if wanted.due_by is not None and row.completed_at != wanted.due_by[row.course_id, row.user_id]:
        return RENEWED
    return None


def _about_planner(users: Sequence[PlannedReset], origin: Origin) -> tuple[str, ...]:
    """A warning for an admin who plans a reset of themselves: their own completion goes."""
    own = [user for user in users if user.user_id == origin.user_id and user.is_target]
    if not own:
        return ()
    return (
        f"you plan a reset of your own progress: {shown(own[0].name) or own[0].user_id} is the owner of this token",
    )


def _about_renewed(left_out: Mapping[Key, str | None]) -> tuple[str, ...]:
    renewed = sum(code == RENEWED for code in left_out.values())
    if not renewed:
        return ()
    return (
        f"{number(renewed, 'person', 'people')} found due no longer {'has' if renewed == 1 else 'have'} the completion "
        "they were due by: they have renewed it, or were reset, and are left out",
    )


def _refuse_nobody(plan: ResetPlan, courses: Sequence[Course]) -> None:
    if not plan.users or (plan.selection and not plan.targets):
        what = f"is {plan.selection}" if plan.users else "is assigned to it"
        titles = ", ".join(repr(course.title) for course in courses[:MOST_NAMED])
        raise InvalidArgumentError(f"nobody in scope of {titles} {what}: there is nobody to plan for")


def _rows_of(calls: Calls, courses: Sequence[Course], people: People | None) -> Flow[Rows]:
    rows: dict[str, Mapping[str, ProgressRow]] = {}
    for course in courses:
        rows[course.id] = yield from read_rows(calls, course.id, _single(people))
    return rows


def _single(people: People | None) -> tuple[str, ...] | None:
    """The only user, where the feed can be asked for that one alone."""
    if people is None or people.groups or people.sites or len(people.entries) != 1:
        return None
    (one,) = people.entries
    return (one.value,) if one.kind == "user_id" else None


def _choose(calls: Calls, wanted: Wanted, courses: Sequence[Course], rows: Rows) -> Flow[Resolved]:
    """Who is in scope, by course."""
    people = wanted.people
    if people is None:
        warnings = yield from refuse_narrow_view(calls, courses, rows)
        return Resolved({course_id: tuple(found) for course_id, found in rows.items()}, warnings)
    members = yield from member_ids(calls, people)
    try:
        return resolve(people, rows, members, skip_unassigned=wanted.skip_unassigned)
    except NotFoundError:
        # Without the right to read, that is what has to be said.
        yield from people_counted(calls, tuple(rows))
        raise
