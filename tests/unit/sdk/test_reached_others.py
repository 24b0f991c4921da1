"""A count above what was sent: the proof is withdrawn, nothing more is sent, and no later command forgets it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define, evolve, field

from training_sdk import (
    AlreadyAppliedError,
    Code,
    IncompleteResetError,
    InvalidArgumentError,
    Outcome,
    OutcomeUnknownError,
    ResetFormat,
    ResetPlan,
    ResetReport,
    TrainingClient,
    TrainingError,
    UnconfirmedFormatError,
)
from training_sdk._core.flow import Request, Response
from training_sdk.cli.effect_card import effect_card
from training_sdk.cli.exit_codes import ExitCode, code_for, code_for_report, code_for_stop
from training_sdk.format_proof.proofs import ProofScope, find_proof, save_proof, withdraw_proof
from training_sdk.local_plans.record_check import check_records
from training_sdk.records.audit import AuditLog
from training_sdk.records.events import Answered
from training_sdk.records.journal import Journal, read_journal
from training_sdk.records.journal_state import replay
from training_sdk.records.state import StateDirectory
from training_sdk.reports import report_file
from training_sdk.reports.report import report_of
from training_sdk.resets import reset_request, reset_run
from training_sdk.resets.outcomes import OutcomeTracker
from training_sdk.resets.unfinished import report_in
from unit.sdk.fakes import COURSE, SETTINGS, TOKEN, Organisation, answer, over_the_wire, row, user_id
from unit.sdk.proving import proof_of

PEOPLE = 5


@define
class Setup:
    """A service of five people, and a client whose records are in a folder of its own."""

    folder: Path
    organisation: Organisation
    client: TrainingClient = field(init=False)

    def __attrs_post_init__(self) -> None:
        http = httpx.Client(transport=httpx.MockTransport(over_the_wire(self.organisation)))
        self.client = TrainingClient(TOKEN, http_client=http, state_dir=self.folder, **SETTINGS)

    @property
    def state(self) -> StateDirectory:
        return StateDirectory.open(self.folder)

    def plan(self, *numbers: int) -> ResetPlan:
        if not numbers:
            return self.client.resets.plan_everyone(COURSE)
        return self.client.resets.plan(COURSE, [user_id(number) for number in numbers])

    def ground(self, plan: ResetPlan, *, server_side: bool = False) -> ProofScope:
        return ProofScope.of(plan.origin, ResetFormat(), server_side=server_side)

    def prove(self, plan: ResetPlan, *, server_side: bool = False) -> None:
        if not plan.origin.reference_server:
            save_proof(self.state, proof_of(self.ground(plan, server_side=server_side), datetime.now(UTC)))

    def apply(self, plan: ResetPlan, **options: Any) -> ResetReport:
        return self.client.resets.apply(plan, confirm=plan.phrase, reason="yearly", **options)

    def resume(self, plan: ResetPlan) -> ResetReport:
        return self.client.resets.resume(plan, confirm=plan.phrase)

    def events(self, plan: ResetPlan) -> tuple[Any, ...]:
        return read_journal(self.folder / "plans" / plan.digest)

    def reported(self, plan: ResetPlan) -> ResetReport:
        return report_in(self.state, self.folder / "plans" / plan.digest, datetime.now(UTC))[0]

    def logged(self) -> list[dict[str, Any]]:
        return [dict(entry) for entry in AuditLog(self.state.audit).entries()]


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setup]:
    monkeypatch.setattr(reset_request, "MOST_PER_REQUEST", 2)
    people = [row(number) for number in range(PEOPLE)]
    made = Setup(tmp_path / "state", Organisation(people, reference=False))
    with made.client:
        yield made


@pytest.fixture(params=["live", "reference"])
def setup(request: pytest.FixtureRequest, live: Setup) -> Setup:
    live.organisation.reference = request.param == "reference"
    return live


def counting(organisation: Organisation, count: Any, *, resets: bool = True) -> Callable[[Request], Response]:
    """An answer to a reset with this count, whether or not anything was reset."""

    def reply(request: Request) -> Response:
        if resets:
            organisation.reset(request)
        return answer({"usersUpdated": count})

    return reply


def stopped(setup: Setup, plan: ResetPlan, count: Any = 3, **options: Any) -> OutcomeUnknownError:
    """Apply a plan to whose first request the service answers with this count."""
    setup.organisation.on_reset = counting(setup.organisation, count)
    with pytest.raises(OutcomeUnknownError) as caught:
        setup.apply(plan, **options)
    setup.organisation.on_reset = None
    return caught.value


@pytest.mark.parametrize("count", [3, "3", 1000])
def test_a_larger_count_withdraws_the_proof_stops_and_stays(setup: Setup, count: Any) -> None:
    plan = setup.plan(0, 1, 2)
    setup.prove(plan)
    error = stopped(setup, plan, count)
    more = int(count) - 2
    assert (error.reason, code_for(error)) == ("REACHED_OTHERS", ExitCode.OTHERS_REACHED)
    assert "resume" not in str(error) + "".join(getattr(error, "__notes__", ()))
    assert setup.organisation.people_sent == [[user_id(0), user_id(1)]]
    assert find_proof(setup.state, setup.ground(plan)) is None
    report = error.report
    assert report is not None
    assert (report.reached_others, report.is_complete) == (more, False)
    assert [one.code for one in report.users] == [Code.COUNT_LARGER, Code.COUNT_LARGER, Code.NOT_SENT]
    assert {one.outcome for one in report.users[:2]} == {Outcome.UNKNOWN}
    assert [event.count for event in setup.events(plan) if isinstance(event, Answered)] == [int(count)]
    assert setup.logged()[-1]["reached_others"] == more
    assert not [one for one in check_records(setup.state) if not one.is_note]


def test_every_later_resume_reads_back_sends_nothing_and_keeps_it(setup: Setup) -> None:
    plan = setup.plan(0, 1, 2)
    setup.prove(plan)
    stopped(setup, plan)
    for _ in range(2):
        setup.prove(plan)  # also with a proof made since
        with pytest.raises(IncompleteResetError) as caught:
            setup.resume(plan)
        error = caught.value
        assert (error.reason, code_for(error)) == ("REACHED_OTHERS", ExitCode.OTHERS_REACHED)
        assert error.report is not None
        assert [one.outcome for one in error.report.users] == [Outcome.RESET, Outcome.RESET, Outcome.SKIPPED]
        assert error.report.reached_others == 1
    assert len(setup.organisation.resets) == 1
    with pytest.raises(AlreadyAppliedError) as refused:
        setup.apply(plan)
    assert code_for(refused.value) is ExitCode.OTHERS_REACHED
    assert "resume" not in str(refused.value)
    assert not [one for one in check_records(setup.state) if not one.is_note]


def test_a_plan_that_came_to_its_end_keeps_it_too(setup: Setup) -> None:
    plan = setup.plan(0, 1)
    setup.prove(plan)
    stopped(setup, plan)
    report = setup.resume(plan)
    assert [one.outcome for one in report.users] == [Outcome.RESET] * 2
    for kept in (report, setup.reported(plan), report_file.load(setup.folder / "plans" / plan.digest)):
        assert (kept.reached_others, code_for_report(kept)) == (1, ExitCode.OTHERS_REACHED)
        assert "outside the plan may have been reset" in str(kept)
        assert "outside the plan may have been reset" in effect_card(plan, kept)
        with pytest.raises(IncompleteResetError) as caught:
            kept.raise_for_incomplete()
        assert caught.value.reason == "REACHED_OTHERS"
    seen = setup.client.resets.wait_until_verified(plan.digest)
    assert not seen.is_verified
    with pytest.raises(IncompleteResetError) as unverified:
        seen.raise_for_unverified()
    assert code_for(unverified.value) is ExitCode.OTHERS_REACHED
    assert "resume" not in str(seen)
    with pytest.raises(AlreadyAppliedError) as again:
        setup.resume(plan)
    assert code_for(again.value) is ExitCode.OTHERS_REACHED
    assert setup.logged()[-1]["reached_others"] == 1


def test_what_is_unfinished_advises_to_look_into_it_and_not_to_resume(setup: Setup) -> None:
    plan = setup.plan(0, 1, 2)
    setup.prove(plan)
    stopped(setup, plan)
    folder = setup.folder / "plans" / plan.digest
    _, unfinished = report_in(setup.state, folder, datetime.now(UTC))
    assert unfinished is not None
    assert "outside the plan may have been reset" in unfinished.advice
    assert "resume" not in unfinished.advice.lower()


def test_a_process_killed_after_the_answer_was_noted_leaves_no_valid_proof(setup: Setup) -> None:
    plan, other = setup.plan(0, 1, 2), setup.plan(3, 4)
    setup.prove(plan)
    ground = setup.ground(plan)
    proof = find_proof(setup.state, ground)
    stopped(setup, plan)
    if proof is not None:
        save_proof(setup.state, proof)  # as if killed between the journal and the withdrawal
        with pytest.raises(UnconfirmedFormatError) as caught:
            setup.apply(other)
        assert caught.value.reason == "PROOF_WITHDRAWN"
        assert "prove_format" in caught.value.message
        assert "Find out from the service whom it reset" in caught.value.message
        withdraw_proof(setup.state, ground)  # so that no proof of before is known
        with pytest.raises(UnconfirmedFormatError, match="not proved: a proof failed, or was withdrawn"):
            setup.apply(other)
    (folder := setup.folder / "plans" / plan.digest / "report.json").unlink()
    assert not folder.exists()
    assert setup.reported(plan).reached_others == 1


def test_everyone_by_one_call_is_no_exception(setup: Setup) -> None:
    plan = setup.plan()
    setup.prove(plan, server_side=True)
    error = stopped(setup, plan, PEOPLE + 2, server_side=True)
    assert error.report is not None
    assert (error.reason, error.report.reached_others) == ("REACHED_OTHERS", 2)
    assert find_proof(setup.state, setup.ground(plan, server_side=True)) is None
    report = setup.resume(plan)
    assert (report.reached_others, code_for_report(report)) == (2, ExitCode.OTHERS_REACHED)
    assert len(setup.organisation.resets) == 1


def test_people_who_come_during_a_call_for_everyone_stay_in_report_and_exit_code(setup: Setup) -> None:
    plan = setup.plan()
    setup.prove(plan, server_side=True)

    def join(request: Request) -> Response:
        said = setup.organisation.reset(request)
        setup.organisation.rows.append(row(77))
        return said

    setup.organisation.on_reset = join
    with pytest.raises(OutcomeUnknownError) as caught:
        setup.apply(plan, server_side=True)
    assert (caught.value.reason, code_for(caught.value)) == ("REACHED_OTHERS", ExitCode.OTHERS_REACHED)
    report = setup.resume(plan)
    assert (report.reached_others, code_for_report(report)) == (1, ExitCode.OTHERS_REACHED)


@pytest.mark.parametrize("count", [-1, "many", 2.5, True, [3], {"n": 3}, 1, None])
def test_a_missing_or_smaller_count_is_no_proof_of_others(setup: Setup, count: Any) -> None:
    plan = setup.plan(0, 1, 2)
    setup.prove(plan)
    error = stopped(setup, plan, count)
    assert error.report is not None
    assert (error.report.reached_others, code_for(error)) == (0, ExitCode.INCOMPLETE)
    assert [one.outcome for one in error.report.users[:2]] == [Outcome.UNKNOWN] * 2


def test_an_interrupt_right_after_the_answer_keeps_it(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = setup.plan(0, 1, 2)
    setup.prove(plan)
    setup.organisation.on_reset = counting(setup.organisation, 3)

    def interrupted(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training_sdk.resets.request_result.OpenRequest.refuse_larger_count", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        setup.apply(plan)
    report = vars(caught.value)["report"]
    assert (report.reached_others, code_for_stop(caught.value, report)) == (1, ExitCode.OTHERS_REACHED)
    assert not any("resume" in note for note in caught.value.__notes__)
    assert find_proof(setup.state, setup.ground(plan)) is None


@pytest.mark.parametrize("count", [2, 3])
def test_an_interrupt_keeps_the_answer(setup: Setup, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    plan = setup.plan(0, 1)
    setup.prove(plan)
    setup.organisation.on_reset = counting(setup.organisation, count)
    usual, stops = OutcomeTracker.set_outcome, [KeyboardInterrupt()]

    def settle(self: OutcomeTracker, people: Any, outcome: Outcome, *rest: Any) -> None:
        if stops and setup.organisation.resets:
            raise stops.pop()
        usual(self, people, outcome, *rest)

    monkeypatch.setattr(OutcomeTracker, "set_outcome", settle)
    with pytest.raises(KeyboardInterrupt) as caught:
        setup.apply(plan)
    report = report_of(caught.value)
    assert report is not None
    expected = [Outcome.RESET if count == 2 else Outcome.UNKNOWN] * 2
    assert [user.outcome for user in report.users] == expected
    assert report.reached_others == replay(setup.events(plan)).reached_others == count - 2
    assert len(report.requests) == 1
    if count > 2:
        assert find_proof(setup.state, setup.ground(plan)) is None


def test_a_count_not_noted_withdraws_the_proof(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = setup.plan(0, 1, 2)
    setup.prove(plan)
    setup.organisation.on_reset = counting(setup.organisation, 3)
    usual = Journal.note

    def failing(self: Journal, event: Any) -> None:
        if isinstance(event, Answered):
            raise OSError(28, "No space left on device")
        usual(self, event)

    monkeypatch.setattr(Journal, "note", failing)
    with pytest.raises((TrainingError, OSError)) as caught:
        setup.apply(plan)
    report = report_of(caught.value)
    assert report is not None
    assert report.reached_others == 1
    assert find_proof(setup.state, setup.ground(plan)) is None


def test_where_nobody_of_the_plan_was_reset_verifying_keeps_it(setup: Setup) -> None:
    plan = setup.plan(0, 1)
    setup.prove(plan)
    stopped(setup, plan)
    told = setup.reported(plan)
    nobody = evolve(told, users=tuple(evolve(one, outcome=Outcome.SKIPPED) for one in told.users))
    for report in (nobody, evolve(nobody, reached_others=0)):  # the journal knows better than the second
        with pytest.raises(InvalidArgumentError, match="nothing to verify") as caught:
            setup.client.resets.wait_until_verified(report)
        assert code_for(caught.value) is ExitCode.OTHERS_REACHED


def test_a_run_stops_when_the_proof_is_withdrawn(live: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = live
    monkeypatch.setattr(reset_run, "SECONDS_BETWEEN_PROOFS", 0.0)
    plan, other = setup.plan(0, 1, 2), setup.plan(3, 4)
    setup.prove(plan)
    usual = setup.organisation.reset

    def meanwhile(request: Request) -> Response:
        if len(setup.organisation.resets) == 1:
            stopped(setup, other)
            setup.organisation.on_reset = meanwhile
        return usual(request)

    setup.organisation.on_reset = meanwhile
    with pytest.raises(UnconfirmedFormatError) as caught:
        setup.apply(plan)
    assert caught.value.reason == "PROOF_WITHDRAWN"
    assert caught.value.report is not None
    assert [one.outcome for one in caught.value.report.users] == [Outcome.RESET] * 2 + [Outcome.SKIPPED]
    assert [len(people) for people in setup.organisation.people_sent] == [2, 2]


def test_journals_of_before_are_read_as_having_reached_nobody_else(setup: Setup) -> None:
    plan = setup.plan(0, 1)
    setup.prove(plan)
    setup.apply(plan)
    folder = setup.folder / "plans" / plan.digest
    saved = json.loads((folder / "report.json").read_text())
    del saved["reached_others"]
    (folder / "report.json").write_text(json.dumps(saved))
    assert report_file.load(folder).reached_others == 0
    assert replay(setup.events(plan)).reached_others == 0
