"""The effect of a reset on a row of the feed: what it clears, and the fields that a service keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import Attribute, evolve, field, frozen

from training_sdk._core.flow import Flow
from training_sdk._core.listing import LISTING_INCOMPLETE, Calls
from training_sdk.api.analytics import LessonProgress, lessons_of_user
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import DecodingError, NotFoundError, PermissionDeniedError
from training_sdk.plans.outline import PlanOutline
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.plan_warnings import Fact, warnings_of
from training_sdk.plans.planned import PlannedReset
from training_sdk.records.journal import LARGEST_DIFFERENCE, Since

NAMES: Mapping[str, str] = {
    "score": "the score",
    "time_spent_seconds": "the time spent",
    "opened_at": "the opening date",
}
"""The fields of a row that a service may keep, in words; without completion, lessons and percent nothing is a reset."""


def _known(_: object, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    if strange := [name for name in value if name not in NAMES]:
        raise ValueError(f"{attribute.name}: no reset may leave {', '.join(map(repr, strange))}.")


@frozen
class KeptFields:
    """The parts of a row that a service keeps after a reset: ``fields``, or no row where nothing is recorded."""

    fields: tuple[str, ...] = field(default=(), validator=_known)
    row_vanishes: bool = False

    def without(self, row: ProgressRow) -> ProgressRow:
        """Return a row without the parts that a reset leaves."""
        return evolve(row, **self._gone) if self.fields else row

    def plan(self, row: ProgressRow) -> PlannedReset:
        """Return a person's progress without the parts that a reset leaves."""
        return PlannedReset.of(self.without(row))

    def standing(self, planned: PlannedReset) -> tuple[object, ...]:
        """Return the same for a person in a plan, which may have been made before this was known."""
        return (evolve(planned, **self._gone) if self.fields else planned).standing

    @property
    def _gone(self) -> dict[str, Any]:
        return dict.fromkeys(self.fields)

    def joined(self, other: KeptFields) -> KeptFields:
        """Return the kept fields of both."""
        names = {*self.fields, *other.fields}
        return KeptFields(
            tuple(name for name in NAMES if name in names), self.row_vanishes or other.row_vanishes
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for plan and verification about the parts that are ignored."""
        return warnings_of(facts_kept(self))


Traces = KeptFields
"""The earlier name of ``KeptFields``."""
NO_KEPT_FIELDS = KeptFields()
VANISHED = Fact(
    "This service has no row of a person with nothing recorded",
    ", as the proof showed. A person who was sent and has no row counts as reset if the statistics agree.",
)


def facts_kept(kept_fields: KeptFields) -> tuple[Fact, ...]:
    """Return the facts about what a service keeps after a reset, which a plan must state."""
    kept = " and ".join(NAMES[name] for name in kept_fields.fields)
    keeps = Fact(f"This service keeps {kept} after a reset", ", as the proof showed, so it is not compared.")
    return (*((keeps,) if kept else ()), *((VANISHED,) if kept_fields.row_vanishes else ()))


class RowState(StrEnum):
    """The state of the row of a person who was to be reset."""

    CLEARED = "cleared"
    """Nothing is recorded."""
    AS_BEFORE = "as before"
    """Everything is as planned, with a date that a reset takes away."""
    LIKE_BEFORE = "like before"
    """Everything is as planned, and no date shows that it is not the same again."""
    STILL_THERE = "still there"
    """Their progress changed, and an earlier date is still recorded, which a reset takes away."""
    RETRAINED = "retrained"
    """Fewer lessons are completed than before, and all of them since the reset; an earlier lesson contradicts it.

    Where only a reset takes the opening date away, a later one is enough.
    """
    COMPLETED_SINCE = "completed since"
    """Completed since; the row does not show whether the earlier progress was cleared or the course was revised."""
    NO_ROW = "no row"
    UNCLEAR = "unclear"
    """Their progress changed, and nothing shows whether a reset came before that."""


class LessonsState(StrEnum):
    """The state of the lessons that a person had completed before the reset."""

    GONE = "gone"
    ALL_LEFT = "all left"
    """Every completed lesson is one of before."""
    SOME_LEFT = "some left"
    """Some are of before; of the others that is not known, or they were completed since."""
    UNKNOWN = "unknown"


@frozen
class EffectRules:
    """The rules by which the people of a plan are judged.

    ``opening_is_first`` is whether only a reset takes away when a course was first opened, as on the reference server.
    What ``opened_at`` of a live service means is **assumed**: it may as well be the last time that a person opened the
    course. So a later opening alone proves nothing there. ``kept_fields`` is what a reset leaves of a row, which is
    disregarded; a missing row is a sign only where the proof saw one vanish.
    """

    fields: tuple[str, ...] = PlannedReset.STANDING
    """The fields of a person's progress that are known from before the reset; an outline does not hold all of them."""
    opening_is_first: bool = False
    kept_fields: KeptFields = NO_KEPT_FIELDS

    @classmethod
    def of(
        cls, plan: ResetPlan, *, reference_server: bool = False, kept_fields: KeptFields | None = None
    ) -> EffectRules:
        """Return the rules for a plan or an outline."""
        known = plan.known_fields if isinstance(plan, PlanOutline) else PlannedReset.STANDING
        return cls(known, reference_server, kept_fields or NO_KEPT_FIELDS)

    def stands(self, planned: PlannedReset, row: ProgressRow) -> bool:
        """Return whether a person's progress is as planned, as far as that is known."""
        now = PlannedReset.of(row)
        names = (name for name in self.fields if name not in self.kept_fields.fields)
        return all(getattr(now, name) == getattr(planned, name) for name in names)

    def row_state(self, planned: PlannedReset, row: ProgressRow | None, since: datetime | None) -> RowState:
        """Return the state of a person's row; ``since`` is when the reset may have reached them first.

        The clock here and that of the service may differ by as much as is allowed for.
        """
        if row is None:
            return RowState.CLEARED if self.kept_fields.row_vanishes else RowState.NO_ROW
        if not self.kept_fields.without(row).has_recorded_progress:
            return RowState.CLEARED
        if self.stands(planned, row):
            return RowState.AS_BEFORE if self._has_date(planned) else RowState.LIKE_BEFORE
        if "opened_at" in self.kept_fields.fields:
            return self._by_what_is_gone(planned, row, since)
        if _is_later(row.opened_at, planned.opened_at, since):
            is_settled = self.opening_is_first and not _has_old_completion(planned, row)
            return RowState.RETRAINED if is_settled else self._by_what_is_gone(planned, row, since)
        if planned.opened_at is not None and row.opened_at == planned.opened_at:
            return RowState.STILL_THERE
        return RowState.STILL_THERE if _has_old_completion(planned, row) else RowState.UNCLEAR

    def _has_date(self, planned: PlannedReset) -> bool:
        has_opening = planned.opened_at is not None and "opened_at" not in self.kept_fields.fields
        return has_opening or planned.completed_at is not None

    def _by_what_is_gone(self, planned: PlannedReset, row: ProgressRow, since: datetime | None) -> RowState:
        """Judge a person whose opening date proves nothing by whether earlier lessons are gone."""
        if _has_old_completion(planned, row):
            return RowState.STILL_THERE
        is_new = _is_later(row.completed_at, None, since)
        if self._has_less(planned, row) and (is_new or row.completed_at is None):
            return RowState.RETRAINED
        return RowState.COMPLETED_SINCE if is_new and self._had_learned(planned) else RowState.UNCLEAR

    def _has_less(self, planned: PlannedReset, row: ProgressRow) -> bool:
        return self._knows_numbers and has_less(planned, row)

    def _had_learned(self, planned: PlannedReset) -> bool:
        return planned.completed_at is not None or (
            self._knows_numbers and bool(planned.completed_lessons or planned.percent)
        )

    @property
    def _knows_numbers(self) -> bool:
        return "completed_lessons" in self.fields


def resets_completed_only(reset: Sequence[PlannedReset], left: Sequence[PlannedReset]) -> bool:
    """Return whether of people sent alike exactly those were reset who had completed the course."""
    return (
        bool(reset and left)
        and all(user.completed_at is not None for user in reset)
        and all(user.completed_at is None for user in left)
    )


def has_less(planned: PlannedReset, row: ProgressRow) -> bool:
    """Return whether fewer lessons are completed, or the percent of a person without any are gone.

    A percent that has only fallen shows nothing: the course may have been revised.
    """
    if planned.completed_lessons or row.completed_lessons:
        return row.completed_lessons < planned.completed_lessons
    return bool(planned.percent) and not row.progress_percent


def has_lost(before: PlannedReset, row: ProgressRow) -> bool:
    """Return whether a person has less progress than before, which learning or opening the course never causes.

    A person who is still completed, with all lessons that the course still has, has lost nothing: a lesson was removed.
    """
    is_still_complete = _has_old_completion(before, row) and row.completed_lessons == row.total_lessons != 0
    return (before.opened_at is not None and row.opened_at is None) or (
        has_less(before, row) and not is_still_complete
    )


def ask_lessons(calls: Calls, planned: PlannedReset, row: ProgressRow, since: Since) -> Flow[LessonsState]:
    """Read whether the lessons completed before are gone; an incomplete listing shows nothing."""
    try:
        lessons = yield from lessons_of_user(calls, planned.user_id, planned.course_id).gather()
    except (NotFoundError, PermissionDeniedError):
        return LessonsState.UNKNOWN
    except DecodingError as error:
        if error.reason != LISTING_INCOMPLETE:
            raise
        return LessonsState.UNKNOWN
    return lessons_tell(planned, row, lessons, since)


def shows_lessons(calls: Calls, planned: PlannedReset) -> Flow[bool]:
    """Read whether a person without a row has completed lessons, which a reset would have cleared."""
    try:
        lessons = yield from lessons_of_user(calls, planned.user_id, planned.course_id).gather()
    except (NotFoundError, PermissionDeniedError):
        return False
    except DecodingError as error:
        if error.reason != LISTING_INCOMPLETE:
            raise
        return True
    return any(one.completed for one in lessons)


def lessons_tell(
    planned: PlannedReset, row: ProgressRow, lessons: Sequence[LessonProgress], since: Since
) -> LessonsState:
    """Return whether the lessons completed before are gone, as far as the two clocks allow.

    A lesson is old if it is from before the first request for the person, and new if from after the last. They are gone
    only if all that the row counts are listed and new.
    """
    dates = [one.completed_date_time for one in lessons if one.completed]
    old = [one is not None and one < since.first - LARGEST_DIFFERENCE for one in dates]
    if any(old):
        return LessonsState.ALL_LEFT if all(old) else LessonsState.SOME_LEFT
    had = planned.completed_lessons or planned.completed_at is not None
    is_whole = len(dates) >= max(row.completed_lessons, 1)
    is_new = all(one is not None and one > since.last + LARGEST_DIFFERENCE for one in dates)
    return LessonsState.GONE if is_whole and is_new and had else LessonsState.UNKNOWN


def _has_old_completion(planned: PlannedReset, row: ProgressRow) -> bool:
    return planned.completed_at is not None and row.completed_at == planned.completed_at


def _is_later(moment: datetime | None, before: datetime | None, since: datetime | None) -> bool:
    if moment is None or (before is not None and moment <= before):
        return False
    return since is None or moment > since - LARGEST_DIFFERENCE
