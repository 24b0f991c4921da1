"""R18: whoever is reset and wants to be told is told, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mock_server.world import times
from mock_server.world.ledger import Notification

if TYPE_CHECKING:
    from mock_server.policy import Policy
    from mock_server.world.courses import Course
    from mock_server.world.organisation import Organisation
    from mock_server.world.world import World


def recipients(
    policy: Policy, organisation: Organisation, course: Course, user_ids: Sequence[str]
) -> list[str]:
    """Those of them whose notification setting is on; none for a course they cannot open, unless the policy says so."""
    if not course.is_published and policy.unpublished_notifications == "none":
        return []
    return [user_id for user_id in user_ids if organisation.people[user_id].notifications]


def for_reset(
    world: World, organisation: Organisation, course: Course, user_ids: Sequence[str]
) -> list[Notification]:
    """The "course assigned" notifications that a reset of these users sends."""
    sent_at = times.to_text(world.clock.now())
    return [
        Notification(world.ids.uuid("notification"), organisation.id, user_id, course.id, sent_at)
        for user_id in recipients(world.policy, organisation, course, user_ids)
    ]
