"""What learners did: one record per person and course, in one partition per course.

Records are frozen and replaced, never changed, so a reader holds a consistent one. A partition keeps its
roster in order (rows are addressed by position), counts what statistics ask for, and caches each row's JSON
until a write.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from datetime import datetime, timedelta
from weakref import WeakSet, ref

from attrs import define, evolve, field, frozen

from mock_server.world.clock import Clock
from mock_server.world.courses import SlideProgress
from mock_server.world.records import Enrolment, LessonProgress, Record

LONGEST = timedelta(hours=2)
"""The longest lag, and the longest time between two refreshes."""


@frozen
class PriorState:
    """Somebody's place in a course before a change."""

    at: datetime
    """Of the change; never later than the one behind it."""
    user_id: str
    assigned: bool
    enrolment: Enrolment | None
    record: Record | None


@define(eq=False)
class LagHistory:
    """The changes of one partition, oldest first, for as long as any lag could ask for them."""

    clock: Clock
    changes: list[PriorState] = field(factory=list)
    dropped: int = 0
    view: tuple[int, CourseProgress] | None = None
    """The past asked for last: after how many changes it was, and the partition as it was then."""

    def keep(self, progress: CourseProgress, user_id: str) -> None:
        """Keep somebody's place as it is, right before it changes."""
        at = self._now()
        enrolment, record = progress.enrolments.get(user_id), progress.records.get(user_id)
        self.changes.append(PriorState(at, user_id, progress.has(user_id), enrolment, record))
        if self.changes[0].at < at - 3 * LONGEST:  # late enough for the work to be rare
            self._forget(at - 2 * LONGEST)

    def _now(self) -> datetime:
        """The present. Behind a clock that was set back nothing has happened yet: what it left ahead counts as now."""
        now, last = self.clock.now(), len(self.changes)
        while last and self.changes[last - 1].at > now:
            last -= 1
        self.changes[last:] = [evolve(each, at=now) for each in self.changes[last:]]
        return now

    def _forget(self, before: datetime) -> None:
        count = self._until(before)
        del self.changes[:count]
        self.dropped += count

    def _until(self, moment: datetime) -> int:
        return bisect_right(self.changes, moment, key=lambda change: change.at)

    def as_of(self, progress: CourseProgress, moment: datetime) -> CourseProgress:
        """The partition as it was at a moment; the partition itself where nothing has changed since."""
        self._now()
        count = self._until(moment)
        if count == len(self.changes):
            return progress
        if self.view is None or self.view[0] != self.dropped + count:
            self.view = self.dropped + count, _taken_back(progress, self.changes[count:])
        return self.view[1]


def _taken_back(progress: CourseProgress, changes: list[PriorState]) -> CourseProgress:
    """A copy of a partition without these changes; of several to one person the first says what was."""
    was = {change.user_id: change for change in reversed(changes)}
    copy = evolve(
        progress,
        roster=list(progress.roster),
        enrolments=dict(progress.enrolments),
        records=dict(progress.records),
        tally=evolve(progress.tally),
        fragments={key: row for key, row in progress.fragments.items() if key not in was},
        lag_history=None,
    )
    for change in was.values():
        if not change.assigned:
            copy.leave(change.user_id)
        copy.put(change.user_id, change.record)
        if change.assigned and change.enrolment is not None:
            copy.enrol(change.user_id, change.enrolment)
    return copy


MOST = 100_000
"""Rows kept at once, some 800 bytes each; then all are dropped, as a walk over a large world comes by none twice."""


@define(eq=False)
class RowCache:
    """What keeps the rows of all partitions within bounds. Used under the world's lock."""

    _count: int = 0
    _holders: WeakSet[CourseProgress] = field(factory=WeakSet)
    """Weakly: a view of the past is a partition of its own, and goes when nobody looks at it any more."""

    def keep(self, progress: CourseProgress, user_id: str, row: bytes) -> None:
        """Keep somebody's row in its partition."""
        if self._count >= MOST:
            for each in self._holders:
                each.fragments.clear()
            self._holders.clear()
            self._count = 0
        self._holders.add(progress)
        self._count += 1
        progress.fragments[user_id] = row


@define
class Tally:
    """Counts over the roster of one course, kept on every write."""

    opened: int = 0
    completed: int = 0
    recorded: int = 0
    score_sum: int = 0

    def count(self, record: Record | None, sign: int) -> None:
        """Add a record (+1) or take it away (-1)."""
        if record is None:
            return
        self.opened += sign * bool(record.opened_at)
        self.completed += sign * bool(record.completed_at)
        self.recorded += sign * record.is_recorded
        self.score_sum += sign * record.score


