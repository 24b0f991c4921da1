"""``handle()``: one request in, one answer out. ``STEPS`` are the checks of rule R29, in their order.

What needs no state (path, query, body) is read before the world's lock is taken; its faults are raised in their
turn, after the token has been checked. Of a request whose token no world knows, query and body are not read at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from attrs import define, evolve, field

from mock_server.api.openapi import PATH as CONTRACT
from mock_server.api.operation import Call, Operation
from mock_server.api.routes import OPERATIONS, Router, empty_feed, unknown_path
from mock_server.control.fault_injection import with_faults
from mock_server.control.routes import handle_control
from mock_server.policy import Policy
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import audit, idempotency, rate_limits
from mock_server.rules.access import Actor, Reach, authenticate, find_token
from mock_server.wire import answers, forms, reading
from mock_server.wire.fields import Params
from mock_server.wire.message import Request, Response
from mock_server.world import clock
from mock_server.world.ledger import Slot
from mock_server.world.people import Token
from mock_server.world.world import World

if TYPE_CHECKING:
    from mock_server.mock import MockTraining

log = logging.getLogger("mock_server")
_ROUTER = Router(OPERATIONS)
_T = TypeVar("_T")
_P = ParamSpec("_P")


def handle(mock: MockTraining, request: Request) -> Response:
    """Answer one request. Never raises: what goes wrong inside is a 500 and a line in the log."""
    request_id = request.id or mock.world.ids.request()
    policy = mock.world.policy
    if is_control(request.path):
        response = _safely(
            evolve(policy, errors="detailed"), request_id, lambda: handle_control(mock, request)
        )
    else:
        response = _safely(policy, request_id, lambda: _answer(mock, request, request_id))
    marks = answers.marks(request) if policy.is_reference else ()
    date = ("date", clock.to_http(mock.world.clock.now()))
    return response.with_headers((date, *marks, ("x-request-id", request_id)))


def is_control(path: str) -> bool:
    """Return True for a request to the reference server as such, and not to the service that it simulates."""
    return path.startswith("/_mock/") or path == CONTRACT


def _safely(policy: Policy, request_id: str, run: Callable[[], Response]) -> Response:
    """Return an answer in any case: a refusal as the rule has it, a fault of this server as 500."""
    try:
        return run()
    except RefusedError as refusal:
        shown = refusal.brief() if policy.errors == "brief" else refusal
        return answers.error(shown, detailed=policy.is_reference)
    except Exception:
        log.exception("Request %s failed inside the reference server.", request_id)
        failed = RefusedError(
            Reason.INTERNAL, f"Request {request_id} failed. See the log of the reference server."
        )
        return answers.error(failed, detailed=policy.is_reference)


def _answer(mock: MockTraining, request: Request, request_id: str) -> Response:
    """Return the world's answer, or what the injected faults make of it."""
    exchange = Exchange(mock.world, request, request_id)
    injected = mock.faults.strike(exchange.asked_for)
    if not injected:
        return _locked(exchange)
    policy = mock.world.policy
    return with_faults(
        mock, injected, request, lambda: _safely(policy, request_id, lambda: _locked(exchange))
    )


_UNREAD = object()


@define(repr=False)  # it holds the token as it was sent
class Exchange:
    """One request and what the steps have found out about it so far."""

    world: World
    request: Request
    request_id: str
    lenient: bool = field(init=False)
    authorization: Sequence[str] = field(init=False)
    route: tuple[Operation, dict[str, str]] | RefusedError = field(init=False)
    """The operation and the parameters in the path, or why there is none."""
    asked_for: Operation | None = field(init=False)
    """The operation that the path names; None if there is none."""
    body: object = _UNREAD
    """The JSON body, None where the operation takes none, or what is wrong with it."""
    query: list[tuple[str, str]] | RefusedError = field(factory=list)
    """The parameters of the query, or what is wrong with them."""
    is_repeat: bool = False
    """R11: a request with the same Idempotency-Key was still running when this one arrived."""
    token: Token = field(init=False)
    actor: Actor = field(init=False)
    operation: Operation = field(init=False)
    path: dict[str, str] = field(init=False)
    rate_headers: rate_limits.Headers = ()
    reach: Reach = field(init=False)
    params: Params = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.lenient = self.world.policy.is_lenient
        self.authorization = self.request.all_headers("authorization")
        self.route = _read(_ROUTER.find, self.request.method, self.request.path)
        self.asked_for = None if isinstance(self.route, RefusedError) else self.route[0]

    def read_content(self) -> None:
        """Read body and query, once."""
        if self.body is not _UNREAD:
            return
        request = self.request
        if self.asked_for is not None and self.asked_for.takes_body:
            self.body = _read(reading.json_body, request, lenient=self.lenient)
        else:
            self.body = _read(reading.no_body, request)
        self.query = _read(reading.pairs, request.query)


def _read(read: Callable[_P, _T], *given: _P.args, **named: _P.kwargs) -> _T | RefusedError:
    try:
        return read(*given, **named)
    except RefusedError as refusal:
        return refusal


def _value(found: _T | RefusedError) -> _T:
    if isinstance(found, RefusedError):
        raise found
    return found


