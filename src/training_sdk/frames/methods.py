"""The methods of listings, and of rows that were read, that convert rows for other libraries, page by page."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from training_sdk._core.listing import Page
from training_sdk._core.text import notebook_html, paragraphs_html, table_html

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from training_sdk.frames.columns import Column
    from training_sdk.frames.sinks import Sink


T = TypeVar("T")
R = TypeVar("R")
MOST_ROWS = 20
"""Rows of a listing in a notebook."""


class _Rows(ABC):
    """Base of both: the model of the rows, and the destinations, whose modules are imported when they are used."""

    _model: Callable[[], type[Any]]

    def _columns(self, extra_fields: bool) -> tuple[Column, ...]:
        from training_sdk.frames.columns import columns_of

        return columns_of(self._model(), extra_fields=extra_fields)

    def _dicts(self, extra_fields: bool) -> Callable[[Sequence[Any]], Iterator[dict[str, Any]]]:
        from training_sdk.frames.columns import dicts

        return partial(dicts, self._columns(extra_fields))

    def _arrow(self, extra_fields: bool) -> Sink[pa.Table]:
        from training_sdk.frames.sinks import ArrowSink

        return ArrowSink(self._columns(extra_fields))

    def _pandas(self, extra_fields: bool) -> Sink[pd.DataFrame]:
        from training_sdk.frames.sinks import PandasSink

        return PandasSink(self._columns(extra_fields))

    def _polars(self, extra_fields: bool) -> Sink[pl.DataFrame]:
        from training_sdk.frames.sinks import PolarsSink

        return PolarsSink(self._columns(extra_fields))

    def _parquet(
        self, path: str | os.PathLike[str], partition_by: str | None, extra_fields: bool
    ) -> Sink[int]:
        from training_sdk.frames.sinks import ParquetSink

        return ParquetSink(path, self._columns(extra_fields), partition_by)


class Frames(_Rows, Generic[T]):
    """The rows of a listing for other libraries. Each call reads the listing from its beginning.

    All formats have the same columns: one for each field and each property of the model, whatever the rows contain.
    Dates are in UTC. The fields of a nested model are columns such as ``identifier_name``. Lists of texts stay lists.
    Other data is JSON text. With ``extra_fields`` the last column, ``extra``, contains the fields that the SDK does not
    know, as JSON text. A number of more than 64 bits raises DecodingError, except in ``to_dicts``.
    """

    @abstractmethod
    def pages(self) -> Iterator[Page[T]]:
        """Yield the items page by page."""

    def to_dicts(self, *, extra_fields: bool = False) -> Iterator[dict[str, Any]]:
        """Yield each row as a dictionary. At most one page is in memory."""
        read = self._dicts(extra_fields)
        for page in self.pages():
            yield from read(page.items)

    def to_arrow(self, *, extra_fields: bool = False) -> pa.Table:
        """Return a pyarrow table. Needs the extra ``[arrow]``. Raises ImportError without it."""
        return self._into(self._arrow(extra_fields))

    def to_pandas(self, *, extra_fields: bool = False) -> pd.DataFrame:
        """Return a pandas frame with nullable types. Needs the extra ``[pandas]``. Raises ImportError without it."""
        return self._into(self._pandas(extra_fields))

    def to_polars(self, *, extra_fields: bool = False) -> pl.DataFrame:
        """Return a Polars frame. Needs the extra ``[polars]``. Raises ImportError without it."""
        return self._into(self._polars(extra_fields))

    def to_parquet(
        self,
        path: str | os.PathLike[str],
        *,
        partition_by: str | None = None,
        extra_fields: bool = False,
    ) -> int:
        """Write Parquet files into a folder, and return the number of rows. Needs the extra ``[arrow]``.

        Arguments:

        - ``path``: The folder. It must be missing or empty, and its parent must exist. Only its owner can enter it.
        - ``partition_by``: A column, such as ``"course_id"``: write one subfolder for each of its values. The column is
          in the files too.
        - ``extra_fields``: Add the column ``extra``, with the fields that the SDK does not know.

        At most one row group of 131,072 rows is in memory. The folder gets its name when all rows are on the disk;
        after an error it is removed. A process that is killed leaves a hidden folder beside it, whose name ends with
        ``.part``. Raises InvalidArgumentError if the folder cannot be written.
        """
        return self._into(self._parquet(path, partition_by, extra_fields))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return a stream for a library that reads Arrow, such as DuckDB or Polars. Needs the extra ``[arrow]``."""
        from training_sdk.frames.columns import library
        from training_sdk.frames.sinks import Batches

        batches = Batches(self._columns(False), "__arrow_c_stream__")
        made = (batches.batch(page.items) for page in self.pages())
        reader = library("pyarrow", "arrow", "__arrow_c_stream__").RecordBatchReader
        stream: object = reader.from_batches(batches.schema, made).__arrow_c_stream__(requested_schema)
        return stream

    def _repr_html_(self) -> str:
        """Return a table of the first rows for a notebook. A listing is read to the end of its first page."""
        columns = self._columns(False)
        page = next(self.pages())
        values = zip(*(column.values(page.items[:MOST_ROWS]) for column in columns), strict=True)
        table = table_html([column.name for column in columns], values)
        count = "" if page.total is None else f" of {page.total}"
        shown = min(len(page), MOST_ROWS)
        return notebook_html(f"{table}{paragraphs_html([f'The first {shown}{count} rows.'])}")

    def _into(self, sink: Sink[R]) -> R:
        try:
            for page in self.pages():
                sink.add(page.items)
            return sink.finish()
        except BaseException:
            sink.discard()
            raise


