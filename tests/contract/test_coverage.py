"""Nothing published gets lost: each operation has one method of the SDK, and one rule of the server or a 501."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import pytest

from conformity import conformity
from contract.conftest import EVERY_PAIR, NewStage
from contract.plant import NOW, Plant, grow
from contract.stage import Tap, typed
from mock_server import MockTraining
from mock_server.api.openapi import document
from mock_server.wire.message import Request, Response
from mock_server.world.clock import to_text
from mock_server.world.ledger import RESET_EVENT, Webhook
from training_sdk import NotSupportedError, TrainingClient, TriggerEvent
from training_sdk._core.operation import Listed, Operation
from training_sdk.client import _RESOURCES

PAIRS = EVERY_PAIR


def _kept_webhook(plant: Plant) -> str:
    """The id of a webhook that is there before anything is asked."""
    hook = Webhook("hook", plant.mock.world.main.id, "http://127.0.0.1:9/", (RESET_EVENT,), to_text(NOW))
    plant.mock.world.webhooks[hook.id] = hook
    return hook.id


def _use(client: TrainingClient, plant: Plant, name: str) -> None:
    """Call a method, and read what it lists to the end."""
    if name == "resets.apply":
        plan = client.resets.plan(plant.forklift, plant.ids("anna"))
        client.resets.apply(plan, confirm=typed(plan))
        return
    needed = ARGUMENTS[name](plant) if name in ARGUMENTS else {}
    found = attrgetter(name)(client)(**needed)
    if isinstance(found, Iterable):
        list(found)


OFFERED = {
    "WhoAmI": "users.me",
    "ListCourses": "courses.list",
    "ListLessonsOfCourse": "courses.lessons",
    "GetLesson": "courses.lesson",
    "UpdateCourseAssignments": "courses.update_assignments",
    "ListTrainingCourseProgress": "progress.list",
    "GetCourseStatistics": "analytics.course_statistics",
    "ListLessonAttempts": "analytics.attempts",
    "GetUserLessonProgress": "analytics.lesson_progress",
    "GetLessonStatistics": "analytics.lesson_statistics",
    "ListLessonProgressEvents": "analytics.lesson_events",
    "ListUserLessonProgressEvents": "analytics.user_lesson_events",
    "GetSlideStatistics": "analytics.slide_statistics",
    "GetUserSlideStatistics": "analytics.user_slides",
    "ListSurveyQuestionDefinitions": "analytics.survey_questions",
    "ListSurveyAnswers": "analytics.survey_answers",
    "ListRapidRefreshAnswers": "analytics.rapid_refresh_answers",
    "ListRapidRefreshes": "rapid_refreshes.list",
    "GetRapidRefresh": "rapid_refreshes.get",
    "ListLeaderboards": "leaderboards.list",
    "GetLeaderboardRankings": "leaderboards.rankings",
    "ListUsers": "users.list",
    "ListPermissionSets": "permissions.list",
    "ListPaths": "paths.list",
    "GetPath": "paths.get",
    "ListCollections": "collections.list",
    "ListCoursesOfCollection": "collections.courses",
    "FeedUsers": "users.feed",
    "FeedGroups": "groups.list",
    "FeedGroupUsers": "groups.members",
    "FeedSites": "sites.list",
    "FeedSiteMembers": "sites.members",
    "CreateWebhook": "webhooks.create",
    "ListWebhooks": "webhooks.list",
    "GetWebhook": "webhooks.get",
    "DeleteWebhook": "webhooks.delete",
    "GetWebhookToken": "webhooks.secret",
    "CreateWebhookToken": "webhooks.renew_secret",
    "ResetCourseProgress": "resets.apply",
}
"""The one method that is there for an operation."""

ARGUMENTS: dict[str, Callable[[Plant], dict[str, Any]]] = {
    "courses.lessons": lambda plant: {"course_id": plant.forklift},
    "courses.lesson": lambda plant: {"lesson_id": plant.mock.world.course(plant.forklift).lessons[0].id},
    "courses.update_assignments": lambda plant: {"course_id": plant.forklift, "add_users": plant.ids("fay")},
    "analytics.lesson_progress": lambda plant: {"user_id": plant.id("anna")},
    "analytics.user_lesson_events": lambda plant: {"user_id": plant.id("anna")},
    "analytics.user_slides": lambda plant: {"user_id": plant.id("anna")},
    "rapid_refreshes.get": lambda plant: {"rapid_refresh_id": plant.rapid_refresh()},
    "leaderboards.rankings": lambda plant: {"leaderboard_id": plant.leaderboard()},
    "paths.get": lambda plant: {"path_id": plant.path()},
    "collections.courses": lambda plant: {"collection_id": plant.collection()},
    "webhooks.create": lambda _: {"url": "http://127.0.0.1:9/", "events": [TriggerEvent.COURSE_RESET]},
    "webhooks.get": lambda plant: {"webhook_id": _kept_webhook(plant)},
    "webhooks.delete": lambda plant: {"webhook_id": _kept_webhook(plant)},
}
"""What a method needs; the others need nothing."""

BESIDE = {
    *("courses.get", "request", "resets.plan", "resets.plan_everyone", "resets.plan_due"),
    *("resets.approve", "progress.table", "resets.resume", "resets.plan_proof", "resets.prove_format"),
    "resets.wait_until_verified",
}
"""Methods that are made of others' operations."""

