"""A file becomes a world: everything it says reads back through the feed, and nobody in it owns a token."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mock_server import CompletedOnlyWarning, MockTraining, rehearsal
from mock_server.mock import TokenName
from mock_server.wire.message import Request
from mock_server.world.seeds.exporter_rows import COLUMNS, ExporterCsvError

Row = dict[str, Any]


def row(course: str = "c1", user: str = "u1", **changes: Any) -> Row:
    made: Row = dict.fromkeys(COLUMNS, "") | {
        "course_id": course,
        "user_id": user,
        "course_title": f"Course {course}",
        "user_email": f"{user}@example.org",
        "total_lessons": 4,
        "completed_lessons": 0,
        "progress_percent": 0.0,
        "score": 0,
    }
    return made | changes


def content(rows: Iterable[Row], *, header: Sequence[str] = COLUMNS, end: str = "\r\n") -> bytes:
    text = io.StringIO(newline="")
    # The csv module leaves a lone CR unquoted unless it ends the lines; the exporter quotes it.
    quoting: Literal[0, 1] = csv.QUOTE_MINIMAL if end == "\r\n" else csv.QUOTE_ALL
    writer = csv.DictWriter(text, header, lineterminator=end, quoting=quoting)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def load(folder: Path, data: bytes, **options: Any) -> MockTraining:
    path = folder / "training_course_progresses.csv"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CompletedOnlyWarning)  # has tests of its own
        return MockTraining.from_exporter_csv(path, **options)


DONE: Row = {"completed_at": "2026-01-01T00:00:00Z", "progress_percent": 100.0, "completed_lessons": 4}


@pytest.mark.parametrize(
    ("others", "is_warned"),
    [
        ([], True),
        ([row("c2", "u2", **DONE)], True),
        ([row("c2", "u2")], False),  # not started
        ([row("c1", "u2", opened_at="2026-01-01T00:00:00Z", progress_percent=50.0)], False),
    ],
)
def test_a_file_of_completions_is_warned_of(tmp_path: Path, others: list[Row], is_warned: bool) -> None:
    path = tmp_path / "training_course_progresses.csv"
    path.write_bytes(content([row("c1", "u1", **DONE), *others]))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        mock = MockTraining.from_exporter_csv(path)
    assert [one.category for one in said] == [CompletedOnlyWarning] * is_warned
    lines = [line for line in rehearsal.loaded(mock, "export.csv") if "WARNING" in line]
    assert len(lines) == is_warned
    for text in (*lines, *(str(one.message) for one in said)):
        assert "is not the whole organisation" in text
        assert "training-sdk progress --format exporter-csv" in text
    for one in said:
        assert one.filename == __file__  # the line that loads it


def test_an_empty_file_is_said_to_be_empty_and_not_to_be_completed(tmp_path: Path) -> None:
    mock = load(tmp_path, content([]))
    assert rehearsal.completed_only(mock, "export.csv") == []


def get(mock: MockTraining, target: str, token: TokenName = "admin") -> Any:
    path, _, query = target.partition("?")
    headers = (("user-agent", "tests/1"), ("authorization", f"Bearer {mock.token(token)}"))
    response = mock.handle(Request("GET", path, query, headers))
    assert response.status == 200, response.body
    return json.loads(response.body)


def feed(mock: MockTraining) -> list[Row]:
    """All rows, page by page, with the file's columns only."""
    rows: list[Row] = []
    page = "/training/v1/feed/training-course-progress?limit=3"
    while page:
        assert len(rows) < 1000, "the pages never end"
        answer = get(mock, page)
        rows += [{column: each[column] for column in COLUMNS} for each in answer["data"]]
        page = answer["metadata"]["next_page"]
    return rows


def in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=itemgetter("course_id", "user_id"))


_ID_CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="/\\")
_ID = st.text(_ID_CHARACTERS, min_size=1, max_size=5)
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
_DATE = st.just("") | st.builds(
    lambda at, fraction, zone: f"{at:%Y-%m-%dT%H:%M:%S}".zfill(19) + fraction + zone,
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),
    st.sampled_from(["", ".1", ".120", ".1234567"]),
    st.sampled_from(["Z", "+00:00", "+13:45", "-09:30"]),
)


def _with_lessons_done(made: Row) -> st.SearchStrategy[Row]:
    return st.integers(0, made["total_lessons"]).map(lambda done: made | {"completed_lessons": done})