def _locked(exchange: Exchange) -> Response:
    """Take the steps with the world's lock held; a reset counts as running from its arrival on, and is audited."""
    world, operation = exchange.world, exchange.asked_for
    token = find_token(world, exchange.authorization)
    if token is not None:
        exchange.read_content()  # now, so that no other request waits for it at the lock
    audited = token if operation is not None and operation.audited else None
    slot = None if audited is None else _slot(exchange, audited)
    with world.keys.running(slot) as exchange.is_repeat, world.lock:
        world._run_due_resets()
        try:
            return _take_steps(exchange)
        except Exception as fault:
            if audited is not None:
                refusal = fault if isinstance(fault, RefusedError) else RefusedError(Reason.INTERNAL, "")
                audit.refused(world, audited, exchange.request_id, exchange.body, refusal)
            raise


def _slot(exchange: Exchange, token: Token) -> Slot | None:
    """Return where the answer for the Idempotency-Key of this request is stored, if there is a key."""
    keys = exchange.request.all_headers(idempotency.HEADER) if exchange.world.policy.is_reference else []
    operation, _ = _value(exchange.route)
    return idempotency.slot(token, operation.name, keys[0]) if len(keys) == 1 else None


def _take_steps(exchange: Exchange) -> Response:
    """Take one step after another until one answers or refuses; either tells the rate limit."""
    try:
        response = _first_answer(exchange)
    except RefusedError as refusal:
        refusal.headers = (*refusal.headers, *exchange.rate_headers)
        raise
    response = forms.rewritten(exchange.world.policy, exchange.request, response)
    return response.with_headers(exchange.rate_headers)


def _first_answer(exchange: Exchange) -> Response:
    for step in STEPS:
        answer = step(exchange)
        if answer is not None:
            return answer
    raise AssertionError("The last step must answer or refuse.")


# --- the steps --------------------------------------------------------------------------------------------------------


def check_token(exchange: Exchange) -> None:
    """401 without a token, or with one that is unknown, expired or revoked."""
    exchange.token, exchange.actor = authenticate(exchange.world, exchange.authorization)
    exchange.read_content()  # if the token has become known a moment ago


def find_operation(exchange: Exchange) -> None:
    """404 for an unknown path, 405 for another method."""
    exchange.operation, exchange.path = _value(exchange.route)
    if exchange.operation.reference_only and not exchange.world.policy.is_reference:
        raise unknown_path()


def count_request(exchange: Exchange) -> None:
    """429 after too many requests in a minute."""
    exchange.rate_headers = rate_limits.spend(exchange.world, exchange.actor, exchange.operation.per_minute)


def check_served(exchange: Exchange) -> Response | None:
    """501 for a feed that is not part of Training, or an empty feed if the policy says so."""
    if exchange.operation.handler is not None:
        return None
    if exchange.world.policy.other_feeds == "empty":
        return empty_feed()
    raise RefusedError(
        Reason.UNIMPLEMENTED,
        f"{exchange.operation.name} is not part of Training, and the reference server serves nothing else.",
        {"operation": exchange.operation.name},
    )


def check_body(exchange: Exchange) -> None:
    """413 for a body that is too large, 415 for another type than JSON, 400 for bad JSON."""
    _value(exchange.body)


def check_query(exchange: Exchange) -> None:
    """400 for a query that cannot be decoded."""
    _value(exchange.query)


def check_agent(exchange: Exchange) -> None:
    """400 without a User-Agent, unless the world is lenient."""
    if not exchange.lenient:
        reading.agent(exchange.request)


def check_rights(exchange: Exchange) -> None:
    """403 without the rights to the operation."""
    exchange.reach = exchange.operation.require(exchange.world, exchange.actor, exchange.body)


def check_parameters(exchange: Exchange) -> None:
    """400 for an unknown or repeated parameter of the query."""
    lenient = exchange.lenient and not exchange.operation.always_strict
    exchange.params = Params.read(_value(exchange.query), exchange.operation.query, lenient=lenient)


def perform(exchange: Exchange) -> Response:
    """Call the handler, which checks the fields (400), the course, the users (404) and whatever else it reads."""
    world, actor, operation = exchange.world, exchange.actor, exchange.operation
    assert operation.handler is not None
    shown = world.warehouse_time() if operation.lagged else None
    if shown is not None:
        actor = evolve(actor, organisation=actor.organisation.as_of(shown))
    call = Call(
        world=world,
        operation=operation,
        token=exchange.token,
        actor=actor,
        reach=exchange.reach,
        path=exchange.path,
        query=exchange.params,
        body=exchange.body,
        request=exchange.request,
        request_id=exchange.request_id,
        is_repeat=exchange.is_repeat,
    )
    return operation.handler(call)


STEPS: tuple[Callable[[Exchange], Response | None], ...] = (
    check_token,
    find_operation,
    count_request,
    check_served,
    check_body,
    check_query,
    check_agent,
    check_rights,
    check_parameters,
    perform,
)
"""The checks in the order of rule R29; each refuses, answers, or notes in the exchange what it has found."""
