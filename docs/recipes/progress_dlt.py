"""Load training progress into a warehouse with dlt, and later only what has changed.

Install: ``pip install 'dlt[duckdb]'``. Run: ``python progress_dlt.py``.
"""

from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any

from training_sdk import TrainingClient

OVERLAP = timedelta(hours=3)
"""A row of a live service is up to two hours old. What is read twice is merged by its key."""


def changed_rows(client: TrainingClient, state: MutableMapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows that changed since the last run; the state moves on when all of them have been read.

    There is no filter by status: a person who was reset comes back with 0 %, and replaces the row with 100 %.
    """
    began = datetime.now(UTC)
    last = state.get("modified_after")
    after = datetime.fromisoformat(last) - OVERLAP if last else None
    yield from client.progress.list(modified_after=after).to_dicts()
    state["modified_after"] = began.isoformat()


def load(client: TrainingClient, pipeline: Any) -> Any:
    """Load into the table ``progress`` of a dlt pipeline: one row for each course and user."""
    import dlt

    @dlt.resource(name="progress", primary_key=("course_id", "user_id"), write_disposition="merge")
    def progress() -> Iterator[dict[str, Any]]:
        yield from changed_rows(client, dlt.current.resource_state())

    return pipeline.run(progress())


if __name__ == "__main__":
    import dlt

    with TrainingClient() as client:
        print(load(client, dlt.pipeline("training", destination="duckdb", dataset_name="training_data")))
