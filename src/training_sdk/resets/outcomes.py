"""The account that is kept while a plan is applied: one outcome for everyone, at any moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from attrs import define, evolve, field, frozen

from training_sdk._core.model import Key
from training_sdk._core.text import sentence
from training_sdk.approval.approvals import Approved
from training_sdk.errors import (
    STATUS_ERRORS,
    APIStatusError,
    ConfirmationMismatchError,
    ConflictError,
    OutcomeUnknownError,
    ResetInterruptedError,
    StalePlanError,
    TrainingError,
)
from training_sdk.plans.planned import PlannedReset
from training_sdk.resets.report import SENT_WITHOUT_EFFECT, Code, Outcome, ResetReport, UserOutcome
from training_sdk.resets.reset_request import Order
from training_sdk.resets.stopped import carrying

MISMATCH = (
    "Someone moved after the last reading, or the server counts others than the plan does: one that resets completed "
    "people only needs a plan with only='completed'. Plan again"
)


ONE_PER_REQUEST = (
    "Where a request names one person (per_request=1), a refusal is certain to have had no effect, and a 429 is waited "
    "for"
)
"""How to have refusals that are certain."""


@frozen
class Fate:
    """What a stop means for the people whose request it stopped, and the error to raise."""

    outcome: Outcome
    code: Code
    error: TrainingError
    by: str | None = None
    """What is no TrainingError and goes on as itself, by the name of its class; ``error`` says what it means."""
    said_of_people: str | None = None
    """What their outcomes say, where that is less than the error says."""

    @property
    def is_known(self) -> bool:
        """Whether it is certain that nothing happened."""
        return self.outcome is not Outcome.UNKNOWN


def fate_of(problem: BaseException) -> Fate:
    """What a stop means for the request that it stopped."""
    if isinstance(problem, OutcomeUnknownError) and was_refused(problem):
        message = f"{sentence(problem.message)} {ONE_PER_REQUEST}."
        said = OutcomeUnknownError(evolve(problem.info, message=message))
        said.__cause__ = problem.__cause__
        return Fate(Outcome.UNKNOWN, Code.REFUSAL_UNCERTAIN, said, said_of_people=problem.message)
    if isinstance(problem, OutcomeUnknownError):
        return Fate(Outcome.UNKNOWN, Code.ANSWER_LOST, problem)
    if isinstance(problem, ConfirmationMismatchError):
        message = f"{sentence(problem.message)} {MISMATCH}"
        return Fate(Outcome.FAILED, Code.REFUSED, StalePlanError(evolve(problem.info, message=message)))
    if isinstance(problem, ConflictError):
        # The same request is under way elsewhere, so this answer is not the end of it.
        return Fate(Outcome.UNKNOWN, Code.ANSWER_LOST, problem)
    if isinstance(problem, StalePlanError):
        return Fate(Outcome.SKIPPED, Code.MOVED, problem)
    if isinstance(problem, ResetInterruptedError):
        return Fate(Outcome.SKIPPED, Code.INTERRUPTED, problem)
    if isinstance(problem, TrainingError):
        return Fate(Outcome.FAILED, Code.REFUSED, problem)
    what = f"the reset was interrupted by {type(problem).__name__} before this was sent"
    return Fate(Outcome.SKIPPED, Code.INTERRUPTED, ResetInterruptedError(what), type(problem).__name__)


def was_refused(problem: OutcomeUnknownError) -> bool:
    """Whether a refusal left it unknown, since it may have come after a part was carried out."""
    cause = problem.__cause__
    return isinstance(cause, APIStatusError) and cause.status in STATUS_ERRORS


@define
class Account:
    """Keeps one outcome for everyone in the plan while chunks are sent."""

    order: Order
    applied_by: str
    started_at: datetime
    outcomes: dict[Key, UserOutcome] = field(init=False)
    requests: list[str] = field(factory=list)
    sent_ids: list[str] = field(factory=list)
    approved: Approved | None = None
    packs: list[str] = field(factory=list)
    missing_lessons: tuple[Key, ...] = ()
    reached_others: int = 0
    """How many people outside the plan may have been reset."""
    others_seen: tuple[str, ...] = ()
    """Those of them who were seen: user ids."""

    def __attrs_post_init__(self) -> None:
        self.outcomes = {user.key: _first(user, self.order.plan.selection) for user in self.order.plan.users}

    def settle(
        self,
        people: Iterable[PlannedReset],
        outcome: Outcome,
        detail: str | None = None,
        code: Code | None = None,
        error: str | None = None,
    ) -> None:
        """Note how it ended for these people."""
        for user in people:
            self.outcomes[user.key] = UserOutcome(user.course_id, user.user_id, outcome, detail, code, error)

    def reopen(self, user: PlannedReset, *, was_sent: bool = False) -> None:
        """Let somebody stand as before anything was sent, or after a request that had no effect."""
        self.outcomes[user.key] = _first(user, self.order.plan.selection)
        if was_sent:
            self.settle([user], Outcome.SKIPPED, SENT_WITHOUT_EFFECT, Code.NOT_SENT)

    def stopped(self, people: Sequence[PlannedReset], fate: Fate, finished_at: datetime) -> TrainingError:
        """Settle the people of a request that was stopped; the error to raise, with the account of everyone."""
        self.settle_by(people, fate)
        self.note_request(fate.error.request_id)
        return fate.error.with_report(self.report(finished_at))

    def settle_by(self, people: Sequence[PlannedReset], fate: Fate) -> None:
        """Note how it ended for the people of a request that was stopped.

        Who is unknown from an earlier request stays so: that this one had no effect says nothing of that one.
        """
        if fate.is_known:
            people = [user for user in people if self.outcomes[user.key].outcome is not Outcome.UNKNOWN]
        detail = fate.said_of_people or fate.error.message
        self.settle(people, fate.outcome, detail, fate.code, fate.by or type(fate.error).__name__)

    def held_up(
        self, people: Sequence[PlannedReset], problem: BaseException, finished_at: datetime
    ) -> BaseException:
        """The error to raise, with the account of everyone, after something other than a request has ended it.

        Nothing was sent of these people by what failed; those of whom more is known keep their outcome.
        """
        is_ours = isinstance(problem, TrainingError)
        is_stop = not is_ours or isinstance(problem, ResetInterruptedError)
        detail = problem.message if isinstance(problem, TrainingError) else self._interruption(problem)
        code = Code.INTERRUPTED if is_stop else Code.NOT_SENT
        waiting = [user for user in people if self.outcomes[user.key].code is Code.NOT_SENT]
        self.settle(waiting, Outcome.SKIPPED, detail, code, type(problem).__name__)
        return carrying(problem, self.report(finished_at))

    def _interruption(self, problem: BaseException) -> str:
        is_open = any(user.code is Code.NOT_SENT for user in self.outcomes.values())
        when = "before everyone was sent" if is_open else "after everyone had been sent"
        who = "you" if isinstance(problem, KeyboardInterrupt) else type(problem).__name__
        return f"the reset was interrupted by {who} {when}"

    def note_request(self, request_id: str | None) -> None:
        """Remember the id of an exchange."""
        if request_id:
            self.requests.append(request_id)

    def note_others(self, user_ids: Sequence[str]) -> None:
        """Remember people outside the plan who were seen after one call for everyone, and may have been reset."""
        self.reached_others += len(user_ids)
        self.others_seen += tuple(user_ids)

    def note_sent(self, request_id: str | None) -> None:
        """Remember the id under which a request is sent, whatever becomes of it; older journals hold none."""
        if request_id:
            self.sent_ids.append(request_id)

    def report(self, finished_at: datetime) -> ResetReport:
        """The account as it stands."""
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
            sent_ids=tuple(self.sent_ids),
            approved=self.approved,
            reached_others=self.reached_others,
            others_seen=self.others_seen,
        )


def _first(user: PlannedReset, selection: str | None) -> UserOutcome:
    """How it stands for somebody before anything was sent."""
    if user.left_out:
        detail = f"left out: {selection} only"
        return UserOutcome(user.course_id, user.user_id, Outcome.SKIPPED, detail, Code.LEFT_OUT)
    if user.is_target:
        detail = "not sent: the reset stopped before"
        return UserOutcome(user.course_id, user.user_id, Outcome.SKIPPED, detail, Code.NOT_SENT)
    return UserOutcome(user.course_id, user.user_id, Outcome.NOTHING_TO_RESET)
