"""Values of other records that the audit log quotes, so that an edit of those records is detected."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from training_sdk.approval.approvals import Approval, approval_bytes
from training_sdk.plans.outline import PlanOutline
from training_sdk.plans.plan import ResetPlan, plan_bytes
from training_sdk.records import approvals, plan_copy
from training_sdk.records.audit import JOURNAL
from training_sdk.records.chain import Head

PLAN_OUTLINE = plan_copy.OUTLINE_SHA256
APPROVAL, APPROVAL_OUTLINE = "approval_sha256", "approval_outline_sha256"


def quote_journal(heads: Sequence[Head]) -> dict[str, Any]:
    """Return the head of a journal, if it has an entry; a later change of the entries up to it is then detected."""
    return {JOURNAL: {"n": heads[-1].n, "hash": heads[-1].hash}} if heads else {}


def quote_begun(plan: ResetPlan, approval: Approval | None) -> dict[str, str]:
    """Return the SHA-256 of an approval, and of the outlines of plan and approval that are never sealed or purged."""
    quotes: dict[str, str] = {}
    if not isinstance(plan, PlanOutline):
        quotes[PLAN_OUTLINE] = _sha256(plan_copy.outline_of(plan_bytes(plan)))
    if approval is not None:
        content = approval_bytes(approval)
        quotes[APPROVAL] = _sha256(content)
        quotes[APPROVAL_OUTLINE] = _sha256(approvals.outline_of(content))
    return quotes


def approvals_in(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the SHA-256 of each approval that entries of the log quote, with that of its outline."""
    return {str(entry[APPROVAL]): str(entry.get(APPROVAL_OUTLINE)) for entry in entries if APPROVAL in entry}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
