"""What learners did: one record per person and course, in one partition per course.

Records are frozen and replaced, never changed, so a reader holds a consistent one. A partition keeps its
roster in order (rows are addressed by position), counts what statistics ask for, and caches each row's JSON
until a write.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from datetime import datetime, timedelta
from weakref import ref

from attrs import define, evolve, field, frozen

from mock_server.world import clock
from mock_server.world.clock import Clock
from mock_server.world.courses import Course, SlideProgress


@frozen
class LessonProgress:
    """How far somebody is in one lesson; absent for a lesson never opened."""

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
    """Whether its id came from elsewhere and stands on the wire as it is: its record is nobody else's."""


@frozen
class AssessmentSubmission:
    """A practical assessment as submitted, with its mark (0 to 100) and sign-off where they are given."""

    id: str
    lesson_id: str
    submitted_at: str
    mark: int | None = None
    signed_off_by: str = ""
    signed_off_at: str = ""


@frozen
class DiscussionPost:
    """A contribution to a course's discussion."""

    id: str
    lesson_id: str
    posted_at: str
    text: str


@frozen
class HandIn:
    """An assignment handed in."""

    id: str
    lesson_id: str
    handed_in_at: str
    file_name: str
    mark: int | None = None


@frozen
class Record:
    """All that is recorded of one person in one course; what a reset clears is exactly this."""

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
        """R09: whether anything is recorded, so far as the feed can show it."""
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
        """Progress in one lesson, None where it was never opened."""
        return next((lesson for lesson in self.lessons if lesson.lesson_id == lesson_id), None)


@frozen
class Identity:
    """What a row loaded from a file says of its course and person; it may differ from the master data."""

    course_title: str
    course_external_id: str
    user_email: str
    user_first_name: str
    user_last_name: str
    user_external_id: str
    total_lessons: int


@frozen
class Enrolment:
    """Somebody's place in a course; a reset keeps it, save for a relative due date (R16, R20)."""

    assigned_at: datetime
    modified_at: datetime
    due_at: str = ""
    identity: Identity | None = None


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

    def fill(self, enrolments: Iterable[tuple[str, Enrolment]], roster: list[str] | None = None) -> None:
        """Enrol many at once in a course with an empty roster; ``roster`` lists who is assigned, by default all."""
        self.changes += 1
        self.enrolments.update(enrolments)
        self.roster = sorted(self.enrolments) if roster is None else roster
        for user_id in self.roster:
            self.tally.count(self.records.get(user_id), +1)

    def copy(self) -> CourseProgress:
        """Return the same progress in containers of its own, without cached rows and lag history."""
        return CourseProgress(
            roster=list(self.roster),
            enrolments=dict(self.enrolments),
            records=dict(self.records),
            reset_at=dict(self.reset_at),
            tally=evolve(self.tally),
        )
