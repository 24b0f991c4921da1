"""Courses and their lessons."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from training_sdk._core.json_values import duration_or_nothing, object_or_nothing
from training_sdk.models.base import Model, OpenEnum, may_omit


class CourseStatus(OpenEnum):
    """Where a course is in its life."""

    DRAFT = "Draft"
    SCHEDULED = "Scheduled"
    PUBLISHED = "Published"
    ARCHIVED = "Archived"


class DueBy(OpenEnum):
    """The kind of due date a course has."""

    NOT_SPECIFIED = "notSpecified"
    STATIC = "static"
    RELATIVE = "relative"


@frozen
class OriginalCourse(Model):
    """The course of which this one is a translation."""

    id: str
    external_id: str | None = None


@frozen
class Course(Model):
    """A course, as observed on the live wire by a third party. ``duration`` is in seconds."""

    id: str
    title: str = field(metadata=may_omit(""))
    external_id: str | None = None
    description: str | None = None
    status: CourseStatus | None = None
    locale: str | None = None
    is_mandatory: bool | None = None
    due_by: DueBy | None = None
    duration: float | None = field(default=None, metadata={"tidy": duration_or_nothing})
    thumbnail_url: str | None = None
    created_datetime: datetime | None = None
    modified_datetime: datetime | None = None
    translation_original_course: OriginalCourse | None = field(
        default=None, metadata={"also": ("TranslationOriginalCourse",), "tidy": object_or_nothing}
    )
    logo_url: str | None = None
    branding_image_url: str | None = None
    is_published: bool | None = None
    lesson_count: int | None = field(default=None, metadata={"also": ("LessonCount",)})
    published_version_number: int | None = None


@frozen
class Lesson(Model):
    """A lesson; the lessons of a course carry status and minimum score, a single lesson its dates (third-party)."""

    id: str
    title: str = field(metadata=may_omit(""))
    external_id: str | None = None
    description: str | None = None
    status: str | None = None
    minimum_score: float | None = None
    created_datetime: datetime | None = None
    modified_datetime: datetime | None = None


@frozen
class AssignmentResult(Model):
    """How many assignments a change touched; the server leaves a zero out (third-party)."""

    users_updated: int = 0
    groups_updated: int = 0
    sites_updated: int = 0
