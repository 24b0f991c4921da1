"""Leaderboards: their points come from the records, so a reset takes them away and touches nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import MockTraining
from mock_server.api import leaderboards
from mock_server.learner_actions import NotAssignedError
from mock_server.world.people import Status
from recount import recount_rankings
from unit.mock_server.conftest import NOW
from unit.mock_server.core.speaker import ANNA, FORKLIFT, Answer, Speaker, course_id, recorded, user_of
from unit.mock_server.core.test_lessons_and_slides import Json, items, user_organisation

BOARDS = "/training/individualleaderboards/v1"
RANKINGS = f"{BOARDS}/rankings"
NAME = "Safety cup 2026"


def board_id(mock: MockTraining) -> str:
    (board,) = mock.world.main.leaderboards
    return board


def ask(speaker: Speaker, board: str) -> Answer:
    return speaker.get(RANKINGS, f"leaderboardId={board}")


def ranked(mock: MockTraining, token: str = "admin") -> list[Json]:
    found: list[Json] = ask(Speaker(mock, token), board_id(mock)).json["rankings"]
    return found


def test_a_board_is_listed_with_its_dates(mock: MockTraining, admin: Speaker) -> None:
    (listed,) = items(admin, BOARDS)
    assert listed == {
        "id": board_id(mock),
        "name": NAME,
        "startDate": "2026-01-05T00:00:00.000Z",
        "endDate": "2026-12-18T00:00:00.000Z",
        "learnerAccess": True,
    }
    shown = ask(admin, listed["id"]).json
    assert (shown["leaderboardId"], shown["leaderboardName"]) == (listed["id"], NAME)


def test_R14_rankings_equal_a_recount_before_and_after_a_reset(mock: MockTraining, admin: Speaker) -> None:
    before = ranked(mock)
    assert before == recount_rankings(mock.world.main, board_id(mock))
    assert {each["isNotAttempted"] for each in before} == {True, False}
    anna = user_of(mock, "learner")
    record = mock.world.record(FORKLIFT, anna)
    assert record is not None
    assert admin.reset(course_id(mock), [anna], (FORKLIFT, 1)).status == 200
    after = ranked(mock)
    assert after == recount_rankings(mock.world.main, board_id(mock))
    (then,), (now,) = ([each for each in found if each["participantId"] == anna] for found in (before, after))
    assert now["totalScore"] == then["totalScore"] - record.score
    assert now["rank"] > then["rank"]
    assert admin.reset(course_id(mock), None, (FORKLIFT, len(recorded(mock)))).status == 200
    assert ranked(mock) == recount_rankings(mock.world.main, board_id(mock))


def test_equals_share_a_rank_and_the_ranks_after_it_are_left_out(mock: MockTraining) -> None:
    found = ranked(mock)
    scores = [each["totalScore"] for each in found]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) < len(scores)
    for place, each in enumerate(found, 1):
        assert each["rank"] == scores.index(each["totalScore"]) + 1 <= place


def test_everyone_who_can_learn_takes_part(mock: MockTraining) -> None:
    assert {each["participantId"] for each in ranked(mock)} == {
        person.id for person in mock.world.users if person.can_learn
    }
    mock.world.update_user(ANNA, status=Status.DEACTIVATED)
    assert user_of(mock, "learner") not in {each["participantId"] for each in ranked(mock)}
    mock.world.update_user(ANNA, status=Status.ACTIVE, first_name="Annegret")
    assert "Annegret Özdemir" in {each["participantName"] for each in ranked(mock)}


def test_only_the_first_thousand_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert leaderboards.MOST == 1000
    mock = MockTraining.demo(now=NOW)
    whole = recount_rankings(mock.world.main, board_id(mock))
    monkeypatch.setattr(leaderboards, "MOST", 7)
    assert ranked(mock) == whole[:7]


ACTS: dict[str, Callable[[MockTraining, str], object]] = {
    "complete": lambda mock, user: mock.world.complete_course(FORKLIFT, user, score=90),
    "open": lambda mock, user: mock.world.open(FORKLIFT, user),
    "deactivate": lambda mock, user: mock.world.update_user(user, status=Status.DEACTIVATED),
    "join": lambda mock, user: mock.world.update_user(user, groups=frozenset(mock.world.main.groups)),
    "leave": lambda mock, user: mock.world.update_user(user, groups=frozenset(), sites=frozenset()),
    "reset": lambda mock, user: Speaker(mock).reset(course_id(mock), [user], (FORKLIFT, 1)),
}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(ACTS)), st.integers(0, 62)), min_size=1, max_size=12))
def test_R14_what_is_kept_of_the_rankings_is_never_out_of_date(steps: list[tuple[str, int]]) -> None:
    mock = MockTraining.demo(now=NOW)
    asking = user_of(mock, "admin")  # has to stay able to ask
    people = [person.id for person in mock.world.users if person.id != asking]
    for act, number in steps:
        try:
            ACTS[act](mock, people[number])
        except NotAssignedError:
            assert not mock.world.main.progress[course_id(mock)].has(people[number])
        assert ranked(mock) == recount_rankings(mock.world.main, board_id(mock))


def test_rankings_are_cached_until_a_change(mock: MockTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[Any] = []
    count = leaderboards._ranked

    def counted(*given: Any) -> Any:
        counts.append(given)
        return count(*given)

    monkeypatch.setattr(leaderboards, "_ranked", counted)
    for _ in range(3):
        ranked(mock)
    assert len(counts) == 1
    mock.world.complete_course("Data protection in 20 minutes", ANNA)  # no course of the board
    ranked(mock)
    assert len(counts) == 1
    mock.world.open(FORKLIFT, ANNA)
    ranked(mock)
    assert len(counts) == 2


def test_a_board_has_to_be_named_and_there(mock: MockTraining, admin: Speaker) -> None:
    missing = admin.get(RANKINGS)
    assert (missing.status, missing.reason, missing.metadata) == (
        400,
        "INVALID_ARGUMENT",
        {"field": "leaderboardId"},
    )
    unknown = ask(admin, "nowhere")
    assert (unknown.status, unknown.reason) == (404, "LEADERBOARD_NOT_FOUND")


def test_R03_nothing_of_another_organisation_is_there(mock: MockTraining) -> None:
    outsider = Speaker(mock, "outsider")
    assert mock.world.organisations[user_organisation(mock, "outsider")].leaderboards == {}
    assert items(outsider, BOARDS) == []
    assert ask(outsider, board_id(mock)).reason == "LEADERBOARD_NOT_FOUND"
    assert ask(Speaker(mock, "revoked"), board_id(mock)).status == 401


@pytest.mark.parametrize("token", ["learner"])
def test_R05_learners_see_the_boards_they_have_access_to(mock: MockTraining, token: str) -> None:
    learner, board = Speaker(mock, token), board_id(mock)
    assert items(learner, BOARDS) == items(Speaker(mock), BOARDS)
    assert ranked(mock, token) == ranked(mock)
    state = mock.state()
    state["organisations"][0]["leaderboards"][0]["learner_access"] = False
    closed = MockTraining.load(state)
    learner = Speaker(closed, token)
    assert items(learner, BOARDS) == []
    hidden, unknown = ask(learner, board), ask(learner, "0" * len(board))
    assert (hidden.status, hidden.message) == (404, unknown.message.replace("0" * len(board), board))
    assert {ask(Speaker(closed, each), board).status for each in ("admin", "manager", "teamlead")} == {200}
