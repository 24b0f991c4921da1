"""Surveys: questions without a right answer. The paths are published, the shapes are assumed."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from training_sdk.models.base import Model, OpenEnum, may_omit


class SurveyAnswerType(OpenEnum):
    """How a survey question is answered: in one's own words, or with one of its options."""

    TEXT = "text"
    CHOICE = "choice"


@frozen
class SurveyQuestion(Model):
    """A survey question of a lesson (shape assumed). ``options`` is empty where one answers in one's own words."""

    id: str
    course_id: str
    lesson_id: str
    question: str = field(metadata=may_omit(""))
    answer_type: SurveyAnswerType | None = None
    options: tuple[str, ...] = ()


@frozen
class SurveyAnswer(Model):
    """One person's answer to a survey question (shape assumed). A course reset clears it (assumed)."""

    question_id: str
    user_id: str
    course_id: str
    lesson_id: str
    answer: str = field(metadata=may_omit(""))
    answered_date_time: datetime | None = None
