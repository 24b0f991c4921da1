"""The clock and the script of faults over the control plane, for tests in other languages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mock_server import MockTraining
from unit.mock_server.conftest import NOW
from unit.mock_server.core.speaker import ANNA, FORKLIFT, WHO, Speaker

CLOCK, FAULTS = "/_mock/clock", "/_mock/faults"


def test_the_clock_is_read_frozen_advanced_and_let_go(mock: MockTraining) -> None:
    nobody = Speaker(mock, None)
    assert nobody.get(CLOCK).json == {"now": "2026-11-30T09:00:00.000Z", "frozen": True, "lag": 0}
    assert nobody.post(CLOCK, {"advance": 90.5}).json["now"] == "2026-11-30T09:01:30.500Z"
    assert (
        nobody.post(CLOCK, {"freeze": "2027-01-01T00:00:00+01:00"}).json["now"] == "2026-12-31T23:00:00.000Z"
    )
    assert nobody.post(CLOCK, {"lag": 1800}).json["lag"] == 1800
    assert mock.lag == timedelta(minutes=30)
    assert nobody.post(CLOCK, {"resume": True}).json["frozen"] is False
    assert abs(mock.clock.now() - datetime.now(UTC)) < timedelta(hours=1)
    assert nobody.post(CLOCK, {"freeze": True}).json["frozen"] is True


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"advance": 1, "lag": 1},
        {"advance": True},
        {"advance": "1"},
        {"advance": 10**300},
        {"advance": 9e9},
        {"lag": -1},
        {"lag": 7201},
        {"lag": 0.5},
        {"freeze": "soon"},
        {"freeze": "2027-01-01T00:00:00"},
        {"freeze": False},
        {"resume": 1.5},
        {"back": True},
    ],
)
def test_a_change_of_time_that_cannot_be_meant_changes_nothing(mock: MockTraining, body: Any) -> None:
    assert Speaker(mock, None).post(CLOCK, body).status == 400
    assert (mock.clock.now(), mock.lag) == (NOW, timedelta(0))


def test_a_clock_at_the_end_of_time_does_not_break(mock: MockTraining) -> None:
    nobody = Speaker(mock, None)
    assert nobody.post(CLOCK, {"freeze": "9999-12-31T23:59:59Z"}).status == 400
    assert nobody.post(CLOCK, {"freeze": "8999-12-31T23:59:59Z"}).status == 200
    assert nobody.post(CLOCK, {"advance": 2}).status == 400
    assert nobody.get(CLOCK).json["now"] == "8999-12-31T23:59:59.000Z"
    mock.world.complete_course(FORKLIFT, ANNA)


def test_a_running_clock_is_not_moved_out_of_time_step_by_step(mock: MockTraining) -> None:
    nobody = Speaker(mock, None)
    nobody.post(CLOCK, {"resume": True})
    statuses = [nobody.post(CLOCK, {"advance": 3_000_000_000}).status for _ in range(100)]
    assert set(statuses) == {200, 400}
    assert nobody.get(CLOCK).json["now"].startswith("89")


def test_faults_are_added_seen_replayed_and_cleared(mock: MockTraining) -> None:
    nobody, admin = Speaker(mock, None), Speaker(mock)
    added = nobody.post(FAULTS, {"kind": "error", "operation": "WhoAmI", "status": 502}).json
    assert [(each["kind"], each["status"], each["struck"]) for each in added["faults"]] == [("error", 502, 0)]
    assert [admin.get(WHO).status for _ in range(2)] == [502, 200]
    seen = nobody.get(FAULTS).json
    assert seen["faults"][0]["struck"] == 1
    assert seen["struck"] == [{"kind": "error", "operation": "WhoAmI", "request": 1}]
    assert nobody.send("PUT", FAULTS, body={"seed": 3}).json["seed"] == 3
    assert [admin.get(WHO).status for _ in range(2)] == [502, 200]
    assert nobody.send("DELETE", FAULTS).json == {"seed": 3, "faults": [], "struck": []}
    assert admin.get(WHO).status == 200


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"kind": 7},
        {"kind": ["error"]},
        {"kind": "error", "operation": {}},
        {"kind": "error", "status": "503"},
        {"kind": "error", "times": "1"},
        {"kind": "error", "probability": None},
        {"kind": "error", "user": 7},
        {"kind": "slow", "seconds": "1"},
        {"kind": "error", "frequency": 2},
        {"operation": "WhoAmI"},
    ],
)
def test_a_fault_that_is_none_is_refused(mock: MockTraining, body: Any) -> None:
    answer = Speaker(mock, None).post(FAULTS, body)
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT")
    assert mock.faults.script == ()


def test_what_a_fault_takes_is_said_in_whole_sentences(mock: MockTraining) -> None:
    said = Speaker(mock, None).post(FAULTS, {}).message
    assert said.startswith("A fault must have kind, and may have operation, times,")
    assert said.endswith("course, user.")
    assert (
        Speaker(mock, None)
        .post(FAULTS, {"kind": "error", "often": 2})
        .message.endswith("user. It has no field often.")
    )
    assert "null" in Speaker(mock, None).post(FAULTS, {"kind": "error", "times": "always"}).message


@pytest.mark.parametrize("body", [[], {}, {"seed": "1"}, {"seed": True}, {"seed": 1, "more": 2}])
def test_a_seed_that_is_none_is_refused(mock: MockTraining, body: Any) -> None:
    assert Speaker(mock, None).send("PUT", FAULTS, body=body).status == 400
