"""The result of a request, also after a lost answer or an interrupt: outcomes, journal and report stay complete.

An interrupt can come between any two steps, also while an earlier one is handled. So ``ResultHandler.open_request`` is
the request from before it is sent until its people have an outcome and the journal has the result.
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
from training_sdk.records.events import Answered, Lost, Refused, RefusedInDoubt, Sent, counted_besides
from training_sdk.reports.report import LARGER, REACHED_OTHERS, attach_report, report_of
from training_sdk.resets.outcomes import FailureOutcome, OutcomeTracker, failure_outcome
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.reset_request import ResetRequest


def raise_instead(to_raise: BaseException, problem: BaseException) -> NoReturn:
    """Raise the problem itself, or the error that explains it, with the right cause."""
    if to_raise is problem:
        raise problem
    raise to_raise from (problem.__cause__ if type(to_raise) is type(problem) else problem)


def note_if_records_fail(flow: Flow[None], to_raise: BaseException) -> Flow[BaseException]:
    """Run a step that must not hide the error that is about to be raised; return the error to raise."""
    try:
        yield from flow
    except Exception as failed:
        why = failed.info.message if isinstance(failed, TrainingError) else failed
        to_raise.add_note(f"The records could not be written either: {sentence(str(why))}")
    except GeneratorExit:
        raise
    except BaseException as stop:  # a second Ctrl-C: raise it without further steps, but with the report
        report = report_of(to_raise)
        return stop if report is None else attach_report(stop, report)
    return to_raise


T = TypeVar("T")


@frozen
class Answer:
    """The answer to an accepted request: how many people were reset, if it says so, and the request id."""

    count: int | None
    request_id: str | None


@define
class OpenRequest:
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
                f"{sent} sent, and the answer counts {number(self.answer.count or 0, 'person', 'people')} as reset."
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
class ResultHandler:
    """Handler of every stop of a run, also repeated ones: settles people, attaches the report, writes the records."""

    tracker: OutcomeTracker
    recorder: Recorder
    open_request: OpenRequest | None = None
    _to_raise: BaseException | None = None
    """The error that is about to be raised, with the report."""

    def with_report_on_failure(self, people: Sequence[PlannedReset], flow: Flow[T]) -> Flow[T]:
        """Run a step; if it stops, settle these people and raise with the report."""
        try:
            return (yield from flow)
        except GeneratorExit:
            raise
        except BaseException as problem:
            raise_instead((yield from self._resolve_unsent(people, problem)), problem)

    def with_report_on_interrupt(self, flow: Flow[T]) -> Flow[T]:
        """Run the whole flow; an interrupt while another stop is handled also carries the report."""
        try:
            return (yield from flow)
        except (Exception, GeneratorExit):
            raise
        except BaseException as stop:
            if report_of(stop) is None:
                finished: Moment = yield Now()
                self._resolve_open_request(stop)
                attach_report(stop, self.tracker.report(finished.utc))
            raise

    def note_sent(self, open_request: OpenRequest) -> Flow[None]:
        """Note that the request may arrive from now on; its id is in the report if it is in the journal."""
        now: Moment = yield Now()
        event = Sent(now.utc, open_request.reset_request.number, open_request.request.request_id)
        try:
            yield from self.recorder.note(event)
        finally:
            if self.recorder.has_noted(event):
                self.tracker.note_sent(open_request.request.request_id)

    def note_answer(self, open_request: OpenRequest) -> Flow[None]:
        """Note the answer, unless it is already noted."""
        if open_request.answer is None:
            return
        if open_request.event is None:
            now: Moment = yield Now()
            open_request.event = Answered(
                now.utc,
                open_request.reset_request.number,
                open_request.answer.count,
                open_request.answer.request_id,
            )
        if not self.recorder.has_noted(open_request.event):
            yield from self.recorder.note(open_request.event)

    def note_refused(self, open_request: OpenRequest, error: TrainingError) -> Flow[None]:
        """Note that the request is known to have had no effect."""
        now: Moment = yield Now()
        yield from self.recorder.note(_refused(open_request.reset_request, error, Code.REFUSED, now.utc))

    def resolve_final_refusal(
        self, people: Sequence[PlannedReset], error: TrainingError, finished_at: datetime
    ) -> BaseException:
        """Settle people whose request was refused for the last time; return the error to raise."""
        self._to_raise = self.tracker.report_failure(people, failure_outcome(error), finished_at)
        return self._to_raise

    def resolve_failure(self, open_request: OpenRequest, problem: BaseException) -> Flow[BaseException]:
        """Settle the people of a request by the problem that stopped it; return the error to raise, with the report.

        After an interrupt, the answer to an accepted request is still written to the journal: the report contains it.
        """
        if open_request.answer is not None:
            to_raise = problem
            if not isinstance(problem, Exception):
                to_raise = yield from note_if_records_fail(self.note_answer(open_request), problem)
            to_raise = yield from self._resolve_unsent((), to_raise)
            report = report_of(to_raise)
            if open_request.reached_others and report is not None:
                withdraw = self.recorder.withdraw_proof(report)
                self._to_raise = to_raise = yield from note_if_records_fail(withdraw, to_raise)
            return to_raise
        failure = open_request.failure = open_request.failure_after(problem)
        finished: Moment = yield Now()
        to_raise = self.tracker.report_failure(open_request.people, failure, finished.utc)
        if failure.by:
            to_raise = attach_report(problem, self.tracker.report(finished.utc))
        self._to_raise = to_raise
        self._to_raise = yield from note_if_records_fail(
            self.recorder.note(_as_event(finished.utc, open_request, failure)), to_raise
        )
        return self._to_raise

    def close_after(self, problem: BaseException) -> Flow[BaseException]:
        """Write the end of the run to the journal; return the error to raise."""
        to_raise = yield from self._resolve_unsent((), problem)
        report = report_of(to_raise)
        return (
            to_raise
            if report is None
            else (yield from note_if_records_fail(self.recorder.close(report, to_raise), to_raise))
        )

    def _resolve_unsent(self, people: Sequence[PlannedReset], problem: BaseException) -> Flow[BaseException]:
        """Settle these people, for whom nothing was sent; return the error to raise, with the report."""
        if problem is not self._to_raise:
            finished: Moment = yield Now()
            self._resolve_open_request(problem)
            self._to_raise = self.tracker.report_stop(people, problem, finished.utc)
        return self._to_raise

    def resolve_accepted(self, open_request: OpenRequest) -> None:
        """Settle the people of an accepted request; called again if an interrupt came in between."""
        if open_request.answer is None:
            return
        tracker, answer = self.tracker, open_request.answer
        if open_request.reached_others:
            tracker.reached_others = open_request.others_before + open_request.reached_others
            tracker.set_outcome(open_request.people, Outcome.UNKNOWN, LARGER, Code.COUNT_LARGER)
        else:
            tracker.set_outcome(open_request.people, *tracker.order.recipients.after_acceptance(answer.count))
        if answer.request_id not in tracker.requests:
            tracker.note_request(answer.request_id)

    def _resolve_open_request(self, problem: BaseException) -> None:
        """Settle the people of a request where an interrupt came in between."""
        open_request = self.open_request
        if open_request is None:
            return
        if open_request.answer is not None:
            self.resolve_accepted(open_request)
            return
        if open_request.failure is None and open_request.attempt.is_open:
            open_request.failure = open_request.failure_after(problem)
        if open_request.failure is not None:
            self.tracker.set_failure(open_request.people, open_request.failure)


def _as_event(
    at: datetime, open_request: OpenRequest, failure: FailureOutcome
) -> Refused | RefusedInDoubt | Lost:
    reset_request = open_request.reset_request
    if failure.is_known:
        return _refused(reset_request, failure.error, failure.code, at)
    cause_of = failure.error.__cause__
    cause = None if cause_of is None else type(cause_of).__name__
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
        open_request.attempt.status,
    )


def _refused(reset_request: ResetRequest, error: TrainingError, code: Code, at: datetime) -> Refused:
    return Refused(
        at, reset_request.number, type(error).__name__, code.value, error.message, error.request_id
    )
