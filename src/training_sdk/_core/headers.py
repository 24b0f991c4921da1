"""Headers that decide who is asked, as whom and for what: the SDK alone sets them."""

from __future__ import annotations

_NAMES = frozenset(
    {
        *("authorization", "host", "connection", "content-length", "transfer-encoding", "te", "trailer"),
        *("expect", "upgrade", "keep-alive", "reset-confirmation", "idempotency-key"),
        *(
            "forwarded",
            "destination",
            "x-host",
            "x-url",
            "x-uri",
            "x-path",
            "x-forward-host",
            "x-request-uri",
        ),
    }
)
_STARTS = (
    "proxy-",
    "x-forward",
    "x-backend-",
    "x-target-",
    "x-upstream-",
    "x-url-",
    "x-remote-",
    "x-original-",
    "x-rewrite-",
    "x-envoy-",
    "x-http-",
    "x-proxy-",
    "x-real-",
)
_PARTS = ("override",)
_COOKIES = frozenset({"cookie", "cookie2"})


def is_own(name: str) -> bool:
    """Whether nobody but the SDK may set a header: neither a caller nor a client from outside.

    Servers that pass headers on as variables take ``_`` for ``-``, so it counts as one here too.
    """
    plain = name.lower().replace("_", "-")
    return plain in _NAMES or plain.startswith(_STARTS) or any(part in plain for part in _PARTS)


def is_refused(name: str) -> bool:
    """Whether a caller may not set a header: one of our own, or a cookie, which may stand for another user."""
    return is_own(name) or name.lower().replace("_", "-") in _COOKIES
