"""A comparison for people and for programs."""

from __future__ import annotations

import json

import attrs

from mock_server.compare.comparison import Comparison, Grade
from mock_server.terminal_text import inline

_WORST_FIRST = (Grade.ERROR, Grade.WARNING, Grade.NOTE)


def as_table(comparison: Comparison) -> str:
    """One line for each difference, the worst first, and a line that counts them."""
    found = sorted(comparison.findings, key=lambda each: _WORST_FIRST.index(each.grade))
    lines = [
        tuple(map(inline, (each.grade.value, each.operation, each.place or "(whole answer)", each.said)))
        for each in found
    ]
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(3)]
    rows = [
        "  ".join((*(f"{cell:{w}}" for cell, w in zip(line, widths, strict=False)), line[3]))
        for line in lines
    ]
    counts = {grade: sum(each.grade is grade for each in found) for grade in _WORST_FIRST}
    said = ", ".join(f"{count} {grade}{'' if count == 1 else 's'}" for grade, count in counts.items())
    return "\n".join((*rows, f"{len(comparison.asked)} operations asked: {said}"))


def as_json(comparison: Comparison) -> str:
    """``{"asked": [...], "findings": [{"grade", "operation", "place", "said"}]}``."""
    return json.dumps(attrs.asdict(comparison), indent=1)
