"""Lessons, slides, surveys, rapid refreshes and leaderboards: both spellings read, filtered again by the client."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import combinations
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

from training_sdk import (
    DecodingError,
    FeedUser,
    Leaderboard,
    LeaderboardRankings,
    LessonEvent,
    LessonEventType,
    LessonStatistics,
    Ranking,
    RapidRefresh,
    RapidRefreshAnswer,
    RapidRefreshDetail,
    RapidRefreshQuestion,
    SeatType,
    SlideProgress,
    SlideStatistics,
    SlideType,
    SurveyAnswer,
    SurveyAnswerType,
    SurveyQuestion,
)
from training_sdk._core import model
from training_sdk._core.flow import Request, Response
from unit.sdk.fakes import Asker, Recorded, answer, over_the_wire

ANALYTICS = "/training/analytics/v1"
WHEN, TEXT = datetime(2026, 3, 1, 8, tzinfo=UTC), "2026-03-01T08:00:00Z"
LESSON = {"course_id": "c", "lesson_id": "l"}


@attrs.frozen
class Case:
    """A listing: how it is asked for, where, one row of it as the wire has it, and what that is read as."""

    use: Callable[..., Any]
    path: str
    row: dict[str, Any]
    read: Any
    filters: tuple[str, ...] = ()


CASES = {
    "lesson_statistics": Case(
        lambda client, **filters: client.analytics.lesson_statistics(**filters),
        f"{ANALYTICS}/lessons/statistics",
        {
            **LESSON,
            "lesson_title": "Signs",
            "total_users": 9,
            "opened_count": 4,
            "completed_count": 3,
            "completion_percent": 33.3,
            "average_score": 80,
        },
        LessonStatistics("c", "l", 9, 3, 4, 33.3, 80.0, "Signs"),
        ("course_id",),
    ),
    "lesson_events": Case(
        lambda client, **filters: client.analytics.lesson_events(**filters),
        f"{ANALYTICS}/lessons/progress/events",
        {"user_id": "u", **LESSON, "lesson_title": "Signs", "event_type": "opened", "event_date_time": TEXT},
        LessonEvent("u", "c", "l", LessonEventType.OPENED, WHEN, "Signs"),
        ("course_id", "user_id"),
    ),
    "user_lesson_events": Case(
        lambda client, **filters: client.analytics.user_lesson_events("u", **filters),
        f"{ANALYTICS}/users/u/lessons/progress/events",
        {"user_id": "u", **LESSON, "event_type": "completed", "event_date_time": ""},
        LessonEvent("u", "c", "l", LessonEventType.COMPLETED, None),
        ("course_id",),
    ),
    "slide_statistics": Case(
        lambda client, **filters: client.analytics.slide_statistics(**filters),
        f"{ANALYTICS}/slides/statistics",
        {
            **LESSON,
            "slide_id": "s",
            "slide_title": "Why",
            "slide_type": "question",
            "viewed_count": 3,
            "answered_count": 2,
            "correct_count": 1,
        },
        SlideStatistics("c", "l", "s", 3, 2, 1, "Why", SlideType.QUESTION),
        ("course_id",),
    ),
    "user_slides": Case(
        lambda client, **filters: client.analytics.user_slides("u", **filters),
        f"{ANALYTICS}/users/u/slides/statistics",
        {
            **LESSON,
            "slide_id": "s",
            "slide_title": "Why",
            "slide_type": "survey",
            "viewed": True,
            "viewed_date_time": TEXT,
            "answered": True,
            "correct": None,
        },
        SlideProgress("c", "l", "s", "Why", SlideType.SURVEY, True, WHEN, True),
        ("course_id",),
    ),
    "survey_questions": Case(
        lambda client, **filters: client.analytics.survey_questions(**filters),
        f"{ANALYTICS}/surveys/questionDefinitions",
        {"id": "q", **LESSON, "question": "Safe?", "answer_type": "choice", "options": ["Yes", "No"]},
        SurveyQuestion("q", "c", "l", "Safe?", SurveyAnswerType.CHOICE, ("Yes", "No")),
        ("course_id",),
    ),
    "survey_answers": Case(
        lambda client, **filters: client.analytics.survey_answers(**filters),
        f"{ANALYTICS}/surveys/answers",
        {"question_id": "q", "user_id": "u", **LESSON, "answer": "Yes", "answered_date_time": TEXT},
        SurveyAnswer("q", "u", "c", "l", "Yes", WHEN),
        ("course_id", "user_id"),
    ),
    "rapid_refresh_answers": Case(
        lambda client, **filters: client.analytics.rapid_refresh_answers(**filters),
        f"{ANALYTICS}/rapidRefresh/answers",
        {
            "rapid_refresh_id": "r",
            "question_id": "q",
            "user_id": "u",
            "answer": "Stop",
            "correct": False,
            "answered_date_time": TEXT,
        },
        RapidRefreshAnswer("r", "q", "u", "Stop", False, WHEN),
        ("user_id",),
    ),
    "rapid_refreshes": Case(
        lambda client: client.rapid_refreshes.list(),
        "/training/rapid-refresh/v1",
        {
            "id": "r",
            "title": "Brakes",
            "is_published": True,
            "question_count": 2,
            "created_datetime": TEXT,
        },
        RapidRefresh("r", "Brakes", True, 2, WHEN),
    ),
    "leaderboards": Case(
        lambda client: client.leaderboards.list(),
        "/training/individualleaderboards/v1",
        {"id": "b", "name": "March", "start_date": TEXT, "end_date": None, "learner_access": True},
        Leaderboard("b", "March", WHEN, None, True),
    ),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def camel(row: dict[str, Any]) -> dict[str, Any]:
    return {model.camel(name): value for name, value in row.items()}


def listing(*rows: dict[str, Any]) -> Response:
    return answer({"totalCount": len(rows), "items": rows})


def always(said: Response, _: Request) -> Response:
    """The same answer, whatever is asked."""
    return said


@each_case
@pytest.mark.parametrize("spelled", [camel, dict], ids=["camelCase", "snake_case"])
def test_a_row_is_read_in_both_spellings_and_what_is_new_is_kept(
    ask: Asker, case: Case, spelled: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    wire = Recorded(lambda _: listing(spelled(case.row), {**spelled(case.row), "newField": [1]}))
    first, second = ask(over_the_wire(wire), case.use)
    assert first == case.read
    assert (dict(second.extra), attrs.evolve(second, extra=first.extra)) == ({"newField": [1]}, case.read)
    assert [one.target for one in wire.sent] == [f"{case.path}?page=1&pageSize=1000"]


@each_case
def test_what_a_row_needs_is_missed_by_name(ask: Asker, case: Case) -> None:
    needed = [
        each.name
        for each in attrs.fields(type(case.read))
        if each.default is attrs.NOTHING and "omitted" not in each.metadata
    ]
    assert needed
    for name in needed:
        row = {key: value for key, value in case.row.items() if key != name}
        with pytest.raises(DecodingError, match=rf"'{name}' is missing @ \$\.items\[0\]"):
            ask(over_the_wire(partial(always, listing(row))), case.use)


@each_case
def test_a_listing_is_walked_to_its_last_page(ask: Asker, case: Case) -> None:
    def reply(request: Request) -> Response:
        page = int(parse_qs(urlsplit(request.target).query)["page"][0])
        rows = [{**case.row, "number": 2 * page + each} for each in range(2)]
        return answer({"totalCount": 6, "items": rows if page <= 3 else []})

    found = ask(over_the_wire(reply), case.use)
    assert [one.extra["number"] for one in found] == [2, 3, 4, 5, 6, 7]


FILTERED = [
    pytest.param(case, chosen, id=f"{name}-{'-'.join(chosen)}")
    for name, case in CASES.items()
    for count in range(1, len(case.filters) + 1)
    for chosen in combinations(case.filters, count)
]


@pytest.mark.parametrize(("case", "chosen"), FILTERED)
def test_a_filter_is_sent_and_applied_again(ask: Asker, case: Case, chosen: tuple[str, ...]) -> None:
    sent: list[dict[str, list[str]]] = []
    others = [{**case.row, name: "another"} for name in case.filters]

    def careless(request: Request) -> Response:
        sent.append(parse_qs(urlsplit(request.target).query))
        return listing(case.row, *others)

    filters = {name: case.row[name] for name in chosen}
    found = ask(over_the_wire(careless), lambda client: case.use(client, **filters))
    fitting = [case.row, *(row for row in others if all(row[name] == filters[name] for name in chosen))]
    assert [vars_of(one, case.filters) for one in found] == [
        {name: row[name] for name in case.filters} for row in fitting
    ]
    query = {model.camel(name): [value] for name, value in filters.items()}
    assert sent == [{**query, "page": ["1"], "pageSize": ["1000"]}]


def vars_of(row: object, names: tuple[str, ...]) -> dict[str, object]:
    return {name: getattr(row, name) for name in names}


def test_events_of_another_user_are_not_those_that_were_asked_for(ask: Asker) -> None:
    case = CASES["user_lesson_events"]
    wire = over_the_wire(lambda _: listing({**case.row, "user_id": "another"}, case.row))
    assert ask(wire, case.use) == [case.read]


def test_kinds_that_are_new_are_kept_as_themselves(ask: Asker) -> None:
    for name, field in (
        ("lesson_events", "event_type"),
        ("slide_statistics", "slide_type"),
        ("survey_questions", "answer_type"),
    ):
        case = CASES[name]
        (found,) = ask(over_the_wire(partial(always, listing({**case.row, field: "hologram"}))), case.use)
        assert (getattr(found, field), getattr(found, field).is_known) == ("hologram", False)


# --- rapid refreshes and leaderboards, one at a time -----------------------------------------------------------------


def test_a_rapid_refresh_keeps_the_order_of_its_questions(ask: Asker) -> None:
    sent: list[str] = []

    def reply(request: Request) -> Response:
        sent.append(request.target)
        questions = [
            {"id": "q2", "question": "Which?", "options": ["A", "B"]},
            {"id": "q1", "question": "Why?"},
        ]
        return answer({"id": "r 1", "title": "Brakes", "isPublished": False, "questions": questions})

    found = ask(over_the_wire(reply), lambda client: client.rapid_refreshes.get("r 1"))
    questions = (RapidRefreshQuestion("q2", "Which?", ("A", "B")), RapidRefreshQuestion("q1", "Why?"))
    assert found == RapidRefreshDetail("r 1", "Brakes", questions, is_published=False)
    assert sent == ["/training/rapid-refresh/v1/r%201"]


def test_a_rapid_refresh_without_its_questions_is_none_without_questions(ask: Asker) -> None:
    wire = over_the_wire(lambda _: answer({"id": "r", "title": "Brakes", "slides": [{"id": "q"}]}))
    with pytest.raises(DecodingError, match="'questions' is missing"):
        ask(wire, lambda client: client.rapid_refreshes.get("r"))


RANKINGS: dict[str, Any] = {
    "leaderboardId": "b 1",
    "leaderboardName": "March",
    "rankings": [
        {"rank": 1, "participantId": "u", "participantName": "Ann", "totalScore": 91.5},
        {
            "rank": 1,
            "participantId": "v",
            "participantName": "Ben",
            "totalScore": 91.5,
            "isNotAttempted": False,
        },
        {"rank": 3, "participantId": "w", "totalScore": 0, "isNotAttempted": True},
    ],
}


def test_rankings_come_in_order_with_equals_on_one_rank(ask: Asker) -> None:
    wire = Recorded(lambda _: answer(RANKINGS))
    found = ask(over_the_wire(wire), lambda client: client.leaderboards.rankings("b 1"))
    rankings = (
        Ranking(1, "u", "Ann", 91.5),
        Ranking(1, "v", "Ben", 91.5),
        Ranking(3, "w", is_not_attempted=True),
    )
    assert found == LeaderboardRankings("b 1", rankings, "March")
    assert [one.target for one in wire.sent] == [
        "/training/individualleaderboards/v1/rankings?leaderboardId=b+1"
    ]


def test_the_rankings_of_another_leaderboard_are_no_answer(ask: Asker) -> None:
    wire = over_the_wire(lambda _: answer({**RANKINGS, "leaderboardId": "b2"}))
    with pytest.raises(
        DecodingError, match="rankings of leaderboard 'b 1' were requested, but the answer has those of 'b2'"
    ):
        ask(wire, lambda client: client.leaderboards.rankings("b 1"))


def test_users_are_read_from_their_feed_to_its_end(ask: Asker) -> None:
    user = {
        "id": "user_1",
        "organisation_id": "role_1",
        "email": "a@x.test",
        "firstname": "Ann",
        "lastname": "Ho",
        "active": True,
        "seat_type": "SUBSCRIPTION_SEAT_TYPE_LITE",
        "created_at": TEXT,
    }

    def reply(request: Request) -> Response:
        if "offset" in request.target:
            return answer({"metadata": {"next_page": None}, "data": [{"id": "user_2", "active": False}]})
        return answer(
            {"metadata": {"next_page": "/feed/users?offset=1", "remaining_records": 1}, "data": [user]}
        )

    assert ask(over_the_wire(reply), lambda client: client.users.feed()) == [
        FeedUser("user_1", "role_1", "a@x.test", "Ann", "Ho", True, SeatType.LITE, WHEN),
        FeedUser("user_2", active=False),
    ]
