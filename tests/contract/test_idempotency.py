"""R11: the same reset sent twice takes effect once."""

from __future__ import annotations

from typing import Any

import pytest

from contract.plant import FIRE, FORKLIFT, Plant, nothing_changes
from contract.stage import Stage, confirming, reason, typed
from mock_server.world.people import Status


def _listed(plant: Plant, *names: str) -> dict[str, Any]:
    return {"courseId": plant.forklift, "userIds": plant.ids(*names)}


def test_R11_the_same_again_is_answered_byte_for_byte_without_a_second_effect(
    stage: Stage, plant: Plant
) -> None:
    sent = {**confirming(FORKLIFT, 1), "Idempotency-Key": "k-1"}
    first = stage.reset(_listed(plant, "anna"), sent)
    plant.mock.world.complete_course(FORKLIFT, plant.id("anna"))
    with nothing_changes(plant.mock):
        again = stage.reset(_listed(plant, "anna"), sent)
    assert (
        (first.status_code, first.content)
        == (again.status_code, again.content)
        == (200, b'{"usersUpdated":1}')
    )
    assert [entry.outcome for entry in plant.mock.audit] == ["done", "replayed"]


def test_R11_other_content_under_the_same_key_is_refused(stage: Stage, plant: Plant) -> None:
    key = {"Idempotency-Key": "k-1"}
    assert stage.reset(_listed(plant, "anna"), confirming(FORKLIFT, 1) | key).status_code == 200
    for body, confirmation in (
        (_listed(plant, "ben"), confirming(FORKLIFT, 1)),
        (_listed(plant, "anna"), confirming(FORKLIFT, 0)),
        (_listed(plant, "anna"), {}),
        ({**_listed(plant, "anna"), "courseId": plant.courses[FIRE]}, confirming(FORKLIFT, 1)),
    ):
        with nothing_changes(plant.mock):
            answer = stage.reset(body, confirmation | key)
        assert (answer.status_code, reason(answer)) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_R11_a_key_belongs_to_its_actor_and_organisation(stage: Stage, plant: Plant) -> None:
    sent = {**confirming(FORKLIFT, 1), "Idempotency-Key": "k-1"}
    assert stage.reset(_listed(plant, "anna"), sent, who="admin").json() == {"usersUpdated": 1}
    plant.mock.world.complete_course(FORKLIFT, plant.id("anna"))
    assert stage.reset(_listed(plant, "anna"), sent, who="resetter").json() == {"usersUpdated": 1}
    assert plant.mock.world.record(FORKLIFT, plant.id("anna")) is None
    foreign = {"courseId": plant.courses["foreign"], "allUsers": True}
    assert stage.reset(foreign, sent, who="outsider").json() == {"usersUpdated": 1}


def test_R11_only_successes_are_kept(stage: Stage, plant: Plant) -> None:
    key = {"Idempotency-Key": "k-1"}
    for confirmation, status in (
        ({}, 428),
        (confirming(FORKLIFT, 9), 412),
        (confirming(FORKLIFT, 1), 200),
        (confirming(FORKLIFT, 9), 422),
    ):
        assert stage.reset(_listed(plant, "anna"), confirmation | key).status_code == status


def test_R11_rights_are_checked_before_the_replay(stage: Stage, plant: Plant) -> None:
    sent = {**confirming(FORKLIFT, 1), "Idempotency-Key": "k-1"}
    assert stage.reset(_listed(plant, "anna"), sent).status_code == 200
    plant.mock.world.update_user(plant.id("ada"), permission_sets=frozenset[str]())
    assert stage.reset(_listed(plant, "anna"), sent).status_code == 403
    plant.mock.world.update_user(plant.id("ada"), status=Status.DEACTIVATED)
    assert stage.reset(_listed(plant, "anna"), sent).status_code == 401


@pytest.mark.parametrize("key", ["", "k 1", "k" * 256])
def test_R11_a_key_of_another_form_is_400(stage: Stage, plant: Plant, key: str) -> None:
    with nothing_changes(plant.mock):
        answer = stage.reset(_listed(plant, "anna"), confirming(FORKLIFT, 1) | {"Idempotency-Key": key})
    assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")


def test_R11_the_sdk_sends_a_key_that_is_one_with_the_plan(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan(plant.forklift, plant.ids("anna"))
    client.resets.apply(plan, confirm=typed(plan))
    (sent,) = stage.tap.resets
    with nothing_changes(plant.mock):
        again = plant.mock.handle(sent)
    assert (again.status, again.body) == (200, b'{"usersUpdated":1}')
    other = client.resets.plan(plant.forklift, plant.ids("cleo"))
    client.resets.apply(other, confirm=typed(other))
    keys = [request.header("idempotency-key") for request in stage.tap.resets]
    assert len(set(keys)) == 2
