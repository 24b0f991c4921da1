"""Progress: one record per person and course, in one partition per course.

Records are frozen: a change replaces the record, so readers always see a consistent one. A partition keeps its roster
sorted, because rows are addressed by position. It counts the figures of the statistics, caches the JSON of each row
until the row changes, and keeps a history of changes while the world emulates a warehouse that lags.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from weakref import ref

from attrs import define, evolve, field, frozen

from mock_server.world import clock
from mock_server.world.clock import Clock
from mock_server.world.courses import Course, SlideProgress


@frozen
class LessonProgress:
    """Progress in one lesson; absent for a lesson never opened."""

    lesson_id: str
    opened_at: str
    completed_at: str = ""
    percent: float = 0.0
    score: int = 0


@frozen
class Attempt:
    """One try at a lesson."""

    id: str
    """Unique within its record."""
    lesson_id: str
    started_at: str
    completed_at: str
    score: int
    success: bool
    has_own_id: bool = False
    """True if the id was loaded from a file and is written unchanged; its record is not shared with other users."""


@frozen
class AssessmentSubmission:
    """Submitted practical assessment, with mark (0 to 100) and sign-off if given."""

    id: str
    lesson_id: str
    submitted_at: str
    mark: int | None = None
    signed_off_by: str = ""
    signed_off_at: str = ""


@frozen
class DiscussionPost:
    """Post to the discussion of a course."""

    id: str
    lesson_id: str
    posted_at: str
    text: str


@frozen
class HandIn:
    """Assignment handed in."""

    id: str
    lesson_id: str
    handed_in_at: str
    file_name: str
    mark: int | None = None


@frozen
class Record:
    """All that is recorded of one person in one course: exactly what a reset clears."""

    modified_at: datetime
    opened_at: str = ""
    completed_at: str = ""
    completed_lessons: int = 0
    progress_percent: float = 0.0
    """0 to 100."""
    score: int = 0
    time_spent_seconds: int = 0
    completion_expiry_date: str = ""
    lessons: tuple[LessonProgress, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    submissions: tuple[AssessmentSubmission, ...] = ()
    posts: tuple[DiscussionPost, ...] = ()
    hand_ins: tuple[HandIn, ...] = ()
    slides: tuple[SlideProgress, ...] = ()

    @property
    def is_recorded(self) -> bool:
        """R09: True if anything is recorded that the feed shows."""
        return bool(
            self.opened_at
            or self.completed_at
            or self.completed_lessons
            or self.progress_percent
            or self.score
            or self.time_spent_seconds
        )

    def completed(self, course: Course, at: datetime) -> Record:
        """Return the record with the course completed at a moment, to expire when the course says."""
        months = course.completion_expires_months
        return evolve(
            self,
            completed_at=clock.to_text(at),
            progress_percent=100.0,
            completion_expiry_date=clock.to_text(clock.add_months(at, months)) if months else "",
        )

    def lesson(self, lesson_id: str) -> LessonProgress | None:
        """Return the progress in one lesson, None if it was never opened."""
        return next((lesson for lesson in self.lessons if lesson.lesson_id == lesson_id), None)


@frozen
class Identity:
    """Course and person as a row loaded from a file names them; they may differ from the master data."""

    course_title: str
    course_external_id: str
    user_email: str
    user_first_name: str
    user_last_name: str
    user_external_id: str
    total_lessons: int


@frozen
class Enrolment:
    """Enrolment of a person in a course; a reset keeps it, except for a relative due date (R16, R20)."""

    assigned_at: datetime
    modified_at: datetime
    due_at: str = ""
    identity: Identity | None = None


@define
class Tally:
    """Counts over the roster of one course, updated with every change."""

    opened: int = 0
    completed: int = 0
    recorded: int = 0
    score_sum: int = 0

    def count(self, records: Iterable[Record | None], sign: int) -> None:
        """Add records (+1) or subtract them (-1)."""
        known = [each for each in records if each is not None]
        self.opened += sign * sum([bool(each.opened_at) for each in known])
        self.completed += sign * sum([bool(each.completed_at) for each in known])
        self.recorded += sign * sum([each.is_recorded for each in known])
        self.score_sum += sign * sum([each.score for each in known])

    def copy(self) -> Tally:
        """Return the same counts; `evolve` would be the longest part of the copy of a small course."""
        return Tally(self.opened, self.completed, self.recorded, self.score_sum)


@define(eq=False)
class CourseProgress:
    """Partition of one course: roster, enrolments, records and times of resets."""

    roster: list[str] = field(factory=list)
    """Sorted ids of the users assigned now: the rows of the feed."""
    enrolments: dict[str, Enrolment] = field(factory=dict)
    """Enrolments of users on the roster, and of users who left it and may return."""
    records: dict[str, Record] = field(factory=dict)
    reset_at: dict[str, datetime] = field(factory=dict)
    """Time of each user's last reset (R22); holds no data of the cleared progress."""
    tally: Tally = field(factory=Tally)
    fragments: dict[str, bytes] = field(factory=dict)
    """JSON of rows already written, dropped when the row changes; only `RowCache` adds to it."""
    lag_history: LagHistory | None = None
    """Replaced values of the latest changes; None unless the warehouse lags."""
    changes: int = 0
    """Version: rises with every change of a row, so that caches can tell whether they are current."""

    @property
    def state(self) -> tuple[ref[CourseProgress], int]:
        """Key that is equal until something changes; weak, so that a cache keeps no view of the past alive."""
        return ref(self), self.changes

    def has(self, user_id: str) -> bool:
        """Return whether a user is assigned now."""
        at = bisect_left(self.roster, user_id)
        return at < len(self.roster) and self.roster[at] == user_id

    def modified_at(self, user_id: str) -> datetime:
        """Return the time of the last change to the row of a user on the roster."""
        enrolled, record = self.enrolments[user_id].modified_at, self.records.get(user_id)
        return enrolled if record is None else max(enrolled, record.modified_at)

    def put(self, user_id: str, record: Record | None) -> None:
        """Replace the record of a user; None clears it."""
        self._keep(user_id)
        self.changes += 1
        if self.has(user_id):
            self.tally.count([self.records.get(user_id)], -1)
            self.tally.count([record], +1)
        if record is None:
            self.records.pop(user_id, None)
        else:
            self.records[user_id] = record
        self.fragments.pop(user_id, None)

    def enrol(self, user_id: str, enrolment: Enrolment) -> None:
        """Put a user on the roster, or replace their enrolment."""
        self._keep(user_id)
        self.changes += 1
        if not self.has(user_id):
            insort(self.roster, user_id)
            self.tally.count([self.records.get(user_id)], +1)
        self.enrolments[user_id] = enrolment
        self.fragments.pop(user_id, None)

    def restart(
        self, user_ids: Sequence[str], enrolments: Sequence[Enrolment], left: Mapping[str, Record]
    ) -> None:
        """Replace the enrolments of users on the roster, and clear their records but for what is ``left``."""
        if self.lag_history is not None:
            for user_id in user_ids:
                self._keep(user_id)
        self.tally.count(map(self.records.get, user_ids), -1)
        self.tally.count(left.values(), +1)
        for user_id in user_ids:
            if user_id not in left:
                self.records.pop(user_id, None)
        self.records.update(left)  # in their places, so that a state document keeps its order
        for user_id in self.fragments.keys() & user_ids:
            del self.fragments[user_id]
        self.enrolments.update(zip(user_ids, enrolments, strict=True))
        self.changes += 1

    def leave(self, user_id: str) -> None:
        """Take a user off the roster; their record stays and reappears when they return."""
        if self.has(user_id):
            self._keep(user_id)
            self.changes += 1
            del self.roster[bisect_left(self.roster, user_id)]
            self.tally.count([self.records.get(user_id)], -1)

    def _keep(self, user_id: str) -> None:
        if self.lag_history is not None:
            self.lag_history.keep(self, user_id)

    def forget_rows(self, user_id: str | None = None) -> None:
        """Drop the cached JSON of a user's row, or of all rows, because a name or title in it has changed."""
        for each in self._shown():
            if user_id is None:
                each.fragments.clear()
            else:
                each.fragments.pop(user_id, None)

    def follow_course(self) -> None:
        """Drop all cached rows, present and past, because the title or the lessons of the course have changed."""
        self.forget_rows()
        for each in self._shown():
            each.changes += 1

    def _shown(self) -> list[CourseProgress]:
        view = None if self.lag_history is None else self.lag_history.view
        return [self] if view is None else [self, view[1]]

    def fill(self, enrolments: Iterable[tuple[str, Enrolment]], roster: list[str] | None = None) -> None:
        """Enrol many at once in a course with an empty roster; ``roster`` lists who is assigned, by default all."""
        self.changes += 1
        self.enrolments.update(enrolments)
        self.roster = sorted(self.enrolments) if roster is None else roster
        self.tally.count(map(self.records.get, self.roster), +1)

    def copy(self) -> CourseProgress:
        """Return the same progress in containers of its own, without cached rows and lag history."""
        return CourseProgress(
            roster=self.roster.copy(),
            enrolments=self.enrolments.copy(),
            records=self.records.copy(),
            reset_at=self.reset_at.copy(),
            tally=self.tally.copy(),
        )


