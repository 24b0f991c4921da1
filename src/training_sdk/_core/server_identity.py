"""How an answer shows that the reference server gave it: by a digest that fits the request alone (assumed).

``X-Training-Mock`` proves nothing, because a gateway can add it to the answers of a live service.
"""

from __future__ import annotations

import hashlib

MARK = "x-training-mock"
HEADER = "x-training-mock-identity"

ONLY_MARKED = (
    "The answer has the header X-Training-Mock, but not the identity of the reference server for this request. Two "
    "causes are possible: a gateway adds the header to the answers of another service, or the reference server is "
    "older than this client. Remove the header from the gateway, or update the reference server"
)


def identity(method: str, target: str, request_id: str) -> str:
    """Return what the reference server answers to this request: SHA-256 in hex.

    ``target`` is path and query relative to the base URL, and ``request_id`` the X-Request-ID as it was sent.
    """
    text = "\n".join((method, target, request_id))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
