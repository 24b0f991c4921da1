"""The export of a real organisation as a world for rehearsals.

The feed shows the data of the file unchanged: dates as their original text, names and titles row by row, even where
rows disagree. The rest is filled in: as many lessons as the rows name, of which the first ones are completed; people
with full seats, directly assigned; published courses without certificates. The tokens belong to extra people who are
in no row and no course.
"""

from __future__ import annotations

import codecs
import errno
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from os import PathLike, fspath
from pathlib import Path
from typing import IO

from mock_server.world import clock
from mock_server.world.clock import Clock
from mock_server.world.courses import Course
from mock_server.world.people import Person
from mock_server.world.progress import Enrolment, Identity, LessonProgress, Record
from mock_server.world.seeds.builder import OrganisationBuilder, WorldBuilder, add_staff
from mock_server.world.seeds.exporter_rows import ExporterCsvError, ExportRow, Problem, parse

_COURSE = attrgetter("course_id")
_OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16, whose mark begins alike
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}

MOST_BYTES = 2 * 1024**3
LONGEST_LINE = 1024 * 1024

COMPLETED_ONLY = (
    "All people in {source} are completed, so it is not the whole organisation. People who are in progress or have not "
    "started are missing, and a rehearsal counts none of them. The vendor's exporter writes completed rows only. Use "
    "`training-sdk progress --format exporter-csv`, which writes people in every state."
)


class CompletedOnlyWarning(UserWarning):
    """All people in a file are completed: most likely it is the vendor's export, which leaves out all others."""


def build_exporter_csv(path: str | PathLike[str], *, now: datetime | None = None) -> WorldBuilder:
    """Load a ``training_course_progresses.csv``. Raises ExporterCsvError, with nothing loaded, if anything is wrong.

    ``now`` freezes the world's clock; dates in the file may be later. Ids stay, tokens are random.
    """
    source = fspath(path)
    try:
        with Path(source).open("rb") as file:
            rows = parse(_decoded(_bounded(file), source), source)
    except OSError as error:
        raise ExporterCsvError(
            source, (Problem(0, "", f"The file cannot be read: {error.strerror}."),)
        ) from None
    if rows and all(row.completed_at for row in rows):
        warnings.warn(COMPLETED_ONLY.format(source=source), CompletedOnlyWarning, stacklevel=3)
    return build_rows(rows, now=now)


def _bounded(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file, which may be a pipe or a device without end. Raises OSError beyond the limits."""
    left = MOST_BYTES
    while line := file.readline(LONGEST_LINE + 1):
        left -= len(line)
        if left < 0:
            raise OSError(errno.EFBIG, f"it is larger than {MOST_BYTES // 1024**2} MiB")
        if len(line) > LONGEST_LINE:
            raise OSError(errno.EFBIG, f"it has a line of more than {LONGEST_LINE // 1024} KiB")
        yield line


def _decoded(lines: Iterable[bytes], source: str) -> Iterator[str]:
    """Yield lines of UTF-8, with or without a byte order mark. Raises ExporterCsvError, naming the line, for others."""
    for number, line in enumerate(lines, 1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
            for mark, encoding in _OTHER_ENCODINGS.items():
                if line.startswith(mark):
                    raise _not_utf8(source, number, f"The file is {encoding}.")
        if b"\0" in line:
            raise _not_utf8(source, number, "The line contains a NUL byte, as UTF-16 does.")
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise _not_utf8(source, number, f"Byte 0x{line[error.start]:02x} is not UTF-8.") from None


def _not_utf8(source: str, line: int, what: str) -> ExporterCsvError:
    return ExporterCsvError(source, (Problem(line, "", f"{what} Save the file as UTF-8."),))


def build_rows(rows: Sequence[ExportRow], *, now: datetime | None = None) -> WorldBuilder:
    """Return a world of checked rows."""
    since = Clock(now).now()
    builder = WorldBuilder(seed=None, now=now, since=since)
    organisation = builder.organisation("Imported organisation")
    people = _people(organisation, rows)
    for _, group in groupby(sorted(rows, key=_COURSE), key=_COURSE):
        _add_course(organisation, list(group), people, since)
    add_staff(builder, organisation, expired_at=since)
    return builder


def _people(organisation: OrganisationBuilder, rows: Iterable[ExportRow]) -> dict[str, Person]:
    """Add all people in the file; if rows disagree about a person, the first row counts."""
    people: dict[str, Person] = {}
    for row in rows:
        if row.user_id not in people:
            people[row.user_id] = organisation.person(
                row.user_first_name,
                row.user_last_name,
                row.user_email,
                id=row.user_id,
                external_id=row.user_external_id,
            )
    return people


def _add_course(
    organisation: OrganisationBuilder, rows: list[ExportRow], people: dict[str, Person], now: datetime
) -> None:
    course = organisation.course(
        rows[0].course_title,
        id=rows[0].course_id,
        external_id=rows[0].course_external_id,
        lessons=max(row.total_lessons for row in rows),
    )
    organisation.assign(course, users=[people[row.user_id] for row in rows])
    for row in rows:
        moved = _last_changed(row, now)
        enrolment = Enrolment(moved, moved, row.due_at, _identity(row, course, people[row.user_id]))
        organisation.enrol(course.id, row.user_id, enrolment)
        organisation.record(course.id, row.user_id, _record(row, course, moved))


def _last_changed(row: ExportRow, now: datetime) -> datetime:
    """Return the last date in the row, or else the moment of loading."""
    return max((clock.parse(text) for text in (row.opened_at, row.completed_at) if text), default=now)


def _identity(row: ExportRow, course: Course, person: Person) -> Identity | None:
    """Return course and person as the row names them; None if they equal the master data."""
    said = Identity(
        row.course_title,
        row.course_external_id,
        row.user_email,
        row.user_first_name,
        row.user_last_name,
        row.user_external_id,
        row.total_lessons,
    )
    known = Identity(
        course.title,
        course.external_id,
        person.email,
        person.first_name,
        person.last_name,
        person.external_id,
        len(course.lessons),
    )
    return None if said == known else said


def _record(row: ExportRow, course: Course, moved: datetime) -> Record:
    done_at = row.completed_at or row.opened_at or clock.to_text(moved)
    return Record(
        modified_at=moved,
        opened_at=row.opened_at,
        completed_at=row.completed_at,
        completed_lessons=row.completed_lessons,
        progress_percent=row.progress_percent,
        score=row.score,
        lessons=tuple(
            LessonProgress(lesson.id, row.opened_at or done_at, done_at, 100.0)
            for lesson in course.lessons[: row.completed_lessons]
        ),
    )
