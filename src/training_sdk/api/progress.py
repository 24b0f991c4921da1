"""The progress feed: one row for each assigned user and course, also with the names of the user's sites and groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import TypeAlias, TypeVar

import attrs
from attrs import field, frozen

from training_sdk._core import argument_checks
from training_sdk._core.flow import Flow
from training_sdk._core.listing import Calls, Cursor, Filter, Page, PageRequest, Paginator
from training_sdk._core.model import Fields, Model, OpenEnum, may_omit
from training_sdk._core.operation import Bound, D, PageSource, listing
from training_sdk.api import pagination
from training_sdk.api.groups import group_members, list_groups, list_sites, site_members


class CompletionStatus(OpenEnum):
    """The filter of the feed by completion."""

    ALL = "COMPLETION_STATUS_ALL"
    COMPLETED = "COMPLETION_STATUS_COMPLETED"
    NON_COMPLETED = "COMPLETION_STATUS_NON_COMPLETED"


class ProgressState(StrEnum):
    """The progress of a user in a course, derived from a feed row."""

    COMPLETED = "completed"
    IN_PROGRESS = "in progress"
    NOT_STARTED = "not started"


def _looks_complete(row: Fields, _: Fields) -> bool:
    """Return whether other fields show a completed course, so that the date of completion must not be missing."""
    try:
        done, all_of_them = int(row.get("completed_lessons") or 0), int(row.get("total_lessons") or 0)
        return float(row.get("progress_percent") or 0) >= 100 or done >= all_of_them > 0
    except (TypeError, ValueError):
        return True


@frozen
class ProgressRow(Model):
    """The progress of one user in one course (published). On a live service the row is up to 2 h old.

    ``progress_percent`` is 0–100. ``time_spent_seconds`` and ``completion_expiry_date`` are newer, known
    from a third party, and may be absent. **Assumed**: ``opened_at`` is the time at which the user first opened the
    course since the last reset; it could also be the last time.
    """

    course_id: str
    user_id: str
    opened_at: datetime | None = field(metadata=may_omit(None))
    completed_at: datetime | None = field(metadata=may_omit(None, unless=_looks_complete))
    completed_lessons: int = field(metadata=may_omit(0))
    progress_percent: float = field(metadata=may_omit(0))
    total_lessons: int | None = None
    score: int | float | None = None
    course_external_id: str | None = None
    course_title: str | None = None
    user_email: str | None = None
    user_first_name: str | None = None
    user_last_name: str | None = None
    user_external_id: str | None = None
    due_at: datetime | None = None
    time_spent_seconds: float | None = None
    completion_expiry_date: datetime | None = None

    @property
    def has_recorded_progress(self) -> bool:
        """True if a reset would clear anything: opened, completed, lessons, percent, score or time spent is set."""
        has_date = self.opened_at is not None or self.completed_at is not None
        has_progress = self.completed_lessons or self.progress_percent or self.score
        return bool(has_date or has_progress or self.time_spent_seconds)

    @property
    def state(self) -> ProgressState:
        """Completed, in progress, or not started."""
        if self.completed_at is not None:
            return ProgressState.COMPLETED
        return ProgressState.IN_PROGRESS if self.has_recorded_progress else ProgressState.NOT_STARTED

    @property
    def user_name(self) -> str:
        """First and last name, if the feed has them; else an empty text."""
        first, last = self.user_first_name, self.user_last_name
        return f"{first} {last}" if first and last else first or last or ""


class Progress(Bound[D]):
    """``client.progress``"""

    @listing
    def list(
        self,
        *,
        course_id: str | None = None,
        user_id: str | None = None,
        status: CompletionStatus | str | None = None,
        modified_after: datetime | None = None,
    ) -> Paginator[ProgressRow]:
        """List progress: one row for each assigned user and course, also if the user has not started the course.

        The server leaves out rows that the token must not see, without a notice: with the permission "Training:
        Administration" the token sees everyone, with "Training: Manage teams" the people in its user's teams, and
        otherwise only its own user. On a live service rows are up to 2 h old.

        Arguments:

        - ``course_id``: List the rows of this course only.
        - ``user_id``: List the rows of this user only.
        - ``status``: A CompletionStatus: list completed or not completed courses only.
        - ``modified_after``: A datetime with a time zone: list rows that changed later. Only the server applies this
          filter; the client checks the other filters again.

        REST: ``GET /training/v1/feed/training-course-progress`` (published; default page size assumed).
        """
        chosen = (
            CompletionStatus.ALL
            if status is None
            else argument_checks.one_of(status, CompletionStatus, "status")
        )
        after = None if modified_after is None else argument_checks.moment(modified_after, "modified_after")
        return progress_rows(
            self._calls,
            course_id=argument_checks.optional_id(course_id, "course_id"),
            user_id=argument_checks.optional_id(user_id, "user_id"),
            status=chosen,
            modified_after=after,
        )

    @listing
    def table(
        self, *, courses: Iterable[str] | None = None, sites: bool = False, groups: bool = False
    ) -> PageSource[ProgressTableRow]:
        """List progress with the names of each user's sites and groups: one row for each user and course.

        As in ``list``, rows that the token must not see are missing. The members of sites and groups are read before
        the first page, and stay in memory until the last.

        Arguments:

        - ``courses``: The ids of the courses, which are read one after the other; None lists all courses. An empty list
          is an error.
        - ``sites``: Add the sites of each user.
        - ``groups``: Add the groups of each user.

        Raises PermissionDeniedError if ``sites`` or ``groups`` is True and the token's user lacks the permission
        "Platform management: Users" or "Training: Administration".

        REST: ``GET /training/v1/feed/training-course-progress`` as in ``list``, ``GET /feed/sites``,
        ``GET /feed/site_members``, ``GET /feed/groups`` and ``GET /feed/group_users`` (published).
        """
        wanted = argument_checks.optional_ids(courses, "courses")
        return ProgressTable.of(
            self._calls,
            wanted,
            sites=argument_checks.yes_or_no(sites, "sites"),
            groups=argument_checks.yes_or_no(groups, "groups"),
        )


def progress_rows(
    calls: Calls,
    *,
    course_id: str | None = None,
    user_id: str | None = None,
    status: CompletionStatus = CompletionStatus.ALL,
    modified_after: datetime | None = None,
) -> Paginator[ProgressRow]:
    """Return the rows of ``progress.list``, for planning a reset as well."""

    def keep(row: ProgressRow) -> bool:
        return (row.completed_at is not None) == (status is CompletionStatus.COMPLETED)

    query = [
        ("course_id", course_id),
        ("user_id", user_id),
        ("completion_status", status.value),
        ("modified_after", modified_after and _rfc3339(modified_after)),
    ]
    path = "/training/v1/feed/training-course-progress"
    filters: tuple[Filter[ProgressRow], ...] = (
        *pagination.only("course_id", course_id, attrgetter("course_id")),
        *pagination.only("user_id", user_id, attrgetter("user_id")),
    )
    return pagination.feed(
        calls,
        path,
        ProgressRow,
        query=query,
        keep=None if status is CompletionStatus.ALL else keep,
        filters=filters,
        identify=attrgetter("course_id", "user_id"),
    )


def _rfc3339(when: datetime) -> str:
    return argument_checks.in_utc(when).isoformat().replace("+00:00", "Z")


T = TypeVar("T")
Names: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
"""Names and ids, in the same order."""
_NOTHING: Names = ((), ())


@frozen
class ProgressTableRow(ProgressRow):
    """The progress of one user in one course, with the user's sites and groups. They are None if not requested.

    Names are sorted, and ids are in the order of the names, because two sites may have the same name. If a site or
    group has no name, or the service does not list it, its id is its name. Deleted sites are left out.
    """

    sites: tuple[str, ...] | None = None
    site_ids: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    group_ids: tuple[str, ...] | None = None


_FIELDS = [field.name for field in attrs.fields(ProgressRow) if field.name != "extra"]
_values = attrgetter(*_FIELDS)


@frozen
class _Lookup:
    """The sites and groups of everyone, by user id; None if they were not asked for."""

    sites: Mapping[str, Names] | None
    groups: Mapping[str, Names] | None

    def join(self, row: ProgressRow) -> ProgressTableRow:
        """Return a row with the names of its person."""
        sites = (None, None) if self.sites is None else self.sites.get(row.user_id, _NOTHING)
        groups = (None, None) if self.groups is None else self.groups.get(row.user_id, _NOTHING)
        return ProgressTableRow(*_values(row), *sites, *groups, extra=row.extra)


@frozen
class _Position:
    lookup: _Lookup | None
    """None before the first page."""
    course: int
    cursor: Cursor
    number: int


@frozen
class ProgressTable:
    """A listing that first reads who belongs where, and then the progress of one course after the other."""

    calls: Calls
    rows: Sequence[Paginator[ProgressRow]]
    sites: bool
    groups: bool

    @classmethod
    def of(cls, calls: Calls, courses: Sequence[str] | None, *, sites: bool, groups: bool) -> ProgressTable:
        """Return the table of some courses, or of all."""
        wanted: Sequence[str | None] = [None] if courses is None else courses
        return cls(calls, [progress_rows(calls, course_id=one) for one in wanted], sites, groups)

    @property
    def first(self) -> PageRequest:
        """The first request to the feed."""
        return self.rows[0].first

    def start(self) -> _Position:
        """Return the position before the lookups."""
        return _Position(None, 0, self.rows[0].start(), 1)

    def step(self, cursor: _Position) -> Flow[tuple[Page[ProgressTableRow], _Position | None]]:
        """Fetch one page, and before the first one the sites and groups."""
        lookup, course = cursor.lookup, cursor.course
        if lookup is None:
            lookup = yield from self._look_up()
        page, following = yield from self.rows[course].step(cursor.cursor)
        joined = Page(tuple(map(lookup.join, page.items)), cursor.number)
        if following is None and course + 1 < len(self.rows):
            course += 1
            following = self.rows[course].start()
        return joined, None if following is None else _Position(lookup, course, following, cursor.number + 1)

    def _look_up(self) -> Flow[_Lookup]:
        sites = groups = None
        if self.sites:
            listed = yield from list_sites(self.calls).gather()
            names = {one.id: one.name for one in listed}
            deleted = {one.id for one in listed if one.deleted}
            sites = yield from _places(
                site_members(self.calls, None), lambda one: (one.user_id, one.site_id), names, deleted
            )
        if self.groups:
            names = {one.id: one.name for one in (yield from list_groups(self.calls).gather())}
            groups = yield from _places(
                group_members(self.calls, None), lambda one: (one.user_id, one.group_id), names
            )
        return _Lookup(sites, groups)


def _places(
    members: Paginator[T],
    read: Callable[[T], tuple[str, str]],
    names: Mapping[str, str],
    left_out: Iterable[str] = (),
) -> Flow[dict[str, Names]]:
    """Return for each user the places that they belong to. Equal values are one object."""
    ids: dict[str, set[str]] = {}

    def take(page: Iterable[T]) -> None:
        for user, place in map(read, page):
            if place not in left_out:
                ids.setdefault(user, set()).add(place)

    yield from members.read_whole(take, ids.clear)
    known: dict[frozenset[str], Names] = {}
    return {user: known.setdefault(frozenset(found), _named(found, names)) for user, found in ids.items()}


def _named(ids: Iterable[str], names: Mapping[str, str]) -> Names:
    pairs = sorted((names.get(one) or one, one) for one in ids)
    return tuple(name for name, _ in pairs), tuple(one for _, one in pairs)
