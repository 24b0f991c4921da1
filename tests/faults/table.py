"""The table of faults in ``results.md``: what the tests saw is what it says."""

from __future__ import annotations

from pathlib import Path

from faults.ground import Colour, Ground, Kind
from faults.live_rows import LIVE
from faults.rows import ROWS, Said

PAGE = Path(__file__).with_name("results.md")
HEAD = "| fault | on the reference server | on a live service |"
COLUMN: dict[Kind, int] = {"reference": 1, "live": 2}


COLOURS: tuple[Colour, ...] = ("sync", "async")
CASES: list[tuple[str, Kind, Colour]] = [
    *((name, kind, colour) for colour in COLOURS for name in ROWS if name not in LIVE for kind in COLUMN),
    *((name, "live", COLOURS[number % 2]) for number, name in enumerate(ROWS) if name in LIVE),
]
"""Every cell that is no dash; those of the live service alone by one client each, in turn."""


def observed(ground: Ground, said: list[Said]) -> str:
    """One cell: how each start of the script ended, and what became of the targets in the end."""
    counts = ground.check(said[-1])
    ended = [end for each in said if (end := _end(each))]
    tally = ", ".join(f"{counts[outcome]} {outcome}" for outcome in sorted(counts))
    return " → ".join([*ended, tally or "nothing was sent"])


def _end(said: Said) -> str:
    if said["exit"]:
        return "killed"
    return f"`{said['error']}`" if "error" in said else ""


def what(name: str) -> str:
    """The first cell of a row."""
    return " ".join((ROWS[name].__doc__ or "").split())


def lines() -> list[list[str]]:
    """The rows of the table as they stand on the page, as cells."""
    text = PAGE.read_text("utf-8")
    table = text.partition(HEAD)[2].partition("\n\n")[0].strip().splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def cell(name: str, kind: Kind) -> str:
    """What the page says of a fault."""
    found = [cells for cells in lines() if cells[0] == what(name)]
    return found[0][COLUMN[kind]] if found else "no row"


def write(name: str, kind: Kind, text: str) -> None:
    """Put a cell on the page, and the row if it is missing."""
    table = {cells[0]: cells for cells in lines()}
    table.setdefault(what(name), [what(name), "–", "–"])[COLUMN[kind]] = text
    ordered = [table[what(each)] for each in ROWS if what(each) in table]
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(HEAD)
    after = rest.partition("\n\n")[2]
    rows = "\n".join(f"| {' | '.join(cells)} |" for cells in ordered)
    PAGE.write_text(f"{before}{HEAD}\n|---|---|---|\n{rows}\n\n{after}", "utf-8")
