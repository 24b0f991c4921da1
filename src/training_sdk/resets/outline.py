"""A plan without names: what is left in clear of one whose copy was sealed, or purged with its evidence."""

from __future__ import annotations

from typing import NoReturn

from attrs import frozen

from training_sdk._visible import visible
from training_sdk.errors import InvalidArgumentError
from training_sdk.models.progress import ProgressRow
from training_sdk.resets.plan import PlannedReset, ResetPlan, Scope


@frozen(repr=False)
class PlanOutline(ResetPlan):
    """The ids, states, dates and titles of a plan, for reports. Names are empty; it cannot be applied or resumed."""

    known_digest: str = ""
    known_phrase: str = ""
    known_scope: Scope = "users"

    @property
    def scope(self) -> Scope:
        """Whom the plan was for."""
        return self.known_scope

    @property
    def digest(self) -> str:
        """The digest of the whole plan."""
        return self.known_digest

    @property
    def phrase(self) -> str:
        """The phrase of the whole plan."""
        return self.known_phrase

    def document(self) -> NoReturn:
        """Raise InvalidArgumentError: the whole plan is not here."""
        raise InvalidArgumentError(refusal(self))

    def __str__(self) -> str:
        return visible(f"{self.phrase} (its names are sealed or purged)")


def refusal(plan: PlanOutline) -> str:
    """Why an outline cannot stand in for the plan, and what to do."""
    return (
        f"the copy of plan #{plan.short_digest} on this machine is sealed or purged, and what is left of it names "
        "nobody. Name the file of the plan or, if it is sealed, give the command that opens it: unseal_command in a "
        "profile"
    )


def stands_as_planned(planned: PlannedReset, row: ProgressRow, *, by_outline: bool) -> bool:
    """Whether a person's progress is as planned; by an outline, which has no more, only state and dates count."""
    now = PlannedReset.of(row)
    if not by_outline:
        return now.standing == planned.standing
    return (now.state, now.completed_at, now.opened_at) == (
        planned.state,
        planned.completed_at,
        planned.opened_at,
    )
