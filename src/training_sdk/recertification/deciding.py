"""The decision who is due: one pass over the progress feed, without clock and network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from attrs import evolve, frozen

from training_sdk._core import argument_checks
from training_sdk._core.model import Key
from training_sdk._core.text import number
from training_sdk.api.progress import ProgressRow
from training_sdk.recertification import rules
from training_sdk.recertification.due import Due, DueCase, DueState, Held, Hold, HoldList, by_key
from training_sdk.recertification.rules import (
    Anniversary,
    BeforeExpiry,
    FixedDate,
    FromCompletion,
    Rule,
    UnclearError,
    expiry_day,
)

EARLIEST = date(1980, 1, 1)
"""An earlier completion is a zero date of a computer's calendar, and no reason for a reset."""

CATCHING_UP = timedelta(days=1)
"""The time after a reset in which the feed may show the earlier completion: 2 h, as published, in whole days."""


def who_is_due(
    rows: Iterable[ProgressRow],
    rule: Rule,
    *,
    on: date | datetime,
    zone: ZoneInfo | str,
    warn: timedelta | int = 0,
    grace: timedelta | int = 0,
    hold: Iterable[Held] = (),
    already: Iterable[tuple[str, str, datetime]] = (),
    history: Iterable[tuple[str, str, datetime]] = (),
    in_doubt: Iterable[tuple[str, str, datetime]] = (),
) -> Due:
    """Find the people who must renew a completion. Nothing is changed.

    People in ``already`` or ``history`` who are not complete now are listed as lapsed. Without these two arguments, a
    person who was reset cannot be distinguished from a person who has never completed.

    Arguments:

    - ``rows``: The rows of the progress feed, such as ``client.progress.list()``. They are read once, and people who
      are not due are not stored.
    - ``rule``: The rule for the day on which a completion must be renewed.
    - ``on``: The day for which the list is made. A datetime is converted to a day in ``zone``.
    - ``zone``: The time zone in which days are counted.
    - ``warn``: List people as warned from this number of days before the due day.
    - ``grace``: The grace period: list people as due only from this number of days after the due day, without an end.
    - ``hold``: The hold list: user ids, e-mail addresses or external ids, alone or as (course id, one of these). Letter
      case, and composed or decomposed letters, do not matter; the list shows which entries match only in this way.
      People on hold are in no other list except ``unclear``.
    - ``already``: Earlier resets as (course id, user id, when). A person who was reset in the current window
      is not due in it again.
    - ``history``: Earlier completions in the same form, such as those in evidence packages.
    - ``in_doubt``: Requests in the same form whose effect is not known. People whom the feed still shows with progress
      are unclear.

    Raises InvalidArgumentError for a time without a zone, an unknown zone, and any other invalid argument.
    """
    zone = rules.zone_called(zone)
    resets, doubts = by_key(already, "already", max), by_key(in_doubt, "in_doubt", max)
    doubts = {key: when for key, when in doubts.items() if key not in resets or resets[key] < when}
    sorter = _Sorter(
        _a_rule(rule),
        _a_day(on, zone),
        zone,
        rules.whole_days(warn, "warn"),
        rules.whole_days(grace, "grace"),
        resets,
        by_key(history, "history", max),
        doubts,
    )
    on_hold = HoldList(hold)
    lists, not_due = _by_standing(rows, sorter, on_hold)
    lists = _held_in_other_rows(lists, on_hold)
    return Due(
        on=sorter.today,
        zone=str(zone),
        rule=str(rule),
        not_due=not_due,
        held_nobody=on_hold.unseen,
        **{standing.name.lower(): _in_order(cases) for standing, cases in lists.items()},
    )


def _by_standing(
    rows: Iterable[ProgressRow], sorter: _Sorter, on_hold: HoldList
) -> tuple[dict[DueState, list[DueCase]], int]:
    """Return the cases of these rows, and the number of rows of people who are not due."""
    lists: dict[DueState, list[DueCase]] = {standing: [] for standing in DueState}
    not_due = 0
    listed = set[tuple[Key, datetime | None, DueState]]()
    for row in _rows(rows):
        case = sorter.case(row, on_hold.holding(row))
        if case is None:
            not_due += 1
        elif (case.key, case.completed_at, case.standing) not in listed:  # two pages may show one row
            listed.add((case.key, case.completed_at, case.standing))
            lists[case.standing].append(case)
    return lists, not_due


