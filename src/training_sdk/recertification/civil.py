"""Civil dates in a named time zone: days, months of different length, and 29 February."""

from __future__ import annotations

from calendar import isleap, monthrange
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from training_sdk._core import argument_checks
from training_sdk.errors import InvalidArgumentError

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
        raise InvalidArgumentError(
            f"zone must be a ZoneInfo or a name such as 'Europe/Zurich', not {zone!r}.", argument="zone"
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
