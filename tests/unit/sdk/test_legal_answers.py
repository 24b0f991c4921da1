"""Answers that are legal though nobody documents them: read as what they mean, or refused with their path."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from opponent.styles import FIELDS, dressed
from training_sdk import (
    Course,
    CourseStatistics,
    DecodingError,
    EvidenceError,
    Group,
    LearningPathDetail,
    LessonAttempt,
    LessonEvent,
    LessonProgress,
    ProgressRow,
)
from training_sdk._core import model
from training_sdk._core.codec import structure, structure_value
from training_sdk._core.flow import Request, Response, asked_wait
from unit.sdk.evidence.past import FIRE, Past, keep, lines, past, targets
from unit.sdk.fakes import (
    COURSE,
    Asker,
    Organisation,
    Recorded,
    answer,
    no_waiting,
    over_the_wire,
    row,
    sync_client,
    user_id,
)
from unit.sdk.resetting import planned

FEED = "/training/v1/feed/training-course-progress"
HERE = answer()
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
WHO = {"course_id": "c", "user_id": "u"}
CLEAR = {**WHO, "opened_at": "", "completed_at": "", "completed_lessons": 0, "progress_percent": 0}


def read(value: object, shape: type[Any]) -> Any:
    return structure(value, shape, HERE)


# --- values ----------------------------------------------------------------------------------------------------------

SAME: dict[str, tuple[type[Any], dict[str, Any], dict[str, Any]]] = {
    "a row that leaves out all zeros": (ProgressRow, WHO, CLEAR),
    "a row of nulls": (ProgressRow, {**dict.fromkeys(CLEAR), **WHO}, CLEAR),
    "integers as text": (
        ProgressRow,
        {**CLEAR, "completed_lessons": "3", "score": "80", "progress_percent": "12.5", "total_lessons": "12"},
        {**CLEAR, "completed_lessons": 3, "score": 80, "progress_percent": 12.5, "total_lessons": 12},
    ),
    "NaN for no percent of no lessons": (ProgressRow, {**CLEAR, "progress_percent": "NaN"}, CLEAR),
    "time as a duration": (
        ProgressRow,
        {**CLEAR, "time_spent_seconds": "90.5s"},
        {**CLEAR, "time_spent_seconds": 90.5},
    ),
    "a whole score with a point": (ProgressRow, {**CLEAR, "score": 80.0}, {**CLEAR, "score": 80}),
    "statistics of nobody": (
        CourseStatistics,
        {"courseId": "c", "averageScore": "NaN", "completionPercent": "NaN", "openedCount": None},
        {"courseId": "c", "totalUsers": 0, "completedCount": 0},
    ),
    "a lesson of nulls": (
        LessonProgress,
        {"courseId": "c", "lessonId": "l", "opened": None, "percentageCompleted": None, "score": None},
        {"courseId": "c", "lessonId": "l", "opened": False, "percentageCompleted": 0.0},
    ),
    "an event of the first kind": (
        LessonEvent,
        {"userId": "u", "courseId": "c", "lessonId": "l"},
        {"userId": "u", "courseId": "c", "lessonId": "l", "eventType": None},
    ),
    "an attempt without id": (
        LessonAttempt,
        {"userId": "u", "courseId": "c", "lessonId": "l"},
        {"id": None, "userId": "u", "courseId": "c", "lessonId": "l"},
    ),
    "a course without a title": (Course, {"id": "c"}, {"id": "c", "title": ""}),
    "an empty original": (
        Course,
        {"id": "c", "title": "t", "TranslationOriginalCourse": {"id": "", "externalId": ""}},
        {"id": "c", "title": "t"},
    ),
    "no original at all": (
        Course,
        {"id": "c", "title": "t", "translationOriginalCourse": {}},
        {"id": "c", "title": "t"},
    ),
    "a duration as text": (
        Course,
        {"id": "c", "title": "t", "duration": "3600s"},
        {"id": "c", "title": "t", "duration": 3600},
    ),
    "a duration in words": (
        Course,
        {"id": "c", "title": "t", "duration": "1 h 5 min"},
        {"id": "c", "title": "t"},
    ),
    "a group without a name": (Group, {"id": "g", "name": None}, {"id": "g", "name": ""}),
    "an empty learning path": (
        LearningPathDetail,
        {"id": "p", "title": "t"},
        {"id": "p", "title": "t", "courses": []},
    ),
    "null for a list": (
        LearningPathDetail,
        {"id": "p", "title": "t", "courses": None, "others": []},
        {"id": "p", "title": "t", "courses": [], "others": []},
    ),
    "null beside the other spelling": (ProgressRow, {**CLEAR, "completedLessons": None}, CLEAR),
}


@pytest.mark.parametrize("name", SAME)
def test_a_legal_answer_is_read_as_what_it_means(name: str) -> None:
    shape, legal, documented = SAME[name]
    assert read(legal, shape) == read(documented, shape)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01t00:00:00z",
        "2026-01-01T00:00:00.000000000Z",
        "2025-12-31T23:59:60Z",
        "2026-01-01t04:59:60+05:00",
        "2026-01-01 00:00:00",
        "2026-01-01T00:00:00",
        "2026-01-01",
    ],
)
def test_a_date_in_a_legal_form_is_read(text: str) -> None:
    moment = MOMENT if "04:59" not in text else datetime(2026, 1, 1, 0, 0, tzinfo=UTC)
    assert read({**CLEAR, "completed_at": text}, ProgressRow).completed_at == moment


@pytest.mark.parametrize(
    "text",
    [
        *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00", "0001-01-01T00:00:00+11:00"),
        *("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000z", "1969-12-31T17:00:00-07:00", "1970-01-01"),
    ],
)
def test_the_zero_of_a_clock_is_no_date(text: str) -> None:
    assert not read({**CLEAR, "opened_at": text, "completed_at": text}, ProgressRow).has_recorded_progress


def test_a_score_may_have_a_fraction() -> None:
    assert read({**CLEAR, "score": 87.5}, ProgressRow).score == 87.5
    assert type(read({**CLEAR, "score": 87.0}, ProgressRow).score) is int


def test_naive_dates_noted_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "_noted", set())
    for day in (1, 2):
        read({**CLEAR, "completed_at": f"2026-01-0{day}T00:00:00"}, ProgressRow)
    read({"id": "c", "duration": "long"}, Course)
    assert [(one.levelno, one.getMessage()) for one in caplog.records] == [
        (
            logging.WARNING,
            "The service writes dates without a time zone, such as '2026-01-01T00:00:00'. They are read as UTC.",
        ),
        (
            logging.WARNING,
            "The service writes durations as text, such as 'long'. They are left out.",
        ),
    ]


GUESSES: dict[str, tuple[type[Any], dict[str, Any], str]] = {
    "no user": (ProgressRow, {**CLEAR, "user_id": None}, r"user_id"),
    "no course": (LessonProgress, {"lessonId": "l"}, r"'course_id' is missing @ \$"),
    "a completion left out at 100 %": (
        ProgressRow,
        {**WHO, "progress_percent": "100"},
        r"'completed_at' is missing @ \$",
    ),
    "a completion left out after all lessons": (
        ProgressRow,
        {**WHO, "completed_lessons": "4", "total_lessons": 4, "progress_percent": 99.9},
        r"'completed_at' is missing @ \$",
    ),
    "a completion of no known date": (ProgressRow, {**CLEAR, "completed_at": "yes"}, r"\$\.completed_at"),
    "courses under another name": (
        LearningPathDetail,
        {"id": "p", "title": "t", "content": [{"id": "c"}]},
        r"'courses' is missing @ \$",
    ),
}


@pytest.mark.parametrize("name", GUESSES)
def test_what_a_decision_depends_on_is_not_guessed(name: str) -> None:
    shape, value, said = GUESSES[name]
    with pytest.raises(DecodingError, match=said):
        read(value, shape)


def test_what_the_sdk_has_written_itself_is_read_strictly() -> None:
    for odd in (WHO, {**CLEAR, "completed_lessons": "0"}, {**CLEAR, "opened_at": "2026-01-01T00:00:00"}):
        with pytest.raises(DecodingError):
            structure_value(odd, ProgressRow)
    assert structure_value({**CLEAR, "score": 8}, ProgressRow) == read({**CLEAR, "score": 8}, ProgressRow)


# --- pages -----------------------------------------------------------------------------------------------------------


def feed(following: str | None, *numbers: int) -> dict[str, Any]:
    return {"metadata": {"next_page": following}, "data": [row(number) for number in numbers]}


def listed(*pages: Any) -> list[int]:
    """The numbers of the people in a feed with these pages, the first at no offset."""
    remaining = iter(pages)
    client = sync_client(lambda _: answer(next(remaining)))
    numbers = [int(one.user_id.removeprefix("user_"), 16) for one in client.progress.list()]
    assert next(remaining, None) is None
    return numbers


def test_many_empty_pages_may_come_before_rows() -> None:
    pages = [feed(f"{FEED}?offset={number}") for number in range(300)]
    assert listed(*pages, feed(None, 1, 2)) == [1, 2]


def test_a_numbered_listing_goes_on_after_an_empty_page_while_its_count_says_so() -> None:
    def reply(request: Request) -> Response:
        if "page=3" in request.target:
            return answer({"totalCount": 1, "items": [{"id": "c", "title": "t"}]})
        return answer({"totalCount": 2500, "items": []})

    assert len(list(sync_client(reply).courses.list())) == 1


def test_a_bare_query_leads_on_within_the_same_listing() -> None:
    assert listed(feed("?offset=2", 1, 2), feed("offset=4&limit=2", 3, 4), feed(None, 5)) == [1, 2, 3, 4, 5]


def test_a_feed_without_anything_may_say_nothing_at_all() -> None:
    assert listed({}) == []
    assert listed({"data": None, "metadata": None}) == []
    assert listed({"data": [row(1)]}) == [1]


@pytest.mark.parametrize(
    "odd",
    [
        *({"rows": []}, {"message": "moved"}, {"data": [], "next_page": FEED + "?offset=1"}),
        {"data": [row(number) for number in range(1000)]},
    ],
)
def test_an_answer_that_may_go_on_under_another_name_is_not_the_end(odd: dict[str, Any]) -> None:
    with pytest.raises(DecodingError, match=r"is missing @ \$"):
        listed(odd)


def test_a_last_page_may_name_itself() -> None:
    again = FEED + "?offset=3"
    assert listed(feed(again, 1, 2, 3), feed(again, 4, 5)) == [1, 2, 3, 4, 5]
    assert listed(feed(FEED + "?offset=3&a=1", 1, 2, 3), feed(FEED + "?a=1&offset=3")) == [1, 2, 3]
    first = sync_client(lambda request: answer(feed(request.target, 1, 2)))
    assert len(list(first.progress.list())) == 2


def test_a_page_as_long_as_the_one_before_that_names_itself_is_no_end() -> None:
    again = FEED + "?offset=2"
    with pytest.raises(DecodingError, match="cannot be read to its end"):
        listed(feed(again, 1, 2), feed(again, 3, 4))
    full = feed(FEED, *range(1000))
    client = sync_client(lambda request: answer({**full, "metadata": {"next_page": request.target}}))
    with pytest.raises(DecodingError, match="cannot be read to its end"):
        list(client.progress.list())


# --- waiting and cut answers ------------------------------------------------------------------------------------------

DATE = "Sun, 01 Mar 2026 08:00:00 GMT"
POSIX = 1772352000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": str(POSIX + 7), "date": DATE}, 7),
        ({"x-ratelimit-reset": str((POSIX + 7) * 1000), "date": DATE}, 7),
        ({"x-ratelimit-reset": str(POSIX - 7), "date": DATE}, 0),
        ({"x-ratelimit-reset": str(POSIX + 7)}, None),
        ({"x-ratelimit-reset": str(POSIX + 7), "date": "today"}, None),
        ({"retry-after": "Sun, 01 Mar 2026 08:00:09 GMT", "date": DATE}, 9),
        ({"retry-after": "Sun, 01 Mar 2026 08:00:09 GMT", "x-ratelimit-reset": "4"}, 4),
    ],
)
def test_a_wait_may_be_named_as_a_time(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait(answer({}, 429, headers)) == seconds


def test_a_reading_cut_short_is_read_again(ask: Asker) -> None:
    whole = answer(feed(None, 1, 2, 3)).body
    cut = iter([whole[:-1], whole[:40]])
    handler = over_the_wire(lambda _: answer(body=next(cut, whole)))
    with no_waiting() as waits:
        assert len(ask(handler, lambda client: client.progress.list())) == 3
    assert len(waits) == 2


def test_a_reading_that_is_cut_short_every_time_is_an_error_soon() -> None:
    wire = Recorded(lambda _: answer(body=b'{"data": ['))
    with no_waiting(), pytest.raises(DecodingError, match="answer must be JSON") as caught:
        list(sync_client(wire).progress.list())
    assert (caught.value.reason, len(wire.sent)) == ("CUT_SHORT", 3)


# --- planning and evidence --------------------------------------------------------------------------------------------


class Dressed(Past):
    """The same past, told in a style."""

    style = ""

    def __call__(self, request: Request) -> Response:
        return answer(dressed(json.loads(super().__call__(request).body), frozenset([self.style])))


def test_a_row_shown_twice_may_differ_in_what_has_no_weight() -> None:
    again = {**row(1), "course_title": "Renamed", "synced_at": "now", "total_lessons": 9}
    assert len(planned(Organisation([row(1), row(2), again]), users=[user_id(1)]).targets) == 1
    with pytest.raises(DecodingError, match="twice, with different progress"):
        planned(Organisation([row(1), row(2), {**row(1), "score": 1}]), users=[user_id(1)])


def test_evidence_may_show_a_row_twice_that_differs_in_what_has_no_weight(tmp_path: Any) -> None:
    organisation = past()
    organisation.again.append({**organisation.rows[1], "course_title": "Renamed", "synced_at": "now"})
    pack = keep(organisation, targets(1, 2), tmp_path / "a")
    assert [one["user_id"] for one in lines(pack, "rows.jsonl")] == [user_id(1), user_id(2)]
    organisation.again.append({**organisation.rows[1], "progress_percent": 1.0})
    with pytest.raises(EvidenceError, match="twice"):
        keep(organisation, targets(1, 2), tmp_path / "b")


@pytest.mark.parametrize("style", FIELDS)
def test_evidence_is_kept_of_answers_in_every_style(tmp_path: Any, style: str) -> None:
    organisation = Dressed(past().rows)
    organisation.style = style
    organisation.rows[4]["completed_lessons"] = 1
    pack = keep(organisation, targets(1, 2, also=[0]), tmp_path / "a")
    plain = keep(past(), targets(1, 2, also=[0]), tmp_path / "b")
    assert pack.rows.keys() == plain.rows.keys()
    for key, found in pack.rows.items():
        assert found.completed_at == plain.rows[key].completed_at
        assert found.has_recorded_progress == plain.rows[key].has_recorded_progress
    assert (FIRE, user_id(0)) in pack.rows


def test_the_course_to_be_reset_needs_a_title_and_others_do_not() -> None:
    class Untitled(Organisation):
        def _courses(self, request: Request) -> Response:
            items = [{"id": COURSE, "title": self.title}, {"id": "c-other"}]
            return answer({"totalCount": 2, "items": items})

    assert planned(Untitled([row(1)])).targets
    with pytest.raises(DecodingError, match=r"no title for course .*\$\.items\[\*\]\.title"):
        planned(Organisation([row(1)], title=""))


def test_statistics_that_count_nobody_are_no_proof_that_everyone_is_seen() -> None:
    with pytest.raises(DecodingError, match="count no people"):
        planned(Organisation([row(1)], counted=0))


# --- users -----------------------------------------------------------------------------------------------------------


def users_on(*pages: tuple[list[str], str | None]) -> list[str]:
    """The ids of users on pages of this content, each with the token of the page after it."""
    remaining = iter(pages)

    def reply(_: Request) -> Response:
        ids, token = next(remaining)
        return answer({"users": [{"user_id": one} for one in ids], "next_page_token": token})

    found = [one.user_id for one in sync_client(reply).users.list()]
    assert next(remaining, None) is None
    return found


def test_users_may_come_after_empty_pages_and_their_last_page_may_name_itself() -> None:
    assert users_on(([], "1"), (["a", "b"], "2"), ([], "3"), (["c"], None)) == ["a", "b", "c"]
    assert users_on((["a", "b"], "1"), (["c"], "1")) == ["a", "b", "c"]
    with pytest.raises(DecodingError, match="cannot be read to its end"):
        users_on((["a", "b"], "1"), (["c", "d"], "1"))
