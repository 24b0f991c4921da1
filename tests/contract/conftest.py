"""Every test that asks for a stage runs four times: both clients, both doors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from contract.plant import Plant, grow
from contract.stage import Colour, Door, Stage
from mock_server import MockTraining

NewStage = Callable[[MockTraining], Stage]


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    found: Colour = request.param
    return found


@pytest.fixture(params=["in-process", "socket"])
def door(request: pytest.FixtureRequest) -> Door:
    found: Door = request.param
    return found


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
