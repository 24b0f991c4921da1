"""Lists in other formats than a table: each loads back, and a file is whole or not there. Tables page by page."""

from __future__ import annotations

import csv
import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from mock_server import MockTraining
from mock_server.control.faults import Kind
from mock_server.mock import TokenName
from training_sdk import ProgressRow, TrainingClient, UserStatus
from training_sdk._core.listing import Page
from training_sdk._core.operation import Listing
from training_sdk.cli import layout, main
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.frames import columns
from training_sdk.frames.columns import columns_of, dicts
from training_sdk.records import storage
from unit.sdk.cli.conftest import Demo
from unit.sdk.fakes import no_waiting

COMMANDS = ("courses", "paths", "groups", "sites", "progress")
COLUMNS = columns_of(ProgressRow)


def listed(command: str, client: TrainingClient) -> Any:
    return getattr(client, command).list()


@pytest.fixture
def client(demo_site: None) -> Any:
    with TrainingClient() as found:
        yield found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_list_loads_from_every_format(command: str, client: TrainingClient, tmp_path: Path) -> None:
    wanted = listed(command, client).to_polars()
    for format_ in ("csv", "jsonl", "parquet"):
        assert main([command, "--format", format_, "--output", f"out.{format_}"]) == 0
    for file in (tmp_path / "out.csv", tmp_path / "out.jsonl"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # States of two files have two encodings to an early Polars.
    assert_frame_equal(pl.read_parquet("out.parquet/*.parquet"), wanted, categorical_as_str=True)
    lines = [json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines == [
        json.loads(columns.json_lines(columns_of(type(row)), [row])) for row in listed(command, client)
    ]
    frame = pd.read_csv("out.csv", encoding="utf-8-sig", dtype="string", keep_default_na=False)
    assert [*frame] == wanted.columns
    assert len(frame) == len(wanted)
    first = wanted.columns[0]
    assert frame[first].tolist() == wanted[first].to_list()


def test_csv_loads_with_its_types(client: TrainingClient) -> None:
    assert main(["progress", "--format", "csv", "--output", "out.csv"]) == 0
    assert Path("out.csv").read_bytes().startswith(b"\xef\xbb\xbfcourse_id,user_id,opened_at")
    wanted = client.progress.list().to_pandas()
    found = pd.read_csv("out.csv", parse_dates=["opened_at", "completed_at", "due_at"])
    for name in ("completed_lessons", "progress_percent", "score", "has_recorded_progress"):
        assert found[name].astype("float64").equals(wanted[name].astype("float64"))
    for name in ("opened_at", "completed_at", "due_at"):
        assert (
            found[name].astype("datetime64[us, UTC]").fillna(pd.Timestamp(0, tz="UTC"))
            == (wanted[name].fillna(pd.Timestamp(0, tz="UTC")))
        ).all()
    counted = duckdb.execute("SELECT state, count(*) FROM 'out.csv' GROUP BY ALL ORDER BY ALL").fetchall()
    assert counted == [("completed", 109), ("in progress", 49), ("not started", 89)]


@pytest.mark.parametrize("format_", ["csv", "jsonl", "exporter-csv"])
def test_stdout_like_files(format_: str, demo_site: None, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["progress", "--format", format_, "--output", "out"]) == 0
    capfdbinary.readouterr()
    assert main(["progress", "--format", format_]) == 0
    assert capfdbinary.readouterr().out == Path("out").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "parquet"), "Name a new one with --output"),
        (("--format", "csv", "--json"), "Leave --json out"),
        (("--output", "x"), "A table goes to standard output"),
        (("--format", "csv", "--output", "there"), "exists"),
        (("--format", "parquet", "--output", "there"), "not an empty folder"),
        (("--format", "jsonl", "--output", "no/x"), "no does not exist. Create it first"),
        (("--format", "parquet", "--output", "no/x"), "no does not exist. Create it first"),
        (("--format", "csv", "--output", "-"), "leave the option out"),
        (("--format", "parquet", "--output", "-"), "Name a file"),
        (("--json", "--output", "x"), "--json goes to standard output"),
        (
            (
                "--format",
                "exporter-csv",
            ),
            "exporter-csv",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_written(
    arguments: tuple[str, ...], said: str, demo_site: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("there").write_text("x", encoding="utf-8")
    assert main(["groups", *arguments]) == ExitCode.USAGE
    assert said in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["there"]
    assert Path("there").read_text(encoding="utf-8") == "x"


def test_an_empty_list_is_a_header_alone(demo_site: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["courses", "--search", "no such title", "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("\ufeffid,title,")
    nobody = ["progress", "--user", "nobody@example.test", "--format", "csv"]
    assert main([*nobody, "--output", "x.csv"]) == main(nobody) == ExitCode.FAILED
    assert capsys.readouterr().out == ""
    assert not Path("x.csv").exists()


def test_a_reading_that_fails_leaves_no_file_and_says_that_a_table_is_incomplete(
    mock: MockTraining,
    demo_site: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(rows: Any, page: Any) -> Any:
        raise RuntimeError("here")

    with monkeypatch.context() as patch:
        patch.setattr("training_sdk.cli.listings.csv_rows", broken)
        with pytest.raises(RuntimeError):
            main(["progress", "--format", "csv", "--output", "x.csv"])
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


@pytest.mark.parametrize("format_", ["table", "csv", "jsonl", "exporter-csv"])
def test_no_page_is_requested_for_a_reader_who_is_gone(
    format_: str,
    mock: MockTraining,
    demo_site: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    requested = in_pages_of_25(monkeypatch)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as gone, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", gone)
        assert main(["progress", "--format", format_]) == 0
        with suppress(BrokenPipeError):
            gone.flush()
    assert (len(requested), capsys.readouterr().err) == (1, "")


@pytest.mark.parametrize("format_", ["table", "csv", "jsonl", "exporter-csv"])
def test_output_that_ends_early_is_called_incomplete(
    format_: str, demo_site: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(number: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    in_pages_of_25(monkeypatch, interrupt)
    assert main(["progress", "--format", format_]) == ExitCode.INTERRUPTED
    told = capsys.readouterr()
    assert "The output is incomplete." in told.err
    assert 25 <= len(told.out.splitlines()) <= 27


def in_pages_of_25(
    monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None] = lambda number: None
) -> list[int]:
    """Read the progress feed in pages of 25; return the numbers of the pages as they are asked for."""
    requested: list[int] = []
    whole = Listing.pages

    def pages(listing: Listing[Any]) -> Iterator[Page[Any]]:
        (page,) = whole(listing)
        for number, start in enumerate(range(0, len(page.items), 25), 1):
            requested.append(number)
            before(number)
            yield evolve(page, items=page.items[start : start + 25])

    monkeypatch.setattr(Listing, "pages", pages)
    return requested


# --- a token that sees a part -----------------------------------------------------------------------------------------

TEAMS, OWN, ASSIGNED = "its owner's teams only", "its owner only", "published and assigned to its owner"


@pytest.mark.parametrize("format_", ["table", "json", "csv", "jsonl", "parquet", "exporter-csv"])
@pytest.mark.parametrize(
    ("command", "token", "why"),
    [
        ("progress", "teamlead", TEAMS),
        ("progress", "learner", OWN),
        ("progress", "resetter", OWN),
        ("progress", "manager", None),
        ("courses", "learner", ASSIGNED),
        ("courses", "teamlead", None),
        ("courses", "resetter", None),
        ("paths", "learner", ASSIGNED),
        ("paths", "admin", None),
    ],
)
def test_a_list_that_the_permissions_restrict_says_so_on_standard_error_only(
    demo: Demo, command: str, token: TokenName, why: str | None, format_: str
) -> None:
    """R05: the service leaves rows out without telling, so the command finds out."""
    if format_ == "exporter-csv" and command != "progress":
        return
    written = ("--output", "there") if format_ == "parquet" else ()
    chosen = ("--json",) if format_ == "json" else ("--format", format_, *written)
    done = demo.run(command, *chosen, SAFETYCULTURE_API_TOKEN=demo.mock.token(token))
    assert done.code == 0, done
    warnings = [line for line in done.err.splitlines() if line.startswith("Warning: This token")]
    assert len(warnings) == (why is not None), done.err
    assert why is None or why in warnings[0]
    assert "Warning" not in done.out


@pytest.mark.parametrize(
    ("format_", "kind", "operation", "fields"),
    [
        ("jsonl", "error", "ListUsers", {"status": 501}),
        ("jsonl", "error", "GetCourseStatistics", {"status": 404}),
        ("exporter-csv", "not_json", "GetCourseStatistics", {}),
        ("exporter-csv", "not_json", "GetCourseStatistics", {"after": 1}),
    ],
)
def test_an_unanswered_check_of_the_permissions_is_told_and_loses_no_row(
    demo: Demo, format_: str, kind: Kind, operation: str, fields: dict[str, Any]
) -> None:
    demo.mock.faults.add(kind, operation=operation, times=None, **fields)
    done = demo.run("progress", "--format", format_, SAFETYCULTURE_API_TOKEN=demo.mock.token("manager"))
    header = 0 if format_ == "jsonl" else 1
    assert (done.code, len(done.out.splitlines())) == (0, header + 247), done
    assert done.err.count("It is not known whether this token sees everything") == 1


@pytest.mark.parametrize("command", ["courses", "progress"])
def test_a_check_of_the_permissions_does_not_hold_up_a_list_that_is_there(demo: Demo, command: str) -> None:
    demo.mock.faults.add("rate_limited", operation="GetCourseStatistics", seconds=30.0)
    with no_waiting() as waited:
        done = demo.run(command, "--format", "jsonl", "--max-retry", "90")
    assert (done.code, bool(done.out), waited) == (0, True, []), done


def test_one_person_in_full_view_costs_no_check_of_the_permissions(demo: Demo) -> None:
    lead = demo.mock.token("teamlead")
    (first, *_) = demo.run("progress", "--json", SAFETYCULTURE_API_TOKEN=lead).document["progress"]
    done = demo.run("progress", "--user", first["user_id"], SAFETYCULTURE_API_TOKEN=lead)
    assert (done.code, "Warning" in done.err) == (0, False)


@pytest.mark.parametrize("command", [("plan", "--everyone"), ("due", "--years", "1", "--zone", "UTC")])
def test_a_plan_for_everyone_and_a_due_list_name_restrictions(demo: Demo, command: tuple[str, ...]) -> None:
    course = "6908610029087ab67fa50c2e"
    tokens: dict[TokenName, bool] = {"teamlead": True, "manager": False}
    for token, restricted in tokens.items():
        done = demo.run(*command, "--course", course, SAFETYCULTURE_API_TOKEN=demo.mock.token(token))
        assert (done.code, TEAMS in done.err) == (0, restricted), done


# --- cells ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=10), min_size=1, max_size=4))
def test_no_cell_of_csv_begins_a_formula(texts: list[str]) -> None:
    rows = [
        ProgressRow(one, "u", None, None, 0, 0.0, course_title=one, user_email=f' "{one}') for one in texts
    ]
    written = columns.csv_header(COLUMNS) + columns.csv_rows(COLUMNS, rows)
    found = [*csv.reader(StringIO(written.removeprefix(columns.BYTE_ORDER_MARK), newline=""))]
    assert found[0] == [column.name for column in COLUMNS]
    assert len(found) == len(rows) + 1
    for cells, row in zip(found[1:], dicts(COLUMNS, rows), strict=True):
        for cell, value in zip(cells, row.values(), strict=True):
            assert not cell.startswith(("\t", "\r", "\n"))
            assert not cell.lstrip(' "\t\r\n').startswith(("=", "+", "-", "@"))
            if isinstance(value, str) and value.isalnum():
                assert cell == value


ODD = st.text(" |a\u200d\ufe0f❤ü\x1b\n", max_size=4)
VALUES = (
    ODD | st.text() | st.none() | st.integers() | st.floats() | st.booleans() | st.sampled_from(UserStatus)
)


@given(st.lists(ODD) | st.lists(VALUES | st.datetimes(timezones=st.timezones())))
def test_a_column_is_written_as_its_values_are(values: list[object]) -> None:
    assert [*layout.column_cells(values)] == [layout.cell(value) for value in values]


def as_columns(rows: list[list[str]]) -> list[list[str]]:
    return [[row[column] for row in rows] for column in range(2)]


@given(st.lists(st.lists(st.text("aü語 -", max_size=6), min_size=2, max_size=2), max_size=4))
def test_a_table_in_pages_is_the_table_and_longer_values_are_never_cut(rows: list[list[str]]) -> None:
    first = [["aaaaaa", "語語語語語語"], *rows]
    for width in (None, 200):
        whole = layout.table_text(["x", "y"], [*map(layout.cells_of, [*first, *rows])], width=width)
        table = layout.StreamedTable(["x", "y"], width=width, unicode=True)
        assert table.text(as_columns(first)) + table.text(as_columns(rows)) == whole
        assert "b" * 500 in table.text([["b" * 500], ["y"]])


def test_no_half_parquet_folder_is_left(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(folder: Path) -> None:
        if folder == tmp_path:
            raise OSError(errno.EIO, "not here")

    monkeypatch.setattr(storage, "sync_folder", refused)
    done = demo.run("progress", "--format", "parquet", "--output", str(tmp_path / "rows"))
    assert (done.code, "Nothing is left of it" in done.err) == (ExitCode.OUTPUT_LOST, True), done
    assert not [*tmp_path.glob("*rows*"), *tmp_path.glob("*.part")]
