"""Analytics: how courses stand, and how far someone is lesson by lesson."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from training_sdk import _checks, _paging, _urls
from training_sdk._operation import Bound, D, listing
from training_sdk._pages import Calls, Walk
from training_sdk.models.analytics import CourseStatistics, LessonProgress


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
        course = _checks.optional_id(course_id, "course_id")
        path = _urls.path(
            "/training/analytics/v1/users/{id}/lessons/progress", id=_checks.one_id(user_id, "user_id")
        )
        return _paging.numbered(
            self._calls,
            path,
            LessonProgress,
            queries=[(("courseId", course),)],
            keep=lambda lesson, _: course in (None, lesson.course_id),
        )


def statistics(calls: Calls, course_ids: Sequence[str] | None) -> Walk[CourseStatistics]:
    """The walk behind ``course_statistics``, for planning a reset as well."""
    return _paging.by_ids(
        calls,
        "/training/analytics/v1/courses/statistics",
        CourseStatistics,
        course_ids,
        identify=lambda row: row.course_id,
    )
