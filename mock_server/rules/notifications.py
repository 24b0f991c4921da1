"""R18: a reset notifies each user who has notifications on, once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from mock_server.world import clock
from mock_server.world.ledger import Notification

if TYPE_CHECKING:
    from mock_server.policy import Policy
    from mock_server.world.courses import Course
    from mock_server.world.organisation import Organisation
    from mock_server.world.world import World


def are_sent(policy: Policy, course: Course) -> bool:
    """Return whether a reset in this course sends notifications: only if learners can open it, or by policy."""
    return course.is_published or policy.unpublished_notifications == "sent"


def recipients(organisation: Organisation, user_ids: Sequence[str]) -> list[str]:
    """Return the users whose notification setting is on."""
    return [user_id for user_id in user_ids if organisation.people[user_id].notifications]


def for_reset(
    world: World, organisation: Organisation, course: Course, user_ids: Sequence[str]
) -> Iterable[Notification]:
    """Return the "course assigned" notifications that a reset of these users sends."""
    if not are_sent(world.policy, course):
        return ()
    sent_at = clock.to_text(world.clock.now())
    notified = recipients(organisation, user_ids)
    ids = world.ids.uuids("notification", len(notified))
    return map(Notification, ids, repeat(organisation.id), notified, repeat(course.id), repeat(sent_at))
