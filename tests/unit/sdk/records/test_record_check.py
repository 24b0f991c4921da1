"""Records that contradict each other are found; what is only unfinished, moved or old is no contradiction."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from mock_server import MockTraining
from training_sdk import OutcomeUnknownError, Progress, ResetPlan, Safeguards, TrainingClient
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.program import run as command
from training_sdk.evidence import packs_in, pseudonymise, tables
from training_sdk.local_plans import record_check
from training_sdk.local_plans.closing import close_plan
from training_sdk.local_plans.record_check import PAUSE, RecordFinding, check_records
from training_sdk.records.audit import AuditLog
from training_sdk.records.chain import Lines, encode_line, head_of, next_entry
from training_sdk.records.events import Answered, EvidenceKept, Opened
from training_sdk.records.events import Event as Noted
from training_sdk.records.journal import Journal, read_journal
from training_sdk.records.state import StateDirectory
from unit.sdk.evidence.past import purge_state
from unit.sdk.evidence.past import seal as closing
from unit.sdk.records.first_form import KEY, KINDS, unpacked

LATER = datetime.now(UTC) + timedelta(days=30)


@contextmanager
def connected(folder: Path, mock: MockTraining, **safeguards: Any) -> Iterator[TrainingClient]:
    """A client of this mock whose records are in this folder."""
    with httpx.Client(transport=mock.transport()) as http:
        yield TrainingClient(
            mock.token("admin"),
            http_client=http,
            base_url="https://mock.test",
            state_dir=folder,
            pace=False,
            safeguards=Safeguards(**safeguards),
        )


def everyone_of(client: TrainingClient, mock: MockTraining) -> ResetPlan:
    return client.resets.plan_everyone([*mock.world.main.courses])


def stopped(client: TrainingClient, plan: ResetPlan, **options: Any) -> None:
    """Apply a plan until something interrupts it."""
    with pytest.raises(KeyboardInterrupt):
        client.resets.apply(plan, confirm=plan.phrase, **options)


def applied(folder: Path, *, times: int = 1, **hooks: object) -> Path:
    """A state directory in which plans were applied, by the present form of the records."""
    mock = MockTraining.generate(users=4, courses=times)
    with connected(folder, mock, **hooks) as client:
        for course_id in mock.world.main.courses:
            plan = client.resets.plan_everyone([course_id])
            client.resets.apply(plan, confirm=plan.phrase, reason="test")
    return folder


def faults(folder: Path) -> list[str]:
    return [str(one) for one in found(folder) if not one.is_note]


def notes(folder: Path) -> list[str]:
    return [str(one) for one in found(folder) if one.is_note]


def found(folder: Path) -> tuple[RecordFinding, ...]:
    return check_records(StateDirectory.open(folder))


def plan_folder(folder: Path) -> Path:
    (one,) = (folder / "plans").iterdir()
    return one


def pack_folder(folder: Path) -> Path:
    (one,) = (each for each in (folder / "evidence").iterdir() if each.name != "without-names")
    return one


def purged(folder: Path, only: Collection[tuple[str, str]] | None = None) -> None:
    done = purge_state(StateDirectory.open(folder), LATER, only=only)
    assert only is not None or all(one.purged for one in done)


# --- nothing is wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_records_of_the_first_form_agree(kind: str, tmp_path: Path) -> None:
    folder = unpacked(kind, tmp_path)
    assert faults(folder) == []
    assert len(notes(folder)) == (1 if kind == "halfway" else 0)


@pytest.mark.parametrize("hooks", [{}, {"seal": closing}])
def test_records_agree_after_a_move_and_a_purge(hooks: dict[str, object], tmp_path: Path) -> None:
    folder = applied(tmp_path / "state", times=2, **hooks)
    assert found(folder) == ()
    moved = folder.rename(tmp_path / "elsewhere")
    assert found(moved) == ()
    shutil.copytree(moved, tmp_path / "backup")
    purged(moved)
    assert found(moved) == ()
    assert faults(tmp_path / "backup") == []


def test_a_copy_without_names_agrees_wherever_it_is(tmp_path: Path) -> None:
    folder = applied(tmp_path / "state")
    state = StateDirectory.open(folder)
    for target in (state.evidence / "without-names", tmp_path / "other"):
        pseudonymise(pack_folder(folder), target, KEY, log=AuditLog(state.audit))
    assert found(folder) == ()


def test_a_pack_restored_after_its_purge_is_noted(tmp_path: Path) -> None:
    folder = applied(tmp_path / "state")
    shutil.copytree(folder / "evidence", tmp_path / "kept")
    purged(folder)
    shutil.copytree(tmp_path / "kept", folder / "evidence", dirs_exist_ok=True)
    assert faults(folder) == []
    assert "the log says that it was purged" in notes(folder)[0].replace("audit log", "log")


# --- changed by hand --------------------------------------------------------------------------------------------------


def pack_removed(folder: Path) -> None:
    shutil.rmtree(pack_folder(folder))


def pack_hidden(folder: Path) -> None:
    pack = pack_folder(folder)
    pack.rename(pack.with_name(f".purging-{pack.name}"))


def pack_unfinished(folder: Path) -> None:
    (pack_folder(folder) / "manifest.json").unlink()


def pack_emptied(folder: Path) -> None:
    pack = pack_folder(folder)
    shutil.rmtree(pack)
    pack.mkdir()


def manifest_rewritten(folder: Path) -> None:
    path = pack_folder(folder) / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"organisation_id": "', b'"organisation_id": "x'))


def report_rewritten(folder: Path) -> None:
    path = plan_folder(folder) / "report.json"
    path.write_bytes(path.read_bytes().replace(b'"reset"', b'"failed"', 1))


def report_removed(folder: Path) -> None:
    (plan_folder(folder) / "report.json").unlink()


def plan_removed(folder: Path) -> None:
    shutil.rmtree(plan_folder(folder))


def plan_emptied(folder: Path) -> None:
    (plan_folder(folder) / "journal.jsonl").write_bytes(b"")


def copy_removed(folder: Path) -> None:
    (plan_folder(folder) / "plan.json").unlink()


def copy_rewritten(folder: Path) -> None:
    path = plan_folder(folder) / "plan.json"
    path.write_bytes(path.read_bytes().replace(b"generated", b"degenerate", 1))


def journal_cut(folder: Path) -> None:
    path = plan_folder(folder) / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))


def log_removed(folder: Path) -> None:
    (folder / "audit.jsonl").unlink()


def log_written_anew(what: str) -> Callable[[Path], None]:
    """A flawless chain without the entries of one kind."""

    def rewrite(folder: Path) -> None:
        path = folder / "audit.jsonl"
        head, lines = AuditLog(folder / "none").head(), b""
        for entry in Lines(path).read():
            if entry["event"] != what:
                said = {name: value for name, value in entry.items() if name not in ("n", "prev", "hash")}
                new = next_entry(said, head)
                head, lines = head_of(new), lines + encode_line(new)
        path.write_bytes(lines)
        assert [one for one in AuditLog(path).verify() if not one.is_note] == []

    rewrite.__name__ = f"log_without_{what.replace(' ', '_')}"
    return rewrite


ATTACKS = (
    *(pack_removed, pack_hidden, pack_unfinished, pack_emptied, manifest_rewritten),
    *(report_rewritten, report_removed, plan_removed, plan_emptied, copy_removed, copy_rewritten),
    *(journal_cut, log_removed),
    *map(log_written_anew, ("reset begun", "evidence kept", "reset ended")),
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("old", [False, True])
def test_what_was_changed_by_hand_is_found_and_both_commands_say_so(
    attack: Callable[[Path], None], old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unpacked("closed", tmp_path) if old else applied(tmp_path / "state")
    assert found(folder) == ()
    attack(folder)
    assert len(faults(folder)) >= 1
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(folder))
    monkeypatch.setenv("TRAINING_SDK_PROFILES", "")
    assert command(["audit", "verify"]) == ExitCode.RECORDS
    assert command(["evidence", "verify"]) == ExitCode.RECORDS


def ended(folder: Path, event: str, **changed: object) -> None:
    """Add another end to the log, which says what the last one says but for this."""
    log = AuditLog(folder / "audit.jsonl")
    kept = {
        name: value
        for name, value in log.entries()[-1].items()
        if name not in ("n", "prev", "hash", "at", "event")
    }
    log.append(event, **{**kept, **changed})


def rewritten_report(folder: Path) -> str:
    """A report in which somebody who was reset was not; its SHA-256."""
    path = plan_folder(folder) / "report.json"
    path.write_bytes(path.read_bytes().replace(b'"reset"', b'"skipped"', 1))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("outcomes", "fault"),
    [({"outcomes": {"skipped": 4}}, "after it"), ({}, "other outcomes than the end of its journal")],
)
def test_outcomes_unlike_the_journal_are_found(outcomes: dict[str, Any], fault: str, tmp_path: Path) -> None:
    folder = applied(tmp_path / "state")
    ended(folder, "reset stopped", report_sha256=rewritten_report(folder), **outcomes)
    assert any(fault in one for one in faults(folder))


def test_an_interrupt_between_two_ends_of_a_plan_leaves_equal_outcomes(tmp_path: Path) -> None:
    folder = applied(tmp_path / "state")
    ended(folder, "reset stopped")
    assert found(folder) == ()


@pytest.mark.parametrize("name", ["plan.json", "approval.json"])
def test_a_purge_of_one_of_several_packs_excuses_no_missing_copy(name: str, tmp_path: Path) -> None:
    folder = twice_begun(tmp_path / "state")
    first, second = sorted(packs_in(folder / "evidence"))
    for going in (first, second):
        assert (plan_folder(folder) / name).exists()
        purged(
            folder, only=[(going.name, hashlib.sha256((going / "manifest.json").read_bytes()).hexdigest())]
        )
        assert found(folder) == ()
        if going == first:
            shutil.copytree(folder, tmp_path / "tampered")
            (plan_folder(tmp_path / "tampered") / name).unlink()
            assert len(faults(tmp_path / "tampered")) == 1
    assert not (plan_folder(folder) / name).exists()


def twice_begun(folder: Path, **hooks: object) -> Path:
    """A state directory with a plan that was applied at the second attempt, and so has two packs."""
    mock = MockTraining.generate(users=4, courses=1)
    with connected(folder, mock, four_eyes="procedural", **hooks) as client:
        plan = everyone_of(client, mock)
        approver = client.with_options(token=mock.token("manager"))
        approval = approver.resets.approve(plan, confirm=plan.phrase)

        def stop(progress: Progress) -> None:
            if progress.what == "evidence":
                raise KeyboardInterrupt

        stopped(client, plan, approval=approval, on_progress=stop)
        client.resets.apply(plan, confirm=plan.phrase, approval=approval)
    return folder


def test_a_purge_of_another_pack_excuses_nobody(tmp_path: Path) -> None:
    folder = unpacked("closed", tmp_path)
    AuditLog(folder / "audit.jsonl").append("evidence purged", pack={"name": "another"})
    pack_removed(folder)
    assert len(faults(folder)) == 1


def test_a_report_with_more_people_than_the_journal_is_found_while_open(tmp_path: Path) -> None:
    folder = unpacked("halfway", tmp_path)
    path = plan_folder(folder) / "report.json"
    said = json.loads(path.read_bytes())
    said["users"] = [{**one, "outcome": "reset"} for one in said["users"]]
    path.write_text(json.dumps(said))
    assert len(faults(folder)) == 1


# --- only unfinished --------------------------------------------------------------------------------------------------


def test_a_purge_killed_at_any_call_is_unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, number, killed = applied(tmp_path / "state"), 0, True
    while killed:
        assert number < 1000, "it ends"
        folder = tmp_path / f"{number}"
        shutil.copytree(source, folder)
        with monkeypatch.context() as patched:
            dying(patched, number)
            try:
                purged(folder)
                killed = False
            except KeyboardInterrupt:
                number += 1
        assert faults(folder) == []
        purged(folder)
        assert found(folder) == ()
    assert number > 15


def dying(patched: pytest.MonkeyPatch, number: int) -> None:
    calls: list[str] = []
    for name in ("unlink", "rmdir", "rename"):
        real = getattr(Path, name)

        def call(
            path: Path, *arguments: object, real: Callable[..., object] = real, **options: object
        ) -> object:
            if {"evidence", "plans"} & set(path.parts):
                calls.append(path.name)
                if len(calls) > number:
                    raise KeyboardInterrupt
            return real(path, *arguments, **options)

        patched.setattr(Path, name, call)


def test_records_being_written_show_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_check, "PAUSE", PAUSE)
    ended, seen = Event(), 0
    folder = tmp_path / "state"
    StateDirectory.open(folder)

    def write() -> None:
        try:
            applied(folder, times=6)
        finally:
            ended.set()

    writer = Thread(target=write)
    writer.start()
    while not ended.is_set():
        assert faults(folder) == []
        seen += 1
    writer.join()
    assert seen > 3
    assert found(folder) == ()


def test_an_answer_that_was_lost_is_unfinished_and_then_resumed(tmp_path: Path) -> None:
    mock = MockTraining.generate(users=4, courses=1)
    mock.faults.add("drop", operation="ResetCourseProgress", when="after")
    with connected(tmp_path / "s", mock) as client:
        plan = everyone_of(client, mock)
        with pytest.raises(OutcomeUnknownError):
            client.resets.apply(plan, confirm=plan.phrase, reason="test")
        assert faults(tmp_path / "s") == []
        assert "Resume it" in notes(tmp_path / "s")[0]
        client.resets.resume(plan, confirm=plan.phrase)
    assert found(tmp_path / "s") == ()


def test_a_reset_stopped_before_journaling_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, mock, real = tmp_path / "s", MockTraining.generate(users=4, courses=1), Journal.note

    def note(journal: Journal, event: Noted) -> None:
        if isinstance(event, Answered):
            raise KeyboardInterrupt
        real(journal, event)

    with connected(folder, mock) as client:
        plan = everyone_of(client, mock)
        with monkeypatch.context() as patched:
            patched.setattr(Journal, "note", note)
            stopped(client, plan, reason="test")
        counted = AuditLog(folder / "audit.jsonl").entries()[-1]["outcomes"]
        assert counted["reset"] > counted["unknown"] == 0
        assert faults(folder) == []
        assert any("unknown: it was stopped" in one for one in notes(folder))
        shutil.copytree(folder, tmp_path / "forged")
        ended(tmp_path / "forged", "reset stopped", outcomes={"reset": counted["reset"] + 1})
        assert len(faults(tmp_path / "forged")) == 1
        client.resets.resume(plan, confirm=plan.phrase)
    assert found(folder) == ()


@pytest.mark.parametrize("kind", [Opened, EvidenceKept])
def test_closing_stopped_before_the_log(kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, mock, real = tmp_path / "s", MockTraining.generate(users=4, courses=1), AuditLog.append

    def append(log: AuditLog, event: str, **facts: Any) -> Any:
        if event == {Opened: "reset begun", EvidenceKept: "evidence kept"}[kind]:
            raise KeyboardInterrupt
        return real(log, event, **facts)

    with connected(folder, mock) as client:
        plan = everyone_of(client, mock)
        with monkeypatch.context() as patched:
            patched.setattr(AuditLog, "append", append)
            stopped(client, plan, reason="test")
    assert isinstance(read_journal(plan_folder(folder))[-1], kind)
    assert f"Plan #{plan.short_digest}" in notes(folder)[0]  # as everything else calls it
    close_plan(StateDirectory.open(folder), plan.digest, reason="not needed any more")
    assert faults(folder) == []
    for path in plan_folder(folder).iterdir():
        os.utime(path, (0, 0))
    purged(folder)
    assert not (plan_folder(folder) / "plan.json").exists()
    assert found(folder) == ()


def test_a_plan_closed_by_hand_whose_unfinished_pack_was_purged_agrees(tmp_path: Path) -> None:
    folder, mock = tmp_path / "s", MockTraining.generate(users=4, courses=1)
    with connected(folder, mock) as client:
        plan = everyone_of(client, mock)
        with patch.object(tables.Tables, "add", side_effect=KeyboardInterrupt):
            stopped(client, plan, reason="test")
    assert (pack_folder(folder) / "begun.json").exists()
    assert not (pack_folder(folder) / "manifest.json").exists()
    state = StateDirectory.open(folder)
    close_plan(state, plan.digest, reason="killed")
    assert faults(folder) == []
    purged(folder)
    assert not (plan_folder(folder) / "plan.json").exists()
    assert found(folder) == ()
