"""The people of a reset: named by id, e-mail or external id, by group or site, from a file or a frame; and by progress.

``people_lookup`` matches them later with the rows of the progress feed. An empty list never means everyone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Literal, Self

from attrs import field, frozen

from training_sdk._core import argument_checks
from training_sdk.api.progress import ProgressRow, ProgressState
from training_sdk.errors import InvalidArgumentError, Remedy
from training_sdk.plans.people_file import (
    LONGEST_NAME,
    TEMPLATE,
    Kind,
    Named,
    Source,
    check_csv,
    checked,
    merge,
    read_csv,
    read_frame,
)
from training_sdk.recertification.rules import zone_called


@frozen
class People:
    """The people to reset. Make them with ``of``, ``named``, ``from_csv`` or ``from_frame``; never empty.

    ``groups`` and ``sites`` are ids or exact names. ``warnings`` lists entries that were merged.
    """

    entries: tuple[Named, ...] = ()
    groups: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not (self.entries or self.groups or self.sites):
            raise InvalidArgumentError(
                "No people are named, and an empty list never means everyone. Name people by id, e-mail, external id, "
                "group or site."
            )

    @classmethod
    def of(cls, people: Iterable[str], *, name: str = "people") -> Self:
        """Name people by user id or e-mail: a text with an ``@`` is an e-mail.

        ``name`` is the name of the list in errors. Raises InvalidArgumentError for an empty list, for a string in
        place of a list, and for a text that can be neither id nor e-mail.
        """
        entries = [Named("email" if "@" in one else "user_id", one) for one in _given(people, name, _either)]
        if not entries:
            raise InvalidArgumentError(
                f"{name} must not be empty: an empty list never means everyone.", argument=name
            )
        return cls._merging(entries)

    @classmethod
    def named(
        cls,
        *,
        user_ids: Iterable[str] = (),
        emails: Iterable[str] = (),
        external_ids: Iterable[str] = (),
        groups: Iterable[str] = (),
        sites: Iterable[str] = (),
    ) -> Self:
        """Name people by user id, e-mail or external id; groups and sites by id or exact name.

        Raises InvalidArgumentError if all lists are empty, for a string in place of a list, and for entries that
        cannot be an id, e-mail or external id.
        """
        ways: tuple[tuple[Kind, Iterable[str]], ...] = (
            ("user_id", user_ids),
            ("email", emails),
            ("external_id", external_ids),
        )
        entries = [
            Named(kind, value)
            for kind, values in ways
            for value in _given(values, f"{kind}s", lambda one, name, kind=kind: checked(kind, one, name))
        ]
        return cls._merging(entries, _places(groups, "groups"), _places(sites, "sites"))

    @classmethod
    def from_csv(cls, source: Source, *, columns: Mapping[str, str] | None = None) -> Self:
        """Read people from a CSV file in UTF-8.

        The header names the columns:

        - ``user_id``, ``email``, ``external_id``: At least one of them; each row fills exactly one.
        - ``course_id``: Optional; the course in which to reset the person, filled in every row.
        - ``note``: Optional and ignored.

        The header also shows whether comma, semicolon or tab separates the cells. Empty lines and columns are skipped.
        Repeated people are merged with a warning.

        Arguments:

        - ``source``: A path, or an open file.
        - ``columns``: The names above by other headers, such as ``{"E-Mail": "email", "Site": "note"}``.

        Raises InvalidArgumentError with every problem and its line (the first 20 are shown), and for an empty file.
        """
        return cls._merging(read_csv(source, columns))

    @classmethod
    def check_csv(cls, source: Source, *, columns: Mapping[str, str] | None = None) -> list[str]:
        """Return every problem that prevents ``from_csv`` from reading a CSV file, each with its line."""
        return list(check_csv(source, columns).problems)

    @classmethod
    def csv_template(cls) -> str:
        """Return the header of a CSV file for ``from_csv``; add ``course_id`` to name a course per row."""
        return TEMPLATE

    @classmethod
    def from_frame(cls, frame: Any) -> Self:
        """Read people from a pandas or polars data frame with the columns that ``from_csv`` accepts.

        Missing values (None, NaN, NaT, NA) count as empty. Rows are counted from 1. A row without a person is a
        problem. A number is a problem too: "0012" read as a number is 12, which may be the id of another person.

        Raises InvalidArgumentError with every problem and its row (the first 20 are shown).
        """
        return cls._merging(read_frame(frame))

    @classmethod
    def _merging(
        cls, named: Iterable[Named], groups: tuple[str, ...] = (), sites: tuple[str, ...] = ()
    ) -> Self:
        entries, warnings = merge(named)
        return cls(entries, groups, sites, warnings)

    @property
    def course_ids(self) -> tuple[str, ...]:
        """The courses that entries name, each once, in order."""
        return tuple(dict.fromkeys(one.course_id for one in self.entries if one.course_id is not None))


def _either(value: object, name: str) -> str:
    return checked("email" if isinstance(value, str) and "@" in value else "user_id", value, name)


def _places(values: Iterable[str], name: str) -> tuple[str, ...]:
    found = _given(values, name, lambda one, what: argument_checks.text(one, what, longest=LONGEST_NAME))
    if blank := [one for one in found if not one.strip()]:
        raise InvalidArgumentError(
            f"An entry of {name} must not be empty, as {blank[0]!r} is.", argument=name
        )
    return tuple(dict.fromkeys(found))


def _given(values: object, name: str, check: Any) -> list[str]:
    """Return a list of texts, each checked; repeated ones stay, so that a warning names them."""
    return [check(one, f"an entry of {name}") for one in argument_checks.listed(values, name)]


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
            raise argument_checks.refusal(
                "state", f"must be 'completed' or 'in progress', not {self.state!r}."
            )
        score: object = self.score_below
        if score is not None and (
            isinstance(score, bool) or not isinstance(score, int | float) or not 0 < score <= 100
        ):
            raise argument_checks.refusal(
                "score_below", f"must be a number above 0 and up to 100, not {score!r}."
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
