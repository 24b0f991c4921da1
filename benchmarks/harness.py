"""Registry of the rows that ``make bench`` measures, and the clock that they share.

A row is a name and a function that returns samples of ours and of the peer, in the unit of its goal in ``goals.toml``:

    @row("fresh-world")
    def fresh_world(short: bool) -> Samples:
        ours, peer = interleave(world_and_client, canned_and_client, rounds=20 if short else 200)
        return Samples(ours, peer)

``short`` is true in the short version, which has about 90 seconds for all of its rows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from attrs import field, frozen

ROOT = Path(__file__).parents[1]
PEERS = os.environ.get("BENCH_PYTHON", sys.executable)
"""The interpreter of the environment of the peers."""
MODULES = ("client", "server", "world", "data", "evidence")
"""Modules of this package whose rows are measured."""


def _floats(values: Sequence[float] | float) -> tuple[float, ...]:
    return tuple(float(value) for value in ([values] if isinstance(values, int | float) else values))


@frozen
class Samples:
    """Samples of one row: seconds, bytes, calls a second or a count, as its goal says. A lone number is one sample."""

    ours: tuple[float, ...] = field(converter=_floats)
    peer: tuple[float, ...] = field(converter=_floats, default=())

    @property
    def medians(self) -> tuple[float, float | None]:
        """Median of ours, and of the peer if there is one."""
        return median(self.ours), median(self.peer) if self.peer else None


Measure = Callable[[bool], Samples]
_ROWS: dict[str, Measure] = {}


def row(name: str) -> Callable[[Measure], Measure]:
    """Register a function as the row of this name. ValueError if there is one already."""

    def register(measure: Measure) -> Measure:
        if name in _ROWS:
            raise ValueError(f"two rows are called {name}")
        _ROWS[name] = measure
        return measure

    return register


def rows() -> dict[str, Measure]:
    """Return all rows by name."""
    for module in MODULES:
        import_module(f"benchmarks.{module}")
    return dict(_ROWS)


def interleave(
    *works: Callable[[], object],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    warm: int = 3,
) -> list[list[float]]:
    """Return the seconds of each piece of work, taken in turns so that a busy machine slows all of them."""
    taken: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + warm):
        for work, times in zip(works, taken, strict=True):
            begun = clock()
            work()
            if turn >= warm:
                times.append(clock() - begun)
    return taken


def processes(*commands: Sequence[str], rounds: int, warm: int = 1) -> list[list[float]]:
    """Return the wall-clock seconds of each command, each a process from start to end, taken in turns.

    Modules are compiled before, as those of an installed package are.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def run(command: Sequence[str]) -> Callable[[], object]:
        return lambda: subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)  # noqa: S603

    return interleave(*(run(command) for command in commands), rounds=rounds, warm=warm)


def in_process(module: str, *arguments: str, without: Sequence[str] = ()) -> Any:
    """Run a module of this package in a process of its own and return the JSON that it prints.

    ``without`` names libraries that the process cannot import, as if they were not installed.
    """
    code = (
        "import runpy, sys\n"
        f"sys.modules.update(dict.fromkeys({list(without)!r}))\n"
        f"sys.argv[1:] = {list(arguments)!r}\n"
        f"runpy.run_module('benchmarks.{module}', run_name='__main__', alter_sys=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"benchmarks.{module} {' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


def most_resident(process: int | str = "self") -> int:
    """Return the most memory that a process has held so far, in bytes; 0 if it has just ended.

    Raises RuntimeError for another process elsewhere than on Linux.
    """
    import resource

    # What getrusage counts begins with the memory of the process that started it.
    status = Path(f"/proc/{process}/status")
    if status.exists():
        held = status.read_text(encoding="ascii").partition("VmHWM:")[2].split()
        return int(held[0]) * 1024 if held else 0
    if process != "self":
        raise RuntimeError("the memory of another process is known on Linux only")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
