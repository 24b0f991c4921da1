"""An evidence pack as a world to rehearse against: what was kept of a course before a reset, as it stood then.

The rows of a pack are the feed's own, so they are checked and loaded as those of an export are; lessons and attempts
come on top, with their own ids. What a pack does not say is made up as for an export. A pseudonymised pack is loaded
like any other: its people go by their pseudonyms.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from datetime import datetime
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve, frozen

from mock_server.world.courses import Course, Lesson
from mock_server.world.progress import Attempt, LessonProgress
from mock_server.world.seeds.builder import OrganisationBuilder, WorldBuilder
from mock_server.world.seeds.exporter_csv import build_rows
from mock_server.world.seeds.exporter_rows import (
    COLUMNS,
    ExporterCsvError,
    ExportRow,
    Problem,
    check_row,
    date,
    identifier,
    percent,
    whole,
)

MANIFEST, BEGUN, SEALED = "manifest.json", "begun.json", ".sealed"

Unseal = Callable[[bytes], bytes]
"""Hook that decrypts what the seal hook encrypted."""

_T = TypeVar("_T")


@frozen
class Line:
    """One line of a file of a pack."""

    source: str
    number: int
    values: Mapping[str, Any]

    def get(self, name: str, kind: type[_T], default: _T | None = None) -> _T:
        """Return a field in either spelling; null means empty, or the default.

        Raises ExporterCsvError, naming the line, if it is missing without a default or of another type.
        """
        first, *others = name.split("_")
        camel = "".join((first, *map(str.capitalize, others)))
        value = self.values.get(name, self.values.get(camel, default))
        if value is None and (name in self.values or camel in self.values):
            value = kind() if default is None else default
        if kind is float and type(value) is int:
            value = float(value)
        if kind is int and type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not kind:
            raise self.problem(f"The field is missing, or its type is not {kind.__name__}.", name)
        return value

    def read(self, name: str, kind: type[Any], how: Callable[[str], _T], default: object = None) -> _T:
        """Return a field, read like a cell of an export. Raises ExporterCsvError for an impossible value."""
        value = self.get(name, kind, default)
        try:
            return how(str(value))
        except ValueError as error:
            raise self.problem(str(error), name) from None

    @property
    def key(self) -> tuple[str, str]:
        """Course and user of the line."""
        return self.get("course_id", str), self.get("user_id", str)

    def problem(self, what: str, column: str = "") -> ExporterCsvError:
        """Return an error about this line."""
        return ExporterCsvError(self.source, (Problem(self.number, column, what),))


@frozen
class PackFiles:
    """Readable pack: finished, or made by hand without a manifest."""

    folder: Path
    marks: Mapping[str, Mapping[str, Any]] | None
    """Entries of the manifest by file; None if there is no manifest."""
    unseal: Unseal | None = None

    @classmethod
    def open(cls, folder: Path, unseal: Unseal | None) -> PackFiles:
        """Open a pack. Raises ExporterCsvError if it is sealed and there is no hook, or was never finished."""
        if not (folder / MANIFEST).exists():
            if (folder / BEGUN).exists():
                raise _wrong(
                    folder, f"The pack was never finished: it has no {MANIFEST}. Name a finished pack."
                )
            return cls(folder, None)
        manifest = _object(folder / MANIFEST)
        marks = manifest.get("files")
        if not isinstance(marks, dict) or not all(isinstance(each, dict) for each in marks.values()):
            raise _wrong(
                folder / MANIFEST, "The manifest does not list the files. Restore a copy of the pack."
            )
        if manifest.get("sealed") is True and unseal is None:
            raise _wrong(
                folder,
                "The pack is sealed. Load it in Python with MockTraining.from_evidence(folder, unseal=...), where "
                "unseal is the hook that decrypts what the seal hook encrypted.",
            )
        return cls(folder, marks, unseal if manifest.get("sealed") is True else None)

    def lines(self, name: str, *, needed: bool = False) -> Iterator[Line]:
        """Yield the objects of a file of JSON lines; none if the file does not exist and is not ``needed``."""
        stored = name if self.unseal is None else name + SEALED
        path = self.folder / stored
        kept = path.exists() if self.marks is None else stored in self.marks
        if not kept and not needed:
            return
        whole = self._text(path).removesuffix("\n")
        for number, text in enumerate(whole.split("\n") if whole else (), 1):
            try:
                values = _sound(json.loads(text))
            except (ValueError, RecursionError):
                values = None
            if not isinstance(values, dict):
                raise ExporterCsvError(str(path), (Problem(number, "", "The line is not a JSON object."),))
            yield Line(str(path), number, values)

    def _text(self, path: Path) -> str:
        data = _read(path)
        if self.marks is not None:
            mark = self.marks.get(path.name, {})
            _check(data, mark.get("sha256"), path)
            if self.unseal is not None:
                data = _unsealed(self.unseal, data, path)
                plain = mark.get("plain")
                _check(data, plain.get("sha256") if isinstance(plain, dict) else None, path)
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise _wrong(path, "The file is not UTF-8.") from None


def _read(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise _wrong(path, "This is not a regular file. Name the folder of an evidence pack.")
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"The file cannot be read: {error.strerror}. Name the folder of an evidence pack."
        raise _wrong(path, message) from None


def _check(data: bytes, sha256: object, path: Path) -> None:
    if hashlib.sha256(data).hexdigest() != sha256:
        message = (
            f"The file was changed: its checksum is not the one in {MANIFEST}. Restore a copy of the pack."
        )
        raise _wrong(path, message)


def _unsealed(unseal: Unseal, data: bytes, path: Path) -> bytes:
    try:
        return unseal(data)
    except Exception as error:  # the hook is the user's own, and may fail in any way
        why = (str(error) or type(error).__name__).removesuffix(".")
        raise _wrong(path, f"The unseal hook failed: {why}.") from error


def _sound(value: object) -> object:
    """Return a value unchanged. Raises ValueError for a lone surrogate, which no answer could hold."""
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_read(path))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _wrong(path, "The file is not a JSON object. Restore a copy of the pack.")
    return found


def _wrong(path: Path, what: str) -> ExporterCsvError:
    return ExporterCsvError(str(path), (Problem(0, "", what),))


COMPLETED_ONLY = (
    "All people in {source} are completed, so it is not the whole organisation. An evidence pack contains only the "
    "people of its plan, and this plan chose completed people. A rehearsal counts no people who are in progress or "
    "have not started. Use `training-sdk progress --format exporter-csv`, which writes people in every state."
)

Key = tuple[str, str]
"""Course and user."""


def build_evidence(
    folder: str | PathLike[str], *, unseal: Unseal | None = None, now: datetime | None = None
) -> WorldBuilder:
    """Load a pack. Raises ExporterCsvError, with nothing loaded, if anything in it is wrong.

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
            raise line.problem(f"This user has a row in this course already, in line {before}.", "user_id")


def _row(line: Line) -> ExportRow:
    cells = {name: line.values.get(name, "") for name in COLUMNS}
    problems, row = check_row(
        line.number, {name: "" if each is None else str(each) for name, each in cells.items()}
    )
    if row is None:
        raise ExporterCsvError(line.source, tuple(problems))
    return row


def _about(lines: Iterable[Line], rows: Container[Key]) -> Iterator[Line]:
    """Yield lines about users who have a row. Raises ExporterCsvError for any other line."""
    for line in lines:
        if line.key not in rows:
            raise line.problem("This user has no row in this course.", "user_id")
        yield line


def _once(line: Line, column: str, value: str, seen: set[tuple[Key, str]]) -> str:
    if (line.key, value) in seen:
        raise line.problem(f"{value!r} occurs more than once for this user in this course.", column)
    seen.add((line.key, value))
    return value


def _lessons(lines: Iterable[Line]) -> tuple[dict[Key, list[LessonProgress]], dict[str, dict[str, str]]]:
    """Return the progress in lessons, and the titles of every course's lessons by id, in order."""
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
    """Give the first lessons of a course the ids and titles of the pack."""
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
    """Add the data of a record that a pack has and an export has not."""
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
