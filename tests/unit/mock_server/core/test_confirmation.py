from __future__ import annotations

import json

import pytest

from mock_server import MockTraining, Policy
from unit.mock_server.core.conftest import NOW
from unit.mock_server.core.speaker import (
    FORKLIFT,
    PREVIEW,
    RESET,
    Speaker,
    changed,
    course_id,
    recorded,
    user_of,
)

GOOD = {"courseTitle": FORKLIFT, "users": 37}


def everyone(speaker: Speaker, *confirmations: str) -> tuple[int, str, dict[str, str]]:
    headers = tuple(("reset-confirmation", each) for each in confirmations)
    answer = speaker.send(
        "POST", RESET, body={"courseId": course_id(speaker.mock), "allUsers": True}, headers=headers
    )
    return (200, "", {}) if answer.status == 200 else (answer.status, answer.reason, answer.metadata)


def test_R06_a_reset_without_confirmation_changes_nothing(mock: MockTraining, admin: Speaker) -> None:
    before = mock.world.snapshot()
    assert everyone(admin)[:2] == (428, "CONFIRMATION_REQUIRED")
    assert admin.reset(course_id(mock), [user_of(mock, "learner")], None).status == 428
    assert changed(before, mock.world.snapshot()) == {"/audit"}


@pytest.mark.parametrize(
    "claim",
    [
        {"courseTitle": "Forklift Basics", "users": 37},
        {"courseTitle": "Forklift basics ", "users": 37},
        {"courseTitle": "Forklift\u00a0basics", "users": 37},
        {"courseTitle": "", "users": 37},
        {"courseTitle": FORKLIFT, "users": 36},
        {"courseTitle": FORKLIFT, "users": 38},
        {"courseTitle": FORKLIFT, "users": 41},
        {"courseTitle": FORKLIFT, "users": 0},
        {"courseTitle": FORKLIFT, "users": -37},
        {"courseTitle": FORKLIFT, "users": 10**40},
    ],
)
def test_R06_an_untrue_confirmation_changes_nothing_and_is_told_the_truth(
    mock: MockTraining, admin: Speaker, claim: dict[str, object]
) -> None:
    before = mock.world.snapshot()
    truth = {"courseTitle": FORKLIFT, "users": "37"}
    assert everyone(admin, json.dumps(claim)) == (412, "CONFIRMATION_MISMATCH", truth)
    assert changed(before, mock.world.snapshot()) == {"/audit"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "37",
        "null",
        "[]",
        "yes",
        '"Forklift basics"',
        "{}",
        '{"courseTitle": "Forklift basics"}',
        '{"users": 37}',
        '{"courseTitle": "Forklift basics", "users": "37"}',
        '{"courseTitle": "Forklift basics", "users": 37.0}',
        '{"courseTitle": "Forklift basics", "users": true}',
        '{"courseTitle": "Forklift basics", "users": null}',
        '{"courseTitle": null, "users": 37}',
        '{"courseTitle": "Forklift basics", "users": 37, "also": 1}',
        '{"courseTitle": "Forklift basics", "users": 37, "users": 37}',
        '{"course_title": "Forklift basics", "users": 37}',
        '{"courseTitle": "Forklift basics", "users": 37} ;',
        '{"courseTitle": "Forklift basics", "users": NaN}',
        '{"courseTitle": "\ud83d", "users": 37}',
        '{"courseTitle": "\\ud83d", "users": 37}',
        '{"courseTitle": "Förklift", "users": 37}',
        '{"courseTitle": "' + "x" * 20_000 + '", "users": 37}',
        "[" * 10_000,
    ],
)
def test_R06_a_confirmation_of_another_form_is_400(mock: MockTraining, admin: Speaker, text: str) -> None:
    before = mock.world.snapshot()
    assert everyone(admin, text)[:2] == (400, "INVALID_ARGUMENT")
    assert changed(before, mock.world.snapshot()) == {"/audit"}


def test_R06_two_confirmations_are_none(mock: MockTraining, admin: Speaker) -> None:
    assert everyone(admin, json.dumps(GOOD), json.dumps(GOOD))[0] == 400
    assert len(recorded(mock)) == 37


def test_R06_a_true_confirmation_is_obeyed(mock: MockTraining, admin: Speaker) -> None:
    assert everyone(admin, json.dumps(GOOD))[0] == 200
    assert recorded(mock) == []
    assert everyone(admin, json.dumps(GOOD))[2]["users"] == "0"


@pytest.mark.parametrize(
    "title",
    ['He said "lift"', "Größe & Maß", "🚚 ⚠️", "Zu\u0308ge", "a" * 500, "back\\slash", "line\u2028separator"],
)
def test_R06_any_title_can_be_confirmed_in_ascii(mock: MockTraining, admin: Speaker, title: str) -> None:
    mock.world.update_course(FORKLIFT, title=title)
    course = course_id(mock, title)
    assert admin.reset(course, None, (FORKLIFT, 37)).metadata["courseTitle"] == title
    assert admin.reset(course, None, (title, 37)).json == {"usersUpdated": 37}


def test_R06_titles_that_look_alike_are_told_apart(mock: MockTraining, admin: Speaker) -> None:
    composed, decomposed = "Brandschutzübung", "Brandschutzu\u0308bung"
    course = course_id(mock, composed)
    assert admin.reset(course, None, (decomposed, len(recorded(mock, composed)))).status == 412
    assert admin.reset(course, None, (composed, len(recorded(mock, composed)))).status == 200


def test_R06_only_users_with_recorded_progress_are_counted(mock: MockTraining, admin: Speaker) -> None:
    progress = mock.world.main.progress[course_id(mock)]
    fresh = [user for user in progress.roster if user not in progress.records]
    asked = [user_of(mock, "learner"), *fresh]
    assert fresh
    assert admin.reset(course_id(mock), asked, (FORKLIFT, len(asked))).metadata["users"] == "1"
    assert admin.reset(course_id(mock), asked, (FORKLIFT, 1)).json == {"usersUpdated": 1}


def test_R06_the_policy_off_behaves_as_documented_by_the_vendor() -> None:
    mock = MockTraining.demo(policy=Policy(confirmation="off"), now=NOW)
    admin = Speaker(mock)
    anna = user_of(mock, "learner")
    assert admin.reset(course_id(mock), [anna], None).json == {"usersUpdated": 1}
    assert everyone(admin, "not even JSON")[0] == 200
    assert recorded(mock) == []


def test_R06_the_refusal_names_where_the_confirmation_is_learned(admin: Speaker) -> None:
    unconfirmed = admin.post(RESET, {"courseId": course_id(admin.mock), "allUsers": True})
    assert PREVIEW in unconfirmed.message
