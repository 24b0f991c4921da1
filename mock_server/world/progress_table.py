"""All progress of an organisation, course by course, with caches for lists that are read page by page.

Each page is a request of its own. If every row before a page were looked at again, reading n rows would look at
n squared rows; so the caches keep what was found for one page until the course changes. Whole pages are kept as well.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from sys import getsizeof
from typing import Any, TypeVar
from weakref import WeakSet

from attrs import define, field, frozen

from mock_server.world.clock import Clock
from mock_server.world.progress import CourseProgress, LagHistory

KEPT = 8
"""Questions that a cache keeps answers of at once; in the page index, eight bytes a row at most."""

CountRows = Callable[[CourseProgress, str], int]
"""Number of items that a user's row adds to an answer; 0 for a row that is left out."""

_T = TypeVar("_T")


@frozen(eq=False)
class MatchingRows:
    """The rows of one course that a question selects."""

    progress: CourseProgress
    changes: int
    """The version of the course that the rows are true of."""
    rows: Sequence[int]
    """Positions on the roster."""
    ends: Sequence[int]
    """For each row, the number of items up to its last one."""

    @classmethod
    def scan(
        cls, progress: CourseProgress, users: Sequence[str] | None, count_rows: CountRows
    ) -> MatchingRows:
        """Look at all users on the roster, or only at these, which must be sorted."""
        rows, ends, total = array("I"), array("I"), 0
        for row, user_id in _on_roster(progress.roster, users):
            weight = count_rows(progress, user_id)
            if weight:
                total += weight
                rows.append(row)
                ends.append(total)
        one_each = total == len(rows)
        return cls(progress, progress.changes, rows, range(1, total + 1) if one_each else ends)

    @property
    def total(self) -> int:
        """Number of items in all rows."""
        return self.ends[-1] if self.ends else 0

    def after(self, items: int) -> Iterator[tuple[str, int]]:
        """Yield users from the one who has the next item on, each with the number of their items to skip."""
        first = bisect_right(self.ends, items)
        skip = items - (self.ends[first - 1] if first else 0)
        for number in range(first, len(self.rows)):
            yield self.progress.roster[self.rows[number]], skip if number == first else 0


def _on_roster(roster: list[str], users: Sequence[str] | None) -> Iterable[tuple[int, str]]:
    if users is None:
        yield from enumerate(roster)
        return
    for user_id in users:
        row = bisect_left(roster, user_id)
        if row < len(roster) and roster[row] == user_id:
            yield row, user_id


def rows_after(parts: Iterable[tuple[str, MatchingRows]], items: int) -> Iterator[tuple[str, str, int]]:
    """Yield course, user and items to skip, from the row that has the next item on."""
    for course_id, matching in parts:
        if items < matching.total:
            for user_id, skip in matching.after(items):
                yield course_id, user_id, skip
        items = max(0, items - matching.total)


@define(eq=False)
class _Latest:
    """Cached values of the latest questions. Used under the world's lock."""

    _kept: dict[Hashable, dict[str, Any]] = field(factory=dict)

    def of(self, question: Hashable) -> dict[str, Any]:
        """Return what is kept for a question, by course or board id; forget the question asked longest ago."""
        mine = self._kept[question] = self._kept.pop(question, {})
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return mine


class PageIndex(_Latest):
    """The matching rows of the latest questions, by question and course."""

    def rows(
        self,
        question: Hashable,
        course_id: str,
        progress: CourseProgress,
        users: Sequence[str] | None,
        count_rows: CountRows,
    ) -> MatchingRows:
        """Return the rows of one course that match; ``question`` must identify ``users`` and ``count_rows``."""
        courses = self.of(question)
        found: MatchingRows | None = courses.get(course_id)
        if found is None or found.progress is not progress or found.changes != progress.changes:
            found = courses[course_id] = MatchingRows.scan(progress, users, count_rows)
        return found


class StatsCache(_Latest):
    """The figures of the latest questions, by question and by the id of what they are about."""

    def figures(self, question: Hashable, of: str, state: Hashable, count: Callable[[], _T]) -> _T:
        """Return the figures of a course or board; count them again if ``state`` differs from the last time."""
        mine = self.of(question)
        if of not in mine or mine[of][0] != state:
            mine[of] = state, count()
        found: _T = mine[of][1]
        return found


MOST_BYTES = 12 * 1024 * 1024
"""Memory of the rows that are cached at once; at the limit all are dropped: a larger listing reads none twice."""
MOST_BYTES_OF_PAGES = 4 * 1024 * 1024
"""Memory of the pages that are cached at once beside their rows; at the limit the page read longest ago is dropped."""
_BESIDE = getsizeof(b"") + 104
"""Bytes that a row takes beside its JSON: the object, and its place in a dict that may have just grown."""


