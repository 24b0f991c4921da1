"""Base of the models: open enums, unknown fields of an answer, and readers of single JSON values."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self, TypeAlias

import attrs

from training_sdk._core.text import inline, pattern


class OpenEnum(StrEnum):
    """An enum that keeps a value it does not know, as itself, instead of failing on a newer server."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member

    __hash__ = str.__hash__
    __str__ = str.__str__

    def __repr__(self) -> str:
        return f"<{type(self).__name__}.{inline(self._name_)}: {self._value_!r}>"

    @property
    def is_known(self) -> bool:
        """True if this value was documented when the SDK was written."""
        return type(self).__members__.get(self._name_) is self


class Extra(Mapping[str, Any]):
    """The fields of an answer that the SDK does not know: read-only, compared with the rest of the model."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any] | None = None) -> None:
        self._fields = dict(fields or {})

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Extra({self._fields!r})"


NOTHING_EXTRA = Extra()

Fields: TypeAlias = Mapping[str, Any]


@attrs.frozen
class Omitted:
    """The value of a field that an answer leaves out: zero, empty or null, which encoders may omit.

    ``unless`` looks at what is there, under known and under unknown names: if the answer then contradicts that the
    field is zero or empty, it is missing.
    """

    value: Any
    unless: Callable[[Fields, Fields], bool] | None = None


def may_omit(value: Any, *, unless: Callable[[Fields, Fields], bool] | None = None) -> dict[str, Any]:
    """Return the metadata of a field without a default that an answer may leave out or write as null."""
    return {"omitted": Omitted(value, unless)}


def has_other_fields(_: Fields, unknown: Fields) -> bool:
    """Return whether there is anything unknown, which may be the field under another name."""
    return bool(unknown)


def has_other_lists(_: Fields, unknown: Fields) -> bool:
    """Return whether there is an unknown list, which may be the field under another name."""
    return any(isinstance(value, list) for value in unknown.values())


@attrs.frozen
class Model:
    """Base class of all models: frozen data that compares, hashes, copies and pickles, with no client inside."""

    extra: Extra = attrs.field(default=NOTHING_EXTRA, kw_only=True, hash=False, repr=False)
    """The undocumented fields of the answer; not hashed, because JSON data is not hashable."""


# --- the keys of an object ---

_HUMP = pattern(r"_([a-z0-9])")


def camel(name: str) -> str:
    return _HUMP().sub(lambda match: match[1].upper(), name)


def spellings(cls: Any) -> dict[str, str]:
    """Return every key under which an attribute may arrive, with the attribute."""
    names: dict[str, str] = {}
    for attribute in attrs.fields(cls):
        for key in (attribute.name, camel(attribute.name), *attribute.metadata.get("also", ())):
            names[key] = attribute.name
    names.pop("extra", None)
    return names


def filled_in(hint: Any, given: dict[Any, Any]) -> Any:
    """Return a type with its type variables replaced."""
    if hint in given:
        return given[hint]
    variables = getattr(hint, "__parameters__", ())
    return hint[tuple(given[each] for each in variables)] if variables else hint


@attrs.frozen
class Reading:
    """The rules by which an object becomes a model: its keys, and the fields that may be missing or null."""

    names: dict[str, str]
    keeps_extra: bool
    nullable: frozenset[str] = frozenset()
    """The fields that count as left out if they are null."""
    omitted: tuple[tuple[str, Omitted], ...] = ()
    tidied: tuple[tuple[str, Callable[[Any], Any]], ...] = ()

    @classmethod
    def of(cls, kind: Any, *, lenient: bool) -> Reading:
        attributes = attrs.fields(kind)
        keeps_extra = any(attribute.name == "extra" for attribute in attributes)
        if not lenient:
            return cls(spellings(kind), keeps_extra)
        omitted = {each.name: each.metadata["omitted"] for each in attributes if "omitted" in each.metadata}
        nullable = [
            each.name for each in attributes if each.default is not attrs.NOTHING or each.name in omitted
        ]
        tidied = [(each.name, each.metadata["tidy"]) for each in attributes if "tidy" in each.metadata]
        return cls(spellings(kind), keeps_extra, frozenset(nullable), tuple(omitted.items()), tuple(tidied))

    def sort(self, value: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the fields of an object under the names of their attributes, and those with unknown names."""
        names, nullable = self.names, self.nullable
        known: dict[str, Any] = {}
        unknown: dict[str, Any] = {}
        for key, item in value.items():
            name = names.get(key)
            if name is None:
                unknown[key] = item
            elif item is None and name in nullable:
                continue
            elif name in known and known[name] != item:
                raise ValueError(f"duplicate field {name!r} with different values")
            else:
                known[name] = item
        if self.tidied or any(name not in known for name, _ in self.omitted):
            self._complete(known, unknown, value)
        return known, unknown

    def _complete(self, known: dict[str, Any], unknown: dict[str, Any], value: dict[str, Any]) -> None:
        """Fill in what was left out or null; what must not be left out stays missing."""
        for name, what in self.omitted:
            if name not in known and (
                what.unless is None or self._came_as_null(value, name) or not what.unless(known, unknown)
            ):
                known[name] = what.value
        for name, tidy in self.tidied:
            if name in known:
                known[name] = tidy(known[name])

    def _came_as_null(self, value: dict[str, Any], name: str) -> bool:
        return any(self.names.get(key) == name for key in value)


