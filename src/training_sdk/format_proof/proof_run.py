"""Unlocking a live service: prove on a test course that a reset reaches only the people that it names.

One request is sent. Its effect is read back until the feed is certain to be current. Only then the proof is stored that
lets plans be applied there.

A second, optional proof is that of a refusal. One request names first a person of the test course with progress, and
last a user who cannot be reset. A refusal with this status has no effect on the person who was named first.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from attrs import define, evolve, field

from training_sdk._core.flow import Flow, Moment, Now, RunLocally
from training_sdk._core.model import Key
from training_sdk.errors import (
    AlreadyAppliedError,
    DecodingError,
    OutcomeUnknownError,
    OverlappingPlanError,
    ProofFailedError,
    Remedy,
    StalePlanError,
    TrainingError,
    UnconfirmedFormatError,
)
from training_sdk.format_proof import pending
from training_sdk.format_proof.proof_ends import ProofEnds
from training_sdk.format_proof.proof_planner import check_witnesses, read_people
from training_sdk.format_proof.proofs import PROVABLE, Observation, Proof, find_proof, save_proof
from training_sdk.local_plans.admission import proof_that_holds
from training_sdk.plans.reading import (
    LiveCalls,
    check_same_origin,
    missing_have_nothing,
    read_origin,
    read_rows,
)
from training_sdk.plans.reset_effect import NO_KEPT_FIELDS, resets_completed_only
from training_sdk.plans.wording import COMPLETED_ONLY, GO_ON, LOOK_AGAIN, number, short_digest
from training_sdk.records.journal import waiting_time
from training_sdk.records.journal_state import RecordedRequest
from training_sdk.records.state import StateDirectory
from training_sdk.reports import report_file
from training_sdk.resets.reset_request import Progress
from training_sdk.resets.reset_run import apply_plan
from training_sdk.resets.waves import wait_until

FIRST_WAIT = timedelta(minutes=5)
LONGEST_WAIT = timedelta(minutes=30)
"""Between two readings; at 5 people they cost up to 5 requests each."""

LONGEST_DOUBT = timedelta(days=1)
"""After the wait; from then on feed and statistics that differ end the proof."""
BETWEEN_TWO = timedelta(minutes=1)
"""Between two readings of which both must lack a row before it is believed to have vanished."""

READ_AGAIN = "Waiting until missing rows are read again"


@define
class ProofRun(ProofEnds):
    """One proof being made, or continued."""

    is_refused: bool = field(default=False, init=False)
    """True if the service refused the request, and may have carried out a part of it before."""
    was_watched: bool = field(default=False, init=False)
    """True if this process has sent the request, or seen people who were not reset yet."""

    def run(self) -> Flow[Proof]:
        """Send the request once, unless it was sent before; then read until the effect is certain."""
        try:
            return (yield from self._prove())
        except (Exception, GeneratorExit):
            raise
        except BaseException as stop:
            if self.has_begun:
                yield from self._say_how_to_go_on(stop)
            raise

    def _say_how_to_go_on(self, stop: BaseException) -> Flow[None]:
        """Attach the report to the interrupt, and a note about how to continue."""
        folder = self.state.plan_folder(self.plan.reset.digest)
        with suppress(TrainingError):
            vars(stop)["report"] = yield RunLocally(lambda: report_file.load(folder), "records: the report")
        stop.add_note(GO_ON)

    def _prove(self) -> Flow[Proof]:
        self.calls = LiveCalls.of(self.calls)
        self.here = here = yield from read_origin(self.calls)
        started: Moment = yield Now()
        check_same_origin(self.plan.reset, here)
        here.check_clock()
        self.state = yield RunLocally(lambda: StateDirectory.open(self.recorder.path), "records: open")
        begun = yield from self._begun()
        if begun is None:
            check_witnesses(self.plan)
            yield from self._send()
            self.was_watched = True
            begun = yield from self._begun()
        else:
            yield from self._check_pending()
        if begun is None:
            raise TrainingError("The journal does not say that anything was sent.")
        if was_unreadable(begun.recorded):
            yield from self._end_unreadable(str(begun.recorded.message))
        if begun.recorded.reached_others:
            people = number(begun.recorded.count or 0, "person", "people")
            said = f"One request was sent, and the answer counts {people} as reset."
            yield from self._fail(said, (), reason="COUNT_DIFFERS")
        self.is_refused = begun.recorded.is_doubtful_refusal
        yield from self._watch(begun.sent_at, started.utc + self.deadline)
        return (yield from self._succeed(begun.recorded))

    def _end_unreadable(self, what: str) -> Flow[None]:
        yield from self._fail(what, (), reason="COUNT_DIFFERS")

    def _check_pending(self) -> Flow[None]:
        """Raise AlreadyAppliedError unless this proof is pending."""
        old = yield RunLocally(
            lambda: pending.find(self.state, self.plan.ground), "proofs: look for this one"
        )
        if old is None or (old != self.plan and old.digest != pending.without_names(self.plan).digest):
            raise AlreadyAppliedError("This proof has ended. Nothing was sent. Plan another proof.")

    def _send(self) -> Flow[None]:
        yield from self._refuse_moved()
        provisional = yield from self._provisional()
        with pending.sending(self.state, self.plan.ground):
            yield self._keep(self._begin, "proofs: begin")
            yield from self._apply(provisional)

    def _begin(self) -> None:
        """Note the proof as pending, unless another one is: its effect could be taken for that of this one."""
        old = pending.find(self.state, self.plan.ground)
        if old is not None:
            raise OverlappingPlanError(
                f"The proof with plan #{short_digest(old.reset.digest)} on {old.reset.course.title!r} was started, and "
                "did not end. Nothing was sent. Plan that proof again with the same course and people, and prove it."
            )
        pending.put(self.state, self.plan, names=self.recorder.seal is None)

    def _apply(self, provisional: Proof) -> Flow[None]:
        try:
            yield from apply_plan(self.calls, self.order, self.recorder, lambda ground: provisional)
        except OutcomeUnknownError as error:
            if not isinstance(error.__cause__, TrainingError):  # it came from outside, and means to end this
                raise
            if isinstance(error.__cause__, DecodingError):
                yield from self._end_unreadable(error.__cause__.message)
        except GeneratorExit:
            raise
        except BaseException:
            begun = yield from self._begun()
            if begun is None and self._process == os.getpid():
                yield self._keep(
                    lambda: pending.drop(self.state, self.plan.ground), "proofs: nothing was sent"
                )
            raise

    def _provisional(self) -> Flow[Proof]:
        """Return the proof under which the one request is sent."""
        now: Moment = yield Now()
        return self._proof(now.utc, counted=False)

    def _refuse_moved(self) -> Flow[None]:
        """Raise StalePlanError unless all control persons are as planned; otherwise they prove nothing."""
        rows = yield from read_people(self.calls, self.plan.watched)
        course = self.plan.reset.course
        on_it = yield from read_rows(self.calls, course.id, None)
        seen = Observation.of(self.plan, rows)
        strange = sorted(on_it.keys() ^ set(self.plan.people))
        if seen.cleared or seen.moved or seen.lost or strange:
            who = [*strange, *(user_id for _, user_id in (*seen.cleared, *seen.moved, *seen.lost))]
            raise StalePlanError(
                f"{', '.join(dict.fromkeys(who))} came, left or changed since the proof was planned. "
                "Nothing was sent. Plan it again."
            )

    def _watch(self, sent_at: datetime, deadline: datetime) -> Flow[None]:
        """Read until the feed is certain to be current, the deadline has passed, or another person is affected."""
        settled = sent_at + waiting_time(self.order.safeguards.processing_time)
        wait = FIRST_WAIT
        while True:
            rows = yield from read_people(self.calls, self.plan.watched)
            now: Moment = yield Now()
            seen = Observation.of(self.plan, rows)
            self.kept_fields = evolve(
                seen.kept_fields, row_vanishes=False
            )  # until it was missing in a second reading
            if any(key not in rows for key in (*seen.lost, *(seen.cleared if self.is_refused else ()))):
                yield from wait_until(now.utc + BETWEEN_TWO, READ_AGAIN)
                rows = yield from read_people(self.calls, self.plan.watched)
                now = yield Now()
                seen = Observation.of(self.plan, rows)
            yield from self._judge(seen)
            self._note_time(seen, now.utc - sent_at)
            yield from self._tell(len(seen.cleared))
            if (
                now.utc >= settled
                and (yield from self._is_decided(seen))
                and (yield from self._is_gone(seen))
            ):
                return
            if now.utc >= deadline:
                yield from self._give_up(seen, is_settled=now.utc >= settled, settled=settled)
            until = min(now.utc + wait, deadline, settled if settled > now.utc else deadline)
            yield from wait_until(until, "Waiting until the service shows the effect of the reset")
            wait = min(wait * 3 / 2, LONGEST_WAIT)

    def _note_time(self, seen: Observation, elapsed: timedelta) -> None:
        """Note how long it took, unless this process came too late to see the time before."""
        self.was_watched = self.was_watched or bool(seen.unchanged)
        if not seen.unchanged and self.seen_after is None and self.was_watched:
            self.seen_after = elapsed

    def _is_gone(self, seen: Observation) -> Flow[bool]:
        """Return whether vanished rows are missing in a second reading and in the statistics: a listing may be cut."""
        if not seen.kept_fields.row_vanishes:
            return True
        now: Moment = yield Now()
        yield from wait_until(now.utc + BETWEEN_TWO, READ_AGAIN)
        rows = yield from read_people(self.calls, self.plan.watched)
        again = Observation.of(self.plan, rows)
        yield from self._judge(again)
        if again != seen:
            return False
        missing = [user_id for course_id, user_id in seen.cleared if (course_id, user_id) not in rows]
        course_id = self.plan.reset.course.id
        everyone = yield from read_rows(self.calls, course_id, None)
        if (yield from missing_have_nothing(self.calls, course_id, missing, everyone)) is False:
            return False
        self.kept_fields = seen.kept_fields
        return True

    def _is_decided(self, seen: Observation) -> Flow[bool]:
        """Return whether the observation decides it, once the feed is certain to be current."""
        if self.is_refused:
            why = "The service refused the request, and reading back shows that it had no effect."
            yield from self._end_without(why, reason="REFUSED")
        return not seen.unchanged

    def _judge(self, seen: Observation) -> Flow[None]:
        self.unseen = tuple(user.key for user in self.plan.reset.targets if user.key not in seen.cleared)
        if seen.lost:
            why = f"{self._named(seen.lost)} lost progress, although the request did not reset them."
            yield from self._fail(why, seen.lost, reason="WITNESS_CLEARED")
        if self.is_refused and seen.cleared:
            why = f"The service refused the request, but it reset {self._named(seen.cleared)}."
            yield from self._fail(why, seen.cleared, reason="REFUSED_WITH_EFFECT")
        if seen.moved:
            why = f"{self._moved(seen.moved)} So this proves nothing."
            yield from self._fail(why, seen.moved, reason="WITNESS_MOVED")

    def _moved(self, moved: Sequence[Key]) -> str:
        targets = {user.key for user in self.plan.reset.targets}
        to_reset, others = ([key for key in moved if (key in targets) is wanted] for wanted in (True, False))
        parts = (
            to_reset
            and f"The progress of {self._named(to_reset)}, to be reset, is neither the same as before nor 0 %.",
            others
            and f"{self._named(others)} completed or opened a lesson, came or left meanwhile, or the course changed.",
        )
        return " ".join(part for part in parts if part)

    def _give_up(self, seen: Observation, *, is_settled: bool, settled: datetime) -> Flow[None]:
        if is_settled and seen.unchanged:
            targets = self.plan.reset.targets
            reset = [user for user in targets if user.key in seen.cleared]
            left = [user for user in targets if user.key in seen.unchanged]
            if resets_completed_only(reset, left):
                yield from self._fail(COMPLETED_ONLY, seen.unchanged, reason="COMPLETED_ONLY")
            why = "The service did not refuse the reset, but the feed does not show its effect."
            if not any(user.completed_at for user in targets):
                why += " The service may reset only people who have completed the course: prove it with such a person."
            yield from self._fail(why, [user.key for user in targets], reason="NOT_SEEN")
        now: Moment = yield Now()
        if now.utc >= settled + LONGEST_DOUBT:
            why = "A row is missing, and by feed and statistics it was not reset."
            yield from self._end_without(why, reason="STATISTICS_DIFFER")
        when = "yet: listings and statistics differ" if is_settled else f"before {settled:%Y-%m-%d %H:%M} UTC"
        raise ProofFailedError(
            f"The effect of the reset is not known {when}. {self._remains('NOT_SEEN_YET')}",
            reason="NOT_SEEN_YET",
            remedy=LOOK_AGAIN,
        )

    def _tell(self, cleared: int) -> Flow[None]:
        tell, total = self.on_progress, len(self.plan.reset.targets)
        if tell is not None:
            yield RunLocally(lambda: tell(Progress("prove", cleared, total)), "tell how far it is")


def was_unreadable(recorded: RecordedRequest) -> bool:
    """Return whether the answer to the request could not be decoded."""
    return recorded.cause == DecodingError.__name__


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
