"""Read fields and query parameters with their types, in snake_case or in lowerCamelCase.

A name that is unknown, repeated or in both spellings, and a value of another type, are refused with 400. Lenient
reading ignores unknown names and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from attrs import frozen

from mock_server.refusal import invalid
from mock_server.world import clock

MAX_ID = 128
MAX_IDS = 1000
_MAX_TEXT = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HUMP = re.compile(r"[A-Z]")
_GAP = re.compile(r"_([a-z])")
_NUMBER = re.compile(r"-?[0-9]{1,10}")

_T = TypeVar("_T")


def snake(name: str) -> str:
    """Return ``page_size`` for ``pageSize``."""
    return _HUMP.sub(lambda hump: f"_{hump[0].lower()}", name)


def camel(name: str) -> str:
    """Return ``pageSize`` for ``page_size``."""
    return _GAP.sub(lambda gap: gap[1].upper(), name)


@lru_cache(maxsize=256)
def _spellings(allowed: tuple[str, ...]) -> dict[str, str]:
    return {spelling: name for name in allowed for spelling in (snake(name), camel(name))}


def _canonical(
    given: Iterable[tuple[str, _T]], allowed: tuple[str, ...], kind: str, *, lenient: bool
) -> dict[str, list[_T]]:
    """Return the values by their name in ``allowed``; refuse unknown names, unless lenient, and double spellings."""
    spellings = _spellings(allowed)
    read: dict[str, list[_T]] = {}
    spelled: dict[str, str] = {}
    for name, value in given:
        if name not in spellings:
            if lenient:
                continue
            known = f"Allowed are {', '.join(allowed)}." if allowed else "None is allowed."
            raise invalid(f"Unknown {kind} {name[:100]!r}. {known}", name[:100])
        canonical = spellings[name]
        if spelled.setdefault(canonical, name) != name:
            raise invalid(f"The {kind} {canonical} is given in both spellings. Send one.", canonical)
        read.setdefault(canonical, []).append(value)
    return read


def check_id(value: str, name: str) -> str:
    """Return an id that a path can contain: 1 to 128 characters, no slash, no control character, no dot segment."""
    if not value:
        raise invalid(f"{name} is empty. Send an id.", name)
    if len(value) > MAX_ID:
        raise invalid(f"{name} is longer than {MAX_ID} characters.", name)
    if value in {".", ".."} or "/" in value or "\\" in value or _CONTROL.search(value):
        raise invalid(
            f"{name} must be an id without '/', '\\' and control characters, and not '.' or '..'.", name
        )
    return value


def _check_text(value: str, name: str, longest: int = _MAX_TEXT) -> str:
    if len(value) > longest or _CONTROL.search(value):
        raise invalid(
            f"{name} must be text of at most {longest} characters without control characters.", name
        )
    return value


def _check_number(value: int, name: str, low: int, high: int) -> int:
    if not low <= value <= high:
        raise invalid(f"{name} must be a whole number from {low} to {high}.", name)
    return value


def _check_choice(value: object, name: str, allowed: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise invalid(f"{name} must be one of {', '.join(allowed)}.", name)
    return value


@frozen
class Params:
    """The query parameters of a request, checked against those of its operation."""

    values: dict[str, list[str]]

    @classmethod
    def read(
        cls, given: Iterable[tuple[str, str]], allowed: tuple[str, ...], *, lenient: bool = False
    ) -> Params:
        """Group the values by name; only lists (``…Ids``) may be repeated."""
        values = _canonical(given, allowed, "query parameter", lenient=lenient)
        for name, found in values.items():
            if len(found) > 1 and not name.endswith("Ids"):
                raise invalid(f"The query parameter {name} is given {len(found)} times. Send it once.", name)
        return cls(values)

    def _one(self, name: str) -> str | None:
        return self.values[name][0] if name in self.values else None

    def text(self, name: str) -> str:
        """Return a text, "" if it is not given."""
        return _check_text(self._one(name) or "", name)

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number within bounds."""
        given = self._one(name)
        if given is None:
            return default
        if not _NUMBER.fullmatch(given):
            raise invalid(f"{name} must be a whole number from {low} to {high}.", name)
        return _check_number(int(given), name, low, high)

    def id(self, name: str) -> str | None:
        """Return one id, None if it is not given."""
        given = self._one(name)
        return None if given is None else check_id(given, name)

    def ids(self, name: str) -> list[str] | None:
        """Return ids, repeated or separated by commas; an empty list is refused and never means all."""
        if name not in self.values:
            return None
        given = [each for value in self.values[name] for each in value.split(",")]
        if len(given) > MAX_IDS:
            raise invalid(
                f"{name} must list at most {MAX_IDS} ids, not {len(given)}. Send several requests.", name
            )
        return [check_id(each, name) for each in given]

    def flag(self, name: str) -> bool:
        """Return true or false; false if it is not given."""
        given = self._one(name)
        if given is not None and given.lower() not in ("true", "false"):
            raise invalid(f"{name} must be true or false.", name)
        return given is not None and given.lower() == "true"

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """Return one of the allowed values, the first by default."""
        given = self._one(name)
        return allowed[0] if given is None else _check_choice(given, name, allowed)

    def moment(self, name: str) -> datetime | None:
        """Return a date with time and zone, None if it is not given."""
        given = self._one(name)
        if given is None:
            return None
        try:
            return clock.parse(given)
        except (ValueError, OverflowError):
            raise invalid(f"{name} must be a date such as 2026-01-31T09:00:00Z.", name) from None


