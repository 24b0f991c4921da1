"""A server that plays the live one, and one that is not written as we assume."""

from __future__ import annotations

from typing import Any, Literal

import httpx
import pytest

from mock_server import MockTraining, Policy
from training_sdk import TrainingClient, UnconfirmedFormatError
from unit.mock_server.core.speaker import FORKLIFT, PREVIEW, RESET, WHO, Speaker, course_id, recorded

Plays = Literal["reference", "live", "treacherous"]
UNMARKED: tuple[Plays, ...] = ("live", "treacherous")


@pytest.fixture(params=UNMARKED)
def mock(request: pytest.FixtureRequest) -> MockTraining:
    return MockTraining.demo(policy=Policy(plays=request.param))


def test_no_answer_identifies_the_server(mock: MockTraining) -> None:
    admin = Speaker(mock)
    answers = [
        admin.get(WHO),
        admin.get("/nowhere"),
        admin.get("/_mock/health"),
        Speaker(mock, "revoked").get(WHO),
    ]
    answers += [admin.post(PREVIEW, {"courseId": course_id(mock), "allUsers": True}), admin.post(RESET, {})]
    assert [each.status for each in answers] == [200, 404, 200, 401, 404, 400]
    assert not any("mock" in name for each in answers for name in each.headers)
    assert [each.json["details"] for each in answers if each.status >= 400] == [[], [], [], []]


def test_the_reference_server_identifies_itself_in_every_one_of_them() -> None:
    admin = Speaker(MockTraining.demo())
    answers = [admin.get(WHO), admin.get("/nowhere"), admin.get("/_mock/health"), admin.post(RESET, {})]
    assert all("x-training-mock" in each.headers for each in answers)


def test_the_preview_is_as_unknown_as_any_path(mock: MockTraining) -> None:
    body = {"courseId": course_id(mock), "allUsers": True}
    for who in ("admin", "learner"):
        unknown = Speaker(mock, who).post("/training/nowhere", body)
        assert Speaker(mock, who).post(PREVIEW, body).body == unknown.body
    assert Speaker(mock, "revoked").post(PREVIEW, body).status == 401


def test_a_live_server_asks_no_confirmation_and_resets_whom_it_is_told_to() -> None:
    mock = MockTraining.demo(policy=Policy(plays="live"))
    somebody, *others = recorded(mock)
    assert Speaker(mock).reset(course_id(mock), [somebody], None).json == {"usersUpdated": 1}
    assert recorded(mock) == others != []


def test_a_live_server_knows_no_idempotency_key() -> None:
    mock = MockTraining.demo(policy=Policy(plays="live"))
    somebody, admin = recorded(mock)[0], Speaker(mock)
    answers = [admin.reset(course_id(mock), [somebody], None, idempotency_key="k") for _ in range(2)]
    assert [each.json["usersUpdated"] for each in answers] == [1, 0]
    assert admin.reset(course_id(mock), [somebody], None, idempotency_key="not\tvalid").status == 200


def test_a_treacherous_server_resets_those_listed_by_its_own_name() -> None:
    mock = MockTraining.demo(policy=Policy(plays="treacherous"))
    somebody, *others = recorded(mock)
    body = {"courseId": course_id(mock), "learnerIds": [somebody], "userIds": others}
    assert Speaker(mock).post(RESET, body).json == {"usersUpdated": 1}
    assert recorded(mock) == others
    assert [(each.everyone, each.user_ids) for each in mock.audit] == [(False, (somebody,))]


@pytest.mark.parametrize("body", [[], {}, {"courseId": ""}, {"courseId": 7, "learnerIds": []}])
def test_a_treacherous_server_still_wants_a_course(body: Any) -> None:
    mock = MockTraining.demo(policy=Policy(plays="treacherous"))
    assert Speaker(mock).post(RESET, body).status == 400


def test_R01_rights_hold_whoever_the_server_plays(mock: MockTraining) -> None:
    before = recorded(mock)
    assert Speaker(mock, "manager").reset(course_id(mock), before[:1], None).status == 403
    assert recorded(mock) == before


def test_the_sdk_sends_no_reset_to_a_server_that_does_not_identify_itself(mock: MockTraining) -> None:
    before = recorded(mock)
    with httpx.Client(transport=mock.transport()) as http:
        client = TrainingClient(mock.token("admin"), http_client=http)
        plan = client.resets.plan(mock.world.course(FORKLIFT).id, users=before[:1])
        with pytest.raises(UnconfirmedFormatError):
            client.resets.apply(plan, confirm=plan.phrase, reason="near miss", ticket="INC-1")
    assert recorded(mock) == before
    assert mock.audit == ()
