"""R05, R16: rapid refreshes and their answers through both clients and both doors; no reset touches them."""

from __future__ import annotations

import pytest

from contract.plant import HIDDEN, QUIZ, Plant
from contract.stage import Stage, typed
from mock_server.mock import TokenName
from training_sdk import NotFoundError, PermissionDeniedError

ANSWERED = {"anna": ("The north gate", True), "ben": ("The lift", False)}


def test_R05_staff_see_every_rapid_refresh_and_learners_their_own(stage: Stage, plant: Plant) -> None:
    listed = {each.title: each for each in stage.client("manager").rapid_refreshes.list()}
    assert {title: each.is_published for title, each in listed.items()} == {QUIZ: True, HIDDEN: False}
    learner = stage.client("learner").rapid_refreshes
    assert list(learner.list()) == [listed[QUIZ]]
    assert learner.get(listed[QUIZ].id).title == QUIZ
    with pytest.raises(NotFoundError) as hidden:
        learner.get(listed[HIDDEN].id)
    assert hidden.value.reason == "RAPID_REFRESH_NOT_FOUND"


def test_a_rapid_refresh_shows_its_questions_and_not_what_is_right(stage: Stage, plant: Plant) -> None:
    found = stage.client().rapid_refreshes.get(plant.rapid_refresh())
    (question,) = found.questions
    assert (found.question_count, question.question) == (1, "Which exit?")
    assert question.options == ("The north gate", "The lift")
    assert dict(question.extra) == {}


def test_R16_no_reset_touches_the_answers(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    before = list(client.analytics.rapid_refresh_answers())
    assert {each.user_id: (each.answer, each.correct) for each in before} == {
        plant.id(name): said for name, said in ANSWERED.items()
    }
    plan = client.resets.plan_everyone(plant.forklift)
    assert client.resets.apply(plan, confirm=typed(plan)).reset_count == 4
    assert list(client.analytics.rapid_refresh_answers()) == before
    assert [each.user_id for each in client.analytics.rapid_refresh_answers(user_id=plant.id("ben"))] == (
        plant.ids("ben")
    )


@pytest.mark.parametrize(("who", "seen"), [("manager", {"anna", "ben"}), ("teamlead", {"anna"})])
def test_R05_answers_are_seen_with_figures(
    stage: Stage, plant: Plant, who: TokenName, seen: set[str]
) -> None:
    answers = stage.client(who).analytics.rapid_refresh_answers()
    assert plant.names(each.user_id for each in answers) == seen
    with pytest.raises(PermissionDeniedError) as denied:
        list(stage.client("learner").analytics.rapid_refresh_answers())
    assert denied.value.reason == "PERMISSION_DENIED"


def test_R03_another_organisations_rapid_refreshes_do_not_exist(stage: Stage, plant: Plant) -> None:
    outsider = stage.client("outsider")
    (own,) = outsider.rapid_refreshes.list()
    with pytest.raises(NotFoundError):
        outsider.rapid_refreshes.get(plant.rapid_refresh())
    (given,) = outsider.analytics.rapid_refresh_answers()
    assert (given.rapid_refresh_id, given.user_id) == (own.id, plant.id("stranger"))
