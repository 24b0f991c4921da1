"""Rules for the day on which a completion must be renewed: frozen values, without today's date and earlier resets."""

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
        civil.whole(self.years, "years", 0, 100)
        civil.whole(self.months, "months", 0, 1200)
        civil.whole(self.days, "days", 0, civil.LONGEST_DAYS)
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
        months_later = civil.add_months(completed, periods * self._whole_months, self.leap_day)
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
        civil.whole(self.month, "month", 1, 12)
        longest = monthrange(2024, self.month)[1]  # a leap year: 29 February is a day
        civil.whole(self.day, "day", 1, longest, f" in {MONTHS[self.month - 1]}")

    def due_on(self, completed: date, row: ProgressRow, zone: ZoneInfo) -> date:
        """Return the first such day after the completion."""
        return civil.next_yearly(self.month, self.day, completed, self.leap_day)

    def window_start(self, completed: date, row: ProgressRow, zone: ZoneInfo, today: date) -> date:
        """Return the last such day up to today."""
        return civil.last_yearly(self.month, self.day, today, self.leap_day)

    def __str__(self) -> str:
        return f"every year on {self.day} {MONTHS[self.month - 1]}"


def _dates(of: Dates) -> Mapping[str | Key, date]:
    if not isinstance(of, Mapping):
        raise InvalidArgumentError(
            f"of must be a mapping of user ids, or (course id, user id), to dates, not {of!r}.", argument="of"
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
        return civil.next_yearly(month, day, completed, self.leap_day)

    def window_start(self, completed: date, row: ProgressRow, zone: ZoneInfo, today: date) -> date:
        """Return the last anniversary up to today."""
        month, day = self._month_and_day(completed, row, zone)
        return civil.last_yearly(month, day, today, self.leap_day)

    def _month_and_day(self, completed: date, row: ProgressRow, zone: ZoneInfo) -> tuple[int, int]:
        found = self.of.get((row.course_id, row.user_id)) or self.of.get(row.user_id)
        if found is None and not self.or_completion:
            raise UnclearError("no date is known for the anniversary")
        its_day = completed if found is None else civil.day(found, zone, "the date of an anniversary")
        return its_day.month, its_day.day

    def __str__(self) -> str:
        return "on a yearly anniversary"


def _lead(value: timedelta | int) -> int:
    return civil.whole_days(value, "lead")


@frozen
class BeforeExpiry:
    """A number of days before the completion expires: ``BeforeExpiry(lead=30)``. ``lead`` may be a timedelta.

    The expiry date is a field of the feed that is known from a third party. People without this date are unclear: the
    completions of the course do not expire, or the service does not send the date.
    """

    lead: int = field(default=0, converter=_lead)

    def due_on(self, completed: date, row: ProgressRow, zone: ZoneInfo) -> date:
        """Return the day by which to renew. Raises UnclearError if the expiry is not known, or not possible."""
        if row.completion_expiry_date is None:
            raise UnclearError("no expiry date is known")
        expires = civil.day_of(row.completion_expiry_date, zone)
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
