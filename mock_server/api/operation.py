"""Operations, and the calls that their handlers receive."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from attrs import evolve, field, frozen

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
    """One request to one operation that has passed the checks common to all operations."""

    world: World
    operation: Operation
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
        """The organisation of the token, the only one that this call can see (R03)."""
        return self.actor.organisation

    def fields(self, given: object, allowed: tuple[str, ...], where: str = "") -> Fields:
        """Read an object in the body, or the body itself; the policy decides about unknown fields."""
        return Fields.read(given, allowed, where, lenient=self.world.policy.is_lenient)

    def path_id(self, name: str) -> str:
        """Return an id from the path."""
        return check_id(self.path[name], name)


Handler = Callable[[Call], Response]
Rights = Callable[[World, Actor, object], Reach]


def _rights(given: Family | Rights) -> Rights:
    """Return a function that requires the rights of a family for any body; return other rights unchanged."""
    if not isinstance(given, Family):
        return given
    return lambda world, actor, _: require(actor, world.policy, given)


@frozen
class Parameter:
    """A parameter of the query."""

    name: str
    """The spelling in the vendor's reference."""
    schema: Schema
    required: bool = False
    mark: Mark | None = None
    """The mark of a parameter that is better known than its operation."""


COURSE = Parameter("courseId", sent_id("Rows of one course only.", example=COURSE_ID))
USER = Parameter("userId", sent_id("Rows of one user only.", example=USER_ID))


@frozen
class Link:
    """A value in the answer of one operation that a request of another operation needs."""

    name: str
    operation: str
    description: str
    parameters: dict[str, str] = field(factory=dict)
    """Values as runtime expressions of OpenAPI."""
    body: object = None


@frozen
class Operation:
    """One operation: its path, request and answer. Used as a decorator, it gets its handler."""

    name: str
    request: str
    """Method and path, as in "GET /groups/{groupId}/users"."""
    provenance: Mark
    """The mark of the path or of the shape: the less certain of the two."""
    rights: Rights = field(converter=_rights)
    answer: type
    """The class of its answer."""
    parameters: tuple[Parameter, ...] = ()
    headers: dict[str, Schema] = field(factory=dict)
    """Request headers that only this operation reads, each with description and schema."""
    body: Schema | None = None
    """The schema of the JSON body; None for an operation without one."""
    refusals: tuple[Reason, ...] = ()
    """Reasons in addition to those of every operation."""
    links: tuple[Link, ...] = ()
    noun: str = ""
    """The subject of the operation, if the path does not name it."""
    audited: bool = False
    """R23: the audit log records each call, accepted or refused."""
    lagged: bool = False
    """Answers from the warehouse, which may show the past (P)."""
    reference_only: bool = False
    """True if no live service has this operation."""
    always_strict: bool = False
    """True if a lenient world also rejects unknown fields and parameters: ignoring one could widen the scope (R07)."""
    handler: Handler | None = None
    """None for an operation that is not part of Training: 501 with its name."""
    summary: str = ""
    """The first paragraph of the handler's docstring."""
    method: str = field(init=False)
    template: str = field(init=False)
    query: tuple[str, ...] = field(init=False)
    """The names of the parameters."""

    def __attrs_post_init__(self) -> None:
        method, _, template = self.request.partition(" ")
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "query", tuple(each.name for each in self.parameters))

    def __call__(self, handler: Handler) -> Operation:
        """Return this operation with a handler; the first paragraph of its docstring is the summary."""
        summary, _, _ = (inspect.getdoc(handler) or "").partition("\n\n")
        return evolve(self, handler=handler, summary=summary)

    @property
    def takes_body(self) -> bool:
        """True if the request has a JSON body."""
        return self.body is not None
