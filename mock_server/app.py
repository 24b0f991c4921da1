"""``handle()``: one request in, one answer out, by the order of checks of R29; nothing else.

Whatever needs no state (path, query, body) is read before the world's lock is taken, its faults are raised in
their turn.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from mock_server._version import __version__
from mock_server.operations.call import Call, Operation
from mock_server.operations.routing import Router
from mock_server.operations.table import OPERATIONS
from mock_server.refusal import Reason, RefusedError
from mock_server.rules.authentication import Actor, authenticate
from mock_server.wire import answers, reading
from mock_server.wire.fields import Params
from mock_server.wire.message import Request, Response
from mock_server.world.world import World

if TYPE_CHECKING:
    from mock_server.mock import MockTraining

log = logging.getLogger("mock_server")
_ROUTER = Router(OPERATIONS)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_T = TypeVar("_T")


def handle(mock: MockTraining, request: Request) -> Response:
    """Answer one request. Never raises: what goes wrong inside is a 500 and a line in the log."""
    request_id = _request_id(mock.world, request)
    try:
        response = _answer(mock.world, request, request_id)
    except RefusedError as refusal:
        response = answers.error(refusal)
    except Exception:
        log.exception("request %s failed inside the reference server", request_id)
        response = answers.error(RefusedError(Reason.INTERNAL, f"Request {request_id} failed; see the log."))
    return marked(response, request_id)


def marked(response: Response, request_id: str) -> Response:
    """The headers that every answer of the reference server carries."""
    return response.with_headers((("x-training-mock", __version__), ("x-request-id", request_id)))


def _request_id(world: World, request: Request) -> str:
    given = request.all_headers("x-request-id")
    return given[0] if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]) else world.ids.request()


def _or_refusal(read: Callable[[], _T]) -> _T | RefusedError:
    try:
        return read()
    except RefusedError as refusal:
        return refusal


def _it(value: _T | RefusedError) -> _T:
    if isinstance(value, RefusedError):
        raise value
    return value


def _answer(world: World, request: Request, request_id: str) -> Response:
    route = _or_refusal(lambda: _ROUTER.find(request.method, reading.segments(request.path)))
    takes_body = not isinstance(route, RefusedError) and route[0].takes_body
    syntax = _or_refusal(lambda: _syntax(request, takes_body))
    with world.lock:
        actor = authenticate(world, request.all_headers("authorization"))
        operation, path = _it(route)
        return _perform(world, actor, operation, path, syntax, request, request_id)


def _syntax(request: Request, takes_body: bool) -> tuple[object, list[tuple[str, str]]]:
    if takes_body:
        return reading.json_body(request), reading.pairs(request.query)
    reading.no_body(request)
    return None, reading.pairs(request.query)


def _perform(
    world: World,
    actor: Actor,
    operation: Operation,
    path: dict[str, str],
    syntax: tuple[object, list[tuple[str, str]]] | RefusedError,
    request: Request,
    request_id: str,
) -> Response:
    if operation.handler is None or operation.rights is None:
        raise RefusedError(
            Reason.UNIMPLEMENTED,
            f"The reference server does not serve {operation.name}.",
            {"operation": operation.name},
        )
    body, query = _it(syntax)
    reach = operation.rights(world, actor, body)
    params = Params.read(query, operation.query)
    return operation.handler(Call(world, actor, reach, path, params, body, request, request_id))
