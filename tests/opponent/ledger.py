"""The truth of the opponent's service: what everybody has recorded, and what was cleared when, by which request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from attrs import define, evolve, field, frozen

LESSONS = 4
PER_PERSON = timedelta(seconds=90)

Key = tuple[str, str]
"""Course id and user id."""


@frozen
class Record:
    """What one person has recorded in one course: when each lesson was completed, and when the course was opened."""

    opened_at: datetime | None = None
    lessons: tuple[datetime, ...] = ()
    kept_score: float = 0
    """What a reset has left of the score."""

    @property
    def completed_at(self) -> datetime | None:
        """When the last lesson was completed, if all were."""
        return self.lessons[-1] if len(self.lessons) == LESSONS else None


@frozen
class Effect:
    """One entry of the ledger: this record was cleared, by this request of this run."""

    at: datetime
    requested_at: datetime
    key: Key
    before: Record
    run: str
    request: int
    is_listed: bool
    """Whether the request named this person and this course."""


@define
class Ledger:
    """Records of people in courses, and the resets of them, at once or in a queue."""

    now: Callable[[], datetime]
    people: tuple[str, ...]
    courses: Mapping[str, tuple[str, ...]]
    """The ids of the courses, each with the people assigned to it."""
    does: frozenset[str] = frozenset()
    """What it does beside resetting whom it is asked to, by the names in ``opponent.behaviours``."""
    run: str = "none"
    """The plan on whose behalf requests arrive, as the test knows it."""
    ledger: list[Effect] = field(factory=list)
    resets: int = 0
    points: float = 20
    """The score of a lesson."""
    _queue: list[tuple[datetime, Effect]] = field(factory=list)
    _history: dict[Key, list[tuple[datetime, Record]]] = field(factory=dict)

    def record(self, key: Key, at: datetime | None = None) -> Record:
        """The record as it is, or as it was at a time."""
        changes = self._history.get(key, [])
        known = [record for when, record in changes if at is None or when <= at]
        return known[-1] if known else Record()

    def learn(self, key: Key, lessons: int, at: datetime | None = None) -> None:
        """Open the course and complete so many further lessons."""
        self.work_off()
        moment = self.now() if at is None else at
        old = self.record(key)
        done = (*old.lessons, *[moment] * min(lessons, LESSONS - len(old.lessons)))
        first = None if "moves opened_at" in self.does else old.opened_at
        self._write(key, evolve(old, opened_at=first or moment, lessons=done), moment)

    def _write(self, key: Key, record: Record, at: datetime) -> None:
        self._history.setdefault(key, []).append((at, record))

    def is_reset(self, key: Key) -> bool:
        """Whether a reset clears anything of this record."""
        record = self.record(key)
        return (
            record.completed_at is not None
            if "resets completed people only" in self.does
            else record != Record()
        )

    def _clear(self, effect: Effect) -> None:
        """Clear a record now, whatever it is by now."""
        before = self.record(effect.key)
        if not self.is_reset(effect.key):
            return
        left = Record(
            before.opened_at if "keeps opened_at" in self.does else None,
            kept_score=self.score_of(before) if "keeps the score" in self.does else 0,
        )
        self.ledger.append(evolve(effect, before=before))
        self._write(effect.key, left, effect.at)

    def work_off(self) -> None:
        """Carry out the resets in the queue whose time has come."""
        while self._queue and self._queue[0][0] <= self.now():
            self._clear(self._queue.pop(0)[1])

    def carry_out(self, course_id: str, users: list[str]) -> int:
        """Reset these people, now or in the queue; how many people."""
        keys = [(course_id, user_id) for user_id in users]
        if "ignores the course" in self.does:
            keys = [(each, user_id) for each in self.courses for user_id in users]
        if "resets strangers" in self.does:
            others = (one for one in self.courses[course_id] if one not in users)
            keys += [(course_id, one) for one in others if self.is_reset((course_id, one))][:1]
        found = [key for key in keys if self.is_reset(key)]
        due = max([self.now(), *(when for when, _ in self._queue[-1:])])
        for key in found:
            is_listed = key[0] == course_id and key[1] in users
            due = due + PER_PERSON if "queues resets" in self.does else self.now()
            effect = Effect(due, self.now(), key, self.record(key), self.run, self.resets, is_listed)
            if "queues resets" in self.does:
                self._queue.append((due, effect))
            else:
                self._clear(effect)
        return len({user_id for _, user_id in found})

    def score_of(self, record: Record) -> float:
        """The score of a record, by its completed lessons."""
        return record.kept_score or self.points * len(record.lessons)
