"""Two-person approval: a second user approves a plan, and the planner may sign it; signed with SSH keys."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from attrs import evolve

from training_sdk import ssh_signatures
from training_sdk._core import argument_checks
from training_sdk._core.flow import Flow, Moment, Now, RunLocally
from training_sdk._core.listing import Calls
from training_sdk.api.users import SeatType, User, UserStatus, found_users
from training_sdk.approval.approvals import (
    Approval,
    Approved,
    Approver,
    Kind,
    check_confirmation,
    check_lifetime,
    message,
)
from training_sdk.errors import ApprovalError, PermissionDeniedError, Remedy
from training_sdk.outcome import Code
from training_sdk.plans.changes import change_of, identity_changed
from training_sdk.plans.plan import SIGNATURE_NAMESPACE, ResetPlan
from training_sdk.plans.planned import Origin, PlannedReset
from training_sdk.plans.reading import (
    CurrentOrigin,
    check_same_origin,
    read_me_and_origin,
    read_rows,
    sees_everyone,
)
from training_sdk.plans.wording import short_digest, shown, span, who
from training_sdk.records.tokens import redacted
from training_sdk.safeguards import Safeguards

NAMESPACE = "training-sdk-reset"
"""With it, a signature made for another purpose, such as a git commit, is not valid for an approval."""
APPROVE = Remedy(
    "approve", "Have another person run client.resets.approve(…) on the plan, and pass approval=…."
)
APPROVE_SIGNED = Remedy("approve_signed", "To sign, approve with key=….")
SIGN_THE_PLAN = Remedy("sign_plan", "Have the planner sign it: plan.sign(key).")
MAX_AGE = timedelta(hours=24)
SKEW = timedelta(minutes=5)
"""The largest accepted difference between the clocks of the two machines."""
LONGEST_NAME = 200
LONGEST_SHOWN = 150

PEOPLE = frozenset({SeatType.PREMIUM, SeatType.LITE, SeatType.COLLABORATOR})
"""The seats of people of the organisation and its guests; an unknown seat may belong to a service."""

# A user id is a principal in the file of signers; these characters have no special meaning there.
PRINCIPAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def approve(
    calls: Calls,
    plan: ResetPlan,
    safeguards: Safeguards,
    *,
    confirm: object,
    key: Path | None,
    interactive: bool = False,
) -> Flow[Approval]:
    """Approve a plan as the owner of this client's token, signed with ``key``; its planner's signature is verified."""
    check_confirmation(plan, confirm)
    yield from check_signed(plan, safeguards)
    here, approver = yield from _who(calls)
    check_same_origin(plan, here, done="approved")
    yield from _check_people(calls, {approver.user_id: "approves"}, blind=key is not None)
    now: Moment = yield Now()
    check_lifetime(plan, now.utc)
    compared = yield from _compare(calls, plan)
    if key is None and not compared:
        raise ApprovalError(
            "This token may not read the progress of everyone in the plan, so its names were not compared with the "
            'service. Give its owner "Training: Administration" (everyone) or "Training: Manage teams" (the owner\'s '
            "teams), or sign with a key.",
            reason="ROWS_UNREADABLE",
        )
    at = now.utc.astimezone(UTC).replace(microsecond=0)
    unsigned = Approval(plan.digest, plan.phrase, approver, at, "procedural", compared=compared)
    if key is None:
        return unsigned
    words = message(unsigned, kind="signed")
    sign = partial(ssh_signatures.sign, words, key, namespace=NAMESPACE, interactive=interactive)
    signature: str = yield RunLocally(sign, "approval: sign")
    return evolve(unsigned, kind="signed", signature=signature)


def _compare(calls: Calls, plan: ResetPlan) -> Flow[bool]:
    """Compare all targets with the service; return whether none was missed, other than people who left the course.

    Raises ApprovalError if the service has another name, e-mail or external id for one of the user ids.
    """
    is_whole = True
    for course in plan.courses:
        targets = plan.targets_in(course.id)
        if not targets:
            continue
        try:
            rows = yield from read_rows(calls, course.id, [user.user_id for user in targets])
        except PermissionDeniedError:
            is_whole = False
            continue
        _refuse_renamed(
            [user for user in targets if change_of(user, rows.get(user.user_id)) is Code.IDENTITY_CHANGED]
        )
        if any(user.user_id not in rows for user in targets):
            everyone = yield from read_rows(calls, course.id, None)
            is_whole = (yield from sees_everyone(calls, course.id, everyone)) and is_whole
    return is_whole


def _refuse_renamed(people: Sequence[PlannedReset]) -> None:
    if people:
        raise ApprovalError(
            identity_changed([who(user) for user in people], "Nothing was approved"),
            reason="IDENTITY_CHANGED",
            metadata=tuple(("user_id", user.user_id) for user in people),
        )


def _who(calls: Calls) -> Flow[tuple[CurrentOrigin, Approver]]:
    me, here = yield from read_me_and_origin(calls)
    if not PRINCIPAL.fullmatch(me.user_id):
        raise ApprovalError(
            f"The user id {me.user_id[:LONGEST_SHOWN]!r} cannot be written to a file of allowed signers. Nothing was "
            "approved.",
            reason="NOT_A_PERSON",
        )
    name = " ".join(filter(None, (me.firstname, me.lastname)))[:LONGEST_NAME]
    return here, Approver(me.user_id, redacted(name, None), me.organisation_id)


# --- applying what was approved --------------------------------------------------------------------------------------


def require_approval(
    calls: Calls, plan: ResetPlan, approval: object, safeguards: Safeguards, here: Origin
) -> Flow[Approved]:
    """Raise ApprovalError unless a second person approved this plan, and both are people of the organisation.

    The second one is ``here.user_id``, the owner of this client's token. Changes nothing.
    """
    if approval is None:
        raise ApprovalError(
            f"This client applies only plans that a second user has approved ({safeguards.four_eyes}). Nothing was "
            "sent.",
            reason="NO_APPROVAL",
            argument="approval",
            remedy=APPROVE,
        )
    check_same_origin(plan, here, done="approved")
    now: Moment = yield Now()
    approved = yield from check_approval(plan, approval, safeguards, applied_by=here.user_id, now=now.utc)
    yield from _check_people(calls, {approved.approver.user_id: "approved", here.user_id: "applies"})
    return approved


def check_approval(
    plan: ResetPlan, approval: object, safeguards: Safeguards, *, applied_by: str, now: datetime
) -> Flow[Approved]:
    """Raise ApprovalError unless the approval is for this plan, in time, by another user, and of the kind required.

    It sends nothing, so it does not check seats. A signature is verified if there is a file of allowed signers.
    """
    if not isinstance(approval, Approval):
        raise argument_checks.refusal("approval", f"must be an Approval, not {type(approval).__name__}.")
    _check_terms(plan, approval, applied_by, now)
    if approval.signature is None and safeguards.four_eyes == "signed":
        raise ApprovalError(
            "The approval is procedural, and this client needs a signed one. Nothing was sent.",
            reason="NOT_SIGNED",
            argument="approval",
            remedy=APPROVE_SIGNED,
        )
    kind: Kind = "procedural"
    fingerprint: str | None = None
    if approval.signature is not None and safeguards.allowed_signers is not None:
        kind = "signed"
        check = partial(
            check_signature,
            approval.message,
            approval.signature,
            safeguards.allowed_signers,
            user_id=approval.approver.user_id,
            role="approver",
            namespace=NAMESPACE,
            now=now,
        )
        fingerprint = yield RunLocally(check, "approval: verify")
    return Approved(kind, approval.approver, approval.at, fingerprint, approval.compared)


def _check_terms(plan: ResetPlan, approval: Approval, applied_by: str, now: datetime) -> None:
    """Raise ApprovalError for terms of the approval that do not fit the plan, its user or the time."""
    approver = approval.approver
    if (approval.plan_digest, approval.phrase) != (plan.digest, plan.phrase):
        raise ApprovalError(
            f"The approval is for another plan, {shown(approval.phrase)[:LONGEST_SHOWN]!r}, "
            f"#{short_digest(approval.plan_digest)}. This plan is #{plan.short_digest}. Nothing was sent. Pass the "
            "approval of this plan.",
            reason="OTHER_PLAN",
        )
    if approver.organisation_id != plan.origin.organisation_id:
        raise ApprovalError(
            f"The approver is in organisation {approver.organisation_id}, and the plan in "
            f"{plan.origin.organisation_id}. Nothing was sent.",
            reason="OTHER_ORGANISATION",
        )
    if approver.user_id == applied_by:
        raise ApprovalError(
            f"{applied_by} approved the plan, so another user must apply it. Nothing was sent.",
            reason="SAME_USER",
        )
    if approval.at > now + SKEW:
        raise ApprovalError(
            f"The approval is of {approval.at:%Y-%m-%d %H:%M:%S} UTC, but the time on this machine is "
            f"{now:%Y-%m-%d %H:%M:%S} UTC. Nothing was sent. Set the clocks of both machines.",
            reason="NOT_YET_VALID",
        )
    if now - approval.at > MAX_AGE:
        raise ApprovalError(
            f"The approval of {approval.at:%Y-%m-%d %H:%M:%S} UTC is older than {span(MAX_AGE)}. Nothing was sent. "
            "Approve the plan again.",
            reason="APPROVAL_EXPIRED",
        )


def check_signature(
    message: bytes, signature: str, signers: Path, *, user_id: str, role: str, namespace: str, now: datetime
) -> str:
    """Return the fingerprint of the key that signed. Raises unless it is listed for this user and for no other user.

    ``role`` is the name of the user in messages: "approver" or "planner".
    """
    fingerprint = ssh_signatures.fingerprint(signature)
    if not PRINCIPAL.fullmatch(user_id):
        raise ApprovalError(
            f"{user_id[:LONGEST_SHOWN]!r} cannot be a user id in a file of allowed signers.",
            reason="SIGNER_NOT_ALLOWED",
        )
    read = ssh_signatures.Signers.read(signers)
    listed = ssh_signatures.principals(signature, read, at=now)
    if user_id not in listed:
        raise ApprovalError(
            f"The key {fingerprint} is listed for {', '.join(listed)[:LONGEST_SHOWN]}, but not for the {role} "
            f"{user_id}. Correct the file of allowed signers: the first line with the key counts, and it names users "
            "by their ids.",
            reason="SIGNER_NOT_ALLOWED",
        )
    everywhere = (*listed, *ssh_signatures.principals_of_key(signature, read))
    others = [one for one in everywhere if one != user_id and (one.startswith("user_") or _is_pattern(one))]
    if others:
        names = ", ".join(dict.fromkeys(others))
        raise ApprovalError(
            f"The key {fingerprint} is listed for {user_id} and for {names[:LONGEST_SHOWN]} too. "
            "A key that two users share proves nothing about either. Use one key per user.",
            reason="SIGNER_SHARED",
        )
    ssh_signatures.verify(message, signature, read, principal=user_id, namespace=namespace, at=now)
    return fingerprint


def _is_pattern(principal: str) -> bool:
    return any(sign in principal for sign in "*?!")


def _check_people(calls: Calls, roles: Mapping[str, str], *, blind: bool = False) -> Flow[None]:
    """Raise ApprovalError if one of these is not an active person. ``blind`` accepts tokens that cannot list users."""
    try:
        found = yield from found_users(calls, {"user_ids": tuple(roles)}).gather()
    except PermissionDeniedError as error:
        if blind:
            return
        raise ApprovalError(
            "This token may not list users, so it is not known whether it belongs to a person or to a service. Give "
            'its owner "Platform management: Users" or "Training: Administration", or, to approve, sign with a key.',
            status=403,
            reason="SEAT_UNREADABLE",
            request_id=error.request_id,
        ) from error
    users = {user.user_id: user for user in found}
    for user_id, role in roles.items():
        _check_person(users.get(user_id), user_id, role)


def _check_person(user: User | None, user_id: str, role: str) -> None:
    if user is None or user.status is not UserStatus.ACTIVE:
        status = "unknown in this organisation"
        if user is not None:
            status = f"not active ({user.status or 'the service leaves the status out, so it is not known'})"
        raise ApprovalError(f"{user_id}, who {role}, is {status}.", reason="NOT_ACTIVE")
    if user.seat_type not in PEOPLE:
        raise ApprovalError(
            f"{user_id}, who {role}, is not a person of the organisation (seat: {user.seat_type or 'not known'}). "
            "Two-person approval needs two people: use the token of each.",
            reason="NOT_A_PERSON",
        )


def check_signed(plan: ResetPlan, safeguards: Safeguards) -> Flow[None]:
    """Raise ApprovalError if the signature is not the planner's, or is missing although the safeguards require one.

    Without a file of allowed signers a signature cannot be verified, and is ignored.
    """
    signers = safeguards.allowed_signers
    if plan.signature is None:
        if safeguards.signed_plans:
            raise ApprovalError(
                "The plan is not signed, and this client accepts only plans that their planner has signed "
                "(signed_plans). Nothing was sent.",
                reason="PLAN_NOT_SIGNED",
                argument="plan",
                remedy=SIGN_THE_PLAN,
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
    yield RunLocally(check, "plan: verify the signature")
