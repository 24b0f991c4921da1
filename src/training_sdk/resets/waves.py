"""Waves: how many people are reset at once, and when the next wave may start; the service notifies each of them.

Hours are local time in ``zone``. Where clocks are set forward or back, no wave starts outside these hours, and a wave
whose hour does not exist that day starts when the clock jumps. ``reset_request.divide`` divides people into waves and
requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal, TypeAlias, get_args

from attrs import field, frozen

from training_sdk._core import argument_checks
from training_sdk._core.flow import Flow, Moment, Now, Sleep
from training_sdk.errors import InvalidArgumentError, Remedy
from training_sdk.recertification.rules import zone_called
from training_sdk.records.events import WavesKept

Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

EVERY_DAY: tuple[Weekday, ...] = get_args(Weekday)
WEEKDAYS: tuple[Weekday, ...] = EVERY_DAY[:5]
LISTENING = 1.0
"""Seconds between two looks at whether to stop."""
LONGEST_SLEEP = 3600.0
"""Seconds after which a wait looks at the clock again, so that it can be watched and stopped."""

_HORIZON = 15
"""Days within which hours that come once a week come, even if one of them falls into a jump of the clock."""
_DAY = timedelta(days=1)
_LONGEST_PAUSE = timedelta(days=366)


def _size(value: object) -> int:
    if type(value) is not int or value < 1:
        raise argument_checks.refusal("size", f"must be a whole number of people from 1 up, not {value!r}.")
    return value


def _pause(value: object) -> timedelta:
    if not isinstance(value, timedelta) or not timedelta(0) <= value <= _LONGEST_PAUSE:
        raise argument_checks.refusal("every", f"must be a timedelta of 0 to 366 days, not {value!r}.")
    return value


def _hours(value: object) -> tuple[time, time] | None:
    if value is None:
        return None
    if not isinstance(value, tuple) or len(value) != 2 or not all(type(one) is time for one in value):
        raise argument_checks.refusal(
            "between", f"must be two times of day, such as (time(8), time(17)), not {value!r}."
        )
    begin, end = value
    if begin.tzinfo or end.tzinfo:
        raise argument_checks.refusal(
            "between", "must have times without a time zone. Pass the time zone as zone."
        )
    if begin == end:
        raise argument_checks.refusal(
            "between", "must have two different times. Leave it out for the whole day."
        )
    return begin, end


def _days(value: object) -> tuple[Weekday, ...]:
    named = () if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)
    if not named or not set(named) <= set(EVERY_DAY):
        raise argument_checks.refusal("days", f"must name some of {', '.join(EVERY_DAY)}, not {value!r}.")
    return tuple(day for day in EVERY_DAY if day in named)


@frozen
class Waves:
    """The schedule of resets over time: every person who is reset may get a notification.

    Arguments:

    - ``size``: The largest number of people in a wave.
    - ``every``: The time from the start of one wave to the start of the next, 0 to 366 days.
    - ``between``: Two times of day: waves start from the first until just before the second. If the second is
      earlier, the hours go over midnight, and the night belongs to the day on which it begins.
    - ``days``: The days on which waves start: some of ``"mon"`` to ``"sun"``.
    - ``zone``: The time zone of ``between`` and ``days``, such as ``"Europe/Zurich"``; required with them.

    Raises InvalidArgumentError for values that cannot be used.
    """

    size: int = field(converter=_size)
    every: timedelta = field(default=timedelta(0), converter=_pause)
    between: tuple[time, time] | None = field(default=None, converter=_hours)
    days: tuple[Weekday, ...] = field(default=EVERY_DAY, converter=_days)
    zone: str | None = None
    _tz: tzinfo = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if self.zone is None and (self.between is not None or self.days != EVERY_DAY):
            raise argument_checks.refusal(
                "zone",
                "must be given: between and days need a time zone.",
                remedy=Remedy("waves_zone", "Pass zone='Europe/Zurich' or your own."),
            )
        if not isinstance(self.zone, str | None):
            raise argument_checks.refusal(
                "zone", f"must be a name such as 'Europe/Zurich', not {self.zone!r}."
            )
        object.__setattr__(self, "_tz", UTC if self.zone is None else zone_called(self.zone))

    def next_start(self, now: datetime, last_start: datetime | None = None) -> datetime:
        """Return the time at which the next wave may start, in UTC: now, or the first allowed time after it.

        ``last_start`` is the start of the last wave, if there was one. Both times need a time zone; else it raises
        InvalidArgumentError.
        """
        earliest = _aware(now)
        if last_start is not None:
            earliest = max(earliest, _aware(last_start) + self.every)
        if self.allows(earliest):
            return earliest
        return min(start for start in self._beginnings(earliest) if start > earliest and self.allows(start))

    def allows(self, moment: datetime) -> bool:
        """Return whether a time is within the hours and days, in local time of the zone."""
        local = _aware(moment).astimezone(self._tz)
        day = local.date()
        if self.between is not None:
            begin, end = self.between
            shown = local.time()
            if begin < end and not begin <= shown < end:
                return False
            if begin > end and shown < begin:
                if shown >= end:
                    return False
                day -= _DAY
        return EVERY_DAY[day.weekday()] in self.days

    def _beginnings(self, earliest: datetime) -> Iterator[datetime]:
        """Yield every time at which hours may begin: at their time, when the day changes, or when the clock jumps."""
        first = earliest.astimezone(self._tz).date() - _DAY
        openings = {time(0), self.between[0] if self.between else time(0)}
        for number in range(_HORIZON):
            day = first + number * _DAY
            for opening in openings:
                yield from _moments(day, opening, self._tz)
            since = earliest + (number - 1) * _DAY
            yield from _jumps(since, since + _DAY, self._tz)


def _moments(day: date, shown: time, zone: tzinfo) -> Iterator[datetime]:
    """Yield the times at which a clock shows this: one as a rule, two if it is set back, none if it jumps over it."""
    for fold in (0, 1):
        moment = datetime.combine(day, shown, zone).replace(fold=fold).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == datetime.combine(day, shown):
            yield moment


def _jumps(since: datetime, until: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield the time, to the second, at which the clock is changed within a day, if it is."""
    before = since.astimezone(zone).utcoffset()
    if until.astimezone(zone).utcoffset() == before:
        return
    low, high = int(since.timestamp()), int(until.timestamp()) + 1
    while high - low > 1:
        middle = (low + high) // 2
        same = datetime.fromtimestamp(middle, zone).utcoffset() == before
        low, high = (middle, high) if same else (low, middle)
    yield datetime.fromtimestamp(high, UTC)


