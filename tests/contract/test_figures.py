"""R05, R12, R14: lessons, slides and surveys through both clients and both doors, before a reset and after it."""

from __future__ import annotations

from collections import Counter

import pytest

from contract.plant import FORKLIFT, SURVEY, Plant, nothing_changes
from contract.stage import Stage, typed
from mock_server.mock import TokenName
from training_sdk import (
    LessonEventType,
    NotFoundError,
    PermissionDeniedError,
    SlideType,
    SurveyAnswerType,
    TrainingClient,
)

SAID = {"anna": "The horn is hard to reach.", "cleo": "Which pedal is which."}


def reset(client: TrainingClient, course: str, users: list[str]) -> None:
    plan = client.resets.plan(course, users)
    assert client.resets.apply(plan, confirm=typed(plan)).reset_count == len(users)


def test_R14_lessons_stand_as_their_events_say_before_and_after_a_reset(stage: Stage, plant: Plant) -> None:
    client = stage.client()

    def check() -> dict[str, tuple[int, int]]:
        events = Counter((event.lesson_id, event.event_type) for event in client.analytics.lesson_events())
        found = list(client.analytics.lesson_statistics())
        for lesson in found:
            counted = [events[lesson.lesson_id, each] for each in LessonEventType]
            assert [lesson.opened_count, lesson.completed_count] == counted, lesson.lesson_title
        return {str(each.lesson_title): (each.opened_count or 0, each.completed_count) for each in found}

    before = check()
    assert (before["Controls"], before["Signs"]) == ((3, 3), (3, 2))
    reset(client, plant.forklift, plant.ids("anna"))
    assert check() == before | {
        name: (before[name][0] - 1, before[name][1] - 1)
        for name in ("Controls", "Signs", "Driving test", "Near misses", "Risk sheet")
    }


def test_R12_a_reset_takes_somebodys_events_slides_and_survey_answers_in_that_course(
    stage: Stage, plant: Plant
) -> None:
    client = stage.client()
    anna = plant.id("anna")

    def seen() -> tuple[set[str], dict[str, bool], list[str]]:
        courses = {event.course_id for event in client.analytics.user_lesson_events(anna)}
        slides = {str(each.slide_title): each.viewed for each in client.analytics.user_slides(anna)}
        return courses, slides, [each.answer for each in client.analytics.survey_answers(user_id=anna)]

    others = list(client.analytics.survey_answers(user_id=plant.id("cleo")))
    courses, slides, answers = seen()
    assert plant.forklift in courses
    assert set(slides.values()) == {True}
    assert answers == [SAID["anna"]]
    reset(client, plant.forklift, [anna])
    assert seen() == (courses - {plant.forklift}, dict.fromkeys(slides, False), [])
    assert list(client.analytics.survey_answers()) == others


def test_slides_and_what_they_ask(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    slides = list(client.analytics.slide_statistics(course_id=plant.forklift))
    assert [slide.slide_type for slide in slides] == list(SlideType)
    assert [slide.viewed_count for slide in slides] == [3, 3, 3]
    content, question, survey = slides
    assert (content.answered_count, question.answered_count, survey.answered_count) == (0, 3, 2)
    assert list(client.analytics.slide_statistics(course_id="unknown")) == []
    (asked,) = client.analytics.survey_questions()
    assert (asked.id, asked.question, asked.options) == (survey.slide_id, SURVEY, ())
    assert asked.answer_type is SurveyAnswerType.TEXT
    answers = {each.user_id: each for each in client.analytics.survey_answers(course_id=plant.forklift)}
    assert {user: each.answer for user, each in answers.items()} == {
        plant.id(name): said for name, said in SAID.items()
    }
    assert {each.question_id for each in answers.values()} == {asked.id}
    assert list(client.analytics.survey_questions(course_id=plant.courses["Fire safety"])) == []


def test_who_has_not_begun_has_slides_and_no_events(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    emil = plant.id("emil")
    slides = list(client.analytics.user_slides(emil, course_id=plant.forklift))
    assert [(each.viewed, each.viewed_date_time, each.answered) for each in slides] == [
        (False, None, False)
    ] * 3
    assert list(client.analytics.user_lesson_events(emil, course_id=plant.forklift)) == []


@pytest.mark.parametrize(
    ("who", "seen"), [("manager", {"anna", "cleo"}), ("teamlead", {"anna"}), ("learner", {"anna"})]
)
def test_R05_events_and_answers_are_seen_by_whoever_sees_the_progress(
    stage: Stage, plant: Plant, who: TokenName, seen: set[str]
) -> None:
    client = stage.client(who)
    assert plant.names({each.user_id for each in client.analytics.survey_answers()}) == seen
    progress = {row.user_id for row in client.progress.list() if row.completed_lessons}
    assert {each.user_id for each in client.analytics.lesson_events()} >= progress
    assert list(client.analytics.user_slides(plant.id("anna"))) == list(
        stage.client().analytics.user_slides(plant.id("anna"))
    )


def test_R05_a_learner_sees_no_figures_and_nobody_elses_rows(stage: Stage, plant: Plant) -> None:
    analytics = stage.client("learner").analytics
    for listing in (analytics.lesson_statistics, analytics.slide_statistics, analytics.survey_questions):
        with nothing_changes(plant.mock), pytest.raises(PermissionDeniedError) as denied:
            list(listing())
        assert denied.value.reason == "PERMISSION_DENIED"
    for of_user in (analytics.user_lesson_events, analytics.user_slides, analytics.lesson_progress):
        with pytest.raises(NotFoundError) as hidden:
            list(of_user(plant.id("cleo")))
        assert hidden.value.reason == "USER_NOT_FOUND"
    for listed in (analytics.lesson_events, analytics.survey_answers, analytics.attempts):
        assert list(listed(user_id=plant.id("cleo"))) == []


def test_R05_a_team_leads_figures_are_those_of_the_team(stage: Stage, plant: Plant) -> None:
    def standing(who: TokenName) -> tuple[int, int]:
        found = stage.client(who).analytics.lesson_statistics(course_id=plant.forklift)
        return next((each.total_users, each.completed_count) for each in found)

    assert FORKLIFT in {course.title for course in stage.client("teamlead").courses.list()}
    assert (standing("admin"), standing("teamlead")) == ((5, 3), (2, 1))


def test_R03_another_organisations_figures_do_not_exist(stage: Stage, plant: Plant) -> None:
    analytics = stage.client("outsider").analytics
    foreign = plant.courses["foreign"]
    assert {each.course_id for each in analytics.lesson_statistics()} == {foreign}
    assert {each.course_id for each in analytics.survey_answers()} == {foreign}
    assert list(analytics.lesson_events(course_id=plant.forklift)) == []
    with pytest.raises(NotFoundError):
        list(analytics.user_slides(plant.id("anna")))
