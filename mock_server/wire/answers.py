"""Writing answers: JSON bodies, and the one error body that everything shares."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from mock_server._version import __version__
from mock_server.refusal import Reason, RefusedError
from mock_server.wire.message import Request, Response
from mock_server.wire.schema import Format, answer, choice, field, json_text

MARK = "x-training-mock"
IDENTITY = "x-training-mock-identity"
JSON = ("content-type", "application/json")


@answer("A", is_component=False)
class ErrorInfo:
    """An AIP-193 ErrorInfo."""

    type: Literal["type.googleapis.com/google.rpc.ErrorInfo"] = field(name="@type")
    reason: Annotated[str, Format(choice(reason.name for reason in Reason))] = field(
        "Stable and machine-readable."
    )
    domain: Literal["training"]
    metadata: dict[str, str]


@answer("O")
class Error:
    """The body of every refusal."""

    code: int = field("Probably the gRPC code.")
    message: str
    details: list[ErrorInfo] = field(mark="A", minItems=1, maxItems=1)


def to_json(value: object) -> bytes:
    """Return compact UTF-8 JSON of an answer, or of any other value."""
    return json_text(value).encode()


def marks(request: Request | None) -> tuple[tuple[str, str], ...]:
    """Return the headers that identify the reference server: its version, and the identity of this request.

    The identity is the SHA-256 of method, target and the X-Request-ID as it was sent, each on a line of its own. A
    request without an id, or with several, gets none.
    """
    version = (MARK, __version__)
    ids = [] if request is None else request.all_headers("x-request-id")
    if request is None or len(ids) != 1:
        return (version,)
    target = f"{request.path}?{request.query}" if request.query else request.path
    text = "\n".join((request.method, target, ids[0]))
    return version, (IDENTITY, hashlib.sha256(text.encode("latin-1", "replace")).hexdigest())


def ok(value: object) -> Response:
    """Return a 200 with a JSON body."""
    return raw_ok(to_json(value))


def raw_ok(body: bytes) -> Response:
    """Return a 200 with a body that is JSON already."""
    return Response(200, (JSON,), body)


def error(refusal: RefusedError, *, detailed: bool = True) -> Response:
    """Return the error answer: code, message, and an ErrorInfo, which a live service leaves out (O).

    A 401 also says which scheme is expected.
    """
    reason = refusal.reason
    info = ErrorInfo("type.googleapis.com/google.rpc.ErrorInfo", reason.name, "training", refusal.metadata)
    message = refusal.message + refusal.hint if detailed else refusal.message
    body = Error(reason.code, message, [info] if detailed and not refusal.is_brief else [])
    challenge = (("www-authenticate", "Bearer"),) if reason is Reason.UNAUTHENTICATED else ()
    return Response(reason.status, (JSON, *challenge, *refusal.headers), to_json(body))
