"""Fast decoding: all objects of a list at once, field by field, instead of one value after the other.

``read`` returns exactly the models that the converters of ``codec`` return, or raises an error: any error means that
the converters must read the same data, because it does not fit or has a form that is not read here. So this module
explains no error and decides no doubtful case. It refuses what one JSON reader and another read differently (numbers
beyond 64 bits, deep nesting), so that the result is the same with every reader.

Equal texts, dates and numbers of a listing are stored once, in ``SharedValues``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain, filterfalse, islice, repeat
from operator import itemgetter
from types import NoneType, UnionType
from typing import Any, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

import attrs

from training_sdk._core import model
from training_sdk._core.model import NOTHING_EXTRA, Extra, Model, Reading, SharedValues, filled_in

Column: TypeAlias = Sequence[Any]
Reader: TypeAlias = Callable[[Column, Any, SharedValues], Column]
"""Reads a column. Its second argument replaces null; NOTHING where null is not allowed."""

NOTHING = attrs.NOTHING
MOST_LAYOUTS, SAMPLE, LEAST_REPEATED, DEEPEST = 100, 64, 8, 50
EXACT = 2.0**63  # JSON readers agree on numbers up to here
_SURELY_A_DATE = model.EPOCH + timedelta(days=2)


class UnusualError(Exception):
    """Values that the converters must read: wrong ones, or right ones in a form that is not read here."""


def read(value: Any, shape: Any, shared: SharedValues) -> Any:
    """Return JSON data as ``shape``. Raises UnusualError, or any other error, if the converters must read it."""
    return _reader(shape)([value], NOTHING, shared)[0]


@functools.cache
def _reader(shape: Any) -> Reader:
    """Return the reader for a type, made once."""
    if shape in _BY_TYPE:
        return _BY_TYPE[shape]
    origin, arguments = get_origin(shape), get_args(shape)
    if origin is tuple and len(arguments) == 2 and arguments[1] is ...:
        return functools.partial(_tuples, _reader(arguments[0]))
    if origin in (Union, UnionType) and len(arguments) == 2 and arguments[1] is NoneType:
        return _reader(arguments[0])
    if isinstance(shape, type) and issubclass(shape, StrEnum):
        return functools.partial(_members, shape)
    if attrs.has(origin or shape):
        return _Objects(shape).read
    raise UnusualError(f"no reader for {shape}")


# --- columns of one type ---


def _types(column: Iterable[Any]) -> set[type]:
    return set(map(type, column))


def _with_null(read: Reader, column: Column, null: Any, shared: SharedValues) -> Column:
    """Read a column in which some values are null, if null is allowed."""
    present = [value for value in column if value is not None]
    if null is NOTHING or len(present) == len(column):
        raise UnusualError
    values: Iterator[Any] = iter(read(present, NOTHING, shared) if present else ())
    return [null if value is None else next(values) for value in column]


def is_repetitive(column: Column) -> bool:
    """Return whether many values of a column are equal, by its beginning."""
    sample = column[:SAMPLE]
    return len(sample) >= LEAST_REPEATED and 2 * len(set(sample)) <= len(sample)


def _is_constant(column: Column) -> bool:
    return bool(column[0] == column[-1] and column.count(column[0]) == len(column))


def _distinct(column: Column) -> set[Any]:
    return {column[0]} if _is_constant(column) else set(column)


def _texts(column: Column, null: Any, shared: SharedValues) -> Column:
    if (
        type(column[0]) is str and len(column) >= LEAST_REPEATED and _is_constant(column)
    ):  # only text equals a text
        return [shared.of(str).setdefault(column[0], column[0])] * len(column)
    try:
        "".join(column)  # the fastest check that all of it is text
    except TypeError:
        if null is not None or not _types(column) <= {str, NoneType}:
            return _with_null(_texts, column, null, shared)
    if not is_repetitive(column):
        return column
    return list(map(shared.of(str).setdefault, column, column))


def _booleans(column: Column, null: Any, shared: SharedValues) -> Column:
    if _types(column) == {bool}:
        return column
    return _with_null(_booleans, column, null, shared)


def _each(convert: Callable[[Any, Any], Any], column: Column) -> Column:
    """Convert value by value as the converters do."""
    _refuse_unusual(column)
    return [convert(value, None) for value in column]


def _integers(column: Column, null: Any, shared: SharedValues) -> Column:
    types = _types(column)
    if types == {int}:
        return column
    if NoneType in types:
        return _with_null(_integers, column, null, shared)
    return _each(model.answered_integer, column)


def _numbers(convert: Callable[[Any, Any], Any], column: Column, null: Any, shared: SharedValues) -> Column:
    types = _types(column)
    if NoneType in types:
        return _with_null(functools.partial(_numbers, convert), column, null, shared)
    if not types <= {float, int}:
        return _each(convert, column)
    if not is_repetitive(column):
        numbers = list(map(float, column)) if int in types else column
        if not math.isfinite(sum(numbers)):
            raise UnusualError
        return numbers
    distinct = _distinct(column)
    zeros = filterfalse(None, column) if float in types and 0 in distinct else ()
    if min(map(math.copysign, repeat(1.0), zeros), default=1.0) < 0:  # equal to zero, and must not be shared
        return _each(convert, column)
    known = shared.of(float)
    number_of = {value: known[value] for value in distinct}
    if not all(map(math.isfinite, number_of.values())):
        raise UnusualError
    return list(map(number_of.__getitem__, column))


def _scores(column: Column, null: Any, shared: SharedValues) -> Column:
    types = _types(column)
    if types == {int} or (null is None and types <= {int, NoneType}):
        return column
    if NoneType in types:
        return _with_null(_scores, column, null, shared)
    return _each(model.answered_score, column)


def _dates(column: Column, null: Any, shared: SharedValues) -> Column:
    if is_repetitive(column):
        return _by_value(model.answered_date, column, shared)
    if not _types(column) <= {str, NoneType}:
        raise UnusualError
    try:
        moments = [datetime.fromisoformat(value) if value else None for value in column]
        first = min(filter(None, moments), default=None)
    except (ValueError, TypeError):  # another form of date, or some without a zone
        return _each(model.answered_date, column)
    if first is not None and (first.tzinfo is None or first < _SURELY_A_DATE):
        return _each(model.answered_date, column)
    return moments


def _members(kind: Any, column: Column, null: Any, shared: SharedValues) -> Column:
    if null is NOTHING or None not in column:
        return _by_value(kind, column, shared)
    return _with_null(functools.partial(_members, kind), column, null, shared)


def _by_value(read: Callable[[Any], Any], column: Column, shared: SharedValues) -> Column:
    """Read each different text of a column, or null, once."""
    distinct = _distinct(column)
    if not _types(distinct) <= {str, NoneType}:  # no other JSON value equals a text
        raise UnusualError
    known = shared.of(read)
    if len(distinct) == 1:
        return [known[column[0]]] * len(column)
    return list(map(known.__getitem__, column))


def _tuples(read: Reader, column: Column, null: Any, shared: SharedValues) -> Column:
    if _types(column) != {list}:
        return _with_null(functools.partial(_tuples, read), column, null, shared)
    items = column[0] if len(column) == 1 else list(chain.from_iterable(column))
    if not items:
        return [()] * len(column)
    values = iter(read(items, NOTHING, shared))
    return [tuple(islice(values, len(each))) for each in column]


def _extras(column: Column, null: Any, shared: SharedValues) -> Column:
    if _types(column) != {dict}:
        return _with_null(_extras, column, null, shared)
    for fields in column:
        _refuse_unusual(fields.values())
    return [Extra(fields) for fields in column]


def _refuse_unusual(values: Any, depth: int = 0) -> None:
    """Raise UnusualError for JSON data that readers read differently."""
    if depth > DEEPEST:
        raise UnusualError
    for value in values:
        if type(value) is float and not -EXACT < value < EXACT:  # so is NaN
            raise UnusualError
        if type(value) is dict:
            _refuse_unusual(value.values(), depth + 1)
        elif type(value) is list:
            _refuse_unusual(value, depth + 1)


_BY_TYPE: dict[Any, Reader] = {
    str: _texts,
    bool: _booleans,
    int: _integers,
    float: functools.partial(_numbers, model.answered_number),
    float | None: functools.partial(_numbers, model.answered_optional_number),
    int | float | None: _scores,
    datetime: _dates,
    datetime | None: _dates,
    Extra: _extras,
}


# --- objects ---


@attrs.frozen
class Field:
    """One field of a model: how its column is read, and its value where it is null or left out."""

    name: str
    read: Reader
    null: Any
    """NOTHING where neither is allowed."""
    has_default: bool
    is_optional: bool
    """True if it may be left out whatever the other fields are."""
    tidy: Callable[[Any], Any] | None

    @classmethod
    def of(cls, attribute: attrs.Attribute[Any], shape: Any, reading: Reading) -> Field:
        read, name = _reader(shape), attribute.name
        omitted = dict(reading.omitted).get(name)
        null: Any = None if NoneType in get_args(shape) or shape is datetime else NOTHING
        if omitted is not None:
            null = None if omitted.value is None else read([omitted.value], NOTHING, SharedValues())[0]
        elif factory := getattr(attribute.default, "factory", None):
            null = factory()
        elif attribute.default is not NOTHING:
            null = attribute.default
        has_default = omitted is None and attribute.default is not NOTHING
        is_optional = has_default or (omitted is not None and omitted.unless is None)
        return cls(name, read, null, has_default, is_optional, dict(reading.tidied).get(name))


@attrs.frozen
class _Layout:
    """The keys of objects that all have the same keys: the key of each field, and the unknown ones."""

    width: int
    keys: tuple[str | None, ...]
    """By field; None for one that is left out."""
    unknown: tuple[str, ...]


class _Objects:
    """The reader of a model: objects with the same keys are read by column, others are sorted by key first."""

    def __init__(self, shape: Any) -> None:
        cls = get_origin(shape) or shape
        given = dict(zip(getattr(cls, "__parameters__", ()), get_args(shape), strict=True))
        self._reading = Reading.of(cls, lenient=True)
        self._fields = fields_of(cls, given)
        self._build = _build_of_cells(cls, [each.name for each in self._fields])
        self._layouts: dict[tuple[str, ...], _Layout | None] = {}

    def read(self, column: Column, null: Any, shared: SharedValues) -> Column:
        """Return a list of models."""
        if _types(column) != {dict}:
            return _with_null(self.read, column, null, shared)
        cells, extras = self._by_layout(column, shared) or self._by_name(column, shared)
        return self._build(zip(*cells, extras, strict=True), len(column))

    def _by_layout(self, column: Column, shared: SharedValues) -> tuple[list[Column], Column] | None:
        """Return the columns of objects that all have the keys of the first; None if they have not."""
        layout = self._layout(tuple(column[0]))
        if layout is None or set(map(len, column)) != {layout.width}:
            return None
        cells: list[Column] = []
        try:
            for field, key in zip(self._fields, layout.keys, strict=True):
                if key is None:
                    cells.append([field.null] * len(column))
                    continue
                values = list(map(itemgetter(key), column))
                if field.tidy is not None:
                    values = [None if value is None else field.tidy(value) for value in values]
                cells.append(field.read(values, field.null, shared))
            if not layout.unknown:
                return cells, [NOTHING_EXTRA] * len(column)
            extras = [Extra({key: value[key] for key in layout.unknown}) for value in column]
        except KeyError:
            return None
        for each in extras:
            _refuse_unusual(each.values())
        return cells, extras

    def _by_name(self, column: Column, shared: SharedValues) -> tuple[list[Column], Column]:
        known, extras = [], []
        for value in column:
            fields, unknown = self._reading.sort(value)
            _refuse_unusual(unknown.values())
            known.append(fields)
            extras.append(Extra(unknown) if unknown else NOTHING_EXTRA)
        cells = []
        for field in self._fields:
            name = field.name
            values = [row.get(name) for row in known] if field.has_default else [row[name] for row in known]
            cells.append(field.read(values, field.null, shared))
        return cells, extras

    def _layout(self, keys: tuple[str, ...]) -> _Layout | None:
        if keys not in self._layouts:
            if len(self._layouts) >= MOST_LAYOUTS:
                self._layouts.clear()
            self._layouts[keys] = self._make_layout(keys)
        return self._layouts[keys]

    def _make_layout(self, keys: tuple[str, ...]) -> _Layout | None:
        named = [self._reading.names.get(key) for key in keys]
        found = [name for name in named if name is not None]
        missing = {field.name for field in self._fields if not field.is_optional}.difference(found)
        if missing or len(found) != len(set(found)):
            return None
        key_of = dict(zip(named, keys, strict=True))
        unknown = tuple(key for key, name in zip(keys, named, strict=True) if name is None)
        return _Layout(len(keys), tuple(key_of.get(field.name) for field in self._fields), unknown)


def fields_of(cls: Any, given: dict[Any, Any]) -> tuple[Field, ...]:
    """Return the fields of a class without ``extra``. UnusualError if its constructor does more than to set them."""
    special = [each for each in attrs.fields(cls) if not each.init or each.validator or each.converter]
    if hasattr(cls, "__attrs_post_init__") or special:
        raise UnusualError
    hints, reading = get_type_hints(cls), Reading.of(cls, lenient=True)
    return tuple(
        Field.of(each, filled_in(hints[each.name], given), reading)
        for each in attrs.fields(cls)
        if each.name != "extra"
    )


def _build_of_cells(cls: Any, names: list[str]) -> Callable[[Iterable[tuple[Any, ...]], int], Column]:
    """Return the function that makes models of rows, which have the values of the fields in order and ``extra``."""
    if cls.__base__ is not Model:
        has_extra = any(each.name == "extra" for each in attrs.fields(cls))
        return lambda rows, _: [
            cls(*each, **({"extra": extra} if has_extra else {})) for *each, extra in rows
        ]
    cells = [f"_{number}" for number in range(len(names))]
    values = {**dict(zip(names, cells, strict=True)), "extra": "extra"}
    return builder(cls, ["def build(rows, count):"], f"({', '.join([*cells, 'extra'])})", values, {})


def builder(
    cls: Any, head: list[str], row: str, values: Mapping[str, str], scope: Mapping[str, Any]
) -> Callable[..., Column]:
    """Return the function that makes models: its first lines, the names of a row, and the expression of each field."""
    # The constructor of a frozen class sets each field through object.__setattr__, which takes most of the time of
    # decoding. So the fields are set on a twin that is not frozen, and has the same memory layout.
    is_open = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    twin: Any = type(cls.__name__, (Model,), {"__slots__": cls.__slots__, **is_open})
    lines = [
        *head,
        "    made = [*map(new, repeat(twin, count))]",
        f"    for one, {row} in zip(made, rows):",
        *(f"        one.{name} = {value}" for name, value in values.items()),
        "        one.__class__ = cls",
        "    return made",
    ]
    names: dict[str, Any] = {**scope, "repeat": repeat, "twin": twin, "cls": cls, "new": twin.__new__}
    exec(compile("\n".join(lines), f"<decoder of {cls.__name__}>", "exec"), names)  # noqa: S102 - names of fields only
    return cast("Callable[..., Column]", names["build"])
