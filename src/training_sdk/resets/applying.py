"""Applying a plan: prove where we are, read the people again, send explicit ids, account for everyone."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from attrs import define, evolve, field, frozen

from training_sdk import _codec, _urls
from training_sdk._flow import Flow, Moment, Now, Request, Response
from training_sdk._pages import Calls
from training_sdk._paging import chunked
from training_sdk.errors import (
    ConfirmationError,
    ConfirmationMismatchError,
    ConflictError,
    DecodingError,
    InvalidArgumentError,
    OutcomeUnknownError,
    ResetInterruptedError,
    StalePlanError,
    TrainingError,
)
from training_sdk.resets.format import ResetFormat
from training_sdk.resets.identity import ProvenCalls, check_origin, who_and_where
from training_sdk.resets.plan import PlannedReset, ResetPlan
from training_sdk.resets.planning import read_again, read_rows
from training_sdk.resets.report import Outcome, ResetReport, UserOutcome
from training_sdk.resources.users import reference_server

CHUNK = 1000
LONGEST_SHOWN = 150
MISMATCH = (
    "Someone moved after the last reading, or the server counts others than the plan does: one that resets completed "
    "people only needs a plan with only='completed'. Plan again"
)


@frozen
class Order:
    """What was asked for: the plan, as confirmed, and how it is to be sent."""

    plan: ResetPlan
    format: ResetFormat
    reason: str | None
    ticket: str | None
    server_side: bool
    nonce: str = field(factory=lambda: secrets.token_hex(16))
    """Makes the idempotency keys of this one application: a plan applied again is no repetition of the first time."""


@frozen
class _Answer:
    users_updated: int | None = None


_decode_answer = _codec.decoder(_Answer)


def check_confirmation(plan: ResetPlan, confirm: object, *, server_side: bool) -> None:
    """Refuse, before anything is sent, what is not confirmed by the phrase of this very plan."""
    if not isinstance(plan, ResetPlan):
        raise InvalidArgumentError(
            f"plan must be a ResetPlan from client.resets.plan(…), not {type(plan).__name__}"
        )
    if server_side and (plan.scope != "everyone" or plan.only):
        raise InvalidArgumentError(
            "server_side=True resets whoever the server takes for everyone, so it needs a plan from "
            "plan_everyone(…) without 'only'"
        )
    if type(confirm) is not str or confirm != plan.phrase:
        typed = repr(confirm)
        cut = typed if len(typed) <= LONGEST_SHOWN else typed[:LONGEST_SHOWN] + "…"
        raise ConfirmationError(
            f"confirm is {cut}, but the phrase of this plan is {plan.phrase!r}. Nothing was sent"
        )


def apply_plan(calls: Calls, order: Order) -> Flow[ResetReport]:
    """Send a confirmed plan. Raises with a report of what had been done wherever it stops half-way."""
    plan = order.plan
    requests = _requests(order)
    check_origin(plan, (yield from who_and_where(calls)))
    proven = ProvenCalls.of(calls)
    yield from read_again(proven, plan, plan.users, closed=order.server_side)
    # Once more, now that nothing but the first send follows: what answers here is what will be reset.
    here = yield from who_and_where(calls)
    check_origin(plan, here)
    started: Moment = yield Now()
    account = _Account(order, here.user_id, started.utc)
    for number, (request, chunk) in enumerate(requests):
        if number:  # by now the first reading is old
            yield from account.stopping_at(chunk, read_again(proven, plan, chunk))
        yield from account.stopping_at(chunk, calls.call(request, partial(account.accept, chunk)))
    if order.server_side and requests:
        yield from account.stopping_at((), _read_back(proven, account))
    finished: Moment = yield Now()
    return account.report(finished.utc)


def _read_back(calls: Calls, account: _Account) -> Flow[None]:
    """After one call for everyone, believe only what can be seen: the server decided whom it reset, not the plan."""
    plan = account.order.plan
    rows = yield from read_rows(calls, plan.course.id, None)
    cleared = [
        user for user in plan.targets if user.user_id in rows and not rows[user.user_id].has_recorded_progress
    ]
    account.settle(cleared, Outcome.RESET)
    if len(cleared) < len(plan.targets):
        raise OutcomeUnknownError(
            f"the server accepted a reset of everyone, but {len(plan.targets) - len(cleared)} of "
            f"{len(plan.targets)} people of the plan are not seen at 0 %. Read their progress back"
        )


@define
class _Account:
    """Keeps one outcome for everyone in the plan while chunks are sent."""

    order: Order
    applied_by: str
    started_at: datetime
    outcomes: dict[str, UserOutcome] = field(init=False)
    requests: list[str] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        plan = self.order.plan
        targets = {user.user_id for user in plan.targets}
        self.outcomes = {}
        for user in plan.users:
            if user.user_id in targets:
                first = UserOutcome(user.user_id, Outcome.SKIPPED, "not sent: the reset stopped before")
            elif plan.only:
                first = UserOutcome(user.user_id, Outcome.SKIPPED, f"left out by only={plan.only!r}")
            else:
                first = UserOutcome(user.user_id, Outcome.NOTHING_TO_RESET)
            self.outcomes[user.user_id] = first

    def settle(self, chunk: Sequence[PlannedReset], outcome: Outcome, detail: str | None = None) -> None:
        for user in chunk:
            self.outcomes[user.user_id] = UserOutcome(user.user_id, outcome, detail)

    def accept(self, chunk: Sequence[PlannedReset], answer: Response) -> None:
        """Settle the people of a request from its answer, with nothing in between that could be interrupted."""
        _check_answer(answer, len(chunk))
        self.note_request(answer.request_id)
        if self.order.server_side:
            self.settle(chunk, Outcome.UNKNOWN, "accepted for everyone, and not read back yet")
        else:
            self.settle(chunk, Outcome.RESET)

    def stopping_at(self, chunk: Sequence[PlannedReset], flow: Flow[None]) -> Flow[None]:
        """Run a step; whatever stops it settles the chunk and carries the account of the whole plan."""
        try:
            yield from flow
        except GeneratorExit:
            raise
        except BaseException as problem:
            outcome, error = _fate(problem)
            self.settle(chunk, outcome, error.message)
            self.note_request(error.request_id)
            finished: Moment = yield Now()
            told = error.with_report(self.report(finished.utc))
            raise told from (problem.__cause__ if error is problem else problem)

    def note_request(self, request_id: str | None) -> None:
        if request_id:
            self.requests.append(request_id)

    def report(self, finished_at: datetime) -> ResetReport:
        return ResetReport(
            plan=self.order.plan,
            applied_by=self.applied_by,
            users=tuple(self.outcomes.values()),
            requests=tuple(self.requests),
            started_at=self.started_at,
            finished_at=finished_at,
            reason=self.order.reason,
            ticket=self.order.ticket,
        )


def _fate(problem: BaseException) -> tuple[Outcome, TrainingError]:
    """What a stop means for the chunk it stopped, and the error to raise."""
    if isinstance(problem, OutcomeUnknownError):
        return Outcome.UNKNOWN, problem
    if isinstance(problem, ConfirmationMismatchError):
        message = f"{problem.message.rstrip('.')}. {MISMATCH}"
        return Outcome.FAILED, StalePlanError(evolve(problem.info, message=message))
    if isinstance(problem, ConflictError):
        # The same request is under way elsewhere, so this answer is not the end of it.
        return Outcome.UNKNOWN, problem
    if isinstance(problem, StalePlanError):
        return Outcome.SKIPPED, problem
    if isinstance(problem, TrainingError):
        return Outcome.FAILED, problem
    what = f"the reset was interrupted by {type(problem).__name__} before this was sent"
    return Outcome.SKIPPED, ResetInterruptedError(what)


def _requests(order: Order) -> Sequence[tuple[Request, Sequence[PlannedReset]]]:
    """Everything that will be sent, made before the first of it is, so that none can fail to be made half-way."""
    targets = order.plan.targets
    chunks = [targets] if order.server_side and targets else chunked(targets, CHUNK)
    return [(_request(order, number, chunk), chunk) for number, chunk in enumerate(chunks)]


def _request(order: Order, number: int, chunk: Sequence[PlannedReset]) -> Request:
    """One reset with the two headers that only the reference server knows."""
    course = order.plan.course
    if order.server_side:
        body = order.format.for_everyone(course.id)
    else:
        body = order.format.listed(course.id, [user.user_id for user in chunk])
    key = hashlib.sha256(f"{order.nonce} {number}".encode("ascii")).hexdigest()
    headers = (
        ("reset-confirmation", json.dumps({"courseTitle": course.title, "users": len(chunk)})),
        ("idempotency-key", key[:32]),
    )
    return Request("POST", _urls.RESET_PATH, body=_codec.dumps(body), headers=headers, repeatable=False)


def _check_answer(response: Response, expected: int) -> None:
    """Raise DecodingError unless the reference server says that it reset as many people as were sent."""
    updated = _decode_answer(response).users_updated
    if not reference_server(response):
        raise DecodingError("it was not the reference server that answered", request_id=response.request_id)
    if updated != expected:
        said = "no count" if updated is None else f"{updated} people reset"
        raise DecodingError(
            f"{expected} people were sent, and the answer says {said}", request_id=response.request_id
        )
