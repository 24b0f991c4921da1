"""Nothing is imported once a reset has begun: an upgrade of the package, or lost rights, must not stop it half-way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mock_server import MockTraining
from training_sdk import TrainingClient

SCRIPT = '''
import inspect, json, sys
from datetime import timedelta

import anyio

from training_sdk import AsyncTrainingClient, ResetPlan, TrainingClient, TrainingError

colour, url, token, state, *names = sys.argv[1:]
given = {"base_url": url, "state_dir": state, "pace": True}
wanted = []


class Watch:
    """Notes every module that is looked for."""

    def find_spec(self, name, path=None, target=None):
        wanted.append(name)


def steps(client, plan, how):
    """Yield what a careful script calls: apply, resume, and verify."""
    order = {"confirm": plan.phrase, "per_request": 1}
    asked = iter(range(9))

    def stop():
        is_time = next(asked) == 1
        if is_time and how == "Ctrl-C":
            raise KeyboardInterrupt
        return is_time and how == "stop"

    yield lambda: client.resets.apply(plan, **order, reason="yearly", stop=stop)
    yield lambda: client.resets.resume(plan, **order)
    soon = {"deadline": timedelta(seconds=0.2), "every": timedelta(seconds=0.1)}
    yield lambda: client.resets.wait_until_verified(plan.digest, **soon)


async def run(client):
    """Carry out one plan after the other, whenever the test has set up the next."""
    plans = {name: ResetPlan.load(f"{state}/{name}.json") for name in names}
    client.resets
    sys.meta_path.insert(0, Watch())
    for line in sys.stdin:
        ends = []
        for step in steps(client, plans[line.strip()], line.strip()):
            try:
                end = step()
                end = await end if inspect.isawaitable(end) else end
            except (TrainingError, KeyboardInterrupt) as error:
                end = error
            ends.append(type(end).__name__)
        print(json.dumps({"ends": ends, "imported": wanted}), flush=True)


async def run_async():
    async with AsyncTrainingClient(token, **given) as client:
        await run(client)


if colour == "sync":
    with TrainingClient(token, **given) as client:
        try:
            run(client).send(None)
        except StopIteration:
            pass
else:
    anyio.run(run_async, backend=colour)
'''

WHOLE = ["ResetReport", "AlreadyAppliedError", "Verification"]
LOST = ["OutcomeUnknownError", "ResetReport", "Verification"]
ENDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "whole": ({}, WHOLE),
    "lost answer": ({"kind": "drop", "when": "after"}, LOST),
    "lost request": ({"kind": "drop"}, LOST),
    "cut answer": ({"kind": "cut"}, LOST),
    "rate limit": ({"kind": "rate_limited", "seconds": 1}, WHOLE),
    "server error": ({"kind": "error", "status": 502}, LOST),
    "stop": ({}, ["ResetInterruptedError", "ResetReport", "Verification"]),
    "Ctrl-C": ({}, ["KeyboardInterrupt", "ResetReport", "Verification"]),
    "refusal": ({"kind": "token_revoked"}, ["AuthenticationError"] * 3),
}
"""What happens at the second request of a reset, and how apply, resume and verify end; afterwards no token is valid."""


@pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])
def test_nothing_is_imported_once_a_reset_has_begun(tmp_path: Path, colour: str) -> None:
    mock = MockTraining.generate(users=30, courses=1)
    token = mock.token("admin")
    tmp_path.chmod(0o700)
    with mock.serve() as server:
        with TrainingClient(token, base_url=server.url, state_dir=tmp_path) as client:
            people = (row for row in client.progress.list() if row.has_recorded_progress)
            for name in ENDS:
                users = [next(people), next(people)]
                plan = client.resets.plan(users[0].course_id, [user.user_id for user in users])
                plan.save(tmp_path / f"{name}.json")
        command = [sys.executable, "-c", SCRIPT, colour, server.url, token, str(tmp_path), *ENDS]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            stdin, stdout, stderr = child.stdin, child.stdout, child.stderr
            assert stdin
            assert stdout
            assert stderr
            for name, (fault, ends) in ENDS.items():
                if fault:
                    mock.faults.add(operation="ResetCourseProgress", after=1, **fault)
                stdin.write(f"{name}\n")
                stdin.flush()
                line = stdout.readline()
                assert line, stderr.read()
                assert json.loads(line) == {"ends": ends, "imported": []}, name
