"""What the checks found, for people as a table and for programs as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator

import attrs

from training_sdk._core.printable import inline
from training_sdk.testing.contract.outcome import (
    BROKEN,
    HOLDS,
    KIT_FAILED,
    NOT_CHECKED,
    Finding,
    Report,
)

NARROWEST, WIDEST = 60, 160
LONGEST = 400
_RULE, _RESULT, _GAP = 4, 11, 2


def as_table(report: Report, width: int = 100) -> str:
    """One row per check: rule, says, result, what was seen; and how it ended."""
    width = min(max(width, NARROWEST), WIDEST)
    rest = width - _RULE - _RESULT - 3 * _GAP
    says = rest * 2 // 5
    widths = (_RULE, says, _RESULT, rest - says)
    lines = [*_row(("rule", "says", "result", "what was seen"), widths), " ".join(["─" * width])]
    for each in report.findings:
        told = f"{each.says} ({each.provenance})"
        lines += _row((each.rule, told, each.result, _seen(each)), widths)
    endings = [textwrap.fill(_cut(each), width) for each in _verdict(report)]
    return "\n".join([*lines, "", *endings])


def _seen(finding: Finding) -> str:
    if finding.result == BROKEN:
        told = (("sent", finding.sent), ("expected", finding.expected), ("came", finding.came))
        return "\n".join(f"{what} {_cut(text)}" for what, text in told)
    return _cut(finding.seen)


def _cut(text: str) -> str:
    """Of bounded length and without terminal escapes: a server may have said it."""
    plain = inline(text)
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}…"


def _row(cells: tuple[str, str, str, str], widths: tuple[int, int, int, int]) -> Iterator[str]:
    columns = [
        [piece for line in cell.splitlines() or [""] for piece in textwrap.wrap(line, width) or [""]]
        for cell, width in zip(cells, widths, strict=True)
    ]
    for number in range(max(map(len, columns))):
        pieces = (column[number] if number < len(column) else "" for column in columns)
        padded = (piece.ljust(width) for piece, width in zip(pieces, widths, strict=True))
        yield (" " * _GAP).join(padded).rstrip()


def _verdict(report: Report) -> Iterator[str]:
    """How it ended, each in a paragraph: the findings, which world was tested, and what did not end well."""
    results = [
        f"{report.count(HOLDS)} hold",
        *(f"{report.count(each)} {each}" for each in (BROKEN, NOT_CHECKED)),
    ]
    if report.count(KIT_FAILED):
        results.append(f"in {report.count(KIT_FAILED)} the kit failed")
    none = "Nothing is broken" if report.count(HOLDS) else "Nothing was checked"
    ended = f"Broken: {', '.join(report.broken)}" if report.broken else none
    yield f"{ended}. {len(report.findings)} checks at {report.base_url} – {', '.join(results)}."
    if report.world:
        yield f"Tested: {report.world}."
    if report.stopped:
        yield f"Stopped: {report.stopped}."
    yield from report.left


def as_json(report: Report) -> str:
    """The same as one JSON document, in ASCII, so that whatever a server has said can be printed anywhere."""
    told = {
        "base_url": report.base_url,
        "world": report.world,
        "broken": list(report.broken),
        "stopped": report.stopped,
        "left_behind": list(report.left),
        "exit_code": int(report.exit_code),
        "findings": [attrs.asdict(each) for each in report.findings],
    }
    return json.dumps(told, indent=1)
