"""Shared by all transports: the handler, limits, framing of answers, refusals, and the hosts of patched libraries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from secrets import token_hex
from typing import Literal, Protocol

from attrs import evolve, frozen

from mock_server.refusal import RefusedError, check_host_name
from mock_server.wire import answers
from mock_server.wire.message import MAX_BODY, MAX_DRAIN, Request, Response
from mock_server.world import clock

SERVER = "training-mock"

LONGEST_KEPT, MOST_KEPT = 256, 512
"""Bytes of the longest header that is cached, and how many: clients send the same ones again and again."""

_WITHOUT_BODY = frozenset({204, 304})
# A browser that a stranger sent here shows the refusal as a page of this origin, and then asks for its icon as such.
_NO_PAGE = ("content-security-policy", "default-src 'none'; sandbox")


class Handler(Protocol):
    """A ``MockTraining``, or a guard in front of one. Its ``handle`` can be called from any thread."""

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        ...


class ServeError(Exception):
    """A server that cannot start; the message names what is in the way and the remedy."""


@frozen
class Limits:
    """Limits of the built-in server for each client; times in seconds."""

    connections: int = 512
    """Open at once, a thread each; one more is answered 503 and closed."""
    idle: float = 75.0
    """Between two requests of one connection; longer than clients keep theirs, so that they hang up first."""
    head: float = 10.0
    """From a request's first byte to the end of its headers."""
    body: float = 60.0
    """For the whole body."""
    answer: float = 30.0
    """For the client to take the answer."""
    linger: float = 2.0
    """For a client that is still sending to read why it was refused."""


_ABSOLUTE_FORM = re.compile(r"http://([^/?#@]+)(.*)", re.IGNORECASE | re.DOTALL)


def origin_form(request: Request) -> Request:
    """Return the request with a path as its target, if the target is an http address of the host in its header.

    A server has to take the absolute form (RFC 9112, 3.2.2). A target with another host than the header's is
    returned unchanged, and the guard refuses it.
    """
    if request.path.startswith("/"):
        return request
    match = _ABSOLUTE_FORM.fullmatch(request.path)
    hosts = request.all_headers("host")
    if match is None or request.method == "CONNECT" or len(hosts) != 1:
        return request
    if match[1].lower() != hosts[0].lower():
        return request
    return evolve(request, path=match[2] or "/")


class BodyBuffer:
    """A request body that arrives in pieces, within the bounds that ``wire.message`` sets."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._seen = 0

    def feed(self, piece: bytes) -> bool:
        """Add one piece; return False if more than MAX_DRAIN has arrived and the transport should stop reading."""
        self._seen += len(piece)
        if self.too_large:
            self._kept.clear()
        else:
            self._kept += piece
        return self._seen <= MAX_DRAIN

    @property
    def too_large(self) -> bool:
        """True if more than MAX_BODY has arrived."""
        return self._seen > MAX_BODY

    def value(self) -> bytes:
        """Return the body; empty if it was too large."""
        return bytes(self._kept)


def framed(method: str, response: Response) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """Return headers with Date and Content-Length, and the body to send: none to a HEAD, none with a 204 or 304.

    A world dates its answers by its own clock; what never reached one is dated by the machine's.
    """
    headers = response.headers
    if "date" not in [name for name, _ in headers]:
        headers = (("date", clock.to_http(datetime.now(UTC))), *headers)
    if response.status in _WITHOUT_BODY:
        return headers, b""
    length = ("content-length", str(len(response.body)))
    return (*headers, length), b"" if method == "HEAD" else response.body


@frozen
class ServerAnswers:
    """Answers that a server on a socket gives itself: with its name, or without while it simulates another service."""

    is_marked: bool = True

    @property
    def signature(self) -> tuple[tuple[str, str], ...]:
        """The headers by which every answer names the server."""
        return (("server", SERVER),) if self.is_marked else ()

    def refused(self, refusal: RefusedError, request: Request | None = None, status: int = 0) -> Response:
        """Return the error answer to a request that never reaches the handler; its id is not one of a world.

        ``request`` is None for bytes that never became one. ``status``, if given, replaces the status of the reason.
        """
        marks = answers.marks(request) if self.is_marked else ()
        answer = answers.error(refusal, detailed=self.is_marked)
        named = ("x-request-id", (request and request.id) or f"req-{token_hex(12)}")
        return evolve(answer, status=status or answer.status).with_headers([*marks, named, _NO_PAGE])


VENDOR_HOSTS = ("api.safetyculture.io", "api.safetyculture.com", "api.mitti.com")
"""The vendor's names of the one API (P): scripts in the wild send to each of them."""

Unhandled = Literal["refuse", "pass"]
"""The fate of a request to another host: an error, or the real network."""


@contextmanager
def library(name: str) -> Iterator[None]:
    """Import a transport whose library is an extra; ImportError says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        message = f"{name} is not installed. In a checkout of the SDK, run pip install '.[testing]'."
        raise ImportError(message, name=name) from None


def checked_hosts(hosts: str | Iterable[str], unhandled: str) -> frozenset[str]:
    """Return the host names in lower case. ValueError for anything but bare host names, or an unknown ``unhandled``."""
    given: object = hosts
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    names = frozenset(check_host_name("hosts", each) for each in several)
    if not names:
        raise ValueError("hosts must have at least one host name without scheme and port, such as localhost.")
    if unhandled not in ("refuse", "pass"):
        raise ValueError(f"unhandled must be 'refuse' or 'pass', not {unhandled!r}.")
    return names


def refusal(host: str, hosts: frozenset[str]) -> str:
    """Return the message for a request to a host that is not answered for."""
    return (
        f"The reference server answers for {', '.join(sorted(hosts))}, not for {host}. Add the host to hosts=,"
        " mock it separately, or send requests to other hosts out with unhandled='pass'."
    )
