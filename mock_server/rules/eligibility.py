"""Who is assigned to a course (R10), and whose progress a reset clears (R09)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mock_server.policy import Policy
    from mock_server.world.courses import Assigned
    from mock_server.world.people import Person
    from mock_server.world.progress import CourseProgress, Record


def assigned_since(assigned: Assigned, person: Person) -> datetime | None:
    """R10: since when somebody is assigned, by whichever way came first; None if in no way."""
    if not person.can_learn:
        return None
    ways = [assigned.users.get(person.id), assigned.universal]
    ways += [assigned.groups.get(group) for group in person.groups]
    ways += [assigned.sites.get(site) for site in person.sites]
    return min((since for since in ways if since is not None), default=None)


def counts(policy: Policy, record: Record | None) -> bool:
    """R09: whether a record is one that a reset clears."""
    if record is None:
        return False
    return bool(record.completed_at) if policy.eligibility == "completed" else record.is_recorded


def eligible(policy: Policy, progress: CourseProgress, user_ids: list[str] | None) -> list[str]:
    """R09: of those listed (None: everyone assigned) the ones whose progress a reset clears, in order."""
    asked = progress.roster if user_ids is None else [user for user in user_ids if progress.has(user)]
    return [user for user in asked if counts(policy, progress.records.get(user))]