_ROW = st.fixed_dictionaries(
    {
        "opened_at": _DATE,
        "completed_at": _DATE,
        "total_lessons": st.integers(0, 30),
        "course_id": _ID.filter(lambda text: text not in (".", "..")),
        "course_external_id": _TEXT,
        "course_title": _TEXT,
        "user_email": _TEXT,
        "user_first_name": _TEXT,
        "user_last_name": _TEXT,
        "user_id": _ID.filter(lambda text: text not in (".", "..")),
        "user_external_id": _TEXT,
        "progress_percent": st.floats(0, 100).map(abs),
        "score": st.integers(0, 2**31 - 1),
        "due_at": _DATE,
    }
).flatmap(_with_lessons_done)
_ROWS = st.lists(_ROW, max_size=12, unique_by=itemgetter("course_id", "user_id"))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=_ROWS, header=st.permutations(COLUMNS), end=st.sampled_from(["\n", "\r\n"]), mark=st.booleans())
def test_any_sound_export_reads_back_through_the_feed_as_it_stands(
    tmp_path: Path, rows: list[Row], header: Sequence[str], end: str, mark: bool
) -> None:
    data = content(rows, header=header, end=end)
    mock = load(tmp_path, b"\xef\xbb\xbf" * mark + data)
    assert feed(mock) == in_order(rows)


def test_rows_that_disagree_about_one_course_or_person_each_read_back_as_they_stand(tmp_path: Path) -> None:
    rows = [
        row("c1", "u1", course_title="Forklift", total_lessons=2, user_first_name="Ann"),
        row(
            "c1", "u2", course_title="forklift ", total_lessons=5, completed_lessons=5, course_external_id="x"
        ),
        row("c2", "u1", user_first_name="Anne", user_email="new@example.org", user_external_id="7"),
    ]
    mock = load(tmp_path, content(rows))
    assert feed(mock) == rows
    assert mock.world.course("c1").title == "Forklift"
    assert mock.world.user("u1").first_name == "Ann"


def test_dates_beyond_the_worlds_clock_are_kept(tmp_path: Path) -> None:
    rows = [
        row(
            opened_at="2030-01-01T00:00:00.5Z",
            completed_at="2031-01-01T00:00:00Z",
            due_at="2032-01-01T00:00:00Z",
        )
    ]
    mock = load(tmp_path, content(rows), now=datetime(2026, 1, 1, tzinfo=UTC))
    assert feed(mock) == rows


@pytest.mark.parametrize("done", [0, 1, 3])
def test_lesson_progress_agrees_with_the_numbers_of_lessons(tmp_path: Path, done: int) -> None:
    mock = load(tmp_path, content([row(total_lessons=3, completed_lessons=done)]))
    assert len(get(mock, "/training/courses/v1/c1/lessons")["lessons"]) == 3
    items = get(mock, "/training/analytics/v1/users/u1/lessons/progress?courseId=c1")["items"]
    assert sum(item["completed"] for item in items) == done


def test_statistics_count_what_the_file_says(tmp_path: Path) -> None:
    date = "2026-01-01T00:00:00Z"
    rows = [
        row(user="u1", opened_at=date, completed_at=date, completed_lessons=4, progress_percent=100.0),
        row(user="u2", opened_at=date, completed_lessons=1, progress_percent=25.0),
        row(user="u3"),
    ]
    (course,) = get(load(tmp_path, content(rows)), "/training/analytics/v1/courses/statistics")["items"]
    assert (course["totalUsers"], course["openedCount"], course["completedCount"]) == (3, 2, 1)


def test_staff_own_the_tokens_and_are_in_no_row(tmp_path: Path) -> None:
    rows = [row(user="u1"), row(user="u2")]
    mock = load(tmp_path, content(rows))
    owners = {each["name"]: each for each in mock.tokens()}
    assert set(owners) == set(get_args(TokenName))
    assert not {each["user_id"] for each in owners.values()} & {"u1", "u2"}
    assert {each["user_id"] for each in feed(mock)} == {"u1", "u2"}
    assert owners["manager"]["permissions"] == ["Training: Administration"]
    assert owners["teamlead"]["permissions"] == ["Training: Manage teams"]
    assert owners["learner"]["permissions"] == []
    assert owners["outsider"]["organisation_id"] != owners["admin"]["organisation_id"]


