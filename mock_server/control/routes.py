"""The control plane's operations, one line each in the table at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mock_server._version import __version__
from mock_server.api import openapi
from mock_server.control import actions, inspection, worlds
from mock_server.refusal import Reason, RefusedError
from mock_server.rules.access import find_token
from mock_server.wire import answers
from mock_server.wire.message import Request, Response

if TYPE_CHECKING:
    from mock_server.mock import MockTraining

Operation = Callable[["MockTraining", Request], Response]


def handle_control(mock: MockTraining, request: Request) -> Response:
    """Answer a request under ``/_mock/``, or for the contract.

    RefusedError: 401 for a token that no world knows, 404 for an unknown path, 405 for another method.
    """
    _refuse_strangers(mock, request)
    methods = _methods(request.path)
    if methods is None:
        known = ", ".join(_ROUTES)
        raise RefusedError(Reason.UNKNOWN_PATH, f"The control plane has no such path. It has {known}.")
    operation = methods.get("GET" if request.method == "HEAD" else request.method)
    if operation is None:
        raise _method_not_allowed(request, methods)
    return operation(mock, request)


def _refuse_strangers(mock: MockTraining, request: Request) -> None:
    """Refuse unknown tokens: a token selects the world, and a misspelt one must not select the first world."""
    authorization = request.all_headers("authorization")
    if not authorization or worlds.is_of_the_server(request.path) or request.path in _OF_THE_SERVER:
        return
    if find_token(mock.world, authorization) is None:
        raise RefusedError(
            Reason.UNAUTHENTICATED,
            "The API token opens no world of this server. Send no Authorization header for its first world, or"
            " Authorization: Bearer with a token of a world that exists; it may be revoked or expired.",
        )


def _methods(path: str) -> dict[str, Operation] | None:
    """Return the methods of a path; paths that end in an id are in the table with {id}."""
    parent, _, last = path.rpartition("/")
    return _ROUTES.get(path) or (_ROUTES.get(f"{parent}/{{id}}") if last else None)


def _method_not_allowed(request: Request, methods: dict[str, Operation]) -> RefusedError:
    allowed = ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
    message = f"{request.path} supports {allowed}, not {request.method[:20]}."
    refusal = RefusedError(Reason.METHOD_NOT_ALLOWED, message)
    refusal.headers = (("allow", allowed),)
    return refusal


def _health(_mock: MockTraining, _request: Request) -> Response:
    return answers.ok({"status": "ok", "version": __version__})


def _tokens(mock: MockTraining, _request: Request) -> Response:
    return answers.ok({"tokens": mock.tokens()})


def _openapi(_mock: MockTraining, _request: Request) -> Response:
    return answers.raw_ok(openapi.document_bytes())


_ROUTES: dict[str, dict[str, Operation]] = {
    "/_mock/health": {"GET": _health},
    "/_mock/tokens": {"GET": _tokens},
    "/_mock/state": {"GET": inspection.get_state, "PUT": inspection.put_state},
    "/_mock/marks": {"GET": inspection.list_marks, "POST": inspection.make_mark},
    "/_mock/marks/{id}": {
        "GET": inspection.compare_mark,
        "POST": inspection.return_to_mark,
        "DELETE": inspection.drop_mark,
    },
    "/_mock/clock": {"GET": actions.get_clock, "POST": actions.set_clock},
    "/_mock/faults": {
        "GET": actions.get_faults,
        "POST": actions.add_fault,
        "PUT": actions.replay_faults,
        "DELETE": actions.clear_faults,
    },
    "/_mock/outbox": {"GET": inspection.get_outbox},
    "/_mock/certificates": {"GET": inspection.get_certificates},
    "/_mock/audit": {"GET": inspection.get_audit},
    "/_mock/deliveries": {"GET": inspection.get_deliveries},
    "/_mock/calls": {"GET": inspection.get_calls, "DELETE": inspection.clear_calls},
    "/_mock/learners/{id}": {"POST": actions.act},
    worlds.PATH: {"GET": worlds.list_worlds, "POST": worlds.create_world},
    f"{worlds.PATH}/{{id}}": {"DELETE": worlds.delete_world},
    openapi.PATH: {"GET": _openapi},
}
# The same for every world.
_OF_THE_SERVER = ("/_mock/health", openapi.PATH)
