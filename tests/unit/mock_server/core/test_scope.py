from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import MockTraining, Policy
from unit.mock_server.conftest import NOW
from unit.mock_server.core.speaker import (
    FORKLIFT,
    JSON_TYPE,
    PREVIEW,
    RESET,
    Speaker,
    changed,
    course_id,
    recorded,
    user_of,
)


def bodies(course: str, user: str) -> dict[str, str]:
    """Bodies that must never reset anybody, each for its own reason; the contract tests have the ambiguous ones."""
    course, user = json.dumps(course), json.dumps(user)
    return {
        "object of ids": f'{{"courseId": {course}, "userIds": {{"0": {user}}}}}',
        "number among ids": f'{{"courseId": {course}, "userIds": [{user}, 7]}}',
        "list among ids": f'{{"courseId": {course}, "userIds": [[{user}]]}}',
        "dots": f'{{"courseId": {course}, "userIds": [{user}, ".."]}}',
        "dot": f'{{"courseId": {course}, "userIds": [{user}, "."]}}',
        "slash": f'{{"courseId": {course}, "userIds": [{user}, "a/b"]}}',
        "backslash": f'{{"courseId": {course}, "userIds": [{user}, "a\\\\b"]}}',
        "newline": f'{{"courseId": {course}, "userIds": [{user}, "a\\nb"]}}',
        "10 kB id": f'{{"courseId": {course}, "userIds": [{user}, "{"a" * 10_000}"]}}',
        "half a surrogate": f'{{"courseId": {course}, "userIds": [{user}, "\\ud83d"]}}',
        "misspelt field": f'{{"courseId": {course}, "userIDs": [{user}]}}',
        "odd spelling": f'{{"courseId": {course}, "user_Ids": [{user}]}}',
        "no course": f'{{"userIds": [{user}]}}',
        "null course": f'{{"courseId": null, "userIds": [{user}]}}',
        "list of courses": f'{{"courseId": [{course}], "allUsers": true}}',
        "empty course": '{"courseId": "", "allUsers": true}',
        "dots for a course": '{"courseId": "..", "allUsers": true}',
        "list": f'[{{"courseId": {course}, "allUsers": true}}]',
        "text": course,
        "null": "null",
        "empty object": "{}",
        "empty": "",
        "blank": "  \n ",
        "open": f'{{"courseId": {course}, "allUsers": true',
        "trailing": f'{{"courseId": {course}, "allUsers": true}} x',
        "two documents": f'{{"courseId": {course}, "allUsers": true}}{{}}',
        "comma": f'{{"courseId": {course}, "allUsers": true,}}',
        "comment": f'{{"courseId": {course}, /* all */ "allUsers": true}}',
        "single quotes": "{'courseId': 'x', 'allUsers': true}",
        "NaN": f'{{"courseId": {course}, "allUsers": true, "x": NaN}}',
        "Infinity": f'{{"courseId": {course}, "allUsers": true, "x": -Infinity}}',
        "overflow": f'{{"courseId": {course}, "allUsers": true, "x": 1e999}}',
        "BOM": f'\ufeff{{"courseId": {course}, "allUsers": true}}',
        "deep": '{"courseId": ' + "[" * 100_000,
        "form": "courseId=x&allUsers=true",
    }


NAMES = list(bodies("c", "u"))


def post(speaker: Speaker, raw: bytes, path: str = RESET, **headers: str) -> tuple[int, str]:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    answer = speaker.send("POST", path, raw=raw, headers=(JSON_TYPE, *named))
    return answer.status, answer.reason if answer.status != 200 else ""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", [RESET, PREVIEW])
def test_R07_scope_never_widens(mock: MockTraining, admin: Speaker, path: str, name: str) -> None:
    before = mock.world.snapshot()
    raw = bodies(course_id(mock), user_of(mock, "learner"))[name].encode()
    for users in (0, 1, 37):
        confirm = json.dumps({"courseTitle": FORKLIFT, "users": users})
        assert post(admin, raw, path, reset_confirmation=confirm) == (400, "INVALID_ARGUMENT")
    assert changed(before, mock.world.snapshot()) == ({"/audit"} if path == RESET else set())


@pytest.mark.parametrize(
    "raw", [b"\xff\xfe{}", '{"courseId": "x"}'.encode("utf-16"), b'{"courseId": "\xe4"}']
)
def test_R07_bodies_must_be_utf8(admin: Speaker, raw: bytes) -> None:
    assert post(admin, raw) == (400, "INVALID_ARGUMENT")


def test_R07_the_error_names_the_field(mock: MockTraining, admin: Speaker) -> None:
    course = course_id(mock)
    unknown = admin.post(RESET, {"courseId": course, "allUsers": True, "dryRun": True})
    assert "'dryRun'" in unknown.message
    assert unknown.metadata == {"field": "dryRun"}
    empty = admin.post(RESET, {"courseId": course, "userIds": []})
    assert "never means everyone" in empty.message
    both = admin.post(RESET, {"courseId": course, "course_id": course, "allUsers": True})
    assert "both spellings" in both.message


@pytest.mark.parametrize(
    ("course", "users"), [("courseId", "userIds"), ("course_id", "user_ids"), ("courseId", "user_ids")]
)
def test_R07_either_spelling_is_accepted(mock: MockTraining, admin: Speaker, course: str, users: str) -> None:
    anna = user_of(mock, "learner")
    confirm = json.dumps({"courseTitle": FORKLIFT, "users": 1})
    answer = admin.post(RESET, {course: course_id(mock), users: [anna]}, reset_confirmation=confirm)
    assert answer.json == {"usersUpdated": 1}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_R07_whatever_is_sent_nobody_is_reset_who_was_not_listed(data: st.DataObject) -> None:
    mock = MockTraining.demo(policy=Policy(confirmation="off"), now=NOW)
    admin, course, everyone = Speaker(mock), course_id(mock), recorded(mock)
    ids = st.sampled_from(everyone) | st.sampled_from(["", "..", "user_unknown"])
    listed = data.draw(st.lists(ids, max_size=4) | json_values, label="userIds")
    fields = {
        "courseId": course,
        data.draw(st.sampled_from(["userIds", "user_ids", "users", "userids"])): listed,
    }
    fields |= data.draw(
        st.dictionaries(st.sampled_from(["dryRun", "allUsers", "all_users"]), json_values, max_size=1)
    )
    answer = admin.post(RESET, fields)
    gone = set(everyone) - set(recorded(mock))
    if (
        fields.keys() & {"allUsers", "all_users"}
        or "users" in fields
        or "userids" in fields
        or "dryRun" in fields
    ):
        assert (answer.status, gone) == (400, set())
    elif isinstance(listed, list) and listed and all(isinstance(each, str) for each in listed):
        assert gone == (set(listed) if answer.status == 200 else set())
        assert (answer.status == 200) is (set(listed) <= set(everyone))
    else:
        assert (answer.status, gone) == (400, set())


def test_R07_no_bytes_make_a_5xx_or_a_reset() -> None:
    mock = MockTraining.demo(policy=Policy(confirmation="off"), now=NOW)
    before = mock.world.snapshot()

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
    def send(raw: bytes) -> None:
        assert post(Speaker(mock), raw) == (400, "INVALID_ARGUMENT")

    send()
    assert changed(before, mock.world.snapshot()) == {"/audit"}
