"""Courses, lessons and slides, learning paths and collections, rapid refreshes, leaderboards."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from attrs import define, evolve, field, frozen
from attrs.validators import ge, le

from mock_server.world import clock
from mock_server.world.people import Person


class SlideKind(StrEnum):
    """Kind of a slide; the values are the wire's ``slideType``."""

    CONTENT = "content"
    QUESTION = "question"
    SURVEY = "survey"


@frozen
class Slide:
    """One page of a lesson. Raises ValueError for a question without two options, the right one among them."""

    id: str
    title: str
    """Text of the question, for a question or a survey."""
    kind: SlideKind = SlideKind.CONTENT
    options: tuple[str, ...] = ()
    """Options to choose from; a survey without options takes text."""
    right: str = ""
    """The right option of a question; no answer shows it."""

    def __attrs_post_init__(self) -> None:
        is_question = self.kind is SlideKind.QUESTION
        if is_question and (len(set(self.options)) < 2 or self.right not in self.options):
            raise ValueError(
                f"The question {self.title!r} needs at least two options, and the right one must be among them."
            )


@frozen
class SlideProgress:
    """The views and the answer of one user on one slide; absent for a slide that was never viewed."""

    slide_id: str
    viewed_at: str
    answer: str = ""
    answered_at: str = ""
    """"" if nothing was answered."""
    correct: bool | None = None
    """Result of an answered question; None for a survey, which has no right answer."""


def with_slides_done(
    before: tuple[SlideProgress, ...], slides: Iterable[Slide], at: str, *, right: bool | None
) -> tuple[SlideProgress, ...]:
    """Return progress with all of these slides viewed and their questions answered right, wrong or (None) not at all.

    A right answer stays. Surveys are not answered.
    """
    after = {each.slide_id: each for each in before}
    for slide in slides:
        seen = after.get(slide.id) or SlideProgress(slide.id, at)
        if slide.kind is SlideKind.QUESTION and right is not None and not seen.correct:
            answer = slide.right if right else next(each for each in slide.options if each != slide.right)
            seen = evolve(seen, answer=answer, answered_at=at, correct=right)
        after[slide.id] = seen
    return tuple(after.values())


def with_survey_answer(
    before: tuple[SlideProgress, ...], slide: Slide, at: str, answer: str
) -> tuple[SlideProgress, ...]:
    """Return progress with a survey answered; a new answer replaces an earlier one."""
    after = {each.slide_id: each for each in before}
    seen = after.get(slide.id) or SlideProgress(slide.id, at)
    after[slide.id] = evolve(seen, answer=answer, answered_at=at)
    return tuple(after.values())


MOST_DAYS = 36_500
"""The longest due period of a course, in days: a date that far ahead can still be written."""
MOST_MONTHS = 1200
"""The longest validity of a completion, in months."""


class CourseStatus(StrEnum):
    """Publication status of a course."""

    DRAFT = "Draft"
    SCHEDULED = "Scheduled"
    PUBLISHED = "Published"
    ARCHIVED = "Archived"


class LessonKind(StrEnum):
    """Kind of a lesson."""

    CONTENT = "content"
    QUIZ = "quiz"
    ASSESSMENT = "practical assessment"
    DISCUSSION = "discussion"
    ASSIGNMENT = "assignment"


class DueKind(StrEnum):
    """Kind of a course's due date; the values are the wire's ``dueBy``."""

    NONE = "notSpecified"
    STATIC = "static"
    RELATIVE = "relative"


@frozen
class Due:
    """Due date of a course: none, a date, or a number of days after the assignment."""

    kind: DueKind = DueKind.NONE
    at: str = ""
    days: int = field(default=0, validator=[ge(0), le(MOST_DAYS)])

    def date_for(self, assigned_at: datetime) -> str:
        """Return the due date of a user assigned at a moment, "" for none."""
        if self.kind is DueKind.RELATIVE:
            return clock.to_text(assigned_at + timedelta(days=self.days))
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
    """True if a completion issues a certificate (R19)."""
    completion_expires_months: int = field(default=0, validator=[ge(0), le(MOST_MONTHS)])
    """Months until a completion expires, at most 1200; 0 for never."""
    thumbnail_url: str = ""
    logo_url: str = ""
    branding_image_url: str = ""
    translation_of: str = ""
    """Id of the course that this one translates."""
    published_version: int = 0

    @property
    def is_published(self) -> bool:
        """True if learners see it."""
        return self.status is CourseStatus.PUBLISHED

    @property
    def surveys(self) -> frozenset[str]:
        """Ids of the slides that are surveys."""
        slides = (slide for lesson in self.lessons for slide in lesson.slides)
        return frozenset(slide.id for slide in slides if slide.kind is SlideKind.SURVEY)


