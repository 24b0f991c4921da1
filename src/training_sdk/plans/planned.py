"""The values in a plan: its origin, its courses, its people, and the sum of what a reset would clear."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from attrs import frozen

from training_sdk._core.model import Key
from training_sdk._core.text import visible
from training_sdk._core.urls import service_name
from training_sdk.api.progress import ProgressRow, ProgressState
from training_sdk.plans import wording


@frozen
class Origin:
    """Where a plan was made: server, organisation, whose token, and whether it was the reference server."""

    base_url: str
    organisation_id: str
    user_id: str
    reference_server: bool

    def is_same_organisation(self, base_url: object, organisation_id: object) -> bool:
        """Whether these name the same organisation of the same service; the vendor's hosts are one service."""
        here = (service_name(self.base_url), self.organisation_id)
        return isinstance(base_url, str) and here == (service_name(base_url), organisation_id)


@frozen
class PlannedCourse:
    """One course of a plan, as it was called when the plan was made."""

    id: str
    title: str
    external_id: str | None = None
    status: str | None = None


@frozen
class PlannedReset:
    """One person in one course of a plan, and how they stood. ``percent`` is 0–100.

    ``left_out`` says why this person is in scope and yet not to be reset. ``last_reset_at`` is when this machine last
    reset them in this course, as far as its own records go.
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
    """The fields that say how somebody stands."""

    @classmethod
    def of(
        cls, row: ProgressRow, *, left_out: str | None = None, last_reset_at: datetime | None = None
    ) -> PlannedReset:
        """From a row of the progress feed."""
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
        """Whether this person's progress would be cleared: something is recorded, and they are not left out."""
        return self.left_out is None and self.state is not ProgressState.NOT_STARTED

    @property
    def identity(self) -> tuple[str, str, str]:
        """Name, e-mail and external id, as a person who reads the plan knows somebody; empty where there is none."""
        return self.name or "", self.email or "", self.external_id or ""

    @property
    def standing(self) -> tuple[object, ...]:
        """The progress that must not have changed between plan and reset."""
        return tuple(getattr(self, name) for name in self.STANDING)

    def __str__(self) -> str:
        return visible(wording.person(self))


@frozen
class Losses:
    """What a plan would clear, as far as the progress feed shows it; ``time_spent_seconds`` is the sum.

    Attempts, answers to surveys, practical assessments, discussions and assignments go as well. No published listing
    counts the latter three, so no number is given for them.
    """

    people: int
    resets: int
    completions: int
    lessons: int
    scores: int
    time_spent_seconds: float
