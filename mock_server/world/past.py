"""What a course's partition was a while ago: kept only while a world plays a warehouse that lags behind.

Every change leaves what it replaced. The past is the present with the changes since then taken back, so a course in
which nothing has changed costs nothing, and a world without a lag keeps no past at all (R15).
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attrs import define, evolve, field, frozen

if TYPE_CHECKING:
    from mock_server.world.clock import Clock
    from mock_server.world.organisation import Organisation
    from mock_server.world.progress import CourseProgress, Enrolment, Record

LONGEST = timedelta(hours=2)
"""The longest lag, and the longest time between two refreshes."""


@frozen
class Was:
    """Somebody's place in a course before a change."""

    at: datetime
    """Of the change; never later than the one behind it."""
    user_id: str
    assigned: bool
    enrolment: Enrolment | None
    record: Record | None


@define(eq=False)
class Past:
    """The changes of one partition, oldest first, for as long as any lag could ask for them."""

    clock: Clock
    changes: list[Was] = field(factory=list)
    dropped: int = 0
    view: tuple[int, CourseProgress] | None = None
    """The past asked for last: after how many changes it was, and the partition as it was then."""

    def keep(self, progress: CourseProgress, user_id: str) -> None:
        """Keep somebody's place as it is, right before it changes."""
        at = self._now()
        enrolment, record = progress.enrolments.get(user_id), progress.records.get(user_id)
        self.changes.append(Was(at, user_id, progress.has(user_id), enrolment, record))
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


def _taken_back(progress: CourseProgress, changes: list[Was]) -> CourseProgress:
    """A copy of a partition without these changes; of several to one person the first says what was."""
    was = {change.user_id: change for change in reversed(changes)}
    copy = evolve(
        progress,
        roster=list(progress.roster),
        enrolments=dict(progress.enrolments),
        records=dict(progress.records),
        tally=evolve(progress.tally),
        fragments={key: row for key, row in progress.fragments.items() if key not in was},
        past=None,
    )
    for change in was.values():
        if not change.assigned:
            copy.leave(change.user_id)
        copy.put(change.user_id, change.record)
        if change.assigned and change.enrolment is not None:
            copy.enrol(change.user_id, change.enrolment)
    return copy


def as_of(organisation: Organisation, moment: datetime) -> Organisation:
    """An organisation whose progress is that of a moment in the past; people, courses and rights are today's."""
    table = organisation.progress
    courses = {
        course_id: progress if progress.past is None else progress.past.as_of(progress, moment)
        for course_id, progress in table.courses.items()
    }
    return evolve(organisation, progress=evolve(table, courses=courses))
