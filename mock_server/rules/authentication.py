"""Authentication: a token belongs to one person of one organisation (R03)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from attrs import frozen

from mock_server.refusal import Reason, RefusedError
from mock_server.world.people import Permission, Person, Status, Token, digest

if TYPE_CHECKING:
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
