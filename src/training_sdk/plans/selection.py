"""Criteria that select people by their progress."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Literal

from attrs import field, frozen

from training_sdk._core import argument_checks
from training_sdk.api.progress import ProgressRow, ProgressState
from training_sdk.errors import InvalidArgumentError, Remedy
from training_sdk.recertification.civil import zone_called

_DATES = ("completed_before", "completed_after", "due_before")
_STATES = (ProgressState.COMPLETED, ProgressState.IN_PROGRESS)


@frozen(kw_only=True)
class Where:
    """Criteria that select people by their progress. Give at least one; a person must meet all of them.

    A time is a datetime with a time zone, or a date with ``zone``. *Before* a date means before that day begins.
    *After* a date means from the beginning of the next day on.

    Arguments:

    - ``completed_before``: Completed before this date or time.
    - ``completed_after``: Completed after this date or time.
    - ``score_below``: A score below this number, which is above 0 and up to 100. The feed also writes 0 where nothing
      was scored, so these people are selected too.
    - ``due_before``: Due before this date or time.
    - ``state``: ``"completed"`` or ``"in progress"``.
    - ``zone``: The time zone of the dates: an IANA name such as ``"Europe/Berlin"``, or a tzinfo.

    People without recorded progress are never selected, nor are people without a value that a criterion needs. Raises
    InvalidArgumentError for criteria that contradict each other.
    """

    completed_before: datetime | date | None = None
    completed_after: datetime | date | None = None
    score_below: float | None = None
    due_before: datetime | date | None = None
    state: Literal["completed", "in progress"] | None = None
    zone: str | tzinfo | None = None
    _completed_before: datetime | None = field(init=False, repr=False, eq=False, default=None)
    _completed_from: datetime | None = field(init=False, repr=False, eq=False, default=None)
    _due_before: datetime | None = field(init=False, repr=False, eq=False, default=None)

    def __attrs_post_init__(self) -> None:
        zone = self.zone if self.zone is None or isinstance(self.zone, tzinfo) else zone_called(self.zone)
        self._check(zone)
        bounds = {
            "_completed_before": _begin(self.completed_before, "completed_before", zone),
            "_completed_from": _end(self.completed_after, "completed_after", zone),
            "_due_before": _begin(self.due_before, "due_before", zone),
        }
        for name, bound in bounds.items():
            object.__setattr__(self, name, bound)  # computed once; the class is frozen
        if self._completed_before and self._completed_from and self._completed_from >= self._completed_before:
            raise InvalidArgumentError(f"No completion can meet both criteria: {self}.")

    def _check(self, zone: tzinfo | None) -> None:
        if all(getattr(self, name) is None for name in (*_DATES, "score_below", "state")):
            raise InvalidArgumentError(
                f"Where needs at least one of {', '.join((*_DATES, 'score_below', 'state'))}."
            )
        if zone is not None and all(_is_date(getattr(self, name)) is False for name in _DATES):
            raise InvalidArgumentError(
                "zone must be left out without a date: it is the time zone in which the day begins."
            )
        if self.state is not None and self.state not in _STATES:
            raise InvalidArgumentError(
                f"state must be 'completed' or 'in progress', not {self.state!r}.", argument="state"
            )
        score: object = self.score_below
        if score is not None and (
            isinstance(score, bool) or not isinstance(score, int | float) or not 0 < score <= 100
        ):
            raise InvalidArgumentError(
                f"score_below must be a number above 0 and up to 100, not {score!r}.", argument="score_below"
            )
        if self.state == "in progress" and (self.completed_before or self.completed_after):
            raise InvalidArgumentError(
                "completed_before and completed_after must be left out with the state 'in progress', or the state "
                "with them."
            )

    def matches(self, row: ProgressRow) -> bool:
        """Return whether a person meets every criterion. People without recorded progress never do."""
        if not row.has_recorded_progress:
            return False
        completed, due, score = row.completed_at, row.due_at, row.score
        return (
            (self.state is None or row.state == self.state)
            and _before(completed, self._completed_before)
            and (
                self._completed_from is None or (completed is not None and completed >= self._completed_from)
            )
            and _before(due, self._due_before)
            and (self.score_below is None or (score is not None and score < self.score_below))
        )

    def __str__(self) -> str:
        said = [
            f"{name.replace('_', ' ')} {self._said(value)}"
            for name in ("completed_before", "completed_after", "score_below", "due_before")
            if (value := getattr(self, name)) is not None
        ]
        return ", ".join([*([self.state] if self.state else []), *said])

    def _said(self, value: Any) -> str:
        if isinstance(value, datetime):
            return value.isoformat(" ")
        return f"{value.isoformat()} {self.zone}" if isinstance(value, date) else f"{value:g}"


def _is_date(value: object) -> bool:
    """Return whether a value is a date without a time; a datetime is a date as well."""
    return isinstance(value, date) and not isinstance(value, datetime)


def _begin(value: object, name: str, zone: tzinfo | None) -> datetime | None:
    """Return a time, or the time at which a day begins."""
    return None if value is None else _moment(value, name, zone, timedelta(0))


def _end(value: object, name: str, zone: tzinfo | None) -> datetime | None:
    """Return the first time after a time, or after a day."""
    if value is None:
        return None
    after = timedelta(days=1) if _is_date(value) else datetime.resolution
    return _moment(value, name, zone, after)


def _moment(value: object, name: str, zone: tzinfo | None, later: timedelta) -> datetime:
    if not isinstance(value, date):
        raise InvalidArgumentError(
            f"{name} must be a datetime with a time zone or a date, not {value!r}.", argument=name
        )
    try:
        if isinstance(value, datetime):
            return argument_checks.moment(value, name).astimezone(UTC) + later
        if zone is None:
            raise InvalidArgumentError(
                f"{name} is a date without a time zone, and a day begins at a different time in every zone.",
                argument=name,
                remedy=Remedy("zone", "Add zone='UTC' or the name of your time zone."),
            )
        return datetime.combine(value + later, time(), zone).astimezone(UTC)
    except OverflowError:
        raise InvalidArgumentError(f"{name} {value} is outside the range of dates.", argument=name) from None


def _before(when: datetime | None, bound: datetime | None) -> bool:
    return bound is None or (when is not None and when < bound)
