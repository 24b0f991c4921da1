"""R09 and R10: whose progress a reset clears, and who is assigned."""

from __future__ import annotations

from typing import Any

import pytest

from contract.conftest import NewStage
from contract.plant import Plant, grow, nothing_changes
from contract.stage import Stage, typed
from mock_server import Policy
from mock_server.world.people import Seat, Status
from training_sdk import Outcome, StalePlanError


def test_R09_by_policy_only_completions_are_reset(new_stage: NewStage) -> None:
    plant = grow(Policy(eligibility="completed"))
    stage = new_stage(plant.mock)
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift, only="completed")
    assert plant.names(user.user_id for user in plan.targets) == {"anna", "ben"}
    report = client.resets.apply(plan, confirm=typed(plan))
    assert report.counts[Outcome.RESET] == 2
    assert report.counts[Outcome.SKIPPED] == 3
    progress = {
        row.user_id: row.has_recorded_progress for row in client.progress.list(course_id=plant.forklift)
    }
    assert plant.names(user for user, recorded in progress.items() if recorded) == {"cleo", "dora"}
    # A plan that counts those in progress as well is not what this server does, and is refused whole.
    rest = client.resets.plan_everyone(plant.forklift)
    with nothing_changes(plant.mock), pytest.raises(StalePlanError):
        client.resets.apply(rest, confirm=typed(rest))


def test_R10_a_plan_follows_the_assignments(stage: Stage, plant: Plant) -> None:
    """Unassigned, deactivated and guest: each takes somebody with progress out of the count of everyone."""
    client, world = stage.client(), plant.mock.world
    crew = next(iter(world.main.groups))
    changes: list[tuple[str, dict[str, Any]]] = [
        ("anna", {"groups": frozenset()}),
        ("ben", {"status": Status.DEACTIVATED}),
        ("cleo", {"seat": Seat.GUEST}),
    ]
    for name, change in changes:
        plan = client.resets.plan_everyone(plant.forklift)
        assert name in plant.names(user.user_id for user in plan.users)
        world.update_user(plant.id(name), **change)
        with nothing_changes(plant.mock), pytest.raises(StalePlanError, match=name.capitalize()):
            client.resets.apply(plan, confirm=typed(plan))
    plan = client.resets.plan_everyone(plant.forklift)
    assert plant.names(user.user_id for user in plan.targets) == {"dora"}
    assert client.resets.apply(plan, confirm=typed(plan), server_side=True).reset_count == 1
    world.update_user(plant.id("anna"), groups=frozenset([crew]))
    (row,) = client.progress.list(course_id=plant.forklift, user_id=plant.id("anna"))
    assert row.progress_percent == 100, "who was not assigned was not reset"
