"""Rows at hand as frames, progress before and after a reset side by side, and listings as tables in a notebook."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from html import escape
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from training_sdk import ProgressRow, ProgressState
from training_sdk._core import codec
from training_sdk.evidence.history import PastCompletion
from training_sdk.frames.methods import MOST_ROWS, Rows
from training_sdk.plans.planned import BeforeAfter
from unit.sdk.fakes import COURSE, Organisation, answer, row, sync_client, user_id
from unit.sdk.frames.reading import PAGE, organisation
from unit.sdk.resetting import planned

DONE = datetime(2026, 3, 1, tzinfo=UTC)
PAST = PastCompletion(COURSE, "u", DONE, "Forklift", "Ann", None, None, 88, None, ("one", "two"))


def progress(*rows: dict[str, Any]) -> list[ProgressRow]:
    return [codec.structure_value(each, ProgressRow) for each in rows]


def test_rows_equal_a_tuple_and_become_frames_with_the_same_columns_when_empty() -> None:
    rows, empty = Rows(PastCompletion, [PAST]), Rows(PastCompletion, [])
    assert rows == (PAST,)
    assert (rows[0], rows[-1:], hash(rows)) == (PAST, (PAST,), hash((PAST,)))
    assert pickle.loads(pickle.dumps(rows)) == rows
    assert isinstance(pickle.loads(pickle.dumps(rows)), Rows)
    frame = rows.to_pandas()
    assert frame.loc[0, "completed_at"] == pd.Timestamp(DONE)
    assert list(frame.loc[0, "packs"]) == ["one", "two"]
    assert list(frame.dtypes.items()) == list(empty.to_pandas().dtypes.items())
    assert rows.to_polars().schema == empty.to_polars().schema
    assert len(repr(Rows(PastCompletion, [PAST] * 10_000))) < 100


def test_libraries_read_rows_as_an_arrow_stream_and_not_as_objects() -> None:
    rows = Rows(PastCompletion, [PAST, PAST])
    table = rows.to_arrow()
    assert pa.table(rows) == table
    assert pl.DataFrame(rows).equals(rows.to_polars())
    read = duckdb.execute("SELECT count(*), min(course_title) FROM rows").fetchall()
    assert read == [(2, "Forklift")]


def test_before_and_after_shows_each_target_once_beside_what_the_feed_says_now() -> None:
    plan = planned(Organisation([row(1), row(2), row(3)]))
    fresh = {
        "progress_percent": 0,
        "completed_lessons": 0,
        "opened_at": None,
        "completed_at": None,
        "score": None,
    }
    now = progress({**row(1), **fresh}, row(2), row(7), {**row(3), "course_id": "another"})
    table = plan.before_and_after(now)
    assert [one.user_id for one in table] == [user.user_id for user in plan.targets]
    first, second, third = table
    assert (first.state_before, first.percent_before) == (plan.targets[0].state, plan.targets[0].percent)
    assert (first.state_after, first.percent_after) == (ProgressState.NOT_STARTED, 0)
    assert (second.percent_after, second.completed_at_after) == (
        second.percent_before,
        second.completed_at_before,
    )
    assert (third.state_after, third.percent_after, third.completed_at_after) == (None, None, None)
    frame = table.to_polars()
    assert frame["percent_after"].to_list() == [0.0, second.percent_before, None]
    assert frame.schema["completed_at_after"] == pl.Datetime("us", "UTC")
    nobody: Rows[BeforeAfter] = planned(Organisation([{**row(1), **fresh}])).before_and_after(now)
    assert not nobody
    assert nobody.to_polars().schema == frame.schema


def test_a_notebook_shows_first_rows_escaped_from_one_page(capsys: pytest.CaptureFixture[str]) -> None:
    html = sync_client(organisation(2 * PAGE + 5)).progress.list()._repr_html_()
    assert capsys.readouterr().out == "page 0\n"
    assert html.count("<tr>") == MOST_ROWS + 1
    assert f"The first {MOST_ROWS} rows." in html
    nasty = [{**row(1), "user_first_name": "<script>$x$</script>"}]
    client = sync_client(lambda _: answer({"metadata": {"next_page": None}, "data": nasty}))
    html = client.progress.list()._repr_html_()
    assert escape("<script>$x$</script>") in html
    assert "<script>" not in html
    assert html.startswith('<div class="mathjax_ignore tex2jax_ignore">')
    assert user_id(1) in html
