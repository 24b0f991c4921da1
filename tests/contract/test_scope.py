"""R07 and R08: whom a reset means, and that it never means more."""

from __future__ import annotations

import json

import pytest

from contract.conftest import NewStage
from contract.plant import FORKLIFT, RECORDED, Plant, grow, nothing_changes
from contract.stage import RESET, Stage, confirming, reason, typed
from mock_server import MockTraining, Policy
from training_sdk import NotFoundError

_BODIES = {
    "both": '{"courseId": "C", "userIds": ["U"], "allUsers": true}',
    "both, one false": '{"courseId": "C", "userIds": ["U"], "allUsers": false}',
    "neither": '{"courseId": "C"}',
    "empty list": '{"courseId": "C", "userIds": []}',
    "null list": '{"courseId": "C", "userIds": null}',
    "null everyone": '{"courseId": "C", "allUsers": null}',
    "null in the list": '{"courseId": "C", "userIds": ["U", null]}',
    "everyone false": '{"courseId": "C", "allUsers": false}',
    "everyone as text": '{"courseId": "C", "allUsers": "true"}',
    "everyone as number": '{"courseId": "C", "allUsers": 1}',
    "a bare id": '{"courseId": "C", "userIds": "U"}',
    "an object": '{"courseId": "C", "userIds": {"0": "U"}}',
    "numbers": '{"courseId": "C", "userIds": [7]}',
    "an empty id": '{"courseId": "C", "userIds": [""]}',
    "a dot id": '{"courseId": "C", "userIds": [".."]}',
    "a slashed id": '{"courseId": "C", "userIds": ["U/../U"]}',
    "an unknown field": '{"courseId": "C", "allUsers": true, "dryRun": true}',
    "a misspelled field": '{"courseId": "C", "userIDs": ["U"]}',
    "a repeated key": '{"courseId": "C", "userIds": ["U"], "userIds": ["U"]}',
    "a repeated course": '{"courseId": "C", "courseId": "C", "allUsers": true}',
    "both spellings": '{"courseId": "C", "user_ids": ["U"], "userIds": ["U"]}',
    "both spellings of everyone": '{"courseId": "C", "all_users": true, "allUsers": true}',
    "no course": '{"allUsers": true}',
    "null course": '{"courseId": null, "allUsers": true}',
    "several courses": '{"courseId": ["C"], "allUsers": true}',
    "a list": '[{"courseId": "C", "allUsers": true}]',
    "null": "null",
    "an empty object": "{}",
}


def test_R07_scope_never_widens(stage: Stage, plant: Plant) -> None:
    for what, body in _BODIES.items():
        content = body.replace('"C"', json.dumps(plant.forklift)).replace('"U"', json.dumps(plant.id("anna")))
        for users in (1, 4):
            with nothing_changes(plant.mock):
                answer = stage.send(
                    "POST", RESET, content=content.encode(), headers=confirming(FORKLIFT, users)
                )
            assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT"), what


@pytest.mark.parametrize(
    "spelling", [("course_id", "user_ids"), ("courseId", "userIds"), ("course_id", "userIds")]
)
def test_R07_either_spelling_by_itself_means_the_same(
    stage: Stage, plant: Plant, spelling: tuple[str, str]
) -> None:
    course, users = spelling
    answer = stage.reset({course: plant.forklift, users: plant.ids("anna")}, confirming(FORKLIFT, 1))
    assert answer.json() == {"usersUpdated": 1}


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


@pytest.mark.parametrize("most", [3, 1000])
def test_R08_more_ids_than_the_policy_allows_are_refused_counted_as_sent(
    new_stage: NewStage, most: int
) -> None:
    plant = grow(Policy(max_users_per_reset=most))
    stage = new_stage(plant.mock)
    body = {"courseId": plant.forklift, "userIds": plant.ids("anna") * (most + 1)}
    with nothing_changes(plant.mock):
        answer = stage.reset(body, confirming(FORKLIFT, 1))
    assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")
    body["userIds"] = body["userIds"][:most]
    assert stage.reset(body, confirming(FORKLIFT, 1)).json() == {"usersUpdated": 1}


@pytest.mark.parametrize(
    ("colour", "door"),
    [
        ("sync", "in-process"),
        ("async", "socket"),
        pytest.param("sync", "socket", marks=pytest.mark.heavy),
        pytest.param("async", "in-process", marks=pytest.mark.heavy),
    ],
)
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
