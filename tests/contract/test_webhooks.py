"""R24, from the other side: a script subscribes, is told of a reset, and tells a true event from a forged one."""

from __future__ import annotations

import json

import pytest

from contract.plant import Plant, nothing_changes
from contract.stage import Stage, typed
from mock_server.mock import TokenName
from training_sdk import (
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
    TriggerEvent,
)
from training_sdk.client import TrainingClient
from unit.mock_server.state.receiver import receiver

RESET = [TriggerEvent.COURSE_RESET]
HERE = "http://127.0.0.1:9/"


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


def test_a_webhook_is_the_same_however_it_is_asked_for(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    assert list(client.webhooks.list()) == []
    first, second = (client.webhooks.create(HERE, events=RESET) for _ in range(2))
    assert first.webhook_id != second.webhook_id
    assert (first.url, first.trigger_events) == (HERE, (TriggerEvent.COURSE_RESET,))
    assert first.created_at == plant.mock.world.clock.now()
    assert list(client.webhooks.list()) == [first, second]
    assert client.webhooks.get(second.webhook_id) == second
    client.webhooks.delete(first.webhook_id)
    assert list(client.webhooks.list()) == [second]
    for attempt in (client.webhooks.get, client.webhooks.delete):
        with pytest.raises(NotFoundError) as gone:
            attempt(first.webhook_id)
        assert gone.value.reason == "WEBHOOK_NOT_FOUND"


def test_the_reference_server_calls_no_other_machine(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    with nothing_changes(plant.mock), pytest.raises(BadRequestError, match=r"must not be on elsewhere\.test"):
        client.webhooks.create("https://elsewhere.test/", events=RESET)


@pytest.mark.parametrize("who", ["manager", "teamlead", "resetter", "learner"])
def test_R24_webhooks_are_for_administrators_only(stage: Stage, plant: Plant, who: TokenName) -> None:
    kept = stage.client().webhooks.create(HERE, events=RESET).webhook_id
    webhooks = stage.client(who).webhooks
    for attempt in (
        lambda: list(webhooks.list()),
        lambda: webhooks.get(kept),
        lambda: webhooks.create(HERE, events=RESET),
        lambda: webhooks.delete(kept),
        webhooks.secret,
        webhooks.renew_secret,
    ):
        with nothing_changes(plant.mock), pytest.raises(PermissionDeniedError) as denied:
            attempt()
        assert denied.value.reason == "PERMISSION_DENIED"


def test_R03_another_organisations_webhooks_and_secret_do_not_exist(stage: Stage, plant: Plant) -> None:
    own = stage.client()
    kept = own.webhooks.create(HERE, events=RESET)
    outsider = stage.client("outsider")
    assert list(outsider.webhooks.list()) == []
    for attempt in (outsider.webhooks.get, outsider.webhooks.delete):
        with pytest.raises(NotFoundError):
            attempt(kept.webhook_id)
    before = own.webhooks.secret()
    assert outsider.webhooks.renew_secret() != before
    assert own.webhooks.secret() == before
    assert list(own.webhooks.list()) == [kept]


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
