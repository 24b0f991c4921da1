"""The progress feed: one row per assigned user and course."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from operator import attrgetter

from attrs import field, frozen

from training_sdk._core import argument_checks
from training_sdk._core.listing import Calls, Filter, Paginator, only
from training_sdk._core.model import Fields, Model, OpenEnum, may_omit
from training_sdk._core.operation import Bound, D, listing
from training_sdk.api import pagination


class CompletionStatus(OpenEnum):
    """The filter of the feed by completion."""

    ALL = "COMPLETION_STATUS_ALL"
    COMPLETED = "COMPLETION_STATUS_COMPLETED"
    NON_COMPLETED = "COMPLETION_STATUS_NON_COMPLETED"


class ProgressState(StrEnum):
    """The progress of a user in a course, derived from a feed row."""

    COMPLETED = "completed"
    IN_PROGRESS = "in progress"
    NOT_STARTED = "not started"


def _looks_complete(row: Fields, _: Fields) -> bool:
    """Return whether other fields show a completed course, so that the date of completion must not be missing."""
    try:
        done, all_of_them = int(row.get("completed_lessons") or 0), int(row.get("total_lessons") or 0)
        return float(row.get("progress_percent") or 0) >= 100 or done >= all_of_them > 0
    except (TypeError, ValueError):
        return True


@frozen
class ProgressRow(Model):
    """One person's progress in one course.

    ``progress_percent`` is 0–100. Published, but for ``time_spent_seconds`` and ``completion_expiry_date``, which are
    newer, known from a third party, and may be absent. On a live service the row is up to 2 h old. What ``opened_at``
    means is **assumed**: when the course was first opened since the last reset; it may as well be the last time.
    """

    course_id: str
    user_id: str
    opened_at: datetime | None = field(metadata=may_omit(None))
    completed_at: datetime | None = field(metadata=may_omit(None, unless=_looks_complete))
    completed_lessons: int = field(metadata=may_omit(0))
    progress_percent: float = field(metadata=may_omit(0))
    total_lessons: int | None = None
    score: int | float | None = None
    course_external_id: str | None = None
    course_title: str | None = None
    user_email: str | None = None
    user_first_name: str | None = None
    user_last_name: str | None = None
    user_external_id: str | None = None
    due_at: datetime | None = None
    time_spent_seconds: float | None = None
    completion_expiry_date: datetime | None = None

    @property
    def has_recorded_progress(self) -> bool:
        """True if a reset would clear anything: opened, completed, lessons, percent, score or time spent is set."""
        numbers = (self.completed_lessons, self.progress_percent, self.score, self.time_spent_seconds)
        return self.opened_at is not None or self.completed_at is not None or any(numbers)

    @property
    def state(self) -> ProgressState:
        """Completed, in progress, or not started."""
        if self.completed_at is not None:
            return ProgressState.COMPLETED
        return ProgressState.IN_PROGRESS if self.has_recorded_progress else ProgressState.NOT_STARTED

    @property
    def user_name(self) -> str:
        """First and last name, as far as the feed has them."""
        return " ".join(part for part in (self.user_first_name, self.user_last_name) if part)


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
    ) -> Paginator[ProgressRow]:
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
) -> Paginator[ProgressRow]:
    """Return the rows of ``progress.list``, for planning a reset as well."""

    def keep(row: ProgressRow) -> bool:
        return (row.completed_at is not None) == (status is CompletionStatus.COMPLETED)

    query = [
        ("course_id", course_id),
        ("user_id", user_id),
        ("completion_status", status.value),
        ("modified_after", modified_after and _rfc3339(modified_after)),
    ]
    path = "/training/v1/feed/training-course-progress"
    filters: tuple[Filter[ProgressRow], ...] = (
        *only("course_id", course_id, attrgetter("course_id")),
        *only("user_id", user_id, attrgetter("user_id")),
    )
    return pagination.feed(
        calls,
        path,
        ProgressRow,
        query=query,
        keep=None if status is CompletionStatus.ALL else keep,
        filters=filters,
        identify=attrgetter("course_id", "user_id"),
    )


def _rfc3339(when: datetime) -> str:
    return argument_checks.in_utc(when).isoformat().replace("+00:00", "Z")
