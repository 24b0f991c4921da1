from __future__ import annotations

import pytest

from mock_server import MockTraining
from unit.mock_server.core.speaker import (
    FORKLIFT,
    PREVIEW,
    RESET,
    Speaker,
    changed,
    course_id,
    recorded,
)


def everyone(speaker: Speaker, *confirmations: str) -> tuple[int, str, dict[str, str]]:
    headers = tuple(("reset-confirmation", each) for each in confirmations)
    answer = speaker.send(
        "POST", RESET, body={"courseId": course_id(speaker.mock), "allUsers": True}, headers=headers
    )
    return (200, "", {}) if answer.status == 200 else (answer.status, answer.reason, answer.metadata)


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


def test_R06_the_refusal_names_where_the_confirmation_is_learned(admin: Speaker) -> None:
    unconfirmed = admin.post(RESET, {"courseId": course_id(admin.mock), "allUsers": True})
    assert PREVIEW in unconfirmed.message
