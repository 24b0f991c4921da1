"""State, marks and journal over ``/_mock/``, for tests in other languages.

Refusals, ledgers and what learners do are in the record: ``tests/record``, session "control plane".
"""

from __future__ import annotations

import pytest

from mock_server import MockTraining
from mock_server.control import routes
from mock_server.control.actions import ACTIONS
from mock_server.learner_actions import LiveWorld
from unit.mock_server.conftest import NOW
from unit.mock_server.core.speaker import (
    ANNA,
    FORKLIFT,
    WHO,
    Speaker,
    course_id,
    recorded,
)


@pytest.fixture
def control(mock: MockTraining) -> Speaker:
    return Speaker(mock, None)


def test_the_state_goes_out_and_comes_back(mock: MockTraining, control: Speaker) -> None:
    document = control.get("/_mock/state").json
    assert document == mock.state()
    mock.world.complete_course(FORKLIFT, ANNA)
    assert mock.state() != document
    assert control.send("PUT", "/_mock/state", body=document).status == 200
    assert mock.state() == document


def test_marks_are_bounded(control: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MAX_MARKS", 2)
    assert [control.post("/_mock/marks", {"name": each}).status for each in "ababc"] == [200] * 4 + [400]


def test_R15_marks_and_state_are_out_of_reach_of_the_vendor_surface(mock: MockTraining) -> None:
    admin = Speaker(mock)
    for path in ("/state", "/marks", "/training/state", "/_MOCK/state", "/%5Fmock/state", "//_mock/state"):
        assert admin.get(path).reason in ("UNKNOWN_PATH", "INVALID_ARGUMENT"), path


def test_a_call_that_a_fault_struck_says_so(mock: MockTraining, control: Speaker) -> None:
    mock.faults.add("drop", operation="reset", when="after")
    mock.faults.add("cut", operation="WhoAmI")
    Speaker(mock).reset(course_id(mock), [recorded(mock)[0]], (FORKLIFT, 1), x_request_id="r-7")
    whole = Speaker(MockTraining.demo(now=NOW)).get(WHO).body
    Speaker(mock).get(WHO)
    dropped, cut = control.get("/_mock/calls").json["calls"]
    assert {name: dropped[name] for name in ("status", "delivered", "faults", "instead", "request_id")} == {
        "status": 0,
        "delivered": "nothing",
        "faults": ["drop"],
        "instead": 200,
        "request_id": "r-7",
    }
    assert dropped["answer"]["text"] == ""
    assert (cut["status"], cut["delivered"], cut["faults"], cut["instead"]) == (200, "cut", ["cut"], 0)
    assert cut["answer"]["text"] == whole[: len(whole) // 2].decode()
    assert control.get("/_mock/calls", "status=503").json["calls"] == []


def test_calls_of_nobody_are_asked_for_by_an_empty_name(mock: MockTraining, control: Speaker) -> None:
    Speaker(mock).get(WHO)
    Speaker(mock, None).get(WHO)
    assert [each["number"] for each in control.get("/_mock/calls", "token=").json["calls"]] == [2]


def test_a_body_that_is_no_text_stays_what_it_is(mock: MockTraining, control: Speaker) -> None:
    Speaker(mock).send("POST", "/training/courseprogress/v1/reset", raw=b"\xff\x00")
    assert control.get("/_mock/calls").json["calls"][0]["body"] == {"base64": "/wA=", "cut": False}


def test_every_action_of_the_world_is_there() -> None:
    names = {
        each for each in vars(LiveWorld) if not each.startswith("_") and callable(getattr(LiveWorld, each))
    }
    assert {each.replace("-", "_") for each in ACTIONS} == names
