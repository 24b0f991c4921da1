"""Where the rows stand that a question asks for, kept until their course changes.

Lists are read page by page, and each page is a request of its own. Were every row before it looked at again, a walk
over n rows would look at n squared; so what was found out for one page serves the next.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from attrs import define, field, frozen

from mock_server.world.progress import CourseProgress

KEPT = 8
"""Questions whose rows are kept at once; eight bytes a row at most."""

Weigh = Callable[[CourseProgress, str], int]
"""How many items of an answer somebody's row gives; 0 for a row that is not asked for."""


@frozen(eq=False)
class MatchingRows:
    """The rows of one course that a question asks for."""

    progress: CourseProgress
    changes: int
    """The state of the course that this is true of."""
    rows: Sequence[int]
    """Positions on its roster."""
    ends: Sequence[int]
    """Beside each row, how many items there are up to its last one."""

    @classmethod
    def scan(cls, progress: CourseProgress, users: Sequence[str] | None, weigh: Weigh) -> MatchingRows:
        """Look at everybody on the roster, or at these users of it, who must be in order."""
        rows, ends, total = array("I"), array("I"), 0
        for row, user_id in _on_roster(progress.roster, users):
            weight = weigh(progress, user_id)
            if weight:
                total += weight
                rows.append(row)
                ends.append(total)
        one_each = total == len(rows)
        return cls(progress, progress.changes, rows, range(1, total + 1) if one_each else ends)

    @property
    def total(self) -> int:
        """Items of all its rows."""
        return self.ends[-1] if self.ends else 0

    def after(self, items: int) -> Iterator[tuple[str, int]]:
        """Users from the one whose row holds the item behind so many, with how many of theirs are before it."""
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


@define(eq=False)
class PageIndex:
    """The places found for the latest questions, by question and course. Used under the world's lock."""

    _kept: dict[Hashable, dict[str, MatchingRows]] = field(factory=dict)

    def rows(
        self,
        question: Hashable,
        course_id: str,
        progress: CourseProgress,
        users: Sequence[str] | None,
        weigh: Weigh,
    ) -> MatchingRows:
        """The rows of one course that are asked for; ``question`` stands for ``users`` and ``weigh``."""
        courses = self._kept.pop(question, {})
        self._kept[question] = courses
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        found = courses.get(course_id)
        if found is None or found.progress is not progress or found.changes != progress.changes:
            found = courses[course_id] = MatchingRows.scan(progress, users, weigh)
        return found


def rows_after(parts: Iterable[tuple[str, MatchingRows]], items: int) -> Iterator[tuple[str, str, int]]:
    """Course, user and items to skip, from the row that holds the item behind so many."""
    for course_id, places in parts:
        if items < places.total:
            for user_id, skip in places.after(items):
                yield course_id, user_id, skip
        items = max(0, items - places.total)


"""Questions whose figures are kept at once."""

_T = TypeVar("_T")


@define(eq=False)
class StatsCache:
    """Figures by question and by what they are of. Used under the world's lock."""

    _kept: dict[Hashable, dict[str, tuple[Hashable, Any]]] = field(factory=dict)

    def figures(self, question: Hashable, of: str, state: Hashable, count: Callable[[], _T]) -> _T:
        """Figures of a course or board by its id; counted anew unless ``state`` is what it was the last time."""
        mine = self._kept.pop(question, {})
        self._kept[question] = mine
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        if of not in mine or mine[of][0] != state:
            mine[of] = state, count()
        found: _T = mine[of][1]
        return found
