"""Accepted resets that are carried out later, one person every 90 s (``emulates="queues_resets"``)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from mock_server.rules import audit, reset
from mock_server.rules.authentication import actor_of
from mock_server.rules.scope import Scope, eligible
from mock_server.world.ledger import QueuedReset
from mock_server.world.people import Token

if TYPE_CHECKING:
    from mock_server.world.world import World

PER_PERSON = timedelta(seconds=90)


def add(world: World, token: Token, request_id: str, resets: Iterable[tuple[str, str]]) -> None:
    """Append resets (course id, user id) to the queue. Call it under the world's lock."""
    due_at = max([world.clock.now(), *(each.due_at for each in world.queued[-1:])])
    for course_id, user_id in resets:
        due_at += PER_PERSON
        world.queued.append(
            QueuedReset(due_at, token.organisation_id, token.user_id, request_id, course_id, user_id)
        )


def run_due(world: World) -> None:
    """Carry out resets that are due, each at its own time. Call it first, under the world's lock."""
    while world.queued and world.queued[0].due_at <= world.clock.now():
        due = world.queued.pop(0)
        with world.clock.back_at(due.due_at):
            _carry_out(world, due)


def _carry_out(world: World, due: QueuedReset) -> None:
    token = Token(due.actor_id, due.organisation_id)
    actor = actor_of(world, token)
    course = actor.organisation.courses[due.course_id]
    progress = actor.organisation.progress[course.id]
    user_ids = eligible(world.policy, progress, [due.user_id])
    reset.carry_out(world, actor, course, user_ids)
    audit.done(world, token, due.request_id, Scope(course.id, [due.user_id]), user_ids)
