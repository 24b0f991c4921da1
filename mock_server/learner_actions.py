"""Actions of learners in a world. Each opens the course (R09), may complete it (R19) and may be too late (R22)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import define, evolve, frozen

from mock_server.policy import Behaviour
from mock_server.rules import completion, reset
from mock_server.rules.completion import (
    completed,
    lessons_of,
    opened,
    with_course_figures,
    with_lesson,
    with_slides,
    with_survey,
)
from mock_server.world import clock
from mock_server.world.clock import within
from mock_server.world.courses import LessonKind, SlideKind
from mock_server.world.progress import AssessmentSubmission, Attempt, DiscussionPost, HandIn, Record
from mock_server.world.world import Ids, World

if TYPE_CHECKING:
    from mock_server.policy import Policy
    from mock_server.world.courses import Course, Lesson, Slide
    from mock_server.world.organisation import Organisation
    from mock_server.world.people import Person
    from mock_server.world.progress import CourseProgress


class NotAssignedError(Exception):
    """The course is not assigned to this person."""


class LateWriteError(Exception):
    """A learner's action was made before their progress was reset. Nothing was written."""


@frozen
class LearnerContext:
    """Context of a learner's action: one person in one course at one moment."""

    world: World
    organisation: Organisation
    course: Course
    person: Person
    at: datetime

    @property
    def ids(self) -> Ids:
        """Source of ids."""
        return self.world.ids

    @property
    def lessons(self) -> tuple[Lesson, ...]:
        """Lessons that count for this person."""
        enrolment = self.organisation.progress[self.course.id].enrolments.get(self.person.id)
        return lessons_of(self.course, enrolment)

    def lesson(self, wanted: str | None, kind: LessonKind | None = None) -> Lesson:
        """Return the lesson with this id or title, or else the first one of its kind. Raises LookupError."""
        for lesson in self.lessons:
            if wanted in {lesson.id, lesson.title} or (wanted is None and lesson.kind is kind):
                return lesson
        named = f"of the kind {kind}" if wanted is None else repr(wanted)
        raise LookupError(f"The course {self.course.title!r} has no lesson {named}.")

    def survey(self, wanted: str | None) -> tuple[Lesson, Slide]:
        """Return the survey with this id or question, or else the first one, and its lesson. Raises LookupError."""
        for lesson in self.lessons:
            for slide in lesson.slides:
                if slide.kind is SlideKind.SURVEY and (wanted is None or wanted in {slide.id, slide.title}):
                    return lesson, slide
        raise LookupError(
            f"The course {self.course.title!r} has no survey{f' {wanted!r}' if wanted else ''}."
        )


def check_late_write(policy: Policy, progress: CourseProgress, user_id: str, made_at: datetime) -> None:
    """R22: refuse an action made before the last reset, unless the policy accepts it."""
    reset_at = progress.reset_at.get(user_id)
    if policy.late_writes == "refused" and reset_at is not None and made_at < reset_at:
        raise LateWriteError(
            f"The action was made at {made_at.isoformat()}, before the reset at {reset_at.isoformat()}, so it was "
            'refused (R22). Accept such actions with Policy(late_writes="accepted").'
        )


def write(desk: LearnerContext, change: Callable[[Record], Record]) -> Record:
    """Apply an action to the record, with all its consequences; on an error nothing changes."""
    progress, user_id = desk.organisation.progress[desk.course.id], desk.person.id
    if not progress.has(user_id):
        raise NotAssignedError(f"{desk.course.title!r} is not assigned to {desk.person.email or user_id}.")
    check_late_write(desk.world.policy, progress, user_id, desk.at)
    before = progress.records.get(user_id)
    record = opened(before, desk.at, desk.world.clock.now())
    if Behaviour.UPDATES_OPENED_AT in desk.world.policy.emulates:
        record = evolve(record, opened_at=clock.to_text(desk.at))
    changed = change(record)
    after = with_course_figures(changed, desk.course, desk.lessons, desk.at)
    progress.put(user_id, after)
    if after.completed_at and not (before and before.completed_at):
        completion.issue_certificate(desk.world, desk.organisation, desk.course, user_id)
    return after


