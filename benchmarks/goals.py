"""Goals of the rows, read from ``goals.toml``, which a run never writes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from attrs import frozen

GOALS = Path(__file__).with_name("goals.toml")
UNITS = ("s", "B", "/s", "")
"""Seconds, bytes, calls a second, a plain number."""
_SCALES = {
    "s": ((1, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "B": ((1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")),
    "/s": ((1000, "k/s"), (1, "/s")),
    "": ((1, ""),),
}


@frozen
class Bound:
    """A value that must be at most, or at least, so much."""

    at_most: bool
    value: float

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Read ``"<= 0.87"`` or ``">= 20"``."""
        sign, _, value = text.partition(" ")
        if sign not in ("<=", ">="):
            raise ValueError(f"a bound begins with <= or >=, not {text!r}")
        return cls(sign == "<=", float(value))

    def holds(self, value: float) -> bool:
        """Whether the value is within the bound."""
        return value <= self.value if self.at_most else value >= self.value

    def widened(self, margin: float) -> Bound:
        """Return the bound of a value that may be ``margin`` times as bad."""
        return Bound(self.at_most, self.value * margin if self.at_most else self.value / margin)


@frozen
class Goal:
    """What one row measures, beside which peer, and its goal."""

    name: str
    what: str
    peer: str
    unit: str
    of_ratio: bool
    bound: Bound
    short: bool
    limit: Bound
    """Bound of the short version, wider than the goal."""

    @property
    def text(self) -> str:
        """The goal as it is printed."""
        return self.spell(self.bound)

    def spell(self, bound: Bound) -> str:
        """Return a bound of this row as text."""
        value = f"{bound.value:g}×" if self.of_ratio else quantity(bound.value, self.unit)
        return f"{'≤' if bound.at_most else '≥'} {value}"

    def holds(self, ours: float, ratio: float | None, bound: Bound) -> bool:
        """Whether figures are within a bound of this row."""
        value = ratio if self.of_ratio else ours
        return value is not None and bound.holds(value)


def read(path: Path = GOALS) -> dict[str, Goal]:
    """Return the goals by the names of their rows, in the order of the file. ValueError names what is wrong."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    margin = float(document.pop("margin"))
    return {name: _goal(name, dict(entry), margin) for name, entry in document.items()}


def _goal(name: str, entry: dict[str, Any], margin: float) -> Goal:
    of_ratio, bounds = "ratio" in entry, [entry.pop(key) for key in ("ratio", "ours") if key in entry]
    if len(bounds) != 1:
        raise ValueError(f"{name}: a goal bounds either the ratio or ours")
    bound = Bound.parse(bounds[0])
    limit = entry.pop("limit", None)
    goal = Goal(
        name=name,
        what=entry.pop("what"),
        peer=entry.pop("peer", ""),
        unit=entry.pop("unit"),
        of_ratio=of_ratio,
        bound=bound,
        short=entry.pop("short", False),
        limit=bound.widened(margin) if limit is None else Bound.parse(limit),
    )
    if entry or goal.unit not in UNITS:
        raise ValueError(f"{name}: unknown {', '.join(entry) or 'unit ' + goal.unit}")
    if goal.limit.at_most != bound.at_most or not goal.limit.holds(bound.value):
        raise ValueError(f"{name}: the limit of the short version is narrower than the goal")
    return goal


def quantity(value: float | None, unit: str) -> str:
    """Return a value with three digits and the unit that fits it, such as ``8.12 ms``."""
    if value is None:
        return "–"
    factor, name = next((scale for scale in _SCALES[unit] if abs(value) >= scale[0]), _SCALES[unit][-1])
    scaled = value / factor
    digits = f"{scaled:,.0f}" if abs(scaled) >= 100 else f"{scaled:.3g}"
    return f"{digits} {name}".rstrip()
