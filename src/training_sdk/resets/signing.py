"""A plan signed by its planner: that it is what they made, and not what somebody else made of their file."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from attrs import evolve

from training_sdk import _ssh
from training_sdk._flow import Act, Flow, Moment, Now
from training_sdk._pages import Calls
from training_sdk.errors import ApprovalError
from training_sdk.resets.approval import Approval
from training_sdk.resets.confirming import check_confirmation
from training_sdk.resets.four_eyes import approve, check_signature
from training_sdk.resets.plan import ResetPlan
from training_sdk.resets.safeguards import Safeguards

NAMESPACE = "training-sdk-plan"
"""Keeps the signature of an approval from passing for that of a plan, and the other way round."""


def message(plan: ResetPlan) -> bytes:
    """What is signed: which plan it is, and whose token made it, as JSON in one spelling only."""
    origin = plan.origin
    terms = {"plan_digest": plan.digest, "planner": origin.user_id, "organisation_id": origin.organisation_id}
    return json.dumps(terms, sort_keys=True, separators=(",", ":")).encode("ascii")


def sign(plan: ResetPlan, key: Path, *, interactive: bool) -> ResetPlan:
    """The same plan with a signature by this key."""
    signature = _ssh.sign(message(plan), key, namespace=NAMESPACE, interactive=interactive)
    return evolve(plan, signature=signature)


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
        message(plan),
        plan.signature,
        signers,
        user_id=plan.origin.user_id,
        role="planner",
        namespace=NAMESPACE,
        now=now.utc,
    )
    yield Act(check, "plan: verify the signature")
