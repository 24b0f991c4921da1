"""What all doors share: whom they call, what they grant a client, and how they frame an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from secrets import token_hex
from typing import Literal, Protocol

from attrs import evolve, frozen

from mock_server.argument_checks import check_host_name
from mock_server.refusal import RefusedError
from mock_server.wire import answers
from mock_server.wire.message import MAX_BODY, MAX_DRAIN, Request, Response

SERVER = "training-mock"

_WITHOUT_BODY = frozenset({204, 304})
# A browser that a stranger sent here shows the refusal as a page of this origin, and then asks for its icon as such.
_NO_PAGE = ("content-security-policy", "default-src 'none'; sandbox")


class Handler(Protocol):
    """Whatever answers requests: a ``MockTraining``, or a guard in front of one. Callable from any thread."""

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        ...


class ServeError(Exception):
    """A server that cannot start; the message names what is in the way and the remedy."""


@frozen
class Limits:
    """What the built-in server grants its clients; times in seconds."""

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
    """The same request with a path for its target, where that is an http address of the host that it names.

    A server has to take the absolute form (RFC 9112, 3.2.2). Of another host than the header's it stays as it is, and
    the guard refuses it.
    """
    match = _ABSOLUTE_FORM.fullmatch(request.path)
    hosts = request.all_headers("host")
    if match is None or request.method == "CONNECT" or len(hosts) != 1:
        return request
    if match[1].lower() != hosts[0].lower():
        return request
    return evolve(request, path=match[2] or "/")


class BodyBuffer:
    """Takes in a request body piece by piece, within the bounds that ``wire.message`` sets."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._seen = 0

    def feed(self, piece: bytes) -> bool:
        """Take one piece in; False as soon as more than MAX_DRAIN has come and the door should give up."""
        self._seen += len(piece)
        if self.too_large:
            self._kept.clear()
        else:
            self._kept += piece
        return self._seen <= MAX_DRAIN

    @property
    def too_large(self) -> bool:
        """More than MAX_BODY has come."""
        return self._seen > MAX_BODY

    def value(self) -> bytes:
        """The body, or nothing of one that was too large."""
        return bytes(self._kept)


def framed(method: str, response: Response) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """Headers with Date and Content-Length, and the body as it goes out: none to a HEAD, none with a 204 or 304.

    A world dates its answers by its own clock; what never reached one is dated by the machine's.
    """
    headers = response.headers
    if all(name != "date" for name, _ in headers):
        headers = (("date", formatdate(usegmt=True)), *headers)
    if response.status in _WITHOUT_BODY:
        return headers, b""
    length = ("content-length", str(len(response.body)))
    return (*headers, length), b"" if method == "HEAD" else response.body


@frozen
class Front:
    """What a server on a socket says where no world does: as itself, or as nobody while it plays another."""

    is_marked: bool = True

    @property
    def signature(self) -> tuple[tuple[str, str], ...]:
        """The headers by which every answer names the server."""
        return (("server", SERVER),) if self.is_marked else ()

    def refused(self, refusal: RefusedError, request: Request | None = None, status: int = 0) -> Response:
        """The error answer to what never reaches the handler: its id is no world's, for it leaves no trace in one.

        ``request`` is None for bytes that never became one. ``status``, if given, is said instead of the reason's.
        """
        marks = answers.marks(request) if self.is_marked else ()
        answer = answers.error(refusal, detailed=self.is_marked)
        named = ("x-request-id", (request and request.id) or f"req-{token_hex(12)}")
        return evolve(answer, status=status or answer.status).with_headers([*marks, named, _NO_PAGE])


VENDOR_HOSTS = ("api.safetyculture.io", "api.safetyculture.com", "api.mitti.com")
"""The vendor's names of the one API (P): scripts in the wild send to each of them."""

Unhandled = Literal["refuse", "pass"]
"""What becomes of a request to another host: an error, or the real network."""


@contextmanager
def library(name: str) -> Iterator[None]:
    """Import a door whose library is an extra; ImportError says how to get it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        message = f"{name} is not installed. In a checkout of the SDK: pip install '.[testing]'"
        raise ImportError(message, name=name) from None


def checked_hosts(hosts: str | Iterable[str], unhandled: str) -> frozenset[str]:
    """The host names in lower case. ValueError for what is no bare host name, or an unknown ``unhandled``."""
    given: object = hosts
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    names = frozenset(check_host_name("hosts", each) for each in several)
    if not names:
        raise ValueError("hosts: nothing given; give host names without scheme and port, such as localhost")
    if unhandled not in ("refuse", "pass"):
        raise ValueError(f"unhandled: {unhandled!r} is neither 'refuse' nor 'pass'")
    return names


def refusal(host: str, hosts: frozenset[str]) -> str:
    """What is said to a request for a host that is not answered for."""
    return (
        f"the reference server answers for {', '.join(sorted(hosts))}, not for {host}: add it to hosts=,"
        " mock it beside, or let other hosts through with unhandled='pass'"
    )
