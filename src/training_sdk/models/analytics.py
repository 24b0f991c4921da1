"""Analytics. The paths are published, the shapes are assumed; on a live service the figures are up to 2 h old."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from training_sdk.models.base import Model, OpenEnum, may_omit


@frozen
class CourseStatistics(Model):
    """How a course stands (shape assumed). ``completion_percent`` and ``average_score`` are 0–100."""

    course_id: str
    total_users: int = field(metadata=may_omit(0))
    completed_count: int = field(metadata=may_omit(0))
    opened_count: int | None = None
    completion_percent: float | None = None
    average_score: float | None = None
    course_title: str | None = None


@frozen
class LessonProgress(Model):
    """One person's progress in one lesson (shape assumed). ``percentage_completed`` is 0–100."""

    course_id: str
    lesson_id: str
    lesson_title: str | None = None
    opened: bool = False
    opened_date_time: datetime | None = None
    completed: bool = False
    completed_date_time: datetime | None = None
    percentage_completed: float = 0.0
    score: float | None = None


@frozen
class LessonAttempt(Model):
    """One try at a lesson (shape assumed). ``id`` is None where the service has none."""

    id: str | None = field(metadata=may_omit(None))
    user_id: str
    course_id: str
    lesson_id: str
    started_date_time: datetime | None = None
    completed_date_time: datetime | None = None
    score: float | None = None
    success: bool | None = None


@frozen
class LessonStatistics(Model):
    """How a lesson stands (shape assumed).

    ``completion_percent`` and ``average_score`` are 0–100; the score is the mean over those who have opened it.
    """

    course_id: str
    lesson_id: str
    total_users: int = field(metadata=may_omit(0))
    completed_count: int = field(metadata=may_omit(0))
    opened_count: int | None = None
    completion_percent: float | None = None
    average_score: float | None = None
    lesson_title: str | None = None


class LessonEventType(OpenEnum):
    """What happened to a lesson."""

    OPENED = "opened"
    COMPLETED = "completed"


@frozen
class LessonEvent(Model):
    """Someone opened or completed a lesson (shape assumed)."""

    user_id: str
    course_id: str
    lesson_id: str
    event_type: LessonEventType | None = field(metadata=may_omit(None))
    event_date_time: datetime | None = field(metadata=may_omit(None))
    lesson_title: str | None = None
