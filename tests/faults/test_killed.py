"""Killed anywhere, a script that is started again ends with everybody reset once, and everything on record.

A point at which it can die lies before and after whatever it sends and every act on this machine, around every call
that makes a change on the disk durable or visible, and in the middle of every write. The fast tests take a part of
the points, the same every time; the long ones take all of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from faults.ground import LATER, Colour, Field, Ground, Kind
from mock_server.wire.message import Delivery, Request, Response

KINDS = [("reference", "sync"), ("live", "async")]
EVERY = 47
"""Of the points one in so many is taken by the fast tests, besides all those around a reset."""
SHARES = 6
"""Tests among which the points of a long one are divided, so that several processes take them."""


def each_point(arena: Field, kind: Kind, colour: Colour, *, every: int) -> Iterator[tuple[int, str]]:
    """The points that a script passes which nobody kills, or some of them."""
    with tempfile.TemporaryDirectory() as name:
        names = Ground.make(arena, kind, colour, Path(name)).start(watch_calls=True)["points"]
    first_reset = next(number for number, name in enumerate(names) if "/reset" in name)
    around = range(first_reset - 12, first_reset + 8)
    for number, name in enumerate(names):
        if number % every == 0 or number in around:
            yield number, name


def killed_and_started_again(arena: Field, kind: Kind, colour: Colour, point: int, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground.make(arena, kind, colour, Path(folder))
        said = ground.start(watch_calls=True, die=point)
        assert said == {"exit": -9}, name
        ground.known_after_a_kill()
        ground.records_agree()
        ground.finished(ground.go_on())


@pytest.mark.parametrize(("kind", "colour"), KINDS)
def test_killed_at_points_spread_over_the_whole(arena: Field, kind: Kind, colour: Colour) -> None:
    points = list(each_point(arena, kind, colour, every=EVERY))
    assert len(points) > 20
    for point, name in points:
        killed_and_started_again(arena, kind, colour, point, name)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("kind", "colour", "every"),
    [*((kind, colour, 1) for kind, colour in KINDS), ("reference", "async", 4), ("live", "sync", 4)],
)
@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_every_point(arena: Field, kind: Kind, colour: Colour, every: int, share: int) -> None:
    """Both kinds of server and both clients at every point, and the two other pairs at every fourth."""
    points = list(each_point(arena, kind, colour, every=every))
    assert len(points) > 200 // every
    for point, name in points[share::SHARES]:
        killed_and_started_again(arena, kind, colour, point, name)


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["reference", "live"])
@pytest.mark.parametrize("share", range(SHARES))
def test_killed_again_at_every_point_of_going_on(arena: Field, kind: Kind, share: int, folder: Path) -> None:
    """First in the middle of the second request, then anywhere while that is being settled."""
    point, passed = share, False
    while not passed:
        assert point < 5000, "it ends"
        with tempfile.TemporaryDirectory() as name:
            ground = Ground.make(arena, kind, "sync", Path(name))
            arena.door.meddle = lambda request, number, answer: _killing(arena, number == 1, answer())
            assert ground.start() == {"exit": -9}
            ground.known_after_a_kill()
            arena.door.meddle = lambda request, number, answer: answer()
            if kind == "live":
                ground.pass_time()
            said = ground.start(watch_calls=True, die=point)
            ground.records_agree()
            passed = said["exit"] == 0
            ground.finished(said if passed else ground.go_on())
        point += SHARES
    assert point > 100


def _killing(arena: Field, now: bool, answer: Response) -> Response:
    if now:
        arena.script.kill()
    return answer


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [0, 1, 4])
@pytest.mark.parametrize(("kind", "colour"), KINDS)
def test_killed_while_the_server_is_at_work(arena: Field, ground: Ground, number: int, when: str) -> None:
    """The server carries out what it was sent, whether or not anybody is left to hear of it."""

    def meddle(request: Request, at: int, answer: object) -> Response:
        if at == number and when == "before":
            arena.script.kill()
        said = ground.mock.handle(request)
        return _killing(arena, at == number and when == "after", said)

    arena.door.meddle = meddle
    assert ground.start() == {"exit": -9}
    ground.records_agree()
    assert len(ground.truth()) > 0
    ground.known_after_a_kill()
    ground.finished(ground.go_on())
    assert sum(entry.outcome == "done" for entry in ground.mock.audit) == arena.door.resets


@pytest.mark.parametrize(("kind", "colour"), KINDS)
def test_a_request_that_arrives_when_all_is_over_resets_nobody_again(arena: Field, ground: Ground) -> None:
    held: list[Request] = []

    def meddle(request: Request, number: int, answer: object) -> Response:
        if number == 1:
            held.append(request)
            return Response(503, delivery=Delivery(dropped=True))
        return ground.mock.handle(request)

    arena.door.meddle = meddle
    said = ground.start()
    assert (said["error"], said["complete"]) == ("OutcomeUnknownError", False)
    ground.check(said)
    ground.finished(ground.go_on())
    ground.mock.handle(held[0])
    ground.finished(ground.go_on())


@pytest.mark.parametrize(("kind", "colour"), [("live", "sync"), ("live", "async")])
def test_on_a_live_service_nothing_is_settled_before_it_can_no_longer_lag(
    arena: Field, ground: Ground, kind: Kind
) -> None:
    """What was sent and never heard of is not sent again 2 h later, but once a margin has passed too."""
    point = next(
        number for number, name in enumerate(_points(arena, ground)) if name.startswith("before POST")
    )
    assert ground.start(die=point) == {"exit": -9}
    for passing in (0.0, 7000.0, 1000.0):
        ground.pass_time(passing)
        counts = ground.check(ground.start())
        assert counts["unknown"] == 5
    ground.pass_time(LATER)
    ground.finished(ground.start())


def _points(arena: Field, ground: Ground) -> list[str]:
    with tempfile.TemporaryDirectory() as name:
        points: list[str] = Ground.make(arena, ground.kind, ground.colour, Path(name)).start()["points"]
    arena.door.mock, arena.door.resets = ground.mock, 0
    return points


@pytest.mark.parametrize(("kind", "colour"), [("live", "sync"), ("live", "async")])
def test_a_request_sent_again_is_judged_by_when_it_was_sent_again(arena: Field, ground: Ground) -> None:
    """The first never arrived, the second did, unheard of: that the first is long past says nothing of the second."""
    ground.mock.lag = timedelta(hours=2)
    ground.before = ground.mock.state()
    ground.mock.faults.add("drop", operation="ResetCourseProgress")
    assert ground.start()["error"] == "OutcomeUnknownError"
    ground.mock.faults.add("drop", operation="ResetCourseProgress", when="after")
    ground.pass_time()
    assert ground.start()["error"] == "OutcomeUnknownError"
    assert len(ground.truth()) == 5
    ground.pass_time(600)
    counts = ground.check(ground.start())
    assert counts["unknown"] == 5
    ground.finished(ground.go_on())
