"""Users whose progress a reset clears (R09, R10)."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mock_server.policy import Policy
    from mock_server.world.progress import CourseProgress


def eligible(policy: Policy, progress: CourseProgress, user_ids: list[str] | None) -> list[str]:
    """R09: return those of the listed users (None: everyone assigned) whose progress a reset clears, in order."""
    asked = progress.roster if user_ids is None else [user for user in user_ids if progress.has(user)]
    return _cleared(policy, progress, asked)


def absent(policy: Policy, progress: CourseProgress, user_ids: list[str] | None) -> list[str]:
    """R10: return users in the scope who are not assigned now and whose progress reappears when they return."""
    recorded = sorted(progress.records.keys() - set(progress.roster))
    listed = recorded if user_ids is None else [user for user in user_ids if not progress.has(user)]
    return _cleared(policy, progress, listed)


def _cleared(policy: Policy, progress: CourseProgress, user_ids: list[str]) -> list[str]:
    """R09: return those whose record a reset clears."""
    counts = attrgetter("completed_at" if policy.eligibility == "completed" else "is_recorded")
    records = map(progress.records.get, user_ids)
    return [
        user for user, record in zip(user_ids, records, strict=True) if record is not None and counts(record)
    ]
