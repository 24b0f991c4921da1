"""Bad input: each is a clear error that says what to do, and changes nothing.

Where each kind is proved (this file, unless another is named; ``sdk`` and ``core`` stand for the suites in tests/unit):

====================================================  ==============================================================
empty and missing token, token with a newline         test_tokens_that_are_none; sdk/test_client
unknown course or user                                test_unknown_ids; test_scope (R08)
another organisation's ids                            test_who_may (R03)
ids that are ``..``, ``.``, empty, slashed, 10 kB     test_ids_that_are_none_*; sdk/test_operations; core/test_scope
ids that are not UTF-8                                test_ids_that_are_none_are_refused_by_the_server
empty list, duplicates, 1001 ids                      test_lists_of_ids; test_scope (R07, R08)
both or neither of userIds and allUsers               test_scope (R07)
unknown fields, wrong types                           test_fields_and_types; test_scope (R07)
broken JSON, wrong content type, 50 MB body           test_bodies_that_are_none; test_a_body_of_50_megabytes
page 0, -1, 10**9, non-numbers                        test_pages_that_are_none
a confirmation missing, not JSON, wrong               test_confirmation (R06)
titles with quotes, umlauts, emoji, 500 characters    test_confirmation (R06); sdk/test_plan
HTML, empty, truncated, redirect, endless cursor      test_lost_answers, test_plan_and_apply; sdk/test_send_policy,
                                                      sdk/test_listings
====================================================  ==============================================================
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from contract.plant import FORKLIFT, Plant, nothing_changes
from contract.stage import RESET, Stage, confirming, reason
from training_sdk import InvalidArgumentError, NotFoundError, TrainingError

ASSIGNMENTS = "/training/courses/v1/{}/assignments"
FEED = "/training/v1/feed/training-course-progress"
COURSES = "/training/courses/v1"
ATTEMPTS = "/training/analytics/v1/lessons/attempts"
MEGABYTE = 1024 * 1024

NO_IDS = ["", " ", ".", "..", "a/b", "a\\b", "a\nb", "a\x00b", "x" * 129, "x" * 10_000]


def test_tokens_that_are_none(stage: Stage, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAFETYCULTURE_API_TOKEN", raising=False)
    good = plant.mock.token("admin")
    for token in (None, "", "  ", f"{good}\n", f"{good}\r\nX-Evil: 1", f"{good[:9]} {good[9:]}", "tökén"):
        with pytest.raises(InvalidArgumentError, match=r"API token") as refused:
            stage.client(token=token)
        assert good not in str(refused.value)
    assert not stage.tap.requests
    for header in ("", "Bearer", good, f"Basic {good}", f"Bearer {good} x", f"Bearer {good}x"):
        with nothing_changes(plant.mock):
            answer = stage.send("GET", FEED, None, headers={"Authorization": header})
        assert (answer.status_code, reason(answer)) == (401, "UNAUTHENTICATED"), header
        assert good not in answer.text


def test_unknown_ids(stage: Stage, plant: Plant) -> None:
    client, course, user = stage.client(), "0" * 24, "user_" + "0" * 32
    attempts: list[Callable[[], object]] = [
        partial(client.courses.get, course),
        partial(client.courses.lessons, course),
        partial(client.courses.lesson, course),
        lambda: list(client.analytics.lesson_progress(user)),
        partial(client.resets.plan_everyone, course),
        partial(client.resets.plan, course, plant.ids("anna")),
        partial(client.resets.plan, plant.forklift, [user]),
        partial(client.courses.update_assignments, course, add_users=plant.ids("anna")),
        partial(client.courses.update_assignments, plant.forklift, add_users=[user]),
        partial(client.courses.update_assignments, plant.forklift, add_groups=[user]),
        partial(client.courses.update_assignments, plant.forklift, remove_sites=[user]),
    ]
    for attempt in attempts:
        with nothing_changes(plant.mock), pytest.raises(NotFoundError, match=f"{course}|{user}"):
            attempt()
    assert list(client.progress.list(course_id=course)) == []
    assert list(client.progress.list(user_id=user)) == []
    assert list(client.courses.list(ids=[course])) == []


def test_ids_that_are_none_are_refused_by_the_sdk_before_anything_is_sent(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    for bad in NO_IDS:
        attempts: list[Callable[[], object]] = [
            partial(client.courses.get, bad),
            partial(client.courses.lessons, bad),
            partial(client.courses.lesson, bad),
            partial(client.courses.list, ids=[bad]),
            partial(client.courses.update_assignments, bad, add_users=plant.ids("anna")),
            partial(client.courses.update_assignments, plant.forklift, add_users=[bad]),
            partial(client.progress.list, course_id=bad),
            partial(client.progress.list, user_id=bad),
            partial(client.analytics.lesson_progress, bad),
            partial(client.analytics.course_statistics, course_ids=[bad]),
            partial(client.resets.plan, bad, plant.ids("anna")),
            partial(client.resets.plan, plant.forklift, [*plant.ids("anna"), bad]),
            partial(client.resets.plan_everyone, bad),
        ]
        for attempt in attempts:
            with pytest.raises(InvalidArgumentError):
                attempt()
    assert not stage.tap.requests


def test_lists_of_ids(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    mistaken: list[Any] = [[], (), "", plant.id("anna"), b"ids", None, 7, [7], [None], [plant.ids("anna")]]
    for bad in mistaken:
        with pytest.raises(InvalidArgumentError):
            client.resets.plan(plant.forklift, bad)
    assert not stage.tap.requests


_QUOTED = [
    "..",
    ".",
    "%2e%2e",
    "a%2Fb",
    "a%5Cb",
    "a%0Ab",
    "a%00b",
    "%FF%FE",
    "%C3",
    "%zz",
    "x" * 129,
    "x" * 10_000,
]


def test_ids_that_are_none_are_refused_by_the_server(stage: Stage, plant: Plant) -> None:
    for bad in _QUOTED:
        for method, path in (
            ("GET", f"{COURSES}/{bad}/lessons"),
            ("GET", f"/training/lessons/v1/{bad}"),
            ("GET", f"/training/analytics/v1/users/{bad}/lessons/progress"),
            ("PUT", ASSIGNMENTS.format(bad)),
        ):
            with nothing_changes(plant.mock):
                answer = stage.send(method, path, body={"assignments": []} if method == "PUT" else None)
            assert answer.status_code in (400, 404), (method, path)
            assert answer.json()["message"]
        for query in (f"{COURSES}?courseIds={bad}", f"{FEED}?course_id={bad}", f"{FEED}?userId={bad}"):
            answer = stage.send("GET", query)
            assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT"), query
    for bad in NO_IDS:
        for body in (
            {"courseId": bad, "userIds": plant.ids("anna")},
            {"courseId": plant.forklift, "userIds": [bad]},
        ):
            with nothing_changes(plant.mock):
                answer = stage.reset(body, confirming(FORKLIFT, 1))
            assert answer.status_code in (400, 404), bad
    for query in (f"{COURSES}?courseIds=", f"{FEED}?course_id=", f"{COURSES}?courseIds=a,,b"):
        assert stage.send("GET", query).status_code == 400, query


_OTHER_PATHS = [
    "/training/courseprogress/v1/Reset",
    "/training/courseprogress/v1/reset/",
    "/training//courseprogress/v1/reset",
    "/training/courseprogress/v1%2Freset",
    "/training/courseprogress%2fv1/reset",
    "/training/courseprogress/v1/reset;a=b",
    "/training/courseprogress/v1/reset%00",
]
_DOTTED_PATHS = [
    "/training/courseprogress/v1/./reset",
    "/training/courseprogress/v1/reset/.",
    "/training/x/../courseprogress/v1/reset",
    "/training/x/%2e%2e/courseprogress/v1/reset",
]


def test_no_spelling_of_a_path_reaches_the_reset(stage: Stage, plant: Plant) -> None:
    body = {"courseId": plant.forklift, "allUsers": True}
    # In-process httpx itself resolves dots, so that there they are the true path.
    for path in [*_OTHER_PATHS, *(_DOTTED_PATHS if stage.door == "socket" else [])]:
        with nothing_changes(plant.mock):
            answer = stage.send("POST", path, body=body, headers=confirming(FORKLIFT, 4))
        assert answer.status_code in (400, 404), path
        assert stage.tap.requests[-1].path == path
        with pytest.raises(TrainingError):
            stage.client().request("POST", path, json=body)
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = stage.send(method, RESET, headers=confirming(FORKLIFT, 4))
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    with nothing_changes(plant.mock):
        queried = stage.send("POST", f"{RESET}?dryRun=true", body=body, headers=confirming(FORKLIFT, 4))
    assert queried.status_code == 400


def test_fields_and_types(stage: Stage, plant: Plant) -> None:
    entry = {"id": plant.id("anna"), "type": "ASSIGNMENT_TYPE_USER", "isAssigned": True}
    put = ASSIGNMENTS.format(plant.forklift)
    bodies: list[tuple[str, str, object]] = [
        ("PUT", put, {"assignments": [{**entry, "role": "x"}]}),
        ("PUT", put, {"assignments": [{**entry, "isAssigned": "true"}]}),
        ("PUT", put, {"assignments": [{**entry, "type": "USER"}]}),
        ("PUT", put, {"assignments": [entry, entry]}),
        ("PUT", put, {"assignments": [entry] * 1001}),
        ("PUT", put, {"assignments": {"0": entry}}),
        ("PUT", put, {"assignments": [], "clearAllUsers": 1}),
        ("PUT", put, {"assignments": [], "clearAll": True}),
        ("PUT", put, []),
        ("POST", "/users/v1/users/list", {}),
        ("POST", "/users/v1/users/list", {"list_all": True, "filters": {"user_ids": plant.ids("anna")}}),
        ("POST", "/users/v1/users/list", {"list_all": "yes"}),
        ("POST", "/users/v1/users/list", {"list_all": True, "page_size": 201}),
        ("POST", "/users/v1/users/list", {"filters": {}}),
        ("POST", "/users/v1/users/list", {"filters": {"user_ids": []}}),
        ("POST", "/users/v1/users/list", {"filters": {"statuses": ["ACTIVE"]}}),
        ("POST", "/permissions/v1/permission_sets", {"limit": 101}),
        ("POST", "/permissions/v1/permission_sets", {"limit": True}),
        ("POST", "/permissions/v1/permission_sets", {"offset": -1}),
    ]
    for method, path, body in bodies:
        with nothing_changes(plant.mock):
            answer = stage.send(method, path, body=body)
        assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT"), body


def test_bodies_that_are_none(stage: Stage, plant: Plant) -> None:
    sound = b'{"courseId":"%b","allUsers":true}' % plant.forklift.encode()
    broken = [
        b"",
        b"{",
        sound[:-1],
        sound + b"}",
        sound + sound,
        b"\xef\xbb\xbf" + sound,
        b"\xff",
        b"NaN",
        b"true",
    ]
    broken += [
        sound.replace(b'"', b"'"),
        sound.decode().encode("utf-16"),
        b"[" * 100_000,
        b'{"courseId":"\\ud800"}',
    ]
    for content in broken:
        with nothing_changes(plant.mock):
            answer = stage.send("POST", RESET, content=content, headers=confirming(FORKLIFT, 4))
        assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT"), content[:40]
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "json",
    ):
        headers = confirming(FORKLIFT, 4) | {"Content-Type": kind}
        with nothing_changes(plant.mock):
            answer = stage.send("POST", RESET, content=sound, headers=headers)
        assert (answer.status_code, reason(answer)) == (415, "UNSUPPORTED_MEDIA_TYPE"), kind
    assert stage.send("GET", COURSES, content=b"{}").status_code == 400


def test_a_body_of_50_megabytes(stage: Stage, plant: Plant) -> None:
    with nothing_changes(plant.mock):
        answer = stage.send("POST", RESET, content=b" " * (50 * MEGABYTE), headers=confirming(FORKLIFT, 4))
    assert (answer.status_code, reason(answer)) == (413, "BODY_TOO_LARGE")
    assert stage.client().users.me().user_id == plant.id("ada"), "the server lives on"


def test_pages_that_are_none(stage: Stage) -> None:
    for path, name, least in (
        (COURSES, "page", 1),
        (COURSES, "pageSize", 1),
        (ATTEMPTS, "page", 1),
        (FEED, "limit", 1),
        (FEED, "offset", 0),
        ("/feed/users", "limit", 1),
    ):
        for value in (least - 1, -1, "", "x", "1.5", "1e3", "0x1", "%D9%A1", " 1", "+1", "9" * 40):
            answer = stage.send("GET", f"{path}?{name}={value}".replace(" ", "%20").replace("+", "%2B"))
            assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT"), (path, name, value)
            assert name in answer.json()["message"]
    for path, empty in ((f"{COURSES}?page=1000000000", "items"), (f"{FEED}?offset=1000000000", "data")):
        answer = stage.send("GET", path)
        assert (answer.status_code, answer.json()[empty]) == (200, []), "a page past the end is empty"
    for query in ("page=1&page=2", "page=1&pages=2", "pageSize=1&page_size=1", "pageSize=1001", "=1"):
        assert stage.send("GET", f"{COURSES}?{query}").status_code == 400, query
