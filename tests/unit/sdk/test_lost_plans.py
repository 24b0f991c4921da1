"""A plan whose records were removed, cut or damaged still protects its people, and nobody else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from attrs import evolve

from training_sdk import AlreadyAppliedError, InvalidArgumentError, OverlappingPlanError, RecordsDamagedError
from training_sdk.cli import main
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.evidence.purging import stray_copies
from training_sdk.local_plans.closing import close_plan, find_digest
from training_sdk.local_plans.plan_records import LONGEST_SILENCE, PlanRecords, entries_by_plan
from training_sdk.local_plans.record_check import check_records
from training_sdk.outcome import Outcome
from training_sdk.plans.plan import ResetPlan
from training_sdk.records import plan_copy
from training_sdk.records.audit import AuditLog
from training_sdk.records.journal import PROCESSING_TIME, is_closed
from training_sdk.records.state import StateDirectory
from training_sdk.resets.unfinished import report_in
from training_sdk.resets.verifying import saved_report
from unit.sdk.evidence.past import purge_state
from unit.sdk.fakes import START, row
from unit.sdk.machine import LATER, Machine, ends, new_machine
from unit.sdk.test_resume import interrupted_before_sending

Attack = Callable[[Path], object]


def removed(folder: Path) -> None:
    shutil.rmtree(folder)


def emptied(folder: Path) -> None:
    (folder / "journal.jsonl").write_bytes(b"")


def damaged(folder: Path) -> None:
    path = folder / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"renewal", b"another"))


def cut(folder: Path) -> None:
    """Back to before anything was sent."""
    path = folder / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))


ATTACKS: tuple[Attack, ...] = (removed, emptied, damaged, cut)


def folder_of(machine: Machine, plan: ResetPlan) -> Path:
    return machine.state / "plans" / plan.digest


def lose(machine: Machine, attack: Attack, **order: Any) -> ResetPlan:
    """A plan for two people whose answer was lost, and then its records."""
    lost = machine.plan(0, 1)
    machine.lose(lost, arrives=False, **order)
    attack(folder_of(machine, lost))
    return lost


def another(plan: ResetPlan) -> ResetPlan:
    """Another plan of the same people."""
    return evolve(plan, expires_at=plan.expires_at + timedelta(hours=1))


def now(machine: Machine) -> datetime:
    return START + timedelta(seconds=machine.puppet.clock)


@pytest.mark.parametrize("attack", ATTACKS)
def test_people_whose_fate_was_open_are_not_sent_by_another_plan(attack: Attack, machine: Machine) -> None:
    lost = lose(machine, attack)
    with pytest.raises(OverlappingPlanError, match=f"Nothing was sent.*plan close {lost.short_digest}"):
        machine.apply(machine.plan(1, 2))
    assert machine.organisation.resets == []


@pytest.mark.parametrize("attack", [emptied, damaged, cut])
def test_a_plan_whose_copy_is_there_protects_its_own_people_only(attack: Attack, machine: Machine) -> None:
    lose(machine, attack)
    assert ends(machine.apply(machine.plan(2))) == [Outcome.RESET]


@pytest.mark.parametrize("attack", [emptied, damaged, cut])
def test_an_outline_protects_its_people_while_it_is_unchanged(attack: Attack, machine: Machine) -> None:
    lost = lose(machine, attack)
    outline = plan_copy.outline_in(folder_of(machine, lost))
    (folder_of(machine, lost) / "plan.json").unlink()
    path = folder_of(machine, lost) / "outline.json"
    path.write_bytes(json.dumps({**json.loads(outline), "users": []}).encode())
    with pytest.raises(OverlappingPlanError):
        machine.apply(machine.plan(0, 2))
    path.write_bytes(outline)
    assert ends(machine.apply(machine.plan(2))) == [Outcome.RESET]


def test_without_a_copy_everyone_in_its_courses_is_protected(machine: Machine) -> None:
    lose(machine, removed)
    with pytest.raises(OverlappingPlanError):
        machine.apply(machine.plan(2))


@pytest.mark.parametrize("attack", [removed, damaged])
def test_a_plan_that_has_ended_blocks_nobody(attack: Attack, machine: Machine) -> None:
    lost = machine.plan(0, 1)
    machine.apply(lost)
    attack(folder_of(machine, lost))
    assert machine.apply(machine.plan(2)).is_complete


@pytest.mark.parametrize("attack", [removed, damaged])
def test_a_plan_that_sent_nothing_blocks_nobody(attack: Attack, machine: Machine) -> None:
    lost = machine.plan(0, 1)
    interrupted_before_sending(machine, lost)
    attack(folder_of(machine, lost))
    assert machine.apply(another(machine.plan(0, 1))).is_complete


@pytest.mark.parametrize("attack", [removed, damaged])
def test_on_a_live_service_a_lost_plan_counts_until_the_feed_shows_it(attack: Attack, tmp_path: Path) -> None:
    machine = new_machine(tmp_path, reference=False)
    lost = machine.plan(0, 1)
    machine.apply(lost, reason="renewal")
    attack(folder_of(machine, lost))
    machine.organisation.rows[1].update(row(1))  # the feed shows the past
    again = machine.plan(1, 2)
    with pytest.raises(OverlappingPlanError, match=r"may show older data until"):
        machine.apply(again, reason="yearly")
    machine.puppet.clock += LATER + 60
    machine.apply(machine.plan(2), reason="yearly")


def test_plans_of_another_organisation_block_nobody(machine: Machine) -> None:
    lose(machine, removed)
    machine.organisation.organisation_id = "role_other"
    assert machine.apply(machine.plan(0, 1)).is_complete


# --- what is said of it -----------------------------------------------------------------------------------------------


def test_nothing_is_said_of_a_plan_from_a_journal_that_was_cut(machine: Machine) -> None:
    lost = machine.plan(0, 1)
    machine.lose(lost, arrives=True)
    cut(folder_of(machine, lost))
    state = StateDirectory.open(machine.state)
    with pytest.raises(RecordsDamagedError, match="was changed or shortened"):
        report_in(state, folder_of(machine, lost), now(machine))
    found = [one for one in check_records(state) if one.plan == lost.digest]
    assert any("was changed or shortened" in one.message for one in found)
    assert not any("nothing was sent" in one.message for one in found)


@pytest.mark.parametrize("attack", [removed, emptied])
def test_a_plan_only_in_the_log(attack: Attack, machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither where its report went with the journal: nobody may take it for a plan of which nothing was sent."""
    lost = machine.plan(0, 1)
    lost.save(machine.state / "plan.json")
    machine.lose(lost, arrives=True)
    (folder_of(machine, lost) / "report.json").unlink()
    attack(folder_of(machine, lost))
    records = ["--state-dir", str(machine.state), "--profiles", ""]
    for command in ("report", "resume"):
        for named in (lost.short_digest, lost.digest, str(machine.state / "plan.json")):
            assert main([command, named, *records]) == ExitCode.RECORDS
            told = capsys.readouterr().err
            assert f"The journal of plan #{lost.short_digest} is missing" in told
            assert f"Restore a copy of plans/{lost.digest}" in told
    with pytest.raises(RecordsDamagedError, match="is missing"):
        saved_report(machine.state, lost.short_digest)
    with pytest.raises(RecordsDamagedError, match="Nothing was sent"):
        machine.resume(lost)
    assert main(["report", "--list", *records]) == ExitCode.DONE
    assert f"#{lost.short_digest} is missing" in capsys.readouterr().err
    assert main(["report", "ab" * 8, *records]) == ExitCode.USAGE
    assert len(machine.organisation.resets) == 1


