"""The fixed schema of a model: its columns, by its fields and properties; its rows in them, also as CSV and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from importlib import import_module
from inspect import getmembers
from io import StringIO
from operator import attrgetter
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

from training_sdk._core.argument_checks import in_utc
from training_sdk._core.model import Extra
from training_sdk._core.text import json_cell, text_cell
from training_sdk.errors import DecodingError, InvalidArgumentError, Remedy


class Kind(Enum):
    """The type of a column. Every column may be null."""

    TEXT = auto()
    STATE = auto()
    """Text of an enum: a dictionary, which begins with the known values."""
    INTEGER = auto()
    NUMBER = auto()
    BOOLEAN = auto()
    TIME = auto()
    """A moment in UTC, to the microsecond."""
    TEXTS = auto()
    """A list of texts."""
    JSON = auto()
    """Any other JSON data, as text."""


EXTRA = "extra"
"""The column with the fields that the SDK does not know."""
LARGEST_INTEGER = 2**63
LARGEST_EXACT = 2**53
"""Up to this size, each whole number is exact as a 64-bit float."""


@frozen
class Column:
    """One column of a schema."""

    name: str
    kind: Kind
    read: Callable[[Any], Any]
    """Return the value of a row, as the model has it."""
    states: tuple[str, ...] = ()
    """The known values of a ``STATE``."""

    def values(self, rows: Iterable[Any]) -> list[Any]:
        """Return the values of rows: texts, numbers, moments in UTC, lists of texts, JSON as text, and None."""
        found = map(self.read, rows)
        plain = _PLAIN.get(self.kind)
        return [*found] if plain is None else [None if value is None else plain(value) for value in found]

    def narrow_values(self, rows: Iterable[Any]) -> list[Any]:
        """Return the values as a column of 64-bit numbers and UTF-8 can have them.

        A half of a surrogate pair becomes its escape. Raises DecodingError for a number that would change.
        """
        values = self.values(rows)
        if self.kind is Kind.INTEGER:
            for value in values:
                if value is not None and not -LARGEST_INTEGER <= value < LARGEST_INTEGER:
                    raise self._too_large(value)
        elif self.kind is Kind.NUMBER:
            return [None if value is None else self._as_float(value) for value in values]
        elif self.kind is Kind.TEXTS:
            return [None if texts is None else _encodable(texts) for texts in values]
        elif self.kind in (Kind.TEXT, Kind.STATE, Kind.JSON):
            return _encodable(values)
        return values

    def _as_float(self, value: int | float) -> float:
        if type(value) is int and not -LARGEST_EXACT <= value <= LARGEST_EXACT:
            raise self._too_large(value)
        return float(value)

    def _too_large(self, value: int) -> DecodingError:
        shown = str(value) if abs(value) < 10**30 else f"a number of {value.bit_length()} bits"
        return DecodingError(
            f"{self.name} of a row is {shown}, which a column of 64-bit numbers cannot represent.",
            remedy=Remedy("use_dicts", "Use to_dicts, which keeps numbers of any size."),
        )


def _encodable(values: list[str | None]) -> list[str | None]:
    """Return texts without halves of surrogate pairs, which JSON can contain and UTF-8 cannot."""
    try:
        "".join(filter(None, values)).encode()
    except UnicodeEncodeError:
        return [value and value.encode("utf-8", "backslashreplace").decode() for value in values]
    return values


def _in_utc(value: datetime) -> datetime:
    """Return a moment in UTC; the first or last one of the calendar if UTC would leave it."""
    if value.tzinfo is UTC:
        return value
    moment = in_utc(value)
    if not moment.utcoffset():
        return moment
    return (datetime.max if moment.year > 1 else datetime.min).replace(tzinfo=UTC)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=dict)


_PLAIN: dict[Kind, Callable[[Any], Any]] = {
    Kind.STATE: str,
    Kind.TIME: _in_utc,
    Kind.TEXTS: lambda texts: [str(text) for text in texts],
    Kind.JSON: _json,
}


def columns_of(model: type[Any], *, extra_fields: bool = False) -> tuple[Column, ...]:
    """Return the columns of a model: its fields, then its public properties.

    The fields of a model within the model are columns of their own, named ``outer_inner``. With ``extra_fields``, the
    last column is ``extra``: the fields that the SDK does not know, as JSON, null if there are none.
    """
    columns = [*_fields(model, "", lambda row: row), *_properties(model)]
    if extra_fields:
        columns.append(Column(EXTRA, Kind.JSON, lambda row: _all_extra(row) or None))
    return tuple(columns)


def column_named(columns: Sequence[Column], name: str, argument: str, kinds: Iterable[Kind]) -> Column:
    """Return the column of a name, if it is of one of the kinds. Raises InvalidArgumentError, listing the columns."""
    fitting = {column.name: column for column in columns if column.kind in [*kinds]}
    if name not in fitting:
        raise InvalidArgumentError(
            f"{argument} must be one of {', '.join(fitting)}, not {name!r}.", argument=argument
        )
    return fitting[name]


def _fields(model: type[Any], prefix: str, reach: Callable[[Any], Any]) -> Iterator[Column]:
    hints = get_type_hints(model)
    for field in attrs.fields(model):
        shape = hints[field.name]
        if shape is Extra and field.name == EXTRA:
            continue
        name = f"{prefix}{field.name}"
        read = _reader(field.name, reach, is_nested=bool(prefix))
        inner = [one for one in _alternatives(shape) if attrs.has(one)]
        if inner:
            yield from _fields(inner[0], f"{name}_", read)
        else:
            yield _column(name, shape, read)


def _reader(name: str, reach: Callable[[Any], Any], *, is_nested: bool) -> Callable[[Any], Any]:
    """Return a function that reads a field; it returns None if the model around the field is None."""
    read = attrgetter(name)
    if not is_nested:
        return read
    return lambda row: None if (outer := reach(row)) is None else read(outer)


def _properties(model: type[Any]) -> Iterator[Column]:
    for name, found in getmembers(model, lambda member: isinstance(member, property)):
        if not name.startswith("_"):
            yield _column(name, get_type_hints(found.fget)["return"], attrgetter(name))


def _alternatives(shape: Any) -> tuple[Any, ...]:
    """Return the types of a union without None, or the one type."""
    parts = get_args(shape) if get_origin(shape) in (Union, UnionType) else (shape,)
    return tuple(part for part in parts if part is not type(None))


def _column(name: str, shape: Any, read: Callable[[Any], Any]) -> Column:
    types = _alternatives(shape)
    first = types[0]
    if get_origin(first) is tuple and issubclass(get_args(first)[0], str):
        return Column(name, Kind.TEXTS, read)
    if isinstance(first, type) and issubclass(first, str) and issubclass(first, Enum):
        return Column(name, Kind.STATE, read, tuple(str(state.value) for state in first))
    kind = Kind.NUMBER if float in types else _KINDS.get(first, Kind.JSON)
    return Column(name, kind, read)


_KINDS: dict[Any, Kind] = {str: Kind.TEXT, int: Kind.INTEGER, bool: Kind.BOOLEAN, datetime: Kind.TIME}


def _all_extra(model: Any) -> dict[str, Any]:
    """Return the unknown fields of a model, and under their names those of the models within it."""
    found = dict(model.extra)
    for field in attrs.fields(type(model)):
        value = getattr(model, field.name)
        if attrs.has(type(value)) and (inner := _all_extra(value)):
            found[field.name] = inner
    return found


def dicts(columns: Sequence[Column], rows: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Yield rows as dictionaries with the values of the columns."""
    names = [column.name for column in columns]
    values = [column.values(rows) for column in columns]
    for row in zip(*values, strict=True):
        yield dict(zip(names, row, strict=True))


