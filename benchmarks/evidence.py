"""Rows about evidence: requests and memory for people who have completed, beside the pages that hold their records.

``python -m benchmarks.evidence [LEARNERS [COURSES]]`` measures once, by default 100,000 and 50, and prints JSON. Every
learner has completed one course of three lessons, every tenth two. The evidence is written in a process of its own, so
the memory is the client's alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, Samples, most_resident, row
from benchmarks.large_plan import Counting, large_world
from mock_server.transports.serving import serve

PAGE = 1000
LESSONS = 3
BESIDE = 5
"""Requests a course beside 1.1 times the pages."""


def client(url: str, token: str, state: str) -> None:
    """Write the evidence about everybody on every course, and print what it took."""
    from training_sdk import TrainingClient
    from training_sdk.evidence.collecting import collect

    with TrainingClient(token, base_url=url, state_dir=state) as training:
        targets: dict[str, list[str]] = {}
        for line in sys.stdin:
            course_id, user_id = line.split()
            targets.setdefault(course_id, []).append(user_id)
        before = most_resident()
        flow = collect(
            training._calls,
            targets,
            Path(state) / "pack",
            plan_digest="ab" * 32,
            plan_document=b"{}",
            organisation_id="role_1",
            reference_server=True,
        )
        manifest = training._driver.run(flow).manifest
    print(
        json.dumps(
            {
                "by_page": manifest.lessons_by_page,
                "counts": manifest.counts,
                "missing": manifest.missing_lessons,
                "memory before": before,
                "memory": most_resident(),
            }
        )
    )


@cache
def measure(learners: int, courses: int) -> dict[str, Any]:
    """Return the requests and the memory in bytes of evidence about all of these people, and the pages beside them."""
    mock = large_world(learners, courses)
    counting = Counting(mock)
    partitions = mock.world.main.progress.courses
    people = "".join(
        f"{course_id} {user_id}\n" for course_id, each in partitions.items() for user_id in each.roster
    )
    command = [sys.executable, "-m", "benchmarks.evidence", "client"]
    with tempfile.TemporaryDirectory() as state, serve(counting) as server:
        Path(state).chmod(0o700)
        done = subprocess.run(  # noqa: S603 - this file
            [*command, server.url, mock.token("admin"), state],
            input=people,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
    counts = [len(each.roster) for each in partitions.values()]
    rows, attempts, events = (
        sum(ceil(each * items / PAGE) for each in counts) for items in (1, LESSONS, 2 * LESSONS)
    )
    return {
        **json.loads(done.stdout),
        "targets": sum(counts),
        "courses": len(counts),
        "requests": counting.asked.total(),
        "asked": dict(counting.asked),
        "pages": rows + attempts + events,
    }


def _measured(short: bool) -> dict[str, Any]:
    found = measure(2_000, 4) if short else measure(100_000, 50)
    if found["by_page"] != found["targets"] or found["missing"]:
        raise RuntimeError(f"not all lessons were read by the page: {found}")
    return found


@row("evidence-requests")
def _requests(short: bool) -> Samples:
    found = _measured(short)
    return Samples(found["requests"], 1.1 * found["pages"] + BESIDE * found["courses"])


@row("evidence-memory")
def _memory(short: bool) -> Samples:
    return Samples(_measured(short)["memory"])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["client", url, token, state]:
            client(url, token, state)
        case [*numbers]:
            learners, courses = [*map(int, numbers), *(100_000, 50)[len(numbers) :]]
            print(json.dumps(measure(learners, courses), indent=1))
