"""The end of a proof: it is stored or has failed, and journal and report are closed. Nothing more is sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from attrs import define, evolve, field

from training_sdk._core.flow import Flow, Moment, Now, RunLocally
from training_sdk._core.listing import Calls
from training_sdk._core.model import Key
from training_sdk._core.text import sentence
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import ProofFailedError, RecordsLockedError
from training_sdk.format_proof import pending
from training_sdk.format_proof.proofs import Proof, ProofPlan, save_proof, withdraw_proof
from training_sdk.plans.planned import PlannedReset
from training_sdk.plans.reading import CurrentOrigin
from training_sdk.plans.reset_effect import NO_KEPT_FIELDS, KeptFields
from training_sdk.plans.wording import shown
from training_sdk.records.audit import PROOF_FAILED
from training_sdk.records.journal_state import RecordedRequest
from training_sdk.records.state import StateDirectory
from training_sdk.reports import report_file
from training_sdk.reports.report import FAILED_PROOF, ResetReport
from training_sdk.resets.outcomes import resumed_tracker
from training_sdk.resets.preflight import Preflight
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.reset_request import Order, Progress, order_as_started
from training_sdk.resets.resume import Resumption
from training_sdk.safeguards import is_function

KEEPS_AN_EARLIER_PROOF = ("WITNESS_MOVED", "REFUSED", "PROOF_TOO_NARROW", "NOT_REFUSED", "STATISTICS_DIFFER")
"""Reasons why a proof ended that refute nothing."""
TOO_NARROW = (
    "The reset took effect and reached no other person, but the proof does not show enough that other "
    "progress stays. The person who was reset needs progress in another course. If this person had completed "
    "the test course, the proof also needs a completion of this person in another course, and another person who has "
    "completed the test course. Plan another proof."
)
Rows = Mapping[Key, ProgressRow]


@define
class ProofRecorder(Recorder):
    """Keeps the same records as for any reset, and evidence about everyone on the course, who might all be reset."""

    witnesses: tuple[PlannedReset, ...] = ()

    def gather(self, calls: Calls, people: Sequence[PlannedReset]) -> Flow[Rows]:
        """Write a pack about these people and the witnesses on their course."""
        here = [one for one in self.witnesses if one.course_id == self._started.order.plan.course.id]
        return (yield from Recorder.gather(self, calls, (*people, *here)))


@define
class ProofEnds:
    """A proof with the steps that end it: store it or fail, and close journal and report."""

    calls: Calls
    plan: ProofPlan
    order: Order
    recorder: ProofRecorder
    deadline: timedelta
    on_progress: Callable[[Progress], None] | None = field(default=None, validator=is_function)
    here: CurrentOrigin = field(init=False)
    state: StateDirectory = field(init=False)
    has_begun: bool = field(default=False, init=False)
    _process: int = field(factory=os.getpid, init=False)
    kept_fields: KeptFields = field(default=NO_KEPT_FIELDS, init=False)
    """The fields that the reset left in the rows, at the last reading."""
    unseen: tuple[Key, ...] = field(default=(), init=False)
    """The people to be reset who were not seen at 0 % at the last reading."""
    seen_after: timedelta | None = field(default=None, init=False)
    """The time from the request to the first reading that showed its whole effect."""

    def _begun(self) -> Flow[pending.StartedProof | None]:
        found: pending.StartedProof | None = yield RunLocally(
            lambda: pending.begun(self.state, self.plan.reset.digest), "journal: what was sent"
        )
        self.has_begun = found is not None
        return found

    def _keep(self, action: Callable[[], object], why: str) -> RunLocally:
        """Return the effect of an action on the records; a forked process is refused, since its parent continues."""

        def act() -> object:
            if self._process != os.getpid():
                raise RecordsLockedError(
                    f"This process was forked from process {self._process}, which is proving this format. Nothing was "
                    "written or sent here. Continue in that process only."
                )
            return action()

        return RunLocally(act, why)

    def _proof(self, at: datetime, *, counted: bool) -> Proof:
        targets = {user.user_id for user in self.plan.reset.targets}
        person = None if self.plan.way == "everyone" else next(iter(targets))
        witnesses = tuple(dict.fromkeys(one.user_id for one in self.plan.witnesses))
        course = self.plan.reset.course
        seconds = None if self.seen_after is None else self.seen_after.total_seconds()
        others = self.plan.other_courses
        place = (self.plan.ground, at, self.here.user_id, course.id)
        proof = Proof(*place, person, witnesses, counted, self.kept_fields, seconds, others)
        return evolve(proof, completions_stayed=self.plan.has_completed and self.plan.is_wide_enough)

    def _settle(self) -> Flow[ResetReport]:
        """Close journal and report by reading back; nothing is sent."""
        yield self._keep(lambda: None, "proofs: whose process this is")
        folder = self.state.plan_folder(self.plan.reset.digest)
        begun = yield from self._begun()
        if begun is not None and begun.is_closed:
            report: ResetReport = yield RunLocally(lambda: report_file.load(folder), "records: the report")
            return report.without_unseen(self.unseen, FAILED_PROOF)
        self.recorder.resuming = True
        try:
            state = yield from self.recorder.claim_plan(self.plan.reset)
            order = order_as_started(self.order, state)
            now: Moment = yield Now()
            proof = self._proof(now.utc, counted=False)
            preflight = Preflight(order, self.calls, self.calls, self.here, proof, self.kept_fields)
            yield from self.recorder.open(preflight)
            tracker = resumed_tracker(order, self.here.user_id, self.recorder)
            yield from Resumption(preflight, self.recorder, tracker).find_requests()
            report = tracker.report(now.utc)
            yield from self.recorder.close(report, None)
            return report
        finally:
            self.recorder.release()

    def _succeed(self, recorded: RecordedRequest) -> Flow[Proof]:
        if not self.plan.is_wide_enough:  # an older version began it
            yield from self._end_without(TOO_NARROW, reason="PROOF_TOO_NARROW")
        yield from self._settle()
        now: Moment = yield Now()
        proof = self._proof(now.utc, counted=recorded.count is not None)
        proof = evolve(proof, counts_everyone=recorded.counts_everyone)
        return (yield from self._keep_proof(proof, "format proved"))

    def _keep_proof(self, proof: Proof, event: str, **facts: object) -> Flow[Proof]:
        now: Moment = yield Now()
        yield from self.recorder.remark(event, self.order, self.here, now.utc, **self._facts(), **facts)
        yield self._keep(lambda: save_proof(self.state, proof), "proofs: save")
        yield self._keep(lambda: pending.drop(self.state, self.plan.ground), "proofs: at its end")
        return proof

    def _end_without(self, why: str, *, reason: str) -> Flow[None]:
        """End it where nothing is proved or refuted; an earlier proof stays valid."""
        report = yield from self._settle()
        yield from self._note_failure(reason, ())
        raise ProofFailedError(f"{sentence(why)} {self._remains(reason)}", reason=reason, report=report)

    def _fail(self, why: str, keys: Sequence[Key], *, reason: str) -> Flow[None]:
        """End it without a proof, and withdraw an earlier one."""
        report = yield from self._settle()
        yield from self._note_failure(reason, keys)
        everyone = [(self.plan.reset.course.id, user_id) for user_id in self.plan.people]
        raise ProofFailedError(
            f"{sentence(why)} All of these may have been reset on {self.plan.reset.course.title!r}: "
            f"{self._named(everyone)}. {self._remains(reason)} This client requested a reset of this course only.",
            reason=reason,
            report=report,
            metadata=tuple(("user_id", user_id) for user_id in self.plan.people),
        )

    def _note_failure(self, reason: str, keys: Sequence[Key]) -> Flow[None]:
        now: Moment = yield Now()
        affected, unseen = ([list(key) for key in some] for some in (keys, self.unseen))
        facts = {**self._facts(), "proof_failed": reason, "affected": affected, "unseen": unseen}
        yield from self.recorder.remark(PROOF_FAILED, self.order, self.here, now.utc, **facts)
        yield from self._take_back(reason)
        yield self._keep(lambda: pending.drop(self.state, self.plan.ground), "proofs: at its end")

    def _take_back(self, reason: str) -> Flow[None]:
        """Withdraw an earlier proof that this end refutes."""
        if reason not in KEEPS_AN_EARLIER_PROOF:
            yield self._keep(lambda: withdraw_proof(self.state, self.plan.ground), "proofs: withdraw")

    def _remains(self, reason: str) -> str:
        """Return a sentence about the lock of the format after such an end."""
        return "Resets in this format stay locked for this service."

    def _facts(self) -> dict[str, object]:
        return {"proof": self.plan.ground.name, "way": self.plan.way, "proof_digest": self.plan.digest}

    def _named(self, keys: Sequence[Key]) -> str:
        rows = (*self.plan.reset.users, *self.plan.witnesses)
        names = {row.user_id: shown(row.name) or row.user_id for row in rows}
        course = self.plan.reset.course.id
        return ", ".join(
            names[user_id] + ("" if course_id == course else f" (course {course_id})")
            for course_id, user_id in keys
        )
