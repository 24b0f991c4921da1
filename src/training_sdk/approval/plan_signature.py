"""A plan signed by its planner: that it is what they made, and not what somebody else made of their file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from training_sdk._core.flow import Act, Flow, Moment, Now
from training_sdk._core.listing import Calls
from training_sdk.approval.approvals import Approval
from training_sdk.approval.four_eyes import approve, check_signature
from training_sdk.errors import ApprovalError
from training_sdk.plans.plan import SIGNATURE_NAMESPACE, ResetPlan
from training_sdk.resets.confirmation import check_confirmation
from training_sdk.resets.safeguards import Safeguards


def approve_signed(
    calls: Calls,
    plan: ResetPlan,
    safeguards: Safeguards,
    *,
    confirm: object,
    key: Path | None,
    interactive: bool,
) -> Flow[Approval]:
    """Approve a plan, once its planner's signature holds."""
    check_confirmation(plan, confirm)
    yield from check_signed(plan, safeguards)
    return (yield from approve(calls, plan, confirm=confirm, key=key, interactive=interactive))


def check_signed(plan: ResetPlan, safeguards: Safeguards) -> Flow[None]:
    """Raise ApprovalError if the plan's signature is not its planner's, or missing where safeguards demand one.

    Without a file of allowed signers nothing can be verified, and a signature is not looked at.
    """
    signers = safeguards.allowed_signers
    if plan.signature is None:
        if safeguards.signed_plans:
            raise ApprovalError(
                "the plan is not signed, and this client takes only plans that their planner has signed "
                "(signed_plans). Nothing was sent. Have the planner sign it: plan.sign(key)",
                reason="PLAN_NOT_SIGNED",
            )
        return
    if signers is None:
        return
    now: Moment = yield Now()
    check = partial(
        check_signature,
        plan.signed_terms,
        plan.signature,
        signers,
        user_id=plan.origin.user_id,
        role="planner",
        namespace=SIGNATURE_NAMESPACE,
        now=now.utc,
    )
    yield Act(check, "plan: verify the signature")