@frozen
class Assigned:
    """Assignments of a course (R10), each with its moment."""

    users: dict[str, datetime]
    groups: dict[str, datetime]
    sites: dict[str, datetime]
    universal: datetime | None = None
    """Moment since when everyone in the organisation is assigned."""

    def since(self, person: Person) -> datetime | None:
        """R10: return the moment since when a person is assigned, the earliest of all ways; None if not assigned."""
        if not person.can_learn:
            return None
        ways = [self.users.get(person.id), self.universal]
        ways += [self.groups.get(group) for group in person.groups]
        ways += [self.sites.get(site) for site in person.sites]
        return min((since for since in ways if since is not None), default=None)

    @staticmethod
    def nobody() -> Assigned:
        """Return assignments of a course that no user is assigned to."""
        return Assigned({}, {}, {})

    def copy(self) -> Assigned:
        """Return the same assignments in dictionaries of their own."""
        return Assigned(self.users.copy(), self.groups.copy(), self.sites.copy(), self.universal)


@frozen
class CourseList:
    """Courses under one title: a learning path, which has an order, or a collection."""

    id: str
    title: str
    course_ids: tuple[str, ...] = ()
    is_published: bool = True
    assigned: Assigned = field(factory=Assigned.nobody)

    def copy(self) -> CourseList:
        """Return the same list with assignments of its own."""
        return CourseList(self.id, self.title, self.course_ids, self.is_published, self.assigned.copy())


@frozen
class RefreshQuestion:
    """One question. Raises ValueError without two options, the right one among them."""

    id: str
    question: str
    options: tuple[str, ...]
    right: str
    """No answer shows it."""

    def __attrs_post_init__(self) -> None:
        if len(set(self.options)) < 2 or self.right not in self.options:
            raise ValueError(
                f"The question {self.question!r} needs at least two options, and the right one must be among them."
            )


@frozen
class RapidRefresh:
    """A quiz of the organisation; learners see it if it is published and assigned to them."""

    id: str
    title: str
    created_at: str
    questions: tuple[RefreshQuestion, ...] = ()
    is_published: bool = True
    assigned: Assigned = field(factory=Assigned.nobody)

    def copy(self) -> RapidRefresh:
        """Return the same quiz with assignments of its own."""
        mine = self.assigned.copy()
        return RapidRefresh(self.id, self.title, self.created_at, self.questions, self.is_published, mine)

    def question(self, wanted: str | None) -> RefreshQuestion:
        """Return the question with this id or text, by default the first one. Raises LookupError if there is none."""
        for each in self.questions:
            if wanted is None or wanted in {each.id, each.question}:
                return each
        raise LookupError(
            f"The rapid refresh {self.title!r} has no question{f' {wanted!r}' if wanted else ''}."
        )


@frozen
class RefreshAnswer:
    """One answer of a user; a question may be answered again later."""

    refresh_id: str
    question_id: str
    user_id: str
    answer: str
    correct: bool
    answered_at: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Unique key, by which answers are sorted."""
        return self.refresh_id, self.user_id, self.answered_at, self.question_id


@define(eq=False)
class RefreshAnswers:
    """All answers of an organisation, sorted by refresh, user and time."""

    rows: list[RefreshAnswer] = field(factory=list)

    @classmethod
    def of(cls, answers: Iterable[RefreshAnswer]) -> RefreshAnswers:
        """Return answers in order."""
        return cls(sorted(answers, key=lambda each: each.key))

    def add(self, answer: RefreshAnswer) -> None:
        """Add an answer; it replaces one to the same question at the same moment."""
        at = bisect_left(self.rows, answer.key, key=lambda each: each.key)
        is_there = at < len(self.rows) and self.rows[at].key == answer.key
        self.rows[at : at + is_there] = [answer]

    def of_users(self, refreshes: Iterable[str], users: Sequence[str]) -> list[RefreshAnswer]:
        """Return answers of some users in some refreshes; both must be sorted."""
        return [each for refresh in refreshes for user in users for each in self._of(refresh, user)]

    def _of(self, refresh_id: str, user_id: str) -> list[RefreshAnswer]:
        whose = (refresh_id, user_id)
        first = bisect_left(self.rows, whose, key=lambda each: each.key[:2])
        return self.rows[first : bisect_right(self.rows, whose, lo=first, key=lambda each: each.key[:2])]