class AsyncFrames(_Rows, Generic[T]):
    """The rows of a listing for other libraries, as on the sync client: awaited, and ``to_dicts`` with ``async for``.

    An async listing is not an Arrow stream, because such a stream is read without ``await``; ``await
    listing.to_arrow()`` returns a table. Pages are converted on another thread.
    """

    @abstractmethod
    def pages(self) -> AsyncIterator[Page[T]]:
        """Yield the items page by page."""

    async def to_dicts(self, *, extra_fields: bool = False) -> AsyncIterator[dict[str, Any]]:
        """Yield each row as a dictionary. At most one page is in memory."""
        read = self._dicts(extra_fields)
        async for page in self.pages():
            for row in read(page.items):
                yield row

    async def to_arrow(self, *, extra_fields: bool = False) -> pa.Table:
        """Return a pyarrow table. Needs the extra ``[arrow]``. Raises ImportError without it."""
        return await self._into(self._arrow(extra_fields))

    async def to_pandas(self, *, extra_fields: bool = False) -> pd.DataFrame:
        """Return a pandas frame with nullable types. Needs the extra ``[pandas]``. Raises ImportError without it."""
        return await self._into(self._pandas(extra_fields))

    async def to_polars(self, *, extra_fields: bool = False) -> pl.DataFrame:
        """Return a Polars frame. Needs the extra ``[polars]``. Raises ImportError without it."""
        return await self._into(self._polars(extra_fields))

    async def to_parquet(
        self,
        path: str | os.PathLike[str],
        *,
        partition_by: str | None = None,
        extra_fields: bool = False,
    ) -> int:
        """Write Parquet files into a folder as ``Listing.to_parquet`` does, and return the number of rows."""
        return await self._into(self._parquet(path, partition_by, extra_fields))

    async def _into(self, sink: Sink[R]) -> R:
        from anyio import to_thread

        try:
            async for page in self.pages():
                await to_thread.run_sync(sink.add, page.items)
            return await to_thread.run_sync(sink.finish)
        except BaseException:
            sink.discard()
            raise


class Rows(Frames[T]):
    """Values of one model, in memory, with the methods of a listing that convert rows. Equal to a tuple of them.

    It is neither a tuple nor a Sequence: Polars, DuckDB and pyarrow would read it as objects, not as an Arrow stream.
    """

    def __init__(self, model: type[T], rows: Iterable[T]) -> None:
        """Keep the rows. ``model`` gives the columns, also without rows."""
        self._model = lambda: model
        self._rows = tuple(rows)

    def pages(self) -> Iterator[Page[T]]:
        """Yield all rows as one page."""
        yield Page(self._rows, 1, len(self._rows))

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...

    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        return self._rows[index]

    def __iter__(self) -> Iterator[T]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        return self._rows == (other._rows if isinstance(other, Rows) else other)

    def __hash__(self) -> int:
        return hash(self._rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return Rows, (self._model(), self._rows)

    def __repr__(self) -> str:
        return f"<{len(self)} of {self._model().__name__}: rows with to_dicts, to_pandas, to_polars and more>"
