"""Checked rows of the vendor exporter's ``training_course_progresses.csv``: text lines in, rows out.

Nothing is trimmed, guessed or filled in. All problems are collected with line and column, so that a file can be fixed
at once.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import fields, frozen

from mock_server.world import clock

LISTED = 20
"""Problems that an error lists; the others are only counted."""

MOST_LESSONS = 10_000
"""Most lessons of one course; each is created, so a typing error must not create millions."""

_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_WHOLE = re.compile(r"[0-9]{1,10}")
_DECIMAL = re.compile(r"[0-9]{1,3}(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_ID = re.compile(r"[^/\\\x00-\x1f\x7f-\x9f]{1,128}")
INT32 = 2**31 - 1
"""The largest whole number on the wire."""


@frozen
class ExportRow:
    """One row of the file: one person in one course. The fields are the file's columns."""

    opened_at: str
    completed_at: str
    total_lessons: int
    completed_lessons: int
    course_id: str
    course_external_id: str
    course_title: str
    user_email: str
    user_first_name: str
    user_last_name: str
    user_id: str
    user_external_id: str
    progress_percent: float
    score: int
    due_at: str


COLUMNS = tuple(each.name for each in fields(ExportRow))


@frozen
class Problem:
    """One problem of a file."""

    line: int
    """Line of the file, from 1, where the row begins; 0 for the whole file."""
    column: str
    """"" for the whole line."""
    message: str

    def __str__(self) -> str:
        if not self.line:
            return self.message
        return f"line {self.line}{f', column {self.column}' if self.column else ''}: {self.message}"


