"""The tables of a pack, derived from the answers as they came, when they are written and again when they are checked.

The form of a pack is fixed for as long as packs are kept, so nothing here depends on the models: a field that the SDK
learns of later does not change the meaning of an old pack.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from sys import intern
from typing import Any
from urllib.parse import parse_qs, unquote

from attrs import define, field

from training_sdk._core.text import first_form, number, second_form
from training_sdk.errors import EvidenceError
from training_sdk.evidence.answers import (
    ABOUT_COURSES,
    ALWAYS,
    COMPLETE,
    EPOCH,
    FORM,
    Table,
    read_answer,
    tables_of,
    value_in,
    whole_number,
)
from training_sdk.evidence.by_page import Key, PageEvidence
from training_sdk.evidence.files import FileChecksum, Sink

Targets = Mapping[str, frozenset[str]]
"""The users of every course that is about to be reset."""

BOM = b"\xef\xbb\xbf"
"""Tells spreadsheets that a CSV file is UTF-8."""


_COMPARED = (
    *("course_id", "user_id", "user_email", "user_first_name", "user_last_name", "user_external_id"),
    *("opened_at", "completed_at", "completed_lessons", "progress_percent", "score", "due_at"),
    "time_spent_seconds",
)
"""The fields that two rows about one person in one course must share: the person and their progress."""


_PAGE_OF = re.compile(r"(?<=[?&])(page|pageSize)=\d+&?")


@define
class LessonTally:
    """The completed lessons of the targets: how many their rows count, and how many were listed."""

    expected: dict[tuple[str, str], int] = field(factory=dict)
    listed: dict[tuple[str, str], int] = field(factory=dict)
    _user: str | None = None
    _counted: set[tuple[str, str]] = field(factory=set)
    """Course and lesson of the counted lessons of this user; the lessons of one user come one after the other."""

    def add_row(self, key: tuple[str, str], row: Mapping[str, Any]) -> None:
        """Add the number of completed lessons of a progress row."""
        self.expected[key] = whole_number(value_in(row, "completed_lessons"))

    def add_lesson(self, key: tuple[str, str], lesson: Mapping[str, Any]) -> None:
        """Count a completed lesson; one that is listed twice counts once."""
        course_id, user_id = key
        if user_id != self._user:
            self._user, self._counted = user_id, set()
        which = (course_id, str(value_in(lesson, "lesson_id")))
        if _is_completed(lesson) and which not in self._counted:
            self._counted.add(which)
            self.listed[key] = self.listed.get(key, 0) + 1

    @property
    def missing(self) -> dict[tuple[str, str], tuple[int, int]]:
        """The completed lessons, listed and counted, by course and user, if fewer were listed than counted."""
        return {
            key: (self.listed.get(key, 0), count)
            for key, count in self.expected.items()
            if self.listed.get(key, 0) < count
        }


def _is_completed(lesson: Mapping[str, Any]) -> bool:
    """Return whether a lesson is shown as completed, by any of the three fields that tell."""
    date = str(value_in(lesson, "completed_date_time") or "")
    return (
        value_in(lesson, "completed") in (True, "true")
        or whole_number(value_in(lesson, "percentage_completed")) >= COMPLETE
        or date[:4] > EPOCH
    )


@define
class ListingTally:
    """A check that each listing, in the order of reading, has as many items as its last page counts."""

    short: list[str] = field(factory=list)
    """A message for each listing that has fewer."""
    _of: str | None = None
    _items: int = 0
    _total: int = 0

    def add(self, target: str, items: int, total: object) -> None:
        """Count the items of one page."""
        of = _PAGE_OF.sub("", target)
        if of != self._of:
            self.end()
            self._of = of
        self._items += items
        self._total = whole_number(total) or self._total

    def end(self) -> None:
        """Judge the last listing."""
        if self._items < self._total:
            path = str(self._of).partition("?")[0]
            self.short.append(f"{path} lists {number(self._items, 'item')}, but counts {self._total}")
        self._of, self._items, self._total = None, 0, 0


@define
class Tables:
    """The files in which the items of answers are kept, two for each table, those about targets alone."""

    targets: Targets
    open: Callable[[str], Sink]
    """A function that makes the sink of a file, by its name."""
    form: int = FORM
    counts: dict[str, int] = field(init=False)
    rows: dict[tuple[str, str], bytes] = field(factory=dict, init=False)
    """The people whose rows have come so far, each with a digest of those fields."""
    lessons: LessonTally = field(factory=LessonTally, init=False)
    listings: ListingTally = field(factory=ListingTally, init=False)
    repeated: int = field(default=0, init=False)
    """The number of repeated rows: those of people whose row was already read."""
    courses: set[str] = field(factory=set, init=False)
    """The courses whose statistics have come so far."""
    surveyed: set[str] = field(factory=set, init=False)
    """The courses whose survey answers have come so far."""
    pages: PageEvidence = field(factory=PageEvidence, init=False)
    by_person: set[Key] = field(factory=set, init=False)
    """Course and user of those whose own listing of lessons has come; without a course, for all of them."""
    by_page: int = field(default=0, init=False)
    """The number of targets whose lessons were derived from pages."""
    _covered: dict[Key, None] = field(factory=dict, init=False)
    _tables: dict[str, Table] = field(init=False)
    _sinks: dict[str, Sink] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._tables = {table.name: table for table in tables_of(self.form)}
        self.counts = dict.fromkeys(self._tables, 0)

    def begin(self) -> None:
        """Make the files that every pack has."""
        for name in ALWAYS:
            self._make(self._tables[name])

    def _make(self, table: Table) -> None:
        self._sinks[f"{table.name}.jsonl"] = self.open(f"{table.name}.jsonl")
        heading = self._sinks[f"{table.name}.csv"] = self.open(f"{table.name}.csv")
        heading.write(BOM + csv_line(table.columns, self.form))

    def add(self, target: str, body: bytes, cut: int = 0) -> list[dict[str, Any]]:
        """Write the items of the answer from ``target`` about the people to be reset, and return them.

        ``cut`` is the number of items about others that were cut out of the answer. Raises EvidenceError if the feed
        shows someone twice, with different progress.
        """
        path, _, query = target.partition("?")
        name, items, total = read_answer(path, body)
        table = self._tables.get(name)
        if table is None:
            raise EvidenceError(f"{path} is not a part of evidence with tables of form {self.form}.")
        if name != "statistics":  # read until the courses are there, however many others there are
            self.listings.add(target, len(items) + cut, total)
        self._note_listing(table, path, query)
        kept = [item for item in items if self._take(table, item)]
        self.write(table, kept)
        return kept

    def derive_lessons(self) -> None:
        """Write the lessons of the targets that have no listing of their own, and whom the pages cover."""
        for course_id, users in self.targets.items():
            for user_id in sorted(users):
                key = course_id, user_id
                if key in self._covered and not self.by_person & {key, ("", user_id)}:
                    self.by_page += 1
                    for lesson in self.pages.lessons(key):
                        self.lessons.add_lesson(key, lesson)
                        self.write(self._tables["lessons"], [lesson])

    def is_wanted(self, name: str, item: Mapping[str, Any]) -> bool:
        """Return whether an item of a table is about no person, or about a person to be reset in that course."""
        if name in ABOUT_COURSES:
            return True
        return value_in(item, "user_id") in self.targets.get(value_in(item, "course_id"), ())

    def covers(self, row: Mapping[str, Any]) -> bool:
        """Return whether the pages that have come cover the person of a progress row."""
        return self.pages.covers(key_of(row), row)

    def write(self, table: Table, items: list[dict[str, Any]]) -> None:
        """Add items to both files of a table."""
        if items and f"{table.name}.jsonl" not in self._sinks:
            self._make(table)
        for item in items:
            self._sinks[f"{table.name}.jsonl"].write(json_line(item))
            cells = [value_in(item, name) for name in table.columns]
            self._sinks[f"{table.name}.csv"].write(csv_line(cells, self.form))
        self.counts[table.name] += len(items)

    def missing(self) -> Iterator[Key]:
        """Return course and user of each target without a row."""
        for course_id, users in self.targets.items():
            for user_id in sorted(users):
                if (course_id, user_id) not in self.rows:
                    yield course_id, user_id

    def courses_missing(self) -> list[str]:
        """Return the courses of the targets of which no statistics have come."""
        return [course_id for course_id in self.targets if course_id not in self.courses]

    def finish(self) -> dict[str, FileChecksum]:
        """Finish all files and return their checksums."""
        return {name: sink.finish() for name, sink in self._sinks.items()}

    def close(self) -> None:
        """Close the files."""
        for sink in self._sinks.values():
            sink.close()

    def _note_listing(self, table: Table, path: str, query: str) -> None:
        course_id = parse_qs(query).get("courseId", [""])[0]
        if table.name == "surveys":
            self.surveyed.add(course_id)
        elif table.name == "lessons" and (whose := table.path.fullmatch(path)):
            self.by_person.add((course_id, unquote(whose["user"])))

    def _take(self, table: Table, item: dict[str, Any]) -> bool:
        if table.name == "statistics":
            self.courses.add(value_in(item, "course_id"))
            return value_in(item, "course_id") in self.targets
        if table.name == "lesson_statistics":
            self.pages.add_lesson(value_in(item, "course_id"), item)
            return value_in(item, "course_id") in self.targets
        if not self.is_wanted(table.name, item):
            return False
        key = key_of(item)
        match table.name:
            case "lessons":
                self.lessons.add_lesson(key, item)
            case "events":
                self.pages.add_event(key, item)
            case "attempts":
                self.pages.add_attempt(key, item)
            case "rows":
                return self._take_row(key, item)
        return True

    def _take_row(self, key: Key, item: dict[str, Any]) -> bool:
        is_first = self._first_time(key, item)
        if is_first:
            self.lessons.add_row(key, item)
            if self.form >= FORM and self.covers(item):
                self._covered[key] = None
        return is_first

    def _first_time(self, key: tuple[str, str], item: dict[str, Any]) -> bool:
        digest = digest_of_row(item)
        known = self.rows.setdefault(key, digest)
        if known is digest:
            return True
        if known == digest:
            self.repeated += 1
            return False
        raise EvidenceError(
            f"The progress feed shows user {key[1]!r} twice in course {key[0]!r}, with different progress: it changed "
            "while it was read. Nothing was sent. Apply again.",
            reason="EVIDENCE_INCOMPLETE",
        )


def key_of(item: Mapping[str, Any]) -> Key:
    """Return course and user of an item; equal ids are one object, because several tables hold all of them."""
    return intern(value_in(item, "course_id")), intern(value_in(item, "user_id"))


def digest_of_row(row: Mapping[str, Any]) -> bytes:
    """Return a digest of the person and the progress in a row."""
    compared = [value_in(row, name) or None for name in _COMPARED]
    return hashlib.blake2b(json_line(compared), digest_size=16).digest()


def json_line(item: Any) -> bytes:
    """Return one line of JSON in ASCII, the fields in the order of the answer."""
    return json.dumps(item, separators=(",", ":")).encode("ascii") + b"\n"


def csv_line(cells: Any, form: int = FORM) -> bytes:
    """Return one line of CSV, in a form of the tables, that no spreadsheet reads as a formula."""
    cell = first_form if form == 1 else second_form
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([cell(each) for each in cells])
    return text.getvalue().encode("utf-8", "backslashreplace")
