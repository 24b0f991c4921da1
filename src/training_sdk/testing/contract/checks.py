"""What a check is: one question to an implementation, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import frozen

from training_sdk.testing.contract.outcome import (
    BROKEN,
    HOLDS,
    NOT_CHECKED,
    BrokenRuleError,
    Finding,
    NotCheckedError,
    Result,
)
from training_sdk.testing.contract.world import World

Provenance = Literal["article", "reference", "decided", "article, decided", "reference, decided"]
Body = Callable[[World], None]


@frozen
class Check:
    """One question to an implementation."""

    rule: str
    name: str
    says: str
    """What the rule says, as far as this check asks."""
    provenance: Provenance
    """The vendor's help article, its API reference, or decided by this project because both are silent."""
    body: Body
    reads_only: bool = False
    """It changes nothing, so that it may be put to a live service."""

    def made(self, world: World) -> Finding:
        """Put the question and say how it ended."""
        world.last = world.noted = ""
        try:
            self.body(world)
        except BrokenRuleError as fault:
            return self.ended(BROKEN, str(fault), fault)
        except NotCheckedError as reason:
            return self.ended(NOT_CHECKED, str(reason))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as fault:
            # An answer of another shape: what the kit needs of it is not where it should be.
            said = f"{type(fault).__name__}: {fault}"
            came = BrokenRuleError(world.last or "requests", "answers of the documented shape", said)
            return self.ended(BROKEN, str(came), came)
        return self.ended(HOLDS, world.noted or world.last)

    def ended(self, result: Result, seen: str, fault: BrokenRuleError | None = None) -> Finding:
        """What became of it."""
        told = (fault.sent, fault.expected, fault.came) if fault else ("", "", "")
        return Finding(self.name, self.rule, self.says, self.provenance, result, seen, *told)


def check(
    rule: str, says: str, provenance: Provenance, *, reads_only: bool = False
) -> Callable[[Body], Check]:
    """Make a function the check of a rule."""
    return lambda body: Check(
        rule, f"{rule}-{body.__name__.replace('_', '-')}", says, provenance, body, reads_only
    )
