"""How a check ends: it holds, it is broken, or it could not be made; each says what was seen."""

from __future__ import annotations

from typing import Final, Literal

from attrs import frozen

Result = Literal["holds", "broken", "not checked"]
HOLDS: Final = "holds"
BROKEN: Final = "broken"
NOT_CHECKED: Final = "not checked"


class BrokenRuleError(Exception):
    """What came is not what the rule says."""

    def __init__(self, sent: str, expected: str, came: str) -> None:
        super().__init__(f"sent {sent}; expected {expected}; came {came}")
        self.sent, self.expected, self.came = sent, expected, came


class NotCheckedError(Exception):
    """The rule could not be put to the test here; the message says why, and what would help."""


class CannotRunError(Exception):
    """Nothing can be checked at all; the message says what to mend."""


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
    """What was seen; for a broken rule what was sent, expected and came; else the reason why it was not checked."""
    sent: str = ""
    expected: str = ""
    came: str = ""


@frozen
class Report:
    """What became of all of them."""

    base_url: str
    findings: tuple[Finding, ...]

    @property
    def broken(self) -> tuple[str, ...]:
        """The rules that are broken, each once."""
        return tuple(dict.fromkeys(each.rule for each in self.findings if each.result == BROKEN))

    def count(self, result: Result) -> int:
        """How many checks ended this way."""
        return sum(each.result == result for each in self.findings)

    @property
    def exit_code(self) -> int:
        """1 if a rule is broken, 3 if nothing could be checked, else 0."""
        if self.broken:
            return 1
        return 0 if self.count("holds") else 3
