"""A receiver of webhooks on this machine, which answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from attrs import define, field


@define
class Receiver:
    """What came in, and what is answered: the statuses in turn, then 200."""

    url: str
    statuses: list[int] = field(factory=list)
    bodies: list[bytes] = field(factory=list)
    headers: list[dict[str, str]] = field(factory=list)
    held: threading.Event = field(factory=threading.Event)
    """Requests are answered once it is set."""


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            made.headers.append({name.lower(): value for name, value in self.headers.items()})
            made.held.wait(20)
            status = made.statuses.pop(0) if made.statuses else 200
            self.send_response(status)
            if status in (301, 307):
                self.send_header("location", f"{made.url}elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Receiver(f"http://127.0.0.1:{server.server_port}/")
    made.held.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.held.set()
        server.shutdown()
        thread.join()
        server.server_close()
