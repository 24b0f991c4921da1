"""A reset as it would be: frozen, reviewable, and named by a phrase that fits no other plan."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Any, Literal

import attrs
from attrs import frozen

from training_sdk.models.progress import ProgressRow, ProgressState

LONGEST_TITLE = 80
DIGITS = 6
LAG = "and up to 2 h older on a live service"

# Terminal escapes, what no terminal can show, and marks that turn the reading direction around could make one
# course look like another.
_INVISIBLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")

Scope = Literal["users", "everyone"]
Only = Literal["completed"]


@frozen
class Origin:
    """Where a plan was made: server, organisation, whose token, and whether it was the reference server."""

    base_url: str
    organisation_id: str
    user_id: str
    reference_server: bool


@frozen
class PlannedCourse:
    """The course of a plan, as it was called when the plan was made."""

    id: str
    title: str
    external_id: str | None = None
    status: str | None = None


@frozen
class PlannedReset:
    """One person in a plan and how they stood. ``percent`` is 0–100; ``completed_at`` is what will be lost."""

    user_id: str
    name: str
    email: str | None
    state: ProgressState
    percent: float
    completed_at: datetime | None
    score: int | None

    @classmethod
    def of(cls, row: ProgressRow) -> PlannedReset:
        """From a row of the progress feed."""
        return cls(
            row.user_id,
            row.user_name,
            row.user_email,
            row.state,
            row.progress_percent,
            row.completed_at,
            row.score,
        )

    @property
    def standing(self) -> tuple[object, ...]:
        """What must not have moved between plan and reset; a new name or address is no reason to stop."""
        return (self.state, self.percent, self.completed_at, self.score)


@frozen
class ResetPlan:
    """Who would lose what in which course; made by ``client.resets.plan`` and ``plan_everyone``, read-only.

    ``users`` holds everyone in scope; ``targets`` those whose progress would be cleared.
    """

    course: PlannedCourse
    scope: Scope
    only: Only | None
    users: tuple[PlannedReset, ...]
    read_at: datetime
    origin: Origin

    @property
    def targets(self) -> tuple[PlannedReset, ...]:
        """The people whose progress would be cleared: those with recorded progress that ``only`` leaves in."""
        if self.only == "completed":
            return tuple(user for user in self.users if user.state is ProgressState.COMPLETED)
        return tuple(user for user in self.users if user.state is not ProgressState.NOT_STARTED)

    @property
    def counts(self) -> Mapping[ProgressState, int]:
        """How many people in scope stand where, those who would not be reset included."""
        return {state: sum(user.state is state for user in self.users) for state in ProgressState}

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of everything in the plan. Change anything and it is another plan."""
        content = attrs.asdict(self, value_serializer=_plain)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @property
    def phrase(self) -> str:
        """What has to be typed to confirm this plan, such as ``reset "Forklift basics" for 37 users #a1b2c3``."""
        title = " ".join(_INVISIBLE.sub(" ", self.course.title).split())[:LONGEST_TITLE]
        return f'reset "{title}" for {len(self.targets)} users #{self.digest[:DIGITS]}'

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {state}" for state, number in self.counts.items())
        whom = "everyone assigned" if self.scope == "everyone" else "the users named"
        return (
            f"Plan to reset {self.course.title!r} for {whom}: {counts}"
            f"{'; completed ones only' if self.only else ''}.\n"
            f"Read at {self.read_at:%Y-%m-%d %H:%M:%S} UTC ({LAG}) from {self.origin.base_url}"
            f"{' (reference server)' if self.origin.reference_server else ''}.\n"
            f"It cannot be undone. To go on, type: {self.phrase}"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(user.name)}</td><td>{escape(user.email or '')}</td><td>{escape(user.state)}</td>"
            f"<td>{user.percent:g} %</td><td>{user.completed_at or ''}</td></tr>"
            for user in self.targets
        )
        head = "<tr><th>name</th><th>e-mail</th><th>state</th><th>percent</th><th>completed</th></tr>"
        return f"<p>{escape(str(self))}</p><table>{head}{rows}</table>"


def _plain(_: Any, __: Any, value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
