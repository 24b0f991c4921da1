"""Several real processes with one token, on one budget, against a reference server that has limits."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest

from mock_server import MockTraining, Policy
from mock_server.rules import rate_limits
from training_sdk import RateLimitError, TrainingClient

PROCESSES = 3
EACH = 6
LIMIT = 10
WINDOW = 2.0
SCRIPT = """
import sys
from attrs import evolve
from training_sdk import TrainingClient
from training_sdk.records.request_budget import Limits

url, token, each, limit, window = sys.argv[1:]
client = TrainingClient(token, base_url=url, pace=True, max_retry_seconds=0)
limits = Limits(catalogue=int(limit), general=int(limit), window=float(window), margin=1.0)
client._set_up(client._driver, evolve(client._options, limits=limits))
for _ in range(int(each)):
    client.users.me()
"""


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> MockTraining:
    """The published rule with small figures, so that it takes seconds."""
    monkeypatch.setattr(rate_limits, "WINDOW", timedelta(seconds=WINDOW))
    spend = rate_limits.spend
    monkeypatch.setattr(rate_limits, "spend", lambda world, actor, limit: spend(world, actor, LIMIT))
    mock = MockTraining.demo(policy=Policy(rate_limits="published"))
    mock.clock.resume()
    return mock


def test_without_a_pace_the_same_server_refuses(limited: MockTraining) -> None:
    with (
        limited.serve() as server,
        TrainingClient(limited.token("admin"), base_url=server.url, max_retry_seconds=0) as client,
    ):
        for _ in range(LIMIT):
            client.users.me()
        with pytest.raises(RateLimitError):
            client.users.me()


def test_together_they_keep_to_the_limit_and_nobody_is_refused(limited: MockTraining) -> None:
    with limited.serve() as server:
        command = [
            sys.executable,
            "-c",
            SCRIPT,
            server.url,
            limited.token("admin"),
            str(EACH),
            str(LIMIT),
            str(WINDOW),
        ]
        running = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]
        said = [process.communicate() for process in running]
    assert [(process.returncode, err) for process, (_, err) in zip(running, said, strict=True)] == [
        (0, "")
    ] * PROCESSES
    statuses = [call.status for call in limited.calls]
    assert statuses == [200] * (PROCESSES * EACH)
