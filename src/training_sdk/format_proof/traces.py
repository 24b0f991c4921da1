"""The traces that a reset leaves in a person's row at one service, as its proof saw them; these are ignored there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Attribute, evolve, field, frozen

from training_sdk.api.progress import ProgressRow
from training_sdk.plans.planned import PlannedReset

NAMES: Mapping[str, str] = {
    "score": "the score",
    "time_spent_seconds": "the time spent",
    "opened_at": "the opening date",
}
"""The fields of a row that a service may keep, in words; without completion, lessons and percent nothing is a reset."""


def _known(_: object, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    if strange := [name for name in value if name not in NAMES]:
        raise ValueError(f"{attribute.name}: no reset may leave {', '.join(map(repr, strange))}")


@frozen
class Traces:
    """The parts of a row that a service keeps after a reset: ``fields``, or no row where nothing is recorded."""

    fields: tuple[str, ...] = field(default=(), validator=_known)
    row_vanishes: bool = False

    def without(self, row: ProgressRow) -> ProgressRow:
        """Return a row without the parts that a reset leaves."""
        return evolve(row, **self._gone) if self.fields else row

    def plan(self, row: ProgressRow) -> PlannedReset:
        """Return a person's progress without the parts that a reset leaves."""
        return PlannedReset.of(self.without(row))

    def standing(self, planned: PlannedReset) -> tuple[object, ...]:
        """Return the same for a person in a plan, which may have been made before this was known."""
        return (evolve(planned, **self._gone) if self.fields else planned).standing

    @property
    def _gone(self) -> dict[str, Any]:
        return dict.fromkeys(self.fields)

    def joined(self, other: Traces) -> Traces:
        """Return the traces of both."""
        names = {*self.fields, *other.fields}
        return Traces(tuple(name for name in NAMES if name in names), self.row_vanishes or other.row_vanishes)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for plan and verification about the parts that are ignored."""
        kept = " and ".join(NAMES[name] for name in self.fields)
        return (
            *(
                (f"this service keeps {kept} after a reset, as the proof saw: not looked at here",)
                if kept
                else ()
            ),
            *((VANISHED,) if self.row_vanishes else ()),
        )


NO_TRACES = Traces()
VANISHED = (
    "this service has no row of somebody with nothing recorded, as the proof saw: who was sent and has no row "
    "counts as reset, if the statistics fit"
)
