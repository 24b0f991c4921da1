"""What is read after ``kill -9`` of a resume comes from the journal, and not from the report of before."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.training_sdk_process import PATIENCE, SDK, Desk, Server, serving
from training_sdk.cli.exit_codes import ExitCode

COURSE = "6908610029087ab67fa50c2e"
RESET = "ResetCourseProgress"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with serving() as running:
        yield Desk(tmp_path, running)


def kill_when(desk: Desk, resets: int, *arguments: str) -> None:
    """Start a command, and kill it as soon as so many resets have reached the server."""
    process = subprocess.Popen(
        [*SDK, *arguments],
        cwd=desk.folder,
        env=desk.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + PATIENCE
    while desk.server.resets() < resets:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()


def stop_the_second_and_kill_the_fourth(desk: Desk, server: Server) -> str:
    """Apply a plan whose second request fails, then kill its resumption in the request after it; the phrase."""
    phrase = desk.plan("--course", COURSE, "--everyone")
    server.control("POST", "faults", {"kind": "error", "operation": RESET, "after": 1})
    applied = desk.run(
        "apply", "plan.json", "--reason", "yearly", "--confirm", phrase, "--waves-size", "5", "--json"
    )
    assert applied.document["report"]["counts"]["reset"] == 5
    server.control("DELETE", "faults")
    slow = {"kind": "slow", "operation": RESET, "after": 1, "seconds": PATIENCE}
    server.control("POST", "faults", slow)
    kill_when(desk, 4, "resume", "plan.json", "--confirm", phrase)
    server.control("DELETE", "faults")
    return phrase


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_report_verify_and_a_new_plan_know_what_a_killed_resume_has_reset(desk: Desk) -> None:
    stop_the_second_and_kill_the_fourth(desk, desk.server)
    told = desk.run("report", "plan.json", "--json")
    counts = told.document["report"]["counts"]
    assert told.code == ExitCode.INCOMPLETE
    assert counts["reset"] == 10
    assert told.document["unfinished"]["settled"] == 10
    listed = desk.run("report", "--list", "--json").document["reports"]
    assert [one["counts"]["reset"] for one in listed] == [10]
    seen = desk.run("verify", "plan.json", "--deadline", "0s", "--json")
    assert seen.code == ExitCode.INCOMPLETE
    assert seen.document["counts"]["verified"] >= 10
    assert (seen.document["verified"], seen.document["finished"]) == (False, False)
    again = desk.run("plan", "--course", COURSE, "--everyone", "--json").document["plan"]
    was_reset = {one["user_id"] for one in told.document["report"]["users"] if one["outcome"] == "reset"}
    dated = {one["user_id"] for one in again["users"] if one["last_reset_at"]}
    assert was_reset <= dated
