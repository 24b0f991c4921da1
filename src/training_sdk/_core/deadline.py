"""One deadline for a whole exchange on blocking sockets.

httpx bounds each read by itself, so a server that drips its headers byte by byte would hold a thread for ever.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore


class Deadline(float):
    """A timeout in seconds that runs out once, for all the reads and writes that share it."""

    def __new__(cls, seconds: float) -> Deadline:
        self = super().__new__(cls, seconds)
        self.at = time.monotonic() + seconds
        return self

    at: float


def keep_deadlines(transport: Any) -> None:
    """Make a transport of httpx's own heed deadlines; leave any other as it is."""
    pool = getattr(transport, "_pool", None)
    if isinstance(pool, httpcore.ConnectionPool):
        pool._network_backend = _Backend(pool._network_backend)


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    if not isinstance(timeout, Deadline):
        return timeout
    left = timeout.at - time.monotonic()
    if left <= 0:
        raise late(f"{timeout:g} s had passed")
    return left


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, opening: float | None = None) -> None:
        self._inner = inner
        # For what names no timeout: httpcore's own exchange with a SOCKS proxy, right after connecting.
        self._opening = None if opening is None else Deadline(opening)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        limit = self._opening if timeout is None else timeout
        return self._inner.read(max_bytes, _left(limit, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        limit = self._opening if timeout is None else timeout
        self._inner.write(buffer, _left(limit, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_tcp(host, port, timeout, local_address, socket_options), timeout)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_unix_socket(path, timeout, socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)
