"""Which hosts the doors that patch an HTTP library answer for, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

from mock_server.argument_checks import check_host_name

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
