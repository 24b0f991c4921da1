"""A gateway: a real HTTP server in front of another, which changes headers on the way."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field

Headers = dict[str, str]
HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "date", "server", "keep-alive"}


@define
class Gateway:
    """What it does to requests and answers, and where it sends them."""

    upstream: str
    url: str = ""
    prefix: str = ""
    """It is cut off the path."""
    on_request: Callable[[Headers], None] = lambda headers: None
    on_answer: Callable[[Headers, Headers], None] = lambda asked, answer: None
    loses: Callable[[str], bool] = lambda path: False
    """Whether the answer to a request for this path is lost, after it was handled."""
    seen: list[tuple[str, str]] = field(factory=list)

    def forward(self, handler: BaseHTTPRequestHandler) -> None:
        """Pass one request on, and its answer back."""
        parts = urlsplit(handler.path)  # in absolute form, where it is used as a proxy
        target = handler.path.removeprefix(f"{parts.scheme}://{parts.netloc}").removeprefix(self.prefix)
        asked = {name.lower(): value for name, value in handler.headers.items()}
        body = handler.rfile.read(int(asked.get("content-length", "0")))
        self.seen.append((handler.command, target))
        sent = {name: value for name, value in asked.items() if name not in (HOP_BY_HOP | {"host"})}
        self.on_request(sent)
        connection = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=10)
        connection.request(handler.command, target, body or None, sent)
        answer = connection.getresponse()
        content = answer.read()
        headers = {
            name.lower(): value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP
        }
        connection.close()
        if self.loses(target):
            handler.close_connection = True
            return
        self.on_answer(asked, headers)
        handler.send_response(answer.status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@contextmanager
def gateway(upstream: str, **does: Any) -> Iterator[Gateway]:
    """A gateway before the server at this address, on a port of its own."""
    made = Gateway(upstream, **does)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.forward(self)

        def do_POST(self) -> None:
            made.forward(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}{made.prefix}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
