"""Proofs for tests that are not about how they are made."""

from __future__ import annotations

from datetime import datetime

from attrs import evolve

from training_sdk.format_proof.proofs import Proof, ProofScope


def proof_of(ground: ProofScope, at: datetime) -> Proof:
    """A proof that holds for this ground, as if it was made at this time."""
    proof = Proof(ground, at, "user_admin", "sacrificial", "one", ("two",), counted=True)
    return evolve(proof, other_courses=("other",), completions_stayed=True)
