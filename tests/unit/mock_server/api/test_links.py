"""From a token to every rule by the document alone: its links are followed, and what they lead to is looked at."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from attrs import frozen

import rules
from mock_server import MockTraining, Policy
from mock_server.api.openapi import LINK_BODY, document
from unit.mock_server.core.speaker import Answer, Speaker

ENTRIES: dict[str, object] = {
    "WhoAmI": None,
    "ListCourses": None,
    "ListUsers": {"list_all": True},
    "ListPaths": None,
    "ListCollections": None,
    "ListGroups": None,
    "ListRapidRefreshes": None,
    "ListLeaderboards": None,
    "CreateWebhook": {
        "url": "http://127.0.0.1:9/",
        "trigger_events": ["TRIGGER_EVENT_TRAINING_COURSE_RESET"],
    },
}
"""What can be asked with a token and nothing else."""

RESET, PREVIEW, FEED = "ResetCourseProgress", "PreviewReset", "ListTrainingCourseProgress"
RULES = {
    "R01": (RESET, 403),
    "R02": (RESET, 403),
    "R03": (FEED, 401),
    "R04": (RESET, 403),
    "R05": ("GetUserLessonProgress", 404),
    "R06": (RESET, 412),
    "R07": (RESET, 400),
    "R08": (RESET, 404),
    "R09": (PREVIEW, 200),
    "R10": ("UpdateCourseAssignments", 200),
    "R11": (RESET, 422),
    "R12": (FEED, 200),
    "R13": (PREVIEW, 200),
    "R14": ("GetCourseStatistics", 200),
    "R15": ("ListLessonAttempts", 200),
    "R16": (FEED, 200),
    "R17": ("ListLessonsOfCourse", 200),
    "R18": (PREVIEW, 200),
    "R19": (PREVIEW, 200),
    "R20": (FEED, 200),
    "R21": (RESET, 200),
    "R22": (FEED, 200),
    "R23": (RESET, 200),
    "R24": ("GetWebhook", 200),
    "R25": ("ListCourses", 200),
    "R29": (RESET, 428),
}
"""Where each rule shows: an operation, and the status of an answer. R22 and R23 also over the control plane."""


@frozen
class Spoken:
    """One exchange, as the expressions of links speak of it."""

    body: object
    answer: Answer

    def value(self, expression: object) -> Any:
        """What a runtime expression stands for; anything else is itself."""
        if isinstance(expression, dict):
            return {name: self.value(each) for name, each in expression.items()}
        if isinstance(expression, list):
            return [self.value(each) for each in expression]
        if not isinstance(expression, str) or not expression.startswith("$"):
            return expression
        source, _, pointer = expression.partition("#")
        found: Any = {"$response.body": self.answer.json, "$request.body": self.body}[source]
        for part in pointer.split("/")[1:]:
            found = found[int(part)] if isinstance(found, list) else found[part]
        return found


def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    return {
        spec["operationId"]: (method.upper(), path, spec)
        for path, methods in document()["paths"].items()
        for method, spec in methods.items()
    }


def ask(who: Speaker, name: str, parameters: dict[str, Any], body: object) -> Spoken:
    method, path, spec = operations()[name]
    query = {}
    for each in spec["parameters"]:
        value = parameters.get(each["name"])
        if value is not None and each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", quote(str(value), safe=""))
        elif value is not None:
            query[each["name"]] = value
    needs_body = "requestBody" in spec
    sent = body if body is not None else ({} if needs_body else None)
    return Spoken(sent, who.send(method, path, urlencode(query), body=sent))


def walk(mock: MockTraining) -> dict[str, set[int]]:
    """Every operation that links lead to, with the statuses it answered; each link is followed once."""
    who, seen = Speaker(mock), dict[str, set[int]]()
    waiting: list[tuple[str, dict[str, Any], object]] = [(each, {}, body) for each, body in ENTRIES.items()]
    followed: set[tuple[str, str]] = set()
    while waiting:
        name, parameters, body = waiting.pop(0)
        spoken = ask(who, name, parameters, body)
        seen.setdefault(name, set()).add(spoken.answer.status)
        answers = operations()[name][2]["responses"]
        links = answers.get("200", {}).get("links", {}) if spoken.answer.status in (200, 428) else {}
        for title, link in links.items():
            if (name, title) not in followed and (
                spoken.answer.status == 200 or "$response" not in json.dumps(link)
            ):
                followed.add((name, title))
                given = spoken.value(link.get("parameters", {}))
                waiting.append(
                    (link["operationId"], given, spoken.value(link.get("requestBody", link.get(LINK_BODY))))
                )
    every = {(name, title) for name, each in operations().items() for title in _links(each[2])}
    assert followed == every, every - followed
    return seen


def _links(spec: dict[str, Any]) -> dict[str, Any]:
    links: dict[str, Any] = spec["responses"].get("200", {}).get("links", {})
    return links


def test_every_link_gives_what_its_operation_needs() -> None:
    seen = walk(MockTraining.demo())
    # The confirmation of a reset is what a link cannot put together.
    assert seen.pop(RESET) == {428}
    assert seen.pop("UpdateCourseAssignments") <= {200, 400}
    # The webhook is read before it is deleted.
    assert all(statuses == {200} for statuses in seen.values()), seen


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_shows_where_links_lead(rule: str) -> None:
    name, status = RULES[rule]
    _, _, spec = operations()[name]
    assert str(status) in spec["responses"], f"{rule}: {name} is not said to answer {status}"
    assert name in _reached()


def _reached() -> set[str]:
    reached, waiting = set[str](), list(ENTRIES)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [each["operationId"] for each in _links(operations()[name][2]).values()]
    return reached


def test_the_rules_are_all_of_them() -> None:
    assert sorted(RULES) == rules.RULES


def test_what_no_link_leads_to_needs_nothing_but_a_token() -> None:
    for name, (_, path, spec) in operations().items():
        if spec["x-served"] and name not in _reached():
            assert "{" not in path, name
            assert not [each for each in spec["parameters"] if each.get("required")], name


def test_429_is_said_of_what_the_published_limits_count() -> None:
    mock = MockTraining.demo(policy=Policy(rate_limits="published"))
    who = Speaker(mock)
    for _ in range(801):
        last = who.get("/accounts/user/v1/user:WhoAmI")
    assert last.status == 429
    for name, (_, _, spec) in operations().items():
        assert "429" in spec["responses"], name  # every one of them spends of one of the two limits
    for method, path, spec in operations().values():
        asks = any(each.get("required") for each in spec["parameters"])
        if not asks and "courses/v1" not in path and spec["x-served"]:
            body: object = {} if "requestBody" in spec else None
            answered = who.send(method, path, body=body).status
            assert answered in (429, 200), (method, path, answered)
