"""Telling a run to a person: headings, tables, and checks that decide how it ends."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from typing import TextIO

from attrs import define, field


@define
class Story:
    """Prints what happens and counts what is not as it should be."""

    out: TextIO = field(factory=lambda: sys.stdout)
    chapter: int = 0
    checked: int = 0
    broken: list[str] = field(factory=list)

    def heading(self, text: str) -> None:
        """Begin a numbered chapter."""
        self.chapter += 1
        print(f"\n{self.chapter}. {text}\n", file=self.out)

    def say(self, text: str) -> None:
        """One line of the story."""
        print(f"   {text}", file=self.out)

    def check(self, fact: str, holds: bool, *, rule: str = "") -> None:
        """A fact that must hold, with the rule it follows from; a broken one fails the whole run."""
        self.checked += 1
        if not holds:
            self.broken.append(fact)
        print(f"   {'ok  ' if holds else 'FAIL'} {fact}{f'  [{rule}]' if rule else ''}", file=self.out)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table; columns as wide as what stands in them."""
        cells = [[str(cell) for cell in row] for row in [head, *rows]]
        widths = [max(_width(row[column]) for row in cells) for column in range(len(head))]
        for number, row in enumerate(cells):
            padded = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
            print("   " + "  ".join(padded).rstrip(), file=self.out)
            if number == 0:
                print("   " + "  ".join("─" * width for width in widths), file=self.out)
        print(file=self.out)


def _width(text: str) -> int:
    """Columns on a terminal: an emoji takes two, a combining mark none."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.category(letter) in ("Mn", "Me", "Cf") for letter in text)