NOT_OF_TRAINING = {
    *("FeedInspections", "FeedInspectionItems", "FeedTemplates", "FeedTemplatePermissions"),
    *("FeedSchedules", "FeedScheduleAssignees", "FeedScheduleOccurrences", "FeedActions"),
    *("FeedActionAssignees", "FeedActionTimelineItems", "FeedIssues", "FeedIssueAssignees"),
    *("FeedIssueTimelineItems", "FeedAssets", "FeedActivityLogEvents", "FeedOnboardingProgress"),
}
"""The vendor's, known by name, and nothing of Training: no method, and 501."""

READ_BY_FEEDS = {"ListGroups", "ListUsersOfGroup"}
"""Older reads that many scripts use; the methods read the feeds, which have the same."""

REFERENCE_ONLY = {"PreviewReset"}

PUBLISHED = {
    operation["operationId"]: operation
    for methods in document()["paths"].values()
    for operation in methods.values()
    if operation["operationId"] not in REFERENCE_ONLY
}


def _methods() -> set[str]:
    """Every operation that the client offers, as it is called."""
    with TrainingClient("token", base_url="http://127.0.0.1:1") as client:
        owners = {
            "": client,
            **{name: getattr(client, name) for name in _RESOURCES},
        }
        return {
            f"{owner}.{name}".lstrip(".")
            for owner, each in owners.items()
            for kind in type(each).__mro__
            for name, member in vars(kind).items()
            if isinstance(member, Operation | Listed)
        }


def test_every_published_operation_has_exactly_one_method() -> None:
    assert OFFERED.keys() | NOT_OF_TRAINING | READ_BY_FEEDS == PUBLISHED.keys()
    assert OFFERED.keys().isdisjoint(NOT_OF_TRAINING | READ_BY_FEEDS)
    names = [*OFFERED.values()]
    assert len(set(names)) == len(names)
    assert set(names) | BESIDE == _methods()
    assert BESIDE.isdisjoint(names)


@pytest.mark.parametrize("operation", OFFERED)
def test_the_method_sends_what_the_document_says(new_stage: NewStage, plant: Plant, operation: str) -> None:
    stage = new_stage(plant.mock)
    name = OFFERED[operation]
    _use(stage.client(), plant, name)
    sent = [conformity().find(request.method, request.path) for request in stage.tap.requests]
    assert operation in {found.name for found in sent if found}
    if not name.startswith("resets."):
        assert len({found and found.name for found in sent}) == 1


@pytest.mark.parametrize("operation", PUBLISHED)
def test_every_operation_is_served_by_a_rule_or_says_that_it_is_not(operation: str) -> None:
    mock = grow().mock
    ((method, path),) = [
        (method.upper(), re.sub("[{}]", "", template))
        for template, methods in document()["paths"].items()
        for method, each in methods.items()
        if each["operationId"] == operation
    ]
    token = (("user-agent", "tests/1"), ("authorization", f"Bearer {mock.token('admin')}"))
    answer = mock.handle(Request(method, path, headers=token))
    conformity().check_answer(Request(method, path), answer)
    assert (answer.status == 501) is (operation in NOT_OF_TRAINING)
    assert PUBLISHED[operation]["x-served"] is (operation not in NOT_OF_TRAINING)
    assert answer.status < 500 or b"UNIMPLEMENTED" in answer.body


def test_what_is_not_of_training_says_so_to_a_script_that_asks(new_stage: NewStage, plant: Plant) -> None:
    stage = new_stage(plant.mock)
    with pytest.raises(NotSupportedError, match=r"FeedInspections.*not part of Training"):
        stage.client().request("GET", "/feed/inspections")
    assert len(stage.tap.requests) == 1


def test_a_stage_rejects_what_the_document_lacks(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="not in the document"):
        Tap(plant.mock).handle(Request("GET", "/undo", headers=(("user-agent", "training-sdk/1"),)))
    monkeypatch.setattr(MockTraining, "handle", lambda _mock, _request: Response(418))
    with pytest.raises(AssertionError, match="418"):
        Tap(plant.mock).handle(Request("GET", "/training/courses/v1"))
