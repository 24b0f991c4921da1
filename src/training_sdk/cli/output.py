"""Output of commands: text and tables for people, one JSON document for programs, and new files."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar, runtime_checkable

import attrs
from attrs import define, field

from training_sdk._core.model import Extra
from training_sdk._core.text import inline, visible
from training_sdk.cli.streams import failure_of
from training_sdk.errors import InvalidArgumentError
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.wording import MOST_SHOWN, number
from training_sdk.records import storage
from training_sdk.reports.report import ResetReport

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
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


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
    from rich.cells import cell_len  # which takes a while to import

    return len(text) if text.isascii() else cell_len(text)


def safe(text: object) -> str:
    """Return a text of several lines that is safe for a terminal; indentation is kept."""
    lines = str(text).split("\n")
    return "\n".join(" " * (len(line) - len(line.lstrip(" "))) + inline(line) for line in lines)


def is_terminal(stream: Any) -> bool:
    """Return True if the stream is a terminal."""
    return bool(stream is not None and not stream.closed and stream.isatty())


def write(stream: IO[str], text: str) -> None:
    """Print a text and flush the stream."""
    stream.write(text)
    stream.flush()


def write_file(stream: IO[str], text: str) -> None:
    """Print a text in UTF-8 with its own line ends, whatever encoding the stream has."""
    file = getattr(stream, "buffer", None)
    if file is None:
        write(stream, text)
        return
    stream.flush()
    file.write(text.encode("utf-8", "backslashreplace"))
    file.flush()


T = TypeVar("T")


@runtime_checkable
class Listed(Protocol):
    """Value whose text lists people, and that can list more of them."""

    def listing(self, page: int) -> str:
        """Return the text with all people if they fit on a page, otherwise with the first of them."""
        ...


class Found(Protocol):
    """Fault or note found in records; a note is no sign that records were changed."""

    @property
    def is_note(self) -> bool:
        """Whether it is a note and not a fault."""
        ...


@define
class Output:
    """Output of a command. With ``json``, stdout gets one JSON document, and stderr gets the problems."""

    json: bool = False
    stdout: IO[str] = field(factory=lambda: sys.stdout)
    stderr: IO[str] = field(factory=lambda: sys.stderr)
    everyone: bool = False
    """Whether to list all people, however many they are."""

    @property
    def failure(self) -> OSError | None:
        """Error of the first output that could not be written; None if everything was written."""
        return failure_of(self.stdout) or failure_of(self.stderr)

    def say(self, text: object = "") -> None:
        """Print the result of the command; nothing with ``json``, because the document contains it."""
        if not self.json:
            self._print(self.stdout, text)

    def note(self, text: object) -> None:
        """Print additional information; nothing with ``json``."""
        if not self.json:
            self._print(self.stderr, text)

    def warn(self, text: object) -> None:
        """Print a problem, also with ``json``."""
        self._print(self.stderr, text)

    def show(self, text: object) -> None:
        """Print the subject of a question, also with ``json``: a person must see what they confirm."""
        self._print(self.stderr if self.json else self.stdout, text)

    def prompt(self, text: str) -> None:
        """Print a question and leave the cursor behind it."""
        write(self.stderr, safe(text) + " ")

    def document(self, value: Any) -> None:
        """Print the one JSON document, in ASCII, so that it contains no control characters for a terminal."""
        if self.json:
            write(self.stdout, json.dumps(value, indent=1, ensure_ascii=True, default=_plain) + "\n")

    def plain(self, text: str) -> None:
        """Print the text of a file, such as a template or an export, unchanged in UTF-8; a terminal gets no escapes."""
        if is_terminal(self.stdout):
            write(self.stdout, visible(text.replace("\r\n", "\n")))
        else:
            write_file(self.stdout, text)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, is_asked: bool = False
    ) -> None:
        """Print rows for people; nothing with ``json``, unless a question is about them."""
        if is_asked or not self.json:
            stream = self.stderr if self.json else self.stdout
            unicode = (
                (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").startswith("utf")
            )
            write(stream, table_text(columns, [*map(_cells, rows)], width=width_of(stream), unicode=unicode))

    def listing(
        self,
        name: str,
        items: Sequence[T],
        columns: Sequence[str],
        row: Callable[[T], Sequence[object]],
        one: str,
        many: str | None = None,
    ) -> None:
        """Print items: with ``json`` as the document's one field ``name``, else as a table and their number."""
        self.document({name: plain(items)})
        self.table(columns, map(row, items))
        self.note(number(len(items), one, many))

    def findings(self, findings: Iterable[Found]) -> bool:
        """Print what was found in records, and return whether there is a fault among it."""
        found = list(findings)
        for each in found:
            self.say(f"{'note' if each.is_note else 'FAULT'}: {each}")
        return not all(each.is_note for each in found)

    def listed(self, value: Listed, stream: IO[str] | None = None) -> str:
        """Return the text of a value, with all people if they fit on a page or if ``everyone`` is set."""
        return value.listing(sys.maxsize if self.everyone else page_of(stream or self.stdout))

    def _print(self, stream: IO[str], text: object) -> None:
        text = self.listed(text, stream) if isinstance(text, Listed) else text
        write(stream, wrapped(safe(text), width_of(stream)) + "\n")


