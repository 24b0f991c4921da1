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
