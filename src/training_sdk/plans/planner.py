"""The planner: makes a plan from the progress feed, read-only, with exactly the people it was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from attrs import field, frozen

from training_sdk._core.flow import Flow, RunLocally
from training_sdk._core.listing import Calls
from training_sdk._core.model import Key
from training_sdk._core.text import MOST_NAMED
from training_sdk.api.courses import Course, all_courses
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import DecodingError, InvalidArgumentError, NotFoundError, Remedy
from training_sdk.plans.people import People, Where
from training_sdk.plans.people_lookup import Resolved, Rows, member_ids, resolve
from training_sdk.plans.plan import EveryonePlan, Only, ResetPlan
from training_sdk.plans.plan_warnings import (
    Paths,
    about_absent,
    about_paths,
    about_recent,
    facts_of_courses,
    facts_of_due_dates,
    read_paths,
    warnings_of,
)
from training_sdk.plans.planned import LastResets, Origin, PlannedCourse, PlannedReset
from training_sdk.plans.reading import people_counted, read_origin, read_rows, refuse_narrow_view
from training_sdk.plans.reset_effect import KeptFields
from training_sdk.plans.wording import few, number, shown, some
from training_sdk.recertification.due import Due
from training_sdk.recertification.rules import refuse_future, zone_called
from training_sdk.safeguards import Safeguards

RENEWED = "RENEWED"
P = TypeVar("P", bound=ResetPlan)


def no_resets(_: Origin) -> LastResets:
    """Return no earlier resets: there are no records of this machine to read."""
    return LastResets()


def no_kept_fields(_: Origin) -> KeptFields:
    """Return no kept fields: for a proof, which finds them out, and for a server where a reset leaves none."""
    return KeptFields()


@frozen
class PlanOptions:
    """The options of a plan: courses, also by learning path, people (None: everyone), and criteria to select them."""

    courses: tuple[str, ...]
    people: People | None
    only: Only | None = None
    where: Where | None = None
    paths: tuple[str, ...] = ()
    safeguards: Safeguards = field(factory=Safeguards)
    last_resets: Callable[[Origin], LastResets] = no_resets
    """Reads from the records of this machine when it last reset each person."""
    kept_fields: Callable[[Origin], KeptFields] = no_kept_fields
    """Reads from the proofs of this machine what a reset leaves of a row."""
    due: Due | None = None
    """The list of due people that the plan is for; a person who has another completion by now is not reset."""
    skip_unassigned: bool = False
    """Leave people out of courses in which they have no row, if they have one in another course of the plan."""

    @property
    def single_user(self) -> tuple[str, ...] | None:
        """The only user of the plan, if the feed can be read for that user alone."""
        people = self.people
        if people is None or people.groups or people.sites or len(people.entries) != 1:
            return None
        (one,) = people.entries
        return (one.value,) if one.kind == "user_id" else None

    @cached_property
    def _due_by(self) -> Mapping[Key, datetime | None] | None:
        """The completion by which each person was found due."""
        return None if self.due is None else {case.key: case.completed_at for case in self.due.due}

    @property
    def selection(self) -> str | None:
        """The criteria in words, or None."""
        words = [self.only or "", str(self.where or ""), "" if self.due is None else "still due"]
        return ", ".join(filter(None, words)) or None

    def left_out(self, row: ProgressRow, kept_fields: KeptFields) -> str | None:
        """Return the code of the criterion by which a person in scope is not to be reset, or None."""
        if self.only == "completed" and row.completed_at is None:
            return "NOT_COMPLETED"
        if self.where is not None:
            has_progress = kept_fields.without(row).has_recorded_progress
            if not (has_progress and self.where.matches(row)):
                return "NOT_SELECTED"
        if self._due_by is not None and row.completed_at != self._due_by[row.course_id, row.user_id]:
            return RENEWED
        return None


def make_plan(calls: Calls, options: PlanOptions) -> Flow[ResetPlan]:
    """Plan a reset of the people named, or of everyone if ``options.people`` is None, and change nothing."""
    return (yield from _make(calls, options, EveryonePlan if options.people is None else ResetPlan))


def make_everyone_plan(calls: Calls, options: PlanOptions) -> Flow[EveryonePlan]:
    """Plan a reset of everyone, by options without people, and change nothing."""
    return (yield from _make(calls, options, EveryonePlan))


def _make(calls: Calls, options: PlanOptions, kind: type[P]) -> Flow[P]:
    reading = yield from _read(calls, options)
    plan = _plan_of(reading, options, kind)
    _refuse_nobody(plan, is_due=options.due is not None)
    options.safeguards.check_people(plan.people)
    return plan


# --- reading ---


@frozen
class _Reading:
    """Everything that a plan is made of, as it was read."""

    origin: Origin
    read_at: datetime
    paths: Paths
    catalogue: Sequence[Course]
    courses: Sequence[Course]
    rows: Rows
    chosen: Resolved
    last_resets: LastResets
    kept_fields: KeptFields


def _read(calls: Calls, options: PlanOptions) -> Flow[_Reading]:
    here = yield from read_origin(calls)
    if options.due is not None:
        refuse_future(options.due.on, zone_called(options.due.zone), here.time)
    paths = yield from read_paths(calls, options.paths)
    catalogue = yield from all_courses(calls)
    courses = find_courses(catalogue, _course_ids(options, paths))
    _check_courses(courses, options.safeguards)
    rows: dict[str, Mapping[str, ProgressRow]] = {}
    for course in courses:
        rows[course.id] = yield from read_rows(calls, course.id, options.single_user)
    chosen = yield from _choose_people(calls, options, courses, rows)
    origin = here.origin
    last: LastResets = yield RunLocally(lambda: options.last_resets(origin), "records: last resets")
    kept_fields = KeptFields()
    if not origin.reference_server:
        kept_fields = yield RunLocally(lambda: options.kept_fields(origin), "proofs: what resets leave")
    return _Reading(origin, here.read_at, paths, catalogue, courses, rows, chosen, last, kept_fields)


def find_courses(catalogue: Sequence[Course], ids: Sequence[str]) -> list[Course]:
    """Return the courses with these ids, in this order. Raises NotFoundError that names missing ones."""
    by_id = {course.id: course for course in catalogue}
    if missing := [one for one in ids if one not in by_id]:
        raise NotFoundError(
            f"There is no course {some(missing)} in this organisation, or this token may not see it."
            f"{_hint_of_titles(catalogue, missing)}",
            status=404,
            reason="COURSE_NOT_FOUND",
        )
    return [by_id[one] for one in ids]


def _hint_of_titles(catalogue: Sequence[Course], missing: Sequence[str]) -> str:
    """Return a hint with the ids of courses whose title was given as id."""
    found = [course for course in catalogue if shown(course.title) in map(shown, missing)]
    named = ", ".join(f"{course.id!r} is the id of {course.title!r}" for course in found[:MOST_NAMED])
    return f" Name courses by id: {named}." if named else ""


def _check_courses(courses: Sequence[Course], safeguards: Safeguards) -> None:
    """Raise for a protected course, and for a course without a title: the confirmation phrase needs it."""
    for course in courses:
        if not course.title:
            raise DecodingError(
                f"The answer of /training/courses/v1 has no title for course {course.id!r} ($.items[*].title), and the "
                "phrase of a plan needs the title. Nothing was sent. Give the course a title, then plan again."
            )
        safeguards.check_course(course.id)


def _course_ids(options: PlanOptions, paths: Paths) -> tuple[str, ...]:
    """Return the courses requested, and those of the learning paths requested, each once."""
    ids = list(options.courses)
    by_id = {path.id: path for path in paths.details}
    for path_id in options.paths:
        if path_id not in by_id:
            raise NotFoundError(
                f"There is no learning path {path_id!r} in this organisation, or this token may not see it.",
                reason="PATH_NOT_FOUND",
            )
        if not by_id[path_id].courses:
            raise InvalidArgumentError(
                f"Learning path {path_id!r} has no course that this token sees. Nothing was planned. Name its "
                "courses, or use a token that sees them."
            )
        ids += [course.id for course in by_id[path_id].courses]
    return tuple(dict.fromkeys(ids))


def _choose_people(
    calls: Calls, options: PlanOptions, courses: Sequence[Course], rows: Rows
) -> Flow[Resolved]:
    """Return the user ids in scope, by course."""
    if options.people is None:
        warnings = yield from refuse_narrow_view(calls, courses, rows)
        return Resolved({course_id: tuple(found) for course_id, found in rows.items()}, warnings)
    members = yield from member_ids(calls, options.people)
    try:
        return resolve(options.people, rows, members, skip_unassigned=options.skip_unassigned)
    except NotFoundError:
        # Without the right to read, the missing right is the error to report: this call raises it.
        yield from people_counted(calls, tuple(rows))
        raise


# --- the plan ---


def _plan_of(reading: _Reading, options: PlanOptions, kind: type[P]) -> P:
    users = tuple(
        _planned(reading, options, course_id, user_id)
        for course_id, user_ids in reading.chosen.by_course.items()
        for user_id in user_ids
    )
    return kind(
        courses=tuple(
            PlannedCourse(course.id, course.title, course.external_id, course.status)
            for course in reading.courses
        ),
        selection=options.selection,
        users=users,
        unassigned=reading.chosen.unassigned,
        read_at=reading.read_at,
        expires_at=reading.read_at + options.safeguards.plan_lifetime,
        origin=reading.origin,
        warnings=_warnings(reading, users, kind),
    )


def _planned(reading: _Reading, options: PlanOptions, course_id: str, user_id: str) -> PlannedReset:
    row = reading.rows[course_id][user_id]
    return PlannedReset.of(
        reading.kept_fields.without(row),
        left_out=options.left_out(row, reading.kept_fields),
        last_reset_at=reading.last_resets.get((course_id, user_id)),
    )


def _warnings(reading: _Reading, users: Sequence[PlannedReset], kind: type[ResetPlan]) -> tuple[str, ...]:
    now, courses, kept_fields = reading.read_at, reading.courses, reading.kept_fields
    is_everyone = issubclass(kind, EveryonePlan)
    return (
        *reading.chosen.warnings,
        *_about_planner(users, reading.origin),
        *_about_renewed(users),
        *about_recent(users, now),
        *kept_fields.notes,
        *(
            about_absent(courses, reading.rows, reading.last_resets)
            if is_everyone and not kept_fields.row_vanishes
            else ()
        ),
        *warnings_of(facts_of_courses(courses, reading.catalogue)),
        *warnings_of(facts_of_due_dates(courses, users, now)),
        *about_paths(courses, reading.paths),
        *reading.last_resets.warnings,
    )


def _about_planner(users: Sequence[PlannedReset], origin: Origin) -> tuple[str, ...]:
    """Return a warning for an admin who plans a reset of their own progress."""
    own = [user for user in users if user.user_id == origin.user_id and user.is_target]
    if not own:
        return ()
    return (
        f"You plan a reset of your own progress: {shown(own[0].name) or own[0].user_id} is the owner of this token.",
    )


def _about_renewed(users: Sequence[PlannedReset]) -> tuple[str, ...]:
    renewed = sum(user.left_out == RENEWED for user in users)
    if not renewed:
        return ()
    return (
        f"{number(renewed, 'person', 'people')} in the list of due people no longer "
        f"{'has' if renewed == 1 else 'have'} the completion that was due: renewed since, or reset. This plan leaves "
        f"{'this person' if renewed == 1 else 'these people'} out.",
    )


def _refuse_nobody(plan: ResetPlan, *, is_due: bool) -> None:
    if not plan.users or (plan.selection and not plan.targets):
        titles = few(repr(course.title) for course in plan.courses)
        if plan.users and is_due:
            raise InvalidArgumentError(
                f"No person in the list of due people is still due in {titles}, so there is nothing to plan.",
                remedy=Remedy("find_due_again", "Make the list again."),
            )
        if plan.users:
            raise InvalidArgumentError(
                f"No person in scope of {titles} meets the criteria ({plan.selection}), so there is nothing to plan.",
                remedy=Remedy("widen_selection", "Change only or where, or name other people."),
            )
        raise InvalidArgumentError(
            f"The progress feed lists no person in {titles}, so there is nothing to plan.",
            remedy=Remedy(
                "assign_people", "Assign people to the course, or wait until the feed shows them (up to 2 h)."
            ),
        )
