"""Dates as the wire writes them: RFC 3339 text in UTC, "" for no date.

The world keeps dates as text, so that a date loaded from a file reads back exactly as it stood there.
"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from email.utils import format_datetime

from mock_server.argument_checks import check_argument


def to_text(at: datetime) -> str:
    """An aware datetime as the wire writes it, in milliseconds and UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_http(at: datetime) -> str:
    """An aware datetime as HTTP's Date header writes it, in whole seconds."""
    return format_datetime(at.astimezone(UTC), usegmt=True)


def parse(text: str) -> datetime:
    """The moment a text stands for; ValueError unless it is a date with time and zone."""
    at = datetime.fromisoformat(text)
    return aware(at)


def aware(at: datetime) -> datetime:
    """The same moment in UTC. ValueError without a time zone or beyond the years there are, TypeError for none."""
    if check_argument("a moment", at, datetime, "a datetime with a time zone").tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone: write it as 2026-01-31T09:00:00Z")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{at.isoformat()} is no year from 1 to 9999 in UTC") from None


def add_months(at: datetime, months: int) -> datetime:
    """The same day some months later; the month's last day where it has no such day."""
    years, month = divmod(at.month - 1 + months, 12)
    year = at.year + years
    return at.replace(year=year, month=month + 1, day=min(at.day, calendar.monthrange(year, month + 1)[1]))
