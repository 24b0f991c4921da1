"""What an operation is, and what it is called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import frozen

from mock_server.rules.authentication import Actor
from mock_server.rules.permissions import Family, Reach, require
from mock_server.wire.fields import Fields, Params, check_id
from mock_server.wire.message import Request, Response
from mock_server.world.organisation import Organisation
from mock_server.world.people import Token
from mock_server.world.world import World


@frozen
class Call:
    """One request to one operation, past the checks that all operations share."""

    world: World
    operation: str
    """Its name in the table."""
    token: Token
    actor: Actor
    reach: Reach
    path: dict[str, str]
    query: Params
    body: object
    request: Request
    request_id: str
    is_repeat: bool = False
    """R11: a request with the same Idempotency-Key was still running when this one arrived."""

    @property
    def organisation(self) -> Organisation:
        """The token's organisation: the only one there is for this call (R03)."""
        return self.actor.organisation

    def fields(self, given: object, allowed: tuple[str, ...], where: str = "") -> Fields:
        """A JSON object of the body, or the body itself; unknown fields as the world takes them."""
        return Fields.read(given, allowed, where, lenient=self.world.policy.is_lenient)

    def path_id(self, name: str) -> str:
        """An id from the path."""
        return check_id(self.path[name], name)


Handler = Callable[[Call], Response]
Rights = Callable[[World, Actor, object], Reach]


def needs(family: Family) -> Rights:
    """The rights of one family, whatever the body says."""
    return lambda world, actor, _: require(actor, world.policy, family)


@frozen
class Operation:
    """A row of the operation table. Without a handler it is not part of Training: 501 with its name."""

    name: str
    method: str
    template: str
    provenance: Literal["P", "O", "T", "A"]
    """Of path and shape: published, observed, third party's types, assumed; the weaker of the two."""
    handler: Handler | None = None
    rights: Rights | None = None
    query: tuple[str, ...] = ()
    takes_body: bool = False
    audited: bool = False
    """R23: done or refused, it is written into the audit log."""
    lagged: bool = False
    """Answers from the warehouse, which may show the past (P)."""
    reference_only: bool = False
    """No live service has it."""
    always_strict: bool = False
    """Query and fields are read strictly in a lenient world too: whatever is passed over could widen it (R07)."""
