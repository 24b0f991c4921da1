"""How a check ends: it holds, it is broken, or it could not be made; each says what was seen."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal

from attrs import frozen

Result = Literal["holds", "broken", "not checked", "kit failed"]
HOLDS: Final = "holds"
BROKEN: Final = "broken"
NOT_CHECKED: Final = "not checked"
KIT_FAILED: Final = "kit failed"


class Ending(IntEnum):
    """The exit codes of the kit, the same however it is started."""

    NOTHING_BROKEN = 0
    RULE_BROKEN = 1
    MISUSED = 2
    NOTHING_CHECKED = 3
    STOPPED = 4
    NOT_CLEAN = 5


class BrokenRuleError(Exception):
    """What came is not what the rule says."""

    def __init__(self, sent: str, expected: str, came: str) -> None:
        super().__init__(f"sent {sent}; expected {expected}; came {came}")
        self.sent, self.expected, self.came = sent, expected, came


class NotCheckedError(Exception):
    """The rule could not be put to the test here; the message says why, and what would help."""


class CannotRunError(Exception):
    """Nothing can be checked, or no more from here on; the message says what to mend."""


class HangingError(CannotRunError):
    """No answer came in time: whoever hangs once hangs again, and no check more is worth that time."""


@frozen
class Finding:
    """What became of one check."""

    check: str
    """Its name, such as ``R06-wrong-title``."""
    rule: str
    says: str
    provenance: str
    """Where the rule comes from: article, reference, decided."""
    result: Result
    seen: str
    """What was seen; for a broken rule what was sent, expected and came; else why nothing can be said of the rule."""
    sent: str = ""
    expected: str = ""
    came: str = ""


@frozen
class Report:
    """What became of all of them."""

    base_url: str
    findings: tuple[Finding, ...]
    world: str = ""
    """Which world was tested, in words."""
    stopped: str = ""
    """Why not all checks were made, and what that may have left behind; "" if they were."""
    left: tuple[str, ...] = ()
    """What the kit has made and could not remove, and how to remove it."""

    @property
    def broken(self) -> tuple[str, ...]:
        """The rules that are broken, each once."""
        return tuple(dict.fromkeys(each.rule for each in self.findings if each.result == BROKEN))

    def count(self, result: Result) -> int:
        """How many checks ended this way."""
        return sum(each.result == result for each in self.findings)

    @property
    def exit_code(self) -> int:
        """What the command ends with: 4 if not all checks were made, else 1 if a rule is broken, else 5, 3 or 0."""
        if self.stopped:
            return Ending.STOPPED
        if self.broken:
            return Ending.RULE_BROKEN
        if self.left or self.count(KIT_FAILED):
            return Ending.NOT_CLEAN
        return Ending.NOTHING_BROKEN if self.count(HOLDS) else Ending.NOTHING_CHECKED
