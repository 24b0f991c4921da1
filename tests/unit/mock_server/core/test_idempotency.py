from __future__ import annotations

import json
from threading import Thread
from time import sleep

import pytest

from mock_server import MockTraining
from mock_server.world.people import Permission
from unit.mock_server.core.speaker import (
    FORKLIFT,
    JSON_TYPE,
    RESET,
    Answer,
    Speaker,
    changed,
    confirmation,
    course_id,
    user_of,
)


def one(speaker: Speaker, key: str = "k-1", users: int = 1) -> Answer:
    anna = user_of(speaker.mock, "learner")
    return speaker.reset(course_id(speaker.mock), [anna], (FORKLIFT, users), idempotency_key=key)


@pytest.mark.parametrize("key", ["", "with space", "ümlaut", "x" * 256, "tab\t"])
def test_R11_a_key_has_a_form(mock: MockTraining, admin: Speaker, key: str) -> None:
    before = mock.world.snapshot()
    answer = one(admin, key)
    assert (answer.status, answer.metadata) == (400, {"field": "Idempotency-Key"})
    assert changed(before, mock.world.snapshot()) == {"/audit"}


def test_R11_two_keys_are_refused(mock: MockTraining, admin: Speaker) -> None:
    body = {"courseId": course_id(mock), "userIds": [user_of(mock, "learner")]}
    keys = (("idempotency-key", "a"), ("idempotency-key", "b"))
    headers = (*keys, ("reset-confirmation", confirmation(FORKLIFT, 1)))
    assert admin.send("POST", RESET, body=body, headers=headers).status == 400


def test_R11_while_the_first_is_running_a_second_is_409(mock: MockTraining, admin: Speaker) -> None:
    """The first waits for the world's lock, which this test holds; the second arrives meanwhile."""
    answers: list[Answer] = []
    keys = mock.world.keys
    slot = (mock.world.main.id, user_of(mock, "admin"), "ResetCourseProgress", "k-1")
    course, anna = course_id(mock), user_of(mock, "learner")

    def send() -> None:
        answers.append(admin.reset(course, [anna], (FORKLIFT, 1), idempotency_key="k-1"))

    threads = [Thread(target=send, daemon=True) for _ in range(2)]
    with mock.world.lock:
        for number, thread in enumerate(threads, 1):
            thread.start()
            for _ in range(10_000):
                if keys._running[slot] == number:
                    break
                sleep(0.001)
        assert keys._running[slot] == 2
    for thread in threads:
        thread.join(10)
    done, refused = sorted(answers, key=lambda answer: answer.status)
    assert done.json == {"usersUpdated": 1}
    assert (refused.status, refused.reason) == (409, "IDEMPOTENCY_KEY_IN_FLIGHT")
    assert not keys._running
    assert one(admin).body == done.body


def test_R11_the_409_comes_in_its_turn(mock: MockTraining, admin: Speaker) -> None:
    slot = (mock.world.main.id, user_of(mock, "admin"), "ResetCourseProgress", "k-1")
    anna = user_of(mock, "learner")
    with mock.world.keys.running(slot):
        assert one(admin, users=99).status == 409
        assert admin.reset(course_id(mock), [anna], None, idempotency_key="k-1").status == 409
        assert admin.reset(course_id(mock), [], (FORKLIFT, 1), idempotency_key="k-1").status == 400
        assert admin.reset("0" * 24, [anna], (FORKLIFT, 1), idempotency_key="k-1").status == 404
        assert one(admin, "k-2").status == 200


def test_R11_the_preview_takes_no_key(mock: MockTraining, admin: Speaker) -> None:
    body = {"courseId": course_id(mock), "allUsers": True}
    first = admin.post(f"{RESET}:preview", body, idempotency_key="k-1")
    assert one(admin).status == 200
    again = admin.post(f"{RESET}:preview", body, idempotency_key="k-1")
    assert (first.json["usersToReset"], again.json["usersToReset"]) == (37, 36)


def test_R11_bytes_decide_what_is_the_same(mock: MockTraining, admin: Speaker) -> None:
    body = json.dumps({"courseId": course_id(mock), "userIds": [user_of(mock, "learner")]})
    headers = (JSON_TYPE, ("idempotency-key", "k"), ("reset-confirmation", confirmation(FORKLIFT, 1)))
    assert admin.send("POST", RESET, raw=body.encode(), headers=headers).status == 200
    assert admin.send("POST", RESET, raw=body.encode() + b" ", headers=headers).status == 422
    assert Permission.USERS in mock.tokens()[0]["permissions"]
