"""Strict by default, lenient by switch; and a reset strict in any case."""

from __future__ import annotations

import json

import pytest

from mock_server import MockTraining, Policy
from unit.mock_server.core.speaker import (
    ANNA,
    ATTEMPTS,
    COURSES,
    FEED,
    FORKLIFT,
    PREVIEW,
    RESET,
    STATISTICS,
    WHO,
    Speaker,
    confirmation,
    course_id,
    recorded,
)

LENIENT = Policy(requests="lenient", confirmation="off")
USERS = "/users/v1/users/list"
SETS = "/permissions/v1/permission_sets"


@pytest.fixture
def strict() -> Speaker:
    return Speaker(MockTraining.demo())


@pytest.fixture
def lenient() -> Speaker:
    return Speaker(MockTraining.demo(policy=LENIENT))


@pytest.mark.parametrize("path", [WHO, COURSES, FEED, STATISTICS, ATTEMPTS, "/feed/users"])
def test_an_unknown_parameter_is_refused_or_ignored(strict: Speaker, lenient: Speaker, path: str) -> None:
    refused = strict.get(path, "colour=red")
    assert (refused.status, refused.metadata) == (400, {"field": "colour"})
    assert lenient.get(path, "colour=red&colour=blue").body == lenient.get(path).body


@pytest.mark.parametrize(("path", "body"), [(USERS, {"list_all": True}), (SETS, {"limit": 5})])
def test_unknown_field_policy(strict: Speaker, lenient: Speaker, path: str, body: dict[str, object]) -> None:
    refused = strict.post(path, {**body, "colour": "red"})
    assert (refused.status, refused.metadata) == (400, {"field": "colour"})
    assert lenient.post(path, {**body, "colour": "red"}).body == lenient.post(path, body).body


def test_an_unknown_field_within_a_field_is_passed_over_too(strict: Speaker, lenient: Speaker) -> None:
    user = lenient.mock.world.user(ANNA).id
    path = f"{COURSES}/{course_id(lenient.mock)}/assignments"
    change = {"id": user, "type": "ASSIGNMENT_TYPE_USER", "isAssigned": True, "colour": "red"}
    assert strict.send("PUT", path, body={"assignments": [change]}).metadata == {"field": "colour"}
    assert lenient.send("PUT", path, body={"assignments": [change], "colour": 1}).status == 200


CONTENT_TYPES = (
    "text/plain",
    "json",
    "application/x-www-form-urlencoded",
    "application/json; charset=utf-16",
)


@pytest.mark.parametrize(
    "kind",
    [
        (),
        (("content-type", "a"),) * 2,
        *((("content-type", one),) for one in CONTENT_TYPES),
    ],
)
def test_content_type_policy(strict: Speaker, lenient: Speaker, kind: tuple[tuple[str, str], ...]) -> None:
    raw = json.dumps({"list_all": True}).encode()
    assert strict.send("POST", USERS, raw=raw, headers=kind).status == 415
    assert lenient.send("POST", USERS, raw=raw, headers=kind).status == 200
    assert lenient.send("POST", USERS, raw=b"list_all=true", headers=kind).status == 400


def test_R29_the_token_is_looked_at_before_the_user_agent(strict: Speaker) -> None:
    assert Speaker(strict.mock, None).send("GET", WHO, agent=()).status == 401
    assert strict.send("POST", RESET, raw=b"{}", agent=()).status == 415
    # And the user agent before rights and fields.
    assert Speaker(strict.mock, "learner").send("POST", RESET, body={"a": 1}, agent=()).status == 400


def test_lenient_is_not_more_than_that(lenient: Speaker) -> None:
    for query in ("page=0", "page=one", "page=1&page=2", "courseIds=&x=1", "page=1&%zz"):
        assert lenient.get(COURSES, query).status == 400, query
    assert lenient.post(USERS, {"list_all": "yes"}).status == 400
    assert lenient.post(USERS, {"listAll": True, "list_all": True}).status == 400
    assert lenient.post(USERS, {"filters": {"colour": "red"}}).status == 400
    assert lenient.send("GET", WHO, raw=b"{}").status == 400
    assert Speaker(lenient.mock, None).get(WHO).status == 401


@pytest.mark.parametrize("path", [RESET, PREVIEW])
@pytest.mark.parametrize("slip", ["userids", "users", "user_Ids", "learnerIds", "allusers", "dryRun", ""])
def test_R07_a_reset_is_read_strictly_in_a_lenient_world(lenient: Speaker, path: str, slip: str) -> None:
    mock, before = lenient.mock, lenient.mock.state()
    user = mock.world.user(ANNA).id
    for scope in ({"allUsers": True}, {"userIds": [user]}, {}):
        refused = lenient.post(path, {"courseId": course_id(mock), **scope, slip: [user]})
        assert (refused.status, refused.metadata) == (400, {"field": slip} if slip else {})
    assert not [each for each in mock.diff(before) if each.kind != "audit entry"]


@pytest.mark.parametrize("path", [RESET, PREVIEW])
def test_R07_nor_does_a_reset_pass_over_what_its_query_says(lenient: Speaker, path: str) -> None:
    body = {"courseId": course_id(lenient.mock), "allUsers": True}
    refused = lenient.send("POST", path, "userIds=somebody", body=body)
    assert (refused.status, refused.metadata) == (400, {"field": "userIds"})


def test_R06_a_lenient_world_still_asks_for_the_confirmation() -> None:
    mock = MockTraining.demo(policy=Policy(requests="lenient"))
    users = recorded(mock)
    body = json.dumps({"courseId": course_id(mock), "userIds": users}).encode()
    unsure = Speaker(mock).send("POST", RESET, raw=body, agent=())
    assert unsure.status == 428
    said = ("reset-confirmation", confirmation(FORKLIFT, len(users)))
    assert Speaker(mock).send("POST", RESET, raw=body, agent=(), headers=(said,)).status == 200


def test_the_switch_has_two_positions() -> None:
    assert Policy.from_pairs(["requests=lenient"]).is_lenient
    assert not Policy().is_lenient
    with pytest.raises(ValueError, match="requests must be one of 'strict', 'lenient', not 'loose'"):
        Policy.from_pairs(["requests=loose"])
