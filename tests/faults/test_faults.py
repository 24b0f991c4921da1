"""Every fault of the table, against both kinds of server, by both clients.

Whatever happens: nobody who was not in the plan, nobody twice, nobody unaccounted, evidence of everybody, and records
that verify. How each ends is on the page about faults, cell by cell; with ``FAULTS_TABLE=write`` in the environment
(and without ``-n``) the page is written instead.
"""

from __future__ import annotations

import os

import pytest

from faults import table
from faults.ground import Colour, Ground, Kind
from faults.rows import ROWS

UNFINISHED = {
    "users_deactivated": {"reference", "live"},
    "learner_completes": {"reference", "live"},
    "learner_completes_tolerated": {"reference", "live"},
    "two_plans_on_two_machines": {"reference", "live"},
    "refused_in_part_again": {"live"},
    "only_opened": {"live"},
    "strangers": {"live"},
}
"""Where not everybody in the plan can be reset any more."""


@pytest.mark.parametrize(("name", "kind", "colour"), table.CASES)
def test_a_fault_ends_as_the_page_says(ground: Ground, name: str, kind: Kind, colour: Colour) -> None:
    said = ROWS[name](ground)
    found = table.observed(ground, said)
    if kind not in UNFINISHED.get(name, set()):
        ground.finished(said[-1])
    if os.environ.get("FAULTS_TABLE") == "write":
        table.write(name, kind, found)
    assert table.cell(name, kind) == found


def test_the_page_has_every_fault_and_no_other() -> None:
    assert [cells[0] for cells in table.lines()] == [table.what(name) for name in ROWS]
