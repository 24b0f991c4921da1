"""What a live service may do with a reset, and how it may divide its lists: ``Policy(emulates=…)``."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mock_server import MockTraining, Policy
from mock_server.cli import main
from mock_server.policy import AnswerForm, Behaviour
from mock_server.world.codec import StateError
from mock_server.world.people import Status
from unit.mock_server.core.speaker import (
    ATTEMPTS,
    FEED,
    WHO,
    Answer,
    Speaker,
)

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
STRANGER = "user_" + "f" * 32
Effects = list[tuple[str, str]]


def playing(*emulates: str, lag: int = 0, **policy: Any) -> MockTraining:
    """Ten people with progress in two courses."""
    made = Policy(emulates=emulates, lag_seconds=lag, **policy)
    return MockTraining.generate(users=10, courses=2, policy=made, now=NOW)


def some(mock: MockTraining, number: int, course: int = 0) -> list[str]:
    """So many people with progress in a course."""
    progress = list(mock.world.main.progress.courses.values())[course]
    return [each for each in progress.roster if each in progress.records][:number]


def courses(mock: MockTraining) -> list[str]:
    return list(mock.world.main.courses)


def reset(mock: MockTraining, users: list[str] | None) -> Answer:
    return Speaker(mock).reset(courses(mock)[0], users, None)


def effects(mock: MockTraining) -> Effects:
    """Every person whose progress was cleared, with the course, from the audit log."""
    return [(each.course_id, user_id) for each in mock.audit for user_id in each.reset_ids]


# --- a refusal after a part ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1])
def test_a_refusal_comes_at_the_first_who_cannot_be_reset(number: int) -> None:
    mock = playing("refuses_partway_404")
    users = some(mock, 2)
    assert reset(mock, [*users[:number], STRANGER, *users[number:]]).status == 404
    assert [user_id for _, user_id in effects(mock)] == users[:number]
    mock.world.update_user(users[1], status=Status.DEACTIVATED)
    assert reset(mock, users[1:]).status == 404
    assert reset(mock, users[:1]).status == 200


def test_a_refusal_comes_after_a_part_of_everyone_too() -> None:
    mock = playing("refuses_partway_403")
    assert reset(mock, None).status == 403
    assert len(effects(mock)) == 2
    assert [each.everyone for each in mock.audit] == [False, True]


def test_an_unknown_user_fails_the_whole_call_without_that_behaviour() -> None:
    mock = playing("keeps_score")
    assert reset(mock, [*some(mock, 2), STRANGER]).status == 404
    assert effects(mock) == []


# --- other people and courses ----------------------------------------------------------------------------------------


def test_a_service_that_ignores_the_course_resets_every_course_of_the_people() -> None:
    mock = playing("ignores_course")
    users = some(mock, 3)
    both = [(course, user_id) for course in courses(mock) for user_id in users]
    had = [key for key in both if mock.world.record(*key)]
    assert len(had) > len(users)
    assert reset(mock, users).json == {"usersUpdated": 3}
    assert effects(mock) == had
    assert not any(mock.world.record(*key) for key in both)
    assert Speaker(mock).reset("no such course", some(mock, 1), None).status == 200


# --- later -----------------------------------------------------------------------------------------------------------


def test_a_queue_resets_one_person_every_90_s() -> None:
    mock = playing("queues_resets")
    users, course = some(mock, 4), courses(mock)[0]
    answer = reset(mock, users)
    assert (answer.status, answer.json) == (202, {"usersUpdated": 4})
    assert effects(mock) == []
    for number in range(5):
        assert [user_id for _, user_id in effects(mock)] == users[:number]
        assert [mock.world.record(course, each) is None for each in users].count(True) == number
        mock.clock.advance(timedelta(seconds=90))
    assert [each.outcome for each in mock.audit] == ["queued", *["done"] * 4]
    assert [each.at - NOW for each in mock.audit[1:]] == [timedelta(seconds=90 * n) for n in range(1, 5)]
    assert {each.request_id for each in mock.audit} == {mock.audit[0].request_id}


def test_a_second_request_waits_behind_the_first() -> None:
    mock = playing("queues_resets")
    users = some(mock, 3)
    reset(mock, users[:2])
    mock.clock.advance(timedelta(seconds=100))
    reset(mock, users[2:])
    mock.clock.advance(timedelta(hours=1))
    assert [each.at - NOW for each in mock.audit if each.reset_ids] == [
        timedelta(seconds=90 * n) for n in (1, 2, 3)
    ]


def test_a_queued_reset_takes_what_was_learned_meanwhile_and_shows_in_a_late_feed_at_its_own_time() -> None:
    mock = playing("queues_resets", lag=7200)
    course = courses(mock)[0]
    (somebody,) = some(mock, 1)
    reset(mock, [somebody])
    mock.clock.advance(timedelta(seconds=60))
    mock.world.complete_course(course, somebody)
    mock.clock.advance(timedelta(seconds=7200 + 20))
    (row,) = Speaker(mock).rows(f"course_id={course}&user_id={somebody}")
    assert row["completed_at"] != "", "two hours ago it was not carried out yet"
    mock.clock.advance(timedelta(seconds=11))
    (row,) = Speaker(mock).rows(f"course_id={course}&user_id={somebody}")
    assert (row["completed_at"], row["opened_at"]) == ("", "")


def test_a_queued_reset_comes_before_what_is_learned_after_its_time() -> None:
    mock = playing("queues_resets")
    course = courses(mock)[0]
    (somebody,) = some(mock, 1)
    reset(mock, [somebody])
    mock.clock.advance(timedelta(minutes=5))
    assert mock.world.complete_course(course, somebody).completed_at
    mock.clock.advance(timedelta(minutes=5))
    assert mock.world.record(course, somebody) is not None


def test_a_queue_is_part_of_the_state() -> None:
    mock = playing("queues_resets", "keeps_score")
    users = some(mock, 3)
    reset(mock, users)
    mock.clock.advance(timedelta(seconds=100))
    before = mock.state()
    assert [each["user_id"] for each in before["queued"]] == users[1:]
    twin = MockTraining.load(json.loads(json.dumps(before)))
    assert twin.policy == mock.policy
    assert twin.diff(before) == ()
    mock.clock.advance(timedelta(hours=1))
    assert {each.kind for each in mock.diff(before)} >= {"queued reset", "record", "audit entry"}
    mock.rollback(before)
    assert mock.state()["queued"] == before["queued"]
    for each in (mock, twin):
        each.clock.advance(timedelta(hours=1))
        assert [user_id for _, user_id in effects(each)] == users


@pytest.mark.parametrize("name", ["course_id", "user_id", "actor_id"])
def test_a_queue_of_strangers_is_no_state(name: str) -> None:
    mock = playing("queues_resets")
    reset(mock, some(mock, 1))
    document = mock.state()
    document["queued"][0][name] = "nobody"
    with pytest.raises(StateError, match=r"\$\.queued\[0\]: There is no .* nobody"):
        MockTraining.load(document)


# --- what stays, and what the answer is -------------------------------------------------------------------------------


def test_a_reset_leaves_what_the_service_keeps() -> None:
    kept = {"keeps_score": "score", "keeps_opened_at": "opened_at", "keeps_time_spent": "time_spent_seconds"}
    for names in (*([each] for each in kept), list(kept)):
        mock = playing(*names)
        course, (somebody,) = courses(mock)[0], some(mock, 1)
        mock.world.complete_course(course, somebody, score=80)
        before = mock.world.record(course, somebody)
        assert reset(mock, [somebody]).json == {"usersUpdated": 1}
        (row,) = Speaker(mock).rows(f"course_id={course}&user_id={somebody}")
        for name in ("score", "opened_at", "time_spent_seconds"):
            stays = name in [kept[each] for each in names]
            assert row[name] == (getattr(before, name) if stays else "" if name == "opened_at" else 0)
        assert (row["completed_at"], row["completed_lessons"], row["progress_percent"]) == ("", 0, 0.0)


def test_opened_at_moves_on_with_every_action() -> None:
    for names, moves in (([], False), (["updates_opened_at"], True)):
        mock = playing(*names)
        course, (somebody,) = courses(mock)[0], some(mock, 1)
        before = mock.world.record(course, somebody)
        assert before is not None
        mock.clock.advance(timedelta(days=1))
        after = mock.world.open(course, somebody)
        assert (after.opened_at != before.opened_at) is moves
        assert (after.completed_at, after.lessons) == (before.completed_at, before.lessons)


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("counts_nobody", 200, b"{}"),
        ("answers_reset_empty", 200, b""),
        ("answers_reset_null", 200, b"null"),
        ("answers_reset_list", 200, b"[]"),
        ("answers_reset_204", 204, b""),
    ],
)
def test_the_answer_to_a_reset_may_say_nothing(name: str, status: int, body: bytes) -> None:
    mock = playing(name)
    answer = reset(mock, some(mock, 2))
    assert (answer.status, answer.body) == (status, body)
    assert len(effects(mock)) == 2
    queued = reset(playing(name, "queues_resets"), some(mock, 2))
    assert (queued.status, queued.body) == (202 if status == 200 else 204, body)


# --- lists -----------------------------------------------------------------------------------------------------------


def test_a_capped_page_size_loses_items_where_the_offset_goes_by_the_size_asked_for() -> None:
    mock = MockTraining.generate(users=30, courses=2, now=NOW, policy=Policy(emulates="caps_page_size"))
    course = courses(mock)[0]
    whole = MockTraining.generate(users=30, courses=2, now=NOW)
    items = Speaker(whole).get(ATTEMPTS, f"courseId={course}&pageSize=1000").json["items"]
    assert len(items) > 25
    first = Speaker(mock).get(ATTEMPTS, f"courseId={course}&pageSize=1000").json
    assert first == {"totalCount": len(items), "items": items[:25]}
    assert Speaker(mock).get(ATTEMPTS, f"courseId={course}&pageSize=1000&page=2").json["items"] == []
    assert Speaker(mock).get(ATTEMPTS, f"courseId={course}&pageSize=25&page=2").json["items"] == items[25:50]


def test_rows_of_people_with_nothing_recorded_are_missing_and_vanish_with_a_reset() -> None:
    mock = playing("omits_empty_rows")
    course = courses(mock)[0]
    users = some(mock, 10)
    assert len(mock.world.main.progress[course].roster) > len(users)
    assert [row["user_id"] for row in Speaker(mock).rows(f"course_id={course}")] == users
    reset(mock, users[:1])
    assert [row["user_id"] for row in Speaker(mock).rows(f"course_id={course}&limit=3")] == users[1:]


def test_a_last_page_names_itself_unless_it_is_full() -> None:
    mock = playing("last_page_names_itself")
    query = f"course_id={courses(mock)[0]}&limit=1000"
    page = Speaker(mock).get(FEED, query).json
    assert page["metadata"]["next_page"] == f"{FEED}?{query}"
    full = Speaker(mock).get(FEED, f"course_id={courses(mock)[0]}&limit={len(page['data'])}").json
    assert not full["metadata"]["next_page"]


def test_a_feed_may_begin_with_an_empty_page_and_repeat_rows_at_the_borders_of_pages() -> None:
    mock = playing("begins_with_empty_page", "repeats_border_rows")
    course = f"course_id={courses(mock)[0]}"
    first = Speaker(mock).get(FEED, f"{course}&limit=4").json
    assert (first["data"], first["metadata"]["next_page"]) == ([], f"{FEED}?{course}&limit=3&offset=0")
    pages, target = [], first["metadata"]["next_page"]
    while target:
        page = Speaker(mock).get(*target.split("?")).json
        pages.append(page["data"])
        target = page["metadata"]["next_page"]
    assert len(pages) > 2
    for before, after in itertools.pairwise(pages):
        title = before[-1]["course_title"].removesuffix(" (new)")
        assert after[0] == {**before[-1], "course_title": f"{title} (new)"}


def test_the_reset_of_a_rate_limit_may_be_a_time() -> None:
    mock = playing("rate_limit_reset_epoch", rate_limits="published")
    answer = Speaker(mock).get(WHO)
    assert int(answer.headers["x-ratelimit-reset"]) == NOW.timestamp() + 60


# --- how it is asked for ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(Behaviour))
def test_every_behaviour_implies_a_live_service_and_answers(name: Behaviour) -> None:
    mock = playing(name)
    assert (mock.policy.plays, mock.policy.emulates) == ("live", (name,))
    answer = reset(mock, some(mock, 1))
    assert answer.status in (200, 202, 204)
    assert "x-training-mock" not in answer.headers


def test_names_stand_in_any_order_as_text_or_list() -> None:
    expected = (Behaviour.QUEUES_RESETS, Behaviour.KEEPS_SCORE)
    for given in ("keeps_score, queues_resets", ["queues_resets", "keeps_score"], expected[::-1]):
        assert Policy(emulates=given).emulates == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "forgets",
            r"emulates must be names out of refuses_partway_404, .*rate_limit_reset_epoch, not 'forgets'\.$",
        ),
        ("keeps_score,", "emulates must be names out of .*, not ''"),
        (["keeps_score", 7], "emulates must be names out of .*, not 7"),
        (7, "emulates must be a list of names, or names separated by commas, not 7"),
        (
            "refuses_partway_404,refuses_partway_429",
            "only one of refuses_partway_404 and refuses_partway_429",
        ),
        ("answers_reset_204,counts_nobody", "only one of counts_nobody and answers_reset_204"),
    ],
)
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(given: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"{message}"):
        Policy(emulates=given)


def test_the_control_plane_makes_worlds_that_emulate() -> None:
    admin = Speaker(MockTraining.demo())
    made = admin.post("/_mock/worlds", {"policy": {"emulates": "keeps_score", "answers": ["proto3"]}})
    assert (made.status, made.json["policy"]["plays"]) == (201, "live")
    wrong = admin.post("/_mock/worlds", {"policy": {"emulates": "forgets"}})
    assert (wrong.status, wrong.message[:43]) == (400, "emulates must be names out of refuses_partw")
    both = admin.post("/_mock/worlds", {"policy": {"emulates": "keeps_score", "plays": "reference"}})
    assert (both.status, "because emulates=keeps_score implies it" in both.message) == (400, True)


def test_a_contradiction_on_the_command_line_is_refused() -> None:
    with pytest.raises(ValueError, match="not 'recorded', because emulates=resets_completed_only"):
        Policy.from_pairs(["emulates=resets_completed_only", "eligibility=recorded"])
    assert Policy.from_pairs(["plays=treacherous", "emulates=keeps_score"]).emulates == (
        Behaviour.IGNORES_USER_LIST,
        Behaviour.KEEPS_SCORE,
    )


def test_the_help_of_serve_lists_every_behaviour(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    printed = "".join(capsys.readouterr().out.split())
    assert [name for name in (*Behaviour, *AnswerForm) if name not in printed] == []


def test_a_state_document_of_before_loads_and_differs_in_nothing() -> None:
    mock = MockTraining.demo(now=NOW)
    document = mock.state()
    assert "queued" not in document
    for name in ("emulates", "answers"):
        del document["policy"][name]
    assert MockTraining.load(document).diff(document) == ()
    assert MockTraining.load(document).policy == Policy()


@pytest.mark.parametrize("given", ["keeps_score", ["forgets"], [7]])
def test_a_state_document_with_another_behaviour_is_refused_with_the_place(given: object) -> None:
    document = MockTraining.demo().state()
    document["policy"]["emulates"] = given
    with pytest.raises(StateError, match=r"\$\.policy\.emulates"):
        MockTraining.load(document)


def test_records_with_a_kept_field_stay_in_their_place_in_a_state_document() -> None:
    mock = playing("keeps_score")
    records = next(iter(mock.world.main.progress.courses.values())).records
    scored = next(each for each in some(mock, 10)[:-1] if records[each].score)
    before = list(records)
    assert reset(mock, [scored]).status == 200
    assert list(records) == before
    assert records[scored].score
