"""Settling a request, and everything that stops a reset: outcomes, journal and report are complete in each case.

An interrupt can come between any two steps, also while an earlier one is handled. So ``StopHandler.in_flight`` is the
request from before it is sent until its people are settled and the journal has the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NoReturn, TypeVar

from attrs import define, field, frozen

from training_sdk._core.flow import Flow, Moment, Now, Request
from training_sdk._core.send_policy import Attempt, interrupted
from training_sdk._core.text import sentence
from training_sdk.errors import DecodingError, OutcomeUnknownError, TrainingError
from training_sdk.outcome import Code, Outcome
from training_sdk.plans.planned import PlannedReset
from training_sdk.plans.wording import LOOK_INTO_IT, number, others
from training_sdk.records.events import Answered, Lost, Refused, RefusedInDoubt, Sent
from training_sdk.records.journal_state import counted_besides
from training_sdk.reports.report import LARGER, REACHED_OTHERS, attach_report, report_of
from training_sdk.resets.outcomes import FailureOutcome, OutcomeTracker, failure_outcome
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.reset_request import ResetRequest


def raise_instead(told: BaseException, problem: BaseException) -> NoReturn:
    """Raise the problem itself, or the error that explains it, with the right cause."""
    if told is problem:
        raise problem
    raise told from (problem.__cause__ if type(told) is type(problem) else problem)


def add_note_if_failing(flow: Flow[None], told: BaseException) -> Flow[BaseException]:
    """Run a step that must not hide the error that is about to be raised; return the error to raise."""
    try:
        yield from flow
    except Exception as trouble:
        why = trouble.info.message if isinstance(trouble, TrainingError) else trouble
        told.add_note(f"Besides, the records could not be kept: {why}")
    except GeneratorExit:
        raise
    except BaseException as stop:  # a second Ctrl-C: raise it without further steps, but with the report
        report = report_of(told)
        return stop if report is None else attach_report(stop, report)
    return told


T = TypeVar("T")


@frozen
class Answer:
    """The answer to an accepted request: how many people were reset, if it says so, and the request id."""

    count: int | None
    request_id: str | None


@define
class InFlight:
    """One request, from before it is sent until its people are settled, and the known part of its result."""

    reset_request: ResetRequest
    people: Sequence[PlannedReset]
    request: Request
    attempt: Attempt = field(factory=Attempt)
    answer: Answer | None = None
    """The answer; set when the request was accepted, before its people are settled."""
    failure: FailureOutcome | None = None
    """The result of a stopped request; set when the cause of the stop is known."""
    event: Answered | None = None
    others_before: int = 0
    """The number of people outside the plan whom earlier requests may have reset."""
    named_last: tuple[str, ...] = ()
    """Users outside the plan whom the request also names."""
    in_course: int | None = None
    """The number of people on the course at the last reading before a call for everyone."""

    @property
    def named(self) -> int:
        """The number of people whom the request names."""
        return len(self.people) + len(self.named_last)

    @property
    def reached_others(self) -> int:
        """The number of people who were reset besides those sent, by the count in the answer."""
        count = None if self.answer is None else self.answer.count
        return counted_besides(count, self.named, self.in_course)

    def refuse_larger_count(self) -> None:
        """Raise OutcomeUnknownError if the answer says that more people were reset than were sent."""
        if self.answer is not None and self.reached_others:
            sent = number(self.named, "person was", "people were")
            cause = DecodingError(
                f"{sent} sent, and the answer says {number(self.answer.count or 0, 'person', 'people')} reset"
            )
            raise OutcomeUnknownError(
                f"{sentence(cause.message)} {others(self.reached_others)}. Nothing more was sent. {LOOK_INTO_IT}",
                reason=REACHED_OTHERS,
                request_id=self.answer.request_id,
            ) from cause

    def failure_after(self, problem: BaseException) -> FailureOutcome:
        """Return the outcome of its people after a problem: unknown as long as the request may have arrived."""
        failure = failure_outcome(problem)
        if failure.is_known and self.attempt.is_open:
            lost = interrupted(self.request, self.attempt, problem)
            failure = FailureOutcome(Outcome.UNKNOWN, Code.ANSWER_LOST, lost, failure.by)
        return failure


@define
class StopHandler:
    """Handler of every stop of a run, also repeated ones: settles people, attaches the report, writes the records."""

    tracker: OutcomeTracker
    recorder: Recorder
    in_flight: InFlight | None = None
    _told: BaseException | None = None
    """The error that is about to be raised, with the report."""

    def guarded(self, people: Sequence[PlannedReset], flow: Flow[T]) -> Flow[T]:
        """Run a step; if it stops, settle these people and raise with the report."""
        try:
            return (yield from flow)
        except GeneratorExit:
            raise
        except BaseException as problem:
            raise_instead((yield from self._account_for(people, problem)), problem)

    def carried(self, flow: Flow[T]) -> Flow[T]:
        """Run the whole flow; an interrupt while another stop is handled also carries the report."""
        try:
            return (yield from flow)
        except (Exception, GeneratorExit):
            raise
        except BaseException as stop:
            if report_of(stop) is None:
                finished: Moment = yield Now()
                self._settle_in_flight(stop)
                attach_report(stop, self.tracker.report(finished.utc))
            raise

    def note_sent(self, flight: InFlight) -> Flow[None]:
        """Note that the request may arrive from now on; its id is in the report if it is in the journal."""
        now: Moment = yield Now()
        event = Sent(now.utc, flight.reset_request.number, flight.request.request_id)
        try:
            yield from self.recorder.note(event)
        finally:
            if self.recorder.has_noted(event):
                self.tracker.note_sent(flight.request.request_id)

    def note_answer(self, flight: InFlight) -> Flow[None]:
        """Note the answer, unless it is already noted."""
        if flight.answer is None:
            return
        if flight.event is None:
            now: Moment = yield Now()
            flight.event = Answered(
                now.utc, flight.reset_request.number, flight.answer.count, flight.answer.request_id
            )
        if not self.recorder.has_noted(flight.event):
            yield from self.recorder.note(flight.event)

    def note_refused(self, flight: InFlight, error: TrainingError) -> Flow[None]:
        """Note that the request is known to have had no effect."""
        now: Moment = yield Now()
        yield from self.recorder.note(_refused(flight.reset_request, error, Code.REFUSED, now.utc))

    def give_up(
        self, people: Sequence[PlannedReset], error: TrainingError, finished_at: datetime
    ) -> BaseException:
        """Settle people whose request was refused for the last time; return the error to raise."""
        self._told = self.tracker.stopped(people, failure_outcome(error), finished_at)
        return self._told

    def settle(self, flight: InFlight, problem: BaseException) -> Flow[BaseException]:
        """Settle the people of a request by the problem that stopped it; return the error to raise, with the report.

        After an interrupt, the answer to an accepted request is still written to the journal: the report contains it.
        """
        if flight.answer is not None:
            told = problem
            if not isinstance(problem, Exception):
                told = yield from add_note_if_failing(self.note_answer(flight), problem)
            told = yield from self._account_for((), told)
            report = report_of(told)
            if flight.reached_others and report is not None:
                withdraw = self.recorder.withdraw_proof(report)
                self._told = told = yield from add_note_if_failing(withdraw, told)
            return told
        failure = flight.failure = flight.failure_after(problem)
        finished: Moment = yield Now()
        told = self.tracker.stopped(flight.people, failure, finished.utc)
        if failure.by:
            told = attach_report(problem, self.tracker.report(finished.utc))
        self._told = told
        self._told = yield from add_note_if_failing(
            self.recorder.note(_as_event(finished.utc, flight, failure)), told
        )
        return self._told

    def close_after(self, problem: BaseException) -> Flow[BaseException]:
        """Write the end of the run to the journal; return the error to raise."""
        told = yield from self._account_for((), problem)
        report = report_of(told)
        return (
            told
            if report is None
            else (yield from add_note_if_failing(self.recorder.close(report, told), told))
        )

    def _account_for(self, people: Sequence[PlannedReset], problem: BaseException) -> Flow[BaseException]:
        """Settle these people, for whom nothing was sent; return the error to raise, with the report."""
        if problem is not self._told:
            finished: Moment = yield Now()
            self._settle_in_flight(problem)
            self._told = self.tracker.held_up(people, problem, finished.utc)
        return self._told

    def settle_accepted(self, flight: InFlight) -> None:
        """Settle the people of an accepted request; called again if an interrupt came in between."""
        if flight.answer is None:
            return
        tracker, answer = self.tracker, flight.answer
        if flight.reached_others:
            tracker.reached_others = flight.others_before + flight.reached_others
            tracker.settle(flight.people, Outcome.UNKNOWN, LARGER, Code.COUNT_LARGER)
        else:
            tracker.settle(flight.people, *tracker.order.recipients.after_acceptance(answer.count))
        if answer.request_id not in tracker.requests:
            tracker.note_request(answer.request_id)

    def _settle_in_flight(self, problem: BaseException) -> None:
        """Settle the people of a request where an interrupt came in between."""
        flight = self.in_flight
        if flight is None:
            return
        if flight.answer is not None:
            self.settle_accepted(flight)
            return
        if flight.failure is None and flight.attempt.is_open:
            flight.failure = flight.failure_after(problem)
        if flight.failure is not None:
            self.tracker.settle_by(flight.people, flight.failure)


def _as_event(at: datetime, flight: InFlight, failure: FailureOutcome) -> Refused | RefusedInDoubt | Lost:
    reset_request = flight.reset_request
    if failure.is_known:
        return _refused(reset_request, failure.error, failure.code, at)
    beneath = failure.error.__cause__
    cause = None if beneath is None else type(beneath).__name__
    if failure.code is Code.REFUSAL_UNCERTAIN:
        error, message = failure.error, failure.said_of_people or failure.error.message
        return RefusedInDoubt(
            at, reset_request.number, error.status or 0, cause or "", message, error.request_id
        )
    return Lost(
        at,
        reset_request.number,
        failure.error.message,
        failure.error.request_id,
        cause,
        flight.attempt.status,
    )


def _refused(reset_request: ResetRequest, error: TrainingError, code: Code, at: datetime) -> Refused:
    return Refused(
        at, reset_request.number, type(error).__name__, code.value, error.message, error.request_id
    )
