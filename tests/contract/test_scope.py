"""R07, R08 and R11: whom the requests of the SDK name, and the key that they carry."""

from __future__ import annotations

import json

from contract.conftest import NewStage
from contract.plant import Plant, nothing_changes
from contract.stage import Stage, typed
from mock_server import MockTraining


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
