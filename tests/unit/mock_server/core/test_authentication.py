from __future__ import annotations

from datetime import timedelta

import pytest

from mock_server import MockTraining
from mock_server.api.operation import Operation
from mock_server.api.routes import OPERATIONS
from mock_server.wire.message import Request
from mock_server.world.people import Status
from unit.mock_server.core.speaker import (
    AGENT,
    ANNA,
    FORKLIFT,
    JSON_TYPE,
    WHO,
    Speaker,
    course_id,
    recorded,
    user_of,
)

HEADERS = [
    (),
    (("authorization", ""),),
    (("authorization", "Bearer"),),
    (("authorization", "Bearer "),),
    (("authorization", "Bearer nobody-knows-this"),),
    (("authorization", "Bearer two words"),),
    (("authorization", "Bearer a\nb"),),
    (("authorization", "Bearer nobody\n"),),
    (("authorization", "Bearer " + "x" * 10_000),),
    (("authorization", "Basic YTpi"),),
    (("authorization", "Bearer \xe4\xff"),),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_R03_every_operation_refuses_bad_tokens_first(mock: MockTraining, operation: Operation) -> None:
    before = mock.world.snapshot()
    revoked = (("authorization", f"Bearer {mock.token('revoked')}"),)
    expired = (("authorization", f"Bearer {mock.token('expired')}"),)
    for headers in [*HEADERS, revoked, expired]:
        sent = Request(operation.method, operation.template, "bad=%zz", headers, b"\xff", too_large=True)
        answer = mock.handle(sent)
        assert answer.status == 401, (operation.name, headers)
        assert ("www-authenticate", "Bearer") in answer.headers
        assert b"UNAUTHENTICATED" in answer.body
    after = mock.world.snapshot()
    assert {**after, "audit": []} == {**before, "audit": []}


def test_R03_two_authorization_headers_are_none(mock: MockTraining) -> None:
    good = ("authorization", f"Bearer {mock.token('admin')}")
    assert mock.handle(Request("GET", WHO, headers=(good, good))).status == 401
    assert mock.handle(Request("GET", WHO, headers=(good, AGENT))).status == 200


def test_R03_a_token_expires_with_the_clock_and_falls_with_its_owner(mock: MockTraining) -> None:
    learner = Speaker(mock, "learner")
    assert learner.get(WHO).json["user_id"] == user_of(mock, "learner")
    mock.world.update_user(ANNA, status=Status.DEACTIVATED)
    assert learner.get(WHO).status == 401
    mock.world.update_user(ANNA, status=Status.ACTIVE)
    assert learner.get(WHO).status == 200
    mock.world.clock.freeze(mock.world.clock.now() - timedelta(days=400))
    assert Speaker(mock, "expired").get(WHO).status == 200


def test_R03_a_reset_in_one_organisation_leaves_its_look_alike_alone(mock: MockTraining) -> None:
    outsider = Speaker(mock, "outsider")
    before = mock.world.snapshot()["organisations"]
    theirs = next(key for key in before if before[key]["name"] == "Nordwerk Logistics Ltd")
    everyone = recorded(mock)
    assert Speaker(mock).reset(course_id(mock), None, (FORKLIFT, len(everyone))).status == 200
    assert mock.world.snapshot()["organisations"][theirs] == before[theirs]
    assert len(outsider.rows()) == 2


def test_R03_tokens_are_kept_as_digests_and_never_shown(mock: MockTraining) -> None:
    Speaker(mock).send("POST", WHO, headers=(JSON_TYPE,))
    texts = [repr(mock), repr(mock.world), str(mock.world.snapshot()), repr(mock.audit)]
    for each in mock.tokens():
        assert all(each["token"] not in text for text in texts)


def test_R03_a_good_token_is_good_as_it_is_and_no_other_way(mock: MockTraining) -> None:
    token = mock.token("admin")
    for header, status in (
        (f"Bearer {token}", 200),
        (f"bearer  {token} ", 200),
        (f"Bearer {token}\n", 401),
        (f"Bearer\t{token}", 401),
        (f"Bearer {token.upper()}", 401),
        (f"Bearer {token}x", 401),
        (token, 401),
    ):
        assert mock.handle(Request("GET", WHO, headers=(("authorization", header), AGENT))).status == status
