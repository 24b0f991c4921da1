"""What is printed: tables for people, one JSON document for programs, and nothing that a terminal would act on."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import IO, Any, Protocol, runtime_checkable

from attrs import define, field

from training_sdk._core.text import inline, visible
from training_sdk.cli.layout import drawn, wrapped
from training_sdk.cli.streams import failure_of
from training_sdk.plans.wording import MOST_SHOWN


def safe(text: object) -> str:
    """A text of several lines as a terminal may have it: indented as it was, and each line as ``inline`` has it."""
    lines = str(text).split("\n")
    return "\n".join(" " * (len(line) - len(line.lstrip(" "))) + inline(line) for line in lines)


def is_terminal(stream: Any) -> bool:
    """Whether somebody sits there."""
    return bool(stream is not None and not stream.closed and stream.isatty())


def write(stream: IO[str], text: str) -> None:
    """Print a text now."""
    stream.write(text)
    stream.flush()


def write_file(stream: IO[str], text: str) -> None:
    """Print a text in UTF-8 and with its own line ends, whatever the encoding of the stream is."""
    file = getattr(stream, "buffer", None)
    if file is None:
        write(stream, text)
        return
    stream.flush()
    file.write(text.encode("utf-8", "backslashreplace"))
    file.flush()


@runtime_checkable
class Listed(Protocol):
    """A value whose text lists people, and can list more of them."""

    def listing(self, page: int) -> str:
        """The text with everybody in it if they fit on a page, else with the first of them."""
        ...


@define
class Output:
    """Where a command prints. With ``json``, one JSON document on standard output, and problems on the other stream."""

    json: bool = False
    stdout: IO[str] = field(factory=lambda: sys.stdout)
    stderr: IO[str] = field(factory=lambda: sys.stderr)
    everyone: bool = False
    """List everybody, however many."""

    @property
    def failure(self) -> OSError | None:
        """Why something printed so far could not be written; None if everything was."""
        return failure_of(self.stdout) or failure_of(self.stderr)

    def say(self, text: object = "") -> None:
        """Print what the command is about; nothing with ``json``, whose document holds it."""
        if not self.json:
            self._print(self.stdout, text)

    def note(self, text: object) -> None:
        """Print what is to be known besides; nothing with ``json``."""
        if not self.json:
            self._print(self.stderr, text)

    def warn(self, text: object) -> None:
        """Print a problem, also with ``json``."""
        self._print(self.stderr, text)

    def show(self, text: object) -> None:
        """Print what a question is about, also with ``json``: nobody may confirm what they have not seen."""
        self._print(self.stderr if self.json else self.stdout, text)

    def prompt(self, text: str) -> None:
        """A question, with the cursor behind it."""
        write(self.stderr, safe(text) + " ")

    def document(self, value: Any) -> None:
        """The one JSON document, in ASCII: it holds nothing that a terminal would act on."""
        if self.json:
            write(self.stdout, json.dumps(value, indent=1, ensure_ascii=True, default=_plain) + "\n")

    def plain(self, text: str) -> None:
        """The text of a file, such as a template or an export, in UTF-8 as it is; a terminal gets no escapes."""
        if is_terminal(self.stdout):
            write(self.stdout, visible(text.replace("\r\n", "\n")))
        else:
            write_file(self.stdout, text)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, is_asked: bool = False
    ) -> None:
        """Rows for people; nothing with ``json``, unless a question is about them."""
        if is_asked or not self.json:
            stream = self.stderr if self.json else self.stdout
            unicode = (
                (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").startswith("utf")
            )
            write(stream, drawn(columns, [*map(_cells, rows)], width=width_of(stream), unicode=unicode))

    def listed(self, value: Listed, stream: IO[str] | None = None) -> str:
        """The text of a value, with everybody in it if they fit on a page, or if that is asked for."""
        return value.listing(sys.maxsize if self.everyone else page_of(stream or self.stdout))

    def _print(self, stream: IO[str], text: object) -> None:
        text = self.listed(text, stream) if isinstance(text, Listed) else text
        write(stream, wrapped(safe(text), width_of(stream)) + "\n")


def page_of(stream: IO[str]) -> int:
    """How many people fit on a page of a terminal; elsewhere as many as a plan shows by itself."""
    return shutil.get_terminal_size().lines if is_terminal(stream) else MOST_SHOWN


def width_of(stream: IO[str]) -> int | None:
    """The columns of a terminal; None elsewhere, where a line may be of any length."""
    return shutil.get_terminal_size().columns if is_terminal(stream) else None


def _cells(row: Sequence[object]) -> list[str]:
    return [cell(value) for value in row]


def cell(value: object) -> str:
    """A value in a table; times to the minute, in UTC."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:g}"
    return inline(str(value))


def _plain(value: Any) -> Any:
    """Whatever JSON does not know."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
