"""Who is due, as a value: everyone who needs looking at, in exactly one list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum

from attrs import frozen

from training_sdk._core.model import Key
from training_sdk._core.text import inline, visible
from training_sdk.api.progress import ProgressRow
from training_sdk.recertification.people import Held


class Standing(StrEnum):
    """The list that a person is in."""

    DUE = "due"
    IN_GRACE = "in grace"
    WARNED = "warned"
    HELD = "held"
    UNCLEAR = "unclear"
    LAPSED = "lapsed"
    """Reset or expired, and not complete since."""
    ALREADY_RESET = "already reset"
    """Reset on the day of the run or the day before, by the records given; the feed still shows the old completion."""


@frozen
class DueCase:
    """One person in one course who is listed. Days are civil days in the zone of the run.

    ``due_on`` is the day on which the completion has to be renewed and ``reset_from`` the first day, after the grace
    period, on which they are to be reset; both None where that is unclear, and for people who have lapsed. ``why`` says
    what it follows from. ``lapsed_since`` is the first day without a valid completion, as far as the feed and the
    records given show it, and ``lapsed_days`` the number of days from then to the day of the run. Both are None for
    people whose completion is valid, and where the day is not known.
    """

    course_id: str
    user_id: str
    name: str
    email: str | None
    course_title: str | None
    completed_at: datetime | None
    standing: Standing
    due_on: date | None
    reset_from: date | None
    why: str
    lapsed_since: date | None = None
    lapsed_days: int | None = None

    @classmethod
    def of(
        cls,
        row: ProgressRow,
        standing: Standing,
        why: str,
        due_on: date | None = None,
        reset_from: date | None = None,
        lapsed_since: date | None = None,
        lapsed_days: int | None = None,
    ) -> DueCase:
        """From a row of the progress feed."""
        return cls(
            row.course_id,
            row.user_id,
            row.user_name,
            row.user_email,
            row.course_title,
            row.completed_at,
            standing,
            due_on,
            reset_from,
            why,
            lapsed_since,
            lapsed_days,
        )

    @property
    def key(self) -> Key:
        """Course and user."""
        return self.course_id, self.user_id

    def __str__(self) -> str:
        person = f"{self.name or self.user_id}{f' <{self.email}>' if self.email else ''}"
        return inline(f"{person}, {self.course_title or self.course_id!r}: {self.why}")


@frozen
class Due:
    """What ``who_is_due`` found on a day. Nobody has been reset, warned or written to.

    Every row given is in exactly one of the lists, or counted in ``not_due``: people with a valid completion, and
    people who have never completed, as far as the feed and the records given show. ``lapsed`` are people who were reset
    or whose completion has expired, and who have not completed since. ``already_reset`` are people who were reset
    on the day of the run or the day before, while the feed still shows the completion from before. Lists are in order
    of the due day (``lapsed``: of the first day without a valid completion), then of course and user. ``held_nobody``
    are the entries of the hold list that name nobody in the rows: somebody in another course, or a slip.
    """

    on: date
    zone: str
    rule: str
    due: tuple[DueCase, ...]
    in_grace: tuple[DueCase, ...]
    warned: tuple[DueCase, ...]
    held: tuple[DueCase, ...]
    unclear: tuple[DueCase, ...]
    not_due: int
    held_nobody: tuple[Held, ...] = ()
    lapsed: tuple[DueCase, ...] = ()
    already_reset: tuple[DueCase, ...] = ()

    @property
    def by_course(self) -> Mapping[str, tuple[str, ...]]:
        """The user ids to reset now, by course id: what a plan is made of. Empty if nobody is due."""
        users: dict[str, dict[str, None]] = {}
        for case in self.due:
            users.setdefault(case.course_id, {})[case.user_id] = None
        return {course_id: tuple(of_course) for course_id, of_course in users.items()}

    @property
    def listed(self) -> Mapping[Standing, tuple[DueCase, ...]]:
        """The lists by name."""
        lists = (
            *(self.due, self.in_grace, self.warned, self.held, self.unclear),
            *(self.lapsed, self.already_reset),
        )
        return dict(zip(Standing, lists, strict=True))

    def __str__(self) -> str:
        return visible("\n".join(self._lines()))

    def _lines(self) -> Iterator[str]:
        counts = ", ".join(f"{len(cases)} {standing}" for standing, cases in self.listed.items())
        yield f"Recertification {self.rule}, on {self.on} ({self.zone}): {counts}, {self.not_due} not due."
        for standing, cases in self.listed.items():
            if cases:
                yield f"{_HEADINGS[standing].format(on=self.on)}:"
                yield from (f"  - {case}" for case in cases)
        if self.held_nobody:
            yield f"On the hold list, but in none of the rows: {', '.join(map(str, self.held_nobody))}"


_HEADINGS = {
    Standing.DUE: "Due on {on}, to be reset",
    Standing.IN_GRACE: "Due, but still in the grace period",
    Standing.WARNED: "Soon due, to be warned",
    Standing.HELD: "On the hold list, not to be reset",
    Standing.UNCLEAR: "Unclear, for somebody to look at",
    Standing.LAPSED: "Lapsed: reset or expired, and not complete since. They have no valid completion until they train",
    Standing.ALREADY_RESET: "Reset already by the records on hand, while the feed still shows the old completion. Look "
    "again once it has caught up (2 h on a live service)",
}