@frozen
class Fields:
    """The fields of a JSON object, checked against those of its operation."""

    values: dict[str, object]
    where: str = ""

    @classmethod
    def read(
        cls, given: object, allowed: tuple[str, ...], where: str = "", *, lenient: bool = False
    ) -> Fields:
        """Return the fields by name; ``where`` precedes the names in errors."""
        if not isinstance(given, dict):
            raise invalid(f"{where.rstrip('.') or 'The body'} must be a JSON object.", where.rstrip("."))
        values = _canonical(given.items(), allowed, "field", lenient=lenient)
        return cls({name: value for name, (value,) in values.items()}, where)

    def has(self, name: str) -> bool:
        """Return True if the field is given, even as null."""
        return name in self.values

    def _refuse(self, name: str, what: str) -> Exception:
        return invalid(f"{self.where}{name} must be {what}.", f"{self.where}{name}")

    def id(self, name: str) -> str:
        """Return an id; required."""
        value = self.values.get(name)
        if not isinstance(value, str):
            raise self._refuse(name, "an id in quotes")
        return check_id(value, f"{self.where}{name}")

    def ids(self, name: str, most: int) -> list[str]:
        """Return a list of ids: counted as sent, then each once, in order."""
        given = self.items(name, most)
        if not given:
            raise self._refuse(name, "a list of at least one id. An empty list never means everyone")
        ids = [check_id(value, f"{self.where}{name}") for value in given if isinstance(value, str)]
        if len(ids) != len(given):
            raise self._refuse(name, "a list of ids, each in quotes")
        return list(dict.fromkeys(ids))

    def texts(self, name: str, most: int) -> list[str]:
        """Return a list of texts."""
        given = self.items(name, most)
        texts = [value for value in given if isinstance(value, str)]
        if len(texts) != len(given):
            raise self._refuse(name, "a list of texts")
        return [_check_text(value, f"{self.where}{name}") for value in texts]

    def items(self, name: str, most: int) -> list[object]:
        """Return a list; required."""
        value = self.values.get(name)
        if not isinstance(value, list):
            raise self._refuse(name, "a list")
        if len(value) > most:
            raise self._refuse(
                name, f"a list of at most {most} items, not {len(value)}. Send several requests"
            )
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """Return true or false."""
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise self._refuse(name, "true or false")
        return value

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number within bounds; 1.0 is accepted, as in JSON, but "1" and true are not."""
        value = self.values.get(name, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise self._refuse(name, f"a whole number from {low} to {high}")
        return _check_number(value, f"{self.where}{name}", low, high)

    def text(self, name: str, default: str = "") -> str:
        """Return a text."""
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise self._refuse(name, "text")
        return _check_text(value, f"{self.where}{name}")

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """Return one of the allowed values; required."""
        return _check_choice(self.values.get(name), f"{self.where}{name}", allowed)

    def choices(self, name: str, allowed: Sequence[str]) -> list[str]:
        """Return a list of allowed values."""
        where = f"{self.where}{name}"
        return [_check_choice(value, where, allowed) for value in self.items(name, len(allowed))]
