"""Rules for the day on which a completion must be renewed: frozen values, without today's date and earlier resets.

Days are civil dates in a named time zone, with months of different length and 29 February.
"""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import field, frozen

from training_sdk._core import argument_checks
from training_sdk._core.model import Key
from training_sdk._core.text import number
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import InvalidArgumentError
from training_sdk.recertification.due import by_key

LAST_YEAR = 8999
"""The last year accepted: a period added to a day in it is still within the range of dates."""

LONGEST_DAYS = 36_600
"""About a century: more is a typing error."""


class LeapDay(StrEnum):
    """The day that replaces 29 February in a year without one."""

    FEBRUARY_28 = "28 February"
    MARCH_1 = "1 March"


def zone_called(zone: ZoneInfo | str) -> ZoneInfo:
    """Return a time zone, given itself or by its IANA name; the zone of the machine is never used."""
    if isinstance(zone, ZoneInfo):
        return zone
    if not isinstance(zone, str):
        raise argument_checks.refusal(
            "zone", f"must be a ZoneInfo or a name such as 'Europe/Zurich', not {zone!r}."
        )
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidArgumentError(
            f"This machine does not know the time zone {zone!r}. Use a name such as 'Europe/Zurich'. If the machine "
            "has no time zones at all, run: pip install tzdata.",
            argument="zone",
        ) from error


def day(when: date | datetime, zone: ZoneInfo, name: str) -> date:
    """Return the civil day of a time in a zone; a date is returned as it is. A datetime must have a zone."""
    if isinstance(when, datetime):
        return day_of(argument_checks.moment(when, name), zone)
    if not isinstance(when, date):
        raise InvalidArgumentError(
            f"{name} must be a date or a datetime with a time zone, not {when!r}.", argument=name
        )
    return when


def day_of(when: datetime, zone: ZoneInfo) -> date:
    """Return the civil day of a time; at the ends of the calendar, if the zone would leave it, its own day."""
    try:
        return when.astimezone(zone).date()
    except OverflowError:
        return when.date()


def refuse_future(on: date, zone: ZoneInfo, now: datetime, remedy: str = "Make the list for today.") -> None:
    """Raise InvalidArgumentError for a day that is after today in a zone."""
    today = day_of(now, zone)
    if on > today:
        raise InvalidArgumentError(
            f"The list is for {on}, and today is {today} in {zone}. A reset clears progress at once, so a list for a "
            f"later day cannot become a plan. Nothing was planned or saved. {remedy}"
        )


def whole_days(value: timedelta | int, name: str, *, least: int = 0) -> int:
    """Return a number of whole days, from an int or a timedelta."""
    if isinstance(value, timedelta):
        if value % timedelta(days=1):
            raise InvalidArgumentError(f"{name} must be whole days, not {value}.", argument=name)
        value = value.days
    return whole(value, name, least, LONGEST_DAYS, " days")