def tried(desk: LearnerContext, record: Record, lesson: Lesson, score: int, seconds: int) -> Record:
    """Add an attempt at a lesson; it completes the lesson if the score reaches the minimum."""
    success = score >= lesson.minimum_score
    at = clock.to_text(desk.at)
    attempt = Attempt(desk.ids.uuid("attempt"), lesson.id, at, at, score, success)
    record = evolve(
        record,
        attempts=(*record.attempts, attempt),
        time_spent_seconds=record.time_spent_seconds + seconds,
    )
    if not success:
        record = with_slides(record, lesson, desk.at, right=False)
    return with_lesson(record, lesson, desk.at, done=success, score=score)


def submitted(
    desk: LearnerContext, record: Record, lesson: Lesson, mark: int | None, signed_off_by: str
) -> Record:
    """Add a practical assessment; it completes the lesson if it is signed off with a sufficient mark."""
    at = clock.to_text(desk.at)
    submission = AssessmentSubmission(
        desk.ids.uuid("submission"), lesson.id, at, mark, signed_off_by, at if signed_off_by else ""
    )
    passed = bool(signed_off_by) and (mark is None or mark >= lesson.minimum_score)
    record = evolve(record, submissions=(*record.submissions, submission))
    return with_lesson(record, lesson, desk.at, done=passed, score=mark or 0)


def posted(desk: LearnerContext, record: Record, lesson: Lesson | None, text: str) -> Record:
    """Add a post to a discussion lesson, which completes it, or to the course."""
    where = lesson.id if lesson else ""
    post = DiscussionPost(desk.ids.uuid("post"), where, clock.to_text(desk.at), text)
    record = evolve(record, posts=(*record.posts, post))
    return with_lesson(record, lesson, desk.at, done=True, score=0) if lesson else record


def handed_in(
    desk: LearnerContext, record: Record, lesson: Lesson, file_name: str, mark: int | None
) -> Record:
    """Add an assignment handed in; it completes its lesson."""
    hand_in = HandIn(desk.ids.uuid("hand-in"), lesson.id, clock.to_text(desk.at), file_name, mark)
    record = evolve(record, hand_ins=(*record.hand_ins, hand_in))
    return with_lesson(record, lesson, desk.at, done=True, score=mark or 0)


def surveyed(desk: LearnerContext, record: Record, question: str | None, answer: str) -> Record:
    """Answer a survey. Raises ValueError for an empty answer or one that is no option."""
    lesson, slide = desk.survey(question)
    if not answer or (slide.options and answer not in slide.options):
        options = f"one of {', '.join(slide.options)}" if slide.options else "some text"
        raise ValueError(f"The answer to {slide.title!r} must be {options}, not {answer!r}.")
    return with_survey(record, lesson, slide, desk.at, answer)


def done(desk: LearnerContext, record: Record, lesson: Lesson, score: int, seconds: int) -> Record:
    """Complete a lesson according to its kind."""
    match lesson.kind:
        case LessonKind.ASSESSMENT:
            return submitted(desk, record, lesson, max(score, lesson.minimum_score), "assessor")
        case LessonKind.DISCUSSION:
            return posted(desk, record, lesson, "Done.")
        case LessonKind.ASSIGNMENT:
            return handed_in(desk, record, lesson, "assignment.pdf", None)
        case _:
            return tried(desk, record, lesson, max(score, lesson.minimum_score), seconds)


def all_done(
    desk: LearnerContext, record: Record, lessons: Sequence[Lesson], score: int, seconds: int
) -> Record:
    """Complete all lessons that are not complete, and the course."""
    for lesson in lessons:
        progress = record.lesson(lesson.id)
        if progress is None or not progress.completed_at:
            record = done(desk, record, lesson, score, seconds)
    return completed(record, desk.course, desk.at)


Change = Callable[[LearnerContext, Record], Record]


