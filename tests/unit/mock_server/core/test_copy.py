"""A copy of a world that was just built equals it, and shares nothing that can change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import attrs

from mock_server import MockTraining, Policy
from mock_server.learner_actions import LiveWorld
from mock_server.world.people import Seat, Status
from mock_server.world.seeds.demo import build_demo, demo_prototype
from mock_server.world.state import fresh_copy
from mock_server.world.world import Ids

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
_SHARED_FOR_GOOD = (str, bytes, int, float, datetime, frozenset, Enum, type(None))


def is_frozen(value: Any) -> bool:
    """Whether a field refuses to be set, here to what it is already."""
    name = attrs.fields(type(value))[0].name
    try:
        setattr(value, name, getattr(value, name))
    except attrs.exceptions.FrozenInstanceError:
        return True
    return False


def mutable_parts(value: Any, path: str = "world") -> Iterator[tuple[int, str]]:
    """Identity and place of everything in a world that could be changed in place."""
    if isinstance(value, _SHARED_FOR_GOOD):
        return
    if attrs.has(type(value)):
        if not is_frozen(value):
            yield id(value), path
        for each in attrs.fields(type(value)):
            yield from mutable_parts(getattr(value, each.name), f"{path}.{each.name}")
    elif isinstance(value, dict):
        yield id(value), path
        for key, each in value.items():
            yield from mutable_parts(each, f"{path}[{key}]")
    elif isinstance(value, tuple):
        for number, each in enumerate(value):
            yield from mutable_parts(each, f"{path}[{number}]")
    else:  # lists, and whatever a world may yet come to hold
        yield id(value), path
        if isinstance(value, list):
            for number, each in enumerate(value):
                yield from mutable_parts(each, f"{path}[{number}]")


def test_a_copy_is_like_a_world_just_built() -> None:
    builder = build_demo(NOW)
    built = builder.build(Policy(eligibility="completed"), LiveWorld)
    copied = MockTraining.demo(policy=Policy(eligibility="completed"), now=NOW)
    assert copied.world.snapshot() == built.snapshot()
    assert copied.world.ids.uuid("attempt") == built.ids.uuid("attempt")
    assert copied.world.ids.request() == built.ids.request()
    assert copied.world.clock.now() == NOW
    assert {each["token"] for each in copied.tokens()} == set(builder.tokens.values())


def test_copies_share_nothing_that_changes() -> None:
    prototype, _ = demo_prototype()
    one, two = (fresh_copy(prototype, Policy(), None, LiveWorld) for _ in range(2))
    places = [dict(mutable_parts(world)) for world in (prototype, one, two)]
    assert len(places[1]) > 100
    for mine, theirs in ((places[0], places[1]), (places[1], places[2])):
        assert {mine[each] for each in mine.keys() & theirs.keys()} == set()


def test_what_happens_in_one_world_shows_in_no_other() -> None:
    before = MockTraining.demo(now=NOW).world.snapshot()
    mock = MockTraining.demo(now=NOW)
    course = mock.world.course("Forklift basics").id
    mock.world.complete_course(course, "anna.oezdemir@nordwerk.example")
    mock.world.update_course(course, title="Lifted")
    mock.world.update_user("anna.oezdemir@nordwerk.example", status=Status.DEACTIVATED, seat=Seat.LITE)
    mock.world.main.assigned[course].users["user_nobody"] = NOW
    assert mock.world.snapshot() != before
    assert MockTraining.demo(now=NOW).world.snapshot() == before


def test_ids_go_on_where_the_prototype_stopped() -> None:
    fresh = Ids("demo")
    assert MockTraining.demo().world.ids.state()[0] == fresh.state()[0]
    assert MockTraining.demo().world.ids.user() == MockTraining.demo().world.ids.user()
