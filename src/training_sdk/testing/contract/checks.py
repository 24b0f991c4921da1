"""A check: one question to an implementation, and its result."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from attrs import evolve, field, frozen

from training_sdk._core.text import sentence
from training_sdk.errors import ReadOnlyError
from training_sdk.testing.contract.findings import (
    BROKEN,
    HOLDS,
    KIT_FAILED,
    NOT_CHECKED,
    BrokenRuleError,
    CannotRunError,
    CheckResult,
    NotCheckedError,
    Result,
)
from training_sdk.testing.contract.wire import MOST_SHOWN, MissingFieldError
from training_sdk.testing.contract.world import World

Provenance = Literal["article", "reference", "decided", "article, decided", "reference, decided"]
Body = Callable[[World], None]


@frozen
class Check:
    """One question to an implementation."""

    rule: str
    name: str
    says: str
    """The part of the rule that this check tests."""
    provenance: Provenance
    """The vendor's help article, its API reference, or decided by this project because both are silent."""
    body: Body
    reads_only: bool = False
    """True if it changes nothing, so that it may be sent to a live service."""
    uses_up_learners: bool = False
    """True if no learner has progress afterwards if the implementation breaks the rule."""
    policy: Mapping[str, str] = field(factory=dict)
    """Policies that the organisation of this check needs; only organisations made by the contract tests have them."""

    def made(self, world: World) -> CheckResult:
        """Make the check and return its result.

        CannotRunError and ReadOnlyError mean that no other check can be made.
        """
        world.last = world.noted = ""
        told, masked = self._ended(world), world.wire.masked
        return evolve(
            told,
            seen=masked(told.seen),
            sent=masked(told.sent),
            expected=masked(told.expected),
            came=masked(told.came),
        )

    def _ended(self, world: World) -> CheckResult:
        try:
            self.body(world)
        except BrokenRuleError as fault:
            return self.broken(fault)
        except NotCheckedError as reason:
            return self.ended(NOT_CHECKED, sentence(str(reason)))
        except MissingFieldError as name:
            expected = f"the documented form, with {name} wherever it belongs"
            return self.broken(
                BrokenRuleError(world.last or "requests", expected, f"an object without {name}")
            )
        except (CannotRunError, ReadOnlyError):
            raise
        except Exception as fault:
            return self.ended(KIT_FAILED, _of_the_kit(fault, world.last))
        return self.ended(HOLDS, world.noted or world.last)

    def broken(self, fault: BrokenRuleError) -> CheckResult:
        """Return the finding: the server does not follow the rule."""
        return self.ended(BROKEN, str(fault), fault.sent, fault.expected, fault.came)

    def ended(self, result: Result, seen: str, *told: str) -> CheckResult:
        """Return the finding with this result."""
        return CheckResult(self.name, self.rule, self.says, self.provenance, result, seen, *told)


def _of_the_kit(fault: Exception, last: str) -> str:
    """Return the text for an unexpected error of the contract tests; it says nothing about the server."""
    *_, where = traceback.extract_tb(fault.__traceback__)
    place = f"{Path(where.filename).name}:{where.lineno}"
    said = f"{type(fault).__name__}: {fault}"[:MOST_SHOWN]
    what = "A fault of the contract tests, or an answer of an unknown form"
    return f"{what}: {said} ({place}), after {last or 'nothing'}"


def check(
    rule: str,
    says: str,
    provenance: Provenance,
    *,
    reads_only: bool = False,
    uses_up_learners: bool = False,
    policy: Mapping[str, str] | None = None,
) -> Callable[[Body], Check]:
    """Return a decorator that makes a function a check of a rule, in an organisation with these policies."""
    return lambda body: Check(
        rule,
        f"{rule}-{body.__name__.replace('_', '-')}",
        says,
        provenance,
        body,
        reads_only,
        uses_up_learners,
        policy or {},
    )
