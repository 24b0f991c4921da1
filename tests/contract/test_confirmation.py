"""R06: a reset is confirmed by its course and its number of people, or does nothing."""

from __future__ import annotations

import pytest

from contract.plant import FORKLIFT, Plant, nothing_changes
from contract.stage import RESET, Handle, Stage, confirming, metadata, typed
from mock_server.wire.message import Request, Response
from training_sdk import StalePlanError

TITLES = [
    'The "big" one',
    "Gefahrgut für Anfänger – Teil 2",
    "🚜 + 👷🏽‍♀️",
    "Ünïcödé" * 70,
    "back\\slash & <b>",
    "many   spaces\u00a0here",
]


@pytest.mark.parametrize("title", TITLES, ids=range(len(TITLES)))
def test_R06_any_title_can_be_confirmed_and_only_that_title(stage: Stage, plant: Plant, title: str) -> None:
    plant.mock.world.update_course(FORKLIFT, title=title)
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    assert plan.phrase == typed(plan)
    with nothing_changes(plant.mock):
        answer = stage.reset({"courseId": plant.forklift, "allUsers": True}, confirming(title + "!", 4))
    assert (answer.status_code, metadata(answer)["courseTitle"]) == (412, title)
    assert client.resets.apply(plan, confirm=typed(plan)).reset_count == 4


def test_R06_the_confirmation_is_checked_against_the_moment_of_the_reset(stage: Stage, plant: Plant) -> None:
    """Somebody starts after the last reading and before the reset arrives: the server says no, the plan is stale."""

    def somebody_starts(request: Request, handle: Handle) -> Response:
        if request.path == RESET:
            plant.mock.world.open(FORKLIFT, plant.id("emil"))
        return handle(request)

    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    stage.tap.meddle = somebody_starts
    with pytest.raises(StalePlanError) as stale:
        client.resets.apply(plan, confirm=typed(plan), server_side=True)
    assert (stale.value.status, stale.value.reason) == (412, "CONFIRMATION_MISMATCH")
    assert len(stage.tap.resets) == 1, "a refused confirmation is never adapted and sent again"
    assert stale.value.report is not None
    assert stale.value.report.reset_count == 0
    assert plant.mock.world.record(FORKLIFT, plant.id("anna")) is not None
