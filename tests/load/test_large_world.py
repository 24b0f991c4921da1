"""A million progress records, in a process of their own: what they take, and what it costs to read them all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MOST_BYTES = 600
"""A record, with what is kept of rows once all were read; 113 built and 221 read were measured."""


def measured(records: int) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.large_world", str(records), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    assert found["records"] == records
    return found


@pytest.mark.heavy
def test_a_million_records_are_read_in_bounded_memory_and_the_last_page_costs_what_the_first_does() -> None:
    small, large = measured(200_000), measured(1_000_000)
    assert large["read"] / large["records"] < MOST_BYTES
    for name, walk in large["walks"].items():
        if walk["pages"] > 30:
            assert walk["last/first"] < 2, (name, walk)
            # Five times the rows: a quadratic walk would take 25 times as long.
            assert walk["walk"] < 12 * small["walks"][name]["walk"], (name, walk, small["walks"][name])
