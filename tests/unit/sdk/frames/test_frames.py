"""Whole listings as frames, on both clients; nothing is imported early, and no broken Parquet folder looks whole."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from training_sdk import AsyncListing, InvalidArgumentError, PermissionDeniedError, TrainingClient
from training_sdk._core.flow import Request, Response
from training_sdk.frames import columns as columns_module
from training_sdk.frames.columns import library
from unit.sdk.fakes import Asker, Recorded, answer, over_the_wire, sync_client
from unit.sdk.frames.reading import PAGE, organisation

PATIENCE = 30
"""Seconds after which an interrupt counts as dropped; a stop takes less than one."""

ROWS = 2 * PAGE + 5


@pytest.fixture(autouse=True)
def quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """What the organisation prints is for the process that is stopped."""


def listing(rows: int = ROWS) -> Any:
    return sync_client(organisation(rows)).progress.list()


async def _gathered(found: AsyncListing[Any]) -> list[dict[str, Any]]:
    return [each async for each in found.to_dicts()]


def as_dicts(client: Any) -> Any:
    found = client.progress.list()
    return _gathered(found) if isinstance(found, AsyncListing) else [*found.to_dicts()]


USES: dict[str, Callable[[Any], Any]] = {
    "pandas": lambda client: client.progress.list().to_pandas(),
    "polars": lambda client: client.progress.list().to_polars(),
    "arrow": lambda client: client.progress.list().to_arrow(),
    "dicts": as_dicts,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_a_listing_is_one_frame_on_every_client(ask: Asker, use: Callable[[Any], Any]) -> None:
    found = ask(over_the_wire(organisation(ROWS)), use)
    users = found["user_id"] if not isinstance(found, list) else [row["user_id"] for row in found]
    assert len(set(users)) == ROWS


def test_parquet_is_written_on_every_client(ask: Asker, tmp_path: Path) -> None:
    def write(client: Any) -> Any:
        return client.progress.list().to_parquet(tmp_path / "out", partition_by="course_id")

    assert ask(over_the_wire(organisation(ROWS)), write) == ROWS
    table = pq.read_table(tmp_path / "out")
    assert table.schema.equals(listing(0).to_arrow().schema)
    assert len(set(table.column("user_id").to_pylist())) == ROWS
    modes = {
        path: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "out", *tmp_path.rglob("out/**/*")]
    }
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_a_stream_can_be_opened_again_and_again() -> None:
    found = listing()
    connection = duckdb.connect()
    assert connection.execute("SELECT count(*) FROM found").fetchall() == [(ROWS,)]
    users = "SELECT count(DISTINCT user_id) FROM found WHERE state = 'completed'"
    assert connection.execute(users).fetchall() == [(ROWS,)]
    wanted = found.to_polars()
    streamed: Any = pl.from_arrow(pa.RecordBatchReader.from_stream(found))
    assert_frame_equal(streamed, wanted, categorical_as_str=True)
    if not pl.__version__.startswith("1."):  # which iterates over what can be iterated
        assert pl.DataFrame(found).equals(wanted)
    assert pa.table(found).equals(found.to_arrow())


def test_a_stream_is_read_page_by_page() -> None:
    wire = Recorded(lambda request: organisation(ROWS)(request))
    reader = pa.RecordBatchReader.from_stream(sync_client(wire).progress.list())
    assert not wire.sent
    reader.read_next_batch()
    assert len(wire.sent) == 1


def refused(request: Request) -> Response:
    return answer({"code": 7, "message": "no"}, 403)


def test_an_error_of_the_service_is_raised_as_it_is_and_named_in_a_stream(tmp_path: Path) -> None:
    found = sync_client(refused).progress.list()
    for use in (
        found.to_pandas,
        found.to_polars,
        found.to_arrow,
        partial(found.to_parquet, tmp_path / "out"),
    ):
        with pytest.raises(PermissionDeniedError):
            use()
    with pytest.raises(pa.ArrowInvalid, match="403"):
        pa.table(found)
    assert not [*tmp_path.iterdir()]


# --- libraries --------------------------------------------------------------------------------------------------------


def test_no_library_is_imported_before_it_is_used() -> None:
    script = """if True:
        import sys
        from training_sdk import TrainingClient
        from training_sdk.frames import arrow, columns, parquet, sinks
        listing = TrainingClient("t", base_url="http://127.0.0.1:9").progress.list()
        listing.to_dicts()
        print([name for name in ("numpy", "pandas", "polars", "pyarrow") if name in sys.modules])
        columns.library("polars", "polars", "to_polars")
        print([name for name in ("numpy", "pandas", "polars", "pyarrow") if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "['polars']"]


@pytest.mark.parametrize(
    ("method", "name", "extra"),
    [
        ("to_pandas", "pandas", "pandas"),
        ("to_polars", "polars", "polars"),
        ("to_arrow", "pyarrow", "arrow"),
        ("__arrow_c_stream__", "pyarrow", "arrow"),
    ],
)
def test_missing_library_extra(method: str, name: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"{method} needs {name}.* extra \[{extra}\]"):
        getattr(listing(), method)()


def test_a_missing_library_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"to_parquet needs pyarrow.parquet.* extra \[arrow\]"):
        listing().to_parquet(tmp_path / "out")
    assert not [*tmp_path.iterdir()]
    assert library("json", "none", "x") is json
    assert columns_module.LARGEST_INTEGER == 2**63


# --- Parquet folders --------------------------------------------------------------------------------------------------


