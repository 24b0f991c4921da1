"""Lessons read by the page: which people the pages of events and attempts cover without a doubt, and their lessons.

The service lists the progress in lessons for one person at a time. Its pages of events and attempts hold the same of
everyone who has completed each lesson, except for the percentage, which is 100 then. An event has no score, and an
attempt does not say when its lesson was first opened, so a lesson counts as covered by both together. Any doubt about
a person means that their lessons are read person by person.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from attrs import define, field

from training_sdk.evidence.answers import COMPLETE, EPOCH, SOURCE, camel, value_in

Key = tuple[str, str]
"""Course and user."""

FROM_PAGES = "events and attempts"
ROUNDING = 0.5
OPENED, COMPLETED = "opened", "completed"
_DOUBT: Mapping[str, Any] = {}
"""Marks a person who must be read alone, because an event or an attempt does not fit."""


@define
class PageEvidence:
    """Events and attempts of each target from their pages; packed, so that memory stays small in any order."""

    titles: dict[str, dict[str, Any]] = field(factory=dict)
    """By course the titles of its lessons, by id."""
    _packed: dict[Key, bytes] = field(factory=dict)
    _key: Key | None = None
    """The person whose traces are not packed: pages list one person after the other, as a rule."""
    _traces: Mapping[str, Any] = _DOUBT

    def add_lesson(self, course_id: str, lesson: Mapping[str, Any]) -> None:
        """Add a lesson of a course; a lesson that is listed twice, or without an id, leaves the course in doubt."""
        lessons = self.titles.setdefault(course_id, {})
        lesson_id = value_in(lesson, "lesson_id")
        is_first = isinstance(lesson_id, str) and lesson_id not in lessons
        lessons[lesson_id if is_first else ""] = value_in(lesson, "lesson_title")

    def add_event(self, key: Key, event: Mapping[str, Any]) -> None:
        """Add that a lesson was opened or completed; anything else, and the same twice, is a doubt."""
        kind, at = value_in(event, "event_type"), value_in(event, "event_date_time")
        traces = self._of(key)
        if traces is _DOUBT:
            return
        lesson = _lesson(traces, event)
        seconds = _moment(at)
        if kind not in (OPENED, COMPLETED) or kind in lesson or seconds is None:
            self._traces = _DOUBT
            return
        lesson[kind] = at
        _note(traces, seconds)

    def add_attempt(self, key: Key, attempt: Mapping[str, Any]) -> None:
        """Add an attempt; one without a score, a result or a time is a doubt."""
        traces = self._of(key)
        if traces is _DOUBT:
            return
        score, success = value_in(attempt, "score"), value_in(attempt, "success")
        times = [_moment(value_in(attempt, name)) for name in ("started_date_time", "completed_date_time")]
        if (
            not _is_number(score)
            or not isinstance(success, bool)
            or times[0] is None
            or (success and times[1] is None)
        ):
            self._traces = _DOUBT
            return
        lesson = _lesson(traces, attempt)
        lesson["score"] = max(score, lesson.get("score", score))
        lesson["passed"] = success or lesson.get("passed", False)
        for seconds in times:
            _note(traces, seconds)

    def covers(self, key: Key, row: Mapping[str, Any]) -> bool:
        """Return whether the pages hold every lesson of a person, who has completed the course by this progress row."""
        traces, titles = self._found(key), self.titles.get(key[0], {})
        lessons = traces.get("lessons", {})
        opened, completed = (_moment(value_in(row, name)) for name in ("opened_at", "completed_at"))
        done, total, percent = (
            value_in(row, name) for name in ("completed_lessons", "total_lessons", "progress_percent")
        )
        return (
            opened is not None
            and completed is not None
            and opened <= completed
            and type(total) is int
            and type(done) is int
            and _is_number(percent)
            and percent == COMPLETE
            and done == total == len(titles) > 0
            and lessons.keys() == titles.keys()
            and traces["first"] >= opened  # nothing of before an earlier reset
            and all(map(_is_whole, lessons.values()))
            and _explains(value_in(row, "score"), [lesson["score"] for lesson in lessons.values()])
        )

    def lessons(self, key: Key) -> Iterator[dict[str, Any]]:
        """Return the lessons of a person whom the pages cover, as the service would list them."""
        course_id, user_id = key
        lessons = self._found(key)["lessons"]
        for lesson_id, title in self.titles[course_id].items():
            lesson = lessons[lesson_id]
            found = {
                "user_id": user_id,
                "course_id": course_id,
                "lesson_id": lesson_id,
                "lesson_title": title,
                "opened": True,
                "opened_date_time": lesson[OPENED],
                "completed": True,
                "completed_date_time": lesson[COMPLETED],
                "percentage_completed": float(COMPLETE),
                "score": lesson["score"],
                SOURCE: FROM_PAGES,
            }
            yield {camel(name): value for name, value in found.items()}

    def _of(self, key: Key) -> Mapping[str, Any]:
        """Return the traces of a person, ready to be changed; those of the person before are packed."""
        if key != self._key:
            found = self._found(key)
            if self._key is not None:
                self._packed[self._key] = _packed(self._traces)
            self._key, self._traces = key, found
        return self._traces

    def _found(self, key: Key) -> Mapping[str, Any]:
        """Return the traces of a person, to be read only."""
        if key == self._key:
            return self._traces
        packed = self._packed.get(key)
        return {"lessons": {}, "first": math.inf} if packed is None else _unpacked(packed)


def _packed(traces: Mapping[str, Any]) -> bytes:
    return b"" if traces is _DOUBT else zlib.compress(json.dumps(traces).encode(), level=1)


def _unpacked(packed: bytes) -> Mapping[str, Any]:
    if not packed:
        return _DOUBT
    traces: dict[str, Any] = json.loads(zlib.decompress(packed))
    return traces


def _lesson(traces: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    lesson: dict[str, Any] = traces["lessons"].setdefault(str(value_in(item, "lesson_id")), {})
    return lesson


def _note(traces: Any, seconds: float | None) -> None:
    if seconds is not None:
        traces["first"] = min(traces["first"], seconds)


def _is_whole(lesson: Mapping[str, Any]) -> bool:
    """Return whether a lesson was opened, completed and passed; an event that came without the others is a doubt."""
    opened, completed = _moment(lesson.get(OPENED)), _moment(lesson.get(COMPLETED))
    return (
        opened is not None and completed is not None and opened <= completed and lesson.get("passed") is True
    )


def _explains(score: object, scores: list[float]) -> bool:
    """Return whether the score of a course is the mean of these, or of those above zero, as far as rounding goes.

    Otherwise a lesson may have a score that no attempt shows, such as the mark of an assessment.
    """
    if not _is_number(score):
        return False
    passed = [each for each in scores if each > 0] or [0]
    means = (sum(scores) / len(scores), sum(passed) / len(passed))
    return any(abs(float(str(score)) - mean) <= ROUNDING for mean in means)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _moment(value: object) -> float | None:
    """Return the seconds of a date with a zone since 1970; None for anything else, also for dates that mean none."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) and value[:4] > EPOCH else None
        return None if found is None or found.tzinfo is None else found.timestamp()
    except (ValueError, OverflowError):
        return None
