"""Real loopback sockets that misbehave on purpose."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define, field

Behaviour = Callable[[socket.socket], None]

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
ME = b'{"user_id": "u", "organisation_id": "o"}'
GOOD = HEAD + b"content-length: %d\r\n\r\n" % len(ME) + ME


@define
class Wire:
    """A listener that treats the first connections as told, each its own way, and the last way ever after."""

    behaviours: list[Behaviour]
    tls: ssl.SSLContext | None = None
    requests: list[bytes] = field(factory=list)
    """The request lines that arrived."""
    stopped: threading.Event = field(factory=threading.Event)
    listener: socket.socket = field(factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _threads: list[threading.Thread] = field(factory=list)

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def serve(self) -> None:
        for number in range(1_000_000):
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            behaviour = self.behaviours[min(number, len(self.behaviours) - 1)]
            thread = threading.Thread(target=self._treat, args=(connection, behaviour))
            self._threads.append(thread)
            thread.start()

    def _treat(self, connection: socket.socket, behaviour: Behaviour) -> None:
        with (
            connection,
            contextlib.suppress(OSError),
            self.tls.wrap_socket(connection, server_side=True) if self.tls else connection as plain,
        ):
            behaviour(plain)

    def read(self, connection: socket.socket) -> bytes:
        """One request, whole; empty if the client has hung up."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        self.requests.append(lines[0])
        lengths = [int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")]
        while lengths and len(body) < lengths[0]:
            body += connection.recv(65536)
        return data

    def drip(self, connection: socket.socket, data: bytes) -> None:
        """Send byte by byte, until the client or the test has had enough."""
        for number in range(len(data)):
            if self.stopped.wait(0.02):
                return
            connection.sendall(data[number : number + 1])

    def stop(self) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self._threads:
            thread.join()


@contextmanager
def wire(*behaviours: Callable[[Wire], Behaviour], tls: ssl.SSLContext | None = None) -> Iterator[Wire]:
    """A wire whose connections behave so, in turn."""
    made = Wire([], tls)
    made.behaviours += [behaviour(made) for behaviour in behaviours]
    acceptor = threading.Thread(target=made.serve)
    acceptor.start()
    try:
        yield made
    finally:
        made.stop()
        acceptor.join()


# --- behaviours -------------------------------------------------------------------------------------------------------


def says(data: bytes) -> Callable[[Wire], Behaviour]:
    """Answer every request with these bytes, then hang up."""

    def make(wire: Wire) -> Behaviour:
        def behave(connection: socket.socket) -> None:
            if wire.read(connection):
                connection.sendall(data)

        return behave

    return make


def drips(head: bytes, rest: bytes) -> Callable[[Wire], Behaviour]:
    """Answer with a head at once and the rest byte by byte."""

    def make(wire: Wire) -> Behaviour:
        def behave(connection: socket.socket) -> None:
            wire.read(connection)
            connection.sendall(head)
            wire.drip(connection, rest)

        return behave

    return make


def never_answers(wire: Wire) -> Behaviour:
    """Read the request and say nothing."""

    def behave(connection: socket.socket) -> None:
        wire.read(connection)
        wire.stopped.wait()

    return behave


def hangs_up(wire: Wire) -> Behaviour:
    """Close before a byte is read."""
    return lambda connection: None


def hangs_up_after_reading(wire: Wire) -> Behaviour:
    """Read the request whole, then close."""

    def behave(connection: socket.socket) -> None:
        wire.read(connection)

    return behave
