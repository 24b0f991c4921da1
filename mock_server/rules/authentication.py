"""Who speaks: a token belongs to one person of one organisation (R03)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from mock_server.refusal import Reason, RefusedError
from mock_server.world.people import Permission, Person, Status, Token, digest

if TYPE_CHECKING:
    from mock_server.world.organisation import Organisation
    from mock_server.world.world import World

_BEARER = re.compile(r"bearer +([!-~]{1,4096})", re.IGNORECASE)


@frozen
class Actor:
    """The owner of a token, with their rights at this moment."""

    person: Person
    organisation: Organisation
    permissions: frozenset[Permission]

    @property
    def id(self) -> str:
        """Their user id."""
        return self.person.id


def bearer(authorization: Sequence[str]) -> str | None:
    """The token in the Authorization headers, known or not; None unless there is exactly one, as a Bearer."""
    match = _BEARER.fullmatch(authorization[0].strip(" ")) if len(authorization) == 1 else None
    return match[1] if match else None


def find_token(world: World, authorization: Sequence[str]) -> Token | None:
    """The token that the Authorization headers name, valid or not; None if there is none such."""
    token = bearer(authorization)
    return None if token is None else world.tokens.get(digest(token))


def actor_of(world: World, token: Token) -> Actor:
    """The owner of a token."""
    organisation = world.organisations[token.organisation_id]
    person = organisation.people[token.user_id]
    sets = (organisation.permission_sets[each] for each in person.permission_sets)
    return Actor(person, organisation, frozenset[Permission]().union(*(each.permissions for each in sets)))


def is_valid(world: World, token: Token, person: Person) -> bool:
    """R03: whether a known token still opens anything; that of a deactivated person does not."""
    expired = token.expires_at is not None and token.expires_at <= world.clock.now()
    return not (token.revoked or expired or person.status is not Status.ACTIVE)


def authenticate(world: World, authorization: Sequence[str]) -> tuple[Token, Actor]:
    """Who speaks; 401 without a token or with one that is unknown, expired or revoked."""
    token = find_token(world, authorization)
    if token is not None:
        actor = actor_of(world, token)
        if is_valid(world, token, actor.person):
            return token, actor
    said = "is unknown, expired or revoked" if authorization else "is missing"
    raise RefusedError(
        Reason.UNAUTHENTICATED, f"The API token {said}; send the header Authorization: Bearer <token>."
    )
