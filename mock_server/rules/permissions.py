"""Permissions: the one table of who may do what (R01, R02, R04, R05)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

from mock_server.refusal import Reason, RefusedError
from mock_server.world.people import Permission

if TYPE_CHECKING:
    from mock_server.policy import Policy
    from mock_server.rules.authentication import Actor


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
