"""A receiver of webhooks on this machine, for as long as one check takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from attrs import define, field

HOST = "127.0.0.1"
LONGEST = 1024 * 1024


@define
class Received:
    """What came in: headers, their names in lower case, and bodies."""

    url: str
    deliveries: list[tuple[dict[str, str], bytes]] = field(factory=list)


@contextmanager
def receiver() -> Iterator[Received]:
    """Listen on a free port of the loopback address; whatever comes is answered 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = min(int(self.headers.get("content-length") or 0), LONGEST)
            body = self.rfile.read(length)
            made.deliveries.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    made = Received(f"http://{HOST}:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
