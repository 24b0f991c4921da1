"""httpx and its successor httpx2: what the SDK needs of a client from outside, and which of the two it comes from."""

from __future__ import annotations

import sys
from typing import Any, Protocol

NAMES = ("httpx", "httpx2")


class HttpClient(Protocol):
    """An ``httpx.Client`` or ``httpx2.Client``."""

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""

    def build_request(self, method: str, url: Any) -> Any:
        """Prepare a request."""

    def send(self, request: Any, *, stream: bool, auth: Any, follow_redirects: Any) -> Any:
        """Send a request."""

    def close(self) -> None:
        """Close its connections."""


class AsyncHttpClient(Protocol):
    """An ``httpx.AsyncClient`` or ``httpx2.AsyncClient``."""

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""

    def build_request(self, method: str, url: Any) -> Any:
        """Prepare a request."""

    async def send(self, request: Any, *, stream: bool, auth: Any, follow_redirects: Any) -> Any:
        """Send a request."""

    async def aclose(self) -> None:
        """Close its connections."""


def library_of(value: object) -> Any:
    """The module, httpx or httpx2, that an object's class comes from or is made from; None for any other object."""
    for kind in value.__class__.__mro__:
        root = kind.__module__.partition(".")[0]
        if root in NAMES:
            return sys.modules[root]
    return None
