"""A large plan from end to end: how many requests it takes, and how much memory, beside a small one."""

from __future__ import annotations

import json
import subprocess
import sys
from math import ceil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FEED = "/training/v1/feed/training-course-progress"
ANALYTICS = "GET /training/analytics/v1"
LESSONS = f"{ANALYTICS}/users/{{id}}/lessons/progress"
RESET = "POST /training/courseprogress/v1/reset"
MIB = 1 << 20


def measured(learners: int, courses: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.large_plan", str(learners), str(courses), "--json"]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    )
    return found


@pytest.mark.heavy
def test_a_large_plan_takes_the_fewest_requests_and_bounded_memory() -> None:
    """Resets: one for a thousand ids; WhoAmI: when planning, when applying, and before each reset. Lessons of people
    who completed are read by the page, never by the person. Memory grows by less than 6 KiB a reset.
    """
    small, large = measured(500, 10), measured(10_000, 10)
    for found in (small, large):
        rows = found["rows"].values()
        chunks = sum(ceil(count / 1000) for count in rows)
        assert found["complete"]
        assert (found["reset"], found["twice"]) == (found["targets"], 0)
        assert found["asked"][RESET] == chunks
        assert LESSONS not in found["asked"]
        assert found["asked"][f"{ANALYTICS}/lessons/statistics"] == len(rows)
        for listing in ("progress/events", "attempts"):
            # A course of this world has at most eight events and five attempts for a person, and a page 1000 of them.
            assert found["asked"][f"{ANALYTICS}/lessons/{listing}"] <= sum(
                ceil(8 * count / 1000) for count in rows
            )
        assert found["asked"]["GET /accounts/user/v1/user:WhoAmI"] == 2 + chunks
        assert found["asked"][f"{ANALYTICS}/courses/statistics"] == 2
        # Each course is read when planning, as evidence, and again before each of its requests; pages hold 1000 rows.
        pages = sum((2 + ceil(count / 1000)) * ceil(count / 1000) for count in rows)
        assert found["asked"][f"GET {FEED}"] == pages
    growth = (large["memory"] - small["memory"]) / (large["targets"] - small["targets"])
    assert growth < 6 * 1024, f"{growth:.0f} bytes a reset; {large['memory'] / MIB:.0f} MiB in all"
