"""Rapid refreshes: a few questions now and then, of the organisation and not of a course. All shapes are assumed."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from training_sdk.models.base import Model, has_other_lists, may_omit


@frozen
class RapidRefresh(Model):
    """A rapid refresh in a list (shape assumed)."""

    id: str
    title: str = field(metadata=may_omit(""))
    is_published: bool | None = None
    question_count: int | None = None
    created_datetime: datetime | None = None


@frozen
class RapidRefreshQuestion(Model):
    """A question and what one may answer (shape assumed); which answer is right is not told."""

    id: str
    question: str = field(metadata=may_omit(""))
    options: tuple[str, ...] = ()


@frozen
class RapidRefreshDetail(Model):
    """A rapid refresh with its questions, in order (shape assumed)."""

    id: str
    title: str = field(metadata=may_omit(""))
    questions: tuple[RapidRefreshQuestion, ...] = field(metadata=may_omit([], unless=has_other_lists))
    is_published: bool | None = None
    question_count: int | None = None
    created_datetime: datetime | None = None


@frozen
class RapidRefreshAnswer(Model):
    """One person's answer to one question (shape assumed). No course reset touches it (assumed)."""

    rapid_refresh_id: str
    question_id: str
    user_id: str
    answer: str | None = None
    correct: bool | None = None
    answered_date_time: datetime | None = None
