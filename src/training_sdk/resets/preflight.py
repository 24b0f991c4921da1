"""Checks before a reset: the server, the user, the proof of the format, the clock, the approval and the schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from attrs import evolve, frozen

from training_sdk._core import argument_checks
from training_sdk._core.flow import Flow, Moment, Now, Pace, RunLocally
from training_sdk._core.listing import Calls
from training_sdk._core.text import sentence
from training_sdk._version import __version__
from training_sdk.approval.approvals import Approved, check_lifetime, end_of
from training_sdk.approval.four_eyes import check_signed, require_approval
from training_sdk.errors import InvalidArgumentError, UnconfirmedFormatError
from training_sdk.format_proof.proofs import Proof, ProofScope, kept_fields_at
from training_sdk.plans.changes import refuse_new_warnings
from training_sdk.plans.reading import (
    CurrentOrigin,
    ProvenCalls,
    check_origin,
    check_same_origin,
    read_origin,
)
from training_sdk.plans.reset_effect import NO_KEPT_FIELDS, KeptFields
from training_sdk.records.events import ApprovalKept, Opened
from training_sdk.resets.reset_request import MOST_PER_REQUEST, Order, ResetRequest
from training_sdk.resets.waves import kept

FindProof = Callable[[ProofScope], Proof | None]


@frozen
class Preflight:
    """An order that has passed the checks, with its server, its user, and the proof of the service."""

    order: Order
    calls: Calls
    """The calls; on the reference server, calls that accept only answers of the reference server."""
    plain: Calls
    """The same calls, which accept any answer: the last reading before a request checks the origin itself."""
    here: CurrentOrigin
    proof: Proof | None
    kept_fields: KeptFields = NO_KEPT_FIELDS
    """The fields of a row that a reset leaves on this service, by the proofs of both ways."""
    approved: Approved | None = None
    find_proof: FindProof | None = None

    def by(self, token: object, pace: Pace) -> Preflight:
        """Return the same with calls that all carry this token and keep this pace."""
        calls, plain = (evolve(each, token=token, pace=pace) for each in (self.calls, self.plain))
        return evolve(self, calls=calls, plain=plain)

    @property
    def is_silent(self) -> bool:
        """True if the service is known to return no number of reset people."""
        return self.proof is not None and not self.proof.counted

    @property
    def may_count_everyone(self) -> bool:
        """True if the answer to a call for everyone may also count people with nothing to reset."""
        is_seen_not_to = self.proof is not None and self.proof.counts_everyone is False
        return not (self.here.reference_server or is_seen_not_to)

    def opened(self, at: datetime, fingerprint: str | None, approved: ApprovalKept | None) -> Opened:
        """Return the event that begins the journal of the order, with its settings for ``resume``."""
        order, here = self.order, self.here
        return Opened(
            at=at,
            nonce=order.nonce,
            applied_by=here.user_id,
            organisation_id=here.organisation_id,
            base_url=here.base_url,
            reference_server=here.reference_server,
            token_fingerprint=fingerprint,
            reason=order.reason,
            ticket=order.ticket,
            server_side=order.server_side,
            tolerance=order.tolerance,
            chunk_size=min(MOST_PER_REQUEST, order.per_request or MOST_PER_REQUEST),
            processing_seconds=order.safeguards.processing_time.total_seconds(),
            sdk_version=__version__,
            waves=None if order.waves is None else kept(order.waves),
            approval=approved,
            accept_missing_lessons=order.accept_missing_lessons,
            require_surveys=order.require_surveys,
        )

    def check_start(self, requests: Sequence[ResetRequest]) -> Flow[None]:
        """Raise if a plan must not be started, because of new warnings or of waves that end too late."""
        yield from refuse_new_warnings(self.calls, self.order.plan, self.kept_fields)
        yield from _check_schedule(self.order, requests)

    def check_proof(self, *, resuming: bool = False) -> Flow[None]:
        """Raise UnconfirmedFormatError if nothing may be sent here, because a proof is missing or does not hold."""
        if self.here.reference_server or self.find_proof is None:
            return
        try:
            found = yield from _find(self.order, self.here, self.find_proof)
            check_origin(self.order.plan, self.here, is_proved=found is not None)
        except UnconfirmedFormatError as error:
            if not resuming:
                raise
            why = sentence(error.info.message)
            for of_this_attempt in (" Nothing was sent.", ", so nothing was sent"):
                why = why.replace(of_this_attempt, "")
            message = (
                f"{why} Earlier requests were read back, and nothing more was sent. "
                "Resume again when the format is proved."
            )
            raise UnconfirmedFormatError(evolve(error.info, message=message)) from None


def run_preflight(
    calls: Calls, order: Order, find_proof: FindProof, *, resuming: bool = False
) -> Flow[Preflight]:
    """Raise unless the plan was made here, may be applied now, and its format may be used here.

    One request asks for user, organisation, kind of server and time. When ``resuming``, a plan that has expired or
    whose format is not proved may still be read back.
    """
    plan, guards = order.plan, order.safeguards
    here = yield from read_origin(calls)
    now: Moment = yield Now()
    if resuming:
        proof, kept_fields = yield from _proven(order, here, find_proof, resuming=True)
        check_same_origin(plan, here)
        _check_reason(order, here)
    else:
        check_lifetime(plan, now.utc, guards.plan_lifetime)
        proof, kept_fields = yield from _proven(order, here, find_proof)
        check_origin(plan, here, is_proved=proof is not None)
        _check_reason(order, here)
        yield from check_signed(plan, guards)
    if not here.reference_server:
        here.check_clock()
    approved: Approved | None = None
    if guards.four_eyes is not None:
        approved = yield from require_approval(calls, plan, order.approval, guards, here)
    wary = ProvenCalls.of(calls) if here.reference_server else calls
    known = _with_proven_processing_time(order, proof)
    return Preflight(known, wary, calls, here, proof, kept_fields, approved, find_proof)


def _proven(
    order: Order, here: CurrentOrigin, find_proof: FindProof, *, resuming: bool = False
) -> Flow[tuple[Proof | None, KeptFields]]:
    """Return the proof of a live service, or None, and the fields of a row that resets keep there.

    A proof that is no longer valid is an error; when ``resuming``, it counts as no proof.
    """
    if here.reference_server:
        return None, NO_KEPT_FIELDS
    try:
        proof = yield from _find(order, here, find_proof)
    except UnconfirmedFormatError:
        if not resuming:
            raise
        proof = None
    kept_fields: KeptFields = yield RunLocally(
        lambda: kept_fields_at(find_proof, here.origin, order.format), "proofs: what resets leave"
    )
    return proof, kept_fields


def _find(order: Order, here: CurrentOrigin, find_proof: FindProof) -> Flow[Proof | None]:
    scope = ProofScope.of(here, order.format, server_side=order.server_side)
    found: Proof | None = yield RunLocally(lambda: find_proof(scope), "proofs: look for one")
    return found


def _with_proven_processing_time(order: Order, proof: Proof | None) -> Order:
    """Return the order with a ``processing_time`` that is not below what the proof of the service has seen."""
    if proof is None or proof.seen_after <= order.safeguards.processing_time:
        return order
    return evolve(order, safeguards=evolve(order.safeguards, processing_time=proof.seen_after))


def _check_reason(order: Order, here: CurrentOrigin) -> None:
    """Raise InvalidArgumentError for a reset without a reason on a live service: an auditor needs it."""
    if not here.reference_server and not order.reason:
        raise argument_checks.refusal(
            "reason",
            "must be given: on a live service, the audit log needs one for every reset. Nothing was sent.",
        )


def _check_schedule(order: Order, requests: Sequence[ResetRequest]) -> Flow[None]:
    """Raise InvalidArgumentError if the last wave would start after the plan has expired."""
    now: Moment = yield Now()
    if order.waves is None:
        return
    waves = sum(request.begins_wave for request in requests)
    start = None
    end = end_of(order.plan, order.safeguards.plan_lifetime)
    for number in range(1, waves + 1):
        start = order.waves.next_start(now.utc if start is None else max(now.utc, start), start)
        if start > end:
            raise InvalidArgumentError(
                f"{waves} waves would not end before the plan expires at {end:%Y-%m-%d %H:%M} UTC: wave {number} "
                f"would start at {start:%Y-%m-%d %H:%M} UTC. Nothing was sent. Make the waves larger or closer, or "
                "plan and apply with a longer plan_lifetime in the safeguards.",
                argument="waves",
            )
