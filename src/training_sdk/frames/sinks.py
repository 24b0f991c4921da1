"""Destinations of the pages of a listing: Arrow tables, frames, folders of Parquet files; and rows as Arrow batches."""

from __future__ import annotations

import os
import secrets
import shutil
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from training_sdk.errors import InvalidArgumentError
from training_sdk.frames.columns import Column, Kind, States, column_named, library
from training_sdk.records import storage

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class Batches:
    """Makes record batches of one schema.

    Dictionaries only grow from batch to batch, so that the codes of earlier batches stay right.
    """

    def __init__(self, columns: Sequence[Column], method: str) -> None:
        self._pa = library("pyarrow", "arrow", method)
        self._columns = columns
        self._states = States.of(columns)
        self._dictionaries: dict[str, Any] = {}
        self._types = _types(self._pa)
        self.schema: pa.Schema = self._pa.schema([(one.name, self._types[one.kind]) for one in columns])

    def batch(self, rows: Sequence[Any]) -> pa.RecordBatch:
        """Return rows as one record batch."""
        arrays = [self._array(column, column.narrow_values(rows)) for column in self._columns]
        return self._pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _array(self, column: Column, values: list[Any]) -> pa.Array:
        pa = self._pa
        if column.kind is not Kind.STATE:
            return pa.array(values, self._types[column.kind])
        states = self._states[column.name]
        codes = pa.array(states.codes(values), pa.int32())
        dictionary = self._dictionaries.get(column.name)
        if dictionary is None or len(dictionary) < len(states.index):
            dictionary = self._dictionaries[column.name] = pa.array([*states.index], pa.string())
        return pa.DictionaryArray.from_arrays(codes, dictionary)


def _types(pa: Any) -> dict[Kind, Any]:
    return {
        Kind.TEXT: pa.string(),
        Kind.STATE: pa.dictionary(pa.int32(), pa.string()),
        Kind.INTEGER: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.TIME: pa.timestamp("us", "UTC"),
        Kind.TEXTS: pa.list_(pa.string()),
        Kind.JSON: pa.string(),
    }


R = TypeVar("R")


class Sink(ABC, Generic[R]):
    """Takes the rows of one page after the other, and returns the whole at the end."""

    @abstractmethod
    def add(self, rows: Sequence[Any]) -> None:
        """Take the rows of one page."""

    @abstractmethod
    def finish(self) -> R:
        """Return the whole."""

    def discard(self) -> None:
        """Remove what was made so far, because the listing was not read to its end."""


class ArrowSink(Sink["pa.Table"]):
    """Makes an Arrow table, with one chunk for each page."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._batches = Batches(columns, "to_arrow")
        self._pages: list[Any] = []

    def add(self, rows: Sequence[Any]) -> None:
        """Take the rows of one page."""
        self._pages.append(self._batches.batch(rows))

    def finish(self) -> pa.Table:
        """Return the table, in which each column has one dictionary."""
        pyarrow = library("pyarrow", "arrow", "to_arrow")
        return pyarrow.Table.from_batches(self._pages, self._batches.schema).unify_dictionaries()


class PolarsSink(Sink["pl.DataFrame"]):
    """Makes a Polars frame, with one chunk for each page."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._pl = pl = library("polars", "polars", "to_polars")
        types = {
            Kind.TEXT: pl.String,
            Kind.STATE: pl.Categorical,
            Kind.INTEGER: pl.Int64,
            Kind.NUMBER: pl.Float64,
            Kind.BOOLEAN: pl.Boolean,
            Kind.TIME: pl.Datetime("us", "UTC"),
            Kind.TEXTS: pl.List(pl.String),
            Kind.JSON: pl.String,
        }
        self._columns = columns
        self._schema = {one.name: types[one.kind] for one in columns}
        self._pages = [pl.DataFrame(schema=self._schema)]

    def add(self, rows: Sequence[Any]) -> None:
        """Take the rows of one page."""
        values = {column.name: column.narrow_values(rows) for column in self._columns}
        self._pages.append(self._pl.DataFrame(values, schema=self._schema))

    def finish(self) -> pl.DataFrame:
        """Return the frame."""
        whole: pl.DataFrame = self._pl.concat(self._pages, rechunk=False)
        return whole


