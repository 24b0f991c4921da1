"""Talking to a server in bytes, for what no HTTP library would send."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from http.client import HTTPResponse

from attrs import frozen

PATIENCE = 60.0
"""Seconds after which a test gives a server up; no test waits for it when all is well."""

_HOP_BY_HOP = frozenset({"server", "connection"})


@frozen
class Answer:
    """A status, the headers that are not HTTP's own, and a body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A connection to a server on this machine."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        yield sock


def read_answer(sock: socket.socket, method: str = "GET") -> Answer:
    """Read one answer, leaving the connection as it is. Not for two answers at once: it reads ahead."""
    with HTTPResponse(sock, method=method) as response:
        response.begin()
        body = response.read()
        headers = tuple((name.lower(), value) for name, value in response.getheaders())
    return Answer(response.status, tuple(each for each in headers if each[0] not in _HOP_BY_HOP), body)


def request(
    method: str,
    target: str,
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes = b"",
    host: str = "localhost",
) -> bytes:
    """A sound request."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


def everything(port: int, data: bytes, *, half_close: bool = False) -> bytes:
    """Send bytes and read until the server hangs up; an early hang-up while sending is no error."""
    with connected(port) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
        received = bytearray()
        with contextlib.suppress(ConnectionError):
            while piece := sock.recv(65536):
                received += piece
    return bytes(received)


def statuses(received: bytes) -> list[int]:
    """The statuses of all answers in a byte stream whose bodies hold no status line."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", received)]
