"""Rows of the progress feed, as short as a test needs them."""

from __future__ import annotations

from datetime import UTC, datetime

from training_sdk import ProgressRow

COURSE = "6908610029087ab67fa50c2e"


def at(text: str) -> datetime:
    """A moment in UTC: ``2026-03-01``, or ``2026-03-01 23:30``."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def row(
    user: str = "user_a",
    completed: str | datetime | None = "2025-03-01",
    *,
    course: str = COURSE,
    expires: str | datetime | None = None,
    email: str | None = None,
    external: str | None = None,
) -> ProgressRow:
    """A row of somebody who completed, or, with None, is on their way."""
    done = at(completed) if isinstance(completed, str) else completed
    return ProgressRow(
        course_id=course,
        user_id=user,
        opened_at=done or at("2024-01-01"),
        completed_at=done,
        completed_lessons=4 if done else 2,
        progress_percent=100.0 if done else 50.0,
        course_title="Forklift basics",
        user_first_name="Ada",
        user_last_name=user,
        user_email=email,
        user_external_id=external,
        completion_expiry_date=at(expires) if isinstance(expires, str) else expires,
    )