def test_a_report_without_its_journal_is_noted(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    lost = machine.plan(0, 1)
    machine.apply(lost)
    (machine.state / "audit.jsonl").unlink()
    (folder_of(machine, lost) / "journal.jsonl").unlink()
    records = ["--state-dir", str(machine.state), "--profiles", ""]
    assert main(["report", lost.short_digest, *records]) == ExitCode.DONE
    assert "The journal of this plan is missing" in capsys.readouterr().err


def test_a_log_that_quotes_no_journal_tells_a_cut_one_by_its_outcomes(machine: Machine) -> None:
    lost = machine.plan(0, 1)
    machine.lose(lost, arrives=False)
    state = StateDirectory.open(machine.state)
    older = [{k: v for k, v in one.items() if k != "journal"} for one in entries_by_plan(state)[lost.digest]]
    assert PlanRecords.read(state, lost.digest, older).lost() is None
    cut(folder_of(machine, lost))
    assert PlanRecords.read(state, lost.digest, older).lost() is not None


@pytest.mark.parametrize("attack", [emptied, damaged, cut])
def test_the_copy_of_a_started_plan_is_not_purged(attack: Attack, machine: Machine) -> None:
    lose(machine, attack)
    state = StateDirectory.open(machine.state)
    later = datetime.now(UTC) + timedelta(days=9999)
    assert list(stray_copies(state.evidence, later, partial(is_closed, state), ())) == []


# --- a person decides -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
def test_closing_a_lost_plan_lets_others_go_on(attack: Attack, tmp_path: Path) -> None:
    machine = new_machine(tmp_path, reference=False)
    lost = lose(machine, attack, reason="renewal")
    state = StateDirectory.open(machine.state)
    assert find_digest(state, lost.digest[:12]) == lost.digest
    with pytest.raises(InvalidArgumentError, match="was not closed"):
        close_plan(state, lost.digest, reason="looked at", now=now(machine) + timedelta(hours=2))
    machine.puppet.clock += LATER + LONGEST_SILENCE.total_seconds() + 60
    close_plan(state, lost.digest, reason="looked at", now=now(machine))
    assert AuditLog(state.audit).entries()[-1]["event"] == "plan closed"
    with pytest.raises(AlreadyAppliedError, match="closed by hand before"):
        close_plan(state, lost.digest, reason="looked at", now=now(machine))
    assert ends(machine.apply(another(machine.plan(0, 1)), reason="yearly")) == [Outcome.RESET] * 2
    assert is_closed(state, lost.digest)
    purged = purge_state(state, now(machine) + timedelta(days=9999))
    assert [one.purged for one in purged if one.plan_digest == lost.digest] == [True]


def test_a_cut_journal_does_not_open_again_what_a_person_closed(machine: Machine) -> None:
    lost = lose(machine, cut)
    machine.puppet.clock += LATER + LONGEST_SILENCE.total_seconds() + 60
    close_plan(StateDirectory.open(machine.state), lost.digest, reason="looked at", now=now(machine))
    for how in (machine.apply, machine.resume):
        with pytest.raises(AlreadyAppliedError, match="closed by hand"):
            how(lost)


def test_closing_waits_for_as_long_as_the_service_may_work(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, reference=False)
    lost = lose(machine, removed, reason="renewal")
    state, longer = StateDirectory.open(machine.state), PROCESSING_TIME + timedelta(hours=9)
    machine.puppet.clock += LATER + LONGEST_SILENCE.total_seconds() + 60
    with pytest.raises(InvalidArgumentError, match="was not closed"):
        close_plan(state, lost.digest, reason="looked at", now=now(machine), processing_time=longer)
    close_plan(state, lost.digest, reason="looked at", now=now(machine))
    assert not folder_of(machine, lost).exists()


def test_a_lost_plan_that_ended_and_has_no_evidence_has_nothing_to_close(machine: Machine) -> None:
    lost = machine.plan(0, 1)
    machine.apply(lost)
    removed(folder_of(machine, lost))
    shutil.rmtree(machine.state / "evidence")
    with pytest.raises(InvalidArgumentError, match="nothing to close"):
        close_plan(StateDirectory.open(machine.state), lost.digest, reason="looked at", now=now(machine))


# --- what resuming another plan believes ------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", [removed, damaged])
def test_what_a_lost_plan_may_have_done_is_no_proof_of_this_one(attack: Attack, machine: Machine) -> None:
    """R21: a reset by a lost plan is not counted as that of the plan that is resumed."""
    mine = machine.plan(0)
    other = another(mine)
    machine.lose(mine, arrives=False)
    machine.puppet.clock += LATER
    with mock.patch("training_sdk.resets.recorder.refuse_overlapping"):  # as before it looked
        assert machine.apply(other).is_complete
    attack(folder_of(machine, other))
    assert ends(machine.resume(mine)) == [Outcome.UNKNOWN]


def test_what_is_unknown_of_another_plan_is_no_proof_of_this_one(machine: Machine) -> None:
    mine = machine.plan(0)
    other = another(mine)
    machine.lose(mine, arrives=False)
    machine.puppet.clock += LATER
    with mock.patch("training_sdk.resets.recorder.refuse_overlapping"):  # as after a decision to plan again
        machine.lose(other, arrives=True)
    assert ends(machine.resume(mine)) == [Outcome.UNKNOWN]
    assert ends(machine.resume(other)) == [Outcome.RESET]


def test_a_damaged_journal_of_which_nothing_else_is_known_stops_everything(machine: Machine) -> None:
    folder = machine.state / "plans" / ("cd" * 32)
    folder.mkdir(parents=True, mode=0o700)
    (machine.state / "plans").chmod(0o700)
    (folder / "journal.jsonl").write_bytes(b"{}\n")
    with pytest.raises(RecordsDamagedError, match=r"journal\.jsonl"):
        machine.apply(machine.plan(0))
    assert machine.organisation.resets == []
