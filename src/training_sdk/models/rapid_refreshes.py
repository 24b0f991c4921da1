"""Rapid refreshes: a few questions now and then, of the organisation and not of a course. All shapes are assumed."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from training_sdk.models.base import Model


@frozen
class RapidRefresh(Model):
    """A rapid refresh in a list (shape assumed)."""

    id: str
    title: str
    is_published: bool | None = None
    question_count: int | None = None
    created_datetime: datetime | None = None


@frozen
class RapidRefreshQuestion(Model):
    """A question and what one may answer (shape assumed); which answer is right is not told."""

    id: str
    question: str
    options: tuple[str, ...] = ()


@frozen
class RapidRefreshDetail(Model):
    """A rapid refresh with its questions, in order (shape assumed)."""

    id: str
    title: str
    questions: tuple[RapidRefreshQuestion, ...]
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
