"""Rows as CSV for spreadsheets and as lines of JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from io import StringIO
from typing import Any

from training_sdk._core.text import json_cell, text_cell
from training_sdk.frames.columns import Column, Kind, dicts

BYTE_ORDER_MARK = "\ufeff"
"""Makes a spreadsheet read a file as UTF-8."""


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Return rows of cells as CSV."""
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)  # with it a lone \\r in a text is quoted
    return text.getvalue()


def csv_header(columns: Sequence[Column]) -> str:
    """Return the byte order mark and the names of the columns."""
    return BYTE_ORDER_MARK + csv_text([[column.name for column in columns]])


def csv_rows(columns: Sequence[Column], rows: Sequence[Any]) -> str:
    """Return rows as CSV.

    A text that a spreadsheet would run as a formula gets an apostrophe in front. Dates are in UTC; null is empty.
    """
    values = [[*map(_CELLS[column.kind], column.values(rows))] for column in columns]
    return csv_text([*zip(*values, strict=True)])


def json_lines(columns: Sequence[Column], rows: Sequence[Any]) -> str:
    """Return each row as one line of JSON, with the values of ``to_dicts``."""
    return "".join(f"{json.dumps(row, ensure_ascii=False, default=_date)}\n" for row in dicts(columns, rows))


def _date(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} is not a value of a column")


def _unless_null(form: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda value: "" if value is None else form(value)


_CELLS: dict[Kind, Callable[[Any], object]] = {
    Kind.TEXT: _unless_null(text_cell),
    Kind.STATE: _unless_null(text_cell),
    Kind.INTEGER: _unless_null(str),
    Kind.NUMBER: _unless_null(repr),
    Kind.BOOLEAN: _unless_null(lambda value: "true" if value else "false"),
    Kind.TIME: _unless_null(_date),
    Kind.TEXTS: _unless_null(json_cell),
    Kind.JSON: _unless_null(lambda text: json_cell(json.loads(text))),
}
