"""An evidence pack as a world to rehearse against: what was kept of a course before a reset, as it stood then.

The rows of a pack are the feed's own, so they are checked and loaded as those of an export are; lessons and attempts
come on top, with their own ids. What a pack does not say is made up as for an export. A pseudonymised pack is loaded
like any other: its people go by their pseudonyms.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime
from os import PathLike, fspath
from pathlib import Path

from attrs import evolve

from mock_server.world.builder import OrganisationBuilder, WorldBuilder
from mock_server.world.courses import Course, Lesson
from mock_server.world.evidence_files import Line, PackFiles, Unseal
from mock_server.world.exporter_csv import build_rows
from mock_server.world.exporter_rows import (
    COLUMNS,
    ExporterCsvError,
    ExportRow,
    checked,
    date,
    identifier,
    percent,
    whole,
)
from mock_server.world.progress import Attempt, LessonProgress

COMPLETED_ONLY = (
    "everybody in {source} is completed, so it is not the whole organisation. An evidence pack holds only the people "
    "of its plan, and this plan chose completed people: a rehearsal counts nobody who is in progress or has not "
    "started. `training-sdk progress --format exporter-csv` writes people in every state"
)

Key = tuple[str, str]
"""Course and user."""


def build_evidence(
    folder: str | PathLike[str], *, unseal: Unseal | None = None, now: datetime | None = None
) -> WorldBuilder:
    """Load a pack. ExporterCsvError, and nothing loaded, if anything in it is wrong.

    ``unseal`` opens a sealed one. ``now`` freezes the world's clock. Ids stay, tokens are random.
    """
    pack = PackFiles.open(Path(fspath(folder)), unseal)
    lines = list(pack.lines("rows.jsonl", needed=True))
    _refuse_repeated(lines)
    builder = build_rows([_row(line) for line in lines], now=now)
    organisation = builder.main
    known = {line.key for line in lines}
    lessons, titles = _lessons(_about(pack.lines("lessons.jsonl"), known))
    attempts = _attempts(_about(pack.lines("attempts.jsonl"), known))
    for course_id in list(organisation.organisation.courses):
        _name_lessons(organisation, course_id, titles.get(course_id, {}))
    for line in lines:
        _fill(organisation, line, lessons.get(line.key, ()), attempts.get(line.key, ()))
    return builder


def _refuse_repeated(lines: Iterable[Line]) -> None:
    first: dict[Key, int] = {}
    for line in lines:
        before = first.setdefault(line.key, line.number)
        if before != line.number:
            raise line.problem(f"this user stands in this course already, in line {before}", "user_id")


def _row(line: Line) -> ExportRow:
    cells = {name: line.values.get(name, "") for name in COLUMNS}
    problems, row = checked(
        line.number, {name: "" if each is None else str(each) for name, each in cells.items()}
    )
    if row is None:
        raise ExporterCsvError(line.source, tuple(problems))
    return row


def _about(lines: Iterable[Line], rows: Container[Key]) -> Iterator[Line]:
    """Lines about those who stand in a row; ExporterCsvError for one about anybody else."""
    for line in lines:
        if line.key not in rows:
            raise line.problem("there is no row of this user in this course", "user_id")
        yield line


def _once(line: Line, column: str, value: str, seen: set[tuple[Key, str]]) -> str:
    if (line.key, value) in seen:
        raise line.problem(f"{value!r} stands there twice for this user in this course", column)
    seen.add((line.key, value))
    return value


def _lessons(lines: Iterable[Line]) -> tuple[dict[Key, list[LessonProgress]], dict[str, dict[str, str]]]:
    """What was reached in lessons, and the titles of every course's lessons by id, in order."""
    found: dict[Key, list[LessonProgress]] = {}
    titles: dict[str, dict[str, str]] = {}
    seen: set[tuple[Key, str]] = set()
    for line in lines:
        lesson_id = _once(line, "lesson_id", line.read("lesson_id", str, identifier), seen)
        titles.setdefault(line.key[0], {})[lesson_id] = line.get("lesson_title", str)
        reached = LessonProgress(
            lesson_id,
            line.read("opened_date_time", str, date),
            line.read("completed_date_time", str, date),
            line.read("percentage_completed", float, percent),
            line.read("score", int, whole()),
        )
        if line.get("opened", bool):
            found.setdefault(line.key, []).append(reached)
    return found, titles


def _attempts(lines: Iterable[Line]) -> dict[Key, list[Attempt]]:
    found: dict[Key, list[Attempt]] = {}
    seen: set[tuple[Key, str]] = set()
    for line in lines:
        attempt = Attempt(
            _once(line, "id", line.read("id", str, identifier), seen),
            line.read("lesson_id", str, identifier),
            line.read("started_date_time", str, date),
            line.read("completed_date_time", str, date),
            line.read("score", int, whole()),
            line.get("success", bool),
            has_own_id=True,
        )
        found.setdefault(line.key, []).append(attempt)
    return found


def _name_lessons(organisation: OrganisationBuilder, course_id: str, titles: Mapping[str, str]) -> None:
    """Give the first lessons of a course the ids and titles that the pack knows."""
    course: Course = organisation.organisation.courses[course_id]
    known = [Lesson(each, title, course.created_at) for each, title in titles.items()]
    if known:
        lessons = (*known, *course.lessons[len(known) :])
        organisation.organisation.courses[course_id] = evolve(course, lessons=lessons)


def _fill(
    organisation: OrganisationBuilder,
    line: Line,
    lessons: list[LessonProgress] | tuple[()],
    attempts: list[Attempt] | tuple[()],
) -> None:
    """What a pack says beyond an export of somebody's record."""
    course_id, user_id = line.key
    record = organisation.organisation.progress[course_id].records[user_id]
    reached = tuple(lessons) or tuple(
        evolve(each, lesson_id=lesson.id)
        for each, lesson in zip(
            record.lessons, organisation.organisation.courses[course_id].lessons, strict=False
        )
    )
    changed = evolve(
        record,
        time_spent_seconds=line.read("time_spent_seconds", int, whole(), 0),
        completion_expiry_date=line.read("completion_expiry_date", str, date, ""),
        lessons=reached,
        attempts=tuple(attempts),
    )
    organisation.record(course_id, user_id, changed)