@define
class LessonTally:
    """Counts over those for whom a lesson counts."""

    users: int = 0
    opened: int = 0
    completed: int = 0
    score_sum: int = 0

    def count(self, reached: LessonProgress) -> None:
        """Add what one of them has reached."""
        self.opened += 1
        self.completed += bool(reached.completed_at)
        self.score_sum += reached.score


@define
class SlideTally:
    """Counts over those who have viewed a slide."""

    viewed: int = 0
    answered: int = 0
    correct: int = 0

    def count(self, seen: SlideProgress) -> None:
        """Add what one of them has seen and answered."""
        self.viewed += 1
        self.answered += bool(seen.answered_at)
        self.correct += bool(seen.correct)


@define(eq=False)
class CourseProgress:
    """The partition of one course: who is assigned, what is recorded, what was reset when."""

    roster: list[str] = field(factory=list)
    """Ids of those assigned now, in order: the rows of the feed."""
    enrolments: dict[str, Enrolment] = field(factory=dict)
    """Of everyone on the roster, and of those who have left it and may return."""
    records: dict[str, Record] = field(factory=dict)
    reset_at: dict[str, datetime] = field(factory=dict)
    """When somebody's progress was last reset (R22); says nothing of what it was."""
    tally: Tally = field(factory=Tally)
    fragments: dict[str, bytes] = field(factory=dict)
    """The JSON of rows already written, dropped when the row changes; put there by `RowCache` alone."""
    lag_history: LagHistory | None = None
    """What was before the latest changes; None unless the warehouse lags."""
    changes: int = 0
    """Goes up with every change to a row, so that whoever keeps what they found knows whether it is true still."""

    @property
    def state(self) -> tuple[ref[CourseProgress], int]:
        """What is the same for as long as nothing changes; weak, so that whoever keeps it keeps no view of the past."""
        return ref(self), self.changes

    def has(self, user_id: str) -> bool:
        """Whether somebody is assigned now."""
        at = bisect_left(self.roster, user_id)
        return at < len(self.roster) and self.roster[at] == user_id

    def modified_at(self, user_id: str) -> datetime:
        """When the row of somebody on the roster last changed."""
        enrolled, record = self.enrolments[user_id].modified_at, self.records.get(user_id)
        return enrolled if record is None else max(enrolled, record.modified_at)

    def put(self, user_id: str, record: Record | None) -> None:
        """Replace somebody's record; None clears it."""
        self._keep(user_id)
        self.changes += 1
        if self.has(user_id):
            self.tally.count(self.records.get(user_id), -1)
            self.tally.count(record, +1)
        if record is None:
            self.records.pop(user_id, None)
        else:
            self.records[user_id] = record
        self.fragments.pop(user_id, None)

    def enrol(self, user_id: str, enrolment: Enrolment) -> None:
        """Put somebody on the roster, or replace their enrolment."""
        self._keep(user_id)
        self.changes += 1
        if not self.has(user_id):
            insort(self.roster, user_id)
            self.tally.count(self.records.get(user_id), +1)
        self.enrolments[user_id] = enrolment
        self.fragments.pop(user_id, None)

    def leave(self, user_id: str) -> None:
        """Take somebody off the roster; what is recorded stays and reappears when they return."""
        if self.has(user_id):
            self._keep(user_id)
            self.changes += 1
            del self.roster[bisect_left(self.roster, user_id)]
            self.tally.count(self.records.get(user_id), -1)

    def _keep(self, user_id: str) -> None:
        if self.lag_history is not None:
            self.lag_history.keep(self, user_id)

    def forget_rows(self, user_id: str | None = None) -> None:
        """Drop the kept JSON of somebody's row, or of all, because a name or title in it has changed."""
        for each in self._shown():
            if user_id is None:
                each.fragments.clear()
            else:
                each.fragments.pop(user_id, None)

    def follow_course(self) -> None:
        """Drop what is kept of the course: its title or its lessons have changed, today's and the past's alike."""
        self.forget_rows()
        for each in self._shown():
            each.changes += 1

    def _shown(self) -> list[CourseProgress]:
        return (
            [self]
            if self.lag_history is None or self.lag_history.view is None
            else [self, self.lag_history.view[1]]
        )

    def fill(self, enrolments: Iterable[tuple[str, Enrolment]]) -> None:
        """Enrol many at once, for a course with nobody on its roster yet."""
        self.changes += 1
        self.enrolments.update(enrolments)
        self.roster = sorted(self.enrolments)
        for user_id in self.roster:
            self.tally.count(self.records.get(user_id), +1)
