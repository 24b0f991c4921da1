"""What there is to learn: courses, lessons, slides, course lists, rapid refreshes and leaderboards."""

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
    """What a slide asks for; the values are the wire's ``slideType``."""

    CONTENT = "content"
    QUESTION = "question"
    SURVEY = "survey"


@frozen
class Slide:
    """One page of a lesson. ValueError for a question without two options, the right one among them."""

    id: str
    title: str
    """Of a question or a survey, what is asked."""
    kind: SlideKind = SlideKind.CONTENT
    options: tuple[str, ...] = ()
    """What there is to choose from; a survey without any takes text."""
    right: str = ""
    """The option that answers a question; shown to nobody."""

    def __attrs_post_init__(self) -> None:
        is_question = self.kind is SlideKind.QUESTION
        if is_question and (len(set(self.options)) < 2 or self.right not in self.options):
            raise ValueError(
                f"the question {self.title!r} needs two options or more, the right one among them"
            )


@frozen
class SlideProgress:
    """What somebody has seen and answered of one slide; absent for a slide never viewed."""

    slide_id: str
    viewed_at: str
    answer: str = ""
    answered_at: str = ""
    """"" where nothing was answered."""
    correct: bool | None = None
    """Of a question that was answered; a survey has no right answer."""


def with_slides_done(
    before: tuple[SlideProgress, ...], slides: Iterable[Slide], at: str, *, right: bool | None
) -> tuple[SlideProgress, ...]:
    """All of these slides viewed and their questions answered, rightly or not (None: not at all).

    What was right before stays; surveys are left for who has an opinion.
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
    """A survey answered, in the place of an earlier answer."""
    after = {each.slide_id: each for each in before}
    seen = after.get(slide.id) or SlideProgress(slide.id, at)
    after[slide.id] = evolve(seen, answer=answer, answered_at=at)
    return tuple(after.values())


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

    def copy(self) -> Assigned:
        """Return the same assignments in dictionaries of their own."""
        return Assigned(dict(self.users), dict(self.groups), dict(self.sites), self.universal)


@frozen
class CourseList:
    """Courses under one title: in order as a learning path, in no order of meaning as a collection."""

    id: str
    title: str
    course_ids: tuple[str, ...] = ()
    is_published: bool = True
    assigned: Assigned = field(factory=Assigned.nobody)


@frozen
class RefreshQuestion:
    """One question. ValueError without two options, the right one among them."""

    id: str
    question: str
    options: tuple[str, ...]
    right: str
    """Shown to nobody."""

    def __attrs_post_init__(self) -> None:
        if len(set(self.options)) < 2 or self.right not in self.options:
            raise ValueError(f"{self.question!r} needs two options or more, the right one among them")


@frozen
class RapidRefresh:
    """A quiz; learners see it once it is published and assigned to them."""

    id: str
    title: str
    created_at: str
    questions: tuple[RefreshQuestion, ...] = ()
    is_published: bool = True
    assigned: Assigned = field(factory=Assigned.nobody)

    def question(self, wanted: str | None) -> RefreshQuestion:
        """The question with this id or text, or else the first one; LookupError if there is none."""
        for each in self.questions:
            if wanted is None or wanted in {each.id, each.question}:
                return each
        raise LookupError(f"the rapid refresh {self.title!r} has no question {wanted or ''}".rstrip())


@frozen
class RefreshAnswer:
    """One answer of somebody; a question may be answered again later."""

    refresh_id: str
    question_id: str
    user_id: str
    answer: str
    correct: bool
    answered_at: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells it from all others, and puts it in its place."""
        return self.refresh_id, self.user_id, self.answered_at, self.question_id


@define(eq=False)
class RefreshAnswers:
    """All answers of an organisation, by refresh and user, the oldest first."""

    rows: list[RefreshAnswer] = field(factory=list)

    @classmethod
    def of(cls, answers: Iterable[RefreshAnswer]) -> RefreshAnswers:
        """Put them in order."""
        return cls(sorted(answers, key=lambda each: each.key))

    def add(self, answer: RefreshAnswer) -> None:
        """Take an answer in; another to the same question at the same moment is replaced."""
        at = bisect_left(self.rows, answer.key, key=lambda each: each.key)
        is_there = at < len(self.rows) and self.rows[at].key == answer.key
        self.rows[at : at + is_there] = [answer]

    def of_users(self, refreshes: Iterable[str], users: Sequence[str]) -> list[RefreshAnswer]:
        """Those of some users, who must be in order, in these refreshes, which must be too."""
        return [each for refresh in refreshes for user in users for each in self._of(refresh, user)]

    def _of(self, refresh_id: str, user_id: str) -> list[RefreshAnswer]:
        whose = (refresh_id, user_id)
        first = bisect_left(self.rows, whose, key=lambda each: each.key[:2])
        return self.rows[first : bisect_right(self.rows, whose, lo=first, key=lambda each: each.key[:2])]


@frozen
class Leaderboard:
    """A board over some courses. Its dates are shown; points are those that people have now."""

    id: str
    name: str
    start_date: str
    end_date: str
    course_ids: tuple[str, ...] = ()
    learner_access: bool = True
    """Whether learners see it."""


@frozen
class Ranking:
    """Somebody's place on a board."""

    rank: int
    """From 1; those with as many points share one, and the ranks after it are left out."""
    user_id: str
    score: int
    is_not_attempted: bool
    """Nothing is recorded of them in the board's courses."""
