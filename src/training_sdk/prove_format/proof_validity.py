"""The validity of a format proof: a stored proof is valid unless a later reset by this machine has refuted it."""

from __future__ import annotations

from training_sdk.errors import Remedy, UnconfirmedFormatError
from training_sdk.format_proof.proofs import Proof, ProofScope, find_proof
from training_sdk.local_plans.plan_records import PlanEffects, effects_there
from training_sdk.plans.planned import Origin
from training_sdk.plans.wording import LOOK_INTO_IT
from training_sdk.records.state import StateDirectory

PROVE_AGAIN = Remedy(
    "prove_again", "Prove the format again on a test course with client.resets.prove_format."
)
PROVE_AFTERWARDS = Remedy(
    "prove_afterwards", "Only then prove the format again on a test course with client.resets.prove_format."
)


def proof_that_holds(state: StateDirectory, ground: ProofScope) -> Proof | None:
    """Return the proof for this ground on this machine; None if there never was one.

    Raises UnconfirmedFormatError, which says why, if it does not hold any more: a plan has since been answered with a
    larger count than was sent (``PROOF_WITHDRAWN``), or nobody could see then whether a reset spares the other courses
    of the person, or completions of others (``PROOF_TOO_NARROW``). Journals count, and not only the file: a process may
    have been killed between the two. Raises RecordsDamagedError if the proof that is kept is not what was written.
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
            f"the format at {ground.base_url} {what} the service said that it reset more people than plan "
            f"{refuting.name} had sent. Nothing was sent. {LOOK_INTO_IT}",
            reason="PROOF_WITHDRAWN",
            remedy=PROVE_AFTERWARDS,
        )
    if proof is not None and not proof.other_courses:
        raise UnconfirmedFormatError(
            f"the format was proved at {ground.base_url} on {proof.proved_at:%Y-%m-%d} with people who had "
            "no progress in another course, so it is not proved that a reset leaves their other courses "
            "alone. Nothing was sent",
            reason="PROOF_TOO_NARROW",
            remedy=PROVE_AGAIN,
        )
    if proof is not None and proof.completions_stayed is None:
        raise UnconfirmedFormatError(
            f"the format was proved at {ground.base_url} on {proof.proved_at:%Y-%m-%d} by an older version, which does "
            "not say whether completions of others were seen to stay. A service that resets completed people only may "
            "reset others, or other courses, too. Nothing was sent",
            reason="PROOF_TOO_NARROW",
            remedy=PROVE_AGAIN,
        )
    return proof


def _refuting(state: StateDirectory, ground: ProofScope, proof: Proof | None) -> PlanEffects | None:
    """The plan that was answered with a larger count than was sent, after the proof was made."""
    here = Origin(ground.base_url, ground.organisation_id, "", reference_server=False)
    for other in effects_there(state, here):
        opened, at = other.state.opened, other.state.larger_count_at
        if opened is None or opened.reference_server or opened.server_side != (ground.way == "everyone"):
            continue
        if at is not None and (proof is None or proof.proved_at <= at):
            return other
    return None
