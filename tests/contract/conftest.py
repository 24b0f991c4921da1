"""A world behind a client and a transport, for every test that asks for a stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import get_args

import pytest

from contract.plant import Plant, grow
from contract.stage import Colour, Door, Stage
from mock_server import MockTraining

NewStage = Callable[[MockTraining], Stage]


Pair = tuple[Colour, Door]
PAIRS: list[Pair] = [("sync", "in-process"), ("async", "socket")]
"""Each client once and each transport once: rules are the same for the other pairs."""
EVERY_PAIR: list[Pair] = [(colour, door) for colour in get_args(Colour) for door in get_args(Door)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with `PAIRS`, or with those that its module names so."""
    if "pair" in metafunc.fixturenames:
        metafunc.parametrize("pair", getattr(metafunc.module, "PAIRS", PAIRS), ids="-".join)


@pytest.fixture
def colour(pair: Pair) -> Colour:
    return pair[0]


@pytest.fixture
def door(pair: Pair) -> Door:
    return pair[1]


@pytest.fixture
def new_stage(colour: Colour, door: Door) -> Iterator[NewStage]:
    """Puts a world on a stage; several may stand side by side."""
    with ExitStack() as closing:
        yield lambda mock: Stage(mock, colour, door, closing)


@pytest.fixture
def plant() -> Plant:
    return grow()


@pytest.fixture
def stage(new_stage: NewStage, plant: Plant) -> Stage:
    return new_stage(plant.mock)
