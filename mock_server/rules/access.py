"""The owner of a token (R03), what they may do (R01, R02, R04) and what they see (R05)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from mock_server.refusal import Reason, RefusedError
from mock_server.world.courses import CourseList, RapidRefresh
from mock_server.world.people import Permission, Person, Status, Token, digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mock_server.policy import Policy
    from mock_server.world.courses import Course
    from mock_server.world.organisation import Organisation
    from mock_server.world.world import World


_BEARER = re.compile(r"bearer +([!-~]{1,4096})", re.IGNORECASE)
_LONGEST_KEPT = 256
"""Characters of the longest header that is cached."""


@frozen
class Actor:
    """Owner of a token, with their permissions now."""

    person: Person
    organisation: Organisation
    permissions: frozenset[Permission]

    @property
    def id(self) -> str:
        """User id."""
        return self.person.id


def bearer(authorization: Sequence[str]) -> str | None:
    """Return the token in the Authorization headers, known or not; None unless there is exactly one Bearer."""
    return _read(authorization[0])[0] if len(authorization) == 1 else None


def _read(header: str) -> tuple[str | None, str]:
    # Long headers are not cached: clients can send any number of them.
    return _remembered(header) if len(header) <= _LONGEST_KEPT else _looked_up(header)


@lru_cache(maxsize=128)
def _remembered(header: str) -> tuple[str | None, str]:
    return _looked_up(header)


def _looked_up(header: str) -> tuple[str | None, str]:
    """Return the token in a header and its digest; None and "" if there is none."""
    match = _BEARER.fullmatch(header.strip(" "))
    return (match[1], digest(match[1])) if match else (None, "")


def find_token(world: World, authorization: Sequence[str]) -> Token | None:
    """Return the known token in the Authorization headers, valid or not; None without one."""
    return world.tokens.get(_read(authorization[0])[1]) if len(authorization) == 1 else None


def actor_of(world: World, token: Token) -> Actor:
    """Return the owner of a token."""
    organisation = world.organisations[token.organisation_id]
    person = organisation.people[token.user_id]
    sets = [organisation.permission_sets[each].permissions for each in person.permission_sets]
    return Actor(person, organisation, sets[0] if len(sets) == 1 else frozenset[Permission]().union(*sets))


def is_valid(world: World, token: Token, person: Person) -> bool:
    """R03: return whether a known token is valid; the token of a deactivated person is not."""
    expired = token.expires_at is not None and token.expires_at <= world.clock.now()
    return not (token.revoked or expired or person.status is not Status.ACTIVE)


def authenticate(world: World, authorization: Sequence[str]) -> tuple[Token, Actor]:
    """Return token and owner; 401 without a token or with one that is unknown, expired or revoked."""
    token = find_token(world, authorization)
    if token is not None:
        actor = actor_of(world, token)
        if is_valid(world, token, actor.person):
            return token, actor
    said = "is unknown, expired or revoked" if authorization else "is missing"
    raise RefusedError(
        Reason.UNAUTHENTICATED, f"The API token {said}; send the header Authorization: Bearer <token>."
    )


# --- permissions -----------------------------------------------------------------------------------------------------


class Reach(IntEnum):
    """Scope of a right; the widest of a user's permissions counts."""

    NONE = 0
    OWN = 1
    """Their own rows, and of the catalogue what is published and assigned to them."""
    TEAMS = 2
    """The users of the groups and sites they manage, and their own rows."""
    ALL = 3


class Family(Enum):
    """Operations that need the same rights."""

    SELF = "who am I"
    CATALOGUE = "courses and other training content"
    PROGRESS = "progress"
    ANALYTICS = "analytics"
    PEOPLE = "users, groups and sites"
    ASSIGN = "assignments"
    PERMISSION_SETS = "permission sets"
    RESET_USERS = "a reset of listed users"
    RESET_EVERYONE = "a reset of everyone in a course"


_NONE, _OWN, _TEAMS, _ALL = Reach.NONE, Reach.OWN, Reach.TEAMS, Reach.ALL

# The table. Its columns: the three permissions in the order of _COLUMNS, then any member.
_TABLE: dict[Family, tuple[Reach, Reach, Reach, Reach]] = {
    Family.SELF: (_ALL, _ALL, _ALL, _ALL),
    Family.CATALOGUE: (_ALL, _ALL, _ALL, _OWN),
    Family.PROGRESS: (_OWN, _ALL, _TEAMS, _OWN),
    Family.ANALYTICS: (_NONE, _ALL, _TEAMS, _NONE),
    Family.PEOPLE: (_ALL, _ALL, _NONE, _NONE),
    Family.ASSIGN: (_NONE, _ALL, _NONE, _NONE),
    Family.PERMISSION_SETS: (_ALL, _NONE, _NONE, _NONE),
    Family.RESET_USERS: (_ALL, _NONE, _NONE, _NONE),
}
_COLUMNS = (Permission.USERS, Permission.TRAINING, Permission.TEAMS)