@define(eq=False, repr=False)
class LiveWorld(World):
    """The state of a world with the actions of its learners, `mock.world`.

    Every action returns the record of the user in the course after the action. Arguments of all actions:

    - ``course``: Id or title of a course.
    - ``user``: Id or e-mail address of a user.
    - ``made_at``: The moment of the action, with a time zone, in the years 1970 to 8999. The default is now. It may be
      earlier than now, as for a device that was offline.

    Raises, with nothing changed:

    - LookupError: The course, user or lesson does not exist.
    - `NotAssignedError`: The course is not assigned to the user.
    - `LateWriteError`: The progress of the user was reset after ``made_at`` (R22).
    - ValueError: A value is out of range.
    """

    def open(self, course: str, user: str, *, made_at: datetime | None = None) -> Record:
        """Open a course."""
        return self._act(course, user, made_at, lambda _, record: record)

    def complete_lesson(
        self,
        course: str,
        user: str,
        lesson: str,
        *,
        score: int = 100,
        seconds: int = 300,
        made_at: datetime | None = None,
    ) -> Record:
        """Attempt a lesson. It is completed if the score reaches its minimum.

        - ``lesson``: Id or title of a lesson.
        - ``score``: The score in percent, 0 to 100.
        - ``seconds``: The duration in seconds.
        """
        _percent("score", score)
        _percent("seconds", seconds, 10**9)
        return self._act(
            course,
            user,
            made_at,
            lambda desk, record: tried(desk, record, desk.lesson(lesson), score, seconds),
        )

    def complete_course(
        self, course: str, user: str, *, score: int = 100, made_at: datetime | None = None
    ) -> Record:
        """Complete all open lessons of a course, and so the course. ``score`` is in percent, 0 to 100."""
        _percent("score", score)
        return self._act(
            course,
            user,
            made_at,
            lambda desk, record: all_done(desk, record, desk.lessons, score, seconds=300),
        )

    def submit_assessment(
        self,
        course: str,
        user: str,
        lesson: str | None = None,
        *,
        mark: int | None = None,
        signed_off_by: str = "",
        made_at: datetime | None = None,
    ) -> Record:
        """Submit a practical assessment. It completes its lesson if it is signed off with a sufficient mark.

        - ``lesson``: Id or title of a lesson. The default is the first practical assessment.
        - ``mark``: The mark in percent, 0 to 100; None for no mark yet.
        - ``signed_off_by``: The name of the assessor; "" for no sign-off yet.
        """
        if mark is not None:
            _percent("mark", mark)
        return self._act(
            course,
            user,
            made_at,
            lambda desk, record: submitted(
                desk, record, desk.lesson(lesson, LessonKind.ASSESSMENT), mark, signed_off_by
            ),
        )

    def post_to_discussion(
        self,
        course: str,
        user: str,
        text: str = "",
        *,
        lesson: str | None = None,
        made_at: datetime | None = None,
    ) -> Record:
        """Post to a discussion lesson, or to the course if it has no discussion lesson.

        - ``text``: The text of the post.
        - ``lesson``: Id or title of a lesson. The default is the first discussion lesson.
        """

        def change(desk: LearnerContext, record: Record) -> Record:
            has_one = any(each.kind is LessonKind.DISCUSSION for each in desk.lessons)
            where = desk.lesson(lesson, LessonKind.DISCUSSION) if lesson or has_one else None
            return posted(desk, record, where, text)

        return self._act(course, user, made_at, change)

    def hand_in_assignment(
        self,
        course: str,
        user: str,
        lesson: str | None = None,
        *,
        file_name: str = "assignment.pdf",
        mark: int | None = None,
        made_at: datetime | None = None,
    ) -> Record:
        """Hand in an assignment. It completes its lesson.

        - ``lesson``: Id or title of a lesson. The default is the first assignment.
        - ``file_name``: The name of the file that is handed in.
        - ``mark``: The mark in percent, 0 to 100; None for no mark.
        """
        if mark is not None:
            _percent("mark", mark)
        return self._act(
            course,
            user,
            made_at,
            lambda desk, record: handed_in(
                desk, record, desk.lesson(lesson, LessonKind.ASSIGNMENT), file_name, mark
            ),
        )

    def answer_survey(
        self,
        course: str,
        user: str,
        answer: str,
        *,
        question: str | None = None,
        made_at: datetime | None = None,
    ) -> Record:
        """Answer a survey of a course. A later answer replaces an earlier one.

        - ``answer``: One of the options, or text if the survey has no options. It must not be empty.
        - ``question``: Id or question of the survey. The default is the first survey.
        """
        return self._act(
            course,
            user,
            made_at,
            lambda desk, record: surveyed(desk, record, question, answer),
        )

    def _run_due_resets(self) -> None:
        reset.run_due_resets(self)

    def _act(self, course: str, user: str, made_at: datetime | None, change: Change) -> Record:
        """Let a learner's action change their record, under the world's lock."""
        with self.up_to_date():
            at = self.clock.now() if made_at is None else within(made_at, "made_at")
            desk = LearnerContext(self, self.main, self.course(course), self.user(user), at)
            return write(desk, lambda record: change(desk, record))


def _percent(name: str, value: int, most: int = 100) -> None:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 0 to {most}, not {value!r}.")
