"""The part that changes nothing: what each rule's reading check notices, and that nothing else can be sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mock_server import MockTraining, app
from mock_server.api import progress as feed
from mock_server.api.routes import OPERATIONS
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import access
from mock_server.rules.access import Family, Reach
from training_sdk import InvalidArgumentError
from training_sdk.errors import ReadOnlyError
from training_sdk.testing.contract import Report, Wire, run
from training_sdk.testing.contract.wire import RESET, USERS
from unit.sdk.contract_kit.break_permissions import nobody_is_an_administrator

FORKLIFT = "Forklift basics"
Spoil = Callable[[MockTraining, pytest.MonkeyPatch], None]


def read_only(mock: MockTraining) -> Report:
    with httpx.Client(transport=mock.transport()) as http:
        return run(Wire.to("http://127.0.0.1:9", http_client=http, read_only=True), read_only=True)


def anybody_gets_in(mock: MockTraining, patch: pytest.MonkeyPatch) -> None:
    nobody_is_an_administrator(patch)


def learners_list_users(mock: MockTraining, patch: pytest.MonkeyPatch) -> None:
    patch.setitem(access._TABLE, Family.PEOPLE, (Reach.ALL,) * 4)


def leaders_see_nobody(mock: MockTraining, patch: pytest.MonkeyPatch) -> None:
    honest = access.visible_users
    patch.setattr(access, "visible_users", lambda *of: set() if of[1] is Reach.TEAMS else honest(*of))


def managers_see_themselves(mock: MockTraining, patch: pytest.MonkeyPatch) -> None:
    admin = mock.tokens()[0]["user_id"]
    honest = access.visible_users

    def users(actor: Any, reach: Reach) -> Any:
        return honest(actor, reach) if actor.id == admin or reach is not Reach.ALL else {actor.id}

    patch.setattr(access, "visible_users", users)


def beginners_have_opened_nothing(mock: MockTraining, patch: pytest.MonkeyPatch) -> None:
    honest = feed.rows_as_json

    def rows(*of: Any) -> Any:
        for each in map(json.loads, honest(*of)):
            hides = (
                each["course_title"] == FORKLIFT and each["completed_lessons"] and not each["completed_at"]
            )
            yield json.dumps(each | ({"opened_at": ""} if hides else {})).encode()

    patch.setattr(feed, "rows_as_json", rows)  # and the figures of the same row agree
    course = mock.world.course(FORKLIFT).id
    mock.world.main.progress[course].tally.opened -= _half_way(mock, course)


def _half_way(mock: MockTraining, course: str) -> int:
    progress = mock.world.main.progress[course]
    on_roster = (record for user_id, record in progress.records.items() if progress.has(user_id))
    return sum(bool(each.completed_lessons and not each.completed_at) for each in on_roster)


def guests_have_rows(mock: MockTraining, patch: pytest.MonkeyPatch) -> None:
    progress = mock.world.main.progress[mock.world.course(FORKLIFT).id]
    guest = next(each for each in mock.world.users if not each.can_learn)
    progress.enrol(guest.id, next(iter(progress.enrolments.values())))


def figures_are_off(mock: MockTraining, patch: pytest.MonkeyPatch) -> None:
    mock.world.main.progress[mock.world.course(FORKLIFT).id].tally.completed += 1


def faults_come_first(mock: MockTraining, patch: pytest.MonkeyPatch) -> None:
    def check_query(exchange: Any) -> None:
        if exchange.request.query == "limit=none" and not exchange.authorization:
            raise RefusedError(Reason.INVALID_ARGUMENT, "limit must be a number.")

    patch.setattr(app, "STEPS", (check_query, *app.STEPS))


SPOILT: dict[Spoil, tuple[str, ...]] = {
    anybody_gets_in: ("R03-strangers-read-nothing",),
    learners_list_users: ("R05-learners-see-themselves",),
    leaders_see_nobody: ("R05-leaders-see-their-teams",),
    managers_see_themselves: ("R05-managers-see-everyone",),
    beginners_have_opened_nothing: ("R09-whoever-began-has-opened",),
    guests_have_rows: ("R10-rows-of-learners-alone",),
    figures_are_off: ("R14-figures-equal-the-feed",),
    faults_come_first: ("R29-rights-come-first",),
}
"""Every way of spoiling what can be read, and the checks that must notice it."""


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: f"{SPOILT[spoil][0][:3]}-{spoil.__name__}")
def test_reading_finds_the_broken_rule_and_no_other(spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    mock = MockTraining.demo()
    spoil(mock, monkeypatch)
    report = read_only(mock)
    broken = [each for each in report.findings if each.result == "broken"]
    assert {each.check for each in broken} == set(SPOILT[spoil]), broken


def test_every_rule_that_can_be_read_is_spoilt_once() -> None:
    report = read_only(MockTraining.demo())
    assert {each.check for each in report.findings} == {name for checks in SPOILT.values() for name in checks}
    assert report.exit_code == 0


@pytest.mark.parametrize(("method", "path"), [("POST", RESET), ("PUT", USERS), ("POST", "/_mock/worlds")])
def test_a_wire_for_reading_sends_nothing_else(method: str, path: str) -> None:
    mock = MockTraining.demo()
    with httpx.Client(transport=mock.transport()) as http:
        wire = Wire.to("http://127.0.0.1:9", http_client=http, read_only=True)
        with pytest.raises(ReadOnlyError):
            wire.send(method, path, mock.token("admin"), body={})
        assert wire.send("POST", USERS, mock.token("admin"), body={"list_all": True}).status == 200
    assert len(mock.calls) == 1


def test_of_all_operations_that_are_no_get_one_alone_may_be_read() -> None:
    mock = MockTraining.demo()
    changing = {(each.method, each.template) for each in OPERATIONS if each.method != "GET"}
    with httpx.Client(transport=mock.transport()) as http:
        wire = Wire.to("http://127.0.0.1:9", http_client=http, read_only=True)
        for method, path in changing - {("POST", USERS)}:
            with pytest.raises(ReadOnlyError):
                wire.send(method, path, mock.token("admin"), body={})
    assert ("POST", USERS) in changing
    assert len(mock.calls) == 0


def test_nobody_sends_no_authorization_at_all() -> None:
    mock = MockTraining.demo()
    with httpx.Client(transport=mock.transport(), headers={"Authorization": "Bearer other"}) as http:
        answer = Wire.to("http://127.0.0.1:9", http_client=http).send("GET", "/feed/users")
    assert answer.status == 401
    assert "is missing" in answer.text
    assert mock.calls[0].header("authorization") is None


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="must be an http"):
        Wire.to("elsewhere")
    with pytest.raises(InvalidArgumentError, match="unencrypted"):
        Wire.to("http://elsewhere.example")
