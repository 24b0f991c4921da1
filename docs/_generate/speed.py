"""The figures of ``make bench``, from the results of its last whole run that were committed."""

from __future__ import annotations

import json

from benchmarks import goals
from benchmarks.__main__ import RESULTS, RUN
from benchmarks.goals import quantity


def speed() -> str:
    """Return the table of results with the machine and the date of the run."""
    run, table = json.loads(RUN.read_text(encoding="utf-8")), goals.read()
    lines = [
        f"Measured on {run['date']}: {run['machine']}, {run['python']}, load average {run['load']} at the end, "
        f"in {run['seconds'] / 60:.0f} minutes.",
        "",
        "| Measured | Ours | Peer | Ratio | Goal | Met |",
        "|---|---|---|---|---|---|",
    ]
    for result in json.loads(RESULTS.read_text(encoding="utf-8")):
        goal, ratio = table[result["name"]], result["ratio"]
        cells = (
            f"{goal.what} (`{goal.name}`)",
            quantity(result["ours"], goal.unit),
            f"{quantity(result['peer'], goal.unit)}, {goal.peer}" if goal.peer else "–",
            "–" if ratio is None else f"{ratio:.3g}×",
            result["goal"],
            "yes" if result["met"] else "**missed**",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
