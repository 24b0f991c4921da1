"""Rows of the feed as JSON, kept because writing them takes longer than all the rest; a bounded number of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from attrs import define, field

if TYPE_CHECKING:
    from mock_server.world.progress import CourseProgress

MOST = 100_000
"""Rows kept at once, some 800 bytes each; then all are dropped, as a walk over a large world comes by none twice."""


@define(eq=False)
class Written:
    """What keeps the rows of all partitions within bounds. Used under the world's lock."""

    _count: int = 0
    _holders: WeakSet[CourseProgress] = field(factory=WeakSet)
    """Weakly: a view of the past is a partition of its own, and goes when nobody looks at it any more."""

    def keep(self, progress: CourseProgress, user_id: str, row: bytes) -> None:
        """Keep somebody's row in its partition."""
        if self._count >= MOST:
            for each in self._holders:
                each.fragments.clear()
            self._holders.clear()
            self._count = 0
        self._holders.add(progress)
        self._count += 1
        progress.fragments[user_id] = row
