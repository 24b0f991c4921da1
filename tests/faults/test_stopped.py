"""Stopped anywhere, a script ends as whoever stopped it meant, with an account; started again, it goes on.

Ctrl-C, SIGTERM as a script handles it, and cancellation, on both event loops, at the points at which
``test_killed`` kills: before and after whatever is sent and every act on this machine, around every call that changes
the disk, and in the middle of every write. None of them may become an error of the SDK's, for a loop over several
courses passes over those and resets the next.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from faults.ground import Colour, Field, Ground, Kind
from faults.test_killed import each_point

WAYS = [
    ("SIGINT", "sync", "", "KeyboardInterrupt"),
    ("SIGTERM", "sync", "", "SystemExit"),
    ("SIGINT", "async", "asyncio", "KeyboardInterrupt"),
    ("cancel", "async", "asyncio", "CancelledError"),
    ("SIGINT", "async", "trio", "KeyboardInterrupt"),
    ("cancel", "async", "trio", "CancelledError"),
]
EVERY = 47


def stopped_and_started_again(
    arena: Field, kind: Kind, way: tuple[str, Colour, str, str], point: int, name: str
) -> None:
    by, colour, backend, error = way
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground.make(arena, kind, colour, Path(folder))
        loop: dict[str, Any] = {"backend": backend} if backend else {}
        said = ground.start(watch_calls=True, die=point, by=by, **loop)
        if said.get("complete") and "error" not in said:  # there was nothing left to stop
            ground.finished(said)
            return
        assert said["error"] == error, (name, said)
        ground.check(said)
        ground.finished(ground.go_on(**loop))


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_stopped_at_points_spread_over_the_whole(arena: Field, way: tuple[str, Colour, str, str]) -> None:
    kinds: tuple[tuple[Kind, int], ...] = (("reference", 3), ("live", 9))
    for kind, step in kinds:
        points = list(each_point(arena, kind, way[1], every=EVERY))
        assert len(points) > 20
        for point, name in points[WAYS.index(way) % step :: step]:
            stopped_and_started_again(arena, kind, way, point, name)


@pytest.mark.heavy
@pytest.mark.parametrize("way", WAYS, ids="-".join)
@pytest.mark.parametrize("kind", ["reference", "live"])
def test_stopped_at_every_point(arena: Field, kind: Kind, way: tuple[str, Colour, str, str]) -> None:
    """Each point once for each client, the same way every time; those around a reset in all ways and on both kinds."""
    pairs = [(served, other) for served in ("reference", "live") for other in WAYS if other[1] == way[1]]
    points = list(each_point(arena, kind, way[1], every=1))
    around = {point for point, _ in each_point(arena, kind, way[1], every=len(points))}
    for point, name in points:
        if point in around or point % len(pairs) == pairs.index((kind, way)):
            stopped_and_started_again(arena, kind, way, point, name)
