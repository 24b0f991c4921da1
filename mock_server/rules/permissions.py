"""Who may do what: one table, one place (R01, R02, R04, R05)."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING

from mock_server.refusal import Reason, RefusedError
from mock_server.world.people import Permission

if TYPE_CHECKING:
    from mock_server.policy import Policy
    from mock_server.rules.authentication import Actor


class Reach(IntEnum):
    """How far a right reaches; the furthest of somebody's permissions holds."""

    NONE = 0
    OWN = 1
    """Their own rows, and of the catalogue what is published and assigned to them."""
    TEAMS = 2
    """The users of the groups and sites they manage, and their own rows."""
    ALL = 3


class Family(Enum):
    """Operations that share their rights."""

    SELF = "who am I"
    CATALOGUE = "courses, lessons, learning paths, collections, rapid refreshes and leaderboards"
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
    """How far somebody's rights reach in a family of operations."""
    if family is Family.RESET_EVERYONE:  # R02: the one right that is a policy
        return Reach.ALL if policy.everyone_permission in actor.permissions else Reach.NONE
    *columns, member = _TABLE[family]
    held = [far for permission, far in zip(_COLUMNS, columns, strict=True) if permission in actor.permissions]
    return max([*held, member])


def granting(family: Family, policy: Policy) -> list[str]:
    """The permissions any of which lets somebody in."""
    if family is Family.RESET_EVERYONE:
        return [policy.everyone_permission]
    return [name for name, far in zip(_COLUMNS, _TABLE[family], strict=False) if far is not Reach.NONE]


def require(actor: Actor, policy: Policy, *families: Family) -> Reach:
    """How far somebody's rights reach in any of these families; 403 naming what is missing if not at all."""
    far = max(reach(actor, family, policy) for family in families)
    if far is Reach.NONE:
        needed = list(dict.fromkeys(name for family in families for name in granting(family, policy)))
        what = " or ".join(family.value for family in families)
        raise RefusedError(
            Reason.PERMISSION_DENIED,
            f"This needs the permission {' or '.join(map(_quoted, needed))} ({what}).",
            {"permission": needed[0], "anyOf": ", ".join(needed)},
        )
    return far


def _quoted(name: str) -> str:
    return f'"{name}"'
