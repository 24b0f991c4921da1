"""Rows as Arrow record batches. pyarrow is imported when the first batch is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from training_sdk.frames.columns import Column, Kind, States, library

if TYPE_CHECKING:
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