def test_an_empty_folder_is_filled_and_another_is_refused(tmp_path: Path) -> None:
    empty, link = tmp_path / "empty", tmp_path / "link"
    empty.mkdir()
    link.symlink_to(empty)
    assert listing(5).to_parquet(link) == 5
    assert pq.read_table(empty).num_rows == 5
    before = sorted(tmp_path.rglob("*"))
    for taken in (empty, link, tmp_path, empty / "part-0.parquet"):
        with pytest.raises(InvalidArgumentError, match="not an empty folder") as caught:
            listing(5).to_parquet(taken)
        assert caught.value.argument == "path"
    with pytest.raises(InvalidArgumentError, match="No such file"):
        listing(5).to_parquet(tmp_path / "missing" / "out")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("by", ["nothing", "score", "completed_at", ""])
def test_a_column_that_cannot_divide_is_refused_before_anything_is_read(by: str, tmp_path: Path) -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"partition_by must be one of course_id, user_id, .*"
    ) as caught:
        sync_client(lambda request: pytest.fail("nothing was to be read")).progress.list().to_parquet(
            tmp_path / "out", partition_by=by
        )
    assert caught.value.argument == "partition_by"
    assert not [*tmp_path.iterdir()]


def test_values_that_are_no_names_of_folders_stay_in_the_folder(tmp_path: Path) -> None:
    names = ["..", ".", "/etc", "a/b", "A", "a", "x" * 300, "a=b", "_hidden", "Größe", "0001", ""]
    rows = [
        {"course_id": "c", "user_id": f"u{at}", "user_external_id": name, "opened_at": "", "completed_at": ""}
        for at, name in enumerate(names)
    ]
    reply = sync_client(lambda _: answer({"metadata": {"next_page": None}, "data": rows}))
    assert reply.progress.list().to_parquet(tmp_path / "out", partition_by="user_external_id") == len(names)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    pattern = str(tmp_path / "out" / "**" / "*.parquet")
    for found in (
        pq.read_table(tmp_path / "out").column("user_external_id").to_pylist(),
        pd.read_parquet(tmp_path / "out")["user_external_id"].tolist(),
        pl.read_parquet(pattern)["user_external_id"].to_list(),
        [value for (value,) in duckdb.execute(f"SELECT user_external_id FROM '{pattern}'").fetchall()],
    ):
        assert sorted(found) == sorted(names)


def reading(*arguments: str, group: int = PAGE, largest_file: int | None = None) -> subprocess.Popen[str]:
    """Start a process that reads a listing."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    return subprocess.Popen(
        [sys.executable, "-m", "unit.sdk.frames.reading", *arguments],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "ROW_GROUP": str(group)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def until_page(process: subprocess.Popen[str], page: int) -> None:
    assert process.stdout is not None
    assert any(line == f"page {page}\n" for line in process.stdout)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_process_leaves_nothing_that_looks_whole(sent: signal.Signals, tmp_path: Path) -> None:
    target = tmp_path / "out"
    with reading("parquet", "100000000", str(target)) as process:  # more than it can read meanwhile
        until_page(process, 12)
        process.send_signal(sent)
        while process.poll() is None:
            try:
                process.communicate(timeout=PATIENCE)
            except (
                subprocess.TimeoutExpired
            ):  # Python drops an interrupt that arrives while an object is finalised
                process.send_signal(sent)
    left = [path for path in tmp_path.iterdir() if not path.name.endswith("-warm")]
    assert not target.exists()
    assert all(path.name.startswith(".") and path.name.endswith(".part") for path in left)
    assert not [path for folder in left for path in folder.rglob("*.parquet")]
    assert bool(left) == (sent != signal.SIGINT)
    assert listing(5).to_parquet(target) == 5


@pytest.mark.parametrize("room", [0, 4, 2000, 20_000])
def test_a_full_disk_leaves_nothing_and_is_named(room: int, tmp_path: Path) -> None:
    target = tmp_path / "out"
    (tmp_path / "out-warm").mkdir()
    with reading("parquet", "4000", str(target), largest_file=room) as process:
        _, said = process.communicate()
    assert "InvalidArgumentError" in said
    assert "File too large" in said
    assert [path.name for path in tmp_path.iterdir()] == ["out-warm"]


# --- memory -----------------------------------------------------------------------------------------------------------


def held(destination: str, rows: int, tmp_path: Path) -> dict[str, int]:
    folder = str(tmp_path / f"{destination}-{rows}")
    with reading(destination, str(rows), folder, group=5 * PAGE) as process:
        said, problem = process.communicate()
    assert process.returncode == 0, problem
    found: dict[str, int] = json.loads(said.splitlines()[-1])
    return found


@pytest.mark.parametrize("destination", ["dicts", "parquet", "polars"])
def test_a_stream_holds_no_more_for_more_rows(destination: str, tmp_path: Path) -> None:
    """Polars keeps the rows of its frame where Python does not count them, so that here only the pages count.

    A listing keeps the ids of its first 10,000 rows, until the service says how many there are.
    """
    few, many = (held(destination, rows, tmp_path)["peak"] for rows in (11_000, 22_000))
    assert many < 1.3 * few


@pytest.mark.parametrize("destination", ["arrow", "pandas"])
def test_a_frame_holds_its_rows_once(destination: str, tmp_path: Path) -> None:
    few, many = (held(destination, rows, tmp_path) for rows in (11_000, 22_000))
    assert many["peak"] - few["peak"] < 1.5 * (many["size"] - few["size"])


def test_the_client_is_the_only_thing_that_is_needed() -> None:
    with httpx.Client(transport=httpx.MockTransport(over_the_wire(organisation(3)))) as http:
        client = TrainingClient("t", base_url="https://api.example.test", http_client=http)
        rows = client.progress.list()
        assert [*rows.to_pandas()] == [*next(iter(rows.to_dicts()))]
        assert len(rows.to_pandas()) == 3
