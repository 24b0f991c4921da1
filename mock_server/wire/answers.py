"""Writing answers: JSON bodies, and the one error body that everything shares."""

from __future__ import annotations

import json

from mock_server.refusal import Reason, RefusedError
from mock_server.wire.message import Response

JSON = ("content-type", "application/json")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def to_json(value: object) -> bytes:
    """Compact UTF-8 JSON."""
    return _encode(value).encode()


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
    body = {"code": reason.code, "message": message, "details": [info] if detailed else []}
    challenge = (("www-authenticate", "Bearer"),) if reason is Reason.UNAUTHENTICATED else ()
    return Response(reason.status, (JSON, *challenge, *refusal.headers), to_json(body))
