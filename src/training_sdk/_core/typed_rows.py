"""Large answers read by msgspec, where it is installed: JSON to rows whose types are checked, and rows to models.

``Answer.read`` returns exactly the models that the converters of ``codec`` return, or raises an error. It refuses what
needs a rule of the converters, such as unknown fields, numbers as text, and null for zero: then msgspec reads the
answer as plain data, and ``columns`` makes the models. So this module explains no error and decides no doubtful case.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs

from training_sdk._core import columns, model
from training_sdk._core.columns import Column, Field, UnusualError
from training_sdk._core.model import NOTHING_EXTRA, Model, SharedValues, camel, filled_in


@functools.cache
def installed() -> Any:
    """Return the module msgspec, which the extra ``[fast]`` installs; None without it."""
    try:
        return import_module("msgspec")
    except ImportError:
        return None


def read(body: bytes, shape: Any, shared: SharedValues) -> Any:
    """Return an answer as ``shape``. Raises UnusualError, or any other error, if the converters must read it."""
    if (answer := answer_of(shape)) is not None:
        with contextlib.suppress(Exception):
            return answer.read(body, shared)
    return columns.read(installed().json.decode(body), shape, shared)


@functools.cache
def answer_of(shape: Any) -> Answer | None:
    """Return the reader for a type of answer, made once; None if it has no list of plain rows."""
    try:
        return Answer(shape)
    except UnusualError:
        return None


def _zero(value: float | None) -> float | None:
    """Return a number that is zero, or None. Zero and negative zero are equal, so a table would confuse them."""
    return value if value is None or math.copysign(1.0, value) < 0 else 0.0


def _member(kind: type[StrEnum], value: str | None) -> StrEnum | None:
    return None if value is None else kind(value)


_IF_FALSE: dict[Any, str] = {str: "value", float: "zero(value)", model.answered_date: "None"}
"""The expression for an empty text, zero or null, by what converts the others: these are not looked up in a table."""

_WIRE_TYPES: dict[frozenset[Any], tuple[Any, Callable[[Any], Any] | None]] = {
    frozenset({str}): (str, str),
    frozenset({bool}): (bool, None),
    frozenset({int}): (int, None),
    frozenset({float}): (float, float),
    frozenset({datetime}): (str, model.answered_date),
    frozenset({int, float}): (int | float, model.answered_score),
}
"""The type of a value on the wire, and what makes it the value of the field, by the types of the field."""


def _wire_type(hint: Any) -> tuple[Any, Callable[[Any], Any] | None]:
    is_union = get_origin(hint) in (Union, UnionType)
    kinds = frozenset(get_args(hint) if is_union else (hint,)) - {NoneType}
    if len(kinds) == 1 and isinstance(kind := next(iter(kinds)), type) and issubclass(kind, StrEnum):
        return str, functools.partial(_member, kind)
    if kinds not in _WIRE_TYPES:
        raise UnusualError(f"no rows of {hint}")
    return _WIRE_TYPES[kinds]


class _Rows:
    """The reader of the rows of a model that has only texts, numbers, dates and enums."""

    def __init__(self, shape: Any) -> None:
        if not (attrs.has(shape) and shape.__base__ is Model):
            raise UnusualError(f"no rows of {shape}")
        self._model, self.fields = shape, columns.fields_of(shape, {})
        if any(field.tidy for field in self.fields):
            raise UnusualError(f"no rows of {shape}")
        self._texts: list[str] = []
        self._converted: dict[str, Callable[[Any], Any]] = {}
        self._specified: list[tuple[Any, ...]] = []
        hints = get_type_hints(shape)
        for field in self.fields:
            self._add(field, hints[field.name])
        self._builders: dict[tuple[str, ...], Callable[..., Column]] = {}

    def _add(self, field: Field, hint: Any) -> None:
        wire, convert = _wire_type(hint)
        if convert is str:
            self._texts.append(field.name)
        elif convert is not None:
            self._converted[field.name] = convert
        wire = wire | None if field.null is None else wire
        default = (field.null,) if field.is_optional else ()
        self._specified.append((field.name, wire, *default))

    def types(self) -> Iterator[Any]:
        """Yield the types of a row: with the names as they are, and in lowerCamelCase."""
        options = {"forbid_unknown_fields": True, "kw_only": True, "gc": False}
        for rename in (None, {name: camel(name) for name, *_ in self._specified}):
            yield installed().defstruct("Row", self._specified, rename=rename, **options)

    def build(self, rows: list[Any], shared: SharedValues) -> Column:
        """Return rows as models."""
        sample = rows[: columns.SAMPLE]
        repeated = tuple(
            name for name in self._texts if columns.is_repetitive([getattr(row, name) for row in sample])
        )
        if repeated not in self._builders:
            if len(self._builders) >= columns.MOST_LAYOUTS:
                self._builders.clear()
            self._builders[repeated] = self._builder(repeated)
        return self._builders[repeated](rows, len(rows), shared.of)

    def _builder(self, repeated: Iterable[str]) -> Callable[..., Column]:
        """Return the function that makes models, with one look-up for each value that is converted or repeated."""
        converted = {**self._converted, **dict.fromkeys(repeated, str)}
        kinds = list(dict.fromkeys(converted.values()))
        values = {"extra": "nothing"}
        for name in (field.name for field in self.fields):
            values[name] = f"row.{name}"
            if name in converted:
                convert = converted[name]
                table = f"table_{kinds.index(convert)}"
                if convert in _IF_FALSE:
                    values[name] = f"{table}[value] if (value := row.{name}) else {_IF_FALSE[convert]}"
                else:
                    values[name] = f"{table}[row.{name}]"
        head = [
            "def build(rows, count, table_of):",
            *(f"    table_{number} = table_of(kind_{number})" for number in range(len(kinds))),
        ]
        scope = {
            "nothing": NOTHING_EXTRA,
            "zero": _zero,
            **{f"kind_{number}": kind for number, kind in enumerate(kinds)},
        }
        return columns.builder(self._model, head, "row", values, scope)


class Answer:
    """The reader of an answer: an object with one list of rows, and with other fields that are read by column."""

    def __init__(self, shape: Any) -> None:
        cls = get_origin(shape) or shape
        given = dict(zip(getattr(cls, "__parameters__", ()), get_args(shape), strict=True))
        hints = {name: filled_in(hint, given) for name, hint in get_type_hints(cls).items()}
        self._make, self._fields = cls, columns.fields_of(cls, given)
        lists = [name for name, hint in hints.items() if get_origin(hint) is tuple]
        if len(lists) != 1 or "extra" in hints:
            raise UnusualError(f"no list of rows in {shape}")
        self._list = lists[0]
        self._rows = _Rows(get_args(hints[self._list])[0])
        self._decoders = [self._decoder(row) for row in self._rows.types()]

    def _decoder(self, row: Any) -> Any:
        """Return a decoder; the fields besides the list are JSON data of any form."""
        specified = [
            (
                field.name,
                list[row] if field.name == self._list else Any,
                *((None,) if field.is_optional else ()),
            )
            for field in self._fields
        ]
        return installed().json.Decoder(
            installed().defstruct("Answer", specified, forbid_unknown_fields=True, kw_only=True)
        )

    def read(self, body: bytes, shared: SharedValues) -> Any:
        """Return the answer."""
        found = self._decode(body)
        values = {}
        for field in self._fields:
            value = getattr(found, field.name)
            if field.name == self._list:
                values[field.name] = tuple(self._rows.build(value, shared))
            else:
                values[field.name] = field.read([value], field.null, shared)[0]
        return self._make(**values)

    def _decode(self, body: bytes) -> Any:
        *others, last = self._decoders
        for decoder in others:
            try:
                return decoder.decode(body)
            except Exception:  # noqa: S112 - other names may fit; an error of the last decoder is raised
                continue
        return last.decode(body)
