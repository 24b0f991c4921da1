"""Checks before a plan is applied or resumed: journal, audit log, other plans over the same people, and the proof."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from training_sdk._core.model import Key
from training_sdk._core.urls import service_name
from training_sdk.approval.approvals import Approval, approval_bytes
from training_sdk.errors import (
    AlreadyAppliedError,
    InvalidArgumentError,
    OverlappingPlanError,
    RecordsDamagedError,
    Remedy,
    StalePlanError,
    UnconfirmedFormatError,
)
from training_sdk.format_proof.proofs import Proof, ProofScope, find_proof
from training_sdk.local_plans.plan_records import (
    LostPlan,
    PlanEffects,
    effects_there,
    lost_there,
    read_records,
)
from training_sdk.plans.outline import PlanOutline
from training_sdk.plans.plan import FORM, ResetPlan, plan_bytes
from training_sdk.plans.planned import Origin
from training_sdk.plans.wording import COMMANDS, LOOK_INTO_IT, others, short_digest, some, who
from training_sdk.records import approvals, plan_copy, storage
from training_sdk.records.audit import CLOSED, JOURNAL, AuditLog, contradicts
from training_sdk.records.chain import Head
from training_sdk.records.journal import Journal, minute_text
from training_sdk.records.journal_state import JournalState
from training_sdk.records.state import StateDirectory
from training_sdk.records.storage import make_folder
from training_sdk.reports.report import REACHED_OTHERS

LOCK_SECONDS = 10.0
"""The seconds that one process waits for another that is starting a plan."""
_RESUME = Remedy(
    "resume",
    "Continue with client.resets.resume(plan, confirm=…), which first reads back the uncertain people.",
)
_PROVE = Remedy(
    "prove_pending",
    "To look again, prove the format again with the same course and person (client.resets.prove_format). Plan nothing "
    "for these people before the proof has ended.",
)


def check_may_apply(
    log: AuditLog, journal: Journal, plan: ResetPlan, *, resuming: bool, is_proof: bool
) -> None:
    """Raise unless a plan may be applied, or resumed, by its journal and by the log; see the functions below."""
    state = journal.state()
    if state.opened is None:  # before it is called a plan that never began
        refuse_contradiction(log, journal, plan)
        refuse_second_time(state, plan, resuming=resuming, is_proof=is_proof)
    else:
        refuse_second_time(state, plan, resuming=resuming, is_proof=is_proof)
        refuse_contradiction(log, journal, plan)


def refuse_contradiction(log: AuditLog, journal: Journal, plan: ResetPlan) -> None:
    """Raise where the audit log contradicts the journal of a plan: the journal was changed, lost or shortened.

    Raises AlreadyAppliedError for a plan that was closed by hand, whatever its journal says, else RecordsDamagedError,
    also where the log itself is not as it was written.
    """
    entries = log.entries(plan_digest=plan.digest)
    if any(entry.get("event") == CLOSED for entry in entries):
        is_interrupted = journal.state().opened is not None and journal.state().closed is None
        raise AlreadyAppliedError(
            f"This plan (#{plan.short_digest}) was closed by hand, so it can no longer be applied or resumed. Nothing "
            "was sent. Plan again.",
            remedy=_close_again(plan.short_digest) if is_interrupted else None,
        )
    if contradicts(entries, journal.state(), journal.heads):
        raise RecordsDamagedError(
            f"The audit log contradicts the journal of plan #{plan.short_digest}, which was changed, shortened or "
            f"lost. Nothing was sent. Restore a copy of plans/{plan.digest}."
        )


def refuse_second_time(
    state: JournalState, plan: ResetPlan, *, resuming: bool, is_proof: bool = False
) -> None:
    """Raise unless a plan with this state may be applied, or resumed.

    ``is_proof`` is whether it is the plan of a proof that is pending.
    """
    reason = REACHED_OTHERS if state.reached_others else None
    if state.closed is not None and state.closed.reason is not None:
        raise AlreadyAppliedError(
            f"This plan (#{plan.short_digest}) was closed by hand on {state.closed.at:%Y-%m-%d %H:%M} UTC, so it can "
            "no longer be applied or resumed. Nothing was sent. Plan again.",
            reason=reason,
        )
    if state.closed is not None and is_proof:
        raise AlreadyAppliedError(
            f"This is the plan (#{plan.short_digest}) of a proof that is pending: its request was accepted, and its "
            "effect was not seen yet. Nothing was sent.",
            reason=reason,
            remedy=_PROVE,
        )
    if state.closed is not None:
        raise AlreadyAppliedError(
            f"This plan (#{plan.short_digest}) was applied on {state.closed.at:%Y-%m-%d %H:%M} UTC, and a plan is "
            "applied once. Nothing was sent. To reset these people again, make a new plan.",
            reason=reason,
        )
    if resuming and state.opened is None:
        raise InvalidArgumentError(
            f"The records in this state directory do not contain this plan (#{plan.short_digest}), so there is nothing "
            "to resume. If it was applied with another state directory, resume it with that one. Apply it only if it "
            "was never applied."
        )
    if state.reached_others and not resuming:
        raise AlreadyAppliedError(
            f"{others(state.reached_others)} when this plan (#{plan.short_digest}) was applied. Nothing more was sent. "
            f"{LOOK_INTO_IT}",
            reason=reason,
        )
    if state.has_sent and not resuming:
        raise AlreadyAppliedError(
            f"This plan (#{plan.short_digest}) was started before and did not end. Nothing was sent.",
            remedy=_RESUME,
        )
    if plan.form < FORM and not resuming:
        raise StalePlanError(
            f"An older version made this plan (#{plan.short_digest}), and other plans could have the same phrase. "
            "Nothing was sent. Plan again.",
            reason="PLAN_FORM_OLD",
        )


def origin_lock(state: StateDirectory, here: Origin) -> AbstractContextManager[None]:
    """Lock an organisation: only one process reads its other plans and starts a plan at a time."""
    where = f"{service_name(here.base_url)}\n{here.organisation_id}"
    name = hashlib.sha256(where.encode()).hexdigest()[:32]
    return storage.locked(make_folder(state.path / "origins") / f"{name}.json", LOCK_SECONDS)


def refuse_overlapping(
    state: StateDirectory,
    plan: ResetPlan,
    people: Collection[Key],
    here: Origin,
    now: datetime,
    processing_time: timedelta | None = None,
) -> None:
    """Raise OverlappingPlanError if another plan may have reset these people, or is about to."""
    for records in read_records(state, but=plan.digest):
        effects = records.effects(processing_time)
        if effects.is_of(here):
            _refuse_effects(effects, plan, people, now)
        lost = lost_there(records, here, now, processing_time)
        if lost is not None:
            _refuse_lost(lost, plan, people, now)


def _refuse_effects(other: PlanEffects, plan: ResetPlan, people: Collection[Key], now: datetime) -> None:
    if doubted := other.in_doubt(people, now):
        why = f"It is uncertain whether plan {other.name} reset {{people}}."
        raise _overlap(plan, doubted, why, "Resume that plan first.")
    if just := other.just_reset(people, now):
        when = minute_text(max(just.values()))
        why = f"Plan {other.name} has reset {{people}}, and the service may show older data until {when}."
        raise _overlap(plan, list(just), why, "Plan again after that time.")
    if waiting := other.about_to_send(people):
        why = f"Another process is applying plan {other.name}, which is about to reset {{people}}."
        raise _overlap(plan, waiting, why, "Wait until it ends.")


def _refuse_lost(lost: LostPlan, plan: ResetPlan, people: Collection[Key], now: datetime) -> None:
    """Raise OverlappingPlanError if the journal of a plan is lost, and the log does not show what it did."""
    among = lost.among(people)
    if among and lost.is_open:
        raise _overlap(
            plan,
            among,
            f"The journal of plan {lost.name} {lost.what}, and the audit log does not show if it reset {{people}}.",
            remedy=_close_lost(lost.digest),
        )
    if among and lost.may_have_reset and now < lost.settled_at:
        when = minute_text(lost.settled_at)
        why = f"Plan {lost.name}, whose journal {lost.what}, may have reset {{people}}, and the service may show older"
        raise _overlap(plan, among, f"{why} data until {when}.", "Plan again after that time.")


def _close_lost(digest: str) -> Remedy:
    short = short_digest(digest)
    return Remedy(
        "close_lost",
        f"Restore a copy of plans/{digest} and resume it. If there is no copy, find out whether these people were "
        f"reset, and close the plan: {COMMANDS.close(short)}.",
        (("digest", short), ("folder", digest)),
    )


def _close_again(digest: str) -> Remedy:
    return Remedy(
        "close_again",
        f"Closing the plan was interrupted. Close it again: {COMMANDS.close(digest)}.",
        (("digest", digest),),
    )


def _overlap(
    plan: ResetPlan, keys: Sequence[Key], why: str, what_to_do: str = "", *, remedy: Remedy | None = None
) -> OverlappingPlanError:
    names = {user.key: who(user) for user in plan.users}
    what = why.replace("{people}", some([names[key] for key in keys]))
    return OverlappingPlanError(
        f"{what} Nothing was sent for them. {what_to_do}".rstrip(),
        metadata=tuple(("user_id", user_id) for _, user_id in keys),
        remedy=remedy,
    )


def resets_elsewhere(
    state: StateDirectory, digest: str, people: Collection[Key], here: Origin
) -> Mapping[Key, datetime]:
    """Return when another plan last reset, or may have reset, each of these people."""
    found: dict[Key, datetime] = {}
    for records in read_records(state, but=digest):
        effects = records.effects()
        if effects.is_of(here):
            for key in people:
                if (at := effects.may_have_reset_at(key)) is not None:
                    found[key] = max(at, found.get(key, at))
        lost = lost_there(records, here)
        if lost is not None and lost.may_have_reset:
            at = datetime.max.replace(tzinfo=UTC) if lost.is_open else lost.last_at
            found |= {key: max(at, found.get(key, at)) for key in lost.among(people)}
    return found


PROVE_AGAIN = Remedy(
    "prove_again", "Prove the format again on a test course with client.resets.prove_format."
)
PROVE_AFTERWARDS = Remedy(
    "prove_afterwards", "Only then prove the format again on a test course with client.resets.prove_format."
)


def proof_that_holds(state: StateDirectory, ground: ProofScope) -> Proof | None:
    """Return the proof for this scope on this machine; None if there never was one.

    Raises UnconfirmedFormatError if it is no longer valid: an answer to a later plan counted more people than were
    sent (``PROOF_WITHDRAWN``), or the proof does not show that a reset leaves other courses and other completions
    alone (``PROOF_TOO_NARROW``). The journals are read as well as the file: a process may have been killed between
    writing the two. Raises RecordsDamagedError if the stored proof is not what was written.
    """
    proof = find_proof(state, ground)
    refuting = _refuting(state, ground, proof)
    if refuting is not None:
        what = (
            "is not proved: a proof failed, or was withdrawn, when"
            if proof is None
            else "has lost its proof:"
        )
        raise UnconfirmedFormatError(
            f"The format at {ground.base_url} {what} the service counted more people as reset than plan "
            f"{refuting.name} had sent. Nothing was sent. {LOOK_INTO_IT}",
            reason="PROOF_WITHDRAWN",
            remedy=PROVE_AFTERWARDS,
        )
    if proof is not None and not proof.other_courses:
        raise UnconfirmedFormatError(
            f"The format was proved at {ground.base_url} on {proof.proved_at:%Y-%m-%d} with people who had "
            "no progress in another course, so it is not proved that a reset does not change their other courses. "
            "Nothing was sent.",
            reason="PROOF_TOO_NARROW",
            remedy=PROVE_AGAIN,
        )
    if proof is not None and proof.completions_stayed is None:
        raise UnconfirmedFormatError(
            f"The format was proved at {ground.base_url} on {proof.proved_at:%Y-%m-%d} by an older version, which did "
            "not check whether completions of others stay. A service that resets completed people only may reset "
            "others, or other courses, too. Nothing was sent.",
            reason="PROOF_TOO_NARROW",
            remedy=PROVE_AGAIN,
        )
    return proof


def _refuting(state: StateDirectory, ground: ProofScope, proof: Proof | None) -> PlanEffects | None:
    """Return the plan whose answer counted more people than were sent, after the proof was made; None without one."""
    here = Origin(ground.base_url, ground.organisation_id, "", reference_server=False)
    for other in effects_there(state, here):
        opened, at = other.state.opened, other.state.larger_count_at
        if opened is None or opened.reference_server or opened.server_side != (ground.way == "everyone"):
            continue
        if at is not None and (proof is None or proof.proved_at <= at):
            return other
    return None


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
