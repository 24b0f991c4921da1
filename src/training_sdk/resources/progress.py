"""The progress feed: who stands where in which course."""

from __future__ import annotations

from datetime import datetime

from training_sdk._core import argument_checks, pagination
from training_sdk._core.listing import Calls, Walk
from training_sdk._core.operation import Bound, D, listing
from training_sdk._core.row_filters import Filter, only
from training_sdk.models.progress import CompletionStatus, ProgressRow


class Progress(Bound[D]):
    """``client.progress``"""

    @listing
    def list(
        self,
        *,
        course_id: str | None = None,
        user_id: str | None = None,
        status: CompletionStatus | str | None = None,
        modified_after: datetime | None = None,
    ) -> Walk[ProgressRow]:
        """List progress: one row per assigned user and course, what has not begun included.

        Without "Training: Administration" or "Training: Manage teams" the server lists the token's own rows only.
        ``status`` is a CompletionStatus. ``modified_after`` must name its zone; what it means is the server's affair,
        while course, user and status are filtered again by the client. On a live service rows are up to 2 h old.

        REST: ``GET /training/v1/feed/training-course-progress`` (published; default page size assumed).
        """
        chosen = (
            CompletionStatus.ALL
            if status is None
            else argument_checks.one_of(status, CompletionStatus, "status")
        )
        after = None if modified_after is None else argument_checks.moment(modified_after, "modified_after")
        return progress_rows(
            self._calls,
            course_id=argument_checks.optional_id(course_id, "course_id"),
            user_id=argument_checks.optional_id(user_id, "user_id"),
            status=chosen,
            modified_after=after,
        )


def progress_rows(
    calls: Calls,
    *,
    course_id: str | None = None,
    user_id: str | None = None,
    status: CompletionStatus = CompletionStatus.ALL,
    modified_after: datetime | None = None,
) -> Walk[ProgressRow]:
    """The walk behind ``progress.list``, for planning a reset as well."""

    def keep(row: ProgressRow) -> bool:
        completed = row.completed_at is not None
        return status is CompletionStatus.ALL or completed == (status is CompletionStatus.COMPLETED)

    query = [
        ("course_id", course_id),
        ("user_id", user_id),
        ("completion_status", status.value),
        ("modified_after", modified_after and _rfc3339(modified_after)),
    ]
    path = "/training/v1/feed/training-course-progress"
    filters: tuple[Filter[ProgressRow], ...] = (
        *only("course_id", course_id, lambda row: row.course_id),
        *only("user_id", user_id, lambda row: row.user_id),
    )
    return pagination.fed(
        calls,
        path,
        ProgressRow,
        query=query,
        keep=keep,
        filters=filters,
        identify=lambda row: (row.course_id, row.user_id),
    )


def _rfc3339(when: datetime) -> str:
    return argument_checks.in_utc(when).isoformat().replace("+00:00", "Z")
