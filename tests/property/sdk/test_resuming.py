"""Any sequence of crashes, lost answers and learners who go on: nobody is reset twice, and everybody is accounted for.

The flows run without a network, with the real records on the disk. A crash is a flow that is never continued.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from attrs import define, evolve, field
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from training_sdk import AlreadyAppliedError, Outcome, ResetFormat, ResetPlan, ResetReport, TrainingError
from training_sdk._core.flow import Flow, NoAnswerError, Request, Response, RunLocally
from training_sdk.evidence import verify_pack
from training_sdk.format_proof.proofs import Proof, ProofScope
from training_sdk.local_plans.record_check import check_records
from training_sdk.records.audit import AuditLog
from training_sdk.records.events import EvidenceKept
from training_sdk.records.journal import PROCESSING_TIME, read_journal, waiting_time
from training_sdk.records.journal_state import replay
from training_sdk.records.state import StateDirectory
from training_sdk.resets import preflight, reset_request
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.reset_request import Order
from training_sdk.resets.reset_run import apply_plan
from training_sdk.resets.resume import resume_plan
from unit.sdk.fakes import CALLS, START, FakeDriver, Organisation, answer, row, untouched, user_id
from unit.sdk.resetting import planned

WAYS = ("done", "lost before", "lost after", "refused", "503 before", "503 after")


@define
class Start:
    """One start of the script: where it crashes, if it does, how its resets end, and who learns afterwards."""

    crash: int | None
    ways: list[str]
    later: bool
    learner: int | None


STARTS = st.builds(
    Start,
    crash=st.none() | st.integers(0, 130),
    ways=st.lists(st.sampled_from(WAYS), max_size=4),
    later=st.booleans(),
    learner=st.none() | st.integers(0, 6),
)


@define
class Theatre:
    """An organisation that counts who is cleared, and one clock for all starts."""

    organisation: Organisation
    puppet: FakeDriver
    plan: ResetPlan
    state: Path
    tolerance: int
    cleared: Counter[str] = field(factory=Counter)
    ways: list[str] = field(factory=list)
    begun_again: set[str] = field(factory=set)

    def reset(self, request: Request) -> Response:
        """Do as told, or as the next of the ways says."""
        way = self.ways.pop(0) if self.ways else "done"
        if way == "refused":
            return answer({"code": 3, "message": "no", "details": []}, 400)
        said = answer({"usersUpdated": 0})
        if not way.endswith("before"):
            asked = json.loads(request.body or b"")["userIds"]
            recorded = [one["user_id"] for one in self.organisation.rows if one["opened_at"]]
            self.cleared.update(who for who in asked if who in recorded)
            said = self.organisation.reset(request)
        if way.startswith("lost"):
            raise NoAnswerError("the line was cut")
        return answer({}, 503) if way.startswith("503") else said

    def start(self, one: Start) -> ResetReport | None:
        """Start the script once; its account, if it lived to give one."""
        self.ways = list(one.ways)
        try:
            report = self._drive(apply_plan, False, one.crash)
        except AlreadyAppliedError:
            try:
                report = self._drive(resume_plan, True, one.crash)
            except TrainingError as error:
                report = error.report
        except TrainingError as error:
            report = error.report
        if one.later:
            self.puppet.clock += waiting_time(PROCESSING_TIME).total_seconds()
        if one.learner is not None and one.learner < len(self.organisation.rows):
            again = self.organisation.rows[one.learner]
            again.update(
                row(one.learner, opened_at="2026-03-09T00:00:00Z", completed_at="2026-03-09T01:00:00Z")
            )
            self.begun_again.add(again["user_id"])
        return report

    def _drive(self, how: Any, resuming: bool, crash: int | None) -> ResetReport | None:
        order = Order(self.plan, ResetFormat(), reason="renewal", tolerance=self.tolerance)
        keeper = Recorder(str(self.state), None, timedelta(hours=4), resuming)
        flow: Flow[ResetReport] = how(CALLS, order, keeper, self._proof)
        return flow_to(self.puppet, flow, crash)

    def _proof(self, ground: ProofScope) -> Proof | None:
        return Proof(ground, START, "user_admin", "sacrificial", "one", ("two",), counted=True)

    def check(self, report: ResetReport | None) -> None:
        """What must hold after every start."""
        targets = {user.user_id for user in self.plan.targets}
        sent = {who for people in self.organisation.people_sent for who in people}
        assert sent <= targets
        assert set(self.cleared.values()) <= {1}
        folder = self.state / "plans" / self.plan.digest
        events = read_journal(folder) if folder.exists() else ()
        replay(events)
        assert [str(one) for one in AuditLog(self.state / "audit.jsonl").verify() if not one.is_note] == []
        for event in events:
            if isinstance(event, EvidenceKept):
                assert (
                    verify_pack(self.state / "evidence" / event.pack, manifest_sha256=event.manifest_sha256)
                    == ()
                )
        found = check_records(StateDirectory.open(self.state))
        assert [str(one) for one in found if not one.is_note] == []
        if report is not None:
            self._accounts_for_everyone(report)

    def _accounts_for_everyone(self, report: ResetReport) -> None:
        assert [user.key for user in report.users] == [user.key for user in self.plan.users]
        assert sum(report.counts.values()) == len(self.plan.users)
        for user in report.users:
            if user.user_id in self.cleared:
                assert user.outcome in (Outcome.RESET, Outcome.UNKNOWN), user
            elif user.user_id not in self.begun_again:
                assert user.outcome is not Outcome.RESET, user


def flow_to(puppet: FakeDriver, flow: Flow[ResetReport], crash: int | None) -> ResetReport | None:
    """Drive a flow to its end, or let go of it after so many acts and requests, as a process does that is killed."""
    step, value, passed = flow.send, None, 0
    while True:
        try:
            effect = step(value)
        except StopIteration as end:
            report: ResetReport = end.value
            return report
        if isinstance(effect, RunLocally | Request):
            if passed == crash:
                flow.close()
                return None
            passed += 1
        try:
            value, step = puppet._perform(effect), flow.send
        except Exception as problem:
            value, step = problem, flow.throw


# Without shrinking: an example writes some hundred files' worth of syncs, and would take minutes to grow smaller.
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(
    people=st.lists(st.booleans(), min_size=1, max_size=7).filter(any),
    starts=st.lists(STARTS, min_size=1, max_size=4),
    reference=st.booleans(),
    tolerance=st.integers(0, 3),
)
def test_nobody_reset_twice(people: list[bool], starts: list[Start], reference: bool, tolerance: int) -> None:
    rows = [row(number) if recorded else untouched(number) for number, recorded in enumerate(people)]
    organisation = Organisation(rows, reference=reference)
    plan = evolve(planned(organisation), read_at=START)
    with (
        tempfile.TemporaryDirectory() as state,
        mock.patch.object(reset_request, "MOST_PER_REQUEST", 2),
        mock.patch.object(preflight, "MOST_PER_REQUEST", 2),
    ):
        Path(state).chmod(0o700)
        theatre = Theatre(organisation, FakeDriver(organisation, cost=0.01), plan, Path(state), tolerance)
        organisation.on_reset = theatre.reset
        for one in starts:
            theatre.check(theatre.start(one))
        theatre.puppet.clock += waiting_time(PROCESSING_TIME).total_seconds()
        last = theatre.start(Start(None, [], later=False, learner=None))
        theatre.check(last)
        if last is not None and not theatre.begun_again:
            assert last.is_complete
            assert (
                set(theatre.cleared)
                == {user.user_id for user in plan.targets}
                == {user_id(number) for number, recorded in enumerate(people) if recorded}
            )
