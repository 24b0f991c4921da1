"""The world with learners acting in it: what a person does in a course, recorded as the product would."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from attrs import define

from mock_server.rules import learning, reset
from mock_server.rules.learning import LearnerContext
from mock_server.world.clock import within
from mock_server.world.courses import LessonKind
from mock_server.world.progress import Record
from mock_server.world.world import World

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
            lambda desk, record: learning.tried(desk, record, desk.lesson(lesson), score, seconds),
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
        """Post to a discussion lesson, or to the course if it has no discussion lesson.

        - ``text``: The text of the post.
        - ``lesson``: Id or title of a lesson. The default is the first discussion lesson.
        """

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
        """Answer a survey of a course. A later answer replaces an earlier one.

        - ``answer``: One of the options, or text if the survey has no options. It must not be empty.
        - ``question``: Id or question of the survey. The default is the first survey.
        """
        return self._act(
            course,
            user,
            made_at,
            lambda desk, record: learning.surveyed(desk, record, question, answer),
        )

    def run_due_resets(self) -> None:
        """Carry out queued resets that are due, with the lock held."""
        reset.run_due_resets(self)

    def _act(self, course: str, user: str, made_at: datetime | None, change: Change) -> Record:
        """Let a learner's action change their record, under the world's lock."""
        with self.up_to_date():
            at = self.clock.now() if made_at is None else within(made_at, "made_at")
            desk = LearnerContext(self, self.main, self.course(course), self.user(user), at)
            return learning.write(desk, lambda record: change(desk, record))


def _percent(name: str, value: int, most: int = 100) -> None:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 0 to {most}, not {value!r}.")