@frozen
class States:
    """The dictionary of a ``STATE`` column: the known values first, then unknown ones in the order of the rows."""

    index: dict[str, int]

    @classmethod
    def of(cls, columns: Iterable[Column]) -> Mapping[str, States]:
        """Return a new dictionary for each column of states, by name."""
        return {
            column.name: cls({state: number for number, state in enumerate(column.states)})
            for column in columns
            if column.kind is Kind.STATE
        }

    def codes(self, values: Iterable[str | None]) -> list[int | None]:
        """Return the position of each value; unknown values are appended."""
        index = self.index
        return [None if value is None else index.setdefault(value, len(index)) for value in values]


def library(name: str, extra: str, method: str) -> Any:
    """Import a library that an extra brings. Raises ImportError that names the extra."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{method} needs {name}, which is not installed. Install the SDK with its extra [{extra}].",
            name=name,
        ) from error


BYTE_ORDER_MARK = "\ufeff"
"""Makes a spreadsheet read a file as UTF-8."""


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Return rows of cells as CSV."""
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)  # with it a lone \\r in a text is quoted
    return text.getvalue()


def csv_header(columns: Sequence[Column]) -> str:
    """Return the byte order mark and the names of the columns."""
    return BYTE_ORDER_MARK + csv_text([[column.name for column in columns]])


def csv_rows(columns: Sequence[Column], rows: Sequence[Any]) -> str:
    """Return rows as CSV.

    A text that a spreadsheet would run as a formula gets an apostrophe in front. Dates are in UTC; null is empty.
    """
    values = [[*map(_CELLS[column.kind], column.values(rows))] for column in columns]
    return csv_text([*zip(*values, strict=True)])


def json_lines(columns: Sequence[Column], rows: Sequence[Any]) -> str:
    """Return each row as one line of JSON, with the values of ``to_dicts``."""
    return "".join(f"{json.dumps(row, ensure_ascii=False, default=_date)}\n" for row in dicts(columns, rows))


def _date(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} is not a value of a column")


def _unless_null(form: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda value: "" if value is None else form(value)


_CELLS: dict[Kind, Callable[[Any], object]] = {
    Kind.TEXT: _unless_null(text_cell),
    Kind.STATE: _unless_null(text_cell),
    Kind.INTEGER: _unless_null(str),
    Kind.NUMBER: _unless_null(repr),
    Kind.BOOLEAN: _unless_null(lambda value: "true" if value else "false"),
    Kind.TIME: _unless_null(_date),
    Kind.TEXTS: _unless_null(json_cell),
    Kind.JSON: _unless_null(lambda text: json_cell(json.loads(text))),
}
