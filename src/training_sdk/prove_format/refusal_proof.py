"""The second, optional step of a proof: a refusal with one status has no effect on the person who was named first.

It comes after the proof of the format. One request names first a person of the test course with progress, and last a
user who cannot be reset.
"""

from __future__ import annotations

from attrs import define, evolve, field

from training_sdk._core.flow import Flow, RunLocally
from training_sdk.errors import ProofFailedError, Remedy, UnconfirmedFormatError
from training_sdk.format_proof.proof_plan import Observation
from training_sdk.format_proof.proofs import PROVABLE, Proof, find_proof, save_proof
from training_sdk.plans.reset_effect import NO_KEPT_FIELDS
from training_sdk.prove_format.proof_run import ProofRun
from training_sdk.prove_format.proof_validity import proof_that_holds
from training_sdk.records.journal_state import RecordedRequest


@define
class RefusalProofRun(ProofRun):
    """One proof of a refusal being made, or continued; the proof of the format is valid throughout."""

    status: int | None = field(default=None, init=False)
    """The status of the refusal, if there was one."""

    def _provisional(self) -> Flow[Proof]:
        """Return the proof of the format, as if nothing were known yet about counts and refusals."""
        proof = yield from self._proof_of_format()
        return evolve(proof, counted=False, traces=NO_KEPT_FIELDS, refusals_without_effect=())

    def _proof_of_format(self) -> Flow[Proof]:
        ground = self.plan.ground
        proof: Proof | None = yield RunLocally(
            lambda: proof_that_holds(self.state, ground), "proofs: of the format"
        )
        if proof is None:
            raise UnconfirmedFormatError(
                f"The format was never proved at {ground.base_url}, so the format could be the cause of a refusal. "
                "Nothing was sent.",
                remedy=Remedy("prove_format_alone", "Prove the format without refused_with first."),
            )
        if proof.proved_by != self.here.user_id:
            raise UnconfirmedFormatError(
                f"The format was proved at {ground.base_url} by user {proof.proved_by}, and this token belongs to user "
                f"{self.here.user_id}, whose requests the service may always refuse. Nothing was sent. Use the token "
                "of that user.",
                remedy=Remedy("prove_with_token", "Or prove the format again with this one."),
            )
        return proof

    def _end_unreadable(self, what: str) -> Flow[None]:
        """Continue: a service that accepts the request may count one or two people, or none."""
        yield from ()

    def _judge(self, seen: Observation) -> Flow[None]:
        begun = yield from self._begun()
        self.status = None if begun is None else begun.recorded.refusal
        yield from ProofRun._judge(self, seen)

    def _is_decided(self, seen: Observation) -> Flow[bool]:
        if not self.is_refused:
            why = f"The service did not refuse the request, and {self._shows(seen)}."
            yield from self._end_without(why, reason="NOT_REFUSED")
        if self.status not in PROVABLE:
            why = f"The service refused the request with {self.status}, a status that is not about one of the people."
            yield from self._end_without(why, reason="REFUSED")
        return True

    def _shows(self, seen: Observation) -> str:
        named = self._named([user.key for user in self.plan.reset.targets])
        return f"{named} was reset" if seen.cleared else f"the progress of {named} did not change"

    def _succeed(self, recorded: RecordedRequest) -> Flow[Proof]:
        """Store the status in the proof of the format, if that is still valid."""
        yield from self._settle()
        try:
            proof = yield from self._proof_of_format()
        except UnconfirmedFormatError as error:
            report = yield from self._settle()
            yield from self._note_failure("REFUSED", ())
            raise ProofFailedError(
                "The refusal was seen to have no effect, but the proof of the format, which stores its status, is no "
                "longer valid, or belongs to another user. Prove the format again, and then the refusal.",
                reason="REFUSED",
                report=report,
            ) from error
        known = {*proof.refusals_without_effect, *(() if self.status is None else (self.status,))}
        found = evolve(proof, refusals_without_effect=tuple(sorted(known)))
        return (yield from self._keep_proof(found, "refusal proved", status=self.status))

    def _take_back(self, reason: str) -> Flow[None]:
        """Take back what was proved of this status only, where it was a refusal that had an effect."""
        if reason != "REFUSED_WITH_EFFECT":
            yield from ProofRun._take_back(self, reason)
            return
        yield self._keep(self._forget_status, "proofs: take back the status")

    def _forget_status(self) -> None:
        proof = find_proof(self.state, self.plan.ground)
        if proof is not None and self.status in proof.refusals_without_effect:
            left = tuple(one for one in proof.refusals_without_effect if one != self.status)
            save_proof(self.state, evolve(proof, refusals_without_effect=left))

    def _facts(self) -> dict[str, object]:
        return {**ProofRun._facts(self), "refused_with": self.plan.refused_with}

    def _remains(self, reason: str) -> str:
        if reason in ("COUNT_DIFFERS", "WITNESS_CLEARED"):
            return ProofRun._remains(self, reason)
        status = "" if self.status is None else f" with status {self.status}"
        return (
            f"The proof of the format is still valid. After a refusal{status} of several people, their result stays "
            "unknown until it is read back."
        )
