"""The recipes for other programs: what of them needs no library of theirs runs here. `.ci/matrix` runs dlt itself."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mock_server import MockTraining
from training_sdk import ProgressRow, TrainingClient
from training_sdk.frames.columns import Kind, columns_of

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
COURSE = "6908610029087ab67fa50c2e"
SPARK = {
    Kind.TEXT: "STRING",
    Kind.STATE: "STRING",
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.TIME: "TIMESTAMP",
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TrainingClient]:
    mock = MockTraining.demo()
    with httpx.Client(transport=mock.transport()) as http:
        yield TrainingClient(mock.token("admin"), http_client=http, state_dir=tmp_path / "state")


def reset_one(client: TrainingClient) -> str:
    """Reset somebody who has completed the course; return their id."""
    user = next(row.user_id for row in client.progress.list(course_id=COURSE) if row.completed_at)
    plan = client.resets.plan(COURSE, [user])
    assert client.resets.apply(plan, confirm=plan.phrase).is_complete
    return user


def test_rows_for_dlt_are_all_at_first_and_then_the_changed_ones(client: TrainingClient) -> None:
    recipe = runpy.run_path(str(RECIPES / "progress_dlt.py"))
    state: dict[str, Any] = {}
    first = {(row["course_id"], row["user_id"]): row for row in recipe["changed_rows"](client, state)}
    assert len(first) == len(list(client.progress.list()))
    user = reset_one(client)
    assert first[COURSE, user]["progress_percent"] == 100
    state["modified_after"] = (datetime.now(UTC) + recipe["OVERLAP"] - timedelta(minutes=1)).isoformat()
    (changed,) = recipe["changed_rows"](client, state)
    assert (changed["course_id"], changed["user_id"]) == (COURSE, user)
    assert (changed["state"], changed["progress_percent"], changed["completed_at"]) == (
        "not started",
        0,
        None,
    )


def test_the_state_for_dlt_stays_where_a_reading_breaks_off(client: TrainingClient) -> None:
    recipe = runpy.run_path(str(RECIPES / "progress_dlt.py"))
    state: dict[str, Any] = {}
    rows = recipe["changed_rows"](client, state)
    next(rows)
    rows.close()
    assert state == {}


def test_the_schema_for_spark_is_the_fixed_schema() -> None:
    recipe = runpy.run_path(str(RECIPES / "progress_spark.py"))
    fixed = [(column.name, SPARK[column.kind]) for column in columns_of(ProgressRow)]
    assert re.findall(r"(\w+) (\w+)", recipe["SCHEMA"]) == fixed
