"""The script of faults: whom it strikes, how often, the same for the same seed, and what each kind does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mock_server import MockTraining
from mock_server.control.faults import KINDS, Fault, Kind
from mock_server.mock import TokenName
from mock_server.wire.message import Delivery, Request, Response
from mock_server.world.courses import Assigned
from mock_server.world.people import Status
from unit.mock_server.conftest import NOW
from unit.mock_server.core.speaker import (
    ANNA,
    ATTEMPTS,
    COURSES,
    FEED,
    FORKLIFT,
    WHO,
    Speaker,
    course_id,
    recorded,
    user_of,
)

RESETS = "ResetCourseProgress"


def ask(mock: MockTraining, path: str = WHO, query: str = "", *, token: TokenName = "admin") -> Response:
    headers = (("user-agent", "tests/1"), ("authorization", f"Bearer {mock.token(token)}"))
    return mock.handle(Request("GET", path, query, headers))


def statuses(mock: MockTraining, count: int, path: str = WHO) -> list[int]:
    return [ask(mock, path).status for _ in range(count)]


def reset(mock: MockTraining) -> int:
    everyone = recorded(mock)
    return Speaker(mock).reset(course_id(mock), None, (FORKLIFT, len(everyone))).status


def test_without_a_script_nothing_strikes(mock: MockTraining) -> None:
    assert statuses(mock, 3) == [200] * 3
    assert (mock.faults.script, mock.faults.struck) == ((), ())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [503, 200, 200, 200]),
        ({"times": 2}, [503, 503, 200, 200]),
        ({"times": None}, [503, 503, 503, 503]),
        ({"after": 2}, [200, 200, 503, 200]),
        ({"after": 1, "times": None}, [200, 503, 503, 503]),
        ({"operation": "WhoAmI", "status": 500}, [500, 200, 200, 200]),
        ({"operation": "ListCourses"}, [200, 200, 200, 200]),
    ],
)
def test_a_fault_has_a_count(mock: MockTraining, fields: dict[str, Any], expected: list[int]) -> None:
    mock.faults.add("error", **fields)
    assert statuses(mock, 4) == expected


def test_chance_is_the_same_for_the_same_seed_and_can_be_replayed(mock: MockTraining) -> None:
    mock.faults.add("error", probability=0.3, times=None)
    mock.faults.add("rate_limited", operation="ListCourses", probability=0.5, times=None)
    first = statuses(mock, 60)
    struck = mock.faults.struck
    mock.faults.replay()
    assert statuses(mock, 60) == first
    assert mock.faults.struck == struck
    mock.faults.replay(seed=1)
    assert statuses(mock, 60) != first
    assert 5 < first.count(503) < 35


def test_another_line_changes_nothing_for_the_dice_of_the_first(mock: MockTraining) -> None:
    mock.faults.add("error", probability=0.5, times=None)
    first = statuses(mock, 40)
    mock.faults.clear()
    mock.faults.add("error", probability=0.5, times=None)
    mock.faults.add("slow", probability=0.5, times=None, seconds=0)
    assert statuses(mock, 40) == first


@pytest.mark.parametrize(
    ("seconds", "pace", "whole"), [(None, None, None), (0, "0", "0"), (7, "7", "7"), (0.5, "0.5", "1")]
)
def test_429_and_pace(mock: MockTraining, seconds: float | None, pace: str | None, whole: str | None) -> None:
    """The vendor's exporter reads x-ratelimit-reset alone, as a whole number; most others read Retry-After."""
    mock.faults.add("rate_limited", seconds=seconds)
    answer = ask(mock)
    headers = dict(answer.headers)
    assert answer.status == 429
    assert (headers.get("retry-after"), headers.get("x-ratelimit-reset")) == (pace, whole)
    assert json.loads(answer.body)["details"][0]["reason"] == "RATE_LIMITED"


@pytest.mark.parametrize("kind", ["error", "drop"])
def test_before_means_that_the_reset_has_had_no_effect(mock: MockTraining, kind: Kind) -> None:
    before = mock.world.snapshot()
    mock.faults.add(kind, operation=RESETS)
    assert reset(mock) == 503
    assert mock.world.snapshot() == before
    assert reset(mock) == 200