LONGEST = timedelta(hours=2)
"""Longest lag, and longest time between two refreshes."""


@frozen
class PriorState:
    """State of a user in a course before a change."""

    at: datetime
    """Time of the change; never later than that of the next one."""
    user_id: str
    assigned: bool
    enrolment: Enrolment | None
    record: Record | None


@define(eq=False)
class LagHistory:
    """Changes of one partition, oldest first, kept as long as any lag can show them (R15).

    The past is the present with the latest changes undone, so a course without changes costs nothing."""

    clock: Clock
    changes: list[PriorState] = field(factory=list)
    dropped: int = 0
    view: tuple[int, CourseProgress] | None = None
    """The latest view of the past: the number of changes before it, and the partition."""

    def keep(self, progress: CourseProgress, user_id: str) -> None:
        """Keep the state of a user, right before it changes."""
        at = self._now()
        enrolment, record = progress.enrolments.get(user_id), progress.records.get(user_id)
        self.changes.append(PriorState(at, user_id, progress.has(user_id), enrolment, record))
        if self.changes[0].at < at - 3 * LONGEST:  # late enough for the work to be rare
            self._forget(at - 2 * LONGEST)

    def _now(self) -> datetime:
        """Return the present. If the clock was set back, changes in the future count as made now."""
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
        """Return the partition at a moment; the partition itself if nothing has changed since."""
        self._now()
        count = self._until(moment)
        if count == len(self.changes):
            return progress
        if self.view is None or self.view[0] != self.dropped + count:
            self.view = self.dropped + count, _taken_back(progress, self.changes[count:])
        return self.view[1]


def _taken_back(progress: CourseProgress, changes: list[PriorState]) -> CourseProgress:
    """Return a copy of a partition with changes undone; of several changes to a user the first one counts."""
    was = {change.user_id: change for change in reversed(changes)}
    copy = progress.copy()
    copy.changes = progress.changes
    copy.fragments = {key: row for key, row in progress.fragments.items() if key not in was}
    for change in was.values():
        if not change.assigned:
            copy.leave(change.user_id)
        copy.put(change.user_id, change.record)
        if change.assigned and change.enrolment is not None:
            copy.enrol(change.user_id, change.enrolment)
    return copy
