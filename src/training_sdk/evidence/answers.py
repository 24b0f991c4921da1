"""The answers of which evidence consists: their tables, how they are read, and the cut of items about other people."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from attrs import evolve, frozen

from training_sdk.errors import EvidenceError

_HUMP = re.compile(r"_([a-z])")
SOURCE = "source"
"""The column of lessons that names the listings from which a line was made; empty for a line as it came."""


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
            *("completed_date_time", "percentage_completed", "score", SOURCE),
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
    Table(
        "events",
        re.compile(r"/training/analytics/v1/lessons/progress/events"),
        "items",
        ("course_id", "user_id", "lesson_id", "lesson_title", "event_type", "event_date_time"),
    ),
    Table(
        "surveys",
        re.compile(r"/training/analytics/v1/surveys/answers"),
        "items",
        ("course_id", "user_id", "lesson_id", "question_id", "answer", "answered_date_time"),
    ),
    Table(
        "lesson_statistics",
        re.compile(r"/training/analytics/v1/lessons/statistics"),
        "items",
        (
            *("course_id", "lesson_id", "lesson_title", "total_users", "opened_count", "completed_count"),
            *("completion_percent", "average_score"),
        ),
    ),
)
"""The tables of ``FORM``. A new column or table needs a new form: packs are compared with tables derived again."""
NAMES = tuple(table.name for table in TABLES)
FORM = 3
"""The form of the tables that are written now. Packs hold tables of any form until they are purged."""
FORMS = (1, 2, FORM)
SURVEYS = "survey answers"
"""The name of this listing in a manifest that says that it was not read."""
ALWAYS = ("rows", "lessons", "attempts", "statistics")
"""The tables of all forms, whose files are in every pack; the others have files if they have items."""
ABOUT_COURSES = frozenset({"statistics", "lesson_statistics"})
"""The tables whose items are about no person."""


def tables_of(form: int) -> tuple[Table, ...]:
    """Return the tables of a form; before the third there were four, and all lessons were read person by person."""
    if form >= FORM:
        return TABLES
    older = (
        evolve(table, columns=tuple(column for column in table.columns if column != SOURCE))
        for table in TABLES
        if table.name in ALWAYS
    )
    return tuple(older)


def read_answer(path: str, body: bytes) -> tuple[str, list[dict[str, Any]], object]:
    """Return the table of an answer, by the path of its request, its items, and the service's count of them."""
    table, match = _table_at(path)
    document = json.loads(body)
    items = document.get(table.items) or []
    whose = {"userId": unquote(match["user"])} if "user" in match.groupdict() else {}
    return table.name, [{**whose, **item} for item in items], value_in(document, "total_count")


def _table_at(path: str) -> tuple[Table, re.Match[str]]:
    for table in TABLES:
        if match := table.path.fullmatch(path):
            return table, match
    raise EvidenceError(f"{path} is not a part of the evidence.")


def without_others(
    path: str, body: bytes, is_wanted: Callable[[str, dict[str, Any]], bool]
) -> tuple[bytes, int]:
    """Return an answer without the items that are not wanted, and their number; every other byte is as it came.

    An answer in which the items cannot be found byte by byte is returned whole: evidence comes before economy.
    """
    name, items, _ = read_answer(path, body)
    wanted = [is_wanted(name, item) for item in items]
    if all(wanted):
        return body, 0
    try:
        text = body.decode()
        places = _places(text, _table_at(path)[0].items)
    except (ValueError, IndexError, RecursionError):
        return body, 0
    if len(places) != len(items):
        return body, 0
    kept, before = [text[: places[0][0]]], places[0][0]
    for (start, end), is_kept in zip(places, wanted, strict=True):
        if is_kept:  # with what stands before it, unless it is the first that stays
            kept.append(text[(before if len(kept) > 1 else start) : end])
        before = end
    cut = "".join((*kept, text[before:])).encode()
    left = [item for item, is_kept in zip(items, wanted, strict=True) if is_kept]
    return (cut, len(items) - len(left)) if read_answer(path, cut)[1] == left else (body, 0)


def _places(text: str, name: str) -> list[tuple[int, int]]:
    """Return begin and end of each item of the one list of this name. Raises ValueError or IndexError if none is."""
    value_at = json.JSONDecoder().raw_decode
    found: list[list[tuple[int, int]]] = []
    at = _expect(text, 0, "{")
    while True:
        key, at = value_at(text, _skip(text, at))
        at = _expect(text, at, ":", space_after=True)
        if not isinstance(key, str):
            raise ValueError("a name is missing")  # noqa: TRY004 - of the answer, not of an argument
        if key == name and text[at] == "[":
            places, at = _items(text, at, value_at)
            found.append(places)
        else:
            _, at = value_at(text, at)
        at = _skip(text, at)
        if text[at] == "}":
            break
        at = _expect(text, at, ",")
    (only,) = found
    return only


def _items(
    text: str, at: int, value_at: Callable[[str, int], tuple[Any, int]]
) -> tuple[list[tuple[int, int]], int]:
    at = _skip(text, at + 1)
    places: list[tuple[int, int]] = []
    while text[at] != "]":
        if places:
            at = _expect(text, at, ",", space_after=True)
        _, end = value_at(text, at)
        places.append((at, end))
        at = _skip(text, end)
    return places, at + 1


def _expect(text: str, at: int, character: str, *, space_after: bool = False) -> int:
    """Return the position after this character, which must be the next one. Raises ValueError."""
    at = _skip(text, at)
    if text[at] != character:
        raise ValueError(f"{character!r} is missing")
    return _skip(text, at + 1) if space_after else at + 1


def _skip(text: str, at: int) -> int:
    while text[at] in " \t\n\r":
        at += 1
    return at


def value_in(item: Mapping[str, Any], name: str) -> Any:
    """Return a field of an item, in whichever of the two spellings it came; None if it is not there."""
    return item[name] if name in item else item.get(camel(name))


COMPLETE = 100
EPOCH = "1970"


def whole_number(value: object) -> int:
    """Return a number as a service may write it, also as text; 0 for anything else."""
    try:
        return int(float(value)) if isinstance(value, int | float | str) else 0
    except (ValueError, OverflowError):
        return 0


@lru_cache(1000)
def camel(name: str) -> str:
    """Return ``courseId`` for ``course_id``."""
    return _HUMP.sub(lambda match: match[1].upper(), name)
