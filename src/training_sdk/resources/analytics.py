"""Analytics: how courses stand, and how far someone is lesson by lesson."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from training_sdk import _checks, _paging, _urls
from training_sdk._operation import Bound, D, listing
from training_sdk._pages import Calls, Walk
from training_sdk.models.analytics import CourseStatistics, LessonAttempt, LessonProgress


class Analytics(Bound[D]):
    """``client.analytics``"""

    @listing
    def course_statistics(self, *, course_ids: Iterable[str] | None = None) -> Walk[CourseStatistics]:
        """List how courses stand: users, opened, completed, percent, average score.

        Needs "Training: Administration", or "Training: Manage teams" for the figures of one's teams; otherwise
        PermissionDeniedError. On a live service the figures are up to 2 h old.

        REST: ``GET /training/analytics/v1/courses/statistics`` (path published, shape assumed).
        """
        return statistics(self._calls, _checks.optional_ids(course_ids, "course_ids"))

    @listing
    def lesson_progress(self, user_id: str, *, course_id: str | None = None) -> Walk[LessonProgress]:
        """List how far someone is in the lessons of their courses, or of one course.

        On a live service up to 2 h old.

        REST: ``GET /training/analytics/v1/users/{userId}/lessons/progress`` (path published, shape assumed).
        """
        return lessons_of_user(
            self._calls, _checks.one_id(user_id, "user_id"), _checks.optional_id(course_id, "course_id")
        )

    @listing
    def attempts(self, *, course_id: str | None = None, user_id: str | None = None) -> Walk[LessonAttempt]:
        """List attempts at lessons, of one course or user, of both, or of everything that the token sees.

        On a live service up to 2 h old.

        REST: ``GET /training/analytics/v1/lessons/attempts`` (path published, shape assumed).
        """
        return lesson_attempts(
            self._calls,
            course_id=_checks.optional_id(course_id, "course_id"),
            user_id=_checks.optional_id(user_id, "user_id"),
        )


def lessons_of_user(calls: Calls, user_id: str, course_id: str | None) -> Walk[LessonProgress]:
    """The walk behind ``lesson_progress``, for evidence as well."""
    return _paging.numbered(
        calls,
        _urls.path("/training/analytics/v1/users/{id}/lessons/progress", id=user_id),
        LessonProgress,
        queries=[(("courseId", course_id),)],
        keep=lambda lesson, _: course_id in (None, lesson.course_id),
    )


def lesson_attempts(
    calls: Calls, *, course_id: str | None = None, user_id: str | None = None
) -> Walk[LessonAttempt]:
    """The walk behind ``attempts``, for evidence as well."""
    return _paging.numbered(
        calls,
        "/training/analytics/v1/lessons/attempts",
        LessonAttempt,
        queries=[(("courseId", course_id), ("userId", user_id))],
        keep=lambda one, _: course_id in (None, one.course_id) and user_id in (None, one.user_id),
    )


def statistics(calls: Calls, course_ids: Sequence[str] | None) -> Walk[CourseStatistics]:
    """The walk behind ``course_statistics``, for planning a reset and for evidence as well."""
    return _paging.by_ids(
        calls,
        "/training/analytics/v1/courses/statistics",
        CourseStatistics,
        course_ids,
        identify=lambda row: row.course_id,
    )
