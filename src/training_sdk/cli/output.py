"""Output of commands: text and tables for people, one JSON document for programs, and new files."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import attrs
from attrs import define, field

from training_sdk._core.model import Extra
from training_sdk._core.text import inline, sentence, visible
from training_sdk.cli.layout import StreamedTable, cells_of, table_text, wrapped
from training_sdk.cli.streams import failure_of
from training_sdk.errors import InvalidArgumentError
from training_sdk.plans.wording import MOST_SHOWN, number
from training_sdk.records import storage

if TYPE_CHECKING:
    from training_sdk.plans.plan import ResetPlan
    from training_sdk.reports.report import ResetReport


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
        """True if it is a note and not a fault."""
        ...


@define
class Output:
    """Output of a command. With ``json``, stdout gets one JSON document, and stderr gets the problems."""

    json: bool = False
    stdout: IO[str] = field(factory=lambda: sys.stdout)
    stderr: IO[str] = field(factory=lambda: sys.stderr)
    everyone: bool = False
    """True if to list all people, however many they are."""

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

    def warn_each(self, warnings: Iterable[str]) -> None:
        """Print warnings about the result on standard error, so that they are never in the data."""
        for warning in warnings:
            self.warn(f"Warning: {sentence(warning)}")

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
            text = table_text(
                columns, [*map(cells_of, rows)], width=table_width(stream), unicode=_has_unicode(stream)
            )
            write(stream, text)

    def streamed_table(self, columns: Sequence[str], pages: Iterable[Iterable[Sequence[object]]]) -> None:
        """Print pages for people, each given as columns; the widths of the columns are those of the first page."""
        stream = self.stdout
        table = StreamedTable(columns, width=table_width(stream), unicode=_has_unicode(stream))
        for page in pages:
            write(stream, table.text(page))

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


def _has_unicode(stream: IO[str]) -> bool:
    encoding: str = getattr(stream, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "").startswith("utf")


def page_of(stream: IO[str]) -> int:
    """Return how many people fit on a page of a terminal; elsewhere the number that a plan shows by default."""
    return shutil.get_terminal_size().lines if is_terminal(stream) else MOST_SHOWN


def width_of(stream: IO[str]) -> int | None:
    """Return the number of columns of a terminal; None elsewhere, where a line can have any length."""
    return shutil.get_terminal_size().columns if is_terminal(stream) else None


def table_width(stream: IO[str]) -> int | None:
    """Return the width of a table: that of the terminal; elsewhere ``COLUMNS`` if it is a number above 0, or None."""
    width = width_of(stream)
    if width is not None:
        return width
    named = os.environ.get("COLUMNS", "")
    return int(named) or None if re.fullmatch("[0-9]{1,4}", named) else None


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
        raise InvalidArgumentError(
            f"{path} exists, and {what} is never written over another file. Choose a new name."
        )
    refuse_place(path, what)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def refuse_place(path: Path, what: str) -> None:
    """Raise InvalidArgumentError for ``-``, which many programs take for standard output, and for a missing parent."""
    if str(path) == "-":
        raise InvalidArgumentError(
            f"{_capital(what)} cannot be written to '-'. Name a file, or leave the option out: then text goes to "
            "standard output."
        )
    if not path.parent.is_dir():
        raise InvalidArgumentError(
            f"{_capital(what)} cannot be written to {path}: the directory {path.parent} does not exist. Create it "
            "first."
        )