MOST_SHARED = 10_000
"""Values of one kind that a listing shares; then they are forgotten and collected again."""


class SharedTable(dict[Any, Any]):
    """The values of one kind that a listing shares, by the value in the answer; each is converted once."""

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self._convert = convert

    def __missing__(self, value: Any) -> Any:
        converted = self[value] = self._convert(value)
        return converted


class SharedValues:
    """Equal values of a listing, each stored once, in a table per kind."""

    def __init__(self) -> None:
        self._tables: dict[Callable[[Any], Any], SharedTable] = {}

    def of(self, convert: Callable[[Any], Any]) -> SharedTable:
        """Return the table of the values that this function makes; ``str`` and ``float`` are the texts and numbers."""
        table = self._tables.setdefault(convert, SharedTable(convert))
        if len(table) > MOST_SHARED:
            table.clear()
        return table


Key: TypeAlias = tuple[str, str]
"""Course id and user id."""


log = logging.getLogger("training_sdk")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_ZONE = "The service writes dates without a time zone, such as %r. They are read as UTC."

_WHOLE = pattern(r"-?[0-9]{1,20}")
_FIGURE = pattern(r"(-?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?)s?")
"""A number, or a duration as proto3 JSON writes it: ``3600s``."""
_DAY = pattern(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")
_UNUSUAL = pattern(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:)([0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9:]+)?"
)
_noted: set[str] = set()


def note_once(message: str, example: object) -> None:
    """Log what was assumed of an answer, once per process."""
    if message not in _noted:
        _noted.add(message)
        log.warning(message, example)


