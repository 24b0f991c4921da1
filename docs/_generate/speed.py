"""The figures of ``make bench``, from the results of its last whole run that were committed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from benchmarks import goals
from benchmarks.__main__ import RESULTS, RUN
from benchmarks.goals import Goal, quantity


def speed() -> str:
    """Return the table of results with the machine and the date of the run."""
    run, results = (
        json.loads(RUN.read_text(encoding="utf-8")),
        json.loads(RESULTS.read_text(encoding="utf-8")),
    )
    measured = {result["name"]: result for result in results}
    lines = [
        f"Measured on {run['date']}: {run['machine']}, {run['python']}, load average {run['load']} at the end, "
        f"in {run['seconds'] / 60:.0f} minutes.",
        "",
        "| Measured | Ours | Peer | Ratio | Goal | Met |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_line(goal, measured.get(name, {})) for name, goal in goals.read().items()]
    return "\n".join(lines)


def _line(goal: Goal, result: Mapping[str, Any]) -> str:
    peer, ratio = quantity(result.get("peer"), goal.unit), result.get("ratio")
    cells = (
        f"{goal.what} (`{goal.name}`)",
        quantity(result.get("ours"), goal.unit),
        f"{peer}, {goal.peer}" if goal.peer else peer,
        "–" if ratio is None else f"{ratio:.3g}×",
        goal.text,
        "not measured yet" if not result else "yes" if result["met"] else "**missed**",
    )
    return f"| {' | '.join(cells)} |"
