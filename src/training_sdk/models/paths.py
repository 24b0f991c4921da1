"""Learning paths and collections: courses under one title."""

from __future__ import annotations

from attrs import field, frozen

from training_sdk.models.base import Model, has_other_lists, may_omit
from training_sdk.models.courses import Course


@frozen
class LearningPath(Model):
    """A learning path in a list (third-party)."""

    id: str
    title: str = field(metadata=may_omit(""))
    is_published: bool | None = None


@frozen
class LearningPathDetail(Model):
    """A learning path with the courses in it, in order; that they stand in the answer is assumed."""

    id: str
    title: str = field(metadata=may_omit(""))
    courses: tuple[Course, ...] = field(metadata=may_omit([], unless=has_other_lists))
    is_published: bool | None = None


@frozen
class Collection(Model):
    """A collection of courses (shape assumed)."""

    id: str
    title: str | None = field(default=None, metadata={"also": ("name",)})
    is_published: bool | None = None
