"""Days as people count them: civil dates in a named time zone, months that end early, and 29 February."""

from __future__ import annotations

from calendar import isleap, monthrange
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from training_sdk._core import argument_checks
from training_sdk.errors import InvalidArgumentError

LAST_YEAR = 8999
"""No run takes place later: whatever is added to a day then still is one."""

LONGEST_DAYS = 36_600
"""About a century: more is a slip of the keyboard."""


class LeapDay(StrEnum):
    """Which day stands for 29 February in a year that has none."""

    FEBRUARY_28 = "28 February"
    MARCH_1 = "1 March"


def zone_called(zone: ZoneInfo | str) -> ZoneInfo:
    """The time zone itself or by its IANA name; nothing is guessed from the machine."""
    if isinstance(zone, ZoneInfo):
        return zone
    if not isinstance(zone, str):
        raise InvalidArgumentError(f"zone must be a ZoneInfo or a name such as 'Europe/Zurich', not {zone!r}")
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidArgumentError(
            f"zone {zone!r} is not known here; name one such as 'Europe/Zurich' "
            "(if this machine has no time zones at all: pip install tzdata)"
        ) from error


def day(when: date | datetime, zone: ZoneInfo, name: str) -> date:
    """The civil day of a moment in a zone; a date is that day already. A datetime without a zone is refused."""
    if isinstance(when, datetime):
        return day_of(argument_checks.moment(when, name), zone)
    if not isinstance(when, date):
        raise InvalidArgumentError(f"{name} must be a date or a datetime with a time zone, not {when!r}")
    return when


def day_of(when: datetime, zone: ZoneInfo) -> date:
    """The civil day of a moment; at either end of the calendar, where a zone would leave it, the moment's own."""
    try:
        return when.astimezone(zone).date()
    except OverflowError:
        return when.date()


def refuse_future(on: date, zone: ZoneInfo, now: datetime, remedy: str = "Make the list for today") -> None:
    """Raise InvalidArgumentError for a day that is after today in a zone."""
    today = day_of(now, zone)
    if on > today:
        raise InvalidArgumentError(
            f"The list is for {on}, and today is {today} in {zone}. A reset clears progress at once, so no plan is "
            f"made of a list for a later day: it is for looking only. Nothing was planned or saved. {remedy}"
        )


def whole_days(value: timedelta | int, name: str, *, least: int = 0) -> int:
    """A number of whole days, from an int or a timedelta."""
    if isinstance(value, timedelta):
        if value % timedelta(days=1):
            raise InvalidArgumentError(f"{name} must be whole days, not {value}")
        value = value.days
    return whole(value, name, least, LONGEST_DAYS, " days")


def whole(value: object, name: str, least: int, most: int, unit: str = "") -> int:
    """A whole number within a range."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidArgumentError(
            f"{name} must be a whole number from {least} to {most}{unit}, not {value!r}"
        )
    return value


def in_year(month: int, day_of_month: int, year: int, leap_day: LeapDay) -> date:
    """That day in that year, where 29 February may have to be another."""
    if (month, day_of_month) == (2, 29) and not isleap(year):
        return date(year, 2, 28) if leap_day is LeapDay.FEBRUARY_28 else date(year, 3, 1)
    return date(year, month, day_of_month)


def add_months(start: date, months: int, leap_day: LeapDay) -> date:
    """The same day so many months on, or the last of a month that is too short for it."""
    years, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month + 1
    if month == start.month:
        return in_year(month, start.day, year, leap_day)
    return date(year, month, min(start.day, monthrange(year, month)[1]))


def next_yearly(month: int, day_of_month: int, after: date, leap_day: LeapDay) -> date:
    """The first such day that comes after a date."""
    this_year = in_year(month, day_of_month, after.year, leap_day)
    if this_year > after:
        return this_year
    return in_year(month, day_of_month, after.year + 1, leap_day)


def last_yearly(month: int, day_of_month: int, until: date, leap_day: LeapDay) -> date:
    """The last such day up to a date, itself included."""
    this_year = in_year(month, day_of_month, until.year, leap_day)
    return this_year if this_year <= until else in_year(month, day_of_month, until.year - 1, leap_day)
