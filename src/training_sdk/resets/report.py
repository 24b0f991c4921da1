"""What became of everyone in a plan."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from attrs import frozen

from training_sdk.resets.plan import MOST_SHOWN, ResetPlan, shown


class Outcome(StrEnum):
    """The five ways in which a reset can end for one person; it always ends in exactly one."""

    RESET = "reset"
    NOTHING_TO_RESET = "nothing to reset"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"


@frozen
class UserOutcome:
    """How it ended for one person, and why where that is not plain."""

    user_id: str
    outcome: Outcome
    detail: str | None = None

    def __str__(self) -> str:
        return f"{self.outcome}, {self.detail}" if self.detail else str(self.outcome)


@frozen
class ResetReport:
    """The account of one reset: everyone in the plan, each with exactly one outcome.

    ``requests`` are the ids of the exchanges that carried it. Times are UTC, from this machine's clock.
    A reset that is reported was accepted by the server; on a live service the feed shows it up to 2 h later.
    """

    plan: ResetPlan
    applied_by: str
    users: tuple[UserOutcome, ...]
    requests: tuple[str, ...]
    started_at: datetime
    finished_at: datetime
    reason: str | None = None
    ticket: str | None = None

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """How many people ended how; the sum is the number of people in the plan."""
        return {outcome: sum(user.outcome is outcome for user in self.users) for outcome in Outcome}

    @property
    def reset_count(self) -> int:
        """For how many people the server says that it cleared progress."""
        return self.counts[Outcome.RESET]

    @property
    def is_complete(self) -> bool:
        """Whether nobody failed and nobody's fate is unknown, and nobody was left over by an early stop."""
        ended = {user.user_id: user.outcome for user in self.users}
        return all(ended[user.user_id] is Outcome.RESET for user in self.plan.targets)

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {outcome}" for outcome, number in self.counts.items() if number)
        names = {user.user_id: shown(user.name) or user.user_id for user in self.plan.users}
        # Whoever is not plainly reset comes first: that is what somebody has to look into.
        ordered = sorted(
            self.users, key=lambda user: user.outcome in (Outcome.RESET, Outcome.NOTHING_TO_RESET)
        )
        lines = [
            f"{shown(self.plan.course.title)!r}: {counts} (requests {', '.join(self.requests) or 'none'})"
        ]
        if self.reason or self.ticket:
            lines.append(f"  reason: {self.reason or '–'}, ticket: {self.ticket or '–'}")
        lines += [f"  - {names[user.user_id]}: {user}" for user in ordered[:MOST_SHOWN]]
        if len(ordered) > MOST_SHOWN:
            lines.append(f"  … and {len(ordered) - MOST_SHOWN} more")
        return "\n".join(lines)
