"""``handle()``: one request in, one answer out, by the order of checks of R29; nothing else.

What needs no state (path, query, body) is read before the world's lock is taken; its faults are raised in their
turn, after the token has been checked. Of a request whose token no world knows, query and body are not read at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve, frozen

from mock_server.api.call import Call, Operation
from mock_server.api.listing import empty_feed
from mock_server.api.routes import OPERATIONS, Router, unknown_path
from mock_server.control.fault_injection import troubled
from mock_server.control.routes import handle_control
from mock_server.openapi import PATH as CONTRACT
from mock_server.policy import Policy
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import audit, idempotency, rate_limits
from mock_server.rules.authentication import Actor, authenticate, find_token
from mock_server.wire import answers, forms, reading
from mock_server.wire.fields import Params
from mock_server.wire.message import Request, Response
from mock_server.world import clock
from mock_server.world.people import Token
from mock_server.world.world import World

if TYPE_CHECKING:
    from mock_server.mock import MockTraining

log = logging.getLogger("mock_server")
_ROUTER = Router(OPERATIONS)
_T = TypeVar("_T")


def handle(mock: MockTraining, request: Request) -> Response:
    """Answer one request. Never raises: what goes wrong inside is a 500 and a line in the log."""
    request_id = _request_id(mock.world, request)
    policy = mock.world.policy
    if is_control(request.path):
        response = _safely(
            evolve(policy, errors="detailed"), request_id, lambda: handle_control(mock, request)
        )
    else:
        response = _safely(policy, request_id, lambda: _served(mock, request, request_id))
    marks = answers.marks(request) if policy.is_reference else ()
    date = ("date", clock.to_http(mock.world.clock.now()))
    return response.with_headers((date, *marks, ("x-request-id", request_id)))


def is_control(path: str) -> bool:
    """Whether a request is put to the reference server as such, and not to what it plays."""
    return path.startswith("/_mock/") or path == CONTRACT


def _served(mock: MockTraining, request: Request, request_id: str) -> Response:
    """The world's answer, or what the script of faults makes of it."""
    incoming = _Incoming.read(request, request_id, lenient=mock.world.policy.is_lenient)
    struck = mock.faults.strike(incoming.operation)
    if not struck:
        return _answer(mock.world, incoming)
    policy = mock.world.policy
    return troubled(
        mock, struck, request, lambda: _safely(policy, request_id, lambda: _answer(mock.world, incoming))
    )


def _safely(policy: Policy, request_id: str, run: Callable[[], Response]) -> Response:
    """An answer in any case: a refusal as the rule has it, a fault of ours as 500."""
    try:
        return run()
    except RefusedError as refusal:
        told = refusal.brief() if policy.errors == "brief" else refusal
        return answers.error(told, detailed=policy.is_reference)
    except Exception:
        log.exception("request %s failed inside the reference server", request_id)
        failed = RefusedError(Reason.INTERNAL, f"Request {request_id} failed; see the log.")
        return answers.error(failed, detailed=policy.is_reference)


def _request_id(world: World, request: Request) -> str:
    return request.id or world.ids.request()


def _try(read: Callable[[], _T]) -> _T | RefusedError:
    try:
        return read()
    except RefusedError as refusal:
        return refusal


def _get(value: _T | RefusedError) -> _T:
    if isinstance(value, RefusedError):
        raise value
    return value


@frozen(slots=False)
class _Incoming:
    """What is read of a request without looking at the world; each part may be a refusal."""

    request: Request
    request_id: str
    authorization: list[str]
    route: tuple[Operation, dict[str, str]] | RefusedError
    lenient: bool

    @classmethod
    def read(cls, request: Request, request_id: str, *, lenient: bool) -> _Incoming:
        """Find the operation; query and body are read when they are first asked for, as the operation takes them."""
        route = _try(lambda: _ROUTER.find(request.method, reading.segments(request.path)))
        return cls(request, request_id, request.all_headers("authorization"), route, lenient)

    @cached_property
    def body(self) -> object:
        """The JSON body, or None where the operation takes none."""
        takes_body = self.operation is not None and self.operation.takes_body

        def read() -> object:
            if takes_body:
                return reading.json_body(self.request, lenient=self.lenient)
            reading.no_body(self.request)
            return None

        return _try(read)

    @cached_property
    def query(self) -> list[tuple[str, str]] | RefusedError:
        """The parameters of the query."""
        return _try(lambda: reading.pairs(self.request.query))

    def read_ahead(self) -> None:
        """Read query and body now, so that nobody waits for it at the world's lock."""
        _ = self.body, self.query

    @property
    def operation(self) -> Operation | None:
        """The operation, if there is one."""
        return None if isinstance(self.route, RefusedError) else self.route[0]


@frozen
class _Asked:
    """Who wants what."""

    token: Token
    actor: Actor
    operation: Operation
    path: dict[str, str]


def _answer(world: World, incoming: _Incoming) -> Response:
    """Count a reset as running from its arrival on; hold the world's lock for all that decides about it."""
    token = find_token(world, incoming.authorization)
    if token is not None:
        incoming.read_ahead()
    operation = incoming.operation
    if token is None or operation is None or not operation.audited:
        with world.up_to_date():
            return _perform(world, incoming, is_repeat=False)
    keys = incoming.request.all_headers(idempotency.HEADER) if world.policy.is_reference else []
    slot = idempotency.slot(token, operation.name, keys[0]) if len(keys) == 1 else None
    with world.keys.running(slot) as is_repeat, world.up_to_date():
        try:
            return _perform(world, incoming, is_repeat=is_repeat)
        except Exception as fault:
            refusal = fault if isinstance(fault, RefusedError) else RefusedError(Reason.INTERNAL, "")
            audit.refused(world, token, incoming.request_id, incoming.body, refusal)
            raise


def _perform(world: World, incoming: _Incoming, *, is_repeat: bool) -> Response:
    token, actor = authenticate(world, incoming.authorization)
    operation, path = _get(incoming.route)
    if operation.reference_only and not world.policy.is_reference:
        raise unknown_path()
    pace = rate_limits.spend(world, actor, operation.name)
    try:
        response = _operate(world, _Asked(token, actor, operation, path), incoming, is_repeat=is_repeat)
    except RefusedError as refusal:
        refusal.headers = (*refusal.headers, *pace)
        raise
    return forms.rewritten(world.policy, incoming.request, response).with_headers(pace)


def _operate(world: World, asked: _Asked, incoming: _Incoming, *, is_repeat: bool) -> Response:
    operation, actor = asked.operation, asked.actor
    if operation.handler is None and world.policy.other_feeds == "empty":
        return empty_feed()
    if operation.handler is None or operation.rights is None:
        raise RefusedError(
            Reason.UNIMPLEMENTED,
            f"{operation.name} is not part of Training, and the reference server serves nothing else.",
            {"operation": operation.name},
        )
    body, query = _get(incoming.body), _get(incoming.query)
    if not incoming.lenient:
        reading.agent(incoming.request)
    reach = operation.rights(world, actor, body)
    params = Params.read(query, operation.query, lenient=incoming.lenient and not operation.always_strict)
    shown = world.warehouse_time() if operation.lagged else None
    if shown is not None:
        actor = evolve(actor, organisation=actor.organisation.as_of(shown))
    request, request_id = incoming.request, incoming.request_id
    call = Call(
        world,
        operation,
        asked.token,
        actor,
        reach,
        asked.path,
        params,
        body,
        request,
        request_id,
        is_repeat,
    )
    return operation.handler(call)
