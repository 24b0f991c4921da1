"""The effect of a reset (R10, R12 to R17, R20, R21), all or nothing and permanent, and its notifications (R18)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING

from mock_server.policy import Behaviour
from mock_server.rules import audit, completion, webhooks
from mock_server.rules.access import actor_of
from mock_server.rules.scope import Scope, eligible
from mock_server.world import clock
from mock_server.world.ledger import MadeWhenRead, Notification, QueuedReset
from mock_server.world.people import Token
from mock_server.world.progress import Record

if TYPE_CHECKING:
    from mock_server.policy import Policy
    from mock_server.rules.access import Actor
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
    messages = notifications_of(world, organisation, course, user_ids)
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
    completion.withdraw_certificates(world, organisation, course, user_ids)


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


# --- notifications ---------------------------------------------------------------------------------------------------


def sends_notifications(policy: Policy, course: Course) -> bool:
    """Return whether a reset in this course sends notifications: only if learners can open it, or by policy."""
    return course.is_published or policy.unpublished_notifications == "sent"


def recipients(organisation: Organisation, user_ids: Sequence[str]) -> list[str]:
    """Return the users whose notification setting is on."""
    return [user_id for user_id in user_ids if organisation.people[user_id].notifications]


def notifications_of(
    world: World, organisation: Organisation, course: Course, user_ids: Sequence[str]
) -> Iterable[Notification]:
    """Return the "course assigned" notifications that a reset of these users sends."""
    if not sends_notifications(world.policy, course):
        return ()
    sent_at = clock.to_text(world.clock.now())
    notified = recipients(organisation, user_ids)
    ids = world.ids.uuids("notification", len(notified))
    fields = (ids, repeat(organisation.id), notified, repeat(course.id), repeat(sent_at))
    return MadeWhenRead(partial(map, Notification, *fields))


# --- resets that are queued, where the world emulates a service that resets later -----------------------------------

PER_PERSON = timedelta(seconds=90)


def queue_resets(world: World, token: Token, request_id: str, resets: Iterable[tuple[str, str]]) -> None:
    """Append resets (course id, user id) to the queue. Call it under the world's lock."""
    due_at = max([world.clock.now(), *(each.due_at for each in world.queued[-1:])])
    for course_id, user_id in resets:
        due_at += PER_PERSON
        world.queued.append(
            QueuedReset(due_at, token.organisation_id, token.user_id, request_id, course_id, user_id)
        )


def run_due_resets(world: World) -> None:
    """Carry out resets that are due, each at its own time. Call it first, under the world's lock."""
    while world.queued and world.queued[0].due_at <= world.clock.now():
        due = world.queued.pop(0)
        with world.clock.back_at(due.due_at):
            _carry_out_queued(world, due)


def _carry_out_queued(world: World, due: QueuedReset) -> None:
    token = Token(due.actor_id, due.organisation_id)
    actor = actor_of(world, token)
    course = actor.organisation.courses[due.course_id]
    progress = actor.organisation.progress[course.id]
    user_ids = eligible(world.policy, progress, [due.user_id])
    carry_out(world, actor, course, user_ids)
    audit.done(world, token, due.request_id, Scope(course.id, [due.user_id]), user_ids)
