"""Evidence of many people who have completed: requests by the page, and memory that a person adds."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.evidence import BESIDE, measure

MOST_BYTES = 6_000
"""What a target may add to the memory of the process, lists of ids included; 1900 are measured of 110,000 targets."""


def measured(learners: int) -> dict[str, Any]:
    found = measure(learners, 1)
    assert found["by_page"] == found["targets"] == learners
    assert found["missing"] == 0
    assert found["requests"] <= 1.1 * found["pages"] + BESIDE * found["courses"]
    return found


@pytest.mark.heavy
def test_evidence_takes_the_pages_and_little_memory_for_each_person() -> None:
    small, large = measured(1_000), measured(3_000)
    assert large["memory"] - small["memory"] < MOST_BYTES * 2_000, (small, large)
