"""The world with learners acting in it: what a person does in a course, recorded as the product would."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from attrs import define

from mock_server.rules import learning, queue
from mock_server.rules.learning import LearnerContext
from mock_server.world.clock import within
from mock_server.world.courses import LessonKind
from mock_server.world.progress import Record
from mock_server.world.world import World

Change = Callable[[LearnerContext, Record], Record]


@define(eq=False, repr=False)
class LiveWorld(World):
    """`mock.world`: the state, and the actions of its learners.

    Every action takes course and user by id, title or e-mail address, and returns the record as it is then.

    ``made_at`` is when the learner did it (default: now), which may be before it arrives (offline device).
    Raises LookupError (no such course, user or lesson), `NotAssignedError`, `LateWriteError` (R22), or ValueError
    for a number out of range or a ``made_at`` without time zone or outside 1970 to 8999; then nothing has changed.
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
        """Attempt a lesson with a score of 0 to 100; one below its minimum leaves it open."""
        _percent("score", score)
        _percent("seconds", seconds, 10**9)
        return self._act(
            course,
            user,
            made_at,
            lambda desk, record: learning.tried(desk, record, desk.lesson(lesson), score, seconds),
        )

    def complete_course(
        self, course: str, user: str, *, score: int = 100, made_at: datetime | None = None
    ) -> Record:
        """Do every lesson that is left, each in the way of its kind, and so complete the course."""
        _percent("score", score)
        return self._act(
            course,
            user,
            made_at,
            lambda desk, record: learning.all_done(desk, record, desk.lessons, score, seconds=300),
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
        """Submit a practical assessment; with a sign-off and a sufficient mark it completes its lesson."""
        if mark is not None:
            _percent("mark", mark)
        return self._act(
            course,
            user,
            made_at,
            lambda desk, record: learning.submitted(
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
        """Post to a discussion lesson, or to the course if no lesson is named and it has no discussion lesson."""

        def change(desk: LearnerContext, record: Record) -> Record:
            has_one = any(each.kind is LessonKind.DISCUSSION for each in desk.lessons)
            where = desk.lesson(lesson, LessonKind.DISCUSSION) if lesson or has_one else None
            return learning.posted(desk, record, where, text)

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
        """Hand in an assignment, which completes its lesson."""
        if mark is not None:
            _percent("mark", mark)
        return self._act(
            course,
            user,
            made_at,
            lambda desk, record: learning.handed_in(
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
        """Answer a survey of a course: the first one, or the one with this id or question. A later answer replaces it.

        ValueError for an answer that is empty or not among the options.
        """
        return self._act(
            course,
            user,
            made_at,
            lambda desk, record: learning.surveyed(desk, record, question, answer),
        )

    def _run_due_resets(self) -> None:
        queue.run_due(self)

    def _act(self, course: str, user: str, made_at: datetime | None, change: Change) -> Record:
        """Let a learner's action change their record, under the world's lock."""
        with self.up_to_date():
            at = self.clock.now() if made_at is None else within(made_at, "made_at")
            desk = LearnerContext(self, self.main, self.course(course), self.user(user), at)
            return learning.write(desk, lambda record: change(desk, record))


def _percent(name: str, value: int, most: int = 100) -> None:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 0 to {most}, not {value!r}.")