def test_tokens_of_a_loaded_world_are_random(tmp_path: Path) -> None:
    data = content([row()])
    assert load(tmp_path, data).token("admin") != load(tmp_path, data).token("admin")


def test_r03_the_outsider_sees_nothing_of_the_file(tmp_path: Path) -> None:
    mock = load(tmp_path, content([row()]))
    assert get(mock, "/training/courses/v1", "outsider")["items"] == []


def test_r12_a_reset_works_on_a_loaded_world_and_r16_leaves_the_rest(tmp_path: Path) -> None:
    date, due = "2026-01-01T00:00:00.1234567Z", "2027-01-01T00:00:00Z"
    done: Row = {
        "opened_at": date,
        "completed_at": date,
        "completed_lessons": 4,
        "progress_percent": 100.0,
        "score": 9,
    }
    rows = [row(user=user, user_first_name=user, due_at=due, **done) for user in ("u1", "u2")]
    mock = load(tmp_path, content(rows))
    confirmation = json.dumps({"courseTitle": "Course c1", "users": 1})
    headers = (
        ("user-agent", "tests/1"),
        ("authorization", f"Bearer {mock.token('admin')}"),
        ("content-type", "application/json"),
        ("reset-confirmation", confirmation),
    )
    body = json.dumps({"courseId": "c1", "userIds": ["u1"]}).encode()
    answer = mock.handle(Request("POST", "/training/courseprogress/v1/reset", headers=headers, body=body))
    assert (answer.status, json.loads(answer.body)) == (200, {"usersUpdated": 1})
    assert feed(mock) == [row(user="u1", user_first_name="u1", due_at=due), rows[1]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "line 1: The file is empty"),
        (content([row(user_last_name="Müller")]).decode().encode("cp1252"), "line 2: Byte 0xfc is not UTF-8"),
        (content([row()]).decode().encode("utf-16"), "line 1: The file is UTF-16. Save the file as UTF-8."),
        (content([row()]).decode().encode("utf-32"), "line 1: The file is UTF-32"),
        (
            content([row()]).decode().encode("utf-16-le"),
            "line 1: The line contains a NUL byte, as UTF-16 does",
        ),
        (content([row(user_last_name="a\0b")]), "line 2: The line contains a NUL byte"),
        (content([row(), row()]), "line 3, column user_id"),
        (content([row()], end="\r"), "line 1: The line is not valid CSV"),
    ],
)
def test_an_invalid_file_is_named_with_its_line(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(ExporterCsvError) as caught:
        load(tmp_path, data)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))


def test_a_file_that_cannot_be_read_is_an_error_too(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(ExporterCsvError, match="cannot be read: "):
            MockTraining.from_exporter_csv(path)


def test_lessons_have_figures_and_events_over_those_for_whom_they_count(tmp_path: Path) -> None:
    began, done = "2026-01-02T03:04:05Z", "2026-01-09T03:04:05Z"
    rows = [
        row(user="u1", completed_lessons=4, opened_at=began, completed_at=done, progress_percent=100.0),
        row(user="u2", completed_lessons=1, total_lessons=2, opened_at=began),
        row(user="u3"),
    ]
    mock = load(tmp_path, content(rows))
    lessons = get(mock, "/training/analytics/v1/lessons/statistics?courseId=c1")["items"]
    figures = ("totalUsers", "openedCount", "completedCount", "completionPercent")
    assert [tuple(each[name] for name in figures) for each in lessons] == [
        (3, 2, 2, 66.67),
        (3, 1, 1, 33.33),
        (2, 1, 1, 50.0),
        (2, 1, 1, 50.0),
    ]
    events = get(mock, "/training/analytics/v1/lessons/progress/events?pageSize=100")["items"]
    assert [(each["userId"], each["eventType"], each["eventDateTime"]) for each in events] == [
        *(("u1", "opened", began), ("u1", "completed", done)) * 4,
        ("u2", "opened", began),
        ("u2", "completed", began),
    ]
    for path in ("slides/statistics", "surveys/answers", "surveys/questionDefinitions"):
        assert get(mock, f"/training/analytics/v1/{path}")["totalCount"] == 0
    for path in ("rapid-refresh", "individualleaderboards"):
        assert get(mock, f"/training/{path}/v1")["items"] == []
