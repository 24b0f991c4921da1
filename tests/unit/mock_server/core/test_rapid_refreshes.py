"""Rapid refreshes: their questions and answers, who sees them, and that no reset touches them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import MockTraining
from mock_server.world.courses import RefreshAnswer, RefreshAnswers, RefreshQuestion
from mock_server.world.people import Status
from unit.mock_server.core.speaker import ANNA, Speaker, user_of
from unit.mock_server.core.test_lessons_and_slides import Json, items, user_organisation

REFRESHES = "/training/rapid-refresh/v1"
ANSWERS = "/training/analytics/v1/rapidRefresh/answers"
TITLE = "Five minutes on ladders"


def one(speaker: Speaker) -> Json:
    (listed,) = items(speaker, REFRESHES)
    found: Json = speaker.get(f"{REFRESHES}/{listed['id']}").json
    return found


def test_a_rapid_refresh_comes_with_its_questions_and_without_the_right_answers(admin: Speaker) -> None:
    (listed,) = items(admin, REFRESHES)
    shown = one(admin)
    assert listed == {name: each for name, each in shown.items() if name != "questions"}
    assert (listed["title"], listed["isPublished"], listed["questionCount"]) == (TITLE, True, 2)
    assert [each["question"] for each in shown["questions"]] == [
        "Who may use a damaged ladder?",
        "How many points of contact?",
    ]
    assert {frozenset(each) for each in shown["questions"]} == {frozenset(("id", "question", "options"))}
    assert shown["questions"][1]["options"] == ["Three", "Two", "One"]


def test_answers_come_by_refresh_and_user_the_oldest_first(mock: MockTraining, admin: Speaker) -> None:
    before = items(admin, ANSWERS)
    assert {each["correct"] for each in before} == {True, False}
    given = mock.world.answer_rapid_refresh(TITLE, ANNA, "Two", question="How many points of contact?")
    assert not given.correct
    mock.world.clock.advance(timedelta(minutes=1))
    assert mock.world.answer_rapid_refresh(TITLE, ANNA, "Nobody").correct
    found, anna = items(admin, ANSWERS), user_of(mock, "learner")
    keys = [(each["rapidRefreshId"], each["userId"], each["answeredDateTime"]) for each in found]
    assert keys == sorted(keys)
    assert len(found) == len(before) + 2
    mine = [each for each in found if each["userId"] == anna]
    assert items(admin, ANSWERS, f"userId={anna}") == mine
    assert mine[-1] == {
        "rapidRefreshId": given.refresh_id,
        "questionId": one(admin)["questions"][0]["id"],
        "userId": anna,
        "answer": "Nobody",
        "correct": True,
        "answeredDateTime": "2026-11-30T09:01:00.000Z",
    }
    for size in (1, 2, 1000):
        assert items(admin, ANSWERS, size=size) == found


def test_what_cannot_be_answered_changes_nothing(mock: MockTraining) -> None:
    before = mock.world.snapshot()
    answer = mock.world.answer_rapid_refresh
    with pytest.raises(ValueError, match="one of Nobody, Whoever is careful"):
        answer(TITLE, ANNA, "Everybody")
    with pytest.raises(LookupError, match="no question 'nowhere'"):
        answer(TITLE, ANNA, "Nobody", question="nowhere")
    with pytest.raises(LookupError, match="no rapid refresh 'Ladders'"):
        answer("Ladders", ANNA, "Nobody")
    with pytest.raises(LookupError, match="not assigned"):
        answer(TITLE, user_of(mock, "admin"), "Nobody")
    assert mock.world.snapshot() == before


def test_a_question_needs_a_right_answer_and_a_wrong_one() -> None:
    for options, right in (((), ""), (("yes",), "yes"), (("yes", "no"), "maybe")):
        with pytest.raises(ValueError, match="two options"):
            RefreshQuestion("q", "Sure?", options, right)


def test_R03_nothing_of_another_organisation_is_there(mock: MockTraining, admin: Speaker) -> None:
    outsider, shown = Speaker(mock, "outsider"), one(admin)
    assert mock.world.organisations[user_organisation(mock, "outsider")].rapid_refreshes == {}
    assert items(outsider, REFRESHES) == items(outsider, ANSWERS) == []
    assert items(outsider, ANSWERS, f"userId={user_of(mock, 'learner')}") == []
    assert outsider.get(f"{REFRESHES}/{shown['id']}").reason == "RAPID_REFRESH_NOT_FOUND"
    for path in (REFRESHES, ANSWERS, f"{REFRESHES}/{shown['id']}"):
        assert Speaker(mock, "revoked").get(path).status == 401


def test_R05_learners_see_what_is_published_and_theirs_and_no_answers(mock: MockTraining) -> None:
    learner, admin = Speaker(mock, "learner"), Speaker(mock)
    shown = one(admin)
    assert one(learner) == shown
    assert learner.get(ANSWERS).status == Speaker(mock, "resetter").get(ANSWERS).status == 403
    refresh = mock.world.rapid_refresh(TITLE)
    mock.world.update_user(ANNA, status=Status.ACTIVE, groups=frozenset())
    hidden = learner.get(f"{REFRESHES}/{refresh.id}")
    assert (hidden.status, items(learner, REFRESHES)) == (404, [])
    unknown = learner.get(f"{REFRESHES}/{'0' * len(refresh.id)}")
    assert unknown.message.replace("0" * len(refresh.id), refresh.id) == hidden.message
    assert one(admin) == shown


def test_R05_a_team_lead_sees_the_answers_of_their_teams(mock: MockTraining) -> None:
    lead = mock.world.user(user_of(mock, "teamlead"))
    whole, mine = items(Speaker(mock), ANSWERS), items(Speaker(mock, "teamlead"), ANSWERS)
    assert mine == [each for each in whole if each["userId"] == lead.id]
    assert 0 < len(mine) < len(whole)
    speaker = Speaker(mock, "teamlead")
    assert items(speaker, ANSWERS, f"userId={user_of(mock, 'learner')}") == []


def test_answers_are_as_old_as_the_warehouse(mock: MockTraining, admin: Speaker) -> None:
    before = items(admin, ANSWERS)
    mock.lag = timedelta(hours=1)
    mock.world.answer_rapid_refresh(TITLE, ANNA, "Nobody")
    assert items(admin, ANSWERS) == before
    mock.world.clock.advance(timedelta(minutes=61))
    assert len(items(admin, ANSWERS)) == len(before) + 1


keys = st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from("123"), st.sampled_from("qr"))


@given(st.lists(keys, max_size=30), st.sets(st.sampled_from("wxyz")))
@settings(deadline=None)
def test_answers_by_user_are_in_order(given: list[tuple[str, str, str, str]], users: set[str]) -> None:
    kept = RefreshAnswers()
    for refresh, user, at, question in given:
        kept.add(RefreshAnswer(refresh, question, user, "Yes", True, at))
    assert [each.key for each in kept.rows] == sorted(set(given))
    asked = sorted(users)
    assert kept.of_users(["a", "b"], asked) == [each for each in kept.rows if each.user_id in users]
    assert RefreshAnswers.of(reversed(kept.rows)).rows == kept.rows


def test_generated_worlds_have_one() -> None:
    admin = Speaker(MockTraining.generate(users=5, courses=2, seed=1))
    (listed,) = items(admin, REFRESHES)
    assert listed["questionCount"] == 2
    assert len(items(admin, ANSWERS)) == 10
