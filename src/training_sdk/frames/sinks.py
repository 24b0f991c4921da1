"""Destinations of the pages of a listing: an Arrow table, a pandas or a Polars frame; and rows as Arrow batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from training_sdk.frames.columns import Column, Kind, States, library

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
