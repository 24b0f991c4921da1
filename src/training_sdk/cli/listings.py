"""Output of a listing in the format that the user chose, page by page: to standard output, or to a new file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial, wraps
from pathlib import Path
from typing import Any, Generic, TypeVar

import click
from attrs import define, evolve, frozen

from training_sdk._core.operation import Listing
from training_sdk._core.text import number, text_cell
from training_sdk.api.progress import ProgressRow
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.output import Output, is_terminal, plain, refuse_existing, refuse_place
from training_sdk.cli.session import Session, with_session
from training_sdk.cli.streams import failure_of
from training_sdk.errors import InvalidArgumentError
from training_sdk.frames.columns import (
    BYTE_ORDER_MARK,
    columns_of,
    csv_header,
    csv_rows,
    csv_text,
    json_lines,
)
from training_sdk.records import storage

T = TypeVar("T")

TABLE, CSV, JSONL, PARQUET, EXPORTER = "table", "csv", "jsonl", "parquet", "exporter-csv"
FORMATS = (TABLE, CSV, JSONL, PARQUET)
WHAT = "an export"


@frozen
class Destination:
    """The format and the file that the user chose; without a file, standard output."""

    format: str
    output: Path | None

    def check(self, *, json: bool) -> None:
        """Raise InvalidArgumentError for options that exclude each other, before anything is read."""
        if self.format == TABLE:
            if self.output is not None:
                raise InvalidArgumentError(
                    f"--output is for --format {EXPORTER}, {CSV}, {JSONL} and {PARQUET}. "
                    f"{'--json' if json else 'A table'} goes to standard output."
                )
            return
        if json:
            raise InvalidArgumentError(
                f"--format {self.format} and --json exclude each other. Leave --json out."
            )
        if self.format == PARQUET:
            if self.output is None:
                raise InvalidArgumentError(
                    f"--format {PARQUET} writes a folder. Name a new one with --output."
                )
            refuse_place(self.output, WHAT)
        else:
            refuse_existing(self.output, WHAT)


def lists(*more: str) -> Callable[[Callable[..., None]], Callable[..., ExitCode]]:
    """Make a command that lists: with a session, and --format and --output; ``more`` has formats of this one only."""

    def made(function: Callable[..., None]) -> Callable[..., ExitCode]:
        @wraps(function)
        def called(session: Session, format_: str, output: Path | None, **given: Any) -> None:
            to = Destination(format_, output)
            to.check(json=session.out.json)
            function(session, to=to, **given)

        exporter = "; exporter-csv: the 15 columns of the vendor's exporter, which training-mock loads"
        command = click.option(
            "--output",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="New file, or new folder for parquet; not for table. [default: standard output]",
        )(with_session(called))
        return click.option(
            "--format",
            "format_",
            type=click.Choice([*FORMATS, *more]),
            default=TABLE,
            show_default=True,
            help="table; csv for a spreadsheet; jsonl: a line of JSON for each row; parquet: a folder"
            f"{exporter if more else ''}.",
        )(command)

    return made


@frozen
class Shown(Generic[T]):
    """The items of a command: the key in the document, and the columns of the table with what gives their values."""

    name: str
    columns: Mapping[str, Callable[[T], object]]
    one: str

    def values(self, items: Sequence[T]) -> Iterator[list[object]]:
        """Yield the values of each column."""
        for value_of in self.columns.values():
            yield [*map(value_of, items)]


@define
class Pages(Generic[T]):
    """Pages of a listing that are not empty, filtered and limited; counts the items."""

    listing: Listing[T]
    keep: Callable[[T], bool] | None = None
    limit: int | None = None
    seen: Callable[[Sequence[T]], object] = lambda page: None
    """Called with each page."""
    if_empty: Exception | None = None
    """Raised at the end if there is no item."""
    count: int = 0

    @property
    def model(self) -> type[Any]:
        """The model of the items."""
        return self.listing._model()

    def __iter__(self) -> Iterator[Sequence[T]]:
        for page in self.listing.pages():
            kept = page.items if self.keep is None else tuple(filter(self.keep, page.items))
            found = kept if self.limit is None else kept[: self.limit - self.count]
            if found:
                self.count += len(found)
                self.seen(found)
                yield found
            if self.count == self.limit:
                return
        if not self.count and self.if_empty is not None:
            raise self.if_empty


@frozen
class Writer:
    """The text of a format: what comes first, and the rows of a page."""

    header: str
    rows: Callable[[Sequence[Any]], str]


def writer_of(format_: str, model: type[Any]) -> Writer:
    """Return the writer of a format of text."""
    if format_ == EXPORTER:
        return Writer(exporter_header(), exporter_rows)
    columns = columns_of(model)
    if format_ == CSV:
        return Writer(csv_header(columns), partial(csv_rows, columns))
    return Writer("", partial(json_lines, columns))


def write_listing(
    out: Output,
    pages: Pages[T],
    shown: Shown[T],
    to: Destination,
    restrictions: Callable[[], Iterable[str]] = tuple,
) -> None:
    """Write the items of a listing, then warn of restrictions. With --json they are the document's one field."""
    if write_items(out, pages, shown, to):
        out.note(f"{number(pages.count, shown.one)}{written_to(to)}")
        out.warn_each(restrictions())


