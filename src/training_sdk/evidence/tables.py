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
from typing import Any
from urllib.parse import unquote

from attrs import define, field, frozen

from training_sdk._core.text import first_form, second_form
from training_sdk.errors import EvidenceError
from training_sdk.evidence.files import FileChecksum, Sink

Targets = Mapping[str, frozenset[str]]
"""The users of every course that is about to be reset."""

FORM = 2
"""The form of the tables that are written now. Packs hold tables of any form until they are purged."""
_CELLS = {1: first_form, FORM: second_form}
FORMS = frozenset(_CELLS)

BOM = b"\xef\xbb\xbf"
"""Tells spreadsheets that a CSV file is UTF-8."""
_HUMP = re.compile(r"_([a-z])")


@frozen
class Table:
    """One kind of answer: the path of its request, the field with its items, and the columns of its CSV file."""

    name: str
    path: re.Pattern[str]
    items: str
    columns: tuple[str, ...]


TABLES = (
    Table(
        "rows",
        re.compile(r"/training/v1/feed/training-course-progress"),
        "data",
        (
            *("course_id", "course_external_id", "course_title", "user_id", "user_external_id", "user_email"),
            *("user_first_name", "user_last_name", "opened_at", "completed_at", "completed_lessons"),
            *("total_lessons", "progress_percent", "score", "due_at", "time_spent_seconds"),
            "completion_expiry_date",
        ),
    ),
    Table(
        "lessons",
        re.compile(r"/training/analytics/v1/users/(?P<user>[^/]+)/lessons/progress"),
        "items",
        (
            *("course_id", "user_id", "lesson_id", "lesson_title", "opened", "opened_date_time", "completed"),
            *("completed_date_time", "percentage_completed", "score"),
        ),
    ),
    Table(
        "attempts",
        re.compile(r"/training/analytics/v1/lessons/attempts"),
        "items",
        (
            *("course_id", "user_id", "lesson_id", "id", "started_date_time", "completed_date_time"),
            *("score", "success"),
        ),
    ),
    Table(
        "statistics",
        re.compile(r"/training/analytics/v1/courses/statistics"),
        "items",
        (
            *("course_id", "course_title", "total_users", "opened_count", "completed_count"),
            *("completion_percent", "average_score"),
        ),
    ),
)
NAMES = tuple(table.name for table in TABLES)

_COMPARED = (
    *("course_id", "user_id", "user_email", "user_first_name", "user_last_name", "user_external_id"),
    *("opened_at", "completed_at", "completed_lessons", "progress_percent", "score", "due_at"),
    "time_spent_seconds",
)
"""The fields that two rows about one person in one course must share: the person and their progress."""


_PAGE_OF = re.compile(r"(?<=[?&])(page|pageSize)=\d+&?")
COMPLETE = 100
EPOCH = "1970"


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
            self.short.append(f"{path} lists {self._items} items and counts {self._total}")
        self._of, self._items, self._total = None, 0, 0


@define
class Tables:
    """The eight files in which the items of answers are kept, those about targets alone."""

    targets: Targets
    open: Callable[[str], Sink]
    """A function that makes the sink of a file, by its name."""
    form: int = FORM
    counts: dict[str, int] = field(factory=lambda: dict.fromkeys(NAMES, 0), init=False)
    rows: dict[tuple[str, str], bytes] = field(factory=dict, init=False)
    """The people whose rows have come so far, each with a digest of those fields."""
    lessons: LessonTally = field(factory=LessonTally, init=False)
    listings: ListingTally = field(factory=ListingTally, init=False)
    repeated: int = field(default=0, init=False)
    """The number of repeated rows: those of people whose row was already read."""
    courses: set[str] = field(factory=set, init=False)
    """The courses whose statistics have come so far."""
    _sinks: dict[str, Sink] = field(factory=dict, init=False)

    def begin(self) -> None:
        """Make the files."""
        for table in TABLES:
            self._sinks[f"{table.name}.jsonl"] = self.open(f"{table.name}.jsonl")
            heading = self._sinks[f"{table.name}.csv"] = self.open(f"{table.name}.csv")
            heading.write(BOM + csv_line(table.columns, self.form))

    def add(self, target: str, body: bytes) -> list[dict[str, Any]]:
        """Write the items of the answer from ``target`` about the people to be reset, and return them.

        Raises EvidenceError if the feed shows someone twice, with different progress.
        """
        table, items, total = read_answer(target.partition("?")[0], body)
        if table.name != "statistics":  # read until the courses are there, however many others there are
            self.listings.add(target, len(items), total)
        kept = [item for item in items if self._take(table, item)]
        self.write(table, kept)
        return kept

    def write(self, table: Table, items: list[dict[str, Any]]) -> None:
        """Add items to both files of a table."""
        for item in items:
            self._sinks[f"{table.name}.jsonl"].write(json_line(item))
            cells = [value_in(item, name) for name in table.columns]
            self._sinks[f"{table.name}.csv"].write(csv_line(cells, self.form))
        self.counts[table.name] += len(items)

    def missing(self) -> Iterator[tuple[str, str]]:
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

    def _take(self, table: Table, item: dict[str, Any]) -> bool:
        course_id, user_id = value_in(item, "course_id"), value_in(item, "user_id")
        if table.name == "statistics":
            self.courses.add(course_id)
            return course_id in self.targets
        if user_id not in self.targets.get(course_id, ()):
            return False
        if table.name == "lessons":
            self.lessons.add_lesson((course_id, user_id), item)
        if table.name != "rows":
            return True
        is_first = self._first_time((course_id, user_id), item)
        if is_first:
            self.lessons.add_row((course_id, user_id), item)
        return is_first

    def _first_time(self, key: tuple[str, str], item: dict[str, Any]) -> bool:
        compared = [value_in(item, name) or None for name in _COMPARED]
        digest = hashlib.blake2b(json_line(compared), digest_size=16).digest()
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


def read_answer(path: str, body: bytes) -> tuple[Table, list[dict[str, Any]], object]:
    """Return the table of an answer, by the path of its request, its items, and the service's count of them."""
    for table in TABLES:
        if match := table.path.fullmatch(path):
            document = json.loads(body)
            items = document.get(table.items) or []
            whose = {"userId": unquote(match["user"])} if "user" in match.groupdict() else {}
            return table, [{**whose, **item} for item in items], value_in(document, "total_count")
    raise EvidenceError(f"{path} is no part of the evidence.")


def value_in(item: Mapping[str, Any], name: str) -> Any:
    """Return a field of an item, in whichever of the two spellings it came; None if it is not there."""
    return item[name] if name in item else item.get(camel(name))


def whole_number(value: object) -> int:
    """Return a number as a service may write it, also as text; 0 for anything else."""
    try:
        return int(float(value)) if isinstance(value, int | float | str) else 0
    except (ValueError, OverflowError):
        return 0


def camel(name: str) -> str:
    """Return ``courseId`` for ``course_id``."""
    return _HUMP.sub(lambda match: match[1].upper(), name)


def json_line(item: Any) -> bytes:
    """Return one line of JSON in ASCII, the fields in the order of the answer."""
    return json.dumps(item, separators=(",", ":")).encode("ascii") + b"\n"


def csv_line(cells: Any, form: int = FORM) -> bytes:
    """Return one line of CSV, in a form of the tables, that no spreadsheet reads as a formula."""
    cell = _CELLS[form]
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([cell(each) for each in cells])
    return text.getvalue().encode("utf-8", "backslashreplace")
