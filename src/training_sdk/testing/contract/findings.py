"""Results of checks: the rule holds, is broken, or could not be checked; each with what was observed."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Any, Final, Literal

from attrs import frozen

Result = Literal["holds", "broken", "not checked", "kit failed"]
HOLDS: Final = "holds"
BROKEN: Final = "broken"
NOT_CHECKED: Final = "not checked"
KIT_FAILED: Final = "kit failed"


class Ending(IntEnum):
    """Exit codes of the contract tests, the same for each way to start them."""

    NOTHING_BROKEN = 0
    RULE_BROKEN = 1
    MISUSED = 2
    NOTHING_CHECKED = 3
    STOPPED = 4
    NOT_CLEAN = 5


class BrokenRuleError(Exception):
    """Error: the answer does not follow the rule."""

    def __init__(self, sent: str, expected: str, came: str) -> None:
        super().__init__(f"sent {sent}; expected {expected}; came {came}")
        self.sent, self.expected, self.came = sent, expected, came


class NotCheckedError(Exception):
    """Error: the rule could not be checked here; the message gives the reason and the remedy."""


class CannotRunError(Exception):
    """Error: no check can be made, or no further one; the message says what to fix."""


class HangingError(CannotRunError):
    """Error: no answer came in time. A server that hangs would hang again, so no further check is made."""


def first_difference(before: Any, after: Any) -> str:
    """Return the first difference, for a person to read."""
    if isinstance(before, dict) and isinstance(after, dict):
        name = next(each for each in (*before, *after) if before.get(each) != after.get(each))
        return f"{name}: {first_difference(before.get(name), after.get(name))}"
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return next(first_difference(was, now) for was, now in zip(before, after, strict=True) if was != now)
    if isinstance(before, list) and isinstance(after, list):
        odd = [each for each in before if each not in after] or [each for each in after if each not in before]
        return f"{len(after)} instead of {len(before)}, such as {json.dumps(odd[:1])}"
    return f"{json.dumps(after)} instead of {json.dumps(before)}"


@frozen
class CheckResult:
    """Result of one check."""

    check: str
    """Name of the check, such as ``R06-wrong-title``."""
    rule: str
    says: str
    provenance: str
    """Source of the rule: article, reference, decided."""
    result: Result
    seen: str
    """Observation; for a broken rule the request, the expected and the actual answer; else the reason."""
    sent: str = ""
    expected: str = ""
    came: str = ""


Finding = CheckResult
"""The earlier name of ``CheckResult``."""


@frozen
class Report:
    """Results of all checks."""

    base_url: str
    findings: tuple[CheckResult, ...]
    world: str = ""
    """Description of the organisation that was tested."""
    stopped: str = ""
    """Reason why not all checks were made, and what may be left behind; "" if all were made."""
    left: tuple[str, ...] = ()
    """Objects that were made and could not be removed, and how to remove them."""

    @property
    def broken(self) -> tuple[str, ...]:
        """Broken rules, each once."""
        return tuple(dict.fromkeys(each.rule for each in self.findings if each.result == BROKEN))

    def count(self, result: Result) -> int:
        """Return the number of checks with this result."""
        return sum(each.result == result for each in self.findings)

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 4 if not all checks were made, else 1 if a rule is broken, else 5, 3 or 0."""
        if self.stopped:
            return Ending.STOPPED
        if self.broken:
            return Ending.RULE_BROKEN
        if self.left or self.count(KIT_FAILED):
            return Ending.NOT_CLEAN
        return Ending.NOTHING_BROKEN if self.count(HOLDS) else Ending.NOTHING_CHECKED
