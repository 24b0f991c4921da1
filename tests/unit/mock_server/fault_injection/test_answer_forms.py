"""Legal forms in which one and the same answer may be written: ``Policy(answers=…)``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from mock_server import MockTraining, Policy
from mock_server.policy import AnswerForm
from training_sdk import TrainingClient
from unit.mock_server.core.speaker import ATTEMPTS, COURSES, FEED, FORKLIFT, STATISTICS, Speaker, course_id

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
LISTS = (FEED, COURSES, STATISTICS, ATTEMPTS, "/feed/users", "/feed/sites")


def written(*answers: str) -> dict[str, Any]:
    """Every list, in these forms."""
    admin = Speaker(MockTraining.demo(now=NOW, policy=Policy(answers=answers)))
    return {path: admin.get(path, "" if "feed" in path else "pageSize=1000").json for path in LISTS}


def fields(document: object) -> Iterator[tuple[str, Any]]:
    """Every field of a document, with its name."""
    for each in document if isinstance(document, list) else ():
        yield from fields(each)
    for name, each in document.items() if isinstance(document, dict) else ():
        yield name, each
        yield from fields(each)


PLAIN = written()
NOTHING: tuple[Any, ...] = (None, "", 0, [], {})


def test_proto3_leaves_out_what_is_nothing_and_writes_whole_numbers_as_text() -> None:
    found = list(fields(written("proto3")))
    assert not any(value in NOTHING or type(value) is int for _, value in found)
    assert ("LessonCount", "3") in found
    rows = written("proto3")[FEED]["data"]
    assert sum("completed_at" not in row for row in rows) == sum(
        row["completed_at"] == "" for row in PLAIN[FEED]["data"]
    )


def test_nulls_stand_for_what_is_nothing() -> None:
    found = list(fields(written("nulls")))
    assert not any(value in ("", [], {}) or (value == 0 and value is not False) for _, value in found)
    assert sum(value is None for _, value in found) > 10
    admin = Speaker(MockTraining.demo(now=NOW, policy=Policy(answers="nulls")))
    assert admin.get(COURSES, "courseIds=nowhere").json == {"totalCount": None, "items": None}


def test_figures_that_are_zero_are_not_a_number() -> None:
    found = {name for name, value in fields(written("nan_as_text")) if value == "NaN"}
    assert found == {"progress_percent", "score", "completionPercent", "averageScore"}


@pytest.mark.parametrize(
    ("form", "text"), [("no_date_year_1", "0001-01-01T00:00:00Z"), ("no_date_1970", "1970-01-01T00:00:00Z")]
)
def test_no_date_is_a_date_of_long_ago(form: str, text: str) -> None:
    found = written(form)[FEED]["data"]
    for row, usual in zip(found, PLAIN[FEED]["data"], strict=True):
        for name in ("opened_at", "completed_at", "due_at", "completion_expiry_date"):
            assert row[name] == (usual[name] or text)


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("lower_case_dates", r"\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d(\.\d+)?z"),
        ("dates_without_zone", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?"),
        ("second_60", r"\d{4}-\d\d-\d\dT\d\d:\d\d:(60|0[1-9]|[1-5]\d)(\.\d+)?Z"),
    ],
)
def test_dates_are_written_otherwise(form: str, pattern: str) -> None:
    found = [value for name, value in fields(written(form)) if name.endswith(("_at", "DateTime")) and value]
    assert len(found) > 20
    assert [each for each in found if not re.fullmatch(pattern, each)] == []


def test_scores_may_have_a_fraction_and_durations_be_text() -> None:
    found = written("fractional_scores", "durations_as_text", "empty_original", "attempts_without_id")
    assert {value % 1 for name, value in fields(found) if name == "score" and 0 < value < 100} == {0.25}
    assert {value for name, value in fields(found) if name == "duration"} <= {
        f"{minutes} min" for minutes in range(60)
    } | {f"{hours} h {minutes} min" for hours in range(1, 9) for minutes in range(60)}
    assert all(value for name, value in fields(PLAIN) if name == "id")
    assert not any("id" in each for each in found[ATTEMPTS]["items"])
    originals = [value for name, value in fields(found) if name == "TranslationOriginalCourse"]
    assert {} in originals
    assert None not in originals


def test_courses_that_are_not_published_may_have_no_title() -> None:
    courses = written("untitled_drafts")[COURSES]["items"]
    assert {"title" in each for each in courses} == {True, False}
    assert all(("title" in each) == each["isPublished"] for each in courses)


@pytest.mark.parametrize("form", list(AnswerForm))
def test_the_sdk_reads_every_form_as_the_same(form: AnswerForm) -> None:
    """But for the form that writes other scores."""

    def read(policy: Policy) -> object:
        mock = MockTraining.demo(now=NOW, policy=policy)
        with (
            httpx.Client(transport=mock.transport()) as http,
            TrainingClient(mock.token("admin"), http_client=http) as client,
        ):
            course = course_id(mock)
            rows = client.progress.list(course_id=course)
            lessons = [client.analytics.lesson_progress(row.user_id, course_id=course) for row in rows]
            scoreless = form is AnswerForm.FRACTIONAL_SCORES
            return [
                (
                    row.course_id,
                    row.user_id,
                    row.opened_at,
                    row.completed_at,
                    row.due_at,
                    scoreless or row.score or 0,
                )
                for row in rows
            ], [
                (each.lesson_id, each.completed, each.completed_date_time)
                for several in lessons
                for each in several
            ]

    assert read(Policy(answers=form)) == read(Policy())


def test_the_default_form_is_byte_for_byte_what_the_handler_wrote() -> None:
    admin = Speaker(MockTraining.demo(now=NOW))
    body = admin.get(FEED, f"course_id={course_id(admin.mock)}").body
    assert json.loads(body)["data"][0]["course_title"] == FORKLIFT
    assert body.startswith(b'{"metadata":{"next_page":')


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("xml", "there is no 'xml'; known are proto3, .*untitled_drafts$"),
        ("proto3,nulls", "only one of proto3 and nulls"),
        ("no_date_1970,no_date_year_1", "only one of no_date_year_1 and no_date_1970"),
    ],
)
def test_an_unknown_form_is_an_error_that_lists_the_known_ones(given: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"policy answers: .*{message}"):
        Policy(answers=given)


def test_a_reference_server_stays_one_in_every_form() -> None:
    mock = MockTraining.demo(policy=Policy(answers="proto3"))
    assert mock.policy.is_reference
    assert "x-training-mock" in Speaker(mock).get(COURSES).headers
