"""Rows about the simulated organisation: what a fresh one costs a test, beside the simplest double there is.

In the process: an organisation, a client, one call, and the end of both; the peer is httpx's own MockTransport with one
canned answer and no state. On a socket: a server started, called once and stopped; the peer is the standard library's.
"""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from benchmarks.harness import Samples, in_process, interleave, row
from mock_server import MockTraining
from training_sdk import TrainingClient

WHO_AM_I = "/accounts/user/v1/user:WhoAmI"
ANSWER = {"user_id": "user_1", "organisation_id": "role_1", "firstname": "A", "lastname": "B"}


def world_and_client() -> None:
    """Do what the fixtures training_mock and training_client do, and one call."""
    mock = MockTraining.demo()
    with httpx.Client(transport=mock.transport()) as http:
        TrainingClient(mock.token("admin"), http_client=http).users.me()


def canned_and_client() -> None:
    """Make an httpx client with one canned answer, and one call."""
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=ANSWER))) as http:
        http.get(f"https://api.safetyculture.com{WHO_AM_I}").raise_for_status().json()


def started_server() -> None:
    """Do what the fixture training_server does, and one request."""
    with MockTraining.demo().serve() as running, httpx.Client(trust_env=False, verify=False) as http:  # noqa: S501
        http.get(f"{running.url}/_mock/health").raise_for_status()


class _Canned(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer anything."""
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def canned_server() -> None:
    """Start the standard library's server with a canned answer, call it and stop it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Canned) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        with httpx.Client(trust_env=False, verify=False) as http:  # noqa: S501 - plain http on this machine
            http.get(f"http://127.0.0.1:{running.server_port}/").raise_for_status()
        running.shutdown()
        thread.join()


@row("fresh-world")
def fresh_world(short: bool) -> Samples:
    """Measure what a test pays that uses a world of its own."""
    rounds, clock = 20 if short else 300, time.process_time
    ours, peer = interleave(world_and_client, canned_and_client, rounds=rounds, clock=clock)
    return Samples(ours, peer)


@row("fresh-server")
def fresh_server(short: bool) -> Samples:
    """Measure what a test pays that uses a server of its own."""
    ours, peer = interleave(started_server, canned_server, rounds=10 if short else 50)
    return Samples(ours, peer)


@row("world-1m-memory")
def world_memory(short: bool) -> Samples:
    """Measure the bytes that a progress record takes in a large organisation that was just built."""
    found = in_process("large_world", "1000000", "--json", "--built")
    return Samples(found["world"] / found["records"])
