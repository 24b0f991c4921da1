"""R18: whoever is reset and wants to be told is told, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mock_server.world import clock
from mock_server.world.ledger import Notification

if TYPE_CHECKING:
    from mock_server.policy import Policy
    from mock_server.world.courses import Course
    from mock_server.world.organisation import Organisation
    from mock_server.world.world import World


def are_sent(policy: Policy, course: Course) -> bool:
    """Whether a reset in this course notifies anybody: not where learners cannot open it, unless the policy says so."""
    return course.is_published or policy.unpublished_notifications == "sent"


def recipients(organisation: Organisation, user_ids: Sequence[str]) -> list[str]:
    """Those of them whose notification setting is on."""
    return [user_id for user_id in user_ids if organisation.people[user_id].notifications]


def for_reset(
    world: World, organisation: Organisation, course: Course, user_ids: Sequence[str]
) -> list[Notification]:
    """The "course assigned" notifications that a reset of these users sends."""
    if not are_sent(world.policy, course):
        return []
    sent_at = clock.to_text(world.clock.now())
    return [
        Notification(world.ids.uuid("notification"), organisation.id, user_id, course.id, sent_at)
        for user_id in recipients(organisation, user_ids)
    ]
