"""Output of a walkthrough: headings, tables, and checks that decide the exit code."""

from __future__ import annotations

import sys
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import TextIO

from attrs import define, field

from training_sdk._core.text import visible

WIDTH = 96
"""Columns of a line."""


@define
class Story:
    """Walkthrough on standard output that counts the facts that are wrong."""

    out: TextIO = field(factory=lambda: sys.stdout)
    chapter: int = 0
    checked: int = 0
    broken: list[str] = field(factory=list)
    _last: str = ""

    def heading(self, text: str) -> None:
        """Start a numbered chapter."""
        self.chapter += 1
        self._print("heading", f"{self.chapter}. {text}")

    def say(self, text: str) -> None:
        """Print one line of the walkthrough."""
        self._print("words", _wrapped(text))

    def check(self, fact: str, holds: bool, *, rule: str = "") -> None:
        """Check a fact that must hold, and name its rule; a wrong fact makes the whole run fail."""
        self.checked += 1
        if not holds:
            self.broken.append(fact)
        self._print("check", f"   {'ok  ' if holds else 'FAIL'} {fact}{f'  [{rule}]' if rule else ''}")

    def verdict(self) -> int:
        """Print the result and return the exit code: 0 only if every check passed."""
        if self.broken:
            self._print(
                "end", f"{len(self.broken)} of {self.checked} checks FAILED: {'; '.join(self.broken)}"
            )
            return 1
        self._print("end", f"All {self.checked} checks hold: every step went as the rules say.")
        return 0

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table; each column is as wide as its longest cell."""
        cells = [[str(cell) for cell in row] for row in [head, *rows]]
        widths = [max(_width(row[column]) for row in cells) for column in range(len(head))]
        lines = [
            "   "
            + "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
            for row in cells
        ]
        lines.insert(1, "   " + "  ".join("─" * width for width in widths))
        self._print("table", "\n".join(line.rstrip() for line in lines))

    def _print(self, kind: str, text: str) -> None:
        """Print a blank line if the kind of text changes, then the text."""
        if self._last not in ("", kind):
            print(file=self.out)
        print(visible(text), file=self.out)
        self._last = kind


def _wrapped(text: str) -> str:
    """Return the text in lines of at most ``WIDTH`` columns; a word such as an id or an address is never split."""
    wrap = textwrap.TextWrapper(
        WIDTH,
        initial_indent="   ",
        subsequent_indent="   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(wrap.fill(line) for line in text.split("\n"))


def _width(text: str) -> int:
    """Return the number of columns on a terminal: an emoji needs two, a combining mark none."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.category(letter) in ("Mn", "Me", "Cf") for letter in text)
