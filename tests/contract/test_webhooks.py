"""R24, from the other side: a script subscribes, is told of a reset, and tells a true event from a forged one."""

from __future__ import annotations

import json

import pytest

from contract.plant import Plant
from contract.stage import Stage, typed
from training_sdk import (
    PermissionDeniedError,
    TriggerEvent,
)
from training_sdk.client import TrainingClient
from unit.mock_server.state.receiver import receiver

RESET = [TriggerEvent.COURSE_RESET]


def reset(client: TrainingClient, course: str, users: list[str]) -> None:
    plan = client.resets.plan(course, users)
    assert client.resets.apply(plan, confirm=typed(plan)).is_complete


def test_R24_a_subscriber_is_told_of_a_reset_and_can_check_who_told_it(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    with receiver() as there:
        webhook = client.webhooks.create(there.url, events=RESET)
        reset(client, plant.forklift, plant.ids("anna"))
        plant.mock.webhooks.wait()
        old = client.webhooks.secret()
        new = client.webhooks.renew_secret()
        reset(client, plant.forklift, plant.ids("ben"))
        plant.mock.webhooks.wait()
        client.webhooks.delete(webhook.webhook_id)
        reset(client, plant.forklift, plant.ids("cleo"))
        plant.mock.webhooks.wait()
    told = [json.loads(body)["data"]["details"]["user_id"] for body in there.bodies]
    assert told == plant.ids("anna", "ben")
    signed = [
        [
            secret.has_signed(body, headers["x-safetyculture-signature"])
            for body, headers in zip(there.bodies, there.headers, strict=True)
        ]
        for secret in (old, new)
    ]
    assert signed == [[True, False], [False, True]]
    assert client.webhooks.secret() == new != old


def test_R05_the_feed_of_users_names_everyone_whom_the_list_names(stage: Stage, plant: Plant) -> None:
    client = stage.client("manager")
    fed = {user.id: (user.firstname, user.email, user.active) for user in client.users.feed()}
    listed = {
        user.user_id: (user.first_name, user.email, user.status == "USER_ACTIVE_STATUS_ACTIVE")
        for user in client.users.list()
    }
    assert fed == listed
    assert not fed[plant.id("dirk")][2]
    with pytest.raises(PermissionDeniedError):
        list(stage.client("learner").users.feed())
