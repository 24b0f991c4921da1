"""Tables of people, from CSV files and data frames: read strictly, with the line or row of every problem."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import IO, Any, Literal, TypeAlias

from attrs import define, field, frozen

from training_sdk._core import argument_checks
from training_sdk._core.text import mailbox, opening, sentence
from training_sdk.errors import InvalidArgumentError
from training_sdk.plans.wording import number
from training_sdk.records import storage

Kind: TypeAlias = Literal["user_id", "email", "external_id"]
Source: TypeAlias = str | PathLike[str] | IO[str] | IO[bytes]

LONGEST_NAME = 320
"""Of an e-mail address or an external id, in characters."""

WAYS: tuple[Kind, ...] = ("user_id", "email", "external_id")
NOTE = "note"
KNOWN = (*WAYS, "course_id", NOTE)
TEMPLATE = "user_id,email,external_id,note\n"

MOST_BYTES = 64 * 1024 * 1024
MOST_ROWS = 1_000_000
MOST_SHOWN = 20

_DELIMITERS = (",", ";", "\t")
_FORMULA = re.compile(r"[=@]|[+-](?!\d+$)")
_MISSING = ("NAType", "NaTType", "NoneType")
"""The values of empty cells in data frames, by the names of their types: neither library is imported here."""
_SEPARATOR_LINE = re.compile(r"\ufeff*\"?sep=.?\"?", re.IGNORECASE)
"""A first line that only Excel reads; it is not a header."""
_NAMELESS = re.compile(r"(unnamed: \d+)?")
"""Headers of columns without a name; pandas numbers them."""


@frozen
class Named:
    """One person as they were named, for one course or (``course_id`` None) for every course of the plan."""

    kind: Kind
    value: str
    course_id: str | None = None
    place: str = ""
    """The position, for errors: ``line 3`` of a file, ``row 3`` of a data frame."""

    @property
    def key(self) -> tuple[Kind, str, str | None]:
        """The key that is equal for two entries that name the same person in the same way."""
        return self.kind, _folded(self.kind, self.value), self.course_id

    def __str__(self) -> str:
        place = f" ({self.place})" if self.place else ""
        return f"{self.kind.replace('_', ' ')} {self.value!r}{place}"


def checked(kind: Kind, value: object, name: str) -> str:
    """Return an id, e-mail or external id. Raises InvalidArgumentError that says why it cannot be one."""
    if kind == "user_id":
        return argument_checks.one_id(value, name)
    text = argument_checks.text(value, name, longest=LONGEST_NAME)
    if not text.strip():
        raise InvalidArgumentError(f"{opening(name)} must not be empty.")
    if kind == "email" and (text.strip().count("@") != 1 or any(letter.isspace() for letter in text.strip())):
        raise InvalidArgumentError(f"{opening(name)} must be an e-mail address, not {text!r}.")
    return text


def _folded(kind: Kind, value: str) -> str:
    return mailbox(value) if kind == "email" else value


def merge(named: Iterable[Named]) -> tuple[tuple[Named, ...], tuple[str, ...]]:
    """Return every entry once, and a warning for each that was repeated."""
    kept: dict[tuple[Kind, str, str | None], Named] = {}
    warnings = []
    for one in named:
        first = kept.setdefault(one.key, one)
        if first is not one:
            again = f" (first in {first.place})" if first.place else ""
            warnings.append(f"The list names {one} more than once{again}. The person counts once.")
    return tuple(kept.values()), tuple(warnings)


# --- tables ---


@frozen
class Table:
    """The people that were read from a table, and the problems found."""

    entries: tuple[Named, ...]
    problems: tuple[str, ...]


def read_csv(source: Source, columns: Mapping[str, str] | None = None) -> list[Named]:
    """Return the people of a CSV file. Raises InvalidArgumentError with all problems."""
    return _whole(check_csv(source, columns), _title(source))


def check_csv(source: Source, columns: Mapping[str, str] | None = None) -> Table:
    """Return the people of a CSV file and its problems; ``columns`` are known names by header."""
    renamed = _renamed(columns or {})
    try:
        text = _text(_content(source))
    except InvalidArgumentError as fault:
        return Table((), (fault.message,))
    rows = records(text, {*KNOWN, *renamed})
    return _Reading("line", rows, skip_empty=True, renamed=renamed).table()


def _renamed(columns: Mapping[str, str]) -> dict[str, str]:
    """Return known names by folded header. Raises InvalidArgumentError for a name that is not known, or no header."""
    renamed: dict[str, str] = {}
    for header, name in columns.items():
        read = folded(argument_checks.text(header, "A header in columns"))
        if name not in KNOWN:
            raise InvalidArgumentError(f"A value of columns must be one of {', '.join(KNOWN)}, not {name!r}.")
        if not read or renamed.get(read, name) != name:
            raise InvalidArgumentError(f"columns must name each header once, not {header!r}.")
        renamed[read] = name
    return renamed


def folded(header: object) -> str:
    """Return a header as it is compared: without letter case and surrounding white space."""
    return str(header).strip().casefold()


def read_frame(frame: Any) -> list[Named]:
    """Return the people of a data frame. Raises InvalidArgumentError with all problems."""
    return _whole(_Reading("row", _rows(frame), skip_empty=False).table(), "The data frame")


def _whole(table: Table, title: str) -> list[Named]:
    if table.problems:
        count = len(table.problems)
        shown = [f"\n  {one}" for one in table.problems[:MOST_SHOWN]]
        more = f"\n  … and {count - MOST_SHOWN} more." if count > MOST_SHOWN else ""
        raise InvalidArgumentError(
            f"{title} cannot be used. {number(count, 'problem')} found:{''.join(shown)}{more}"
        )
    return list(table.entries)


# --- rows ---------------------------------------------------------------------------------------------------------


@define
class _Reading:
    """The reading of one table: numbered rows of cells, the header first."""

    unit: str
    rows: Iterator[tuple[int, Sequence[Any]]]
    skip_empty: bool
    renamed: Mapping[str, str] = field(factory=dict)
    entries: list[Named] = field(factory=list)
    problems: list[str] = field(factory=list)

    def table(self) -> Table:
        try:
            self._read()
        except csv.Error as fault:
            self.problems.append(f"{sentence(str(fault))} The rest cannot be read.")
        if not self.entries and not self.problems:
            self.problems.append("It has no people, and an empty list never means everyone.")
        return Table(tuple(self.entries), tuple(self.problems))

    def _read(self) -> None:
        number, cells = next((one for one in self.rows if any(map(str, one[1]))), (0, ()))
        found = [folded(cell) for cell in cells]
        header = [self.renamed.get(name, "" if _NAMELESS.fullmatch(name) else name) for name in found]
        if wrong := _wrong_header(header, [name for name in self.renamed if name not in found]):
            self.problems.append(f"the header: {wrong}" if number else wrong)
            return
        for count, (number, row) in enumerate(self.rows, 1):
            if count > MOST_ROWS:
                self.problems.append(f"It has more than {MOST_ROWS} rows. Split it.")
                return
            if self.skip_empty and not any(map(str.strip, row)):
                continue
            try:
                self.entries.append(_entry(header, row, f"{self.unit} {number}"))
            except InvalidArgumentError as fault:
                self.problems.append(f"{self.unit} {number}: {fault.message}")


def _wrong_header(header: Sequence[str], missing: Sequence[str]) -> str | None:
    if not any(header):
        return f"It is empty. It needs a header with one of {', '.join(WAYS)}."
    if left := left_by_excel(header):
        return left
    if missing:
        return f"There is no column {_quoted(missing)}, although --column or columns names it."
    if unknown := [name for name in header if name and name not in KNOWN]:
        if any("@" in name or name.startswith("user_") for name in unknown):
            remedy = "Check that the file begins with a header."
        else:
            remedy = (
                "Map others with --column or columns, for example E-Mail to email. A column that is mapped to note is "
                "ignored."
            )
        unknown_columns = f"unknown column{'s' if len(unknown) > 1 else ''} {_quoted(unknown)}"
        return f"The file has the {unknown_columns}. The known columns are {', '.join(KNOWN)}. {remedy}"
    if twice := [name for name in KNOWN if name != NOTE and header.count(name) > 1]:
        return f"The column {twice[0]!r} occurs twice."
    if not set(header) & set(WAYS):
        return f"No column names people. It needs one of {', '.join(WAYS)}."
    return None


def left_by_excel(header: Sequence[str]) -> str | None:
    """Return the problem with text that spreadsheets put before a header, or None."""
    if _SEPARATOR_LINE.fullmatch(header[0]) and not any(header[1:]):
        return f"{header[0][:8]!r} is a line for Excel. Delete it: the delimiter is found without it."
    if header[0].startswith("\ufeff"):
        return (
            "It begins with two byte order marks. Delete one of them, or save the file as “CSV UTF-8” again."
        )
    return None


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(repr(name[:80]) for name in names)


def _entry(header: Sequence[str], row: Sequence[Any], place: str) -> Named:
    cells = named_cells(header, row)
    given: list[tuple[Kind, str]] = [(way, cells[way]) for way in WAYS if cells.get(way, "").strip()]
    if not given:
        raise InvalidArgumentError(
            f"The row names no person. Fill in {' or '.join(w for w in WAYS if w in cells)}."
        )
    if len(given) > 1:
        raise InvalidArgumentError(f"The row names one person by {_and(given)}. Keep one of them.")
    ((kind, value),) = given
    course = None
    if "course_id" in cells:
        course = argument_checks.one_id(cells["course_id"].strip(), "course_id")
    return Named(kind, checked(kind, value, kind), course, place)


def named_cells(header: Sequence[str], row: Sequence[Any]) -> dict[str, str]:
    """Return the cells of a row by column. A column without a name may be missing, and must be empty."""
    width = max(place for place, name in enumerate(header, 1) if name)
    if len(row) < width or any(map(_is_filled, row[len(header) :])):
        raise InvalidArgumentError(
            f"The row has {number(len(row), 'cell')}, and the header has {number(len(header), 'cell')}."
        )
    cells: dict[str, str] = {}
    for place, (name, value) in enumerate(zip(header, row, strict=False), 1):
        if name:
            cells[name] = _cell(name, value)
        elif _is_filled(value):
            raise InvalidArgumentError(
                f"Cell {place} is filled, and its column has no name. Name it in the header, or delete it."
            )
    return cells


def _is_filled(value: Any) -> bool:
    return not _is_missing(value) and bool(str(value).strip())


def _is_missing(value: Any) -> bool:
    return type(value).__name__ in _MISSING or (isinstance(value, float) and math.isnan(value))


def _and(given: Iterable[tuple[str, str]]) -> str:
    return " and ".join(name for name, _ in given)


def _cell(name: str, value: Any) -> str:
    """Return a cell as text. White space around an external id is not removed: it may be part of the id."""
    if _is_missing(value):
        return ""
    if name == NOTE and not (isinstance(value, str) and value.startswith("=")):
        return ""
    if not isinstance(value, str):
        raise InvalidArgumentError(
            f"{name} must be text, not {value!r}, a {type(value).__name__}. Read the column as text (dtype=str): "
            "numbers lose leading zeros."
        )
    if _FORMULA.match(value.strip()):
        raise InvalidArgumentError(f"{name} must be text, not the formula {value[:80]!r}.")
    return value if name == "external_id" else value.strip()


# --- files --------------------------------------------------------------------------------------------------------


def _title(source: Source) -> str:
    name = source if not hasattr(source, "read") else getattr(source, "name", "")
    return f"{str(name)!r}" if name else "The file"


def _content(source: Source) -> str | bytes:
    """Return the content of a file, up to MOST_BYTES; an open file is read from its current position."""
    if isinstance(source, bytes) or (isinstance(source, str) and "\n" in source):
        raise InvalidArgumentError("It must be a path or an open file. For text, use io.StringIO.")
    if hasattr(source, "read"):
        content = _read_open(source)
    else:
        try:
            content = storage.read_input(source, MOST_BYTES)
        except (OSError, ValueError, TypeError) as fault:
            raise InvalidArgumentError(f"It cannot be read: {sentence(str(fault))}") from None
    if len(content) > MOST_BYTES:
        raise InvalidArgumentError(f"It is larger than {MOST_BYTES // 1024 // 1024} MiB. Split it.")
    return content


def _read_open(source: Any) -> str | bytes:
    """Return the rest of an open file. An unbuffered file, or a pipe, returns it in several parts."""
    parts: list[Any] = []
    left = MOST_BYTES + 1
    while left > 0:
        part = source.read(left)
        if not isinstance(part, str | bytes) or (parts and type(part) is not type(parts[0])):
            raise InvalidArgumentError(f"It returns {type(part).__name__}, neither text nor bytes.")
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return parts[0][:0].join(parts) if parts else ""


def _text(content: str | bytes) -> str:
    remedy = "Save it as UTF-8 (in Excel: “CSV UTF-8”)."
    if isinstance(content, bytes):
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InvalidArgumentError(f"It is UTF-16, not UTF-8. {remedy}")
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as fault:
            line = fault.object.count(b"\n", 0, fault.start) + 1
            raise InvalidArgumentError(f"Line {line} is not UTF-8. {remedy}") from None
    else:
        text = content
    if "\0" in text:
        raise InvalidArgumentError(f"It has NUL characters, so it is not text, or it is UTF-16. {remedy}")
    return text.removeprefix("\ufeff")


def records(text: str, known: Collection[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the records, each with the number of its first line."""
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=_delimiter(text, known), strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            record = next(reader, None)
        except csv.Error as fault:
            raise csv.Error(f"line {begins}: {fault}") from None
        if record is None:
            return
        if record:
            yield begins, record


def _delimiter(text: str, known: Collection[str]) -> str:
    """Return the delimiter that divides the header into most known columns."""
    first = next((line for line in io.StringIO(text, newline=None) if line.strip(" ,;\t\r\n")), "")

    def count(delimiter: str) -> int:
        return sum(folded(name.strip(' "\r\n')) in known for name in first.split(delimiter))

    return max(_DELIMITERS, key=lambda each: (count(each), first.count(each)))


# --- data frames --------------------------------------------------------------------------------------------------


def _rows(frame: Any) -> Iterator[tuple[int, Sequence[Any]]]:
    """Return the columns as row 0, then the rows from 1."""
    if not (hasattr(frame, "iter_rows") or hasattr(frame, "itertuples")) or not hasattr(frame, "columns"):
        raise InvalidArgumentError(
            f"frame must be a pandas or polars data frame, not {type(frame).__name__}. For a list, use People.of."
        )
    rows = frame.iter_rows() if hasattr(frame, "iter_rows") else frame.itertuples(index=False, name=None)
    return _numbered(frame.columns, rows)


def _numbered(columns: Iterable[Any], rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, Sequence[Any]]]:
    yield 0, tuple(columns)
    yield from enumerate(rows, 1)
