"""A stop that meets connections which are just being accepted: each is closed, none is forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

from mock_server import MockTraining
from mock_server.doors.uvicorn import UvicornServer
from rawhttp import PATIENCE

CLIENTS = 8


def test_what_is_accepted_while_the_server_stops_is_closed() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    running = UvicornServer(MockTraining.demo(), listener)
    running.start()
    loop, server = running._server._loop, running._server
    assert loop is not None
    clients: list[socket.socket] = []
    connected = threading.Event()

    def meet() -> None:
        """On the loop: they knock, and in the very round in which they are accepted the stop begins."""
        clients.extend(socket.create_connection(address, PATIENCE) for _ in range(CLIENTS))
        loop.call_soon(lambda: stopping.append(loop.create_task(server.shutdown())))
        connected.set()

    stopping: list[asyncio.Task[None]] = []
    loop.call_soon_threadsafe(meet)
    assert connected.wait(PATIENCE)
    try:
        for client in clients:
            with client, contextlib.suppress(ConnectionError):  # closed in a hurry is closed too
                assert client.recv(1) == b""
    finally:
        running.stop(grace=0)
    assert len(clients) == CLIENTS
