"""One outcome for each person in a plan, kept while it is applied, or restored from the journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from attrs import define, evolve, field, frozen

from training_sdk._core.model import Key
from training_sdk._core.text import opening, sentence
from training_sdk.approval.approvals import Approved
from training_sdk.errors import (
    STATUS_ERRORS,
    APIStatusError,
    ConfirmationMismatchError,
    ConflictError,
    OutcomeUnknownError,
    Remedy,
    ResetInterruptedError,
    StalePlanError,
    TrainingError,
    with_changes,
)
from training_sdk.outcome import Code, Outcome
from training_sdk.plans.planned import PlannedReset
from training_sdk.plans.reset_effect import resets_completed_only
from training_sdk.plans.wording import COMPLETED_ONLY, span
from training_sdk.records.events import ReadBack, Refused, Sent
from training_sdk.records.journal import Journal, JournalCopy, RequestsInFlight
from training_sdk.records.journal_state import (
    APPLIED,
    JournalState,
    PersonState,
    RecordedRequest,
    RequestState,
)
from training_sdk.reports.report import (
    LARGER,
    LEFT_ALONE,
    SENT_WITHOUT_EFFECT,
    ResetReport,
    UserOutcome,
    attach_report,
)
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.reset_request import Order

MISMATCH = (
    "The progress of a person changed after the last reading, or the server counts other people than the "
    "plan does: a server that resets completed people only needs a plan for completed people only. Plan "
    "again."
)


ONE_PER_REQUEST = Remedy(
    "one_per_request",
    "Send one person per request (per_request=1): then a refusal is certain to have had no effect, and a 429 is sent "
    "again after the wait that it asks for.",
)
"""The way to refusals that are certain."""


@frozen
class FailureOutcome:
    """The outcome of the people whose request was stopped, and the error to raise."""

    outcome: Outcome
    code: Code
    error: TrainingError
    by: str | None = None
    """The class of an exception other than TrainingError, which is raised unchanged; ``error`` explains it."""
    said_of_people: str | None = None
    """The detail of their outcomes, where it differs from the message of the error."""

    @property
    def is_known(self) -> bool:
        """True if it is certain that the request had no effect."""
        return self.outcome is not Outcome.UNKNOWN


def failure_outcome(problem: BaseException) -> FailureOutcome:
    """Return the outcome of the people of a request, and the error to raise, for what stopped it."""
    if isinstance(problem, OutcomeUnknownError) and was_refused(problem):
        said = with_changes(problem, remedy=ONE_PER_REQUEST)
        return FailureOutcome(Outcome.UNKNOWN, Code.REFUSAL_UNCERTAIN, said, said_of_people=problem.message)
    if isinstance(problem, OutcomeUnknownError):
        return FailureOutcome(Outcome.UNKNOWN, Code.ANSWER_LOST, problem)
    if isinstance(problem, ConfirmationMismatchError):
        message = f"{sentence(problem.message)} {MISMATCH}"
        return FailureOutcome(
            Outcome.FAILED, Code.REFUSED, StalePlanError(evolve(problem.info, message=message))
        )
    if isinstance(problem, ConflictError):
        # The same request is under way elsewhere, so this answer is not the end of it.
        return FailureOutcome(Outcome.UNKNOWN, Code.ANSWER_LOST, problem)
    if isinstance(problem, StalePlanError):
        return FailureOutcome(Outcome.SKIPPED, Code.MOVED, problem)
    if isinstance(problem, ResetInterruptedError):
        return FailureOutcome(Outcome.SKIPPED, Code.INTERRUPTED, problem)
    if isinstance(problem, TrainingError):
        return FailureOutcome(Outcome.FAILED, Code.REFUSED, problem)
    what = f"{type(problem).__name__} interrupted the reset before this was sent."
    return FailureOutcome(
        Outcome.SKIPPED, Code.INTERRUPTED, ResetInterruptedError(what), type(problem).__name__
    )


def was_refused(problem: OutcomeUnknownError) -> bool:
    """Return whether the result is unknown because a refusal may have come after a part was carried out."""
    cause = problem.__cause__
    return isinstance(cause, APIStatusError) and cause.status in STATUS_ERRORS


@define
class OutcomeTracker:
    """One outcome for each person in the plan, at any moment while requests are sent."""

    order: Order
    applied_by: str
    started_at: datetime
    outcomes: dict[Key, UserOutcome] = field(init=False)
    requests: list[str] = field(factory=list)
    sent_ids: list[str] = field(factory=list)
    approved: Approved | None = None
    packs: list[str] = field(factory=list)
    missing_lessons: tuple[Key, ...] = ()
    not_read: tuple[tuple[str, str], ...] = ()
    reached_others: int = 0
    """The number of people outside the plan who may have been reset."""
    others_seen: tuple[str, ...] = ()
    """The user ids of those people, as far as they were seen."""

    def __attrs_post_init__(self) -> None:
        self.outcomes = {user.key: _first(user, self.order.plan.selection) for user in self.order.plan.users}

    def set_outcome(
        self,
        people: Iterable[PlannedReset],
        outcome: Outcome,
        detail: str | None = None,
        code: Code | None = None,
        error: str | None = None,
    ) -> None:
        """Set the outcome of these people."""
        for user in people:
            self.outcomes[user.key] = UserOutcome(user.course_id, user.user_id, outcome, detail, code, error)

    def reopen(self, user: PlannedReset, *, was_sent: bool = False) -> None:
        """Return a person to the outcome before anything was sent, or after a request that had no effect."""
        self.outcomes[user.key] = _first(user, self.order.plan.selection)
        if was_sent:
            self.set_outcome([user], Outcome.SKIPPED, SENT_WITHOUT_EFFECT, Code.NOT_SENT)

    def report_failure(
        self, people: Sequence[PlannedReset], failure: FailureOutcome, finished_at: datetime
    ) -> TrainingError:
        """Settle the people of a request that was stopped; return the error to raise, with the report."""
        self.set_failure(people, failure)
        self.note_request(failure.error.request_id)
        return failure.error.with_report(self.report(finished_at))

    def set_failure(self, people: Sequence[PlannedReset], failure: FailureOutcome) -> None:
        """Set the outcome of the people of a request that was stopped.

        A person whose result is unknown from an earlier request stays unknown: this request proves nothing about the
        earlier one.
        """
        if failure.is_known:
            people = [user for user in people if self.outcomes[user.key].outcome is not Outcome.UNKNOWN]
        detail = failure.said_of_people or failure.error.info.message
        self.set_outcome(
            people, failure.outcome, detail, failure.code, failure.by or type(failure.error).__name__
        )

    def report_stop(
        self, people: Sequence[PlannedReset], problem: BaseException, finished_at: datetime
    ) -> BaseException:
        """Return the error to raise, with the report, after something other than a request has stopped the reset.

        Nothing was sent for these people by the step that failed; people with a more exact outcome keep it.
        """
        is_ours = isinstance(problem, TrainingError)
        is_stop = not is_ours or isinstance(problem, ResetInterruptedError)
        detail = problem.info.message if isinstance(problem, TrainingError) else self._interruption(problem)
        code = Code.INTERRUPTED if is_stop else Code.NOT_SENT
        waiting = [user for user in people if self.outcomes[user.key].code is Code.NOT_SENT]
        self.set_outcome(waiting, Outcome.SKIPPED, detail, code, type(problem).__name__)
        return attach_report(problem, self.report(finished_at))

    def _interruption(self, problem: BaseException) -> str:
        is_open = any(user.code is Code.NOT_SENT for user in self.outcomes.values())
        when = "before all requests were sent" if is_open else "after all requests were sent"
        who = "You" if isinstance(problem, KeyboardInterrupt) else type(problem).__name__
        return f"{who} interrupted the reset {when}."

    def note_evidence(self, recorder: Recorder) -> None:
        """Remember the evidence that was written."""
        self.packs = list(recorder.packs)
        self.missing_lessons = tuple(recorder.missing_lessons)
        self.not_read = tuple(recorder.not_read.items())

    def note_request(self, request_id: str | None) -> None:
        """Remember the id of an exchange."""
        if request_id:
            self.requests.append(request_id)

    def note_others(self, user_ids: Sequence[str]) -> None:
        """Remember people outside the plan who were seen after one call for everyone, and may have been reset."""
        self.reached_others += len(user_ids)
        self.others_seen += tuple(user_ids)

    def note_sent(self, request_id: str | None) -> None:
        """Remember the id under which a request is sent. Older journals contain no such ids."""
        if request_id:
            self.sent_ids.append(request_id)

    def report(self, finished_at: datetime) -> ResetReport:
        """Return the report at this moment."""
        return ResetReport(
            plan=self.order.plan,
            applied_by=self.applied_by,
            users=tuple(self.outcomes.values()),
            requests=tuple(self.requests),
            started_at=self.started_at,
            finished_at=finished_at,
            reason=self.order.reason,
            ticket=self.order.ticket,
            packs=tuple(self.packs),
            missing_lessons=self.missing_lessons,
            evidence_not_read=self.not_read,
            sent_ids=tuple(self.sent_ids),
            approved=self.approved,
            reached_others=self.reached_others,
            others_seen=self.others_seen,
        )


def _first(user: PlannedReset, selection: str | None) -> UserOutcome:
    """Return the outcome of a person before anything was sent."""
    if user.left_out:
        detail = f"left out: {selection} only"
        return UserOutcome(user.course_id, user.user_id, Outcome.SKIPPED, detail, Code.LEFT_OUT)
    if user.is_target:
        detail = "not sent, because the reset stopped earlier"
        return UserOutcome(user.course_id, user.user_id, Outcome.SKIPPED, detail, Code.NOT_SENT)
    return UserOutcome(user.course_id, user.user_id, Outcome.NOTHING_TO_RESET)


def resumed_tracker(order: Order, applied_by: str, recorder: Recorder) -> OutcomeTracker:
    """Return the outcomes of an application that has begun, from its journal."""
    tracker = tracker_from_journal(order, applied_by, recorder.journal, recorder.packs, None)
    tracker.approved = recorder.approved
    return tracker


def tracker_from_journal(
    order: Order,
    applied_by: str,
    journal: Journal | JournalCopy,
    packs: Sequence[str],
    now: datetime | None,
) -> OutcomeTracker:
    """Return the same from a journal that another process may have locked, as known at this time (None: at any)."""
    state = journal.state()
    begun = state.opened
    tracker = OutcomeTracker(order, applied_by, begun.at if begun else order.plan.read_at)
    tracker.packs = list(packs)
    tracker.missing_lessons = state.missing_lessons
    tracker.not_read = state.not_read
    tracker.reached_others = state.reached_others
    tracker.others_seen = state.others_seen
    tracker.requests = [recorded.request_id for recorded in state.requests.values() if recorded.request_id]
    for event in journal.events:
        if isinstance(event, Sent):
            tracker.note_sent(event.request_id)
    settle_by_journal(tracker, journal, now)
    return tracker


def settle_by_journal(tracker: OutcomeTracker, journal: Journal | JournalCopy, now: datetime | None) -> None:
    """Set the outcomes that the journal shows, as far as they are known at this time (None: at any)."""
    state = journal.state()
    in_flight = RequestsInFlight.of(journal.events, state, tracker.order.safeguards.processing_time)
    refused = {event.chunk: event for event in journal.events if isinstance(event, Refused)}
    disregarded = {
        (state.requests[event.chunk].course_id, user_id): " ".join(
            ["Read back.", *(sentence(opening(one)) for one in event.disregarded)]
        )
        for event in journal.events
        if isinstance(event, ReadBack) and event.disregarded
        for user_id, verdict in event.verdicts.items()
        if verdict == APPLIED
    }
    left_by_completion = _left_by_completion(tracker, state, in_flight)
    for user in tracker.order.plan.users:  # who had nothing to reset may have begun, and been skipped
        if user.left_out:
            continue
        person_state = state.person_state(*user.key)
        if person_state is PersonState.RESET:
            tracker.set_outcome([user], Outcome.RESET, disregarded.get(user.key))
        elif person_state is PersonState.SKIPPED:
            code = Code(state.codes[user.key])
            tracker.set_outcome([user], Outcome.SKIPPED, LEFT_ALONE.get(code), code)
        elif user.key in left_by_completion:
            tracker.set_outcome([user], Outcome.UNKNOWN, COMPLETED_ONLY, Code.COMPLETED_ONLY)
        elif (
            person_state is PersonState.UNKNOWN
            or in_flight.open(user.key, now)
            or in_flight.has_accepted(user.key)
        ):
            _leave_unknown(tracker, user, state.requests[state.last[user.key]], in_flight.wait)
        elif person_state is PersonState.REFUSED:
            _leave_refused(tracker, user, refused[state.last[user.key]])
        else:
            tracker.reopen(user, was_sent=_was_in_vain(state, user))


def _left_by_completion(
    tracker: OutcomeTracker, state: JournalState, in_flight: RequestsInFlight
) -> frozenset[Key]:
    """Return the people who were not reset because their service resets only people who have completed the course."""
    planned = {user.key: user for user in tracker.order.plan.targets}
    found: set[Key] = set()
    for recorded in state.requests.values():
        if recorded.state is not RequestState.READ_BACK:
            continue
        here = [
            planned[key] for key in recorded.people if key in planned and state.last[key] == recorded.number
        ]
        reset = [user for user in here if state.users[user.key] is PersonState.RESET]
        left = [user for user in here if state.users[user.key] is PersonState.UNKNOWN]
        is_known = len(reset) + len(left) == len(here) and not any(
            in_flight.open(user.key, None) for user in left
        )
        if is_known and resets_completed_only(reset, left):
            found |= {user.key for user in left}
    return frozenset(found)


def _was_in_vain(state: JournalState, user: PlannedReset) -> bool:
    """Return whether the last request for a person was read back and seen to have had no effect."""
    last = state.last.get(user.key)
    return last is not None and state.requests[last].state is RequestState.READ_BACK


def _leave_unknown(
    tracker: OutcomeTracker, user: PlannedReset, recorded: RecordedRequest, wait: timedelta
) -> None:
    if recorded.reached_others:
        tracker.set_outcome([user], Outcome.UNKNOWN, LARGER, Code.COUNT_LARGER)
        return
    silent = recorded.state is RequestState.ANSWERED or recorded.message is None
    code = Code.NOT_SEEN if silent else Code.ANSWER_LOST
    what = "sent"
    if recorded.is_doubtful_refusal:
        code, what = Code.REFUSAL_UNCERTAIN, "sent together with others and refused"
    detail = f"{what}, and not known to have taken effect. A live service may show the effect up to {span(wait)} later."
    if recorded.is_accepted:
        detail += (
            " The service accepted the request, so it is never sent again automatically. Make a new plan if you want "
            "to send it again."
        )
    tracker.set_outcome([user], Outcome.UNKNOWN, detail, code)


def _leave_refused(tracker: OutcomeTracker, user: PlannedReset, event: Refused) -> None:
    if event.code == Code.REFUSED:
        tracker.set_outcome([user], Outcome.FAILED, event.message, Code.REFUSED, event.error)
    else:
        tracker.reopen(user, was_sent=True)
