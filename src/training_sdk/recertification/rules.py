"""When a completion has to be renewed. A rule is a frozen value and knows neither today nor anybody's past resets."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

from attrs import field, frozen

from training_sdk._core import argument_checks
from training_sdk._core.model import Key
from training_sdk._core.text import number
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import InvalidArgumentError
from training_sdk.recertification import civil
from training_sdk.recertification.civil import LeapDay
from training_sdk.recertification.due import by_key

Dates: TypeAlias = Mapping[str, date] | Mapping[Key, date] | Mapping[str | Key, date]
"""A date or a datetime with a zone by user id, or by course and user."""

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
"""In English, whatever the locale."""


class UnclearError(Exception):
    """This rule cannot tell when this person is due, and says why; whoever sorts the rows lists it."""


def _leap_day(value: LeapDay | str) -> LeapDay:
    return argument_checks.one_of(value, LeapDay, "leap_day")


@frozen(kw_only=True)
class FromCompletion:
    """So long after each completion: ``FromCompletion(months=12)``. Late completions move the day.

    ``years``, ``months`` and ``days`` are whole numbers and add up; none is more than a century. The same day of
    the month is meant, or the last of a shorter month: 31 January and a month is 28 or 29 February.
    """

    years: int = 0
    months: int = 0
    days: int = 0
    leap_day: LeapDay = field(default=LeapDay.FEBRUARY_28, converter=_leap_day)

    def __attrs_post_init__(self) -> None:
        civil.whole(self.years, "years", 0, 100)
        civil.whole(self.months, "months", 0, 1200)
        civil.whole(self.days, "days", 0, civil.LONGEST_DAYS)
        if not self.years and not self.months and not self.days:
            raise InvalidArgumentError("FromCompletion needs a period, such as FromCompletion(months=12)")

    def due_on(self, completed: date, row: ProgressRow, zone: ZoneInfo) -> date:
        """The day on which this completion has to be renewed."""
        return self._after(completed, 1)

    def window_start(self, completed: date, row: ProgressRow, zone: ZoneInfo, today: date) -> date:
        """The last day up to today on which it had to be renewed, had it been each time."""
        longest = self._whole_months * 31 + self.days
        periods = max(1, (today - completed).days // longest)
        while self._after(completed, periods + 1) <= today:
            periods += 1
        return self._after(completed, periods)

    def _after(self, completed: date, periods: int) -> date:
        """Counted from the completion each time, so that the 31st does not become the 28th for good."""
        moved = civil.add_months(completed, periods * self._whole_months, self.leap_day)
        return moved + timedelta(days=periods * self.days)

    @property
    def _whole_months(self) -> int:
        return self.years * 12 + self.months

    def __str__(self) -> str:
        parts = {"year": self.years, "month": self.months, "day": self.days}
        period = [f"{count} {unit}{'s' * (count > 1)}" for unit, count in parts.items() if count]
        return f"{' and '.join(period)} after completion"


@frozen
class FixedDate:
    """Everybody on the same day every year: ``FixedDate(3, 1)``. Whoever completed on that day or later is not due."""

    month: int
    day: int
    leap_day: LeapDay = field(default=LeapDay.FEBRUARY_28, converter=_leap_day, kw_only=True)

    def __attrs_post_init__(self) -> None:
        civil.whole(self.month, "month", 1, 12)
        longest = monthrange(2024, self.month)[1]  # a leap year: 29 February is a day
        civil.whole(self.day, "day", 1, longest, f" in {MONTHS[self.month - 1]}")

    def due_on(self, completed: date, row: ProgressRow, zone: ZoneInfo) -> date:
        """The first such day after the completion."""
        return civil.next_yearly(self.month, self.day, completed, self.leap_day)

    def window_start(self, completed: date, row: ProgressRow, zone: ZoneInfo, today: date) -> date:
        """The last such day up to today."""
        return civil.last_yearly(self.month, self.day, today, self.leap_day)

    def __str__(self) -> str:
        return f"every year on {self.day} {MONTHS[self.month - 1]}"


def _dates(of: Dates) -> Mapping[str | Key, date]:
    if not isinstance(of, Mapping):
        raise InvalidArgumentError(f"of must map user ids, or (course id, user id), to dates, not {of!r}")
    dates: dict[str | Key, date] = {}
    for person, when in of.items():
        dates[person] = when
        if isinstance(when, datetime):
            argument_checks.moment(when, f"the date of {person!r}")
        elif not isinstance(when, date):
            raise InvalidArgumentError(f"the date of {person!r} must be a date, not {when!r}")
    return dates


@frozen
class Anniversary:
    """Everybody on a day of their own every year, which late completions do not move.

    ``of`` gives the date of each person, by user id or, first looked for, by (course id, user id): the day they were
    hired, or first trained. Whoever completed on their anniversary or later is not due until the next. Whoever has no
    date is unclear, unless ``or_completion`` lets the completion on record stand for it.
    """

    of: Mapping[str | Key, date] = field(converter=_dates, repr=False, hash=False)
    or_completion: bool = field(default=False, kw_only=True)
    leap_day: LeapDay = field(default=LeapDay.FEBRUARY_28, converter=_leap_day, kw_only=True)

    @classmethod
    def of_first_completion(
        cls, history: Iterable[tuple[str, str, datetime]], *, leap_day: LeapDay = LeapDay.FEBRUARY_28
    ) -> Anniversary:
        """The anniversary of each person's first completion of the course.

        ``history`` has the earlier completions, which no endpoint shows after a reset, as (course id, user id, when).
        For whoever is not in it the completion on record is the first.
        """
        return cls(by_key(history, "history", min), or_completion=True, leap_day=leap_day)

    def due_on(self, completed: date, row: ProgressRow, zone: ZoneInfo) -> date:
        """The first anniversary after the completion. Raises UnclearError where there is no date."""
        month, day = self._month_and_day(completed, row, zone)
        return civil.next_yearly(month, day, completed, self.leap_day)

    def window_start(self, completed: date, row: ProgressRow, zone: ZoneInfo, today: date) -> date:
        """The last anniversary up to today."""
        month, day = self._month_and_day(completed, row, zone)
        return civil.last_yearly(month, day, today, self.leap_day)

    def _month_and_day(self, completed: date, row: ProgressRow, zone: ZoneInfo) -> tuple[int, int]:
        found = self.of.get((row.course_id, row.user_id)) or self.of.get(row.user_id)
        if found is None and not self.or_completion:
            raise UnclearError("no date is known whose anniversary it would be")
        its_day = completed if found is None else civil.day(found, zone, "the date of an anniversary")
        return its_day.month, its_day.day

    def __str__(self) -> str:
        return "on a yearly anniversary"


def _lead(value: timedelta | int) -> int:
    return civil.whole_days(value, "lead")


@frozen
class BeforeExpiry:
    """So many days before the completion expires, as the feed says: ``BeforeExpiry(lead=30)``, or a timedelta.

    Courses whose completions do not expire have no such date, and older services do not send it; those people are
    unclear, never left out. The field is known from a third party.
    """

    lead: int = field(default=0, converter=_lead)

    def due_on(self, completed: date, row: ProgressRow, zone: ZoneInfo) -> date:
        """The day by which to renew. Raises UnclearError where no expiry is known, or none that makes sense."""
        if row.completion_expiry_date is None:
            raise UnclearError("no expiry known")
        expires = civil.day_of(row.completion_expiry_date, zone)
        if expires <= completed:
            raise UnclearError(f"expires on {expires}, which is not after the completion")
        if (expires - completed).days <= self.lead:
            raise UnclearError(
                f"expires on {expires}: the lead of {number(self.lead, 'day')} is no shorter than the completion is "
                "valid, so it would be due again at once"
            )
        return expires - timedelta(days=self.lead)

    def window_start(self, completed: date, row: ProgressRow, zone: ZoneInfo, today: date) -> date:
        """The day on which it became due: an expiry does not come round again by itself."""
        return self.due_on(completed, row, zone)

    def __str__(self) -> str:
        if not self.lead:
            return "when the completion expires"
        return f"{self.lead} day{'s' * (self.lead > 1)} before the completion expires"


Rule: TypeAlias = FromCompletion | FixedDate | Anniversary | BeforeExpiry
