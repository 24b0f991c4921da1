"""Checks before a reset: the server, the user, the proof of the format, the clock, the approval and the schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from attrs import evolve, frozen

from training_sdk._core.flow import Flow, Moment, Now, Pace, RunLocally
from training_sdk._core.listing import Calls
from training_sdk._core.text import sentence
from training_sdk.approval.approvals import Approved
from training_sdk.approval.four_eyes import check_signed, require_approval
from training_sdk.errors import InvalidArgumentError, UnconfirmedFormatError
from training_sdk.format_proof.proofs import Proof, ProofScope, traces_at
from training_sdk.format_proof.traces import NO_TRACES, Traces
from training_sdk.plans.origin import ProvenCalls, check_origin, check_same_origin, read_origin
from training_sdk.plans.planned import Origin
from training_sdk.resets.reset_request import Order, ResetRequest
from training_sdk.resets.safeguards import check_lifetime, end_of

FindProof = Callable[[ProofScope], Proof | None]


@frozen
class Preflight:
    """Where an order is carried out: who we are there, by which calls, and what was proved about the service."""

    calls: Calls
    """Such as believe no answer but that of the server that was found here."""
    plain: Calls
    here: Origin
    proof: Proof | None
    traces: Traces = NO_TRACES
    """What a reset leaves of a row here, by the proofs of both ways."""
    approved: Approved | None = None
    find_proof: FindProof | None = None

    def by(self, token: object, pace: Pace) -> Preflight:
        """The same, by calls that all carry this token and keep this pace."""
        calls, plain = (evolve(each, token=token, pace=pace) for each in (self.calls, self.plain))
        return evolve(self, calls=calls, plain=plain)

    @property
    def is_silent(self) -> bool:
        """Whether the service is known not to say how many people it reset."""
        return self.proof is not None and not self.proof.counted

    @property
    def may_count_everyone(self) -> bool:
        """Whether an answer to a call for everyone may count also people with nothing to reset."""
        is_seen_not_to = self.proof is not None and self.proof.counts_everyone is False
        return not (self.here.reference_server or is_seen_not_to)

    def check_proof(self, order: Order, *, resuming: bool = False) -> Flow[None]:
        """Raise UnconfirmedFormatError if nothing may be sent here, because a proof is missing or does not hold."""
        find_proof = self.find_proof
        if self.here.reference_server or find_proof is None:
            return
        ground = ProofScope.of(self.here, order.format, server_side=order.server_side)
        try:
            found = yield RunLocally(lambda: find_proof(ground), "proofs: look for one")
            check_origin(order.plan, self.here, is_proved=found is not None)
        except UnconfirmedFormatError as error:
            if not resuming:
                raise
            why = error.info.message.replace("Nothing was sent. ", "").replace(", so nothing was sent", "")
            message = (
                f"{sentence(why)} What had been sent before was read back; nothing more was sent. "
                "Resume again once it is proved"
            )
            raise UnconfirmedFormatError(evolve(error.info, message=message)) from None


def with_proven_processing_time(order: Order, proof: Proof | None) -> Order:
    """Return the order with a ``processing_time`` that is not below what the proof of the service has seen."""
    if proof is None or proof.seen_after <= order.safeguards.processing_time:
        return order
    return evolve(order, safeguards=evolve(order.safeguards, processing_time=proof.seen_after))


def run_preflight(
    calls: Calls, order: Order, find_proof: FindProof, *, resuming: bool = False
) -> Flow[Preflight]:
    """Find out where we are. Raises unless the plan was made here and its format may be used here.

    When ``resuming``, a plan that has expired or whose format is not proved may still be read back.
    """
    here = yield from read_origin(calls)
    now: Moment = yield Now()
    if not resuming:
        check_lifetime(order.plan, now.utc, order.safeguards.plan_lifetime)
    proof = yield from _proof(order, here, find_proof, resuming=resuming)
    traces = Traces()
    if not here.reference_server:
        traces = yield RunLocally(
            lambda: traces_at(find_proof, here.origin, order.format), "proofs: what resets leave"
        )
    if resuming:
        check_same_origin(order.plan, here)
    else:
        check_origin(order.plan, here, is_proved=proof is not None)
    check_reason(order, here)
    if not resuming:
        yield from check_signed(order.plan, order.safeguards)
    if not here.reference_server:
        here.check_clock()
    four_eyes = order.safeguards.four_eyes
    approved: Approved | None = None
    if four_eyes is not None:
        signers = order.safeguards.allowed_signers
        approved = yield from require_approval(
            calls, order.plan, order.approval, rule=four_eyes, allowed_signers=signers, here=here
        )
    wary = ProvenCalls.of(calls) if here.reference_server else calls
    return Preflight(wary, calls, here, proof, traces, approved, find_proof)


def _proof(order: Order, here: Origin, find_proof: FindProof, *, resuming: bool) -> Flow[Proof | None]:
    """The proof of a live service; None where there is none, and when ``resuming`` also where it does not hold."""
    if here.reference_server:
        return None
    ground = ProofScope.of(here, order.format, server_side=order.server_side)
    try:
        found: Proof | None = yield RunLocally(lambda: find_proof(ground), "proofs: look for one")
    except UnconfirmedFormatError:
        if not resuming:
            raise
        return None
    return found


def check_reason(order: Order, here: Origin) -> None:
    """On a live service a reset is never without a reason: an auditor will ask for it."""
    if not here.reference_server and not order.reason:
        raise InvalidArgumentError(
            "reason is missing: on a live service every reset says why, for the audit log. Nothing was sent"
        )


def check_schedule(order: Order, work: Sequence[ResetRequest], now: datetime) -> None:
    """Refuse, before anything is sent, waves of which the last would go out after the plan has expired."""
    if order.waves is None:
        return
    waves = sum(reset_request.begins_wave for reset_request in work)
    start: datetime | None = None
    end = end_of(order.plan, order.safeguards.plan_lifetime)
    for number in range(1, waves + 1):
        start = order.waves.next_start(now if start is None else max(now, start), start)
        if start > end:
            raise InvalidArgumentError(
                f"{waves} waves would take until after the plan has expired ({end:%Y-%m-%d %H:%M} "
                f"UTC): wave {number} would go out at {start:%Y-%m-%d %H:%M} UTC. Nothing was sent. Make the waves "
                "larger or closer, or plan and apply with a plan_lifetime among the safeguards that is long enough"
            )
