"""However little room there is, a script that finds more later ends with everybody reset once, all on record.

The room is taken away for real: no file may grow beyond so many bytes, which the system enforces.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from faults.ground import Field, Ground, Kind

ROOM = 72_000
"""Bytes, more than any file of the records needs here."""


def short_of_room(arena: Field, kind: Kind, room: int) -> bool:
    """Whether the script noticed."""
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground.make(arena, kind, "sync", Path(folder))
        said = ground.start(largest_file=room)
        ground.check(said)
        if "error" in said:
            assert said["error"] in ("RecordsUnwritableError", "OutcomeUnknownError"), said
        ground.finished(ground.go_on() if "error" in said else said)
        return "error" in said


@pytest.mark.parametrize("kind", ["reference", "live"])
def test_a_disk_that_fills_up(arena: Field, kind: Kind) -> None:
    assert [short_of_room(arena, kind, room) for room in (0, 500, 3000, 4500, 6000, 20_000, ROOM)] == [
        True
    ] * 6 + [False]


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["reference", "live"])
def test_a_disk_that_fills_up_at_any_size(arena: Field, kind: Kind) -> None:
    noticed = [short_of_room(arena, kind, room) for room in range(0, ROOM, 997)]
    assert noticed == sorted(noticed, reverse=True)
    assert not noticed[-1]
