"""R24: one signed event per user reset, to whoever subscribes; best effort, and to this machine alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from mock_server import MockTraining
from mock_server.rules import webhooks as rule
from mock_server.rules.access import Actor, actor_of
from mock_server.transports import webhooks as door
from mock_server.world.ledger import RESET_EVENT
from mock_server.world.people import digest
from unit.mock_server.conftest import NOW
from unit.mock_server.core.speaker import FORKLIFT, WHO, Answer, Speaker, course_id, recorded, user_of
from unit.mock_server.state.receiver import Receiver, receiver

HOOKS, TOKEN = "/webhooks/v1/webhooks", "/webhooks/v1/token"


@pytest.fixture
def mock() -> MockTraining:
    made = MockTraining.demo(now=NOW)
    made.webhooks.pause(timedelta(0))
    return made


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def subscribe(admin: Speaker, url: str) -> str:
    answer = admin.post(HOOKS, {"url": url, "trigger_events": [RESET_EVENT]})
    assert answer.status == 200, answer.message
    return str(answer.json["webhook_id"])


def reset(admin: Speaker, users: int, **headers: str) -> list[str]:
    found = recorded(admin.mock)[:users]
    answer = admin.reset(course_id(admin.mock), found, (FORKLIFT, users), **headers)
    assert answer.status == 200, answer.message
    return found


def actor(mock: MockTraining) -> Actor:
    return actor_of(mock.world, mock.world.tokens[digest(mock.token("admin"))])


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_R24_the_envelope_is_the_vendors(mock: MockTraining, admin: Speaker, there: Receiver) -> None:
    webhook = subscribe(admin, there.url)
    (user,) = reset(admin, 1)
    mock.webhooks.wait()
    organisation = str(UUID(mock.world.main.id.removeprefix("role_")))
    assert json.loads(there.bodies[0]) == {
        "webhook_id": webhook,
        "version": "3.0.0",
        "event": {
            "date_triggered": "2026-11-30T09:00:00.000Z",
            "event_types": [RESET_EVENT],
            "triggered_by": {"user": user_of(mock, "admin"), "organization": organisation},
        },
        "resource": {"id": course_id(mock), "type": "COURSE"},
        "data": {
            "event": {"training_course_reset": {}},
            "details": {
                "course_id": course_id(mock),
                "course_title": FORKLIFT,
                "user_id": user,
                "org_id": organisation,
            },
        },
    }


def test_R24_the_signature_is_of_the_raw_body(mock: MockTraining, admin: Speaker, there: Receiver) -> None:
    subscribe(admin, there.url)
    keys = [admin.get(TOKEN).json["token"]]
    reset(admin, 1)
    keys.append(admin.post(TOKEN, {}).json["token"])
    reset(admin, 1)
    mock.webhooks.wait()
    assert keys[0] != keys[1] == admin.get(TOKEN).json["token"]
    signatures = [headers["x-safetyculture-signature"] for headers in there.headers]
    assert signatures == [
        hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        for key, body in zip(keys, there.bodies, strict=True)
    ]
    assert there.headers[0]["content-type"] == "application/json"


def test_R24_nothing_is_sent_without_a_reset(mock: MockTraining, admin: Speaker, there: Receiver) -> None:
    subscribe(admin, there.url)
    course, (user, *_) = course_id(mock), recorded(mock)
    assert admin.reset(course, [user], ("Forklift Basics", 1)).status == 412
    assert Speaker(mock, "learner").reset(course, [user], (FORKLIFT, 1)).status == 403
    assert admin.reset(course, [user], (FORKLIFT, 1), idempotency_key="k").status == 200
    assert admin.reset(course, [user], (FORKLIFT, 1), idempotency_key="k").status == 200
    assert admin.reset(course, [user], (FORKLIFT, 0)).json == {"usersUpdated": 0}
    assert len(mock.webhooks.wait()) == 1
    assert len(there.bodies) == 1


def test_R24_all_subscribers_and_no_others(mock: MockTraining, admin: Speaker, there: Receiver) -> None:
    mine = [subscribe(admin, f"{there.url}{name}") for name in ("a", "b")]
    gone = subscribe(admin, f"{there.url}gone")
    foreign = subscribe(Speaker(mock, "outsider"), f"{there.url}foreign")
    assert admin.send("DELETE", f"{HOOKS}/{gone}").status == 200
    reset(admin, 2)
    told = [json.loads(body)["webhook_id"] for body in there.bodies] if mock.webhooks.wait() else []
    assert sorted(told) == sorted(mine * 2)
    assert foreign not in told


def test_R24_four_attempts_until_it_is_taken(mock: MockTraining, admin: Speaker, there: Receiver) -> None:
    subscribe(admin, there.url)
    there.statuses[:] = [500, 404, 307]
    reset(admin, 1)
    assert [(each.attempt, each.status, each.is_delivered) for each in mock.webhooks.wait()] == [
        (1, 500, False),
        (2, 404, False),
        (3, 307, False),
        (4, 200, True),
    ]
    assert len(set(there.bodies)) == 1


def test_R24_after_four_attempts_the_next_comes(mock: MockTraining, admin: Speaker, there: Receiver) -> None:
    subscribe(admin, there.url)
    there.statuses[:] = [503] * 4
    first, second = reset(admin, 2)
    made = [(each.user_id, each.attempt, each.status) for each in mock.webhooks.wait()]
    assert made == [*((first, attempt, 503) for attempt in (1, 2, 3, 4)), (second, 1, 200)]


def test_R24_a_receiver_that_is_not_there_harms_nobody(mock: MockTraining, admin: Speaker) -> None:
    subscribe(admin, f"http://localhost:{closed_port()}/")
    reset(admin, 1)
    made = mock.webhooks.wait()
    assert [each.status for each in made] == [0] * 4
    assert "ConnectionRefusedError" in made[0].error
    assert mock.audit[-1].outcome == "done"


def test_R24_delivery_takes_no_lock_of_the_world(mock: MockTraining, admin: Speaker, there: Receiver) -> None:
    """While a receiver keeps its answer back, the world answers others."""
    subscribe(admin, there.url)
    there.held.clear()
    reset(admin, 1)
    answers: list[Answer] = []
    other = threading.Thread(target=lambda: answers.append(admin.get(WHO)))
    other.start()
    other.join(20)
    assert [each.status for each in answers] == [200]
    assert mock.webhooks.deliveries == ()
    with pytest.raises(TimeoutError, match=r"still being delivered after 0\.01 s"):
        mock.webhooks.wait(0.01)
    there.held.set()
    assert len(mock.webhooks.wait()) == 1


def test_R24_what_waits_is_bounded_and_said(
    mock: MockTraining,
    admin: Speaker,
    there: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(rule, "MAX_PENDING", 2)
    subscribe(admin, there.url)
    reset(admin, 5)
    assert len(mock.webhooks.wait()) == 2
    assert "3 webhook messages were dropped" in caplog.text


# --- subscriptions -----------------------------------------------------------------------------------------------


def test_webhooks_are_made_listed_read_and_deleted(admin: Speaker) -> None:
    made = admin.post(HOOKS, {"url": "http://127.0.0.1:9/x?y=1", "triggerEvents": [RESET_EVENT]}).json
    assert set(made) == {"webhook_id", "url", "trigger_events", "created_at"}
    assert (made["url"], made["trigger_events"]) == ("http://127.0.0.1:9/x?y=1", [RESET_EVENT])
    assert admin.get(HOOKS).json == {"webhook": [made]}
    assert admin.get(f"{HOOKS}/{made['webhook_id']}").json == made
    assert admin.send("DELETE", f"{HOOKS}/{made['webhook_id']}").json == {}
    assert admin.get(HOOKS).json == {"webhook": []}
    for method in ("GET", "DELETE"):
        answer = admin.send(method, f"{HOOKS}/{made['webhook_id']}")
        assert (answer.status, answer.reason) == (404, "WEBHOOK_NOT_FOUND")


def test_R03_another_organisations_webhooks_do_not_exist(mock: MockTraining, admin: Speaker) -> None:
    outsider = Speaker(mock, "outsider")
    made = subscribe(admin, "http://127.0.0.1:9/")
    assert outsider.get(HOOKS).json == {"webhook": []}
    assert outsider.send("DELETE", f"{HOOKS}/{made}").status == 404
    assert outsider.get(TOKEN).json != admin.get(TOKEN).json


@pytest.mark.parametrize("token", ["manager", "resetter", "teamlead", "learner"])
def test_only_the_permission_set_administrator_gets_at_webhooks(mock: MockTraining, token: str) -> None:
    speaker, body = Speaker(mock, token), {"url": "http://127.0.0.1:9/", "trigger_events": [RESET_EVENT]}
    refused = [
        speaker.post(HOOKS, body),
        speaker.get(HOOKS),
        speaker.get(f"{HOOKS}/x"),
        speaker.send("DELETE", f"{HOOKS}/x"),
        speaker.get(TOKEN),
        speaker.post(TOKEN, {}),
    ]
    assert {(each.status, each.reason) for each in refused} == {(403, "PERMISSION_DENIED")}
    assert all('permission set "Administrator"' in each.message for each in refused)
    assert not mock.world.webhooks


def test_every_permission_in_a_set_of_another_name_is_not_administrator(mock: MockTraining) -> None:
    main = mock.world.main
    (everything,) = (each for each in main.permission_sets.values() if each.name == "Administrator")
    other = type(everything)("other", "Everything", "", everything.permissions)
    main.permission_sets[other.id] = other
    mock.world.update_user(user_of(mock, "admin"), permission_sets=frozenset({other.id}))
    assert Speaker(mock).get(HOOKS).status == 403


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://127.0.0.1/",
        "127.0.0.1",
        "http:///x",
        "http://user@127.0.0.1/",
        "http://127.0.0.1/#x",
        "http://127.0.0.1:99999/",
        "http://[::1",
        "http://127.0.0.1/ x",
        "http://127.0.0.1/ü",
        "http://example.com/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest",
        "http://0.0.0.0/",
        "http://127.0.0.1.example.com/",
        "http://localhost.example.com/",
        "http://2130706433/",
    ],
)
def test_only_this_machine_is_told(mock: MockTraining, admin: Speaker, url: str) -> None:
    answer = admin.post(HOOKS, {"url": url, "trigger_events": [RESET_EVENT]})
    assert (answer.status, answer.reason, answer.metadata) == (400, "INVALID_ARGUMENT", {"field": "url"})
    assert not mock.world.webhooks


@pytest.mark.parametrize(
    "url", ["http://localhost:9/", "https://127.0.0.1/", "http://[::1]:9/x", "http://127.8.0.1/"]
)
def test_every_way_to_write_this_machine_is_taken(admin: Speaker, url: str) -> None:
    subscribe(admin, url)


def test_R24_a_further_host_is_allowed_by_option_only(mock: MockTraining, admin: Speaker) -> None:
    mock.webhooks.allow("Hooks.example.com")
    subscribe(admin, "https://hooks.EXAMPLE.com/x")
    twin = MockTraining.load(mock.state())
    body = {"url": "https://hooks.example.com/y", "trigger_events": [RESET_EVENT]}
    assert Speaker(twin).post(HOOKS, body).status == 400
    mock.rollback(mock.state())
    assert admin.post(HOOKS, body).status == 200


@pytest.mark.parametrize("events", [[], None, "x", [RESET_EVENT, "TRIGGER_EVENT_INSPECTION"], [1]])
def test_an_event_that_is_never_sent_is_refused(admin: Speaker, events: object) -> None:
    answer = admin.post(HOOKS, {"url": "http://127.0.0.1:9/", "trigger_events": events})
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT")


def test_webhooks_are_bounded(admin: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_server.api.webhooks.MOST", 1)
    subscribe(admin, "http://127.0.0.1:9/")
    assert admin.post(HOOKS, {"url": "http://127.0.0.1:9/", "trigger_events": [RESET_EVENT]}).status == 400


# --- beside the other parts --------------------------------------------------------------------------------------


def test_webhooks_and_secrets_are_part_of_the_state(mock: MockTraining, admin: Speaker) -> None:
    before = mock.state()
    made = subscribe(admin, "http://127.0.0.1:9/")
    secret = admin.post(TOKEN, {}).json["token"]
    assert {(each.kind, each.key[0]) for each in mock.diff(before)} == {
        ("webhook", made),
        ("webhook secret", mock.world.main.id),
    }
    twin = Speaker(MockTraining.load(mock.state()))
    assert (twin.get(HOOKS).body, twin.get(TOKEN).json["token"]) == (admin.get(HOOKS).body, secret)
    mock.rollback(before)
    assert admin.get(HOOKS).json == {"webhook": []}


def test_the_secret_is_masked_in_the_journal(mock: MockTraining, admin: Speaker) -> None:
    secret = admin.get(TOKEN).json["token"]
    assert mock.calls.once().answer.json == {"token": "***"}
    assert secret not in mock.calls.once().answer.text
    subscribe(admin, f"http://127.0.0.1:{closed_port()}/")
    messages = rule.for_reset(mock.world, actor(mock), mock.world.course(FORKLIFT), ["user_1"])
    assert (len(messages), messages[0].secret) == (1, secret)
    assert secret not in repr(messages)


def test_deliveries_read_over_mock_as_in_python(mock: MockTraining, admin: Speaker, there: Receiver) -> None:
    subscribe(admin, there.url)
    (user,) = reset(admin, 1)
    mock.webhooks.wait()
    answer = Speaker(mock, None).get("/_mock/deliveries").json
    (made,) = answer["deliveries"]
    assert (answer["waiting"], made["user_id"], made["attempt"], made["status"]) == (0, user, 1, 200)


def test_the_latest_deliveries_are_kept() -> None:
    kept = door.Webhooks(MockTraining.demo().world)
    assert kept._kept.maxlen == door.MAX_KEPT


def test_many_resets_at_once_lose_no_event(mock: MockTraining, admin: Speaker, there: Receiver) -> None:
    subscribe(admin, there.url)
    users = recorded(mock)
    threads = [
        threading.Thread(target=admin.reset, args=(course_id(mock), [user], (FORKLIFT, 1))) for user in users
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mock.webhooks.wait(60)
    assert sorted(json.loads(body)["data"]["details"]["user_id"] for body in there.bodies) == sorted(users)
