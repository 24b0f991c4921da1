"""The values in a plan: its origin, courses and people (before and after), and the sum of what a reset would clear."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from training_sdk._core.model import Key
from training_sdk._core.text import sentence, visible
from training_sdk._core.urls import service_name
from training_sdk.api.progress import ProgressRow, ProgressState
from training_sdk.frames.methods import Rows
from training_sdk.plans import wording

if TYPE_CHECKING:
    from training_sdk.plans.plan import ResetPlan


@frozen
class Origin:
    """The origin of a plan: server, organisation, owner of the token, and whether it is the reference server."""

    base_url: str
    organisation_id: str
    user_id: str
    reference_server: bool

    def is_same_organisation(self, base_url: object, organisation_id: object) -> bool:
        """Return whether this is the same organisation on the same service; the vendor's hosts are one service."""
        here = (service_name(self.base_url), self.organisation_id)
        return isinstance(base_url, str) and here == (service_name(base_url), organisation_id)


@frozen
class PlannedCourse:
    """One course of a plan, with its title when the plan was made."""

    id: str
    title: str
    external_id: str | None = None
    status: str | None = None


@frozen
class PlannedReset:
    """One person in one course of a plan, and their progress. ``percent`` is 0–100.

    ``left_out`` is the reason why a person in scope is not to be reset. ``last_reset_at`` is the time of the last reset
    of this person in this course by this machine, by its own records.
    """

    course_id: str
    user_id: str
    name: str
    email: str | None
    state: ProgressState
    percent: float
    completed_at: datetime | None
    score: int | float | None
    opened_at: datetime | None = None
    completed_lessons: int = 0
    time_spent_seconds: float | None = None
    due_at: datetime | None = None
    external_id: str | None = None
    left_out: str | None = None
    last_reset_at: datetime | None = None

    STANDING: ClassVar[tuple[str, ...]] = (
        *("state", "percent", "completed_at", "score"),
        *("opened_at", "completed_lessons", "time_spent_seconds"),
    )
    """The fields that are compared between plan and reset."""

    @classmethod
    def of(
        cls, row: ProgressRow, *, left_out: str | None = None, last_reset_at: datetime | None = None
    ) -> PlannedReset:
        """Return the person in a row of the progress feed."""
        return cls(
            row.course_id,
            row.user_id,
            row.user_name,
            row.user_email,
            row.state,
            row.progress_percent,
            row.completed_at,
            row.score,
            row.opened_at,
            row.completed_lessons,
            row.time_spent_seconds,
            row.due_at,
            row.user_external_id,
            left_out,
            last_reset_at,
        )

    @property
    def key(self) -> Key:
        """Course and user."""
        return self.course_id, self.user_id

    @property
    def is_target(self) -> bool:
        """True if progress would be cleared: the person has some, and is not left out."""
        return self.left_out is None and self.state is not ProgressState.NOT_STARTED

    @property
    def identity(self) -> tuple[str, str, str]:
        """Name, e-mail and external id, by which the reader of a plan recognises a person; "" for a missing one."""
        return self.name or "", self.email or "", self.external_id or ""

    @property
    def standing(self) -> tuple[object, ...]:
        """The progress that must not have changed between plan and reset."""
        return tuple(getattr(self, name) for name in self.STANDING)

    def __str__(self) -> str:
        return visible(wording.person(self))


@frozen
class Losses:
    """The sum of what a plan would clear, as far as the progress feed shows it.

    A reset also clears attempts, answers to surveys, practical assessments, discussions and assignments. No published
    listing counts the last three, so there is no number for them.
    """

    people: int
    resets: int
    completions: int
    lessons: int
    scores: int
    time_spent_seconds: float


class LastResets(dict[Key, datetime]):
    """The time of the last reset of each person, and the files of one kind that could not be read."""

    def __init__(self, kind: str = "A report") -> None:
        super().__init__()
        self.kind = kind
        self.unreadable: list[str] = []
        self._added: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for every file that was passed over."""
        own = (
            f"{self.kind} on this machine cannot be read, so resets may be missing here: {sentence(why)}"
            for why in self.unreadable
        )
        return (*own, *self._added)

    def add(self, other: LastResets) -> None:
        """Add the resets in files of another kind; the later time counts."""
        for key, when in other.items():
            self[key] = max(when, self.get(key, when))
        self._added += other.warnings


@frozen
class BeforeAfter:
    """The progress of one target of a plan when the plan was made, and later. Percentages are 0–100.

    What is ``_after`` is None for a person whom the rows do not list: unassigned or deactivated since, or not read.
    """

    course_id: str
    course_title: str
    user_id: str
    user_name: str
    user_email: str | None
    state_before: ProgressState
    state_after: ProgressState | None
    percent_before: float
    percent_after: float | None
    score_before: float | None
    score_after: float | None
    completed_at_before: datetime | None
    completed_at_after: datetime | None


def before_and_after(plan: ResetPlan, rows: Iterable[ProgressRow]) -> Rows[BeforeAfter]:
    """Return each target of a plan with its progress by the plan and by rows of the progress feed."""
    titles = {course.id: course.title for course in plan.courses}
    later = {(row.course_id, row.user_id): row for row in rows}
    return Rows(
        BeforeAfter,
        (
            BeforeAfter(
                course_id=user.course_id,
                course_title=titles[user.course_id],
                user_id=user.user_id,
                user_name=user.name,
                user_email=user.email,
                state_before=user.state,
                state_after=row.state if row else None,
                percent_before=user.percent,
                percent_after=row.progress_percent if row else None,
                score_before=user.score,
                score_after=row.score if row else None,
                completed_at_before=user.completed_at,
                completed_at_after=row.completed_at if row else None,
            )
            for user in plan.targets
            for row in [later.get(user.key)]
        ),
    )
