"""Analytics of courses, lessons, slides and surveys: statistics, progress of users, and their answers.

The paths are published, the shapes are assumed. On a live service all figures are up to 2 h old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import TypeVar

from attrs import field, frozen

from training_sdk._core import urls
from training_sdk._core.argument_checks import one_id, optional_id, optional_ids
from training_sdk._core.listing import Calls, Filter, Paginator
from training_sdk._core.model import Model, OpenEnum, may_omit
from training_sdk._core.operation import Bound, D, listing
from training_sdk.api import pagination
from training_sdk.api.rapid_refreshes import RapidRefreshAnswer


@frozen
class CourseStatistics(Model):
    """Figures of a course (shape assumed). ``completion_percent`` and ``average_score`` are 0–100."""

    course_id: str
    total_users: int = field(metadata=may_omit(0))
    completed_count: int = field(metadata=may_omit(0))
    opened_count: int | None = None
    completion_percent: float | None = None
    average_score: float | None = None
    course_title: str | None = None


@frozen
class LessonProgress(Model):
    """The progress of one user in one lesson (shape assumed). ``percentage_completed`` is 0–100."""

    course_id: str
    lesson_id: str
    lesson_title: str | None = None
    opened: bool = False
    opened_date_time: datetime | None = None
    completed: bool = False
    completed_date_time: datetime | None = None
    percentage_completed: float = 0.0
    score: float | None = None


@frozen
class LessonAttempt(Model):
    """One attempt at a lesson (shape assumed). ``id`` is None if the service has none."""

    id: str | None = field(metadata=may_omit(None))
    user_id: str
    course_id: str
    lesson_id: str
    started_date_time: datetime | None = None
    completed_date_time: datetime | None = None
    score: float | None = None
    success: bool | None = None


@frozen
class LessonStatistics(Model):
    """Figures of a lesson (shape assumed).

    ``completion_percent`` and ``average_score`` are 0–100; the score is the mean over the users who opened it.
    """

    course_id: str
    lesson_id: str
    total_users: int = field(metadata=may_omit(0))
    completed_count: int = field(metadata=may_omit(0))
    opened_count: int | None = None
    completion_percent: float | None = None
    average_score: float | None = None
    lesson_title: str | None = None


class LessonEventType(OpenEnum):
    """The kind of a lesson event."""

    OPENED = "opened"
    COMPLETED = "completed"


@frozen
class LessonEvent(Model):
    """The opening or completion of a lesson by a user (shape assumed)."""

    user_id: str
    course_id: str
    lesson_id: str
    event_type: LessonEventType | None = field(metadata=may_omit(None))
    event_date_time: datetime | None = field(metadata=may_omit(None))
    lesson_title: str | None = None


class SlideType(OpenEnum):
    """The kind of a slide."""

    CONTENT = "content"
    QUESTION = "question"
    SURVEY = "survey"


@frozen
class SlideStatistics(Model):
    """The numbers of users who viewed a slide, answered it, and answered it correctly (shape assumed)."""

    course_id: str
    lesson_id: str
    slide_id: str
    viewed_count: int = field(metadata=may_omit(0))
    answered_count: int | None = None
    correct_count: int | None = None
    slide_title: str | None = None
    slide_type: SlideType | None = None


@frozen
class SlideProgress(Model):
    """The progress of one user in one slide (shape assumed). ``correct`` is about the answer to a question."""

    course_id: str
    lesson_id: str
    slide_id: str
    slide_title: str | None = None
    slide_type: SlideType | None = None
    viewed: bool = False
    viewed_date_time: datetime | None = None
    answered: bool = False
    correct: bool | None = None


class SurveyAnswerType(OpenEnum):
    """The kind of answer to a survey question: free text, or one of its options."""

    TEXT = "text"
    CHOICE = "choice"


@frozen
class SurveyQuestion(Model):
    """A survey question of a lesson (shape assumed). ``options`` is empty if the answer is free text."""

    id: str
    course_id: str
    lesson_id: str
    question: str = field(metadata=may_omit(""))
    answer_type: SurveyAnswerType | None = None
    options: tuple[str, ...] = ()


@frozen
class SurveyAnswer(Model):
    """The answer of one user to a survey question (shape assumed). A course reset clears it (assumed)."""

    question_id: str
    user_id: str
    course_id: str
    lesson_id: str
    answer: str = field(metadata=may_omit(""))
    answered_date_time: datetime | None = None


_PATH = "/training/analytics/v1"

R = TypeVar("R")


class Analytics(Bound[D]):
    """``client.analytics``"""

    @listing
    def course_statistics(self, *, course_ids: Iterable[str] | None = None) -> Paginator[CourseStatistics]:
        """List statistics of courses: numbers of users, opened and completed, percent, average score.

        ``course_ids`` are the ids of the courses; None lists all, and an empty list is an error. Raises
        PermissionDeniedError if the token's user lacks the permission "Training: Administration", or "Training: Manage
        teams", with which the figures are those of the user's teams. On a live service the figures are up to 2 h old.

        REST: ``GET /training/analytics/v1/courses/statistics``, with ``courseId`` for one course; several courses are
        selected from all (path and parameters published, shape assumed).
        """
        return statistics(self._calls, optional_ids(course_ids, "course_ids"))

    @listing
    def lesson_progress(self, user_id: str, *, course_id: str | None = None) -> Paginator[LessonProgress]:
        """List the progress of a user in the lessons of all their courses, or of one course.

        On a live service the data is up to 2 h old.

        REST: ``GET /training/analytics/v1/users/{userId}/lessons/progress`` (path published, shape assumed).
        """
        return lessons_of_user(self._calls, one_id(user_id, "user_id"), optional_id(course_id, "course_id"))

    @listing
    def attempts(
        self, *, course_id: str | None = None, user_id: str | None = None
    ) -> Paginator[LessonAttempt]:
        """List attempts at lessons: of one course, one user, both, or all that the token can see.

        On a live service the data is up to 2 h old.

        REST: ``GET /training/analytics/v1/lessons/attempts`` (path published, shape assumed).
        """
        course, user = optional_id(course_id, "course_id"), optional_id(user_id, "user_id")
        return lesson_attempts(self._calls, course_id=course, user_id=user)

    @listing
    def lesson_statistics(self, *, course_id: str | None = None) -> Paginator[LessonStatistics]:
        """List statistics of the lessons of one course or of all courses, with the figures of ``course_statistics``.

        Permissions as for ``course_statistics``. On a live service the figures are up to 2 h old.

        REST: ``GET /training/analytics/v1/lessons/statistics`` (path published, shape assumed).
        """
        return lesson_figures(self._calls, optional_id(course_id, "course_id"))

    @listing
    def lesson_events(
        self, *, user_id: str | None = None, course_id: str | None = None
    ) -> Paginator[LessonEvent]:
        """List the times at which users opened and completed lessons: of one user, one course, both, or all.

        The order is by course, user and lesson, not by time (assumed). On a live service the data is up to 2 h old.

        REST: ``GET /training/analytics/v1/lessons/progress/events`` (path published, shape assumed).
        """
        course, user = optional_id(course_id, "course_id"), optional_id(user_id, "user_id")
        return lesson_events(self._calls, course_id=course, user_id=user)

    @listing
    def user_lesson_events(self, user_id: str, *, course_id: str | None = None) -> Paginator[LessonEvent]:
        """List the times at which a user opened and completed lessons of all their courses, or of one course.

        Raises NotFoundError if there is no such user or this token cannot see them. On a live service the data is up to
        2 h old.

        REST: ``GET /training/analytics/v1/users/{userId}/lessons/progress/events`` (path published, shape assumed).
        """
        user, course = one_id(user_id, "user_id"), optional_id(course_id, "course_id")
        path = urls.path("/users/{id}/lessons/progress/events", id=user)
        of_user: tuple[Filter[LessonEvent], ...] = pagination.only(
            "user_id", user, lambda event: event.user_id
        )
        return _rows(self._calls, path, LessonEvent, course, of_user=of_user)

    @listing
    def slide_statistics(self, *, course_id: str | None = None) -> Paginator[SlideStatistics]:
        """List the numbers of users who viewed and answered each slide of one course or of all courses.

        Permissions as for ``course_statistics``. On a live service the figures are up to 2 h old.

        REST: ``GET /training/analytics/v1/slides/statistics`` (path published, shape assumed).
        """
        course = optional_id(course_id, "course_id")
        return _rows(self._calls, "/slides/statistics", SlideStatistics, course)

    @listing
    def user_slides(self, user_id: str, *, course_id: str | None = None) -> Paginator[SlideProgress]:
        """List the progress of a user in each slide of the courses assigned to them, also in slides not viewed.

        Raises NotFoundError if there is no such user or this token cannot see them. On a live service the data is up to
        2 h old.

        REST: ``GET /training/analytics/v1/users/{userId}/slides/statistics`` (path published, shape assumed).
        """
        user, course = one_id(user_id, "user_id"), optional_id(course_id, "course_id")
        path = urls.path("/users/{id}/slides/statistics", id=user)
        return _rows(self._calls, path, SlideProgress, course)

    @listing
    def survey_questions(self, *, course_id: str | None = None) -> Paginator[SurveyQuestion]:
        """List the survey questions of one course or of all courses.

        Permissions as for ``course_statistics``.

        REST: ``GET /training/analytics/v1/surveys/questionDefinitions`` (path published, shape assumed).
        """
        course = optional_id(course_id, "course_id")
        return _rows(self._calls, "/surveys/questionDefinitions", SurveyQuestion, course)

    @listing
    def survey_answers(
        self, *, user_id: str | None = None, course_id: str | None = None
    ) -> Paginator[SurveyAnswer]:
        """List answers to survey questions: of one user, one course, both, or all that the token can see.

        A reset of the course clears its answers (assumed). On a live service the data is up to 2 h old.

        REST: ``GET /training/analytics/v1/surveys/answers`` (path published, shape assumed).
        """
        course, user = optional_id(course_id, "course_id"), optional_id(user_id, "user_id")
        return survey_answers(self._calls, course_id=course, user_id=user)

    @listing
    def rapid_refresh_answers(self, *, user_id: str | None = None) -> Paginator[RapidRefreshAnswer]:
        """List answers to rapid refreshes of one user or of all users.

        A course reset does not change them (assumed). Permissions as for ``course_statistics``. On a live service the
        data is up to 2 h old.

        REST: ``GET /training/analytics/v1/rapidRefresh/answers`` (path published, shape assumed).
        """
        user = optional_id(user_id, "user_id")
        return _rows(self._calls, "/rapidRefresh/answers", RapidRefreshAnswer, user_id=user)


def _rows(
    calls: Calls,
    path: str,
    row: type[R],
    course_id: str | None = None,
    user_id: str | None = None,
    *,
    of_user: tuple[Filter[R], ...] = (),
    identify: Callable[[R], object] | None = None,
) -> Paginator[R]:
    """Return the rows of one course or of all, and of one user or of all; ``of_user`` checks the user of a path."""
    return pagination.numbered_pages(
        calls,
        _PATH + path,
        row,
        queries=[(("courseId", course_id), ("userId", user_id))],
        filters=(
            *of_user,
            *pagination.only("courseId", course_id, attrgetter("course_id")),
            *pagination.only("userId", user_id, attrgetter("user_id")),
        ),
        identify=identify,
    )


def lessons_of_user(calls: Calls, user_id: str, course_id: str | None) -> Paginator[LessonProgress]:
    """Return the rows of ``lesson_progress``, for evidence as well."""
    path = urls.path("/users/{id}/lessons/progress", id=user_id)
    return _rows(
        calls, path, LessonProgress, course_id, identify=lambda found: (found.course_id, found.lesson_id)
    )


def lesson_attempts(
    calls: Calls, *, course_id: str | None = None, user_id: str | None = None
) -> Paginator[LessonAttempt]:
    """Return the rows of ``attempts``, for evidence as well."""
    return _rows(calls, "/lessons/attempts", LessonAttempt, course_id, user_id, identify=_identity_of_attempt)


def _identity_of_attempt(found: LessonAttempt) -> object:
    """Return the identity of an attempt that has an id, which may be a number within user and lesson."""
    return found.id and (found.id, found.user_id, found.course_id, found.lesson_id)


def lesson_events(
    calls: Calls, *, course_id: str | None = None, user_id: str | None = None
) -> Paginator[LessonEvent]:
    """Return the rows of ``lesson_events``, for evidence as well."""
    return _rows(calls, "/lessons/progress/events", LessonEvent, course_id, user_id)


def lesson_figures(calls: Calls, course_id: str | None) -> Paginator[LessonStatistics]:
    """Return the rows of ``lesson_statistics``, for evidence as well."""
    return _rows(calls, "/lessons/statistics", LessonStatistics, course_id)


def survey_answers(
    calls: Calls, *, course_id: str | None = None, user_id: str | None = None
) -> Paginator[SurveyAnswer]:
    """Return the rows of ``survey_answers``, for evidence as well."""
    return _rows(calls, "/surveys/answers", SurveyAnswer, course_id, user_id)


def statistics(calls: Calls, course_ids: Sequence[str] | None) -> Paginator[CourseStatistics]:
    """Return the rows of ``course_statistics``, for planning a reset and for evidence as well.

    The published parameter names one course, so several are picked from the statistics of all courses.
    """
    single = course_ids[0] if course_ids is not None and len(course_ids) == 1 else None
    wanted = None if course_ids is None else frozenset(course_ids)
    return pagination.numbered_pages(
        calls,
        f"{_PATH}/courses/statistics",
        CourseStatistics,
        queries=[(("courseId", single),)],
        filters=pagination.only("courseId", single, lambda found: found.course_id),
        keep=lambda found, _: wanted is None or found.course_id in wanted,
        identify=lambda found: found.course_id,
        named=() if wanted is None else (wanted,),
    )
