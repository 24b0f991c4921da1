"""The effect of a reset (R10, R12 to R17, R20, R21): all or nothing, and permanent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from mock_server.policy import Behaviour
from mock_server.rules import certificates, notifications, webhooks
from mock_server.world.progress import Record

if TYPE_CHECKING:
    from mock_server.rules.authentication import Actor
    from mock_server.world.courses import Course
    from mock_server.world.organisation import Organisation
    from mock_server.world.progress import CourseProgress
    from mock_server.world.world import World


def carry_out(
    world: World, actor: Actor, course: Course, user_ids: Sequence[str], absent_ids: Sequence[str] = ()
) -> None:
    """Clear the progress of eligible and absent users, and notify. Call it under the world's lock."""
    messages = webhooks.for_reset(world, actor, course, user_ids)
    reset(world, actor.organisation, course, user_ids)
    reset_absent(world, actor.organisation, course, absent_ids)
    webhooks.send(world, messages)


def reset(world: World, organisation: Organisation, course: Course, user_ids: Sequence[str]) -> None:
    """Clear the progress of these eligible users. Call it under the world's lock.

    A record holds everything that is cleared, so dropping it clears all of it (R12, R13) and nothing else (R16).
    No copy is kept (R15). ``Organisation.restarted`` restarts a relative due date (R20).
    Everything that could fail is done before the first change.
    """
    messages = notifications.for_reset(world, organisation, course, user_ids)
    progress = organisation.progress[course.id]
    left = _left(world, progress, user_ids)
    progress.restart(user_ids, organisation.restarted(course.id, user_ids), left)
    _note(world, organisation, course, user_ids)
    world.outbox.extend(messages)


def reset_absent(world: World, organisation: Organisation, course: Course, user_ids: Sequence[str]) -> None:
    """R10: clear the progress of these users, who are not assigned. Call it under the world's lock.

    There is no due date to restart (R20), and no notification to send (R18).
    """
    progress = organisation.progress[course.id]
    left = _left(world, progress, user_ids)
    for user_id in user_ids:
        progress.put(user_id, left.get(user_id))
    _note(world, organisation, course, user_ids)


def _note(world: World, organisation: Organisation, course: Course, user_ids: Sequence[str]) -> None:
    """Note the time of the reset (R22), and withdraw certificates (R19)."""
    organisation.progress[course.id].reset_at.update(zip(user_ids, repeat(world.clock.now())))
    certificates.withdraw(world, organisation, course, user_ids)


_KEPT = {
    Behaviour.KEEPS_OPENED_AT: "opened_at",
    Behaviour.KEEPS_SCORE: "score",
    Behaviour.KEEPS_TIME_SPENT: "time_spent_seconds",
}


def _left(world: World, progress: CourseProgress, user_ids: Sequence[str]) -> dict[str, Record]:
    """Return what a reset leaves of records: none, unless the world emulates a service that keeps some fields."""
    names = [name for behaviour, name in _KEPT.items() if behaviour in world.policy.emulates]
    left, now = {}, world.clock.now()
    for user_id in user_ids if names else ():
        record = progress.records.get(user_id)
        kept = {name: value for name in names if record is not None and (value := getattr(record, name))}
        if kept:
            left[user_id] = Record(modified_at=now, **kept)
    return left