@pytest.mark.parametrize("kind", ["error", "drop"])
def test_after_means_that_the_reset_has_had_its_effect(mock: MockTraining, kind: Kind) -> None:
    mock.faults.add(kind, operation=RESETS, when="after")
    assert recorded(mock)
    assert reset(mock) == 503
    assert recorded(mock) == []
    assert [entry.outcome for entry in mock.audit] == ["done"]


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_answers_in_html(mock: MockTraining, status: int) -> None:
    mock.faults.add("error", status=status)
    answer = ask(mock)
    assert (answer.status, dict(answer.headers)["content-type"]) == (status, "text/html")
    assert answer.body.startswith(b"<!doctype")


def test_what_happens_on_the_way_is_described_for_the_doors(mock: MockTraining) -> None:
    body = ask(mock).body
    deliveries: dict[Kind, Delivery] = {
        "drop": Delivery(dropped=True),
        "slow": Delivery(delay=5.0),
        "drip": Delivery(pause=0.5, pieces=8),
        "cut": Delivery(keep=len(body) // 2),
    }
    for kind, delivery in deliveries.items():
        mock.faults.add(kind)
        assert ask(mock).delivery == delivery
    assert ask(mock).delivery is None
    assert b"".join(Delivery(pieces=8).parts(body)) == body
    assert len(Delivery(pieces=8).parts(b"x" * 80)) == 8
    assert Delivery(keep=0).parts(body) == []


def test_bodies_are_spoiled_and_the_message_stays_whole(mock: MockTraining) -> None:
    true = ask(mock)
    spoiled: dict[Kind, tuple[bytes | None, str]] = {
        "truncated": (true.body[: len(true.body) // 2], "application/json"),
        "not_json": (None, "application/json"),
        "wrong_content_type": (true.body, "text/html"),
    }
    for kind, (body, content_type) in spoiled.items():
        mock.faults.add(kind)
        answer = ask(mock)
        assert (answer.status, dict(answer.headers)["content-type"]) == (200, content_type)
        assert answer.body == body or (body is None and answer.body.startswith(b"<"))


@pytest.mark.parametrize(
    ("path", "query", "rows"), [(FEED, "limit=3", "data"), (COURSES, "pageSize=2", "items")]
)
def test_a_duplicate_page_has_its_rows_twice(mock: MockTraining, path: str, query: str, rows: str) -> None:
    true = json.loads(ask(mock, path, query).body)
    mock.faults.add("duplicate_page")
    statuses(mock, 2)  # it strikes lists alone, and waits for one
    assert json.loads(ask(mock, path, query).body) == {**true, rows: true[rows] * 2}


def test_a_repeating_cursor_leads_to_the_page_it_stands_on(mock: MockTraining) -> None:
    mock.faults.add("repeating_cursor", times=None)
    for query in ("", "limit=3&offset=6"):
        page = json.loads(ask(mock, FEED, query).body)
        assert page["metadata"]["next_page"] == (f"{FEED}?{query}" if query else FEED)


def test_an_endless_cursor_is_always_another(mock: MockTraining) -> None:
    mock.faults.add("endless_cursor", times=None)
    seen, path, query = set[str](), FEED, "limit=1000"
    for _ in range(50):
        next_page = json.loads(ask(mock, path, query).body)["metadata"]["next_page"]
        assert next_page not in seen
        seen.add(next_page)
        path, _, query = next_page.partition("?")


@pytest.mark.parametrize(("kind", "different"), [("repeating_cursor", 1), ("endless_cursor", 20)])
def test_the_list_of_users_has_cursors_too(mock: MockTraining, kind: Kind, different: int) -> None:
    mock.faults.add(kind, operation="ListUsers", times=None)
    token, seen = "", []
    for _ in range(20):
        answer = Speaker(mock).post("/users/v1/users/list", {"list_all": True, "page_token": token})
        assert answer.status == 200, answer.body
        token = answer.json["next_page_token"]
        seen.append(token)
    assert len(set(seen)) == different


def test_rights_are_removed_between_two_requests(mock: MockTraining) -> None:
    mock.faults.add("rights_removed", after=1)
    assert statuses(mock, 2, ATTEMPTS) == [200, 200]
    assert reset(mock) == 403
    assert Speaker(mock, "manager").get("/training/analytics/v1/courses/statistics").status == 200


def test_a_token_is_revoked_between_two_requests(mock: MockTraining) -> None:
    mock.faults.add("token_revoked", after=1)
    assert statuses(mock, 3) == [200, 401, 401]
    assert ask(mock, token="learner").status == 200


def test_a_token_is_revoked_once_the_reset_is_done(mock: MockTraining) -> None:
    mock.faults.add("token_revoked", operation=RESETS, when="after")
    assert (reset(mock), recorded(mock), ask(mock).status) == (200, [], 401)


def test_a_user_is_deactivated_and_a_course_archived(mock: MockTraining) -> None:
    mock.faults.add("user_deactivated", user=user_of(mock, "learner"))
    mock.faults.add("course_archived", course=FORKLIFT)
    assert ask(mock).status == 200
    assert mock.world.user(user_of(mock, "learner")).status is Status.DEACTIVATED
    assert mock.world.course(FORKLIFT).status.value == "Archived"


def test_R06_a_learner_who_writes_during_a_reset_makes_its_confirmation_untrue(mock: MockTraining) -> None:
    progress = mock.world.main.progress[course_id(mock)]
    newcomer = next(user for user in progress.roster if user not in progress.records)
    mock.faults.add("learner_writes", operation=RESETS, course=FORKLIFT, user=newcomer)
    assert reset(mock) == 412
    assert newcomer in recorded(mock)


def test_a_learner_who_writes_right_after_the_reset_is_recorded_again(mock: MockTraining) -> None:
    somebody = recorded(mock)[0]
    mock.faults.add("learner_writes", operation=RESETS, course=FORKLIFT, user=somebody, when="after")
    assert reset(mock) == 200
    assert recorded(mock) == [somebody]


def test_a_learner_who_was_taken_out_of_the_course_writes_nothing(mock: MockTraining) -> None:
    somebody = recorded(mock)[0]
    mock.faults.add("user_deactivated", user=somebody)
    mock.faults.add("learner_writes", course=FORKLIFT, user=somebody)
    before = mock.world.main.progress[course_id(mock)].records[somebody]
    assert ask(mock).status == 200
    assert mock.world.main.progress[course_id(mock)].records[somebody] is before


def test_the_control_plane_is_never_struck(mock: MockTraining) -> None:
    mock.faults.add("error", times=None)
    assert statuses(mock, 3, "/_mock/health") == [200] * 3


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("earthquake", {}, "kind must be one of rate_limited"),
        ("eror", {}, r"Did you mean error\?"),
        ("error", {"operation": "Resett"}, r"'Resett'. Did you mean ResetCourseProgress\?"),
        ("error", {"operation": "users"}, "Name one of these: ListUsers, FeedUsers"),
        ("error", {"operation": "~"}, "There are WhoAmI"),
        ("error", {"operation": 7}, "operation must be a name .*, not 7"),
        ("error", {"times": 1.0}, r"or None \(in JSON null\)"),
        ("error", {"times": 0}, "times"),
        ("error", {"times": True}, "times"),
        ("error", {"after": -1}, "after"),
        ("error", {"probability": 0}, "probability"),
        ("error", {"probability": 1.1}, "probability"),
        ("error", {"status": 400}, "403, 404, 500, 501, 502, 503 or 504"),
        ("error", {"status": 503.0}, "501, 502, 503 or 504"),
        ("error", {"status": None}, "501, 502, 503 or 504"),
        ("error", {"status": 403, "when": "after"}, "means that nothing was done"),
        ("drop", {"status": 503}, "status is allowed for error only"),
        ("rate_limited", {"status": 500}, "status is allowed for error only"),
        ("drop", {"seconds": 3}, "seconds is allowed for rate_limited, slow, drip only"),
        ("cut", {"seconds": 0}, "seconds is allowed for"),
        ("error", {"when": "during"}, '"before" or "after"'),
        ("slow", {"when": "after"}, 'must be "before" for this kind'),
        ("slow", {"seconds": -1}, "seconds"),
        ("slow", {"seconds": float("nan")}, "seconds"),
        ("course_archived", {}, "learner_writes needs both"),
        ("user_deactivated", {"user": "x", "course": "y"}, "learner_writes needs both"),
        ("repeating_cursor", {"operation": "WhoAmI"}, "no pages of this kind"),
        ("endless_cursor", {"operation": "ListCourses"}, "no pages of this kind"),
    ],
)
def test_impossible_faults_refused(mock: MockTraining, kind: Kind, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        mock.faults.add(kind, **fields)
    assert mock.faults.script == ()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_strikes_a_list_and_is_written_down(mock: MockTraining, kind: Kind) -> None:
    names = {"course": FORKLIFT, "user": user_of(mock, "learner")}
    fields = {name: value for name, value in names.items() if name in _takes(kind)}
    fault = mock.faults.add(kind, operation="ListTrainingCourseProgress", **fields)
    true = MockTraining.demo(now=NOW)
    assert ask(mock, FEED) != ask(true, FEED) or kind in _SEEN_LATER
    assert [each.kind for each in mock.faults.struck] == [kind]
    assert mock.faults.script == (fault,)


_SEEN_LATER = ("user_deactivated", "course_archived", "learner_writes")


def _takes(kind: str) -> tuple[str, ...]:
    takes = {
        "user_deactivated": ("user",),
        "course_archived": ("course",),
        "learner_writes": ("user", "course"),
    }
    return takes.get(kind, ())


@pytest.mark.parametrize("name", ["reset", "RESET", "resetcourseprogress", "ResetCourseProgress"])
def test_a_fault_takes_the_names_that_the_journal_takes(mock: MockTraining, name: str) -> None:
    assert mock.faults.add("error", operation=name).operation == RESETS
    assert reset(mock) == 503
    assert mock.calls.of(name).once().faults == ("error",)


def test_the_feeds_are_struck_and_found_by_their_operation_ids(mock: MockTraining) -> None:
    for path, name in (("/feed/users", "FeedUsers"), ("/feed/group_users", "FeedGroupUsers")):
        mock.faults.add("error", operation=name)
        assert statuses(mock, 2, path) == [503, 200]
        assert [each.status for each in mock.calls.of(name)] == [503, 200]
    assert [each.operation for each in mock.faults.struck] == ["FeedUsers", "FeedGroupUsers"]


def test_a_fault_is_a_value() -> None:
    assert Fault("error") == Fault("error", status=503)


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("user_deactivated", {"user": "nobody@nowhere.example"}, "no user 'nobody@nowhere.example'"),
        ("course_archived", {"course": "Juggling"}, "no course 'Juggling'"),
        ("learner_writes", {"course": "Forklift basics", "user": "nobody"}, "no user 'nobody'"),
        ("learner_writes", {"course": "Juggling", "user": ANNA}, "no course 'Juggling'"),
    ],
)
def test_faults_naming_nobody(mock: MockTraining, kind: Kind, fields: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=f"Fault '{kind}': There is {said}"):
        mock.faults.add(kind, **fields)
    assert mock.faults.script == ()
    body = json.dumps({"kind": kind, **fields}).encode()
    answer = mock.handle(Request("POST", "/_mock/faults", "", (("content-type", "application/json"),), body))
    assert answer.status == 400
    assert said in json.loads(answer.body)["message"]


def test_a_learner_writes_only_in_a_course_that_is_assigned_to_them(mock: MockTraining) -> None:
    stranger = user_of(mock, "resetter")
    assert not mock.world.main.progress[course_id(mock)].has(stranger)
    with pytest.raises(
        ValueError, match=r"'Forklift basics' is not assigned to .*\. Name a user who is assigned"
    ):
        mock.faults.add("learner_writes", course=FORKLIFT, user=stranger)
    assert mock.faults.script == ()
    mock.world.main.assign(course_id(mock), Assigned({stranger: NOW}, {}, {}))
    assert mock.faults.add("learner_writes", course=FORKLIFT, user=stranger) in mock.faults.script
