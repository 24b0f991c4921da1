"""Layout of text for people: lines broken between words, and tables, also tables that are printed page by page."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import repeat
from typing import cast

from training_sdk._core.text import inline, is_plain

GAP = "   "
LONGEST_RULE = 120
"""Longest line below the header of a table in a pipe."""
_COPIED = re.compile(r"\s*(training-sdk|reset|prove|purge) \S.*")
"""Beginning of a line or cell that people copy as a whole: a command or a phrase."""
_COMMAND = re.compile(r"training-sdk \S.*?(?=[.,;:)`]*(?:[.,;:)`](?:\s|$)|$))")
"""A command in a sentence, up to the punctuation mark at the end of a word."""
_BOND = "\0"
"""Placeholder for a space at which a line must not be broken."""


def wrapped(text: str, width: int | None) -> str:
    """Break the lines of a text between words; indent the continuation lines of an item. None leaves them unchanged."""
    return text if width is None else "\n".join(_wrapped_line(line, width) for line in text.split("\n"))


def _wrapped_line(line: str, width: int) -> str:
    if len(line) <= width or _COPIED.match(line):
        return line
    words = line.lstrip(" ")
    indent = " " * (len(line) - len(words))
    hanging = indent + ("  " if indent or words.startswith("- ") else "")
    return _broken(words, width, indent, hanging)


def _broken(words: str, width: int, indent: str, hanging: str) -> str:
    copied = _COPIED if _COPIED.match(words) else _COMMAND
    return textwrap.fill(
        copied.sub(lambda whole: whole[0].replace(" ", _BOND), words),
        width,
        initial_indent=indent,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_BOND, " ")


def table_text(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None, unicode: bool = True
) -> str:
    """Draw a table; if the terminal is too narrow for the longest words, draw one block of lines for each row."""
    widths = _column_widths(columns, rows, width)
    if widths is None:
        return _blocks(columns, rows, width or LONGEST_RULE)
    rule = LONGEST_RULE if width is None else None
    return _table(columns, rows, widths, unicode=unicode, rule=rule)


def _column_widths(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None
) -> Sequence[int] | None:
    """Return the widths of columns; None if the terminal is too narrow for a table."""
    lines = [columns, *rows]
    natural = [max(_length(row[column]) for row in lines) for column in range(len(columns))]
    if width is None:
        return natural
    least = [
        max(_length(word) for row in lines for word in _unbroken(row[column]))
        for column in range(len(columns))
    ]
    return _fitting(natural, least, width - len(GAP) * (len(columns) - 1))


def _unbroken(cell: str) -> Sequence[str]:
    """Return the parts of a cell that must not be broken: its words, or the whole cell if people copy it."""
    return [cell] if _COPIED.match(cell) else cell.split() or [""]


def _fitting(natural: Sequence[int], least: Sequence[int], room: int) -> list[int] | None:
    """Return column widths that fit: the widest columns are narrowed, but not below their longest word."""
    for most in range(max(*natural, 1), 0, -1):
        widths = [max(low, min(high, most)) for high, low in zip(natural, least, strict=True)]
        if sum(widths) <= room:
            return widths
    return None


def _table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    *,
    unicode: bool,
    rule: int | None = None,
) -> str:
    head, *body = (
        [_lines(text, width) for text, width in zip(row, widths, strict=True)] for row in (columns, *rows)
    )
    total = sum(widths) + len(GAP) * (len(widths) - 1)
    below = ["\u2500" * min(total, rule or total)] if unicode else []
    lines = [*_row(head, widths), *below, *(line for row in body for line in _row(row, widths))]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    height = max(map(len, cells))
    padded = [[*lines, *[""] * (height - len(lines))] for lines in cells]
    return [
        GAP.join(
            text + " " * (width - _length(text)) for text, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in zip(*padded, strict=True)
    ]


def _lines(text: str, width: int) -> list[str]:
    if _length(text) <= width:
        return [text]
    if text.isascii():
        return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else ""
        if lines and _length(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _blocks(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Return each row as lines of name and value, without empty values."""
    margin = max(map(len, columns)) + 2
    blocks = (
        "\n".join(
            _broken(text, width, f"{name:{margin}}", " " * margin)
            for name, text in zip(columns, row, strict=True)
            if text
        )
        for row in rows
    )
    return "\n\n".join(blocks) + "\n"


def _length(text: str) -> int:
    """Return the number of columns that a text needs on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # which takes a while to import

    return cell_len(text)


class StreamedTable:
    """Table that is printed page by page. The rows of the first page decide the widths of the columns.

    A later value that is longer breaks the column; it is never cut. On a terminal it is wrapped between words.
    """

    def __init__(self, columns: Sequence[str], *, width: int | None, unicode: bool) -> None:
        self._columns = columns
        self._width = width
        self._unicode = unicode
        self._widths: Sequence[int] | None = None
        self._has_begun = False

    def text(self, values: Iterable[Sequence[object]]) -> str:
        """Return the next rows, given as columns, as text; and the header before the first ones."""
        if self._has_begun and self._widths is not None and self._width is None:
            padded = map(column_cells, values, self._widths)
            return "\n".join([*map(str.rstrip, map(GAP.join, zip(*padded, strict=True))), ""])
        rows = [*zip(*map(column_cells, values), strict=True)]
        if not self._has_begun:
            self._has_begun = True
            self._widths = _column_widths(self._columns, rows, self._width)
            return table_text(self._columns, rows, width=self._width, unicode=self._unicode)
        if self._widths is None:
            return "\n" + _blocks(self._columns, rows, self._width or LONGEST_RULE)
        widths = self._widths
        return "\n".join([line for row in rows for line in _row([*map(_lines, row, widths)], widths)] + [""])


def column_cells(values: Sequence[object], width: int = 0) -> Iterable[str]:
    """Return the values of a column as text, as ``cell`` does, and padded; equal texts and shared objects only once."""
    texts = cast("Sequence[str]", values)
    with suppress(TypeError):  # not all of it is text
        together = "|".join(texts)
        if is_plain(together) and not ("| " in together or " |" in together):
            if together.isascii():
                return map(str.ljust, texts, repeat(width))
            return map({text: _padded(text, width) for text in set(texts)}.__getitem__, texts)
    keys = [*map(id, values)]
    padded = {key: _padded(cell(value), width) for key, value in dict(zip(keys, values, strict=True)).items()}
    return map(padded.__getitem__, keys)


def _padded(text: str, width: int) -> str:
    return text.ljust(width) if text.isascii() else text + " " * (width - _length(text))


def cells_of(row: Sequence[object]) -> list[str]:
    """Return the values of a row as text for a table."""
    return [cell(value) for value in row]


def cell(value: object) -> str:
    """Return a value as text for a table; times are in UTC, to the minute."""
    if isinstance(value, str):
        return inline(value)
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(" ", "minutes")[:16]
    if isinstance(value, float):
        return f"{value:g}"
    return inline(str(value))
