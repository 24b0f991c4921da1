"""How a reset ended for one person, and the reason, as words for programs."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """The five ways in which a reset can end for one person in one course; it always ends in exactly one."""

    RESET = "reset"
    NOTHING_TO_RESET = "nothing to reset"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Code(StrEnum):
    """The reason why a person was skipped, failed or is unknown, for programs."""

    LEFT_OUT = "LEFT_OUT"
    """In scope, but not selected by ``only``, ``where`` or ``plan_due``."""
    MOVED = "MOVED"
    """Their progress changed after the plan was made; they were skipped."""
    IDENTITY_CHANGED = "IDENTITY_CHANGED"
    """Their name, e-mail or external id is not that of the plan; they were skipped."""
    NOT_SENT = "NOT_SENT"
    """The reset stopped before them."""
    INTERRUPTED = "INTERRUPTED"
    """Ctrl-C, cancellation or ``stop`` ended the reset just before them."""
    REFUSED = "REFUSED"
    """The server refused the request that held them, and it had no effect."""
    ANSWER_LOST = "ANSWER_LOST"
    """The request that held them was sent, and its answer was lost."""
    REFUSAL_UNCERTAIN = "REFUSAL_UNCERTAIN"
    """The service refused the request that held them, and may have reset some of its people before."""
    COUNT_UNKNOWN = "COUNT_UNKNOWN"
    """The server accepted the request without saying how many people it reset."""
    COMPLETED_ONLY = "COMPLETED_ONLY"
    """Of the people of the request only those were reset who had completed the course; this one had not."""
    COUNT_LARGER = "COUNT_LARGER"
    """The server says that it reset more people than the request named, so it may have reset others instead."""
    NOT_SEEN = "NOT_SEEN"
    """The server accepted it, and reading back does not show it (yet)."""
