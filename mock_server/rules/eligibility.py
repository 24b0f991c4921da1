"""Users whose progress a reset clears (R09, R10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mock_server.policy import Policy
    from mock_server.world.progress import CourseProgress, Record


def counts(policy: Policy, record: Record | None) -> bool:
    """R09: return whether a reset clears a record."""
    if record is None:
        return False
    return bool(record.completed_at) if policy.eligibility == "completed" else record.is_recorded


def eligible(policy: Policy, progress: CourseProgress, user_ids: list[str] | None) -> list[str]:
    """R09: return those of the listed users (None: everyone assigned) whose progress a reset clears, in order."""
    asked = progress.roster if user_ids is None else [user for user in user_ids if progress.has(user)]
    return [user for user in asked if counts(policy, progress.records.get(user))]


def absent(policy: Policy, progress: CourseProgress, user_ids: list[str] | None) -> list[str]:
    """R10: return users in the scope who are not assigned now and whose progress reappears when they return."""
    recorded = sorted(progress.records.keys() - set(progress.roster))
    listed = recorded if user_ids is None else [user for user in user_ids if not progress.has(user)]
    return [user for user in listed if counts(policy, progress.records.get(user))]
