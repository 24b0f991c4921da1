"""One machine and the service that it talks to: plans are applied, lost and resumed over its records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field

from training_sdk import Outcome, OutcomeUnknownError, ResetFormat, ResetPlan, ResetReport
from training_sdk._core.flow import Flow, NoAnswerError, Request, Response
from training_sdk._core.listing import Calls
from training_sdk.format_proof.proofs import Proof, ProofScope
from training_sdk.records.chain import Lines
from training_sdk.records.events import Event
from training_sdk.records.journal import PROCESSING_TIME, Journal, read_journal, waiting_time
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.reset_request import Order
from training_sdk.resets.reset_run import apply_plan
from training_sdk.resets.resume import resume_plan
from unit.sdk.fakes import CALLS, START, FakeDriver, Organisation, row, user_id
from unit.sdk.resetting import planned

LATER = waiting_time(PROCESSING_TIME).total_seconds()


@define
class Machine:
    """One machine: an organisation, a clock, and a state directory."""

    state: Path
    organisation: Organisation
    calls: Calls = CALLS
    puppet: FakeDriver = field(init=False)
    find_proof: Callable[[ProofScope], Proof | None] = field(
        init=False, default=lambda ground: any_proof(ground)
    )

    def __attrs_post_init__(self) -> None:
        self.puppet = FakeDriver(self.organisation, cost=0.01)

    def plan(self, *numbers: int) -> ResetPlan:
        users = [user_id(number) for number in numbers]
        plan = evolve(planned(self.organisation, users=users, calls=self.calls), read_at=START)
        self.organisation.sent.clear()
        return plan

    def apply(self, plan: ResetPlan, **order: Any) -> ResetReport:
        return self._drive(apply_plan, plan, False, order)

    def resume(self, plan: ResetPlan, **order: Any) -> ResetReport:
        return self._drive(resume_plan, plan, True, order)

    def _drive(self, how: Any, plan: ResetPlan, resuming: bool, settings: dict[str, Any]) -> ResetReport:
        keeper = Recorder(str(self.state), None, timedelta(days=400), resuming)
        order = Order(plan, ResetFormat(), **({} if resuming else {"reason": "renewal"}) | settings)
        flow: Flow[ResetReport] = how(self.calls, order, keeper, self.find_proof)
        return self.puppet.run(flow)

    def lose(self, plan: ResetPlan, *, arrives: bool, **order: Any) -> None:
        """Apply a plan whose first request is not answered."""

        def reply(request: Request) -> Response:
            if arrives:
                self.organisation.reset(request)
            raise NoAnswerError("the line was cut")

        self.organisation.on_reset = reply
        with pytest.raises(OutcomeUnknownError):
            self.apply(plan, **order)
        self.organisation.on_reset = None

    def events(self, plan: ResetPlan) -> tuple[Any, ...]:
        return read_journal(self.state / "plans" / plan.digest)

    def rewrite(self, plan: ResetPlan, events: Iterable[Event]) -> None:
        """Put other events into the journal, as of an older version whose audit log did not quote it."""
        folder = self.state / "plans" / plan.digest
        noted = [*events]
        (folder / "journal.jsonl").unlink()
        (self.state / "audit.jsonl").unlink()
        with Journal.open(folder) as journal:
            for event in noted:
                journal.note(event)

    def lines(self) -> list[str]:
        return [entry["event"] for entry in Lines(self.state / "audit.jsonl").read()]


def any_proof(ground: ProofScope) -> Proof | None:
    return Proof(ground, START, "user_admin", "sacrificial", "one", ("two",), counted=True)


def new_machine(tmp_path: Path, people: int = 3, *, reference: bool = True) -> Machine:
    tmp_path.chmod(0o700)
    return Machine(tmp_path, Organisation([row(one) for one in range(people)], reference=reference))


def ends(report: ResetReport | None) -> list[Outcome]:
    assert report is not None
    return [user.outcome for user in report.users]