def expected(what: str, value: Any) -> TypeError:
    """Return the error for a value of another type."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true/false", type(None): "null"}
    return TypeError(f"{what} expected, found {names.get(type(value), 'a number')}")


# --- strict ----------------------------------------------------------------------------------------------------------


def text(value: Any, _: Any = None) -> str:
    """Return text; nothing else is read as text."""
    if type(value) is not str:
        raise expected("text", value)
    return value


def boolean(value: Any, _: Any) -> bool:
    """Return true or false."""
    if type(value) is not bool:
        raise expected("true or false", value)
    return value


def integer(value: Any, _: Any) -> int:
    """Return a whole number, also with a point."""
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise expected("a whole number", value)
    return value


def number(value: Any, _: Any) -> float:
    """Return a number."""
    if type(value) is not float and type(value) is not int:
        raise expected("a number", value)
    return float(value)


def score(value: Any, _: Any) -> int | float | None:
    """Return a number that stays whole where it is, or None."""
    if value is None or type(value) is int:
        return value
    return _whole_if_it_is(number(value, None))


def date(value: Any, _: Any) -> datetime | None:
    """Return a date; the feed writes "no date" as an empty string, other endpoints write null."""
    if value is None or value == "":
        return None
    if type(value) is not str:
        raise expected("a date", value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _no_date(value) from None
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} names no time zone")
    return moment


def _no_date(value: str) -> ValueError:
    return ValueError(f"{value!r} is not an RFC 3339 date")


def _whole_if_it_is(figure: float) -> int | float:
    return int(figure) if figure.is_integer() else figure


# --- lenient ---------------------------------------------------------------------------------------------------------


def answered_integer(value: Any, _: Any) -> int:
    """Return a whole number, also as text: proto3 JSON writes 64 bits so."""
    if type(value) is int:
        return value
    if type(value) is str and _WHOLE().fullmatch(value):
        return int(value)
    return integer(value, None)


def answered_number(value: Any, _: Any) -> float:
    """Return a number, also as text; ``NaN``, which is nothing divided by nothing, is 0."""
    if type(value) is float or type(value) is int:
        return float(value)
    if value == "NaN":
        return 0.0
    if type(value) is str and (match := _FIGURE().fullmatch(value)):
        return float(match[1])
    raise expected("a number", value)


def answered_optional_number(value: Any, _: Any) -> float | None:
    """Return a number, also as text, or None, which ``NaN`` is as well."""
    if value is None or value == "NaN":
        return None
    return answered_number(value, None)


def answered_score(value: Any, _: Any = None) -> int | float | None:
    """Return a number that stays whole where it is, also as text; null and ``NaN`` are None."""
    if value is None or type(value) is int:
        return value
    figure = answered_optional_number(value, None)
    return None if figure is None else _whole_if_it_is(figure)


def answered_date(value: Any, _: Any = None) -> datetime | None:
    """Return a date in any form of RFC 3339, or without a zone; year 1 and the beginning of 1970 are no date."""
    if value is None or value == "":
        return None
    if type(value) is not str:
        raise expected("a date", value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = _unusual_date(value)
    if moment.tzinfo is None:
        moment = _in_utc(moment, value)
    return None if moment.year < 1971 and _is_zero(moment) else moment


def _unusual_date(value: str) -> datetime:
    """Read a date with a lower-case ``t`` or ``z``, or with the second 60, which is the one after 59."""
    match = _UNUSUAL().fullmatch(value)
    if match is None:
        raise _no_date(value)
    day, minute, second, fraction, zone = match.groups(default="")
    is_leap = second == "60"
    try:
        moment = datetime.fromisoformat(
            f"{day}T{minute}{'59' if is_leap else second}{fraction}{zone.upper()}"
        )
        return moment + timedelta(seconds=is_leap)
    except (ValueError, OverflowError):
        raise _no_date(value) from None


def _in_utc(moment: datetime, value: str) -> datetime:
    if not _DAY().match(value):
        raise _no_date(value)
    note_once(NO_ZONE, value)
    return moment.replace(tzinfo=UTC)


def _is_zero(moment: datetime) -> bool:
    """Year 1 is "no date" in Go, and the epoch in protobuf; an encoder's time zone may move either by hours."""
    return moment.year == 1 or abs(moment - EPOCH) < timedelta(days=1)


def duration_or_nothing(value: Any) -> Any:
    """Return a duration that nothing depends on; text of another form than ``3600s`` is dropped and logged once."""
    if type(value) is str and value != "NaN" and not _FIGURE().fullmatch(value):
        if value:
            note_once("The service writes durations as text, such as %r. They are left out.", value[:50])
        return None
    return value
