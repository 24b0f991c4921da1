"""The guard of a server on a socket: it refuses all requests that a web page in a browser could send.

DNS rebinding makes a stranger's name resolve to this machine, so the Host header must name this server. A page of
another origin gives itself away by Origin or Sec-Fetch-Site. Where other machines reach it, the control plane,
which hands out tokens, asks for a secret. In-process transports do not need it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from hmac import compare_digest
from typing import TYPE_CHECKING
from urllib.parse import unquote

from attrs import field, frozen

from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.transports.common import LONGEST_KEPT, Handler, ServerAnswers
from mock_server.wire.message import Request, Response

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

HEADER = "x-training-mock-secret"

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::[0-9]{1,5})?")
HEALTH = "/_mock/health"
"""Open without the secret, and answered while the server is busy."""
_LONGEST = 64
"""Characters of the longest address, with the zone of an IPv6 address."""
WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine only."""
    # Longer than any address: clients can send any number of them, so they are not cached.
    return host.lower() == "localhost" or (len(host) <= _LONGEST and _is_loopback(host))


@lru_cache(maxsize=64)
def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> IPv4Address | IPv6Address | None:
    from ipaddress import ip_address

    try:
        return ip_address(host)
    except ValueError:
        return None


def _host_name(request: Request) -> str:
    """Return the name or address in the Host header, without port and brackets; "" unless there is exactly one."""
    hosts = request.all_headers("host")
    if len(hosts) != 1:
        return ""
    # Long ones are not cached: clients can send any number of them.
    return _remembered_name(hosts[0]) if len(hosts[0]) <= LONGEST_KEPT else _name(hosts[0])


def _name(host: str) -> str:
    match = _HOST.fullmatch(host)
    return match.group(1).strip("[]").lower() if match else ""


_remembered_name = lru_cache(maxsize=64)(_name)


def _form(request: Request, host: str) -> RefusedError | None:
    """Refuse what HTTP itself forbids; ASGI servers differ in what they accept."""
    if not host:
        return invalid("Send exactly one Host header of the form name or name:port.", "Host")
    if not request.path.startswith("/"):
        return invalid(
            "The request target must be a path, or an http address of the host in the header Host."
        )
    if request.is_ambiguous:
        return invalid("Send Content-Length or Transfer-Encoding, not both.")
    return None


def _origin(request: Request) -> RefusedError | None:
    """Refuse pages that were not delivered by this server, at the same host and port."""
    origins, sites = request.all_headers("origin"), request.all_headers("sec-fetch-site")
    if not origins and not sites:
        return None
    own = f"http://{request.header('host')}".lower()
    if all(each.lower() == own for each in origins) and all(
        each in ("same-origin", "none") for each in sites
    ):
        return None
    message = "Web pages of another origin may not call this server. Call it from a program."
    return RefusedError(Reason.ORIGIN_NOT_ALLOWED, message)


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


@frozen
class Guard:
    """The checks of a server on a socket, before anything else."""

    hosts: frozenset[str] = field(default=frozenset(), converter=_lower)
    """Names and addresses that clients may use beside the loopback ones, without a port.

    A wildcard address among them stands for every address of this machine, though for no name: a name is what
    DNS rebinding needs.
    """
    secret: str | None = field(default=None, repr=False)
    """The secret that the control plane requires; None where loopback alone protects it."""

    def check(self, request: Request) -> RefusedError | None:
        """Return the reason to refuse a request, or None."""
        host = _host_name(request)
        return _form(request, host) or self._host(host) or _origin(request) or self._control(request)

    def _host(self, host: str) -> RefusedError | None:
        if self._knows(host):
            return None
        message = f"This server does not answer for the host {host[:100]}."
        refusal = RefusedError(Reason.HOST_NOT_ALLOWED, message)
        refusal.hint = (
            " Use a loopback name, or name the host when you start the server (--host, --allow-host)."
        )
        return refusal

    def _knows(self, host: str) -> bool:
        if is_loopback(host) or host in self.hosts:
            return True
        return bool(self.hosts & WILDCARDS) and _address(host) is not None

    def _control(self, request: Request) -> RefusedError | None:
        if self.secret is None or request.path == HEALTH:
            return None
        # Decoded and anywhere in the path, so that no spelling of it slips by.
        if "_mock" not in unquote(request.path).split("/"):
            return None
        given = request.all_headers(HEADER)
        # Compared as bytes, since compare_digest refuses text beyond ASCII.
        if len(given) == 1 and compare_digest(given[0].encode(), self.secret.encode()):
            return None
        message = "The control plane of this server requires its secret in the header X-Training-Mock-Secret."
        return RefusedError(Reason.CONTROL_SECRET_REQUIRED, message)


@frozen
class Guarded:
    """A handler that only sees what a guard lets through."""

    handler: Handler
    guard: Guard
    front: ServerAnswers = field(factory=ServerAnswers)

    def handle(self, request: Request) -> Response:
        """Answer one request, or refuse it."""
        refusal = self.guard.check(request)
        if refusal is None:
            return self.handler.handle(request)
        return self.front.refused(refusal, request)