class ExporterCsvError(ValueError):
    """A file that is not a valid export. Nothing of it was loaded."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(source, problems)
        self.source = source
        self.problems = problems

    def __str__(self) -> str:
        listed = [str(problem) for problem in self.problems[:LISTED]]
        if len(self.problems) > LISTED:
            listed.append(f"and {len(self.problems) - LISTED} more")
        return f"{self.source}: " + "\n  ".join(listed)


def parse(lines: Iterable[str], source: str = "export") -> list[ExportRow]:
    """Read and check an export. Raises ExporterCsvError with every problem by line and column."""
    records = _records(lines, source)
    line, header = next(records, (1, []))
    order = _columns(header, line, source)
    problems: list[Problem] = []
    rows: list[ExportRow] = []
    first_seen: dict[tuple[str, str], int] = {}
    for line, cells in records:
        found, row = _row(line, order, cells)
        problems += found
        if row is not None:
            problems += _repeated(line, row, first_seen)
            rows.append(row)
    if problems:
        raise ExporterCsvError(source, tuple(problems))
    return rows


def check_row(line: int, cells: Mapping[str, str]) -> tuple[list[Problem], ExportRow | None]:
    """Return a row by its columns, or its problems; for rows from another source than a CSV file."""
    return _row(line, list(COLUMNS), [cells[name] for name in COLUMNS])


def _records(lines: Iterable[str], source: str) -> Iterator[tuple[int, list[str]]]:
    """Yield records, each with its first line; skip blank lines."""
    reader = csv.reader(lines, strict=True)
    begin = 1
    try:
        for cells in reader:
            if cells:
                yield begin, cells
            begin = reader.line_num + 1
    except csv.Error as error:
        raise ExporterCsvError(
            source, (Problem(begin, "", f"The line is not valid CSV ({error})."),)
        ) from None


def _columns(header: list[str], line: int, source: str) -> list[str]:
    """Return the order of the columns. Raises ExporterCsvError unless the header has each exactly once."""
    if not header:
        raise ExporterCsvError(
            source,
            (Problem(1, "", f"The file is empty. It must begin with the columns {','.join(COLUMNS)}."),),
        )
    if left := _left_by_a_spreadsheet(header):
        raise ExporterCsvError(source, (Problem(line, "", left),))
    found = [Problem(line, name, "The column is missing.") for name in COLUMNS if name not in header]
    found += [Problem(line, name, "The export has no such column.") for name in header if name not in COLUMNS]
    found += [
        Problem(line, name, "The column occurs more than once.") for name in COLUMNS if header.count(name) > 1
    ]
    if found:
        raise ExporterCsvError(source, tuple(found))
    return header


def _left_by_a_spreadsheet(header: list[str]) -> str | None:
    """Return the problem if a spreadsheet has changed the header."""
    if re.fullmatch(r"\ufeff?sep=.?", header[0], re.IGNORECASE):
        return f"{header[0]!r} is a line that a spreadsheet program added. Delete it."
    if len(header) == 1:
        for separator, name in ((";", "semicolons"), ("\t", "tabs")):
            if separator in header[0]:
                return f"The columns are separated by {name}. Separate them by commas, as the exporter does."
    if header[0].startswith("\ufeff"):
        return "The file begins with two byte order marks. Delete one."
    if nameless := [str(place) for place, name in enumerate(header, 1) if not name.strip()]:
        return f"Column {', '.join(nameless)} has no name. Delete it: the exporter writes no such column."
    return None


def _row(line: int, order: list[str], cells: list[str]) -> tuple[list[Problem], ExportRow | None]:
    if len(cells) != len(order):
        return [Problem(line, "", f"The line has {len(cells)} cells instead of {len(order)}.")], None
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for column, text in zip(order, cells, strict=True):
        try:
            values[column] = _READ.get(column, str)(text)
        except ValueError as error:
            problems.append(Problem(line, column, str(error)))
    if problems:
        return problems, None
    row = ExportRow(**values)
    if row.completed_lessons > row.total_lessons:
        message = (
            f"The value must be at most total_lessons ({row.total_lessons}), not {row.completed_lessons}."
        )
        return [Problem(line, "completed_lessons", message)], None
    return [], row


def _repeated(line: int, row: ExportRow, first_seen: dict[tuple[str, str], int]) -> list[Problem]:
    before = first_seen.setdefault((row.course_id, row.user_id), line)
    if before == line:
        return []
    return [Problem(line, "user_id", f"This user has a row in this course already, in line {before}.")]


def date(text: str) -> str:
    """Return a date unchanged, "" for none."""
    if text:
        try:
            if not _DATE.fullmatch(text):
                raise ValueError
            clock.parse(text)
        except (ValueError, OverflowError):
            raise ValueError(
                f"The value must be a date such as 2026-01-31T09:00:00Z or empty, not {_shown(text)}."
            ) from None
    return text


def whole(most: int = INT32) -> Callable[[str], int]:
    """Return a reader of whole numbers from 0."""

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or int(text) > most:
            raise ValueError(f"The value must be a whole number from 0 to {most}, not {_shown(text)}.")
        return int(text)

    return read


def percent(text: str) -> float:
    """A number from 0 to 100."""
    if not _DECIMAL.fullmatch(text) or float(text) > 100:
        raise ValueError(f"The value must be a number from 0 to 100, not {_shown(text)}.")
    return float(text)


def identifier(text: str) -> str:
    """Return an id that can be part of a path, because requests name it there."""
    if not text:
        raise ValueError("The value is empty, and an id is needed.")
    if text in (".", "..") or not _ID.fullmatch(text):
        raise ValueError(
            "The value must be an id of at most 128 characters without slash and control character,"
            f" not {_shown(text)}."
        )
    return text


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")


_READ: dict[str, Callable[[str], Any]] = {
    "opened_at": date,
    "completed_at": date,
    "due_at": date,
    "total_lessons": whole(MOST_LESSONS),
    "completed_lessons": whole(MOST_LESSONS),
    "score": whole(),
    "progress_percent": percent,
    "course_id": identifier,
    "user_id": identifier,
}
"""Readers of columns; all other columns are text."""
