"""The format of the vendor's exporter: 15 columns, which ``training-mock`` loads."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from training_sdk._core.text import text_cell
from training_sdk.api.progress import ProgressRow
from training_sdk.frames.text import csv_text

COLUMNS = (
    *("opened_at", "completed_at", "total_lessons", "completed_lessons", "course_id", "course_external_id"),
    *("course_title", "user_email", "user_first_name", "user_last_name", "user_id", "user_external_id"),
    *("progress_percent", "score", "due_at"),
)
TEXTS = (
    *("course_id", "course_external_id", "course_title", "user_email", "user_first_name", "user_last_name"),
    *("user_id", "user_external_id"),
)


def exporter_csv(rows: Iterable[ProgressRow]) -> str:
    """Return the rows in the exporter's format; texts are unchanged, so that the file can be loaded again."""
    return exporter_header() + exporter_rows(rows)


def exporter_header() -> str:
    """Return the names of the exporter's columns."""
    return csv_text([COLUMNS])


def exporter_rows(rows: Iterable[ProgressRow]) -> str:
    """Return rows without the header."""
    return csv_text([_cells(row) for row in rows]).encode("utf-8", "backslashreplace").decode()


def has_formula(row: ProgressRow) -> bool:
    """Return True if a spreadsheet could interpret a text of this row as a formula."""
    texts = [getattr(row, name) or "" for name in TEXTS]
    return any(text_cell(text) != text for text in texts)


def _cells(row: ProgressRow) -> list[object]:
    total = row.completed_lessons if row.total_lessons is None else row.total_lessons
    filled = {
        "opened_at": _date(row.opened_at),
        "completed_at": _date(row.completed_at),
        "due_at": _date(row.due_at),
        "total_lessons": total,
        "completed_lessons": row.completed_lessons,
        "progress_percent": _number(row.progress_percent),
        "score": row.score or 0,
    }
    return [filled[name] if name in filled else getattr(row, name) or "" for name in COLUMNS]


def _date(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat().replace("+00:00", "Z")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
