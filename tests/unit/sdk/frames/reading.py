"""A process that reads a listing of many pages into a destination, for tests that stop, starve or measure it.

    python -m unit.sdk.frames.reading DESTINATION ROWS [FOLDER]

It prints ``page N`` as each page is asked for, then what it held at most in bytes, and the size of the result.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import polars as pl
import pyarrow as pa

from training_sdk import Listing, ProgressRow
from training_sdk._core.flow import Request, Response
from training_sdk.frames import sinks
from unit.sdk.fakes import answer, row, sync_client

PAGE = 200
"""Rows of a page; fewer than the SDK asks for, which a service may give."""
COURSES = 5


def organisation(rows: int) -> Callable[[Request], Response]:
    """A feed of so many rows, made page by page, the courses after each other."""

    def reply(request: Request) -> Response:
        start = int(parse_qs(urlsplit(request.target).query).get("offset", ["0"])[0])
        print(f"page {start // PAGE}", flush=True)
        gc.collect()  # what Python collects now and then is not what is held
        after = start + PAGE
        numbers = range(start, min(after, rows))
        data = [row(number, course_id=f"course{number * COURSES // rows}") for number in numbers]
        following = f"{request.path}?offset={after}" if after < rows else None
        return answer({"metadata": {"next_page": following}, "data": data})

    return reply


def count(listing: Listing[ProgressRow]) -> int:
    return sum(1 for _ in listing.to_dicts())


def into(destination: str, listing: Listing[ProgressRow], folder: str) -> Any:
    """The result of a destination, by its name."""
    makes: dict[str, Callable[[], Any]] = {
        "dicts": lambda: count(listing),
        "pandas": listing.to_pandas,
        "polars": listing.to_polars,
        "arrow": listing.to_arrow,
        "parquet": lambda: listing.to_parquet(folder, partition_by="course_id"),
    }
    return makes[destination]()


def size_of(result: Any) -> int:
    """Bytes of a frame; 0 for a number of rows."""
    measures: dict[type[Any], Callable[[], Any]] = {
        pa.Table: lambda: result.nbytes,
        pd.DataFrame: lambda: result.memory_usage(deep=True).sum(),
        pl.DataFrame: lambda: result.estimated_size(),
        int: lambda: 0,
    }
    return int(measures[type(result)]())


def main(destination: str, rows: int, folder: str = "") -> None:
    sinks.ROW_GROUP = int(os.environ.get("ROW_GROUP", sinks.ROW_GROUP))
    sinks.MOST_OPEN = 1
    into(destination, sync_client(organisation(1)).progress.list(), folder and folder + "-warm")
    gc.freeze()  # what has been imported is looked at no more when garbage is collected before each page
    tracemalloc.start()
    result = into(destination, sync_client(organisation(rows)).progress.list(), folder)
    peak = tracemalloc.get_traced_memory()[1] + pa.default_memory_pool().max_memory()
    print(json.dumps({"peak": peak, "size": size_of(result)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
