"""The request and the response that every transport exchanges with ``handle()``; both are plain data."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import field, frozen

MAX_BODY = 1024 * 1024
"""Bytes of a body that are read as such; a larger one is drained and answered 413."""

MAX_DRAIN = 64 * 1024 * 1024
"""Bytes that a transport drains before it closes the connection; a server refuses a longer announced body unread."""

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def _without_secrets(headers: tuple[tuple[str, str], ...]) -> str:
    """Return the headers for a repr, which a traceback shows: without tokens and the secret of the control plane."""
    secret = ("authorization", "x-training-mock-secret")
    return repr(tuple((name, "***" if name in secret else value) for name, value in headers))


@frozen
class Request:
    """One HTTP request as a transport received it, not yet interpreted."""

    method: str
    """Upper case."""
    path: str
    """Percent-encoded as sent, without the query."""
    query: str = ""
    """The raw query, without the question mark."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=_without_secrets)
    """Names in lower case, in the order sent; a repeated header is listed repeatedly."""
    body: bytes = b""
    too_large: bool = False
    """True if the body exceeded MAX_BODY: the transport drained it, and ``body`` is empty."""
    _by_name: dict[str, list[str]] = field(init=False, eq=False, repr=False)
    """The values of each header: guard, rules and journal look for a dozen of them."""

    def __attrs_post_init__(self) -> None:
        named: dict[str, list[str]] = {}
        for name, value in self.headers:
            if name in named:
                named[name].append(value)
            else:
                named[name] = [value]
        object.__setattr__(self, "_by_name", named)

    def header(self, name: str) -> str | None:
        """Return the first value of a header, or None."""
        values = self._by_name.get(name)
        return values[0] if values else None

    def all_headers(self, name: str) -> Sequence[str]:
        """Return every value of a header, for headers that must not be repeated."""
        return self._by_name.get(name, ())

    @property
    def is_ambiguous(self) -> bool:
        """True if the request states its length twice, so that its end is ambiguous (RFC 9112, 6.3)."""
        return self.header("transfer-encoding") is not None and self.header("content-length") is not None

    @property
    def id(self) -> str:
        """The X-Request-ID of the request, which the answer and the records repeat; "" without a usable one."""
        given = self.all_headers("x-request-id")
        return given[0] if len(given) == 1 and _ID.fullmatch(given[0]) else ""


@frozen
class Delivery:
    """The way in which a transport sends an answer that is not sent at once or not whole."""

    delay: float = 0.0
    """Seconds before the first byte."""
    pause: float = 0.0
    """Seconds between two pieces of the body."""
    pieces: int = 1
    keep: int | None = None
    """The number of bytes of the body that are sent before the connection ends; None for the whole body."""
    dropped: bool = False
    """True if the connection ends without any answer."""

    def parts(self, body: bytes) -> list[bytes]:
        """Return the pieces of a body that are sent."""
        kept = body[: self.keep]
        size = max(1, -(-len(kept) // self.pieces))
        return [kept[start : start + size] for start in range(0, len(kept), size)]


@frozen
class Response:
    """One HTTP answer; the transport adds only the headers that HTTP requires (Date, Content-Length)."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delivery: Delivery | None = None
    """The way in which the answer is sent; None for at once and whole."""
    struck: tuple[str, ...] = field(default=(), eq=False)
    """Kinds of the faults that the request triggered; for the request log, not sent."""
    instead: int = field(default=0, eq=False)
    """The status of the true answer that a fault has replaced; 0 for none. Not sent."""

    def with_headers(self, headers: Sequence[tuple[str, str]]) -> Response:
        """Return the same answer with further headers after its own."""
        if not headers:
            return self
        # Not by evolve(), which takes five times as long: every answer passes here.
        return Response(
            self.status, (*self.headers, *headers), self.body, self.delivery, self.struck, self.instead
        )