class PandasSink(Sink["pd.DataFrame"]):
    """Makes a pandas frame. The pages are joined column by column, so one column at most is held twice."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._pd = library("pandas", "pandas", "to_pandas")
        self._columns = columns
        self._states = States.of(columns)
        self._pages: dict[str, list[Any]] = {one.name: [self._part(one, [])] for one in columns}

    def add(self, rows: Sequence[Any]) -> None:
        """Take the rows of one page."""
        for column in self._columns:
            self._pages[column.name].append(self._part(column, column.narrow_values(rows)))

    def _part(self, column: Column, values: list[Any]) -> Any:
        if column.kind is Kind.TIME:  # pandas 2 reads datetimes as nanoseconds, which end in 2262
            naive = [None if value is None else value.replace(tzinfo=None) for value in values]
            moments = library("numpy", "pandas", "to_pandas").array(naive, dtype="datetime64[us]")
            return self._pd.Series(moments).dt.tz_localize("UTC").array
        if column.kind is not Kind.STATE:
            return self._pd.Series(values, dtype=_PANDAS_TYPES[column.kind]).array
        codes = self._states[column.name].codes(values)
        return self._pd.Series([-1 if code is None else code for code in codes], dtype="int32").array

    def finish(self) -> pd.DataFrame:
        """Return the frame."""
        whole = {column.name: self._joined(column) for column in self._columns}
        return self._pd.DataFrame(whole, copy=False)

    def _joined(self, column: Column) -> Any:
        pandas = self._pd
        parts = self._pages.pop(column.name)
        joined = pandas.concat([pandas.Series(part, copy=False) for part in parts], ignore_index=True)
        if column.kind is not Kind.STATE:
            return joined
        categories = pandas.Index([*self._states[column.name].index], dtype=object)
        return pandas.Series(pandas.Categorical.from_codes(joined.to_numpy(), categories=categories))


_PANDAS_TYPES = {
    Kind.TEXT: "string",
    Kind.INTEGER: "Int64",
    Kind.NUMBER: "float64",
    Kind.BOOLEAN: "boolean",
    Kind.TEXTS: "object",
    Kind.JSON: "string",
}


ROW_GROUP = 131_072
"""Rows that are held until they are written."""
MOST_OPEN = 64
"""Files that are open at once. A part whose file was closed continues in another file."""
LONGEST_NAME = 100
DRAFT, WHOLE = ".draft", ".parquet"
_PARTS = (Kind.TEXT, Kind.STATE, Kind.INTEGER, Kind.BOOLEAN)


class ParquetSink(Sink[int]):
    """Writes a new folder, 0700, of files, 0600, and returns the number of rows.

    Until the end, everything is in a hidden folder beside it, in files without the suffix ``.parquet``.
    """

    def __init__(
        self, path: str | os.PathLike[str], columns: Sequence[Column], partition_by: str | None
    ) -> None:
        self._pq = library("pyarrow.parquet", "arrow", "to_parquet")
        self._batches = Batches(columns, "to_parquet")
        self._part_of = None
        if partition_by is not None:
            self._part_of = column_named(columns, partition_by, "partition_by", _PARTS).name
        self._target = Path(os.path.realpath(path))
        with _refusing(self._target):
            _refuse_content(self._target)
            self._draft = self._target.with_name(f".{secrets.token_hex(8)}.part")
            self._draft.mkdir(mode=storage.PRIVATE_FOLDER)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._rows_waiting = self._files = 0
        self._open: OrderedDict[Hashable, tuple[Any, Any]] = OrderedDict()

    def add(self, rows: Sequence[Any]) -> None:
        """Take the rows of one page, and write a row group if there are enough."""
        if rows:
            self._waiting.append(self._batches.batch(rows))
            self._rows += len(rows)
            self._rows_waiting += len(rows)
            if self._rows_waiting >= ROW_GROUP:
                self._write()

    def finish(self) -> int:
        """Write the rest, give files and folder their names, and return the number of rows."""
        if self._waiting or not self._files:
            self._write()
        with _refusing(self._target):
            while self._open:
                self._close(*self._open.popitem()[1])
            for folder, _, names in os.walk(self._draft, topdown=False):
                for name in names:
                    draft = Path(folder, name)
                    draft.rename(draft.with_suffix(WHOLE))
                storage.sync_folder(Path(folder))
            with suppress(FileNotFoundError):
                self._target.rmdir()  # it is empty; Windows renames over no folder
            self._draft.rename(self._target)
            try:
                storage.sync_folder(self._target.parent)
            except OSError:
                self._target.rename(self._draft)  # to be discarded
                raise
        return self._rows

    def discard(self) -> None:
        """Remove the hidden folder."""
        while self._open:
            writer, file = self._open.popitem()[1]
            with suppress(Exception):
                writer.close()
            with suppress(OSError):
                file.close()
        shutil.rmtree(self._draft, ignore_errors=True)

    def _write(self) -> None:
        table = (
            library("pyarrow", "arrow", "to_parquet")
            .Table.from_batches(self._waiting, self._batches.schema)
            .unify_dictionaries()
        )
        self._waiting, self._rows_waiting = [], 0
        with _refusing(self._target):
            for part, rows in self._parts(table):
                self._writer(part).write_table(rows, row_group_size=ROW_GROUP)

    def _parts(self, table: pa.Table) -> Iterator[tuple[Hashable, pa.Table]]:
        """Yield the rows of each part, in their order."""
        if self._part_of is None or not len(table):
            yield None, table
            return
        places: dict[Hashable, list[int]] = {}
        for place, value in enumerate(table.column(self._part_of).to_pylist()):
            places.setdefault(value, []).append(place)
        for value, found in places.items():
            yield value, table if len(found) == len(table) else table.take(found)

    def _writer(self, part: Hashable) -> Any:
        if part in self._open:
            self._open.move_to_end(part)
            return self._open[part][0]
        if len(self._open) >= MOST_OPEN:
            self._close(*self._open.popitem(last=False)[1])
        folder = self._draft
        if self._part_of is not None and self._rows:
            folder = folder / f"{self._part_of}-{quote(str(part), safe='')[:LONGEST_NAME]}"
            folder.mkdir(mode=storage.PRIVATE_FOLDER, exist_ok=True)
        path = folder / f"part-{self._files}{DRAFT}"
        file = os.fdopen(storage.open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb")
        self._files += 1
        try:
            writer = self._pq.ParquetWriter(file, self._batches.schema, compression="zstd")
        except BaseException:
            file.close()
            raise
        self._open[part] = writer, file
        return writer

    def _close(self, writer: Any, file: Any) -> None:
        try:
            writer.close()
            file.flush()
            storage.sync(file.fileno())
        finally:
            file.close()


def _refuse_content(target: Path) -> None:
    """Raise InvalidArgumentError unless the folder is missing or empty."""
    if not os.path.lexists(target):
        return
    if not target.is_dir() or any(target.iterdir()):
        raise InvalidArgumentError(
            f"{target} exists and is not an empty folder. Parquet files are written into a missing or an empty folder "
            "only. Choose a new name.",
            argument="path",
        )


@contextmanager
def _refusing(target: Path) -> Iterator[None]:
    """Turn what the operating system refuses into InvalidArgumentError, naming the folder and the cause."""
    try:
        yield
    except OSError as error:
        raise storage.unwritable(error, target, "a folder of Parquet files", "path") from error
