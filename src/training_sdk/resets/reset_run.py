"""Applying a plan, as one story: preflight, evidence, read again, announce, send, settle, account for everyone.

Each step has a module: ``preflight``, ``recorder`` (evidence, journal, audit log), ``read_again``, ``reset_request``,
``request_result`` and ``outcomes``. ``reset_request`` also has what differs where one
call resets everyone on a course.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from attrs import define, field

from training_sdk._core.flow import Flow, Moment, Now, Request, Response, RunLocally, Sleep
from training_sdk._core.listing import Calls
from training_sdk._core.send_policy import TryAgainError, out_of_time
from training_sdk.approval.approvals import check_lifetime
from training_sdk.errors import EvidenceError, ResetInterruptedError
from training_sdk.outcome import Outcome
from training_sdk.plans.planned import PlannedCourse, PlannedReset
from training_sdk.records.events import Intent
from training_sdk.reports.report import ResetReport
from training_sdk.resets.outcomes import OutcomeTracker
from training_sdk.resets.preflight import FindProof, Preflight, run_preflight
from training_sdk.resets.read_again import Rereader
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.request_result import Answer, OpenRequest, ResultHandler, raise_instead
from training_sdk.resets.reset_request import (
    Order,
    Progress,
    ResetRequest,
    divide,
    key_for,
    read_reset_count,
    request_for,
)
from training_sdk.resets.waves import wait_until

T = TypeVar("T")
SECONDS_BETWEEN_PROOFS = 60.0
"""Another process may withdraw the proof that this one relies on."""
log = logging.getLogger("training_sdk")


def apply_plan(calls: Calls, order: Order, recorder: Recorder, find_proof: FindProof) -> Flow[ResetReport]:
    """Apply a confirmed plan. Whatever stops it after the preflight carries a report about everyone."""
    requests = divide(order)
    for request in requests:  # none may turn out to be impossible when others have been sent
        request_for(order, request, request.people, reference=True)
    yield from recorder.refuse(order.plan)
    preflight = yield from run_preflight(calls, order, find_proof)
    yield from preflight.check_start(requests)
    try:
        yield from recorder.open(preflight)
        started: Moment = yield Now()
        tracker = OutcomeTracker(preflight.order, preflight.here.user_id, started.utc)
        tracker.approved = preflight.approved
        return (yield from Run(preflight, recorder, tracker).to_the_end(_at_once(requests)))
    finally:
        recorder.release()


@define
class Run:
    """One application of a plan, or its resumption."""

    preflight: Preflight
    recorder: Recorder
    tracker: OutcomeTracker
    rereader: Rereader = field(init=False)
    results: ResultHandler = field(init=False)
    last_start: datetime | None = None
    """The start of the last wave."""
    has_sent: bool = field(default=False, init=False)
    resumes: bool = field(default=False, init=False)
    """True if some people were reset before, or may have been; their progress may differ from the plan."""
    proof_checked_at: float = field(default=-math.inf, init=False)
    """By the monotonic clock."""

    def __attrs_post_init__(self) -> None:
        self.rereader = Rereader(self.preflight, self.recorder, self.tracker)
        self.results = ResultHandler(self.tracker, self.recorder)

    @property
    def order(self) -> Order:
        """The confirmed plan and its options."""
        return self.preflight.order

    def to_the_end(self, find_requests: Flow[Sequence[ResetRequest]]) -> Flow[ResetReport]:
        """Find the requests to be sent, send them, and write how it ended, however it did."""
        return (yield from self.results.with_report_on_interrupt(self._to_the_end(find_requests)))

    def _to_the_end(self, find_requests: Flow[Sequence[ResetRequest]]) -> Flow[ResetReport]:
        try:
            requests = yield from find_requests
            ended = {user.outcome for user in self.tracker.outcomes.values()}
            self.resumes = not ended.isdisjoint((Outcome.RESET, Outcome.UNKNOWN))
            yield from self._keep_evidence([user for request in requests for user in request.people])
            for course in self.order.plan.courses:
                yield from self._course(course, [one for one in requests if one.course.id == course.id])
            finished: Moment = yield Now()
            report = self.tracker.report(finished.utc)
            yield from self.recorder.close(report, None)
            self.recorder.release()
        except GeneratorExit:
            raise
        except BaseException as problem:
            raise_instead((yield from self.results.close_after(problem)), problem)
        return report

    # --- evidence ---

    def _keep_evidence(self, people: Sequence[PlannedReset]) -> Flow[None]:
        """Write the evidence, and see at once whether the progress of too many has changed."""
        if not people:
            return
        if self.recorder.packs:  # a resume that ends here because of changed people writes no other pack
            people = yield from self.rereader.unchanged(people)
        try:
            yield from self._gather(people)
        except EvidenceError as error:
            if error.reason != "EVIDENCE_INCOMPLETE":
                raise
            # A person who is no longer there has changed: the tolerance decides. Any other gap stops it.
            left = yield from self.rereader.unchanged(people)
            if len(left) == len(people):
                raise
            yield from self._gather(left)
        yield self._tell("evidence")

    def _gather(self, people: Sequence[PlannedReset]) -> Flow[None]:
        if people:
            rows = yield from self.recorder.gather(self.preflight.calls, people)
            self.tracker.note_evidence(self.recorder)
            yield from self.rereader.compare(people, rows)

    def _refresh_evidence(self, people: Sequence[PlannedReset]) -> Flow[None]:
        rows = yield from self.recorder.refresh(self.preflight.calls, people)
        self.tracker.note_evidence(self.recorder)
        if rows is not None:
            yield from self.rereader.compare(people, rows)

    # --- each course, and each request ---

    def _course(self, course: PlannedCourse, requests: Sequence[ResetRequest]) -> Flow[None]:
        # Otherwise a named person who has started since would be reported as having nothing to reset.
        in_scope = [
            user for user in self.order.plan.users if user.course_id == course.id and not user.left_out
        ]
        self.rereader.idle = [] if self.resumes else [user for user in in_scope if not user.is_target]
        for request in requests:
            yield from self._request(request)
        by_one_call = self.order.recipients.is_read_back and bool(requests)
        if self.rereader.idle and not by_one_call:  # there was no request with which they could be read
            yield from self.rereader.read(self.preflight.calls, course, self.rereader.idle)
        if by_one_call and self.has_sent:
            yield from self.rereader.read_back(requests[0])

    def _request(self, request: ResetRequest) -> Flow[None]:
        """Send one request, with retries; there is no wait between the last reading and sending."""
        yield from self._with_report_on_failure(request.people, self._wait_for_wave(request))
        waited = 0.0
        while True:
            people, there = yield from self._with_report_on_failure(request.people, self._read_again(request))
            if not people:
                return
            again = yield from self._send(request, people, there)
            if again is None:
                return
            waited += yield from self._wait_to_try_again(people, again, waited)

    def _wait_for_wave(self, request: ResetRequest) -> Flow[None]:
        """Wait until the next wave, or more of this one, may go out, listening for a stop."""
        waves = self.order.waves
        if waves is None:
            return
        now: Moment = yield Now()
        start = waves.next_start(now.utc, self.last_start if request.begins_wave else None)
        why = f"The next wave starts at {start:%Y-%m-%d %H:%M} UTC"
        yield from wait_until(start, why, check=None if self.order.stop is None else self._check_stop)
        if request.begins_wave:
            self.last_start = start

    def _read_again(self, request: ResetRequest) -> Flow[tuple[tuple[PlannedReset, ...], Preflight]]:
        """Do all checks before a request: stop, lifetime, age of the evidence, proof, and the last reading."""
        now: Moment = yield Now()
        self._check_stop()
        check_lifetime(self.order.plan, now.utc, self.order.safeguards.plan_lifetime)
        left_of, there = self.rereader.left_of, self.preflight
        if not left_of(request):
            return (), there
        yield from self._refresh_evidence(left_of(request))
        if left_of(request):
            yield from self._check_proof()
            there = yield from self.rereader.before_request(request)
        people = left_of(request)
        if request.again and people != request.people:
            people = ()  # it may only be sent as it was
        self._check_stop()
        return people, there

    def _check_proof(self) -> Flow[None]:
        """Raise UnconfirmedFormatError if the proof was withdrawn since; journals are read once a minute at most."""
        now: Moment = yield Now()
        if now.monotonic >= self.proof_checked_at + SECONDS_BETWEEN_PROOFS:
            yield from self.preflight.check_proof()
            self.proof_checked_at = now.monotonic

    def _check_stop(self) -> None:
        if self.order.stop is not None and self.order.stop():
            raise ResetInterruptedError("The function stop ended the reset before this was sent.")

    def _send(
        self, reset_request: ResetRequest, people: tuple[PlannedReset, ...], there: Preflight
    ) -> Flow[TryAgainError | None]:
        """Announce, send and settle one request; the journal has each step before the next one begins.

        Return the refusal after which it may be tried again.
        """
        yield from self._with_report_on_failure(people, _doing(self._tell("sending")))
        open_request = self._prepare(reset_request, people)
        yield from self._with_report_on_failure(people, self.recorder.note(self._intent(open_request)))
        self.results.open_request = open_request
        yield from self._with_report_on_failure(people, self.results.note_sent(open_request))
        try:
            accept = partial(self._accept, open_request)
            yield from there.calls.call(open_request.request, accept, once=open_request.attempt)
            yield from self.results.note_answer(open_request)
            open_request.refuse_larger_count()
        except GeneratorExit:
            raise
        except TryAgainError as again:
            yield from self._with_report_on_failure(
                people, self.results.note_refused(open_request, again.error)
            )
            self.results.open_request = None
            return again
        except BaseException as problem:
            raise_instead((yield from self.results.resolve_failure(open_request, problem)), problem)
        finally:
            self.has_sent = True
        self.results.open_request = None
        yield self._tell("reset")
        return None

    def _prepare(self, reset_request: ResetRequest, people: tuple[PlannedReset, ...]) -> OpenRequest:
        reference, proof = self.preflight.here.reference_server, self.preflight.proof
        known = () if proof is None else proof.refusals_without_effect
        request: Request = request_for(
            self.order, reset_request, people, reference=reference, without_effect=known
        ).numbered()
        may_count = self.order.server_side and self.preflight.may_count_everyone
        return OpenRequest(
            reset_request,
            people,
            request,
            others_before=self.tracker.reached_others,
            named_last=self.order.named_last,
            in_course=len(self.rereader.on_course) if may_count else None,
        )

    def _intent(self, open_request: OpenRequest) -> Intent:
        number, course_id = open_request.reset_request.number, open_request.reset_request.course.id
        user_ids = tuple(user.user_id for user in open_request.people)
        key = key_for(self.order, open_request.request.body or b"")
        return Intent(number, course_id, user_ids, key, open_request.named_last, open_request.in_course)

    def _accept(self, open_request: OpenRequest, answer: Response) -> None:
        """Settle the people of a request from its answer."""
        besides = len(open_request.named_last)
        count = read_reset_count(
            answer, open_request.people, besides=besides, silent=self.preflight.is_silent
        )
        open_request.answer = Answer(count, answer.request_id)  # first of all: an interrupt may fall after it
        self.results.resolve_accepted(open_request)

    def _wait_to_try_again(
        self, people: Sequence[PlannedReset], again: TryAgainError, waited: float
    ) -> Flow[float]:
        """Wait as the server asks, after a request that is known to have had no effect; return for how long.

        Only these waits count towards the time for trying: the readings between them have bounds of their own.
        """
        now: Moment = yield Now()
        most = self.preflight.calls.max_retry_seconds
        left = most - waited
        if again.wait > left:
            error = out_of_time(again.error, again.wait, most)
            raise self.results.resolve_final_refusal(people, error, now.utc) from again.error.__cause__
        jitter = min(again.wait / 4, left - again.wait)
        yield from self._with_report_on_failure(
            people, _doing(Sleep(again.wait, jitter=jitter, why=str(again.error)))
        )
        slept: Moment = yield Now()
        return slept.monotonic - now.monotonic

    def _with_report_on_failure(self, people: Sequence[PlannedReset], flow: Flow[T]) -> Flow[T]:
        return (yield from self.results.with_report_on_failure(people, flow))

    def _tell(self, what: str) -> RunLocally:
        return RunLocally(partial(self._report_progress, what), "tell how far it is")

    def _report_progress(self, what: str) -> None:
        if self.order.on_progress is not None:
            settled = (Outcome.RESET, Outcome.UNKNOWN, Outcome.FAILED)
            done = sum(self.tracker.outcomes[user.key].outcome in settled for user in self.order.plan.targets)
            try:
                self.order.on_progress(Progress(what, done, len(self.order.plan.targets)))
            except Exception:  # a broken progress bar must not stop a reset
                log.warning("on_progress failed. The reset continues.", exc_info=True)


def _at_once(value: T) -> Flow[T]:
    """Return a value as a flow."""
    yield from ()
    return value


def _doing(effect: Sleep | RunLocally) -> Flow[None]:
    yield effect
