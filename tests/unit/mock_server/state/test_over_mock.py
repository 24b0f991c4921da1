"""State, marks, ledgers, journal and learners over ``/_mock/``, for tests in other languages."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mock_server import MockTraining
from mock_server.control import inspection
from mock_server.control.actions import ACTIONS
from mock_server.learner_actions import LiveWorld
from mock_server.wire.message import Request
from mock_server.world.codec import encode
from mock_server.world.courses import LessonKind
from unit.mock_server.conftest import NOW
from unit.mock_server.core.speaker import (
    ANNA,
    COURSES,
    FEED,
    FORKLIFT,
    WHO,
    Answer,
    Speaker,
    course_id,
    recorded,
)


@pytest.fixture
def control(mock: MockTraining) -> Speaker:
    return Speaker(mock, None)


def put(control: Speaker, document: object) -> Answer:
    return control.send("PUT", "/_mock/state", body=document)


def test_the_state_goes_out_and_comes_back(mock: MockTraining, control: Speaker) -> None:
    document = control.get("/_mock/state").json
    assert document == mock.state()
    mock.world.complete_course(FORKLIFT, ANNA)
    assert mock.state() != document
    assert put(control, document).status == 200
    assert mock.state() == document


def test_a_faulty_state_is_refused_by_place_and_changes_nothing(mock: MockTraining, control: Speaker) -> None:
    before = mock.state()
    answer = put(control, {**before, "main": "role_0"})
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT")
    assert "$.main: there is no organisation role_0" in answer.message
    assert put(control, [1]).status == 400
    assert control.send("PUT", "/_mock/state", raw=b"{}").status == 415
    assert mock.diff(before) == ()


def test_marks_compare_and_return_without_the_state_on_the_wire(mock: MockTraining, control: Speaker) -> None:
    before = mock.state()
    assert control.post("/_mock/marks", {"name": "start"}).json == {"mark": "start"}
    assert control.get("/_mock/marks/start").json == {"changes": []}
    user = recorded(mock)[0]
    Speaker(mock).reset(course_id(mock), [user], (FORKLIFT, 1))
    changes = control.get("/_mock/marks/start").json["changes"]
    (record,) = (each for each in changes if each["kind"] == "record")
    assert (record["what"], record["key"], record["after"]) == ("removed", [course_id(mock), user], None)
    assert record["before"]["opened_at"]
    assert len(changes) == len(mock.diff(before))
    assert control.send("POST", "/_mock/marks/start").status == 200
    assert mock.diff(before) == ()
    assert control.get("/_mock/marks").json == {"marks": ["start"]}
    assert control.send("DELETE", "/_mock/marks/start").status == 200
    assert control.get("/_mock/marks").json == {"marks": []}


def test_an_unknown_mark_is_404_and_says_which_there_are(control: Speaker) -> None:
    control.post("/_mock/marks", {"name": "a b"})
    for method in ("GET", "POST", "DELETE"):
        answer = control.send(method, "/_mock/marks/x")
        assert (answer.status, answer.message) == (404, "There is no mark 'x'; there are: a b.")
    assert control.get("/_mock/marks/a%20b").status == 200


def test_marks_are_bounded(control: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "MAX_MARKS", 2)
    assert [control.post("/_mock/marks", {"name": each}).status for each in "ababc"] == [200] * 4 + [400]


def test_R15_marks_and_state_are_out_of_reach_of_the_vendor_surface(mock: MockTraining) -> None:
    admin = Speaker(mock)
    for path in ("/state", "/marks", "/training/state", "/_MOCK/state", "/%5Fmock/state", "//_mock/state"):
        assert admin.get(path).reason in ("UNKNOWN_PATH", "INVALID_ARGUMENT"), path


def test_the_ledgers_read_as_in_python(mock: MockTraining, control: Speaker) -> None:
    mock.world.complete_course(FORKLIFT, ANNA)
    Speaker(mock).reset(course_id(mock), None, (FORKLIFT, len(recorded(mock))))
    assert mock.outbox
    assert mock.certificates
    assert control.get("/_mock/outbox").json == {"notifications": encode(mock.outbox)}
    assert control.get("/_mock/certificates").json == {"certificates": encode(mock.certificates)}
    (entry,) = control.get("/_mock/audit").json["entries"]
    assert (entry["outcome"], entry["at"]) == ("done", NOW.isoformat())


def test_the_journal_is_narrowed_and_cleared(mock: MockTraining, control: Speaker) -> None:
    Speaker(mock).get(WHO)
    Speaker(mock, "learner").get(COURSES, "pageSize=1")
    Speaker(mock, "learner").post("/training/courseprogress/v1/reset", {"courseId": "ä"})
    everything = control.get("/_mock/calls").json
    assert [each["number"] for each in everything["calls"]] == [1, 2, 3]
    assert everything["dropped"] == 0
    (call,) = control.get("/_mock/calls", "operation=reset&token=learner&status=403").json["calls"]
    assert json.loads(call["body"]["text"]) == {"courseId": "ä"}
    assert (call["body"]["cut"], call["method"], call["operation"]) == (False, "POST", "ResetCourseProgress")
    assert ["authorization", "Bearer ***"] in call["headers"]
    assert json.loads(call["answer"]["text"])["code"] == 7
    for query, said in (
        ("operation=resett", "did you mean"),
        ("operation=users", "it may mean ListUsers"),
        ("operation=", "there is no operation"),
        ("token=amdin", "did you mean admin"),
        ("status=", "status"),
        ("status=4010", "status"),
        ("status=9", "status"),
        ("colour=red", "colour"),
    ):
        answer = control.get("/_mock/calls", query)
        assert (answer.status, said in answer.message) == (400, True)
    assert control.send("DELETE", "/_mock/calls").status == 200
    assert control.get("/_mock/calls").json == {"calls": [], "dropped": 0}


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


# --- learners ----------------------------------------------------------------------------------------------------


def do(control: Speaker, action: str, course: str = FORKLIFT, user: str = ANNA, **more: object) -> Answer:
    return control.post(f"/_mock/learners/{action}", {"course": course, "user": user, **more})


def with_kind(mock: MockTraining, kind: LessonKind) -> tuple[str, str]:
    """A course with such a lesson, and somebody to whom it is assigned."""
    course = next(each for each in mock.world.courses if any(lesson.kind is kind for lesson in each.lessons))
    return course.id, mock.world.main.progress[course.id].roster[0]


CASES: list[tuple[str, Callable[..., object], LessonKind, dict[str, Any]]] = [
    ("open", LiveWorld.open, LessonKind.CONTENT, {}),
    ("complete-course", LiveWorld.complete_course, LessonKind.CONTENT, {"score": 77}),
    (
        "submit-assessment",
        LiveWorld.submit_assessment,
        LessonKind.ASSESSMENT,
        {"mark": 80, "signed_off_by": "Jo"},
    ),
    ("post-to-discussion", LiveWorld.post_to_discussion, LessonKind.DISCUSSION, {"text": "Grüße"}),
    (
        "hand-in-assignment",
        LiveWorld.hand_in_assignment,
        LessonKind.ASSIGNMENT,
        {"file_name": "x.pdf", "mark": 9},
    ),
    (
        "answer-survey",
        LiveWorld.answer_survey,
        LessonKind.DISCUSSION,
        {"answer": "Fairly", "question": "How sure do you feel of the rules of the yard?"},
    ),
]


@pytest.mark.parametrize(("name", "action", "kind", "given"), CASES)
def test_an_action_does_what_it_does_in_python(
    mock: MockTraining,
    control: Speaker,
    name: str,
    action: Callable[..., object],
    kind: LessonKind,
    given: dict[str, Any],
) -> None:
    course, user = with_kind(mock, kind)
    twin = MockTraining.load(mock.state())
    answer = do(control, name, course, user, **given)
    assert answer.status == 200, answer.message
    assert answer.json == {"record": encode(action(twin.world, course, user, **given))}
    assert mock.diff(twin.state()) == ()


def test_a_lesson_is_completed_by_title_score_and_seconds(mock: MockTraining, control: Speaker) -> None:
    lesson = mock.world.course(FORKLIFT).lessons[0]
    answer = do(control, "complete-lesson", lesson=lesson.title, score=91, seconds=12)
    assert answer.json["record"]["attempts"][-1]["score"] == 91
    assert do(control, "complete-lesson").message == "lesson must be given, as an id or a title."


def test_a_survey_needs_an_answer_that_fits(control: Speaker) -> None:
    assert do(control, "answer-survey").message == "answer must be given."
    assert "must be one of Very, Fairly, Not yet" in do(control, "answer-survey", answer="Maybe").message
    assert "no survey" in do(control, "answer-survey", answer="Very", question="nowhere").message


def test_every_action_of_the_world_is_there_and_tested() -> None:
    names = {
        each for each in vars(LiveWorld) if not each.startswith("_") and callable(getattr(LiveWorld, each))
    }
    assert {each.replace("-", "_") for each in ACTIONS} == names
    assert {case[0] for case in CASES} | {"complete-lesson"} == set(ACTIONS)


def test_R22_a_late_write_is_409(mock: MockTraining, control: Speaker) -> None:
    user = recorded(mock)[0]
    Speaker(mock).reset(course_id(mock), [user], (FORKLIFT, 1))
    early = (NOW - timedelta(hours=1)).isoformat()
    answer = do(control, "complete-course", user=user, madeAt=early)
    assert (answer.status, answer.reason) == (409, "LATE_WRITE")
    assert mock.world.record(FORKLIFT, user) is None


def test_what_cannot_be_done_is_refused_in_words(mock: MockTraining, control: Speaker) -> None:
    outside = next(
        each.id for each in mock.world.users if not mock.world.main.progress[course_id(mock)].has(each.id)
    )
    before = mock.state()
    refused = [
        (do(control, "open", user=outside), 409, "not assigned"),
        (do(control, "open", course="No such"), 400, "there is no course 'No such'"),
        (do(control, "open", user="nobody@x"), 400, "there is no user 'nobody@x'"),
        (do(control, "complete-lesson", lesson="No such"), 400, "has no lesson"),
        (do(control, "complete-course", score=101), 400, "score must be a whole number from 0 to 100"),
        (do(control, "complete-course", score=True), 400, "score"),
        (do(control, "open", made_at="2026-11-30T09:00:00"), 400, "made_at must be a date"),
        (do(control, "open", made_at="9999-12-31T23:59:59Z"), 400, "made_at must be between 1970 and 8999"),
        (do(control, "open", made_at="0001-01-01T00:00:00+14:00"), 400, "made_at must be a date"),
        (do(control, "open", score=1), 400, "Unknown field 'score'"),
        (do(control, "fly"), 404, "they can open, complete-lesson"),
    ]
    for answer, status, said in refused:
        assert answer.status == status, answer.message
        assert said in answer.message
    assert mock.diff(before) == ()


def test_what_a_learner_did_over_mock_shows_on_the_vendors_wire(mock: MockTraining, control: Speaker) -> None:
    course, user = with_kind(mock, LessonKind.CONTENT)
    do(control, "complete-course", course, user)
    (row,) = Speaker(mock).get(FEED, f"course_id={course}&user_id={user}").json["data"]
    assert row["progress_percent"] == 100
    assert mock.handle(Request("GET", "/_mock/learners/open")).status == 405
