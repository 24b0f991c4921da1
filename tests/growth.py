"""Whether something takes time in proportion to the length of what it is given, by its own measure on this machine."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

LENGTHS = (60, 600, 6_000, 60_000)
"""From short to long, so that what grows with a power is found out before it takes hours."""

_TRIES = 7
# Ten times the length takes ten times as long in proportion, and a hundred times with the square.
_MOST = 40.0


def assert_proportionate(act: Callable[[int], object]) -> None:
    """Let it act on each length: ten times as much may take a few times ten times as long."""
    for shorter, longer in itertools.pairwise(LENGTHS):
        before, after = _seconds(act, shorter), _seconds(act, longer)
        assert after < _MOST * before, f"{shorter}: {before:.6f} s, {longer}: {after:.6f} s"


def _seconds(act: Callable[[int], object], length: int) -> float:
    """The least of several tries, in this thread's own time: others on the machine do not count."""

    def once() -> float:
        start = time.thread_time()
        act(length)
        return time.thread_time() - start

    return min(once() for _ in range(_TRIES))
