"""What comparing records of this machine finds."""

from __future__ import annotations

from attrs import frozen

from training_sdk._core.text import visible
from training_sdk.plans.wording import short_digest


@frozen
class RecordFinding:
    """A contradiction between two records or, where ``is_note``, work that was not finished.

    ``plan`` is the digest of the plan and ``pack`` the name of the evidence pack that it is about, where it is one.
    """

    message: str
    is_note: bool = False
    plan: str | None = None
    pack: str | None = None

    def __str__(self) -> str:
        return visible(self.message)


def fault(message: str, plan: str | None = None, pack: str | None = None) -> RecordFinding:
    """A contradiction between two records."""
    return RecordFinding(message, plan=plan, pack=pack)


def note(message: str, plan: str | None = None, pack: str | None = None) -> RecordFinding:
    """Work that was not finished."""
    return RecordFinding(message, is_note=True, plan=plan, pack=pack)


def name_of(digest: str) -> str:
    """A plan's digest as messages have it."""
    return f"#{short_digest(digest)}"
