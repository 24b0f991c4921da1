"""What an operation is, and what it is called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import field, frozen

from mock_server.refusal import Reason
from mock_server.rules.authentication import Actor
from mock_server.rules.permissions import Family, Reach, require
from mock_server.wire.fields import Fields, Params, check_id
from mock_server.wire.message import Request, Response
from mock_server.wire.schema import COURSE_ID, USER_ID, Mark, Schema, sent_id
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
class Parameter:
    """A parameter of the query."""

    name: str
    """In the spelling that the vendor's reference uses."""
    schema: Schema
    required: bool = False
    mark: Mark | None = None
    """Where it is better known than its operation."""


COURSE = Parameter("courseId", sent_id("Rows of one course only.", example=COURSE_ID))
USER = Parameter("userId", sent_id("Rows of one user only.", example=USER_ID))

LINK_BODY = "x-request-body"
"""An object as the body of a link: generators of clients refuse a document whose ``requestBody`` is no string."""
Link = dict[str, Any]


def link(operation: str, description: str, *, body: object = None, **parameters: str) -> Link:
    """Return a link: what this operation answers that another one needs, as runtime expressions."""
    made: Link = {"operationId": operation, "description": description}
    if parameters:
        made["parameters"] = parameters
    if body is not None:
        made["requestBody" if isinstance(body, str) else LINK_BODY] = body
    return made


@frozen
class Operation:
    """One operation: its path, what it is asked and what it answers. Without a handler: 501 with its name."""

    name: str
    method: str
    template: str
    provenance: Mark
    """Of path and shape, the weaker of the two."""
    handler: Handler | None = None
    """None for an operation that is not part of Training."""
    rights: Rights | None = None
    answer: type = field(kw_only=True)
    """The class of its answer."""
    summary: str = ""
    noun: str = ""
    """What it is about, where the path says something else."""
    parameters: tuple[Parameter, ...] = ()
    headers: dict[str, Schema] = field(factory=dict)
    """Request headers that only this operation reads, each with description and schema."""
    body: Schema | None = None
    """The schema of the JSON body; None for an operation without one."""
    refusals: tuple[Reason, ...] = ()
    """Reasons beside those of every operation."""
    links: dict[str, Link] = field(factory=dict)
    audited: bool = False
    """R23: done or refused, it is written into the audit log."""
    lagged: bool = False
    """Answers from the warehouse, which may show the past (P)."""
    reference_only: bool = False
    """No live service has it."""
    always_strict: bool = False
    """Query and fields are read strictly in a lenient world too: whatever is passed over could widen it (R07)."""
    query: tuple[str, ...] = field(init=False)
    """The names of the parameters."""

    @query.default
    def _names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.parameters)

    @property
    def takes_body(self) -> bool:
        """Whether the request has a JSON body."""
        return self.body is not None
