"""Frozen classes to plain JSON data (`encode`) and back (`decode`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from datetime import datetime
from enum import Enum
from functools import cache, lru_cache
from math import isfinite
from reprlib import Repr
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

from mock_server.world import clock

_T = TypeVar("_T")


class StateError(ValueError):
    """A state document that cannot be loaded; the message names the place."""


def decode(kind: type[_T], value: Any, where: str) -> _T:
    """Return a value as an instance of ``kind``. Raises StateError, naming the place, if it does not fit."""
    made: _T = _typed(kind, value, where)
    return made


def _typed(kind: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (present,) = (each for each in inner if each is not type(None))
        return None if value is None else _typed(present, value, where)
    if origin is Literal:
        fits = any(type(value) is type(each) and value == each for each in inner)  # True == 1
        return value if fits else _refuse(where, f"one of {', '.join(map(str, inner))}", value)
    if origin in (tuple, frozenset, list):
        given = _of(list, value, where)
        return origin(_typed(inner[0], each, f"{where}[{n}]") for n, each in enumerate(given))
    if origin is dict:
        given = _of(dict, value, where)
        return {
            _of(str, key, f"{where}.{key}"): _typed(inner[1], each, f"{where}.{key}")
            for key, each in given.items()
        }
    if attrs.has(kind):
        return _entity(kind, value, where)
    return _scalar(kind, value, where)


def _entity(kind: Any, value: Any, where: str) -> Any:
    """Return an entity. Missing fields take their default, so that older documents load; unknown fields are refused."""
    given = _of(dict, value, where)
    hints = _hints(kind)
    unknown = given.keys() - hints.keys()
    if unknown:
        raise StateError(f"{where}: There is no field {', '.join(sorted(unknown))} in {_called(kind)}.")
    missing = [each.name for each in attrs.fields(kind) if each.default is attrs.NOTHING]
    if missing := [each for each in missing if each not in given]:
        raise StateError(f"{where} lacks {', '.join(missing)}.")
    read = {name: _typed(hints[name], each, f"{where}.{name}") for name, each in given.items()}
    try:
        return kind(**read)
    except (TypeError, ValueError) as fault:
        raise StateError(f"{where}: {fault.args[0] if fault.args else fault}") from None


@lru_cache(maxsize=64)
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in attrs.fields(kind) if each.init}


def _scalar(kind: type[Any], value: Any, where: str) -> Any:
    try:
        if kind is datetime:
            return clock.parse(value)
        if issubclass(kind, Enum):
            return kind(value)
        if kind is float and type(value) in (int, float) and isfinite(value):
            return float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    return _of(kind, value, where)


def _of(kind: type[Any], value: Any, where: str) -> Any:
    wanted = f"one of {', '.join(map(str, kind))}" if issubclass(kind, Enum) else _WORDS[kind]
    fits = type(value) is kind and kind is not float and (kind is not str or _is_whole(value))
    return value if fits else _refuse(where, wanted, value)


def _is_whole(text: str) -> bool:
    """Return whether a text has no lone surrogate, which no answer could hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_WORDS = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    datetime: "a date with time and zone, such as 2026-01-31T09:00:00Z",
}


def _called(kind: type[Any]) -> str:
    """Return the name of a class for messages: ``OrganisationState`` is an organisation."""
    words = re.sub("(?<=.)([A-Z])", r" \1", kind.__name__.removesuffix("State")).lower() or "state document"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _refuse(where: str, what: str, value: Any) -> Any:
    shown = f"{where} must be {what}, not {_SHOWN.repr(value)}."
    raise StateError(shown.encode(errors="backslashreplace").decode())


_SHOWN = Repr()
_SHOWN.maxstring = 100


def encode(value: Any) -> Any:
    """Return entities, containers and scalars as plain JSON data; sets become sorted lists."""
    kind: Any = type(value)
    if kind in _SCALARS:
        return value
    names = _names(kind)
    if names is not None:
        return {name: encode(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): encode(each) for key, each in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Set):
        return sorted(encode(each) for each in value)
    return [encode(each) for each in value]


_SCALARS = frozenset({str, int, float, bool, type(None)})


@cache
def _names(kind: type) -> tuple[str, ...] | None:
    """Return the fields of an attrs class, None of any other; cached, because it runs for every value of a world."""
    return tuple(each.name for each in attrs.fields(kind)) if attrs.has(kind) else None
