"""Measure, print one table and write the results: ``python -m benchmarks [--short] [ROW …]``.

Without arguments every row is measured, and ``results.json`` and ``run.json`` are written. With ``--short`` only the
rows that are marked so are measured, with fewer rounds; it fails if one is beyond its limit, which is wider than the
goal. With names only these rows are measured. Neither of the last two writes anything.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from benchmarks import goals as goal_table
from benchmarks.goals import Goal, quantity
from benchmarks.harness import Measure, rows

RESULTS = Path(__file__).with_name("results.json")
RUN = Path(__file__).with_name("run.json")
"""Machine and date of the run that wrote the results."""


@frozen
class Result:
    """One row as it was measured; ``ours`` is None if the measuring failed."""

    name: str
    ours: float | None
    peer: float | None
    ratio: float | None
    goal: str
    met: bool


def unmatched(measures: Mapping[str, Measure], goals: Mapping[str, Goal]) -> str:
    """Return what is wrong if a row has no goal, or a goal no row; otherwise an empty text."""
    without = [f"{name} has no goal" for name in measures if name not in goals]
    return "; ".join([*without, *(f"the goal {name} has no row" for name in goals if name not in measures)])


def measured(goal: Goal, measure: Measure, *, short: bool) -> Result:
    """Measure one row. A failure is told on stderr, and the row is not met."""
    try:
        ours, peer = measure(short).medians
    except Exception as error:
        print(f"{goal.name} could not be measured: {error!r}"[:1000], file=sys.stderr)
        return Result(goal.name, None, None, None, goal.text, met=False)
    ratio = ours / peer if peer else None
    return Result(goal.name, ours, peer, ratio, goal.text, goal.holds(ours, ratio, goal.bound))


def beyond(result: Result, goal: Goal) -> bool:
    """Whether the short version fails because of this row."""
    return result.ours is None or not goal.holds(result.ours, result.ratio, goal.limit)


def line(name: str, ours: str, peer: str, ratio: str, goal: str, met: str) -> str:
    """Return one line of the table, of at most 80 columns."""
    return f"{name:<32} {ours:>9} {peer:>9} {ratio:>7} {goal:>11} {met:>6}"


def text(result: Result, unit: str) -> str:
    """Return a result as a line of the table."""
    ratio = "–" if result.ratio is None else f"{result.ratio:.3g}×"
    met = "failed" if result.ours is None else "yes" if result.met else "MISSED"
    return line(
        result.name, quantity(result.ours, unit), quantity(result.peer, unit), ratio, result.goal, met
    )


def machine(seconds: float) -> dict[str, Any]:
    """Return on what, when and for how long was measured."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": round(os.getloadavg()[0], 1),
        "seconds": round(seconds),
    }


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the arguments of the command."""
    parser = argparse.ArgumentParser("python -m benchmarks", description="Measure ours beside the peers.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="measure these rows only, and write nothing")
    parser.add_argument("--short", action="store_true", help="rows marked short; fail beyond their limits")
    parser.add_argument("--goals", type=Path, default=goal_table.GOALS, help="another table of goals")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None, measures: Mapping[str, Measure] | None = None) -> int:
    """Measure, print and write. Return 0, or 1 if a row failed or, in the short version, is beyond its limit."""
    given, began = parse(arguments), time.monotonic()
    goals, measures = goal_table.read(given.goals), rows() if measures is None else measures
    if wrong := unmatched(measures, goals):
        print(wrong, file=sys.stderr)
        return 2
    if unknown := [name for name in given.rows if name not in goals]:
        print(f"No row is called {', '.join(unknown)}. There are: {', '.join(goals)}.", file=sys.stderr)
        return 2
    chosen = given.rows or [name for name, goal in goals.items() if goal.short or not given.short]
    print(line("name", "ours", "peer", "ratio", "goal", "met"), flush=True)
    results = []
    for name in chosen:
        result = measured(goals[name], measures[name], short=given.short)
        results.append(result)
        print(text(result, goals[name].unit), flush=True)
        if not given.short and not given.rows and given.goals == goal_table.GOALS:
            _write(results, time.monotonic() - began)
    seconds = time.monotonic() - began
    print(f"{sum(result.met for result in results)} of {len(results)} goals are met, in {seconds:.0f} s.")
    if given.short:
        return _judge(results, goals)
    return int(any(result.ours is None for result in results))


def _write(results: list[Result], seconds: float) -> None:
    """Write the rows that have been measured; a run that is stopped leaves these, and the page says what is missing."""
    RESULTS.write_text(
        json.dumps([asdict(result) for result in results], indent=1, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )
    RUN.write_text(json.dumps(machine(seconds), indent=1) + "\n", encoding="utf-8")


def _judge(results: list[Result], goals: Mapping[str, Goal]) -> int:
    worse = [result for result in results if beyond(result, goals[result.name])]
    for result in worse:
        goal = goals[result.name]
        print(f"{result.name} is beyond its limit of {goal.spell(goal.limit)}.", file=sys.stderr)
    return int(bool(worse))


if __name__ == "__main__":
    sys.exit(main())
