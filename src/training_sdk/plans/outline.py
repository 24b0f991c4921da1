"""A plan without names: what is left in clear of one whose copy was sealed, or purged with its evidence."""

from __future__ import annotations

from typing import NoReturn

from attrs import frozen

from training_sdk._core.printable import visible
from training_sdk.errors import InvalidArgumentError
from training_sdk.plans.plan import ResetPlan, Scope

OLD_FIELDS = ("state", "completed_at", "opened_at")
"""How somebody stood, in an outline of an earlier version."""
FIELDS = (*OLD_FIELDS, "percent", "completed_lessons")
"""The same in an outline made today."""


@frozen(repr=False)
class PlanOutline(ResetPlan):
    """The ids, states, dates and titles of a plan, for reports. Names are empty; it cannot be applied or resumed.

    ``known_fields`` are those that say how somebody stood; the others are not in it.
    """

    known_digest: str = ""
    known_phrase: str = ""
    known_scope: Scope = "users"
    known_fields: tuple[str, ...] = OLD_FIELDS

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

    def listing(self, page: int) -> str:
        """The text of ``str``: there are no names to list."""
        return str(self)

    def __str__(self) -> str:
        return visible(f"{self.phrase} (its names are sealed or purged)")


def refusal(plan: PlanOutline) -> str:
    """Why an outline cannot stand in for the plan, and what to do."""
    return (
        f"the copy of plan #{plan.short_digest} on this machine is sealed or purged, and what is left of it names "
        "nobody. Name the file of the plan or, if it is sealed, give the command that opens it: unseal_command in a "
        "profile"
    )
