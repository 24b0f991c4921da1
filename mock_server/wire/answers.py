"""Writing answers: JSON bodies, and the one error body that everything shares."""

from __future__ import annotations

import hashlib
import json

from mock_server._version import __version__
from mock_server.refusal import Reason, RefusedError
from mock_server.wire.message import Request, Response

MARK = "x-training-mock"
IDENTITY = "x-training-mock-identity"
JSON = ("content-type", "application/json")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def to_json(value: object) -> bytes:
    """Compact UTF-8 JSON."""
    return _encode(value).encode()


def marks(request: Request | None) -> tuple[tuple[str, str], ...]:
    """The headers that identify the reference server: its version, and the identity, which fits this request only.

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
    """A 200 with a JSON body."""
    return raw_ok(to_json(value))


def raw_ok(body: bytes) -> Response:
    """A 200 whose JSON is ready-made."""
    return Response(200, (JSON,), body)


def error(refusal: RefusedError, *, detailed: bool = True) -> Response:
    """The error answer: code, message and an AIP-193 ErrorInfo (assumed), which a live service leaves out (O).

    A 401 also says which scheme is expected.
    """
    reason = refusal.reason
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason.name,
        "domain": "training",
        "metadata": refusal.metadata,
    }
    message = refusal.message + refusal.hint if detailed else refusal.message
    body = {
        "code": reason.code,
        "message": message,
        "details": [info] if detailed and not refusal.is_brief else [],
    }
    challenge = (("www-authenticate", "Bearer"),) if reason is Reason.UNAUTHENTICATED else ()
    return Response(reason.status, (JSON, *challenge, *refusal.headers), to_json(body))
