"""A reset as it would be: frozen, reviewable, and named by a phrase that fits no other plan."""

from __future__ import annotations

import hashlib
import json
import unicodedata
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

MOST_SHOWN = 10
JOINERS = "\u200c\u200d"
FORM = 1
"""The form of what is digested; a plan of another form has another digest."""

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
    opened_at: datetime | None = None
    completed_lessons: int = 0
    time_spent_seconds: float | None = None

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
            row.opened_at,
            row.completed_lessons,
            row.time_spent_seconds,
        )

    @property
    def standing(self) -> tuple[object, ...]:
        """What must not have moved between plan and reset; a new name or address is no reason to stop."""
        return (
            *(self.state, self.percent, self.completed_at, self.score),
            *(self.opened_at, self.completed_lessons, self.time_spent_seconds),
        )

    def __str__(self) -> str:
        done = f" on {self.completed_at:%Y-%m-%d}" if self.completed_at else f", {self.percent:g} %"
        score = f", score {self.score}" if self.score else ""
        return f"{shown(self.name) or self.user_id} <{self.email or 'no e-mail'}>: {self.state}{done}{score}"


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
        content = {"form": FORM, **attrs.asdict(self, value_serializer=_plain)}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @property
    def phrase(self) -> str:
        """What has to be typed to confirm this plan, such as ``reset "Forklift basics" for 37 users #a1b2c3``."""
        title = shown(self.course.title)[:LONGEST_TITLE]
        return f'reset "{title}" for {len(self.targets)} users #{self.digest[:DIGITS]}'

    def __str__(self) -> str:
        heading, reading, typing = self._frame()
        more = len(self.targets) - MOST_SHOWN
        people = [f"  - {user}" for user in self.targets[:MOST_SHOWN]]
        return "\n".join([heading, *people, *([f"  … and {more} more"] if more > 0 else []), reading, typing])

    def _frame(self) -> tuple[str, str, str]:
        counts = ", ".join(f"{number} {state}" for state, number in self.counts.items())
        whom = "everyone assigned whom this token sees" if self.scope == "everyone" else "the users named"
        title, origin = shown(self.course.title), self.origin
        server = f"{origin.base_url}{' (reference server)' if origin.reference_server else ''}"
        return (
            f"Plan to reset {title!r} ({self.course.status or 'status unknown'}, {self.course.id}) for {whom}: {counts}"
            f"{'; completed ones only' if self.only else ''}.",
            f"Read at {self.read_at:%Y-%m-%d %H:%M:%S} UTC ({LAG}) from {server}, "
            f"organisation {origin.organisation_id}.",
            f"It cannot be undone. To go on, type: {self.phrase}",
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(user.name)}</td><td>{escape(user.email or '')}</td><td>{escape(user.state)}</td>"
            f"<td>{user.percent:g} %</td><td>{user.completed_at or ''}</td></tr>"
            for user in self.targets
        )
        head = "<tr><th>name</th><th>e-mail</th><th>state</th><th>percent</th><th>completed</th></tr>"
        return f"<p>{'<br>'.join(map(escape, self._frame()))}</p><table>{head}{rows}</table>"


def _plain(_: Any, __: Any, value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def shown(text: str) -> str:
    """A text as it can be read and typed: on one line, white space collapsed, without what no terminal shows.

    Terminal escapes, invisible letters and marks that turn the reading direction around could make one course look
    like another, and nobody could type them. Joiners stay: they hold emoji and some scripts together.
    """
    return " ".join("".join(map(_visible, text)).split())


def _visible(letter: str) -> str:
    if letter in JOINERS:
        return letter
    kind = unicodedata.category(letter)
    return " " if kind in ("Cc", "Cs", "Zl", "Zp", "Zs") else "" if kind == "Cf" else letter
