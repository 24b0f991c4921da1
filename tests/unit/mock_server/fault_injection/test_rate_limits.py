"""Rate limits as published: per user and minute, 200 or 800 by operation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mock_server import MockTraining, Policy
from mock_server.api.operation import Operation
from mock_server.api.routes import OPERATIONS
from mock_server.rules import rate_limits
from mock_server.world.ledger import Window
from training_sdk._core.argument_checks import family_of
from unit.mock_server.core.speaker import COURSES, FEED, RESET, WHO, Answer, Speaker, user_of

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


@pytest.fixture
def mock() -> MockTraining:
    return MockTraining.demo(now=NOW, policy=Policy(rate_limits="published"))


def spend(mock: MockTraining, token: str, limit: int, requests: int) -> None:
    """Let somebody have asked so often in the window that begins now."""
    mock.world.windows[user_of(mock, token), limit] = Window(mock.clock.now(), requests)


def paced(answer: Answer) -> tuple[str, ...]:
    headers = answer.headers
    return tuple(headers.get(name, "") for name in HEADERS)


@pytest.mark.parametrize(("path", "limit"), [(COURSES, 200), (WHO, 800), (FEED, 800)])
def test_so_many_requests_are_answered_and_one_more_is_not(mock: MockTraining, path: str, limit: int) -> None:
    learner = Speaker(mock, "learner")
    query = "limit=1" if path == FEED else ""
    seen = [learner.get(path, query) for _ in range(limit + 1)]
    assert [each.status for each in seen] == [200] * limit + [429]
    assert [paced(each)[:2] for each in (seen[0], seen[-2], seen[-1])] == [
        (str(limit), str(limit - 1)),
        (str(limit), "0"),
        (str(limit), "0"),
    ]
    assert (seen[-1].reason, seen[-1].json["code"]) == ("RATE_LIMITED", 8)


def test_a_new_window_begins_when_the_old_one_has_ended(mock: MockTraining) -> None:
    spend(mock, "learner", 200, 200)
    learner = Speaker(mock, "learner")
    mock.clock.advance(timedelta(seconds=59, milliseconds=500))
    refused = learner.get(COURSES)
    assert (refused.status, paced(refused)[2]) == (429, "1")
    mock.clock.advance(timedelta(milliseconds=500))
    answer = learner.get(COURSES)
    assert (answer.status, paced(answer)) == (200, ("200", "199", "60"))


def test_everybody_and_every_family_has_a_count_of_its_own(mock: MockTraining) -> None:
    spend(mock, "learner", 200, 200)
    assert Speaker(mock, "learner").get(COURSES).status == 429
    assert Speaker(mock, "learner").get(WHO).status == 200
    assert Speaker(mock, "admin").get(COURSES).status == 200


def test_R29_a_request_without_a_valid_token_is_401_and_counts_for_nobody(mock: MockTraining) -> None:
    spend(mock, "revoked", 800, 800)
    answer = Speaker(mock, "revoked").get(WHO)
    assert (answer.status, paced(answer)) == (401, ("", "", ""))
    assert Speaker(mock, None).get(WHO).status == 401
    assert len(mock.world.windows) == 1


def test_refusals_by_a_rule_count_and_say_the_pace_too(mock: MockTraining) -> None:
    answer = Speaker(mock, "learner").post(RESET, {})
    assert (answer.status, paced(answer)) == (403, ("800", "799", "60"))


def test_a_reset_over_the_limit_changes_nothing(mock: MockTraining) -> None:
    spend(mock, "admin", 800, 800)
    course = mock.world.courses[0].id
    before = mock.world.snapshot()["organisations"]
    assert Speaker(mock).post(RESET, {"courseId": course, "allUsers": True}).status == 429
    assert mock.world.snapshot()["organisations"] == before
    assert [(each.outcome, each.status) for each in mock.audit] == [("RATE_LIMITED", 429)]


def test_silent_limits_hold_and_say_nothing_of_pace() -> None:
    mock = MockTraining.demo(now=NOW, policy=Policy(rate_limits="silent"))
    spend(mock, "learner", 200, 199)
    answers = [Speaker(mock, "learner").get(COURSES) for _ in range(2)]
    assert [each.status for each in answers] == [200, 429]
    assert [paced(each) for each in answers] == [("", "", "")] * 2
    assert (answers[1].message, answers[1].reason, answers[1].metadata) == (
        "Too many requests.",
        "RATE_LIMITED",
        {},
    )


def test_there_is_no_limit_unless_it_is_asked_for() -> None:
    mock = MockTraining.demo(now=NOW)
    assert {Speaker(mock, "learner").get(WHO).status for _ in range(801)} == {200}
    assert mock.world.windows == {}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_the_client_counts_an_operation_towards_the_limit_that_it_has(operation: Operation) -> None:
    is_few = operation.per_minute == rate_limits.FEW
    assert is_few == (family_of(operation.template) == "catalogue")
    assert is_few or operation.per_minute == rate_limits.MANY
