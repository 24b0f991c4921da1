"""Bad input: each is a clear error that says what to do, and changes nothing.

Where each kind is proved (this file, unless another is named; ``sdk`` and ``core`` stand for the suites in tests/unit):

====================================================  ==============================================================
empty and missing token, token with a newline         sdk/test_client; core/test_authentication
unknown course or user                                test_unknown_ids; the contract tests (R08)
another organisation's ids                            test_who_may (R03)
ids that are ``..``, ``.``, empty, slashed, 10 kB     sdk/test_operations; core/test_wire, core/test_scope
ids that are not UTF-8                                core/test_wire
empty list, duplicates, 1001 ids                      sdk/test_operations, sdk/test_listings; the contract tests
both or neither of userIds and allUsers               the contract tests (R07)
unknown fields, wrong types                           core/test_operations, core/test_scope (R07)
broken JSON, wrong content type, 50 MB body           core/test_scope, core/test_leniency; test_a_body_of_50_megabytes
page 0, -1, 10**9, non-numbers                        core/test_wire
other spellings of the path of a reset                test_no_spelling_of_a_path_reaches_the_reset
a confirmation missing, not JSON, wrong               core/test_confirmation (R06)
titles with quotes, umlauts, emoji, 500 characters    test_confirmation (R06); sdk/test_plan
HTML, empty, truncated, redirect, endless cursor      test_lost_answers, test_plan_and_apply; sdk/test_send_policy,
                                                      sdk/test_listings
====================================================  ==============================================================
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from contract.plant import FORKLIFT, Plant, nothing_changes
from contract.stage import RESET, Stage, confirming, reason
from training_sdk import NotFoundError, TrainingError

ASSIGNMENTS = "/training/courses/v1/{}/assignments"
FEED = "/training/v1/feed/training-course-progress"
COURSES = "/training/courses/v1"
ATTEMPTS = "/training/analytics/v1/lessons/attempts"
MEGABYTE = 1024 * 1024

NO_IDS = ["", " ", ".", "..", "a/b", "a\\b", "a\nb", "a\x00b", "x" * 129, "x" * 10_000]


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


def test_a_body_of_50_megabytes(stage: Stage, plant: Plant) -> None:
    with nothing_changes(plant.mock):
        answer = stage.send("POST", RESET, content=b" " * (50 * MEGABYTE), headers=confirming(FORKLIFT, 4))
    assert (answer.status_code, reason(answer)) == (413, "BODY_TOO_LARGE")
    assert stage.client().users.me().user_id == plant.id("ada"), "the server lives on"
