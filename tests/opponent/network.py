"""A socket in front of the service that loses, cuts and delays answers as it is told to."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from attrs import frozen

from opponent.service import NOTHING, Reply, Service

Kind = Literal[
    "none",
    "lost before",
    "lost after",
    "cut",
    "garbage",
    "500 before",
    "500 after",
    "503 before",
    "429 before",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@frozen
class Fault:
    """What befalls one request; ``at`` is the share of the answer's bytes that arrive before a cut."""

    kind: Kind = "none"
    at: float = 1.0


ChooseFault = Callable[[str, str], Fault]
"""Chooses the fault of a request from its method and path."""


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Answer requests until the client or a fault ends the connection."""
        while line := self.rfile.readline():
            method, target, _ = line.decode("ascii").split(" ", 2)
            headers: dict[str, str] = {}
            while head := self.rfile.readline().decode("latin-1").strip():
                name, _, value = head.partition(":")
                headers[name.lower()] = value.strip()
            body = self.rfile.read(int(headers.get("content-length", 0)))
            if not self._answer(method, target, body):
                return

    def _answer(self, method: str, target: str, body: bytes) -> bool:
        """Answer one request; False where the connection is to be closed."""
        service = self.server.service
        fault = self.server.choose_fault(method, target.partition("?")[0])
        kind = fault.kind
        if kind == "lost before":
            return False
        if kind.endswith("before"):
            status = int(kind[:3])
            headers = {}
            if "reset of the rate limit as a time" in service.style:
                headers["x-ratelimit-reset"] = str(int(service.now().timestamp()) + 20)
            document = {"code": 14, "message": "try later", "details": []}
            self.wfile.write(self._raw(Reply(status, document, headers)))
            return self._stays_open
        with self.server.busy:
            reply = service.handle(method, target, body)
        if kind == "lost after":
            return False
        if kind == "500 after":
            reply = Reply(500, {"code": 13, "message": "internal", "details": []})
        raw = self._raw(reply, garbage=kind == "garbage")
        self.wfile.write(raw[: int(len(raw) * fault.at)] if kind == "cut" else raw)
        return kind != "cut" and self._stays_open

    @property
    def _stays_open(self) -> bool:
        return "no content length" not in self.server.service.style

    def _raw(self, reply: Reply, *, garbage: bool = False) -> bytes:
        said = b"" if reply.document is NOTHING else json.dumps(reply.document).encode()
        body = b"<html>gateway</html>" if garbage else said
        lines = [
            f"HTTP/1.1 {reply.status} Status",
            f"Date: {self.server.service.date()}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}" if self._stays_open else "Connection: close",
            *(f"{name}: {value}" for name, value in reply.headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + body


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, service: Service, choose_fault: ChooseFault) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service
        self.choose_fault = choose_fault
        self.busy = threading.Lock()


@contextmanager
def serve(service: Service, choose_fault: ChooseFault) -> Iterator[str]:
    """Serve on loopback until the end of the block; the base URL."""
    with _Server(service, choose_fault) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
