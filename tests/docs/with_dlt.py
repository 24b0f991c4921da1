"""The recipe for dlt with dlt itself, into DuckDB: run by `.ci/matrix`, which installs them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import dlt
import httpx
import pytest

from mock_server import MockTraining
from training_sdk import TrainingClient

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
COURSE = "6908610029087ab67fa50c2e"


def test_a_reset_row_comes_back_at_nought_and_is_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(RECIPES))
    recipe = import_module("progress_dlt")  # dlt looks for the module of a resource
    names = {"destination": "duckdb", "dataset_name": "training_data", "pipelines_dir": "pipelines"}
    pipeline = dlt.pipeline("training", **names)

    def table() -> dict[tuple[str, str], tuple[float, str]]:
        with pipeline.sql_client() as sql:
            found = sql.execute_sql("SELECT course_id, user_id, progress_percent, state FROM progress")
        assert len({(course, user) for course, user, *_ in found}) == len(found)
        return {(course, user): (percent, state) for course, user, percent, state in found}

    mock = MockTraining.demo()
    with httpx.Client(transport=mock.transport()) as http:
        client = TrainingClient(mock.token("admin"), http_client=http, state_dir=tmp_path / "state")
        recipe.load(client, pipeline)
        before = table()
        assert len(before) == len(list(client.progress.list()))
        user = next(row.user_id for row in client.progress.list(course_id=COURSE) if row.completed_at)
        assert before.pop((COURSE, user)) == (100.0, "completed")
        plan = client.resets.plan(COURSE, [user])
        assert client.resets.apply(plan, confirm=plan.phrase).is_complete
        recipe.load(client, pipeline)
        after = table()
    assert after.pop((COURSE, user)) == (0.0, "not started")
    assert after == before
