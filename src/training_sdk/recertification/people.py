"""Whom a list means: past dates by course and user, and a hold list that no spelling slips through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, TypeAlias

from training_sdk import _checks
from training_sdk.errors import InvalidArgumentError
from training_sdk.models.keys import Key
from training_sdk.models.progress import ProgressRow

Held: TypeAlias = str | tuple[str, str]
"""A person in every course, or (course id, person)."""


def by_key(
    dated: Iterable[tuple[str, str, datetime]], name: str, choose: Callable[[datetime, datetime], datetime]
) -> dict[Key, datetime]:
    """One moment for each course and user: of several, the one that ``choose`` (min or max) takes."""
    chosen: dict[Key, datetime] = {}
    for entry in _listed(dated, name, "(course id, user id, datetime)"):
        if not isinstance(entry, tuple) or len(entry) != 3:
            raise InvalidArgumentError(f"{name} must hold (course id, user id, datetime), not {entry!r}")
        course_id, user_id, when = entry
        key = (_checks.one_id(course_id, f"a course of {name}"), _checks.one_id(user_id, f"a user of {name}"))
        moment = _checks.moment(when, f"a date of {name}")
        chosen[key] = choose(chosen.get(key, moment), moment)
    return chosen


class HoldList:
    """Who must not be reset. Upper and lower case and blanks around an entry make no difference."""

    def __init__(self, hold: Iterable[Held]) -> None:
        self._entries: dict[Held, Held] = {}
        for entry in _listed(hold, "hold", "people, or (course id, person)"):
            self._entries[_folded(entry)] = entry
        self._unseen = dict(self._entries)

    def holds(self, row: ProgressRow) -> bool:
        """Whether an entry names this person, or this person in this course; remembers that it named somebody."""
        if not self._entries:
            return False
        named = [name for name in _names(row) if name in self._entries]
        for name in named:
            self._unseen.pop(name, None)
        return bool(named)

    @property
    def unseen(self) -> tuple[Held, ...]:
        """The entries that have named nobody yet, as they were given."""
        return tuple(self._unseen.values())


def _names(row: ProgressRow) -> Iterator[Held]:
    for name in (row.user_id, row.user_email, row.user_external_id):
        if name:
            yield _fold(name)
            yield _fold(row.course_id), _fold(name)


def _folded(entry: object) -> Held:
    match entry:
        case str() if entry.strip():
            return _fold(entry)
        case (str(course_id), str(person)) if course_id.strip() and person.strip():
            return _fold(course_id), _fold(person)
    raise InvalidArgumentError(
        f"hold must hold user ids, e-mail addresses or external ids, or (course id, one of them), not {entry!r}"
    )


def _fold(name: str) -> str:
    return name.strip().casefold()


def _listed(values: Any, name: str, what: str) -> Iterable[Any]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidArgumentError(f"{name} must be a list of {what}, not {values!r}")
    return values