def _aware(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise InvalidArgumentError(
            "The time must have a time zone. Use datetime.now(timezone.utc) for the current time."
        )
    return moment.astimezone(UTC)


def wait_until(
    moment: datetime,
    why: str,
    *,
    at_most: float = LONGEST_SLEEP,
    check: Callable[[], None] | None = None,
) -> Flow[None]:
    """Sleep until a time, never longer than ``at_most`` seconds (up to an hour) at once; then read the clock again.

    So a change of the clock is noticed, and the caller can watch the wait or stop it.
    """
    longest = min(at_most, LONGEST_SLEEP if check is None else LISTENING)
    while True:
        if check is not None:
            check()
        now: Moment = yield Now()
        left = (moment - now.utc).total_seconds()
        if left <= 0:
            return
        yield Sleep(min(left, longest), why=why, planned=True)
        why = ""  # said once


def kept(waves: Waves) -> WavesKept:
    """Return the waves as the journal stores them."""
    between = None if waves.between is None else tuple(one.isoformat() for one in waves.between)
    return WavesKept(waves.size, waves.every.total_seconds(), between, waves.days, waves.zone)


def restored(found: WavesKept) -> Waves:
    """Return the waves that a journal stores."""
    between = None
    if found.between is not None:
        begin, end = found.between
        between = time.fromisoformat(begin), time.fromisoformat(end)
    return Waves(
        size=found.size,
        every=timedelta(seconds=found.every_seconds),
        between=between,
        days=tuple(day for day in EVERY_DAY if day in found.days),
        zone=found.zone,
    )
