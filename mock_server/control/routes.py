"""The control plane: state, marks and what has happened, and the table of all its operations at the end."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from mock_server._version import __version__
from mock_server.api import openapi
from mock_server.control import actions, worlds
from mock_server.control.calls import Body, Calls, Exchange
from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.rules.access import find_token
from mock_server.wire import answers, reading
from mock_server.wire.fields import Fields, Params
from mock_server.wire.message import Request, Response
from mock_server.world.codec import StateError, encode
from mock_server.world.differences import Change

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mock_server.mock import MockTraining


MAX_MARKS = 16


def get_state(mock: MockTraining, _request: Request) -> Response:
    """GET /_mock/state: the whole state as one document."""
    return answers.ok(mock.state())


def put_state(mock: MockTraining, request: Request) -> Response:
    """PUT /_mock/state: bring the world into the state of a document."""
    document = reading.json_body(request)
    if not isinstance(document, dict):
        raise invalid("The body must be a state document that GET /_mock/state returned.")
    return _become(mock, document)


def _become(mock: MockTraining, document: dict[str, Any]) -> Response:
    try:
        mock.become(document)
    except StateError as fault:
        raise invalid(f"The state cannot be loaded. Nothing was changed. {fault}") from None
    return answers.ok({})


def list_marks(mock: MockTraining, _request: Request) -> Response:
    """GET /_mock/marks: their names."""
    return answers.ok({"marks": list(mock.marks)})


def make_mark(mock: MockTraining, request: Request) -> Response:
    """POST /_mock/marks: store the present state under a name, replacing a state of that name."""
    name = Fields.read(reading.json_body(request), ("name",)).id("name")
    with mock.world.lock:
        if len(mock.marks) >= MAX_MARKS and name not in mock.marks:
            raise invalid(f"There are {MAX_MARKS} marks already. Delete one first.", "name")
        mock.marks[name] = mock.state()
    return answers.ok({"mark": name})


def compare_mark(mock: MockTraining, request: Request) -> Response:
    """GET /_mock/marks/{name}: what has changed since, record by record."""
    return answers.ok({"changes": [_change(each) for each in mock.diff(mock.marks[_mark(mock, request)])]})


def return_to_mark(mock: MockTraining, request: Request) -> Response:
    """POST /_mock/marks/{name}: return to the stored state; the mark is kept."""
    reading.no_body(request)
    return _become(mock, mock.marks[_mark(mock, request)])


def drop_mark(mock: MockTraining, request: Request) -> Response:
    """DELETE /_mock/marks/{name}: forget it."""
    mock.marks.pop(_mark(mock, request), None)
    return answers.ok({})


def _mark(mock: MockTraining, request: Request) -> str:
    name = unquote(request.path.rpartition("/")[2])
    if name not in mock.marks:
        listed = ", ".join(mock.marks) or "none"
        raise RefusedError(Reason.UNKNOWN_PATH, f"There is no mark {name[:100]!r}. The marks are: {listed}.")
    return name


def _change(change: Change) -> dict[str, Any]:
    return {
        "what": change.what,
        "kind": change.kind,
        "key": list(change.key),
        "label": change.label,
        "fields": list(change.fields),
        "before": change.before,
        "after": change.after,
    }


def get_outbox(mock: MockTraining, _request: Request) -> Response:
    """GET /_mock/outbox: every notification sent, oldest first."""
    return answers.ok({"notifications": encode(mock.outbox)})


def get_certificates(mock: MockTraining, _request: Request) -> Response:
    """GET /_mock/certificates: every certificate that is shown, oldest first."""
    return answers.ok({"certificates": encode(mock.certificates)})


def get_audit(mock: MockTraining, _request: Request) -> Response:
    """GET /_mock/audit: every reset asked for, done or refused, oldest first."""
    return answers.ok({"entries": encode(mock.audit)})


def get_deliveries(mock: MockTraining, _request: Request) -> Response:
    """GET /_mock/deliveries: every attempt to deliver a webhook, oldest first, and how many messages wait."""
    return answers.ok({"deliveries": encode(mock.webhooks.deliveries), "waiting": len(mock.world.pending)})


def get_calls(mock: MockTraining, request: Request) -> Response:
    """GET /_mock/calls: the journal, narrowed by ``operation``, ``token`` and ``status``."""
    asked = Params.read(reading.pairs(request.query), ("operation", "token", "status"))
    calls = mock.calls[:]
    # Given and empty is given: a variable that a script left empty must not ask for everything, or nothing.
    for name, narrow in (("operation", Calls.of), ("token", Calls.by)):
        if name in asked.values:
            try:
                calls = narrow(calls, asked.text(name))
            except LookupError as fault:
                raise invalid(str(fault.args[0]), name) from None
    if "status" in asked.values:
        calls = calls.answered(asked.number("status", 0, 100, 599))
    return answers.ok({"calls": _calls(calls), "dropped": calls.dropped})


def clear_calls(mock: MockTraining, request: Request) -> Response:
    """DELETE /_mock/calls: forget all of them."""
    reading.no_body(request)
    mock.calls.clear()
    return answers.ok({})


def _calls(calls: Iterable[Exchange]) -> list[dict[str, Any]]:
    return [
        {
            "number": each.number,
            "operation": each.operation,
            "token": each.token,
            "method": each.method,
            "path": each.path,
            "query": each.query,
            "headers": [list(header) for header in each.headers],
            "body": _body(each.body),
            "status": each.status,
            "answer_headers": [list(header) for header in each.answer_headers],
            "answer": _body(each.answer),
            "request_id": each.request_id,
            "delivered": each.delivered,
            "faults": list(each.faults),
            "instead": each.instead,
        }
        for each in calls
    ]


def _body(body: Body) -> dict[str, Any]:
    """Return a body as text if it is UTF-8, else in Base64, so that JSON loses nothing."""
    try:
        return {"text": body.data.decode(), "cut": body.is_cut}
    except UnicodeDecodeError:
        return {"base64": b64encode(body.data).decode(), "cut": body.is_cut}


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
    "/_mock/state": {"GET": get_state, "PUT": put_state},
    "/_mock/marks": {"GET": list_marks, "POST": make_mark},
    "/_mock/marks/{id}": {
        "GET": compare_mark,
        "POST": return_to_mark,
        "DELETE": drop_mark,
    },
    "/_mock/clock": {"GET": actions.get_clock, "POST": actions.set_clock},
    "/_mock/faults": {
        "GET": actions.get_faults,
        "POST": actions.add_fault,
        "PUT": actions.replay_faults,
        "DELETE": actions.clear_faults,
    },
    "/_mock/outbox": {"GET": get_outbox},
    "/_mock/certificates": {"GET": get_certificates},
    "/_mock/audit": {"GET": get_audit},
    "/_mock/deliveries": {"GET": get_deliveries},
    "/_mock/calls": {"GET": get_calls, "DELETE": clear_calls},
    "/_mock/learners/{id}": {"POST": actions.act},
    worlds.PATH: {"GET": worlds.list_worlds, "POST": worlds.create_world},
    f"{worlds.PATH}/{{id}}": {"DELETE": worlds.delete_world},
    openapi.PATH: {"GET": _openapi},
}
# The same for every world.
_OF_THE_SERVER = ("/_mock/health", openapi.PATH)
