"""Scope of a reset: its course and users (R07, R08). It never widens."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from attrs import frozen

from mock_server.policy import Behaviour
from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.rules.access import Family, Reach, require
from mock_server.wire.fields import Fields, camel

if TYPE_CHECKING:
    from mock_server.policy import Policy
    from mock_server.rules.access import Actor
    from mock_server.world.courses import Course
    from mock_server.world.organisation import Organisation
    from mock_server.world.progress import CourseProgress
    from mock_server.world.world import World


# The body of a reset is assumed; its names are written only here.
COURSE, USERS, EVERYONE = "courseId", "userIds", "allUsers"
OTHER_USERS = "learnerIds"
"""Field name that a server with ``emulates="ignores_user_list"`` reads instead."""


@frozen
class Scope:
    """A course, and the listed users; None for everyone."""

    course_id: str
    user_ids: list[str] | None


def rights(world: World, actor: Actor, body: object) -> Reach:
    """R01, R02: require the right for this kind of reset, or any of the two if the body does not tell which."""
    names = {camel(name) for name in body} if isinstance(body, dict) else set()
    if (EVERYONE in names) == (USERS in names):
        return require(actor, world.policy, Family.RESET_USERS, Family.RESET_EVERYONE)
    kind = Family.RESET_EVERYONE if EVERYONE in names else Family.RESET_USERS
    return require(actor, world.policy, kind)


def read(policy: Policy, body: object) -> Scope:
    """R07: return one course, and either a list of users or everyone; 400 for anything else."""
    if Behaviour.IGNORES_USER_LIST in policy.emulates:
        return _without_list(policy, body)
    fields = Fields.read(body, (COURSE, USERS, EVERYONE))
    course_id = fields.id(COURSE)
    if fields.has(USERS) == fields.has(EVERYONE):
        raise invalid(f"Send exactly one of {USERS} and {EVERYONE}: true.", USERS)
    if fields.has(USERS):
        return Scope(course_id, fields.ids(USERS, policy.max_users_per_reset))
    if not fields.flag(EVERYONE):
        raise invalid(f"{EVERYONE} must be true. To reset some users, list them in {USERS}.", EVERYONE)
    return Scope(course_id, None)


def _without_list(policy: Policy, body: object) -> Scope:
    """Return the scope as a service reads it that does not know our list of users: without its own list, everyone."""
    known = {COURSE: body.get(COURSE)} if isinstance(body, dict) else {}
    if isinstance(body, dict) and OTHER_USERS in body:
        known[OTHER_USERS] = body[OTHER_USERS]
    fields = Fields.read(known, (COURSE, OTHER_USERS))
    listed = fields.ids(OTHER_USERS, policy.max_users_per_reset) if fields.has(OTHER_USERS) else None
    return Scope(fields.id(COURSE), listed)


def find(organisation: Organisation, scope: Scope) -> Course:
    """R08: return the course; 404 if it, or any listed user, does not exist in the organisation."""
    course = organisation.courses.get(scope.course_id)
    if course is None:
        raise RefusedError(
            Reason.COURSE_NOT_FOUND, f"There is no course {scope.course_id}.", {"ids": scope.course_id}
        )
    unknown = [user_id for user_id in scope.user_ids or () if user_id not in organisation.people]
    if unknown:
        listed = ", ".join(unknown)
        users = "This user does" if len(unknown) == 1 else "These users do"
        raise RefusedError(
            Reason.USER_NOT_FOUND, f"{users} not exist: {listed}. Nothing was changed.", {"ids": listed}
        )
    return course


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
