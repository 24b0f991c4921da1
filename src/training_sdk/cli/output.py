"""What is printed: tables for people, one JSON document for programs, and nothing that a terminal would act on."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from io import StringIO
from typing import IO, Any

from attrs import define, field

from training_sdk._visible import inline, show_logs, visible

NO_TERMINAL_WIDTH = 10_000
"""In a pipe a row is a line, however long."""
LONGEST_RULE = 120
"""The line below the header of a table in a pipe."""


def safe(text: object) -> str:
    """A text of several lines as a terminal may have it: indented as it was, and each line as ``inline`` has it."""
    lines = str(text).split("\n")
    return "\n".join(" " * (len(line) - len(line.lstrip(" "))) + inline(line) for line in lines)


def prepare_streams() -> None:
    """Let no name that the terminal's encoding lacks end a command, and no log line act on the terminal."""
    show_logs()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def is_terminal(stream: Any) -> bool:
    """Whether somebody sits there."""
    return bool(stream is not None and not stream.closed and stream.isatty())


def write(stream: IO[str], text: str) -> None:
    """Print a text. Whoever reads it may have gone (``| head``): then the command goes on without a reader."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        silence(stream)


def write_file(stream: IO[str], text: str) -> None:
    """Print a text in UTF-8 and with its own line ends, whatever the encoding of the stream is."""
    file = getattr(stream, "buffer", None)
    if file is None:
        write(stream, text)
        return
    try:
        stream.flush()
        file.write(text.encode("utf-8", "backslashreplace"))
        file.flush()
    except BrokenPipeError:
        silence(stream)


def silence(stream: IO[str]) -> None:
    """Lead what is still to be printed nowhere; Python would flush once more on its way out, and fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@define
class Output:
    """Where a command prints. With ``json``, standard output gets one JSON document, and people read the other one."""

    json: bool = False
    stdout: IO[str] = field(factory=lambda: sys.stdout)
    stderr: IO[str] = field(factory=lambda: sys.stderr)

    def say(self, text: object = "") -> None:
        """What the command is about."""
        write(self.stderr if self.json else self.stdout, safe(text) + "\n")

    def note(self, text: object) -> None:
        """What is to be known besides."""
        write(self.stderr, safe(text) + "\n")

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

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows for people."""
        stream = self.stderr if self.json else self.stdout
        write(stream, _table(columns, rows, stream))


def cell(value: object) -> str:
    """A value in a table; times to the minute, in UTC."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:g}"
    return inline(str(value))


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]], stream: IO[str]) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = is_terminal(stream)
    unicode = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").startswith("utf")
    table = Table(
        box=box.SIMPLE_HEAD if unicode else None, pad_edge=False, show_edge=False, header_style="bold"
    )
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(value)) for value in row))
    drawn = StringIO()
    console = Console(
        file=drawn,
        width=shutil.get_terminal_size().columns if terminal else NO_TERMINAL_WIDTH,
        force_terminal=terminal,
        no_color=True,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(table)
    lines = [line.rstrip() for line in drawn.getvalue().splitlines()]
    if not terminal:
        lines = [line[:LONGEST_RULE] if line and not line.strip("\u2500 ") else line for line in lines]
    return "\n".join(line for line in lines if line) + "\n"


def _plain(value: Any) -> Any:
    """Whatever JSON does not know."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