@define(eq=False)
class RowCache:
    """Bounded cache of rows of the feed as JSON, for all partitions. Used under the world's lock."""

    size: int = 0
    """Bytes that the rows take, at most; a row that was dropped because it changed is counted until all are."""
    _holders: WeakSet[CourseProgress] = field(factory=WeakSet)
    """Partitions with cached rows; weak references, because a view of the past is a partition that is soon dropped."""

    def keep(self, progress: CourseProgress, user_ids: Sequence[str], rows: Sequence[bytes]) -> None:
        """Cache rows of users in their partition; none of a partition whose rows together are beyond the limit."""
        size = sum(map(len, rows)) + len(rows) * _BESIDE
        if size // len(rows) * len(progress.roster) > MOST_BYTES:
            return
        if self.size + size > MOST_BYTES:
            self.clear()
        if size <= MOST_BYTES:
            self.size += size
            self._holders.add(progress)
            progress.fragments.update(zip(user_ids, rows, strict=True))

    def watch(self, view: CourseProgress) -> None:
        """Clear this view of the past with the rest: it shares rows with the present."""
        self._holders.add(view)

    def clear(self) -> None:
        """Drop all rows."""
        for each in self._holders:
            each.fragments.clear()
        self._holders.clear()
        self.size = 0


_BESIDE_PAGE = 1024
"""Bytes that a page takes beside its JSON: the question with its texts, and its place in a dict."""


@define(eq=False)
class PageCache:
    """Bounded cache of whole pages of the feed as JSON, of one version. Used under the world's lock."""

    size: int = 0
    """Bytes that the pages take, at most."""
    _version: Hashable = None
    _pages: dict[Hashable, bytes] = field(factory=dict)

    def find(self, version: Hashable, question: Hashable) -> bytes | None:
        """Return the page that answers a question, if it was kept of this version; other versions are dropped."""
        if version != self._version:
            self.clear()
            self._version = version
        page = self._pages.pop(question, None)
        if page is not None:
            self._pages[question] = page  # as the latest
        return page

    def keep(self, question: Hashable, page: bytes) -> None:
        """Cache a page of the version that was looked for last."""
        self._pages[question] = page
        self.size += len(page) + _BESIDE_PAGE
        while self.size > MOST_BYTES_OF_PAGES:
            self.size -= len(self._pages.pop(next(iter(self._pages)))) + _BESIDE_PAGE

    def clear(self) -> None:
        """Drop all pages."""
        self._pages.clear()
        self.size = 0


@define(eq=False)
class ProgressTable:
    """All partitions of an organisation, in the order of course ids."""

    courses: dict[str, CourseProgress] = field(factory=dict)
    clock: Clock | None = None
    """Set while the partitions keep a lag history."""
    page_index: PageIndex = field(factory=PageIndex, repr=False)
    stats_cache: StatsCache = field(factory=StatsCache, repr=False)
    row_cache: RowCache = field(factory=RowCache, repr=False)
    page_cache: PageCache = field(factory=PageCache, repr=False)

    def __getitem__(self, course_id: str) -> CourseProgress:
        return self.courses[course_id]

    @property
    def changes(self) -> int:
        """Version: rises with every change of a row, but for the names of its person."""
        return sum([each.changes for each in self.courses.values()])

    def copy(self) -> ProgressTable:
        """Return the same progress in partitions of its own, with empty caches."""
        return ProgressTable({course_id: each.copy() for course_id, each in self.courses.items()})

    def append_course(self, course_id: str) -> None:
        """Add an empty partition at the end; after many, call `sort_courses` once."""
        self.courses[course_id] = CourseProgress(lag_history=LagHistory(self.clock) if self.clock else None)

    def sort_courses(self) -> None:
        """Put the partitions in the order of course ids."""
        self.courses = dict(sorted(self.courses.items()))

    def remember(self, clock: Clock | None) -> None:
        """Keep a lag history from now on; with None keep none, and forget what was kept."""
        if clock is self.clock:
            return
        self.clock = clock
        for progress in self.courses.values():
            progress.lag_history = LagHistory(clock) if clock else None

    def window(self, course_ids: Iterable[str], offset: int, limit: int) -> Iterator[tuple[str, list[str]]]:
        """Yield the rows from a position on, as course id and user ids, without reading those before it."""
        for course_id in course_ids:
            roster = self.courses[course_id].roster
            if offset < len(roster):
                part = roster[offset : offset + limit]
                yield course_id, part
                limit -= len(part)
                if limit <= 0:
                    return
            offset = max(0, offset - len(roster))