def written_to(to: Destination) -> str:
    """Return the end of a note about the items: a full stop, and the place of the output if it is a file."""
    return "." if to.output is None else f". The output is in {to.output}."


def write_items(out: Output, pages: Pages[T], shown: Shown[T], to: Destination) -> bool:
    """Write the items without their number; return whether all of them could be written."""
    if to.format == PARQUET:
        _write_parquet(pages, to)
    elif to.output is not None:
        _write_file(pages, to.format, to.output)
    else:
        try:
            _show(out, pages, shown) if to.format == TABLE else _print_text(out, pages, to.format)
        except BaseException:
            if pages.count and not out.json:
                out.warn("The output is incomplete.")
            raise
        return failure_of(out.stdout) is None
    return True


def _while_read(out: Output, pages: Pages[T]) -> Iterator[Sequence[T]]:
    """Yield the pages until standard output fails, such as a pipe into ``head``: no page is requested for nobody."""
    for page in pages:
        yield page
        if failure_of(out.stdout) is not None:
            return


def _show(out: Output, pages: Pages[T], shown: Shown[T]) -> None:
    if out.json:
        out.document({shown.name: plain([one for page in pages for one in page])})
        return

    def columns() -> Iterator[Iterable[Sequence[object]]]:
        for page in _while_read(out, pages):
            yield shown.values(page)
        if not pages.count:
            yield shown.values(())

    out.streamed_table([*shown.columns], columns())


def _text(pages: Iterable[Sequence[T]], writer: Writer) -> Iterator[str]:
    before = writer.header
    for page in pages:
        yield before + writer.rows(page)
        before = ""
    if before:
        yield before


def _print_text(out: Output, pages: Pages[T], format_: str) -> None:
    writer = writer_of(format_, pages.model)
    if is_terminal(out.stdout):
        writer = evolve(writer, header=writer.header.removeprefix(BYTE_ORDER_MARK))
    for part in _text(_while_read(out, pages), writer):
        out.plain(part)


def _write_file(pages: Pages[T], format_: str, output: Path) -> None:
    """Write text into a new file, which gets its name once it is whole."""
    with storage.new_file(output, WHAT) as file:
        for part in _text(pages, writer_of(format_, pages.model)):
            file.write(part.encode("utf-8", "backslashreplace"))


def _write_parquet(pages: Pages[T], to: Destination) -> None:
    from training_sdk.frames.sinks import ParquetSink

    try:
        sink = ParquetSink(to.output or "", columns_of(pages.model), None)
    except ImportError as error:
        raise InvalidArgumentError(str(error)) from error
    try:
        for page in pages:
            sink.add(page)
        sink.finish()
    except BaseException:
        sink.discard()
        raise


EXPORTER_COLUMNS = (
    *("opened_at", "completed_at", "total_lessons", "completed_lessons", "course_id", "course_external_id"),
    *("course_title", "user_email", "user_first_name", "user_last_name", "user_id", "user_external_id"),
    *("progress_percent", "score", "due_at"),
)
_EXPORTER_TEXTS = (
    *("course_id", "course_external_id", "course_title", "user_email", "user_first_name", "user_last_name"),
    *("user_id", "user_external_id"),
)


def exporter_header() -> str:
    """Return the names of the exporter's columns."""
    return csv_text([EXPORTER_COLUMNS])


def exporter_rows(rows: Iterable[ProgressRow]) -> str:
    """Return rows in the exporter's format; texts are unchanged, so that the file can be loaded again."""
    return csv_text([_exporter_cells(row) for row in rows]).encode("utf-8", "backslashreplace").decode()


def has_formula(row: ProgressRow) -> bool:
    """Return True if a spreadsheet could interpret a text of this row as a formula."""
    texts = [getattr(row, name) or "" for name in _EXPORTER_TEXTS]
    return any(text_cell(one) != one for one in texts)


def _exporter_cells(row: ProgressRow) -> list[object]:
    total = row.completed_lessons if row.total_lessons is None else row.total_lessons
    filled = {
        "opened_at": _exporter_date(row.opened_at),
        "completed_at": _exporter_date(row.completed_at),
        "due_at": _exporter_date(row.due_at),
        "total_lessons": total,
        "completed_lessons": row.completed_lessons,
        "progress_percent": _exporter_number(row.progress_percent),
        "score": row.score or 0,
    }
    return [filled[name] if name in filled else getattr(row, name) or "" for name in EXPORTER_COLUMNS]


def _exporter_date(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat().replace("+00:00", "Z")


def _exporter_number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