def _held_in_other_rows(
    lists: Mapping[DueState, list[DueCase]], on_hold: HoldList
) -> dict[DueState, list[DueCase]]:
    """Return the lists with the people on hold whom an entry names only in a row of another course."""
    found: dict[DueState, list[DueCase]] = {standing: [] for standing in DueState}
    for standing, cases in lists.items():
        for case in cases:
            hold = None
            if standing not in (DueState.HELD, DueState.UNCLEAR):
                hold = on_hold.holding_in_other_row(case.course_id, case.user_id)
            if hold is not None:
                case = evolve(case, standing=DueState.HELD, why=case.why + hold.why)
            found[case.standing].append(case)
    return found


@frozen
class _Sorter:
    rule: Rule
    today: date
    zone: ZoneInfo
    warn: int
    grace: int
    resets: Mapping[Key, datetime]
    history: Mapping[Key, datetime]
    doubts: Mapping[Key, datetime]
    """Requests after the known reset, if any; they may have had no effect."""

    def case(self, row: ProgressRow, hold: Hold | None = None) -> DueCase | None:
        """Return the case of this row, or None for a person who is not due."""
        try:
            done = row.completed_at
            found = self._incomplete(row) if done is None else self._complete(row, done)
        except UnclearError as unclear:
            return DueCase.of(row, DueState.UNCLEAR, f"{self._completion(row.completed_at, '; ')}{unclear}")
        if found is None or hold is None:
            return found
        return evolve(found, standing=DueState.HELD, why=found.why + hold.why)

    def _complete(self, row: ProgressRow, completed_at: datetime) -> DueCase | None:
        completed = rules.day_of(completed_at, self.zone)
        self._refuse_odd(completed)
        due_on = self.rule.due_on(completed, row, self.zone)
        standing = self._standing(due_on)
        expired_on = self._expiry(row)
        is_expired = expired_on is not None and completed < expired_on <= self.today
        since = expired_on if is_expired else None
        why = f"{self._completion(completed_at)}due on {due_on}"
        if (reset_on := self._reset_on(row)) is not None:
            is_recent = self.today - reset_on <= CATCHING_UP
            if is_recent and _key(row) not in self.doubts:
                since = _earliest(reset_on, since)
                why += f"; reset on {reset_on}, which the feed does not show yet"
                return self._listed(row, DueState.ALREADY_RESET, why, due_on, since)
            if is_recent or not self._is_of_a_later_window(row, completed, due_on, standing, reset_on):
                raise UnclearError(self._unseen(row, reset_on))
            what = "sent to be reset" if _key(row) in self.doubts else "reset"
            why += f"; {what} on {reset_on}, which the feed never showed"
        if is_expired:
            why += f"; expired on {expired_on}{self._days(since)}"
        if standing is None:
            return self._listed(row, DueState.LAPSED, why, None, since) if is_expired else None
        return self._listed(row, standing, why, due_on, since)

    def _incomplete(self, row: ProgressRow) -> DueCase | None:
        """Return the case of a person who was complete once, or was reset, and has no valid completion."""
        known_at, was_complete_at = self.resets.get(_key(row)), self.history.get(_key(row))
        reset_at = self.doubts.get(_key(row)) if known_at is None else known_at
        reset_on = None if reset_at is None else rules.day_of(reset_at, self.zone)
        expiry = self._expiry(row)
        expired_on = expiry if expiry is not None and expiry <= self.today else None
        since = _earliest(reset_on, expired_on)
        if since is None and was_complete_at is None:
            if expiry is None:
                return None
            raise UnclearError(f"not complete, but the feed shows a completion that expires on {expiry}")
        if reset_on and row.has_recorded_progress and not (known_at or expired_on or was_complete_at):
            raise UnclearError(f"in progress at {row.progress_percent:g} %; {self._unseen(row, reset_on)}")
        how = (("expired", expired_on), ("sent to be reset" if known_at is None else "reset", reset_on))
        ended = [f"{what} on {on}" for what, on in how if on]
        ended.append("not complete since")
        if row.has_recorded_progress:
            ended.append(f"in progress at {row.progress_percent:g} %")
        why = self._completion(was_complete_at) + ", ".join(ended) + self._days(since)
        return self._listed(row, DueState.LAPSED, why, None, since)

    def _listed(
        self, row: ProgressRow, standing: DueState, why: str, due_on: date | None, since: date | None
    ) -> DueCase:
        reset_from = None if due_on is None else due_on + timedelta(days=self.grace)
        if standing in (DueState.IN_GRACE, DueState.WARNED) and reset_from != due_on:
            why += f", reset from {reset_from}"
        days = None if since is None else self._days_since(since)
        return DueCase.of(row, standing, why, due_on, reset_from, since, days)

    def _completion(self, completed_at: datetime | None, then: str = ", ") -> str:
        return "" if completed_at is None else f"completed on {rules.day_of(completed_at, self.zone)}{then}"

    def _days(self, since: date | None) -> str:
        if since is None:
            return ": without a valid completion, since when is not known"
        return f": {number(self._days_since(since), 'day')} without a valid completion"

    def _days_since(self, day: date) -> int:
        return max((self.today - day).days, 0)

    def _refuse_odd(self, completed: date) -> None:
        if completed > self.today:
            raise UnclearError(f"this is after {self.today}, the day of this list")
        if completed < EARLIEST:
            raise UnclearError(f"a date before {EARLIEST:%Y} is not a real completion")

    def _standing(self, due_on: date) -> DueState | None:
        """Return the list by the days since the due day; they are negative before it."""
        days = (self.today - due_on).days
        if days < -self.warn:
            return None
        if days < 0:
            return DueState.WARNED
        return DueState.IN_GRACE if days < self.grace else DueState.DUE

    def _expiry(self, row: ProgressRow) -> date | None:
        """Return the day on which the completion expires, by the feed; None for a date before EARLIEST, a zero date."""
        expiry = expiry_day(row, self.zone)
        return None if expiry is None or expiry < EARLIEST else expiry

    def _reset_on(self, row: ProgressRow) -> date | None:
        """Return the day of a reset after the completion in the row, which should have cleared it."""
        reset_at = self.doubts.get(_key(row), self.resets.get(_key(row)))
        if reset_at is None or row.completed_at is None or reset_at < row.completed_at:
            return None
        return rules.day_of(reset_at, self.zone)

    def _unseen(self, row: ProgressRow, reset_on: date) -> str:
        """Return the reason why the result of a reset is not known, if the feed does not show its effect."""
        if _key(row) in self.doubts:
            return f"sent to be reset on {reset_on}, and it is not known whether it took effect: resume that plan"
        shows = "yet the feed still shows the completion from before it: see whether it took effect"
        return f"reset on {reset_on}, {shows}"

    def _is_of_a_later_window(
        self, row: ProgressRow, completed: date, due_on: date, standing: DueState | None, reset_on: date
    ) -> bool:
        """Return whether the person is listed for a window that began after the reset."""
        return standing is not None and (
            self.today < due_on or reset_on < self.rule.window_start(completed, row, self.zone, self.today)
        )


