"""The result of ``who_is_due``, and its lists of people: the hold list, earlier resets and completions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeAlias

from attrs import frozen

from training_sdk._core import argument_checks
from training_sdk._core.model import Key
from training_sdk._core.text import (
    MOST_IN_HTML,
    inline,
    mailbox,
    notebook_html,
    number,
    paragraphs_html,
    table_html,
    visible,
    widely,
)
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import InvalidArgumentError

Held: TypeAlias = str | tuple[str, str]
"""A person in all courses, or (course id, person)."""


class DueState(StrEnum):
    """The list that a person is in."""

    DUE = "due"
    IN_GRACE = "in grace"
    WARNED = "warned"
    HELD = "held"
    UNCLEAR = "unclear"
    LAPSED = "lapsed"
    """Reset or expired, and not complete since."""
    ALREADY_RESET = "already reset"
    """Reset on the day of the run or the day before, by the records given; the feed still shows the old completion."""


Standing = DueState
"""The earlier name of ``DueState``."""


@frozen
class DueCase:
    """One person in one course who is listed. Days are civil days in the zone of the run.

    ``due_on`` is the day on which the completion has to be renewed and ``reset_from`` the first day, after the grace
    period, on which they are to be reset; both None where that is unclear, and for people who have lapsed. ``why`` is
    the reason. ``lapsed_since`` is the first day without a valid completion, as far as the feed and the
    records given show it, and ``lapsed_days`` the number of days from then to the day of the run. Both are None for
    people whose completion is valid, and where the day is not known.
    """

    course_id: str
    user_id: str
    name: str
    email: str | None
    course_title: str | None
    completed_at: datetime | None
    standing: DueState
    due_on: date | None
    reset_from: date | None
    why: str
    lapsed_since: date | None = None
    lapsed_days: int | None = None

    @classmethod
    def of(
        cls,
        row: ProgressRow,
        standing: DueState,
        why: str,
        due_on: date | None = None,
        reset_from: date | None = None,
        lapsed_since: date | None = None,
        lapsed_days: int | None = None,
    ) -> DueCase:
        """Return the case of a row of the progress feed."""
        person = (row.course_id, row.user_id, row.user_name, row.user_email, row.course_title)
        days = (due_on, reset_from, why, lapsed_since, lapsed_days)
        return cls(*person, row.completed_at, standing, *days)

    @property
    def key(self) -> Key:
        """Course and user."""
        return self.course_id, self.user_id

    def __str__(self) -> str:
        person = f"{self.name or self.user_id}{f' <{self.email}>' if self.email else ''}"
        return inline(f"{person}, {self.course_title or self.course_id!r}: {self.why}")


@frozen
class Due:
    """The result of ``who_is_due`` for a day. No person has been reset, warned or written to.

    Every row given is in exactly one of the lists, or counted in ``not_due``: people with a valid completion, and
    people who have never completed, as far as the feed and the records given show. ``lapsed`` are people who were reset
    or whose completion has expired, and who have not completed since. ``already_reset`` are people who were reset
    on the day of the run or the day before, while the feed still shows the completion from before. Lists are in order
    of the due day (``lapsed``: of the first day without a valid completion), then of course and user. ``held_nobody``
    are the entries of the hold list that match no row: a person in another course, or a typing error.
    """

    on: date
    zone: str
    rule: str
    due: tuple[DueCase, ...]
    in_grace: tuple[DueCase, ...]
    warned: tuple[DueCase, ...]
    held: tuple[DueCase, ...]
    unclear: tuple[DueCase, ...]
    not_due: int
    held_nobody: tuple[Held, ...] = ()
    lapsed: tuple[DueCase, ...] = ()
    already_reset: tuple[DueCase, ...] = ()

    @property
    def by_course(self) -> Mapping[str, tuple[str, ...]]:
        """The user ids to reset now, by course id, for a plan. Empty if no person is due."""
        users: dict[str, dict[str, None]] = {}
        for case in self.due:
            users.setdefault(case.course_id, {})[case.user_id] = None
        return {course_id: tuple(of_course) for course_id, of_course in users.items()}

    @property
    def listed(self) -> Mapping[DueState, tuple[DueCase, ...]]:
        """The lists by name."""
        return {standing: getattr(self, standing.name.lower()) for standing in DueState}

    def __str__(self) -> str:
        return visible("\n".join(self._lines()))

    def _repr_html_(self) -> str:
        head = ("list", "name", "e-mail or id", "course", "completed", "due on", "reset from", "why")
        cases = [case for of_standing in self.listed.values() for case in of_standing]
        rows = (
            (
                *(case.standing, case.name, case.email or case.user_id, case.course_title or case.course_id),
                *(case.completed_at, case.due_on, case.reset_from, case.why),
            )
            for case in cases
        )
        left = len(cases) - MOST_IN_HTML
        below = [f"… and {left} more"] if left > 0 else []
        if vain := len(self.held_nobody):
            below.append(f"{number(vain, 'entry', 'entries')} of the hold list matched no row: held_nobody")
        table = table_html(head, rows) if cases else ""
        return notebook_html(f"{paragraphs_html([self._headline])}{table}{paragraphs_html(below)}")

    @property
    def _headline(self) -> str:
        counts = ", ".join(f"{len(cases)} {standing}" for standing, cases in self.listed.items())
        return f"Recertification {self.rule}, on {self.on} ({self.zone}): {counts}, {self.not_due} not due."

    def _lines(self) -> Iterator[str]:
        yield self._headline
        for standing, cases in self.listed.items():
            if cases:
                yield f"{_HEADINGS[standing].format(on=self.on)}:"
                yield from (f"  - {case}" for case in cases)
        if self.held_nobody:
            yield f"On the hold list, but in none of the rows: {', '.join(map(str, self.held_nobody))}"

    def __repr__(self) -> str:
        return visible(f"<Due: {self._headline}>")


_HEADINGS = {
    DueState.DUE: "Due on {on}, to be reset",
    DueState.IN_GRACE: "Due, but still in the grace period",
    DueState.WARNED: "Soon due, to be warned",
    DueState.HELD: "On the hold list, not to be reset",
    DueState.UNCLEAR: "Unclear, to be checked by a person",
    DueState.LAPSED: "Lapsed: reset or expired, and not complete since. They have no valid completion until they train",
    DueState.ALREADY_RESET: "Reset already by the records on hand, while the feed still shows the old completion. Look "
    "again once it has caught up (2 h on a live service)",
}


# --- hold list and earlier resets ---


def by_key(
    dated: Iterable[tuple[str, str, datetime]], name: str, choose: Callable[[datetime, datetime], datetime]
) -> dict[Key, datetime]:
    """Return one time for each course and user: of several, the one that ``choose`` (min or max) returns."""
    chosen: dict[Key, datetime] = {}
    for entry in _checked_list(dated, name, "(course id, user id, datetime)"):
        if not isinstance(entry, tuple) or len(entry) != 3:
            raise InvalidArgumentError(
                f"An entry of {name} must be (course id, user id, datetime), not {entry!r}.", argument=name
            )
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
    """An entry of the hold list that matches a person; ``exact`` unless only the tolerant comparison finds them.

    With ``in_other_row`` it names the person by an e-mail address or external id that only another row has.
    """

    entry: Held
    exact: bool
    in_other_row: bool = False

    @property
    def why(self) -> str:
        """The addition to the text of a case; empty for an exact match."""
        if self.in_other_row:
            return f"; on hold by the entry {self.entry!r}, which names this user in a row of another course"
        return (
            ""
            if self.exact
            else f"; on hold by the entry {self.entry!r}, which matches by tolerant comparison only"
        )


class HoldList:
    """The people who must not be reset: those whose id, e-mail or external id matches an entry, compared tolerantly."""

    def __init__(self, hold: Iterable[Held]) -> None:
        self._entries: dict[Held, list[Held]] = {}
        self._by_person: dict[str, list[Held]] = {}
        self._by_user: dict[str, list[Held]] = {}
        for entry in _checked_list(hold, "hold", "people, or (course id, person)"):
            folded = _entry_key(entry)
            self._entries.setdefault(folded, []).append(entry)
            self._by_person.setdefault(folded if isinstance(folded, str) else folded[1], []).append(entry)
        self._unseen = dict(self._entries)

    def holding(self, row: ProgressRow) -> Hold | None:
        """Return the entry that names this person, in this course or in all; count it as seen."""
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
        """Return the entry that names this user in a row of another course; call it after ``holding`` of every row.

        One row of a user may lack the e-mail address or external id that another row has.
        """
        for entry in self._by_user.get(widely(user_id), ()):
            folded = _entry_key(entry)
            if isinstance(folded, str) or folded[0] == widely(course_id):
                self._unseen.pop(folded, None)
                return Hold(entry, exact=False, in_other_row=True)
        return None

    @property
    def unseen(self) -> tuple[Held, ...]:
        """The entries that match no row so far, as they were given."""
        return tuple(entry for entries in self._unseen.values() for entry in entries)


def _names(row: ProgressRow) -> Iterator[Held]:
    for name in (row.user_id, row.user_email, row.user_external_id):
        if name:
            yield widely(name)
            yield widely(row.course_id), widely(name)


def _is_exact(entry: Held, row: ProgressRow) -> bool:
    """Return whether an entry matches a person by the comparison that plans use."""
    course_id, person = (row.course_id, entry) if isinstance(entry, str) else entry
    if course_id.strip() != row.course_id:
        return False
    exactly = (row.user_id.strip(), (row.user_external_id or "").strip())
    return person.strip() in exactly or mailbox(person) == mailbox(row.user_email or "")


def _entry_key(entry: object) -> Held:
    match entry:
        case str() if entry.strip():
            return widely(entry)
        case (str(course_id), str(person)) if course_id.strip() and person.strip():
            return widely(course_id), widely(person)
    raise InvalidArgumentError(
        f"An entry of hold must be a user id, an e-mail address, an external id, or (course id, one of these), "
        f"not {entry!r}.",
        argument="hold",
    )


def _checked_list(values: Any, name: str, what: str) -> Iterable[Any]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidArgumentError(f"{name} must be a list of {what}, not {values!r}.", argument=name)
    return values
