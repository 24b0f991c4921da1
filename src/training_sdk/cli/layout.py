"""How text and tables fit a terminal; what people copy, such as ids, addresses, phrases and commands, is never cut."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

GAP = "   "
LONGEST_RULE = 120
"""The line below the header of a table in a pipe."""
_COPIED = re.compile(r"\s*(training-sdk|reset|prove|purge) \S.*")
"""How a line or a cell begins that people copy as a whole: a command or a phrase."""
_COMMAND = re.compile(r"training-sdk \S.*?(?=[.,;:)`]*(?:[.,;:)`](?:\s|$)|$))")
"""A command in a sentence: up to the punctuation mark at the end of a word."""
_BOND = "\0"
"""Stands for a space at which no line is broken."""


def wrapped(text: str, width: int | None) -> str:
    """Break the lines of a text between words; an item's further lines are indented. None leaves them as they are."""
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


def drawn(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None, unicode: bool = True
) -> str:
    """Draw a table; where a terminal is too narrow for its longest words, one block of lines for each row."""
    cells = [columns, *rows]
    natural = [max(_length(row[column]) for row in cells) for column in range(len(columns))]
    if width is None:
        return _table(columns, rows, natural, unicode=unicode, rule=LONGEST_RULE)
    least = [
        max(_length(word) for row in cells for word in _unbroken(row[column]))
        for column in range(len(columns))
    ]
    widths = _fitting(natural, least, width - len(GAP) * (len(columns) - 1))
    return _blocks(columns, rows, width) if widths is None else _table(columns, rows, widths, unicode=unicode)


def _unbroken(cell: str) -> Sequence[str]:
    """The parts of a cell that stay whole: its words, or all of it where people copy it."""
    return [cell] if _COPIED.match(cell) else cell.split() or [""]


def _fitting(natural: Sequence[int], least: Sequence[int], room: int) -> list[int] | None:
    """The widths of columns in this room: the widest ones are narrowed, and none below its longest word."""
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
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _blocks(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Each row as lines of name and value, without empty values."""
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
    """Columns on a terminal."""
    from rich.cells import cell_len  # which takes a while to import

    return len(text) if text.isascii() else cell_len(text)