def _key(row: ProgressRow) -> Key:
    return row.course_id, row.user_id


def _earliest(*days: date | None) -> date | None:
    return min((one for one in days if one is not None), default=None)


def _in_order(cases: Iterable[DueCase]) -> tuple[DueCase, ...]:
    return tuple(sorted(cases, key=_order))


def _order(case: DueCase) -> tuple[date, str, str]:
    return case.due_on or case.lapsed_since or date.min, case.course_id, case.user_id


def _rows(rows: Iterable[ProgressRow]) -> Iterable[ProgressRow]:
    if not isinstance(rows, Iterable):
        raise argument_checks.refusal(
            "rows",
            f"must be progress rows, such as client.progress.list(), not {type(rows).__name__}. "
            "With the async client, collect them first: [row async for row in client.progress.list()].",
        )
    for row in rows:
        if not isinstance(row, ProgressRow):
            raise argument_checks.refusal("rows", f"must be progress rows, not {type(row).__name__}.")
        yield row


def _a_rule(rule: object) -> Rule:
    if not isinstance(rule, FromCompletion | FixedDate | Anniversary | BeforeExpiry):
        raise argument_checks.refusal(
            "rule", f"must be a FromCompletion, FixedDate, Anniversary or BeforeExpiry, not {rule!r}."
        )
    return rule


def _a_day(on: date | datetime, zone: ZoneInfo) -> date:
    today = rules.day(on, zone, "on")
    if not EARLIEST.year <= today.year <= rules.LAST_YEAR:
        raise argument_checks.refusal(
            "on", f"must be between {EARLIEST.year} and {rules.LAST_YEAR}, not {today}."
        )
    return today
