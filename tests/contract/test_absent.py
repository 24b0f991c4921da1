"""R10: users who are not assigned at the moment of a reset, and what of their progress returns with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contract.conftest import NewStage
from contract.plant import FIRE, FORKLIFT, Plant, grow
from contract.stage import Stage, confirming, typed
from mock_server import Policy
from mock_server.learner_actions import LateWriteError
from mock_server.world.people import Seat, Status
from training_sdk.cli.effect_card import effect_card

PREVIEW = "/training/courseprogress/v1/reset:preview"
AWAY: dict[str, Callable[[Plant], dict[str, Any]]] = {
    "unassigned": lambda plant: {"groups": frozenset()},
    "deactivated": lambda plant: {"status": Status.DEACTIVATED},
    "a guest": lambda plant: {"seat": Seat.GUEST},
}
policies = pytest.mark.parametrize("policy", ["kept", "cleared"])


def percent_and_certificates(plant: Plant, name: str) -> tuple[float, int]:
    record = plant.mock.world.record(FORKLIFT, plant.id(name))
    key = (plant.forklift, plant.id(name))
    held = [each for each in plant.mock.certificates if (each.course_id, each.user_id) == key]
    return (record.progress_percent if record else 0.0), len(held)


def reset_everyone(stage: Stage, plant: Plant, count: int) -> None:
    answer = stage.reset({"courseId": plant.forklift, "allUsers": True}, confirming(FORKLIFT, count))
    assert (answer.status_code, answer.json()) == (200, {"usersUpdated": count})


def previewed(stage: Stage, plant: Plant, **scope: Any) -> dict[str, Any]:
    answer = stage.send("POST", PREVIEW, body={"courseId": plant.forklift, **scope})
    assert answer.status_code == 200
    shown: dict[str, Any] = answer.json()
    return shown


@policies
def test_R10_the_preview_says_how_many_are_concerned(new_stage: NewStage, policy: Any) -> None:
    """gus is a guest and dirk deactivated, both with progress; fay is not assigned and has none."""
    plant = grow(Policy(absent=policy))
    stage = new_stage(plant.mock)
    other = {"kept": "cleared", "cleared": "kept"}[policy]
    assert previewed(stage, plant, allUsers=True)["absent"] == {policy: 2, other: 0}
    listed = plant.ids("anna", "gus", "fay")
    assert previewed(stage, plant, userIds=listed)["absent"] == {policy: 1, other: 0}
    assert previewed(stage, plant, userIds=plant.ids("anna"))["absent"] == {policy: 0, other: 0}
    plant.mock.world.update_user(plant.id("ben"), status=Status.DEACTIVATED)
    shown = previewed(stage, plant, allUsers=True)
    assert (shown["usersToReset"], shown["absent"]) == (3, {policy: 3, other: 0})


def test_R10_a_late_write_of_somebody_cleared_while_away_is_refused_too(new_stage: NewStage) -> None:
    """R22: the device was offline while its owner was deactivated and the course was reset."""
    plant = grow(Policy(absent="cleared"))
    stage = new_stage(plant.mock)
    made_at = plant.mock.world.clock.now()
    plant.later(hours=1)
    plant.mock.world.update_user(plant.id("anna"), status=Status.DEACTIVATED)
    reset_everyone(stage, plant, 3)
    plant.later(hours=1)
    plant.mock.world.update_user(plant.id("anna"), status=Status.ACTIVE)
    with pytest.raises(LateWriteError):
        plant.mock.world.complete_course(FORKLIFT, plant.id("anna"), made_at=made_at)
    assert percent_and_certificates(plant, "anna") == (0.0, 0)


def test_R10_the_sdk_resets_a_course_whatever_the_policy(new_stage: NewStage) -> None:
    """The count that a confirmation states is of those assigned, whom the feed shows, under either policy."""
    plant = grow(Policy(absent="cleared"))
    stage = new_stage(plant.mock)
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    assert client.resets.apply(plan, confirm=typed(plan), server_side=True).reset_count == 4
    records = plant.mock.world.main.progress[plant.forklift].records
    assert records.keys().isdisjoint(plant.ids("anna", "gus", "dirk"))


def test_R10_by_eligibility_only_completions_of_the_absent_are_cleared(new_stage: NewStage) -> None:
    plant = grow(Policy(absent="cleared", eligibility="completed"))
    stage = new_stage(plant.mock)
    for name in ("ben", "cleo"):
        plant.mock.world.update_user(plant.id(name), status=Status.DEACTIVATED)
    shown = previewed(stage, plant, userIds=plant.ids("ben", "cleo"))
    assert shown["absent"] == {"kept": 0, "cleared": 1}
    reset_everyone(stage, plant, 1)
    records = plant.mock.world.main.progress[plant.forklift].records
    assert plant.id("ben") not in records
    assert plant.id("cleo") in records


def test_R10_plan_card_and_report_of_everyone_say_whose_past_returns(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    said = "unassigned, deactivated or guests at the moment are not in this plan. They keep their progress"
    plan = client.resets.plan_everyone(plant.forklift)
    report = client.resets.apply(plan, confirm=typed(plan))
    for text in (str(plan), effect_card(plan), str(report), report._repr_html_()):
        assert said in text
    listed = client.resets.plan(plant.forklift, plant.ids("emil"))
    for text in (str(listed), effect_card(listed), str(client.resets.apply(listed, confirm=typed(listed)))):
        assert said not in text


def test_R10_a_plan_of_everyone_counts_people_reset_before_and_away_now(stage: Stage, plant: Plant) -> None:
    client, world = stage.client(), plant.mock.world
    first = client.resets.plan_everyone(plant.forklift)
    assert not [each for each in first.warnings if "before" in each]
    client.resets.apply(first, confirm=typed(first))
    world.complete_course(FORKLIFT, plant.id("anna"))
    world.complete_course(FORKLIFT, plant.id("ben"))
    for name, way in (("anna", "unassigned"), ("cleo", "a guest")):
        world.update_user(plant.id(name), **AWAY[way](plant))
    again = client.resets.plan_everyone(plant.forklift)
    (warning,) = [each for each in again.warnings if "before" in each]
    assert warning.startswith(
        "The feed does not list 2 people whom this machine reset in 'Forklift basics' before"
    )
    listed = client.resets.plan(plant.forklift, plant.ids("ben"))
    assert not [each for each in listed.warnings if "before" in each]
    elsewhere = client.resets.plan_everyone(plant.courses[FIRE])
    assert not [each for each in elsewhere.warnings if "before" in each]
