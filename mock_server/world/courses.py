"""What there is to learn: courses and their lessons."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import field, frozen
from attrs.validators import ge, le

from mock_server.world import times
from mock_server.world.slides import Slide, SlideKind

if TYPE_CHECKING:
    from mock_server.world.people import Person


MOST_DAYS = 36_500
"""The longest time a course gives, in days: a date that far ahead can still be written."""
MOST_MONTHS = 1200
"""The same for how long a completion holds."""


class CourseStatus(StrEnum):
    """A course's state of publication."""

    DRAFT = "Draft"
    SCHEDULED = "Scheduled"
    PUBLISHED = "Published"
    ARCHIVED = "Archived"


class LessonKind(StrEnum):
    """What a learner does in a lesson."""

    CONTENT = "content"
    QUIZ = "quiz"
    ASSESSMENT = "practical assessment"
    DISCUSSION = "discussion"
    ASSIGNMENT = "assignment"


class DueKind(StrEnum):
    """How a course's due date is fixed; the values are the wire's ``dueBy``."""

    NONE = "notSpecified"
    STATIC = "static"
    RELATIVE = "relative"


@frozen
class Due:
    """When a course is due: never, on a date, or so many days after assignment."""

    kind: DueKind = DueKind.NONE
    at: str = ""
    days: int = field(default=0, validator=[ge(0), le(MOST_DAYS)])

    def date_for(self, assigned_at: datetime) -> str:
        """The due date of somebody assigned at that moment, "" for none."""
        if self.kind is DueKind.RELATIVE:
            return times.to_text(assigned_at + timedelta(days=self.days))
        return self.at if self.kind is DueKind.STATIC else ""


@frozen
class Lesson:
    """One part of a course."""

    id: str
    title: str
    created_at: str
    kind: LessonKind = LessonKind.CONTENT
    description: str = ""
    external_id: str = ""
    status: str = "Published"
    minimum_score: int = 0
    """0 to 100; reached by an attempt that passes."""
    slides: tuple[Slide, ...] = ()


@frozen
class Course:
    """A course with its lessons and the settings that the rules of a reset ask about."""

    id: str
    title: str
    created_at: str
    modified_at: str
    lessons: tuple[Lesson, ...] = ()
    external_id: str = ""
    description: str = ""
    status: CourseStatus = CourseStatus.PUBLISHED
    locale: str = "en-GB"
    is_mandatory: bool = False
    due: Due = Due()
    duration: int = 0
    """Seconds."""
    certificate: bool = False
    """Whether a completion issues a certificate (R19)."""
    completion_expires_months: int = field(default=0, validator=[ge(0), le(MOST_MONTHS)])
    """After how many months a completion expires, 1200 at most; 0 for never."""
    thumbnail_url: str = ""
    logo_url: str = ""
    branding_image_url: str = ""
    translation_of: str = ""
    """Id of the course that this one translates."""
    published_version: int = 0

    @property
    def is_published(self) -> bool:
        """Whether learners see it."""
        return self.status is CourseStatus.PUBLISHED

    @property
    def surveys(self) -> frozenset[str]:
        """Ids of the slides that are surveys."""
        slides = (slide for lesson in self.lessons for slide in lesson.slides)
        return frozenset(slide.id for slide in slides if slide.kind is SlideKind.SURVEY)


@frozen
class Assigned:
    """To whom a course is assigned (R10), each with the moment since when."""

    users: dict[str, datetime]
    groups: dict[str, datetime]
    sites: dict[str, datetime]
    universal: datetime | None = None
    """Everyone in the organisation, since then."""

    def since(self, person: Person) -> datetime | None:
        """R10: since when somebody is assigned, by whichever way came first; None if in no way."""
        if not person.can_learn:
            return None
        ways = [self.users.get(person.id), self.universal]
        ways += [self.groups.get(group) for group in person.groups]
        ways += [self.sites.get(site) for site in person.sites]
        return min((since for since in ways if since is not None), default=None)

    @staticmethod
    def nobody() -> Assigned:
        """A course that is assigned to nobody."""
        return Assigned({}, {}, {})


@frozen
class CourseList:
    """Courses under one title: in order as a learning path, in no order of meaning as a collection."""

    id: str
    title: str
    course_ids: tuple[str, ...] = ()
    is_published: bool = True
    assigned: Assigned = field(factory=Assigned.nobody)
