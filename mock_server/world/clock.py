"""The only source of time of a world, and dates as the wire writes them: RFC 3339 text in UTC, "" for no date.

The world keeps dates as text, so that a date loaded from a file reads back exactly as it stood there.
"""

from __future__ import annotations

import calendar
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from mock_server.refusal import check_argument, check_datetime

# Not of the locale, as strftime() has them; email.utils has them too, and costs a start 10 ms.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""The limits of a world's time: a due date a century after the latest moment can still be written."""
_SECOND = timedelta(seconds=1)


def to_text(at: datetime) -> str:
    """Return an aware datetime as the wire writes it: UTC, with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_http(at: datetime) -> str:
    """Return an aware datetime as HTTP's Date header writes it, in whole seconds."""
    return _http_date((at - EARLIEST) // _SECOND)


@lru_cache(maxsize=16)
def _http_date(seconds: int) -> str:
    at = EARLIEST + seconds * _SECOND
    return f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} {at:%H:%M:%S} GMT"


def parse(text: str) -> datetime:
    """Return the moment that a text names. Raises ValueError unless it is a date with time and zone."""
    at = datetime.fromisoformat(text)
    return aware(at)


def aware(at: datetime) -> datetime:
    """Return the same moment in UTC. Raises ValueError without a time zone or outside years 1 to 9999, or TypeError."""
    if check_argument("moment", at, datetime, "a datetime with a time zone").tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone. Write it as 2026-01-31T09:00:00Z.")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{at.isoformat()} is not in the years 1 to 9999 in UTC.") from None


def add_months(at: datetime, months: int) -> datetime:
    """Return the same day some months later, or the last day of a month that has no such day."""
    years, month = divmod(at.month - 1 + months, 12)
    year = at.year + years
    return at.replace(year=year, month=month + 1, day=min(at.day, calendar.monthrange(year, month + 1)[1]))


class Clock:
    """The clock of a world, `mock.clock`. It shows real time until it is frozen or advanced.

    Its methods raise ValueError for a moment without a time zone or outside the years 1970 to 8999, and TypeError for a
    value of another type. Nothing is changed then.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self._frozen = None if now is None else within(check_datetime("now", now))
        self._offset = timedelta(0)
        self._earlier = threading.local()

    def now(self) -> datetime:
        """The present moment of this world, in UTC."""
        earlier: datetime | None = getattr(self._earlier, "at", None)
        if earlier is not None:
            return earlier
        return self._frozen if self._frozen is not None else datetime.now(UTC) + self._offset

    @property
    def is_frozen(self) -> bool:
        """True while the clock is frozen."""
        return self._frozen is not None

    def freeze(self, at: datetime | None = None) -> None:
        """Stop the clock at a moment, by default the present one."""
        self._frozen = self.now() if at is None else within(check_datetime("at", at))

    def advance(self, by: timedelta) -> None:
        """Advance the clock, frozen or running. Raises ValueError for a negative step: use `freeze`."""
        if check_argument("by", by, timedelta, "a timedelta, such as timedelta(hours=1)") < timedelta(0):
            raise ValueError(
                f"by must be at least 0 s, not {by.total_seconds():g} s. Set an earlier moment with freeze(at)."
            )
        moved = _moved(self.now(), by)
        if self._frozen is not None:
            self._frozen = moved
        else:
            self._offset += by

    def resume(self) -> None:
        """Show the real time again."""
        self._frozen, self._offset = None, timedelta(0)

    @contextmanager
    def back_at(self, earlier: datetime) -> Iterator[None]:
        """Let this thread, and no other, see an earlier moment until the end of the block."""
        self._earlier.at = earlier
        try:
            yield
        finally:
            self._earlier.at = None

    def state(self) -> tuple[datetime | None, timedelta]:
        """Return the moment it is frozen at, if any, and the offset from real time."""
        return self._frozen, self._offset

    def restore(self, frozen: datetime | None, offset: timedelta) -> None:
        """Continue as the clock that returned this `state`."""
        _moved(datetime.now(UTC), offset)
        self._frozen, self._offset = None if frozen is None else within(frozen), offset

    def __repr__(self) -> str:
        return f"Clock({self.now().isoformat()}{', frozen' if self._frozen is not None else ''})"


def within(at: datetime, what: str = "The clock") -> datetime:
    """Return a moment in UTC from 1970 to 8999. Raises ValueError, about ``what``, for any other."""
    if not EARLIEST <= aware(at) < LATEST:
        raise ValueError(f"{what} must be in the years 1970 to 8999, not {at.isoformat()}.")
    return aware(at)


def _moved(at: datetime, by: timedelta) -> datetime:
    try:
        return within(at + by)
    except OverflowError:
        raise ValueError(f"The clock must be in the years 1970 to 8999. It cannot advance by {by}.") from None
