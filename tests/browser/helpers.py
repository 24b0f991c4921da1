"""The two sides: a server to be attacked, with everything that may not change, and a page's own server."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from attrs import frozen

from browser.attacks import PAGE
from e2e.training_sdk_process import PATIENCE, serving
from mock_server import MockTraining
from mock_server.refusal import RefusedError
from mock_server.transports.guard import Guard
from mock_server.transports.serving import Engine
from mock_server.wire.message import Request

_WATCHED = ("state", "worlds", "faults", "clock", "marks", "calls", "outbox", "audit")
_PREVIEW = "/training/courseprogress/v1/reset:preview"
_FEED = "/training/v1/feed/training-course-progress"


@frozen
class Target:
    """A server in its own process or in this one, its clock frozen."""

    url: str
    token: str
    reset: dict[str, str]
    """The body of a reset that the server would carry out, and its confirmation."""
    is_watched: bool
    """Whether it runs in this process, where its guard can be watched."""

    @classmethod
    def at(cls, url: str, *, is_watched: bool) -> Target:
        """Freeze the clock, and find somebody whose reset would clear something."""
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            client.post("/_mock/clock", json={"freeze": True}).raise_for_status()
            tokens = {each["name"]: each["token"] for each in client.get("/_mock/tokens").json()["tokens"]}
            client.headers["authorization"] = f"Bearer {tokens['admin']}"
            rows = client.get(_FEED).json()["data"]
            for row in rows:
                body = {"courseId": row["course_id"], "userIds": [row["user_id"]]}
                preview = client.post(_PREVIEW, json=body).json()
                if preview.get("usersToReset"):
                    break
        confirmation = {"courseTitle": preview["course"]["title"], "users": preview["usersToReset"]}
        reset = {"body": json.dumps(body), "confirmation": json.dumps(confirmation)}
        return cls(url, tokens["admin"], reset, is_watched)

    def snapshot(self) -> dict[str, bytes]:
        """Everything the server says of itself, byte for byte."""
        with httpx.Client(base_url=f"{self.url}/_mock", timeout=PATIENCE, verify=False) as client:
            # An id of our own, so that looking does not use one of the world's up.
            return {
                name: client.get(f"/{name}", headers={"x-request-id": "look"}).raise_for_status().content
                for name in _WATCHED
            }


@contextlib.contextmanager
def in_process(engine: Engine, *names: str) -> Iterator[Target]:
    with MockTraining.demo().serve(port=0, engine=engine, allow_hosts=names) as server:
        yield Target.at(server.url, is_watched=True)


@contextlib.contextmanager
def as_process(engine: Engine, *names: str) -> Iterator[Target]:
    allowed = [part for name in names for part in ("--allow-host", name)]
    with serving("--engine", engine, *allowed) as server:
        yield Target.at(server.url, is_watched=False)


TARGETS: dict[str, tuple[Callable[..., AbstractContextManager[Target]], Engine]] = {
    "in_process": (in_process, "stdlib"),
    "as_process": (as_process, "stdlib"),
    "as_process with uvicorn": (as_process, "uvicorn"),
}


@frozen
class Arrival:
    """A request that reached a server of this process."""

    method: str
    path: str
    refused: bool


def arrivals(patch: pytest.MonkeyPatch, *, guarded: bool) -> list[Arrival]:
    """What reaches the guards of this process from now on; they are switched off unless ``guarded``."""
    seen: list[Arrival] = []
    check = Guard.check

    def watched(guard: Guard, request: Request) -> RefusedError | None:
        refusal = check(guard, request) if guarded else None
        seen.append(Arrival(request.method, request.path, refusal is not None))
        return refusal

    patch.setattr(Guard, "check", watched)
    return seen


class _Foreign(BaseHTTPRequestHandler):
    """Serves the attacking page, and a redirect to wherever the query says."""

    def do_GET(self) -> None:
        _, is_redirect, target = self.path.partition("/redirect?")
        body = b"" if is_redirect else PAGE.encode()
        self.send_response(307 if is_redirect else 200)
        if is_redirect:
            self.send_header("location", target)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def foreign_server() -> Iterator[int]:
    """The port of the attacker's server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Foreign) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
