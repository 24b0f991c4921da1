"""Randomised schedules against an independent service: nobody outside, nobody twice, everybody accounted for."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from contract.hours import quick_hours
from opponent.behaviours import BEHAVIOURS, COUNTLESS, draw_behaviours
from opponent.by_command import ByCommand
from opponent.schedule import Schedule, make_service

FEW, MANY, EACH = 6, 24, 2
BASE = int(os.environ.get("OPPONENT_SEED", "0"))
"""Other seeds than those of every day: OPPONENT_SEED=12345."""


def play(
    seed: int,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: str | None = None,
    kind: type[Schedule] = Schedule,
) -> Schedule:
    """Play the schedule of a seed, which is in the message of whatever fails."""
    random = Random(seed if behaviour is None else f"{seed} {behaviour}")
    hours = quick_hours(monkeypatch)
    schedule = kind(random, make_service(random, hours), hours, folder, faults=random.choice([0.0, 0.3, 0.7]))
    if behaviour is not None:
        schedule.does = draw_behaviours(random, behaviour)
        # What only a proof can notice is done from the beginning; a count too large is noticed later too.
        is_noticed_later = "ignores the course" not in schedule.does and not (
            "resets strangers" in schedule.does and COUNTLESS & schedule.does
        )
        is_later = kind is ByCommand or random.random() < 0.5
        schedule.from_the_beginning = not (is_noticed_later and is_later)
    try:
        schedule.play()
    except BaseException as problem:
        written = ", ".join(sorted(schedule.service.style | schedule.does)) or "plain"
        problem.add_note("\n".join([f"seed {seed}, {written}", *schedule.story]))
        raise
    return schedule


@pytest.mark.parametrize("seed", range(BASE, BASE + FEW))
def test_a_few_schedules(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = play(seed, tmp_path / "records", monkeypatch)
    assert schedule.plans


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(BASE + FEW, BASE + MANY))
def test_many_schedules(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(seed, tmp_path / "records", monkeypatch)


@pytest.mark.heavy
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("seed", range(BASE, BASE + EACH))
def test_schedules_of_a_service_that(
    seed: int, behaviour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(seed, tmp_path / "records", monkeypatch, behaviour)


@pytest.mark.heavy
@pytest.mark.parametrize("behaviour", [None, "refuses after a part", "resets strangers"])
def test_schedules_by_command_line(
    behaviour: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(BASE, tmp_path / "records", monkeypatch, behaviour, ByCommand)
