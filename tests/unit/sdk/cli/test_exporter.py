"""``progress --format exporter-csv``: the vendor exporter's 15 columns, in every state, which load back."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mock_server import MockTraining
from mock_server.world.seeds.exporter_rows import COLUMNS as READ
from mock_server.world.seeds.exporter_rows import parse
from training_sdk import ProgressRow, TrainingClient
from training_sdk.cli import main
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.listings import EXPORTER_COLUMNS as COLUMNS
from training_sdk.cli.listings import exporter_header, exporter_rows, has_formula

COURSE = "6908610029087ab67fa50c2e"
EXPORT = ("progress", "--format", "exporter-csv")


def rows_of(mock: MockTraining) -> list[dict[str, Any]]:
    """The feed, as far as the exporter has columns for it."""
    with mock.serve(port=0) as server, TrainingClient(mock.token("admin"), base_url=server.url) as client:
        return [{name: getattr(row, name) for name in COLUMNS} for row in client.progress.list()]


@pytest.mark.usefixtures("demo_site")
def test_an_export_in_every_state_loads_back_as_the_same_organisation(
    mock: MockTraining, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*EXPORT, "--output", "all.csv"]) == 0
    told = capsys.readouterr()
    states = Counter(bool(row["completed_at"]) for row in rows_of(mock))
    assert states[True] > 0 < states[False]
    assert f"{states.total()} rows: {states[True]} completed, " in told.err
    assert COLUMNS == READ
    loaded = MockTraining.from_exporter_csv(tmp_path / "all.csv")  # a warning would be an error
    assert rows_of(loaded) == rows_of(mock)
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "all.csv").stat().st_mode) == 0o600
    assert main([*EXPORT, "--output", "all.csv"]) == ExitCode.USAGE  # and never over another file


@pytest.mark.usefixtures("demo_site")
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-16"])
def test_the_export_on_standard_output_is_utf8(mock: MockTraining, tmp_path: Path, encoding: str) -> None:
    command = [sys.executable, "-m", "training_sdk.cli", *EXPORT]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, check=True, timeout=60
    )
    (tmp_path / "piped.csv").write_bytes(done.stdout)
    assert b"\r\r\n" not in done.stdout
    assert rows_of(MockTraining.from_exporter_csv(tmp_path / "piped.csv")) == rows_of(mock)


@pytest.mark.usefixtures("demo_site")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*EXPORT, "--json"), "Leave --json out"),
        (("progress", "--output", "x.csv"), "--output is for --format exporter-csv"),
        ((*EXPORT, "--output", "missing/x.csv"), "the directory missing does not exist"),
    ],
)
def test_options_that_do_not_fit_are_refused_and_nothing_is_written(
    arguments: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == ExitCode.USAGE
    told = capsys.readouterr()
    assert said in told.out + told.err
    assert not [*tmp_path.glob("*.csv")]


@pytest.mark.usefixtures("demo_site")
def test_a_rehearsal_on_an_export_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main([*EXPORT, "--status", "completed", "--output", "vendor.csv"]) == 0
    )  # what the vendor's exporter asks for
    assert main([*EXPORT, "--output", "all.csv"]) == 0
    capsys.readouterr()
    for name, times in (("vendor.csv", 1), ("all.csv", 0)):
        rehearse = [sys.executable, "-m", "mock_server", "rehearse", "--exporter-csv", name]
        done = subprocess.run(
            [*rehearse, "--", sys.executable, "-c", "pass"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        for stream in (done.stderr, done.stdout):
            assert stream.count(f"WARNING: All people in {name} are completed") == times
            assert stream.count("CompletedOnlyWarning") == 0


dates = st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
texts = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
rows = st.builds(
    ProgressRow,
    course_id=st.sampled_from(["c1", "c2"]),
    user_id=st.uuids().map(str),
    opened_at=dates,
    completed_at=dates,
    completed_lessons=st.integers(0, 9),
    progress_percent=st.floats(0, 100).map(abs),
    total_lessons=st.none() | st.integers(9, 20),
    score=st.none() | st.integers(0, 2**31 - 1),
    course_external_id=texts,
    course_title=texts,
    user_email=texts,
    user_first_name=texts,
    user_last_name=texts,
    user_external_id=texts,
    due_at=dates,
)


@given(st.lists(rows, max_size=5, unique_by=lambda row: row.user_id))
def test_any_row_is_written_so_that_it_is_read_as_it_was(written: list[ProgressRow]) -> None:
    read = parse(line.decode() for line in BytesIO((exporter_header() + exporter_rows(written)).encode()))
    assert len(read) == len(written)
    for one, row in zip(read, written, strict=True):
        assert (one.course_id, one.user_id, one.progress_percent) == (
            row.course_id,
            row.user_id,
            row.progress_percent,
        )
        for name in ("course_external_id", "course_title", "user_email", "user_first_name", "user_last_name"):
            assert getattr(one, name) == (getattr(row, name) or "")
        for name in ("opened_at", "completed_at", "due_at"):
            text, moment = getattr(one, name), getattr(row, name)
            assert (datetime.fromisoformat(text) if text else None) == moment
        assert one.total_lessons == (
            row.completed_lessons if row.total_lessons is None else row.total_lessons
        )
        assert (one.completed_lessons, one.score) == (row.completed_lessons, row.score or 0)


def test_texts_that_a_spreadsheet_would_run_are_known() -> None:
    row = ProgressRow(COURSE, "user_1", None, None, 0, 0.0, user_first_name="Ada", course_title="Ladders")
    assert not has_formula(row)
    for text in ("=1+1", "+1", "@SUM(A1)", "Ada;=1+1"):
        assert has_formula(evolve(row, user_first_name=text))
        assert text in exporter_rows([evolve(row, user_first_name=text)])
