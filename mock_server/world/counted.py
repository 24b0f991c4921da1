"""What was counted over many records, kept until what it was counted from changes.

A list of figures is read page by page, and each page is a request of its own. Were everybody counted again for each,
a world of a million records would be gone through for every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from attrs import define, field

KEPT = 8
"""Questions whose figures are kept at once."""

_T = TypeVar("_T")


@define(eq=False)
class Counted:
    """Figures by question and by what they are of. Used under the world's lock."""

    _kept: dict[Hashable, dict[str, tuple[Hashable, Any]]] = field(factory=dict)

    def figures(self, question: Hashable, of: str, state: Hashable, count: Callable[[], _T]) -> _T:
        """Figures of a course or board by its id; counted anew unless ``state`` is what it was the last time."""
        mine = self._kept.pop(question, {})
        self._kept[question] = mine
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        if of not in mine or mine[of][0] != state:
            mine[of] = state, count()
        found: _T = mine[of][1]
        return found
