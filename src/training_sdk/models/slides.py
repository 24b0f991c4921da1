"""Slides: what lessons are made of. The paths are published, the shapes assumed; on a live service up to 2 h old."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from training_sdk.models.base import Model, OpenEnum, may_omit


class SlideType(OpenEnum):
    """What a slide asks of a learner."""

    CONTENT = "content"
    QUESTION = "question"
    SURVEY = "survey"


@frozen
class SlideStatistics(Model):
    """How many people have viewed a slide, answered it, and answered it correctly (shape assumed)."""

    course_id: str
    lesson_id: str
    slide_id: str
    viewed_count: int = field(metadata=may_omit(0))
    answered_count: int | None = None
    correct_count: int | None = None
    slide_title: str | None = None
    slide_type: SlideType | None = None


@frozen
class SlideProgress(Model):
    """What one person did with one slide (shape assumed). ``correct``: whether a question was answered rightly."""

    course_id: str
    lesson_id: str
    slide_id: str
    slide_title: str | None = None
    slide_type: SlideType | None = None
    viewed: bool = False
    viewed_date_time: datetime | None = None
    answered: bool = False
    correct: bool | None = None