def page_of(stream: IO[str]) -> int:
    """Return how many people fit on a page of a terminal; elsewhere the number that a plan shows by default."""
    return shutil.get_terminal_size().lines if is_terminal(stream) else MOST_SHOWN


def width_of(stream: IO[str]) -> int | None:
    """Return the number of columns of a terminal; None elsewhere, where a line can have any length."""
    return shutil.get_terminal_size().columns if is_terminal(stream) else None


def _cells(row: Sequence[object]) -> list[str]:
    return [cell(value) for value in row]


def cell(value: object) -> str:
    """Return a value as text for a table; times are in UTC, to the minute."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:g}"
    return inline(str(value))


def _plain(value: Any) -> Any:
    """Convert a value of a type that JSON does not have."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def plain(value: Any) -> Any:
    """Return a frozen value, with all values in it, as JSON data."""
    if attrs.has(type(value)):
        fields = attrs.fields(type(value))
        return {
            one.name: plain(getattr(value, one.name))
            for one in fields
            if one.init and not one.name.startswith("_")
        }
    if isinstance(value, Extra | Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def of_plan(plan: ResetPlan, saved: str | None = None) -> dict[str, Any]:
    """Return a plan as JSON data: the progress that it would clear, and the phrase to type."""
    return {
        "digest": plan.digest,
        "phrase": plan.phrase,
        "people": plan.people,
        "resets": len(plan.targets),
        "notifications": plan.notifications,
        "counts": plain(plan.counts),
        "target_counts": plain(plan.target_counts),
        "losses": plain(plan.losses),
        "saved": saved,
        "plan": plan.document(),
    }


def of_report(report: ResetReport) -> dict[str, Any]:
    """Return a report as JSON data, with the result of each person."""
    return {
        "plan_digest": report.plan.digest,
        "base_url": report.plan.origin.base_url,
        "reference_server": report.plan.origin.reference_server,
        "complete": report.is_complete,
        "reached_others": report.reached_others,
        "others_seen": list(report.others_seen),
        "counts": plain(report.counts),
        "applied_by": report.applied_by,
        "reason": report.reason,
        "ticket": report.ticket,
        "started_at": report.started_at.isoformat(),
        "finished_at": report.finished_at.isoformat(),
        "requests": list(report.requests),
        "sent_ids": list(report.sent_ids),
        "packs": list(report.packs),
        "missing_lessons": [
            {"course_id": course_id, "user_id": user_id} for course_id, user_id in report.missing_lessons
        ],
        "evidence_not_read": dict(report.evidence_not_read),
        "approved": plain(report.approved),
        "users": plain(report.users),
    }


def write_new(path: Path, content: str | bytes, what: str) -> None:
    """Write a new file; no partial file is left after an error.

    Raises InvalidArgumentError if it exists or cannot be written.
    """
    refuse_existing(path, what)
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    storage.write_new(path, data, what)


def refuse_existing(path: Path | None, what: str) -> None:
    """Raise InvalidArgumentError before the work is done if a file exists at the path."""
    if path is None:
        return
    if os.path.lexists(path):
        raise InvalidArgumentError(f"{path} exists, and {what} is never written over another file")
    if not path.parent.is_dir():
        raise InvalidArgumentError(
            f"{what} cannot be written to {path}: the directory {path.parent} does not exist. Make it first"
        )
