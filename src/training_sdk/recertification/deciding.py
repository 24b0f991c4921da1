"""Sorting the progress feed into who is due and who is not: one pass, no clock, no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from attrs import frozen

from training_sdk.errors import InvalidArgumentError
from training_sdk.models.keys import Key
from training_sdk.models.progress import ProgressRow
from training_sdk.recertification import civil
from training_sdk.recertification.due import Due, DueCase, Standing
from training_sdk.recertification.people import Held, Hold, HoldList, by_key
from training_sdk.recertification.rules import (
    Anniversary,
    BeforeExpiry,
    FixedDate,
    FromCompletion,
    Rule,
    UnclearError,
)

EARLIEST = date(1980, 1, 1)
"""A completion before it is the zero of some computer's calendar, and no reason to reset anybody."""

CATCHING_UP = timedelta(days=1)
"""For so long after a reset the feed may show the completion from before it: 2 h, as published, in whole days."""


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
) -> Due:
    """Find who has to renew a completion, and change nothing.

    ``rows`` is the progress feed, such as ``client.progress.list()``: read once, and of people who are not due nothing
    is kept. ``on`` is today, or any other day; whatever is a moment becomes a civil day in ``zone``. People are listed
    as warned from ``warn`` days before they are due, and as due only ``grace`` days after, however long ago that was.
    ``hold`` has user ids, e-mail addresses or external ids, alone or as (course id, one of them). It is compared
    widely (letter case, composed and decomposed letters do not count), and says where only that holds somebody:
    whoever it names is in no other list but unclear. ``already`` has earlier resets as (course id, user id, when):
    nobody who was reset in the current window is due in it again.

    Raises InvalidArgumentError for a moment or a zone that cannot be placed, and for anything else mistyped.
    """
    zone = civil.zone_called(zone)
    sorter = _Sorter(
        _a_rule(rule),
        _a_day(on, zone),
        zone,
        civil.whole_days(warn, "warn"),
        civil.whole_days(grace, "grace"),
        by_key(already, "already", max),
    )
    on_hold = HoldList(hold)
    lists: dict[Standing, list[DueCase]] = {standing: [] for standing in Standing}
    not_due = 0
    for row in _rows(rows):
        case = sorter.case(row, on_hold.holding(row))
        if case is None:
            not_due += 1
        else:
            lists[case.standing].append(case)
    due, in_grace, warned, held, unclear = (_in_order(lists[standing]) for standing in Standing)
    return Due(
        on=sorter.today,
        zone=str(zone),
        rule=str(rule),
        due=due,
        in_grace=in_grace,
        warned=warned,
        held=held,
        unclear=unclear,
        not_due=not_due,
        held_nobody=on_hold.unseen,
    )


@frozen
class _Sorter:
    rule: Rule
    today: date
    zone: ZoneInfo
    warn: int
    grace: int
    resets: Mapping[Key, datetime]

    def case(self, row: ProgressRow, hold: Hold | None = None) -> DueCase | None:
        """What is to be listed of this row, or None for a person who is not due."""
        if row.completed_at is None:
            return None
        completed = civil.day_of(row.completed_at, self.zone)
        try:
            self._refuse_odd(completed)
            due_on = self.rule.due_on(completed, row, self.zone)
            standing = self._standing(due_on)
            if standing is None or self._is_cleared(row, completed, due_on):
                return None
        except UnclearError as unclear:
            return DueCase.of(row, Standing.UNCLEAR, f"completed on {completed}; {unclear}")
        reset_from = due_on + timedelta(days=self.grace)
        why = f"completed on {completed}, due on {due_on}"
        if reset_from > due_on and standing is not Standing.DUE:
            why += f", reset from {reset_from}"
        if hold is not None:
            return DueCase.of(row, Standing.HELD, why + hold.why, due_on, reset_from)
        return DueCase.of(row, standing, why, due_on, reset_from)

    def _refuse_odd(self, completed: date) -> None:
        if completed > self.today:
            raise UnclearError(f"that is after {self.today}")
        if completed < EARLIEST:
            raise UnclearError("a date so early stands for none")

    def _standing(self, due_on: date) -> Standing | None:
        """By the days since it became due, which are negative before."""
        days = (self.today - due_on).days
        if days < -self.warn:
            return None
        if days < 0:
            return Standing.WARNED
        return Standing.IN_GRACE if days < self.grace else Standing.DUE

    def _is_cleared(self, row: ProgressRow, completed: date, due_on: date) -> bool:
        """Whether a reset has cleared this completion, so that the row is merely behind.

        Raises UnclearError if the reset lies in the current window but the feed should have caught up with it.
        """
        reset_at = self.resets.get((row.course_id, row.user_id))
        if reset_at is None or row.completed_at is None or reset_at < row.completed_at:
            return False
        reset_on = civil.day_of(reset_at, self.zone)
        if self.today - reset_on <= CATCHING_UP:
            return True
        if self.today < due_on or reset_on < self.rule.window_start(completed, row, self.zone, self.today):
            return False
        raise UnclearError(
            f"reset on {reset_on}, yet the feed still shows the completion from before it: see whether it took effect"
        )


def _in_order(cases: Iterable[DueCase]) -> tuple[DueCase, ...]:
    return tuple(sorted(cases, key=lambda case: (case.due_on or date.min, case.course_id, case.user_id)))


def _rows(rows: Iterable[ProgressRow]) -> Iterable[ProgressRow]:
    if not isinstance(rows, Iterable):
        raise InvalidArgumentError(
            f"rows must be progress rows, such as client.progress.list(), not {type(rows).__name__}; "
            "with the async client collect them first: [row async for row in client.progress.list()]"
        )
    for row in rows:
        if not isinstance(row, ProgressRow):
            raise InvalidArgumentError(f"rows must be progress rows, not {type(row).__name__}")
        yield row


def _a_rule(rule: object) -> Rule:
    if not isinstance(rule, FromCompletion | FixedDate | Anniversary | BeforeExpiry):
        raise InvalidArgumentError(
            f"rule must be a FromCompletion, FixedDate, Anniversary or BeforeExpiry, not {rule!r}"
        )
    return rule


def _a_day(on: date | datetime, zone: ZoneInfo) -> date:
    today = civil.day(on, zone, "on")
    if not EARLIEST.year <= today.year <= civil.LAST_YEAR:
        raise InvalidArgumentError(f"on must lie between {EARLIEST.year} and {civil.LAST_YEAR}, not {today}")
    return today
