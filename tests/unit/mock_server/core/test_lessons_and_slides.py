"""Lessons, slides and surveys: their figures, who sees them, and what a reset leaves of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import MockTraining
from mock_server.learner_actions import LateWriteError, NotAssignedError
from mock_server.world.courses import Slide, SlideKind
from recount import recount_lessons, recount_slides
from unit.mock_server.conftest import NOW
from unit.mock_server.core.speaker import ANNA, FORKLIFT, PREVIEW, Speaker, course_id, recorded, user_of

ANALYTICS = "/training/analytics/v1"
LESSONS = f"{ANALYTICS}/lessons/statistics"
EVENTS = f"{ANALYTICS}/lessons/progress/events"
SLIDES = f"{ANALYTICS}/slides/statistics"
QUESTIONS = f"{ANALYTICS}/surveys/questionDefinitions"
ANSWERS = f"{ANALYTICS}/surveys/answers"
USER_EVENTS = f"{ANALYTICS}/users/{{}}/lessons/progress/events"
USER_SLIDES = f"{ANALYTICS}/users/{{}}/slides/statistics"
LISTS = (LESSONS, EVENTS, SLIDES, QUESTIONS, ANSWERS)
FIGURES = (LESSONS, SLIDES, QUESTIONS)

Json = dict[str, Any]


def items(who: Speaker, path: str, query: str = "", size: int = 1000) -> list[Json]:
    """All pages of a list."""
    found: list[Json] = []
    for page in range(1, 10_000):
        answer = who.get(path, f"{query}&page={page}&pageSize={size}".lstrip("&"))
        assert answer.status == 200, answer.body
        found += answer.json["items"]
        if not answer.json["items"]:
            assert answer.json["totalCount"] == len(found)
            return found
    raise AssertionError("the list does not end")


def nobody_yet(mock: MockTraining) -> str:
    progress = mock.world.main.progress[course_id(mock)]
    return next(each for each in progress.roster if each not in progress.records)


def slides_of(mock: MockTraining) -> dict[SlideKind, Slide]:
    return {each.kind: each for each in mock.world.course(FORKLIFT).lessons[0].slides}


# --- figures -----------------------------------------------------------------------------------------------------


def test_R14_lesson_and_slide_figures_equal_a_recount(mock: MockTraining, admin: Speaker) -> None:
    organisation = mock.world.main
    lessons = [each for course in organisation.courses for each in recount_lessons(organisation, course)]
    assert items(admin, LESSONS) == lessons
    assert items(admin, SLIDES) == recount_slides(organisation, course_id(mock))
    assert items(admin, LESSONS, f"courseId={course_id(mock)}") == recount_lessons(
        organisation, course_id(mock)
    )
    welcome = lessons[[each["lessonTitle"] for each in lessons].index("Welcome to the yard")]
    assert welcome["totalUsers"] > welcome["openedCount"] >= welcome["completedCount"] > 0
    assert 0 < welcome["averageScore"] <= 100


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_pages_of_figures_add_up(admin: Speaker, size: int) -> None:
    for path in LISTS:
        whole = items(admin, path)
        assert whole
        if size > 1 or len(whole) < 100:
            assert items(admin, path, size=size) == whole


def test_R14_after_a_reset_the_figures_are_those_of_the_rest(mock: MockTraining, admin: Speaker) -> None:
    course, anna = course_id(mock), user_of(mock, "learner")
    before = {path: items(admin, path, f"courseId={course}") for path in (LESSONS, SLIDES)}
    assert admin.reset(course, [anna], (FORKLIFT, 1)).status == 200
    after = {path: items(admin, path, f"courseId={course}") for path in (LESSONS, SLIDES)}
    assert after[LESSONS] == recount_lessons(mock.world.main, course)
    assert after[SLIDES] == recount_slides(mock.world.main, course)
    for then, now in zip(before[LESSONS], after[LESSONS], strict=True):
        assert (now["openedCount"], now["totalUsers"]) == (then["openedCount"] - 1, then["totalUsers"])
    for then, now in zip(before[SLIDES], after[SLIDES], strict=True):
        assert now["viewedCount"] == then["viewedCount"] - 1
    assert admin.reset(course, None, (FORKLIFT, len(recorded(mock)))).status == 200
    counts = ("openedCount", "completedCount", "completionPercent", "averageScore")
    assert {each[name] for each in items(admin, LESSONS, f"courseId={course}") for name in counts} == {0}
    assert {each["viewedCount"] for each in items(admin, SLIDES, f"courseId={course}")} == {0}


ACTS: dict[str, Callable[[MockTraining, str], object]] = {
    "open": lambda mock, user: mock.world.open(FORKLIFT, user),
    "fail": lambda mock, user: mock.world.complete_lesson(FORKLIFT, user, "Welcome to the yard", score=1),
    "complete": lambda mock, user: mock.world.complete_course(FORKLIFT, user),
    "answer": lambda mock, user: mock.world.answer_survey(FORKLIFT, user, "Not yet"),
    "leave": lambda mock, user: mock.world.update_user(user, groups=frozenset(), sites=frozenset()),
    "join": lambda mock, user: mock.world.update_user(user, groups=frozenset(mock.world.main.groups)),
    "reset": lambda mock, user: Speaker(mock).reset(course_id(mock), [user], (FORKLIFT, 1)),
    "cut": lambda mock, user: mock.world.update_course(
        FORKLIFT, lessons=mock.world.course(FORKLIFT).lessons[:3]
    ),
}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(ACTS)), st.integers(0, 63)), min_size=1, max_size=12))
def test_R14_what_is_kept_of_the_figures_is_never_out_of_date(steps: list[tuple[str, int]]) -> None:
    mock = MockTraining.demo(now=NOW)
    people = [person.id for person in mock.world.users]
    admin, course = Speaker(mock), course_id(mock)
    for act, number in steps:
        try:
            ACTS[act](mock, people[number])
        except NotAssignedError:
            assert not mock.world.main.progress[course].has(people[number])
        assert items(admin, LESSONS, f"courseId={course}") == recount_lessons(mock.world.main, course)
        assert items(admin, SLIDES, f"courseId={course}") == recount_slides(mock.world.main, course)
        assert len(items(admin, EVENTS, f"courseId={course}")) == sum(
            each["openedCount"] + each["completedCount"]
            for each in items(admin, LESSONS, f"courseId={course}")
        )


# --- events ------------------------------------------------------------------------------------------------------


def test_events_come_by_course_user_lesson_and_type(mock: MockTraining, admin: Speaker) -> None:
    found = items(admin, EVENTS)
    order = {
        lesson.id: (course.id, number)
        for course in mock.world.courses
        for number, lesson in enumerate(course.lessons)
    }
    keys = [
        (
            *order[each["lessonId"]][:1],
            each["userId"],
            order[each["lessonId"]][1],
            each["eventType"] != "opened",
        )
        for each in found
    ]
    assert keys == sorted(set(keys))
    assert {each["eventType"] for each in found} == {"opened", "completed"}
    anna = user_of(mock, "learner")
    mine = [each for each in found if each["userId"] == anna]
    assert items(admin, EVENTS, f"userId={anna}") == mine == items(admin, USER_EVENTS.format(anna))
    course = course_id(mock)
    of_course = [each for each in mine if each["courseId"] == course]
    assert items(admin, USER_EVENTS.format(anna), f"courseId={course}", size=3) == of_course
    record = mock.world.record(FORKLIFT, anna)
    assert record is not None
    assert [each["eventDateTime"] for each in of_course if each["eventType"] == "completed"] == [
        each.completed_at for each in record.lessons
    ]


# --- slides ------------------------------------------------------------------------------------------------------


def test_doing_a_lesson_views_slides_and_answers_questions(mock: MockTraining, admin: Speaker) -> None:
    fresh, lesson = nobody_yet(mock), mock.world.course(FORKLIFT).lessons[0]
    path, query = USER_SLIDES.format(fresh), f"courseId={course_id(mock)}"
    untouched = items(admin, path, query)
    assert [each["slideId"] for each in untouched] == [each.id for each in lesson.slides]
    assert {(each["viewed"], each["viewedDateTime"], each["answered"]) for each in untouched} == {
        (False, "", False)
    }
    mock.world.open(FORKLIFT, fresh)
    assert items(admin, path, query) == untouched
    mock.world.update_course(FORKLIFT, lessons=(evolve(lesson, minimum_score=50),))
    for score, right in ((49, False), (50, True), (10, True)):
        mock.world.complete_lesson(FORKLIFT, fresh, lesson.id, score=score)
        shown = {each["slideType"]: each for each in items(admin, path, query)}
        assert [each["viewed"] for each in shown.values()] == [True] * 3
        assert [(kind, each["answered"], each["correct"]) for kind, each in shown.items()] == [
            ("content", False, False),
            ("question", True, right),
            ("survey", False, False),
        ]


def test_every_slide_of_ones_courses_is_listed(mock: MockTraining, admin: Speaker) -> None:
    assert items(admin, USER_SLIDES.format(user_of(mock, "admin"))) == []  # no course with slides
    assert len(items(admin, USER_SLIDES.format(nobody_yet(mock)))) == 3


def test_a_question_needs_a_right_answer_and_a_wrong_one() -> None:
    for options, right in (((), ""), (("yes",), "yes"), (("yes", "no"), "maybe"), (("yes", "yes"), "yes")):
        with pytest.raises(ValueError, match="two options"):
            Slide("s", "Sure?", SlideKind.QUESTION, options, right)


# --- surveys -----------------------------------------------------------------------------------------------------


def test_a_survey_is_defined_and_answered(mock: MockTraining, admin: Speaker) -> None:
    fresh, slide = nobody_yet(mock), slides_of(mock)[SlideKind.SURVEY]
    (asked,) = items(admin, QUESTIONS)
    assert asked == {
        "id": slide.id,
        "courseId": course_id(mock),
        "lessonId": mock.world.course(FORKLIFT).lessons[0].id,
        "question": slide.title,
        "answerType": "choice",
        "options": ["Very", "Fairly", "Not yet"],
    }
    assert items(admin, QUESTIONS, "courseId=unknown") == []
    record = mock.world.answer_survey(FORKLIFT, fresh, "Fairly")
    assert record.opened_at
    (found,) = items(admin, ANSWERS, f"userId={fresh}")
    assert found == {
        "questionId": slide.id,
        "userId": fresh,
        "courseId": course_id(mock),
        "lessonId": asked["lessonId"],
        "answer": "Fairly",
        "answeredDateTime": "2026-11-30T09:00:00.000Z",
    }
    mock.world.answer_survey(FORKLIFT, fresh, "Very", question=slide.title)
    assert [each["answer"] for each in items(admin, ANSWERS, f"userId={fresh}")] == ["Very"]
    (opened,) = items(admin, USER_EVENTS.format(fresh))
    assert (opened["lessonId"], opened["eventType"]) == (asked["lessonId"], "opened")


def test_a_survey_without_options_takes_any_text(mock: MockTraining, admin: Speaker) -> None:
    lesson = mock.world.course(FORKLIFT).lessons[0]
    free = Slide("slide_free", "What was unclear?", SlideKind.SURVEY)
    mock.world.update_course(FORKLIFT, lessons=(evolve(lesson, slides=(free,)),))
    mock.world.answer_survey(FORKLIFT, ANNA, "Gate 4.", question="slide_free")
    (asked,) = items(admin, QUESTIONS)
    assert (asked["answerType"], asked["options"]) == ("text", [])
    assert [each["answer"] for each in items(admin, ANSWERS, f"userId={user_of(mock, 'learner')}")] == [
        "Gate 4."
    ]
    with pytest.raises(ValueError, match="some text"):
        mock.world.answer_survey(FORKLIFT, ANNA, "")


def test_what_cannot_be_answered_changes_nothing(mock: MockTraining) -> None:
    before = mock.world.snapshot()
    with pytest.raises(ValueError, match="one of Very, Fairly, Not yet"):
        mock.world.answer_survey(FORKLIFT, ANNA, "Perhaps")
    with pytest.raises(LookupError, match="no survey 'nowhere'"):
        mock.world.answer_survey(FORKLIFT, ANNA, "Very", question="nowhere")
    with pytest.raises(LookupError, match="no survey"):
        mock.world.answer_survey("Data protection in 20 minutes", ANNA, "Very")
    with pytest.raises(NotAssignedError):
        mock.world.answer_survey(FORKLIFT, user_of(mock, "admin"), "Very")
    assert mock.world.snapshot() == before


# --- what a reset does -------------------------------------------------------------------------------------------


def test_R13_slides_and_survey_answers_are_cleared_and_counted(mock: MockTraining, admin: Speaker) -> None:
    fresh, course = nobody_yet(mock), course_id(mock)
    mock.world.complete_course(FORKLIFT, fresh)
    mock.world.answer_survey(FORKLIFT, fresh, "Very")
    cleared = admin.post(PREVIEW, {"courseId": course, "userIds": [fresh]}).json["cleared"]
    assert (cleared["slideProgress"], cleared["surveyAnswers"]) == (3, 1)
    others = [each for each in items(admin, ANSWERS) if each["userId"] != fresh]
    assert others
    assert admin.reset(course, [fresh], (FORKLIFT, 1)).status == 200
    assert items(admin, ANSWERS) == others
    assert items(admin, USER_EVENTS.format(fresh), f"courseId={course}") == []
    assert not [each for each in items(admin, USER_SLIDES.format(fresh)) if each["viewed"]]


def test_R15_no_list_has_the_past_answers(mock: MockTraining, admin: Speaker) -> None:
    lesson, course = mock.world.course(FORKLIFT).lessons[0], course_id(mock)
    free = Slide("slide_free", "What was unclear?", SlideKind.SURVEY)
    mock.world.update_course(FORKLIFT, lessons=(evolve(lesson, slides=(*lesson.slides, free)),))
    mock.world.clock.advance(timedelta(minutes=7, milliseconds=3))
    mock.world.answer_survey(FORKLIFT, ANNA, "the smell of gate 4", question="slide_free")
    said = "2026-11-30T09:07:00.003Z"
    assert any(each["answeredDateTime"] == said for each in items(admin, ANSWERS))
    assert admin.reset(course, [user_of(mock, "learner")], (FORKLIFT, 1)).status == 200
    for path in LISTS:
        shown = admin.get(path, "pageSize=1000").body
        assert b"the smell of gate 4" not in shown
        assert said.encode() not in shown
    assert "the smell of gate 4" not in repr(mock.world.snapshot())


def test_R22_an_answer_made_before_a_reset_does_not_come_back(mock: MockTraining, admin: Speaker) -> None:
    anna, course = user_of(mock, "learner"), course_id(mock)
    mock.world.clock.advance(timedelta(hours=1))
    assert admin.reset(course, [anna], (FORKLIFT, 1)).status == 200
    with pytest.raises(LateWriteError):
        mock.world.answer_survey(FORKLIFT, anna, "Very", made_at=NOW)
    assert items(admin, ANSWERS, f"userId={anna}") == []


# --- who sees what -----------------------------------------------------------------------------------------------


def test_R03_nothing_of_another_organisation_is_listed(mock: MockTraining) -> None:
    outsider, anna = Speaker(mock, "outsider"), user_of(mock, "learner")
    own = mock.world.organisations[user_organisation(mock, "outsider")]
    for path in LISTS:
        assert {each["courseId"] for each in items(outsider, path)} <= own.courses.keys()
        assert items(outsider, path, f"courseId={course_id(mock)}") == []
    assert items(outsider, EVENTS, f"userId={anna}") == []
    for path in (USER_EVENTS, USER_SLIDES):
        assert outsider.get(path.format(anna)).reason == "USER_NOT_FOUND"
    assert {Speaker(mock, "revoked").get(path).status for path in LISTS} == {401}


def user_organisation(mock: MockTraining, token: str) -> str:
    return next(str(each["organisation_id"]) for each in mock.tokens() if each["name"] == token)


@pytest.mark.parametrize("token", ["learner", "resetter"])
def test_R05_learners_see_their_own_rows_and_no_figures(mock: MockTraining, token: str) -> None:
    speaker, own = Speaker(mock, token), user_of(mock, token)
    assert {speaker.get(path).status for path in FIGURES} == {403}
    for path in (EVENTS, ANSWERS):
        whole = items(Speaker(mock), path)
        assert items(speaker, path) == [each for each in whole if each["userId"] == own]
        assert items(speaker, path, f"userId={user_of(mock, 'teamlead')}") == []
    for path in (USER_EVENTS, USER_SLIDES):
        assert speaker.get(path.format(own)).status == 200


def test_R04_a_hidden_user_and_an_unknown_one_look_the_same(mock: MockTraining) -> None:
    speaker, hidden, unknown = Speaker(mock, "learner"), user_of(mock, "manager"), "user_" + "0" * 32
    for path in (USER_EVENTS, USER_SLIDES):
        answers = [speaker.get(path.format(each)) for each in (hidden, unknown)]
        assert [each.status for each in answers] == [404, 404]
        assert answers[0].message.replace(hidden, "") == answers[1].message.replace(unknown, "")


def test_R05_a_team_lead_sees_the_figures_of_their_teams(mock: MockTraining) -> None:
    lead = mock.world.user(user_of(mock, "teamlead"))
    team = {
        person.id
        for person in mock.world.users
        if person.groups & lead.managed_groups or person.sites & lead.managed_sites
    } | {lead.id}
    speaker, organisation = Speaker(mock, "teamlead"), mock.world.main
    whole = items(speaker, LESSONS)
    assert whole == [
        each for course in organisation.courses for each in recount_lessons(organisation, course, team)
    ]
    assert whole != items(Speaker(mock), LESSONS)
    assert items(speaker, SLIDES) == recount_slides(organisation, course_id(mock), team)
    for path in (EVENTS, ANSWERS):
        mine = [each for each in items(Speaker(mock), path) if each["userId"] in team]
        assert items(speaker, path) == mine


# --- kept with the state -----------------------------------------------------------------------------------------


def test_a_document_from_before_there_were_slides_is_loaded(mock: MockTraining) -> None:
    state = mock.state()
    for organisation in state["organisations"]:
        for course in organisation["courses"]:
            for each in (*course["course"]["lessons"], *course["records"].values()):
                del each["slides"]
    old = Speaker(MockTraining.load(state))
    assert items(old, SLIDES) == items(old, ANSWERS) == []
    assert items(old, EVENTS) == items(Speaker(mock), EVENTS)
