"""Analytics. The paths are published, the shapes are assumed; on a live service the figures are up to 2 h old."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from attrs import field, frozen

from training_sdk._core import argument_checks, urls
from training_sdk._core.listing import Calls, Filter, Paginator, only
from training_sdk._core.model import Model, OpenEnum, may_omit
from training_sdk._core.operation import Bound, D, listing
from training_sdk.api import pagination
from training_sdk.api.rapid_refreshes import RapidRefreshAnswer


@frozen
class CourseStatistics(Model):
    """How a course stands (shape assumed). ``completion_percent`` and ``average_score`` are 0–100."""

    course_id: str
    total_users: int = field(metadata=may_omit(0))
    completed_count: int = field(metadata=may_omit(0))
    opened_count: int | None = None
    completion_percent: float | None = None
    average_score: float | None = None
    course_title: str | None = None


@frozen
class LessonProgress(Model):
    """One person's progress in one lesson (shape assumed). ``percentage_completed`` is 0–100."""

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
    """One try at a lesson (shape assumed). ``id`` is None where the service has none."""

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
    """How a lesson stands (shape assumed).

    ``completion_percent`` and ``average_score`` are 0–100; the score is the mean over those who have opened it.
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
    """What happened to a lesson."""

    OPENED = "opened"
    COMPLETED = "completed"


@frozen
class LessonEvent(Model):
    """Someone opened or completed a lesson (shape assumed)."""

    user_id: str
    course_id: str
    lesson_id: str
    event_type: LessonEventType | None = field(metadata=may_omit(None))
    event_date_time: datetime | None = field(metadata=may_omit(None))
    lesson_title: str | None = None


class SlideType(OpenEnum):
    """What a slide asks of a learner."""

    CONTENT = "content"
    QUESTION = "question"
    SURVEY = "survey"


@frozen
class SlideStatistics(Model):
    """How many people have viewed a slide, answered it, and answered it correctly (shape assumed)."""

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
    """What one person did with one slide (shape assumed). ``correct``: whether a question was answered rightly."""

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


_PATH = "/training/analytics/v1"


class _InCourse(Protocol):
    @property
    def course_id(self) -> str: ...


class _OfUser(_InCourse, Protocol):
    @property
    def user_id(self) -> str: ...


R = TypeVar("R", bound=_InCourse)
U = TypeVar("U", bound=_OfUser)


class Analytics(Bound[D]):
    """``client.analytics``"""

    @listing
    def course_statistics(self, *, course_ids: Iterable[str] | None = None) -> Paginator[CourseStatistics]:
        """List how courses stand: users, opened, completed, percent, average score.

        Needs "Training: Administration", or "Training: Manage teams" for the figures of one's teams; otherwise
        PermissionDeniedError. On a live service the figures are up to 2 h old.

        REST: ``GET /training/analytics/v1/courses/statistics``, with ``courseId`` for one course; several are picked
        from all (path and parameters published, shape assumed).
        """
        return statistics(self._calls, argument_checks.optional_ids(course_ids, "course_ids"))

    @listing
    def lesson_progress(self, user_id: str, *, course_id: str | None = None) -> Paginator[LessonProgress]:
        """List how far someone is in the lessons of their courses, or of one course.

        On a live service up to 2 h old.

        REST: ``GET /training/analytics/v1/users/{userId}/lessons/progress`` (path published, shape assumed).
        """
        return lessons_of_user(
            self._calls,
            argument_checks.one_id(user_id, "user_id"),
            argument_checks.optional_id(course_id, "course_id"),
        )

    @listing
    def attempts(
        self, *, course_id: str | None = None, user_id: str | None = None
    ) -> Paginator[LessonAttempt]:
        """List attempts at lessons, of one course or user, of both, or of everything that the token sees.

        On a live service up to 2 h old.

        REST: ``GET /training/analytics/v1/lessons/attempts`` (path published, shape assumed).
        """
        return lesson_attempts(
            self._calls,
            course_id=argument_checks.optional_id(course_id, "course_id"),
            user_id=argument_checks.optional_id(user_id, "user_id"),
        )

    @listing
    def lesson_statistics(self, *, course_id: str | None = None) -> Paginator[LessonStatistics]:
        """List how lessons stand, of one course or of all: users, opened, completed, percent, average score.

        Rights as for ``course_statistics``. On a live service the figures are up to 2 h old.

        REST: ``GET /training/analytics/v1/lessons/statistics`` (path published, shape assumed).
        """
        course = argument_checks.optional_id(course_id, "course_id")
        return _of_course(self._calls, f"{_PATH}/lessons/statistics", LessonStatistics, course)

    @listing
    def lesson_events(
        self, *, user_id: str | None = None, course_id: str | None = None
    ) -> Paginator[LessonEvent]:
        """List who opened and completed which lesson when, by course, user and lesson, and not by time (assumed).

        Of one user or course, of both, or of everything that the token sees. On a live service up to 2 h old.

        REST: ``GET /training/analytics/v1/lessons/progress/events`` (path published, shape assumed).
        """
        course, user = (
            argument_checks.optional_id(course_id, "course_id"),
            argument_checks.optional_id(user_id, "user_id"),
        )
        return _of_both(self._calls, f"{_PATH}/lessons/progress/events", LessonEvent, course, user)

    @listing
    def user_lesson_events(self, user_id: str, *, course_id: str | None = None) -> Paginator[LessonEvent]:
        """List which lessons someone opened and completed when, of their courses or of one course.

        Raises NotFoundError if there is no such user, or this token may not see them. On a live service up to 2 h old.

        REST: ``GET /training/analytics/v1/users/{userId}/lessons/progress/events`` (path published, shape assumed).
        """
        user: str = argument_checks.one_id(user_id, "user_id")
        course: str | None = argument_checks.optional_id(course_id, "course_id")
        path = urls.path(_PATH + "/users/{id}/lessons/progress/events", id=user)
        filters: tuple[Filter[LessonEvent], ...] = (
            *only("user_id", user, lambda event: event.user_id),
            *only("courseId", course, lambda event: event.course_id),
        )
        return pagination.numbered_pages(
            self._calls,
            path,
            LessonEvent,
            queries=[(("courseId", course),)],
            filters=filters,
        )

    @listing
    def slide_statistics(self, *, course_id: str | None = None) -> Paginator[SlideStatistics]:
        """List how many people viewed and answered each slide, of one course or of all.

        Rights as for ``course_statistics``. On a live service the figures are up to 2 h old.

        REST: ``GET /training/analytics/v1/slides/statistics`` (path published, shape assumed).
        """
        course = argument_checks.optional_id(course_id, "course_id")
        return _of_course(self._calls, f"{_PATH}/slides/statistics", SlideStatistics, course)

    @listing
    def user_slides(self, user_id: str, *, course_id: str | None = None) -> Paginator[SlideProgress]:
        """List what someone did with every slide of the courses assigned to them, also those not viewed.

        Raises NotFoundError if there is no such user, or this token may not see them. On a live service up to 2 h old.

        REST: ``GET /training/analytics/v1/users/{userId}/slides/statistics`` (path published, shape assumed).
        """
        user, course = (
            argument_checks.one_id(user_id, "user_id"),
            argument_checks.optional_id(course_id, "course_id"),
        )
        path = urls.path(_PATH + "/users/{id}/slides/statistics", id=user)
        return _of_course(self._calls, path, SlideProgress, course)

    @listing
    def survey_questions(self, *, course_id: str | None = None) -> Paginator[SurveyQuestion]:
        """List the survey questions of one course or of all.

        Rights as for ``course_statistics``.

        REST: ``GET /training/analytics/v1/surveys/questionDefinitions`` (path published, shape assumed).
        """
        course = argument_checks.optional_id(course_id, "course_id")
        return _of_course(self._calls, f"{_PATH}/surveys/questionDefinitions", SurveyQuestion, course)

    @listing
    def survey_answers(
        self, *, user_id: str | None = None, course_id: str | None = None
    ) -> Paginator[SurveyAnswer]:
        """List what people answered to survey questions, of one user or course, of both, or of all.

        A reset of the course clears its answers (assumed). On a live service up to 2 h old.

        REST: ``GET /training/analytics/v1/surveys/answers`` (path published, shape assumed).
        """
        course, user = (
            argument_checks.optional_id(course_id, "course_id"),
            argument_checks.optional_id(user_id, "user_id"),
        )
        return _of_both(self._calls, f"{_PATH}/surveys/answers", SurveyAnswer, course, user)

    @listing
    def rapid_refresh_answers(self, *, user_id: str | None = None) -> Paginator[RapidRefreshAnswer]:
        """List what people answered to rapid refreshes, or what one person did.

        No course reset touches it (assumed). Rights as for ``course_statistics``. On a live service up to 2 h old.

        REST: ``GET /training/analytics/v1/rapidRefresh/answers`` (path published, shape assumed).
        """
        user = argument_checks.optional_id(user_id, "user_id")
        return pagination.numbered_pages(
            self._calls,
            f"{_PATH}/rapidRefresh/answers",
            RapidRefreshAnswer,
            queries=[(("userId", user),)],
            filters=only("userId", user, lambda answer: answer.user_id),
        )


def _of_course(
    calls: Calls,
    path: str,
    row: type[R],
    course_id: str | None,
    identify: Callable[[R], object] = lambda found: None,
) -> Paginator[R]:
    """What belongs to one course or to any."""
    return pagination.numbered_pages(
        calls,
        path,
        row,
        queries=[(("courseId", course_id),)],
        filters=only("courseId", course_id, lambda found: found.course_id),
        identify=identify,
    )


def _of_both(
    calls: Calls,
    path: str,
    row: type[U],
    course_id: str | None,
    user_id: str | None,
    identify: Callable[[U], object] = lambda found: None,
) -> Paginator[U]:
    """What belongs to one course or to any, and to one user or to any."""
    return pagination.numbered_pages(
        calls,
        path,
        row,
        queries=[(("courseId", course_id), ("userId", user_id))],
        filters=(
            *only("courseId", course_id, lambda found: found.course_id),
            *only("userId", user_id, lambda found: found.user_id),
        ),
        identify=identify,
    )


def lessons_of_user(calls: Calls, user_id: str, course_id: str | None) -> Paginator[LessonProgress]:
    """The walk behind ``lesson_progress``, for evidence as well."""
    path = urls.path(_PATH + "/users/{id}/lessons/progress", id=user_id)
    return _of_course(
        calls, path, LessonProgress, course_id, lambda found: (found.course_id, found.lesson_id)
    )


def lesson_attempts(
    calls: Calls, *, course_id: str | None = None, user_id: str | None = None
) -> Paginator[LessonAttempt]:
    """The walk behind ``attempts``, for evidence as well."""
    path = f"{_PATH}/lessons/attempts"
    return _of_both(calls, path, LessonAttempt, course_id, user_id, _attempt)


def _attempt(found: LessonAttempt) -> object:
    """The identity of an attempt that has an id, which may be a number within user and lesson."""
    return found.id and (found.id, found.user_id, found.course_id, found.lesson_id)


def statistics(calls: Calls, course_ids: Sequence[str] | None) -> Paginator[CourseStatistics]:
    """The walk behind ``course_statistics``, for planning a reset and for evidence as well.

    The published parameter names one course, so several are picked from the statistics of all courses.
    """
    single = course_ids[0] if course_ids is not None and len(course_ids) == 1 else None
    wanted = None if course_ids is None else frozenset(course_ids)
    return pagination.numbered_pages(
        calls,
        f"{_PATH}/courses/statistics",
        CourseStatistics,
        queries=[(("courseId", single),)],
        filters=only("courseId", single, lambda found: found.course_id),
        keep=lambda found, _: wanted is None or found.course_id in wanted,
        identify=lambda found: found.course_id,
        named=() if wanted is None else (wanted,),
    )