def whole(value: object, name: str, least: int, most: int, unit: str = "") -> int:
    """Return a whole number within a range."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidArgumentError(
            f"{name} must be a whole number from {least} to {most}{unit}, not {value!r}.", argument=name
        )
    return value


def in_year(month: int, day_of_month: int, year: int, leap_day: LeapDay) -> date:
    """Return a day of a year; ``leap_day`` replaces 29 February."""
    if (month, day_of_month) == (2, 29) and not isleap(year):
        return date(year, 2, 28) if leap_day is LeapDay.FEBRUARY_28 else date(year, 3, 1)
    return date(year, month, day_of_month)


def add_months(start: date, months: int, leap_day: LeapDay) -> date:
    """Return the same day some months later, or the last day of a shorter month."""
    years, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month + 1
    if month == start.month:
        return in_year(month, start.day, year, leap_day)
    return date(year, month, min(start.day, monthrange(year, month)[1]))


def next_yearly(month: int, day_of_month: int, after: date, leap_day: LeapDay) -> date:
    """Return the first such day after a date."""
    this_year = in_year(month, day_of_month, after.year, leap_day)
    if this_year > after:
        return this_year
    return in_year(month, day_of_month, after.year + 1, leap_day)


def last_yearly(month: int, day_of_month: int, until: date, leap_day: LeapDay) -> date:
    """Return the last such day up to and including a date."""
    this_year = in_year(month, day_of_month, until.year, leap_day)
    return this_year if this_year <= until else in_year(month, day_of_month, until.year - 1, leap_day)


Dates: TypeAlias = Mapping[str, date] | Mapping[Key, date] | Mapping[str | Key, date]
"""A date or a datetime with a zone by user id, or by course and user."""

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
"""In English, in every locale."""


class UnclearError(Exception):
    """The rule cannot decide when a person is due; the message is the reason. The person is listed as unclear."""


def _leap_day(value: LeapDay | str) -> LeapDay:
    return argument_checks.one_of(value, LeapDay, "leap_day")


@frozen(kw_only=True)
class FromCompletion:
    """A period after each completion: ``FromCompletion(months=12)``. Late completions change the day.

    ``years``, ``months`` and ``days`` are whole numbers and are added; none may exceed a century. Months later is the
    same day of the month, or the last day of a shorter month: one month after 31 January is 28 or 29 February.
    ``leap_day`` is the day that replaces 29 February in other years.
    """

    years: int = 0
    months: int = 0
    days: int = 0
    leap_day: LeapDay = field(default=LeapDay.FEBRUARY_28, converter=_leap_day)

    def __attrs_post_init__(self) -> None:
        whole(self.years, "years", 0, 100)
        whole(self.months, "months", 0, 1200)
        whole(self.days, "days", 0, LONGEST_DAYS)
        if not self.years and not self.months and not self.days:
            raise InvalidArgumentError(
                "FromCompletion must have a period, such as FromCompletion(months=12)."
            )

    def due_on(self, completed: date, row: ProgressRow, zone: ZoneInfo) -> date:
        """Return the day on which this completion has to be renewed."""
        return self._after(completed, 1)

    def window_start(self, completed: date, row: ProgressRow, zone: ZoneInfo, today: date) -> date:
        """Return the last day up to today on which it had to be renewed, if it was renewed each time."""
        longest = self._whole_months * 31 + self.days
        periods = max(1, (today - completed).days // longest)
        while self._after(completed, periods + 1) <= today:
            periods += 1
        return self._after(completed, periods)

    def _after(self, completed: date, periods: int) -> date:
        """Return the day after some periods, counted from the completion, so that the 31st does not stay the 28th."""
        months_later = add_months(completed, periods * self._whole_months, self.leap_day)
        return months_later + timedelta(days=periods * self.days)

    @property
    def _whole_months(self) -> int:
        return self.years * 12 + self.months

    def __str__(self) -> str:
        parts = {"year": self.years, "month": self.months, "day": self.days}
        period = [f"{count} {unit}{'s' * (count > 1)}" for unit, count in parts.items() if count]
        return f"{' and '.join(period)} after completion"


@frozen
class FixedDate:
    """The same day every year for everyone: ``FixedDate(3, 1)`` is 1 March.

    A completion on that day or later in the year is not due before the same day of the next year. ``leap_day`` is the
    day that replaces 29 February in other years.
    """

    month: int
    day: int
    leap_day: LeapDay = field(default=LeapDay.FEBRUARY_28, converter=_leap_day, kw_only=True)

    def __attrs_post_init__(self) -> None:
        whole(self.month, "month", 1, 12)
        longest = monthrange(2024, self.month)[1]  # a leap year: 29 February is a day
        whole(self.day, "day", 1, longest, f" in {MONTHS[self.month - 1]}")

    def due_on(self, completed: date, row: ProgressRow, zone: ZoneInfo) -> date:
        """Return the first such day after the completion."""
        return next_yearly(self.month, self.day, completed, self.leap_day)

    def window_start(self, completed: date, row: ProgressRow, zone: ZoneInfo, today: date) -> date:
        """Return the last such day up to today."""
        return last_yearly(self.month, self.day, today, self.leap_day)

    def __str__(self) -> str:
        return f"every year on {self.day} {MONTHS[self.month - 1]}"


def _dates(of: Dates) -> Mapping[str | Key, date]:
    if not isinstance(of, Mapping):
        raise argument_checks.refusal(
            "of", f"must be a mapping of user ids, or (course id, user id), to dates, not {of!r}."
        )
    dates: dict[str | Key, date] = {}
    for person, when in of.items():
        dates[person] = when
        if isinstance(when, datetime):
            argument_checks.moment(when, f"The date of {person!r}", argument="of")
        elif not isinstance(when, date):
            raise InvalidArgumentError(f"The date of {person!r} must be a date, not {when!r}.", argument="of")
    return dates


@frozen
class Anniversary:
    """A different day every year for each person, such as the day of hiring. Late completions do not change it.

    ``of`` maps people to dates, by (course id, user id) or else by user id. A person who completed on the anniversary
    or later is not due until the next anniversary. A person without a date is unclear; with ``or_completion`` the day
    of the recorded completion is used instead. ``leap_day`` is the day that replaces 29 February in other years.
    """

    of: Mapping[str | Key, date] = field(converter=_dates, repr=False, hash=False)
    or_completion: bool = field(default=False, kw_only=True)
    leap_day: LeapDay = field(default=LeapDay.FEBRUARY_28, converter=_leap_day, kw_only=True)

    @classmethod
    def of_first_completion(
        cls, history: Iterable[tuple[str, str, datetime]], *, leap_day: LeapDay = LeapDay.FEBRUARY_28
    ) -> Anniversary:
        """Return a rule for the anniversary of each person's first completion of the course.

        ``history`` has earlier completions as (course id, user id, datetime), because the service does not show them
        after a reset. For a person who is not in it, the recorded completion counts as the first.
        """
        return cls(by_key(history, "history", min), or_completion=True, leap_day=leap_day)

    def due_on(self, completed: date, row: ProgressRow, zone: ZoneInfo) -> date:
        """Return the first anniversary after the completion. Raises UnclearError if there is no date."""
        month, day = self._month_and_day(completed, row, zone)
        return next_yearly(month, day, completed, self.leap_day)

    def window_start(self, completed: date, row: ProgressRow, zone: ZoneInfo, today: date) -> date:
        """Return the last anniversary up to today."""
        month, day = self._month_and_day(completed, row, zone)
        return last_yearly(month, day, today, self.leap_day)

    def _month_and_day(self, completed: date, row: ProgressRow, zone: ZoneInfo) -> tuple[int, int]:
        found = self.of.get((row.course_id, row.user_id)) or self.of.get(row.user_id)
        if found is None and not self.or_completion:
            raise UnclearError("no date is known for the anniversary")
        its_day = completed if found is None else day(found, zone, "the date of an anniversary")
        return its_day.month, its_day.day

    def __str__(self) -> str:
        return "on a yearly anniversary"


def _lead(value: timedelta | int) -> int:
    return whole_days(value, "lead")


def expiry_day(row: ProgressRow, zone: ZoneInfo) -> date | None:
    """Return the day on which the completion expires, by the feed; None if the feed has no date."""
    return None if row.completion_expiry_date is None else day_of(row.completion_expiry_date, zone)


@frozen
class BeforeExpiry:
    """A number of days before the completion expires: ``BeforeExpiry(lead=30)``. ``lead`` may be a timedelta.

    The expiry date is a field of the feed that is known from a third party. People without this date are unclear: the
    completions of the course do not expire, or the service does not send the date.
    """

    lead: int = field(default=0, converter=_lead)

    def due_on(self, completed: date, row: ProgressRow, zone: ZoneInfo) -> date:
        """Return the day by which to renew. Raises UnclearError if the expiry is not known, or not possible."""
        expires = expiry_day(row, zone)
        if expires is None:
            raise UnclearError("no expiry date is known")
        if expires <= completed:
            raise UnclearError(f"expires on {expires}, which is not after the completion")
        if (expires - completed).days <= self.lead:
            raise UnclearError(
                f"expires on {expires}: the lead of {number(self.lead, 'day')} is not shorter than the "
                "time for which the completion is valid, so it would be due again at once"
            )
        return expires - timedelta(days=self.lead)

    def window_start(self, completed: date, row: ProgressRow, zone: ZoneInfo, today: date) -> date:
        """Return the day on which it became due: an expiry is not repeated every year."""
        return self.due_on(completed, row, zone)

    def __str__(self) -> str:
        if not self.lead:
            return "when the completion expires"
        return f"{self.lead} day{'s' * (self.lead > 1)} before the completion expires"


Rule: TypeAlias = FromCompletion | FixedDate | Anniversary | BeforeExpiry
