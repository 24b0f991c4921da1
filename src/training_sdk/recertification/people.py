"""Whom a list means: past dates by course and user, and a hold list that no spelling slips through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, TypeAlias

from attrs import frozen

from training_sdk._core import argument_checks
from training_sdk._core.model import Key
from training_sdk._core.text import mailbox, widely
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import InvalidArgumentError

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
        key = (
            argument_checks.one_id(course_id, f"a course of {name}"),
            argument_checks.one_id(user_id, f"a user of {name}"),
        )
        moment = argument_checks.moment(when, f"a date of {name}")
        chosen[key] = choose(chosen.get(key, moment), moment)
    return chosen


@frozen
class Hold:
    """An entry of a hold list that holds somebody; ``exact`` unless only the wide comparison finds them.

    With ``in_other_row`` it names the person by an e-mail address or external id that only another row holds.
    """

    entry: Held
    exact: bool
    in_other_row: bool = False

    @property
    def why(self) -> str:
        """What has to be said of it: nothing where it is exact."""
        if self.in_other_row:
            return f"; held by the entry {self.entry!r}, which names this user in a row of another course"
        return "" if self.exact else f"; held by wide comparison only, by the entry {self.entry!r}"


class HoldList:
    """Who must not be reset: whoever an entry names under the wide comparison, by id, e-mail or external id."""

    def __init__(self, hold: Iterable[Held]) -> None:
        self._entries: dict[Held, list[Held]] = {}
        self._by_person: dict[str, list[Held]] = {}
        self._by_user: dict[str, list[Held]] = {}
        for entry in _listed(hold, "hold", "people, or (course id, person)"):
            folded = _folded(entry)
            self._entries.setdefault(folded, []).append(entry)
            self._by_person.setdefault(folded if isinstance(folded, str) else folded[1], []).append(entry)
        self._unseen = dict(self._entries)

    def holding(self, row: ProgressRow) -> Hold | None:
        """The entry that names this person, or this person in this course; remembers that it named somebody."""
        if not self._entries:
            return None
        for person in (row.user_email, row.user_external_id):
            if person and (naming := self._by_person.get(widely(person))):
                self._by_user.setdefault(widely(row.user_id), []).extend(naming)
        named = [name for name in _names(row) if name in self._entries]
        for name in named:
            self._unseen.pop(name, None)
        entries = [entry for name in named for entry in self._entries[name]]
        if not entries:
            return None
        exact = next((entry for entry in entries if _is_exact(entry, row)), None)
        return Hold(entries[0] if exact is None else exact, exact is not None)

    def holding_in_other_row(self, course_id: str, user_id: str) -> Hold | None:
        """The entry that names this user in a row of another course, once every row has been looked at.

        One row of a user may lack the e-mail address or external id that another row holds.
        """
        for entry in self._by_user.get(widely(user_id), ()):
            folded = _folded(entry)
            if isinstance(folded, str) or folded[0] == widely(course_id):
                self._unseen.pop(folded, None)
                return Hold(entry, exact=False, in_other_row=True)
        return None

    @property
    def unseen(self) -> tuple[Held, ...]:
        """The entries that have named nobody yet, as they were given."""
        return tuple(entry for entries in self._unseen.values() for entry in entries)


def _names(row: ProgressRow) -> Iterator[Held]:
    for name in (row.user_id, row.user_email, row.user_external_id):
        if name:
            yield widely(name)
            yield widely(row.course_id), widely(name)


def _is_exact(entry: Held, row: ProgressRow) -> bool:
    """Whether an entry names somebody under the comparison by which people are chosen."""
    course_id, person = (row.course_id, entry) if isinstance(entry, str) else entry
    if course_id.strip() != row.course_id:
        return False
    exactly = (row.user_id.strip(), (row.user_external_id or "").strip())
    return person.strip() in exactly or mailbox(person) == mailbox(row.user_email or "")


def _folded(entry: object) -> Held:
    match entry:
        case str() if entry.strip():
            return widely(entry)
        case (str(course_id), str(person)) if course_id.strip() and person.strip():
            return widely(course_id), widely(person)
    raise InvalidArgumentError(
        f"hold must hold user ids, e-mail addresses or external ids, or (course id, one of them), not {entry!r}"
    )


def _listed(values: Any, name: str, what: str) -> Iterable[Any]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidArgumentError(f"{name} must be a list of {what}, not {values!r}")
    return values