def reach(actor: Actor, family: Family, policy: Policy) -> Reach:
    """Return how far a user's rights reach in a family of operations."""
    if family is Family.RESET_EVERYONE:  # R02: the one right that is a policy
        (needed,) = granting(family, policy)
        return Reach.ALL if needed <= actor.permissions else Reach.NONE
    columns = _TABLE[family]
    widest = columns[-1]
    for permission, far in zip(_COLUMNS, columns, strict=False):
        if far > widest and permission in actor.permissions:
            widest = far
    return widest


def granting(family: Family, policy: Policy) -> list[frozenset[Permission]]:
    """Return the sets of permissions, any of which is enough."""
    if family is Family.RESET_EVERYONE:
        both = frozenset({Permission.USERS, Permission.TRAINING})
        named = policy.everyone_permission
        return [both if named == "both" else frozenset({Permission(named)})]
    held = zip(_COLUMNS, _TABLE[family], strict=False)
    return [frozenset({name}) for name, far in held if far is not Reach.NONE]


def is_for_some(family: Family) -> bool:
    """Return True if some actors may do nothing of this family."""
    return Reach.NONE in _TABLE[family]


def require(actor: Actor, policy: Policy, *families: Family) -> Reach:
    """Return how far a user's rights reach in any of these families; 403, naming what is missing, if not at all."""
    far = max([reach(actor, family, policy) for family in families])
    if far is Reach.NONE:
        raise _denied(actor, policy, families)
    return far


def _denied(actor: Actor, policy: Policy, families: Sequence[Family]) -> RefusedError:
    """403: the permissions any of which are enough, or of which all are needed, and the first that is missing."""
    ways = dict.fromkeys(way for family in families for way in granting(family, policy))
    shortest = [way for way in ways if not any(other < way for other in ways)]
    what = " or ".join(family.value for family in families)
    if len(shortest) == 1 and len(shortest[0]) > 1:
        needed = [each.value for each in _COLUMNS if each in shortest[0]]
        missing = next(each for each in needed if each not in actor.permissions)
        said, named = f"both permissions {' and '.join(map(_quoted, needed))}", {"allOf": ", ".join(needed)}
    else:
        needed = [each.value for way in shortest for each in way]
        missing = needed[0]
        said, named = f"the permission {' or '.join(map(_quoted, needed))}", {"anyOf": ", ".join(needed)}
    return RefusedError(
        Reason.PERMISSION_DENIED, f"This needs {said} ({what}).", {"permission": missing, **named}
    )


def _quoted(name: str) -> str:
    return f'"{name}"'


# --- visibility ------------------------------------------------------------------------------------------------------

L = TypeVar("L", CourseList, RapidRefresh)


def visible_users(actor: Actor, reach: Reach) -> set[str] | None:
    """Return ids of the users whose rows an actor sees; None for all."""
    if reach is Reach.ALL:
        return None
    return {actor.id} | (team(actor) if reach is Reach.TEAMS else set())


def team(actor: Actor) -> set[str]:
    """Return ids of the users of the groups and sites that an actor manages."""
    groups, sites = actor.person.managed_groups, actor.person.managed_sites
    return {
        person.id
        for person in actor.organisation.people.values()
        if not (groups.isdisjoint(person.groups) and sites.isdisjoint(person.sites))
    }


def visible_courses(actor: Actor, reach: Reach) -> list[Course]:
    """Return the courses that an actor sees: all, or the published ones assigned to them."""
    every = actor.organisation.courses.values()
    return [course for course in every if reach is Reach.ALL or _is_theirs(actor, course)]


def visible_lists(actor: Actor, reach: Reach, lists: Mapping[str, L]) -> list[L]:
    """Return paths, collections or rapid refreshes that an actor sees, by id: all, or those published and assigned."""
    return [
        each
        for _, each in sorted(lists.items())
        if reach is Reach.ALL or (each.is_published and each.assigned.since(actor.person) is not None)
    ]


def visible_courses_of(actor: Actor, reach: Reach, held: CourseList) -> list[Course]:
    """Return the courses of a learning path or collection that an actor sees, in its order."""
    seen = {course.id: course for course in visible_courses(actor, reach)}
    return [seen[course_id] for course_id in held.course_ids if course_id in seen]


def _is_theirs(actor: Actor, course: Course) -> bool:
    return course.is_published and actor.organisation.progress[course.id].has(actor.id)
