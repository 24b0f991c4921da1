"""What a fresh world costs a test, beside the barest double there is: run ``python benchmarks/fresh_world.py``.

In the process: a world, a client, one call, and the end of both; the peer is httpx's own MockTransport with one canned
answer and no state. On a socket: a server started, asked once and stopped; the peer is the standard library's. Prints
milliseconds (the median of many) and ratios; the two take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median

import httpx

from mock_server import MockTraining
from training_sdk import TrainingClient

ROUNDS = 200
WHO_AM_I = "/accounts/user/v1/user:WhoAmI"
ANSWER = {"user_id": "user_1", "organisation_id": "role_1", "firstname": "A", "lastname": "B"}


def world_and_client() -> None:
    """What the fixtures training_mock and training_client do, and one call."""
    mock = MockTraining.demo()
    with httpx.Client(transport=mock.transport()) as http:
        TrainingClient(mock.token("admin"), http_client=http).users.me()


def canned_and_client() -> None:
    """The same client with a canned answer."""
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=ANSWER))) as http:
        TrainingClient("any", http_client=http).users.me()


def world_alone() -> None:
    """A demo world and nothing else."""
    MockTraining.demo()


def server() -> None:
    """What the fixture training_server does, and one request."""
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
    """The standard library's server with a canned answer, started, asked and stopped."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Canned) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        with httpx.Client(trust_env=False, verify=False) as http:  # noqa: S501 - plain http on this machine
            http.get(f"http://127.0.0.1:{running.server_port}/").raise_for_status()
        running.shutdown()
        thread.join()


def measure(*works: Callable[[], None], rounds: int) -> list[float]:
    """Median milliseconds of each, taken in turns."""
    taken: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 5):
        for work, times in zip(works, taken, strict=True):
            begun = time.perf_counter()
            work()
            if turn >= 5:
                times.append((time.perf_counter() - begun) * 1e3)
    return [median(times) for times in taken]


def main() -> None:
    """Measure and print."""
    alone, ours, peer = measure(world_alone, world_and_client, canned_and_client, rounds=ROUNDS)
    print(f"fresh demo world                  {alone:7.3f} ms")
    print(
        f"world + client + call + end       {ours:7.3f} ms   {ours / peer:.2f}x a canned answer ({peer:.3f} ms)"
    )
    ours, peer = measure(server, canned_server, rounds=ROUNDS // 4)
    print(
        f"server start + request + stop     {ours:7.3f} ms   {ours / peer:.2f}x http.server ({peer:.3f} ms)"
    )


if __name__ == "__main__":
    main()
