"""A plan that cannot come to its end is closed by hand, in journal and log, and then its evidence can be purged."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from training_sdk import (
    AlreadyAppliedError,
    InvalidArgumentError,
    PermissionDeniedError,
    RecordsDamagedError,
    RecordsLockedError,
    StalePlanError,
)
from training_sdk.evidence.pack import BEGUN_FILE
from training_sdk.local_plans.closing import close_plan, find_digest
from training_sdk.local_plans.record_check import check_records
from training_sdk.plans.plan import ResetPlan
from training_sdk.records.audit import AuditLog
from training_sdk.records.events import Closed
from training_sdk.records.journal import Journal, is_closed
from training_sdk.records.state import StateDirectory
from training_sdk.resets.unfinished import report_in
from unit.sdk.evidence.past import purge_state
from unit.sdk.fakes import START, answer
from unit.sdk.machine import LATER, Machine, new_machine

NOW = datetime.now(UTC)
DIGEST = "ab" * 32


def state_of(machine: Machine) -> StateDirectory:
    return StateDirectory.open(machine.state)


def purged(machine: Machine, at: datetime = NOW) -> list[bool]:
    return [one.purged for one in purge_state(state_of(machine), at + timedelta(days=9999))]


def refused(machine: Machine) -> ResetPlan:
    plan = machine.plan(0, 1)
    machine.organisation.on_reset = lambda _: answer({"code": 7, "message": "no"}, 403)
    with pytest.raises(PermissionDeniedError):
        machine.apply(plan)
    return plan


def test_a_refused_reset_is_closed_and_its_evidence_purged(machine: Machine) -> None:
    plan = refused(machine)
    assert purged(machine) == [False]
    _, unfinished = report_in(state_of(machine), machine.state / "plans" / plan.digest, NOW)
    assert unfinished is not None
    assert "1 request sent for 2 people: 2 with a known result, 0 unknown. Left to send: 2." in str(
        unfinished
    )
    closed = close_plan(state_of(machine), plan.digest, reason="the right is not granted", ticket="T-9")
    assert dict(closed.standings) == {"refused": 2}
    (pack,) = closed.packs
    event = machine.events(plan)[-1]
    assert isinstance(event, Closed)
    assert event.reason == "the right is not granted"
    entry = AuditLog(machine.state / "audit.jsonl").entries()[-1]
    assert (entry["event"], entry["plan_digest"], entry["ticket"]) == ("plan closed", plan.digest, "T-9")
    assert entry["packs"] == [pack]
    for how in (machine.apply, machine.resume):
        with pytest.raises(AlreadyAppliedError, match="closed by hand"):
            how(plan)
    with pytest.raises(AlreadyAppliedError, match="nothing to close"):
        close_plan(state_of(machine), plan.digest, reason="again")
    assert len(machine.organisation.resets) == 1
    report, unfinished = report_in(state_of(machine), machine.state / "plans" / plan.digest, NOW)
    assert ([user.outcome for user in report.users], unfinished) == (["failed", "failed"], None)
    assert purged(machine) == [True]


def test_an_expired_plan_with_people_left_is_closed(machine: Machine) -> None:
    """Resuming it raises each time, so its journal would stay open for ever."""
    plan = refused(machine)
    machine.puppet.clock += timedelta(days=36501).total_seconds()
    with pytest.raises(StalePlanError):
        machine.resume(plan)
    assert not is_closed(state_of(machine), plan.digest)
    close_plan(state_of(machine), plan.digest, reason="expired")
    assert is_closed(state_of(machine), plan.digest)


def test_who_may_have_been_reset_is_read_back_first(tmp_path: Path) -> None:
    """Somebody who stays unknown after a reading that came late enough is for a person to decide."""
    machine = new_machine(tmp_path, reference=False)
    plan = machine.plan(0, 1)
    machine.lose(plan, arrives=False, reason="yearly")
    with pytest.raises(InvalidArgumentError, match=r"It is uncertain whether plan .* reset 2 people"):
        close_plan(state_of(machine), plan.digest, reason="no time", now=START)
    with pytest.raises(InvalidArgumentError, match=r"Continue with client\.resets\.resume"):
        close_plan(state_of(machine), plan.digest, reason="no time")
    machine.organisation.rows = [one for one in machine.organisation.rows if one["user_id"][-1] != "0"]
    machine.puppet.clock += LATER + 60
    report = machine.resume(plan)
    assert sorted(user.outcome for user in report.users) == ["reset", "unknown"]
    assert not is_closed(state_of(machine), plan.digest)
    closed = close_plan(state_of(machine), plan.digest, reason="she has left the company")
    assert dict(closed.standings) == {"reset": 1, "unknown": 1}
    assert is_closed(state_of(machine), plan.digest)


def test_an_unfinished_pack_goes_whether_its_plan_has_a_journal_or_not(machine: Machine) -> None:
    state = state_of(machine)
    folder = state.evidence / f"{DIGEST[:16]}-20260301T080000.000000Z"
    folder.mkdir()
    (folder / BEGUN_FILE).write_text(json.dumps({"begun_at": START.isoformat(), "plan_digest": DIGEST}))
    assert purged(machine) == [False]
    for named in (DIGEST, DIGEST[:8], DIGEST[:16], DIGEST[:20]):
        assert find_digest(state, named) == DIGEST
    closed = close_plan(state, DIGEST, reason="killed while it was read")
    assert (closed.packs, dict(closed.standings)) == ((folder.name,), {})
    assert is_closed(state, DIGEST)
    with pytest.raises(InvalidArgumentError, match="nothing to close"):
        close_plan(state, DIGEST, reason="again")
    assert purged(machine) == [True]
    assert AuditLog(state.audit).verify() == ()


def unfinished_pack(machine: Machine, digest: str) -> None:
    folder = state_of(machine).evidence / f"{digest[:16]}-20260301T080000.000000Z"
    folder.mkdir()
    (folder / BEGUN_FILE).write_text(json.dumps({"begun_at": START.isoformat(), "plan_digest": digest}))


def test_a_plan_without_a_journal_that_was_closed_cannot_be_applied(machine: Machine) -> None:
    plan = machine.plan(0, 1)
    unfinished_pack(machine, plan.digest)
    close_plan(state_of(machine), plan.digest, reason="killed while it was read")
    assert check_records(state_of(machine))[0].pack
    with pytest.raises(AlreadyAppliedError, match=r"closed by hand.*Nothing was sent"):
        machine.apply(plan)
    assert machine.organisation.resets == []
    assert purged(machine) == [True]
    with pytest.raises(AlreadyAppliedError, match="closed by hand"):
        machine.apply(plan)
    assert check_records(state_of(machine)) == ()
    with pytest.raises(InvalidArgumentError, match="nothing to close"):
        close_plan(state_of(machine), plan.digest, reason="again")


def test_a_plan_that_another_process_is_about_to_begin_is_not_closed(machine: Machine) -> None:
    plan = machine.plan(0, 1)
    unfinished_pack(machine, plan.digest)
    with (
        Journal.open(state_of(machine).plan_folder(plan.digest)),
        pytest.raises(RecordsLockedError),
    ):
        close_plan(state_of(machine), plan.digest, reason="killed while it was read")
    assert AuditLog(machine.state / "audit.jsonl").entries() == ()
    machine.apply(plan)


def test_a_pack_that_names_no_digest_finds_no_plan(machine: Machine) -> None:
    unfinished_pack(machine, "..odd")
    with pytest.raises(InvalidArgumentError, match="no evidence"):
        find_digest(state_of(machine), "..odd")


def test_what_is_not_there_or_under_way_is_not_closed(machine: Machine) -> None:
    state = state_of(machine)
    for wrong in (DIGEST, DIGEST[:8]):
        with pytest.raises(InvalidArgumentError, match="no evidence"):
            find_digest(state, wrong)
    with pytest.raises(InvalidArgumentError, match="nothing to close"):
        close_plan(state, DIGEST, reason="why not")
    plan = refused(machine)
    before = (machine.state / "audit.jsonl").read_bytes()
    with Journal.open(machine.state / "plans" / plan.digest), pytest.raises(RecordsLockedError):
        close_plan(state, plan.digest, reason="why not")
    for bad in ("", "mock_" + "a1" * 24):
        with pytest.raises(InvalidArgumentError, match="reason"):
            close_plan(state, plan.digest, reason=bad)
    assert (machine.state / "audit.jsonl").read_bytes() == before
    assert not is_closed(state, plan.digest)


def test_a_closed_plan_is_held_to_its_line_in_the_log(machine: Machine) -> None:
    plan = refused(machine)
    close_plan(state_of(machine), plan.digest, reason="no right")
    assert [str(one) for one in check_records(state_of(machine)) if not one.is_note] == []
    (machine.state / "other").mkdir(mode=0o700)
    other = new_machine(machine.state / "other")
    forged = refused(other)
    with Journal.open(other.state / "plans" / forged.digest) as journal:
        journal.note(Closed(NOW, {"refused": 2}, "no right"))
    (fault,) = (one for one in check_records(state_of(other)) if not one.is_note)
    assert "no end with the same outcomes" in fault.message


def test_a_kill_while_closing_is_closed_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = refused(machine)
    with monkeypatch.context() as broken:
        broken.setattr(Journal, "note", interrupted)
        with pytest.raises(KeyboardInterrupt):
            close_plan(state_of(machine), plan.digest, reason="no right")
    (note,) = check_records(state_of(machine))
    assert note.is_note
    assert "was closed by hand in the audit log, but its journal has no end. Close it again" in note.message
    assert not is_closed(state_of(machine), plan.digest)
    _, unfinished = report_in(state_of(machine), machine.state / "plans" / plan.digest, NOW)
    assert unfinished is not None
    assert f"close it again: training-sdk plan close {plan.short_digest}" in unfinished.advice
    assert "esume" not in unfinished.advice
    with pytest.raises(AlreadyAppliedError, match=r"closed by hand.*Close it again: .*plan close"):
        machine.resume(plan)
    close_plan(state_of(machine), plan.digest, reason="no right")
    assert [str(one) for one in check_records(state_of(machine)) if not one.is_note] == []
    assert is_closed(state_of(machine), plan.digest)


def interrupted(journal: Journal, event: object) -> None:
    raise KeyboardInterrupt


def test_a_plan_killed_between_its_report_and_the_log_and_then_closed_agrees(machine: Machine) -> None:
    plan = refused(machine)
    log = machine.state / "audit.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    assert b'"reset stopped"' in lines[-1]
    log.write_bytes(b"".join(lines[:-1]))
    close_plan(state_of(machine), plan.digest, reason="cancelled")
    assert [str(one) for one in check_records(state_of(machine)) if not one.is_note] == []


@pytest.mark.parametrize("lost", ["folder", "journal", "content", "all but the first line"])
def test_a_plan_whose_journal_was_lost_is_not_applied_a_second_time(machine: Machine, lost: str) -> None:
    plan = machine.plan(0, 1)
    machine.apply(plan)
    journal = machine.state / "plans" / plan.digest / "journal.jsonl"
    if lost == "folder":
        shutil.rmtree(journal.parent)
    elif lost == "journal":
        journal.unlink()
    else:
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(lines[0] if lost == "all but the first line" else b"")
    sent = len(machine.organisation.resets)
    for go_on in (machine.apply, machine.resume):
        with pytest.raises((RecordsDamagedError, InvalidArgumentError)):
            go_on(plan)
    assert len(machine.organisation.resets) == sent


def test_nothing_is_sent_over_an_audit_log_that_was_changed(machine: Machine) -> None:
    machine.apply(machine.plan(0))
    log = machine.state / "audit.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:1], *lines[2:]]))
    plan = machine.plan(1)
    with pytest.raises(RecordsDamagedError):
        machine.apply(plan)
    assert machine.organisation.resets == []
