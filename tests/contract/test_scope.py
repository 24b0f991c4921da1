"""R07, R08 and R11: whom the requests of the SDK name, and the key that they carry."""

from __future__ import annotations

import json

import pytest

from contract.conftest import NewStage
from contract.plant import FORKLIFT, RECORDED, Plant, nothing_changes
from contract.stage import Stage, confirming, reason, typed
from mock_server import MockTraining
from training_sdk import NotFoundError


def test_R07_the_sdk_sends_everyone_as_explicit_ids(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    client.resets.apply(plan, confirm=typed(plan))
    (sent,) = stage.tap.resets
    assert json.loads(sent.body) == {
        "courseId": plant.forklift,
        "userIds": [user.user_id for user in plan.targets],
    }
    assert plant.names(json.loads(sent.body)["userIds"]) == set(RECORDED)


def test_R08_an_unknown_id_fails_the_whole_call_and_is_named(stage: Stage, plant: Plant) -> None:
    unknown = "user_" + "f" * 32
    body = {"courseId": plant.forklift, "userIds": [*plant.ids("anna"), unknown]}
    with nothing_changes(plant.mock):
        answer = stage.reset(body, confirming(FORKLIFT, 1))
    assert (answer.status_code, reason(answer)) == (404, "USER_NOT_FOUND")
    assert unknown in answer.json()["message"]
    assert plant.id("anna") not in answer.text
    with pytest.raises(NotFoundError, match=unknown):
        stage.client().resets.plan(plant.forklift, [*plant.ids("anna"), unknown])


def test_R08_a_repeated_id_counts_once(stage: Stage, plant: Plant) -> None:
    body = {"courseId": plant.forklift, "userIds": plant.ids("anna", "cleo", "anna", "anna")}
    with nothing_changes(plant.mock):
        assert stage.reset(body, confirming(FORKLIFT, 4)).status_code == 412
    assert stage.reset(body, confirming(FORKLIFT, 2)).json() == {"usersUpdated": 2}
    assert [message.user_id for message in plant.mock.outbox] == plant.ids("anna", "cleo")
    plan = stage.client().resets.plan(plant.forklift, plant.ids("dora", "dora"))
    assert [user.user_id for user in plan.users] == plant.ids("dora")


def test_R08_a_thousand_and_one_people_are_sent_in_chunks(new_stage: NewStage) -> None:
    mock = MockTraining.generate(users=1300, courses=1, seed=8)
    stage = new_stage(mock)
    (course,) = mock.world.courses
    client = stage.client()
    plan = client.resets.plan_everyone(course.id)
    assert len(plan.targets) > 1000
    report = client.resets.apply(plan, confirm=typed(plan))
    sent = [json.loads(request.body)["userIds"] for request in stage.tap.resets]
    assert [len(ids) for ids in sent] == [1000, len(plan.targets) - 1000]
    assert sorted(sent[0] + sent[1]) == sorted(user.user_id for user in plan.targets)
    assert report.is_complete
    assert report.reset_count == len(plan.targets)
    assert len(report.requests) == 2
    assert not any(row.has_recorded_progress for row in client.progress.list(course_id=course.id))


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
