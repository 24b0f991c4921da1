"""A folder of Parquet files, written row group by row group, that gets its name once it is whole."""

from __future__ import annotations

import os
import secrets
import shutil
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from training_sdk.errors import InvalidArgumentError
from training_sdk.frames.columns import Column, Kind, column_named, library
from training_sdk.frames.sinks import Batches, Sink
from training_sdk.records import storage

if TYPE_CHECKING:
    import pyarrow as pa

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
        self._held: list[pa.RecordBatch] = []
        self._rows = self._rows_held = self._files = 0
        self._open: OrderedDict[Hashable, tuple[Any, Any]] = OrderedDict()

    def add(self, rows: Sequence[Any]) -> None:
        """Take the rows of one page, and write a row group if there are enough."""
        if rows:
            self._held.append(self._batches.batch(rows))
            self._rows += len(rows)
            self._rows_held += len(rows)
            if self._rows_held >= ROW_GROUP:
                self._write()

    def finish(self) -> int:
        """Write the rest, give files and folder their names, and return the number of rows."""
        if self._held or not self._files:
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
            .Table.from_batches(self._held, self._batches.schema)
            .unify_dictionaries()
        )
        self._held, self._rows_held = [], 0
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
