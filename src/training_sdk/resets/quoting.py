"""What a line of the audit log quotes of the records beside it, so that an edit of them is found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from training_sdk.records import approvals, plancopy
from training_sdk.records.chain import Head

JOURNAL, PLAN_OUTLINE = "journal", plancopy.OUTLINE_SHA256
APPROVAL, APPROVAL_OUTLINE = "approval_sha256", "approval_outline_sha256"


def quote_journal(heads: Sequence[Head]) -> dict[str, Any]:
    """The head of a journal, if it has an entry; nothing before it can be changed then without a trace."""
    return {JOURNAL: {"n": heads[-1].n, "hash": heads[-1].hash}} if heads else {}


def quote_plan(document: bytes) -> dict[str, Any]:
    """The SHA-256 of what stays in clear when the copy of a plan is sealed or purged."""
    return {PLAN_OUTLINE: _sha256(plancopy.outline_of(document))}


def quote_approval(content: bytes) -> dict[str, Any]:
    """The SHA-256 of an approval, and of what stays in clear of it when it is sealed."""
    return {APPROVAL: _sha256(content), APPROVAL_OUTLINE: _sha256(approvals.outline_of(content))}


def quotes_other(entry: Mapping[str, Any], heads: Sequence[Head]) -> bool:
    """Whether a line quotes another journal than the one with these heads; older lines quote none."""
    quoted = entry.get(JOURNAL)
    if not isinstance(quoted, Mapping):
        return False
    number = quoted.get("n")
    if type(number) is not int or not 0 < number <= len(heads):
        return True
    return heads[number - 1].hash != quoted.get("hash")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
