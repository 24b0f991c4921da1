"""R05, R14: leaderboards through both clients and both doors; a reset takes the points away."""

from __future__ import annotations

import pytest

from contract.plant import CUP, HIDDEN, Plant
from contract.stage import Stage, typed
from training_sdk import LeaderboardRankings, NotFoundError, TrainingClient


def test_R05_staff_see_every_leaderboard_and_a_learner_those_that_are_open_to_learners(
    stage: Stage, plant: Plant
) -> None:
    boards = {each.name: each for each in stage.client("manager").leaderboards.list()}
    assert {name: each.learner_access for name, each in boards.items()} == {CUP: True, HIDDEN: False}
    assert all(
        each.start_date and each.end_date and each.start_date < each.end_date for each in boards.values()
    )
    learner = stage.client("learner").leaderboards
    assert list(learner.list()) == [boards[CUP]]
    assert learner.rankings(boards[CUP].id).leaderboard_name == CUP
    with pytest.raises(NotFoundError) as hidden:
        learner.rankings(boards[HIDDEN].id)
    assert hidden.value.reason == "LEADERBOARD_NOT_FOUND"


def points(client: TrainingClient, plant: Plant) -> dict[str, float]:
    """What the progress feed adds up to over the courses of the leaderboard, by user."""
    found: dict[str, float] = {}
    for course in (plant.forklift, plant.courses["Fire safety"]):
        for row in client.progress.list(course_id=course):
            if row.has_recorded_progress:
                found[row.user_id] = found.get(row.user_id, 0) + (row.score or 0)
    return found


def check(board: LeaderboardRankings, scored: dict[str, float]) -> None:
    """Everyone stands where their points put them; equals share a rank."""
    assert {each.participant_id for each in board.rankings if not each.is_not_attempted} == scored.keys()
    totals = [each.total_score for each in board.rankings]
    assert totals == sorted(totals, reverse=True)
    for each in board.rankings:
        assert each.total_score == scored.get(each.participant_id, 0)
        assert each.rank == 1 + sum(total > each.total_score for total in totals)


def test_R14_a_leaderboard_adds_up_the_scores_that_are_there_before_and_after_a_reset(
    stage: Stage, plant: Plant
) -> None:
    client = stage.client()
    board = client.leaderboards.rankings(plant.leaderboard())
    check(board, points(client, plant))
    first = board.rankings[0]
    assert (first.rank, first.participant_id, first.total_score) == (1, plant.id("anna"), 91 + 95)
    assert first.participant_name == "Anna Müller"
    plan = client.resets.plan_everyone(plant.forklift)
    assert client.resets.apply(plan, confirm=typed(plan)).reset_count == 4
    after = client.leaderboards.rankings(plant.leaderboard())
    check(after, points(client, plant))
    assert after.rankings[0].total_score == 95
    assert {each.participant_id for each in after.rankings} == {
        each.participant_id for each in board.rankings
    }


@pytest.mark.parametrize("leaderboard_id", ["unknown", "a b", "ü"])
def test_a_leaderboard_that_is_not_there_is_not_found(stage: Stage, leaderboard_id: str) -> None:
    with pytest.raises(NotFoundError):
        stage.client().leaderboards.rankings(leaderboard_id)


def test_R03_another_organisations_leaderboards_do_not_exist(stage: Stage, plant: Plant) -> None:
    outsider = stage.client("outsider").leaderboards
    (own,) = outsider.list()
    assert plant.id("anna") not in {each.participant_id for each in outsider.rankings(own.id).rankings}
    with pytest.raises(NotFoundError):
        outsider.rankings(plant.leaderboard())
