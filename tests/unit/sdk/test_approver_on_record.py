"""The approver is in the report, the card, and the audit log as it is shown; the log itself holds ids alone."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve, field, frozen

from mock_server import MockTraining
from training_sdk import (
    Approval,
    ApprovalError,
    EvidenceError,
    OutcomeUnknownError,
    ResetInterruptedError,
    ResetPlan,
    Safeguards,
    TrainingClient,
)
from training_sdk.approval.approvals import approval_bytes, parse_approval
from training_sdk.cli import main
from training_sdk.cli.effect_card import effect_card
from training_sdk.local_plans.record_check import check_records
from training_sdk.records.audit import AuditLog
from training_sdk.records.events import Opened
from training_sdk.records.journal import read_journal
from training_sdk.records.state import StateDirectory
from training_sdk.reports import report_file
from unit.sdk.evidence.past import purge_state
from unit.sdk.fakes import RESET, refusal

COURSE = "6908610029087ab67fa50c2e"


@frozen
class Office:
    """Two people of the demo organisation, one of whom approves."""

    folder: Path
    mock: MockTraining = field(factory=MockTraining.demo)

    def client(
        self, who: Any = "admin", seal: Callable[[bytes], bytes] | None = None, **other: Any
    ) -> TrainingClient:
        http = httpx.Client(transport=self.mock.transport(), **other)
        rule = Safeguards(four_eyes="procedural", seal=seal)
        return TrainingClient(
            self.mock.token(who), http_client=http, state_dir=self.state, pace=False, safeguards=rule
        )

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> AuditLog:
        return AuditLog(self.state / "audit.jsonl")

    def plan(self) -> tuple[ResetPlan, Approval]:
        plan = self.client().resets.plan_everyone(COURSE)
        return plan, self.client("manager").resets.approve(plan, confirm=plan.phrase)

    def plan_folder(self, plan: ResetPlan) -> Path:
        return self.state / "plans" / plan.digest


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_report_card_and_log_name_the_approver(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    plan, approval = office.plan()
    report = office.client().resets.apply(plan, confirm=plan.phrase, reason="yearly", approval=approval)
    assert report.approved is not None
    assert report.approved.approver == approval.approver
    name, user_id = approval.approver.name, approval.approver.user_id
    assert name
    assert f"Approved by {name} ({user_id})" in str(report)
    assert f"{name} ({user_id})" in effect_card(plan, report)
    assert (office.plan_folder(plan) / "approval.json").read_bytes() == approval_bytes(approval)
    assert Approval.load(office.plan_folder(plan) / "approval.json") == approval
    assert report_file.load(office.plan_folder(plan)) == report

    for append_only in (office.log.path, office.plan_folder(plan) / "journal.jsonl"):
        assert user_id in append_only.read_text()
        assert name not in append_only.read_text()
        assert json.dumps(name)[1:-1] not in append_only.read_text()

    for format_ in ("csv", "json"):
        text = StringIO()
        office.log.export(text, format_)
        rows = (
            list(csv.DictReader(StringIO(text.getvalue())))
            if format_ == "csv"
            else json.loads(text.getvalue())
        )
        assert {row.get("approver") for row in rows} == {f"{name} ({user_id})"}
    assert office.log.verify() == ()

    assert main(["audit", "show", "--state-dir", str(office.state), "--profiles", ""]) == 0
    assert name in capsys.readouterr().out
    assert main(["report", plan.digest, "--json", "--state-dir", str(office.state), "--profiles", ""]) == 0
    assert json.loads(capsys.readouterr().out)["report"]["approved"]["approver"]["name"] == name


def test_once_the_approval_is_purged_nothing_names_the_approver(office: Office) -> None:
    plan, approval = office.plan()
    office.client().resets.apply(plan, confirm=plan.phrase, reason="yearly", approval=approval)
    sealed = (office.plan_folder(plan) / "report.json").read_bytes()
    state = StateDirectory.open(office.state)
    gone = purge_state(state, datetime.now(UTC) + timedelta(days=9999))
    assert [one.purged for one in gone] == [True]
    name, user_id = approval.approver.name, approval.approver.user_id
    assert all(
        name.encode() not in path.read_bytes() and json.dumps(name)[1:-1].encode() not in path.read_bytes()
        for path in office.plan_folder(plan).iterdir()
        if path.name != report_file.PLAN
    )
    found = report_file.load(office.plan_folder(plan)).approved
    assert found is not None
    assert (found.approver.user_id, found.approver.name) == (user_id, "")
    assert {office.log.approver_of(entry) for entry in office.log.entries()} == {user_id, None}
    assert (office.plan_folder(plan) / "report.json").read_bytes() == sealed


def test_resuming_keeps_both_approvals_and_names_the_later_one(office: Office) -> None:
    plan, first = office.plan()

    def lose(response: httpx.Response) -> None:
        if response.request.url.path.endswith(RESET):
            raise httpx.ReadError("cut", request=response.request)

    unlucky = office.client(event_hooks={"response": [lose]})
    with pytest.raises(OutcomeUnknownError) as caught:
        unlucky.resets.apply(plan, confirm=plan.phrase, reason="yearly", approval=first)
    assert caught.value.report is not None
    assert caught.value.report.approved is not None
    second = evolve(first, approver=evolve(first.approver, name="As they are called now"))
    report = office.client().resets.resume(plan, confirm=plan.phrase, approval=second)
    assert report.approved is not None
    kept = {path.name: path.read_bytes() for path in office.plan_folder(plan).glob("approval*.json")}
    assert kept == {
        "approval.json": approval_bytes(first),
        "approval-2.json": approval_bytes(second),
    }


def test_resuming_without_an_approval_verifies_the_one_that_is_kept(office: Office) -> None:
    plan, approval = office.plan()
    with pytest.raises(ResetInterruptedError):
        office.client().resets.apply(
            plan, confirm=plan.phrase, reason="yearly", approval=approval, stop=lambda: True
        )
    kept = office.plan_folder(plan) / "approval.json"
    content = kept.read_bytes()
    kept.write_bytes(content.replace(plan.digest.encode(), b"0" * 64))
    with refusal(ApprovalError, "OTHER_PLAN"):
        office.client().resets.resume(plan, confirm=plan.phrase)
    for damaged in (b"{", b""):
        kept.write_bytes(damaged)
        with refusal(ApprovalError, "NO_APPROVAL"):
            office.client().resets.resume(plan, confirm=plan.phrase)
    kept.write_bytes(content)
    with refusal(ApprovalError, "SAME_USER"):
        office.client("manager").resets.resume(plan, confirm=plan.phrase)
    assert not [*office.mock.calls.of("reset")]
    report = office.client().resets.resume(plan, confirm=plan.phrase)
    assert report.is_complete
    assert report.approved is not None
    assert report.approved.approver == approval.approver
    assert [path.name for path in office.plan_folder(plan).glob("approval*")] == ["approval.json"]


def interrupted(office: Office, plan: ResetPlan, approval: Approval) -> None:
    with pytest.raises(ResetInterruptedError):
        office.client(seal=seal).resets.apply(
            plan, confirm=plan.phrase, reason="yearly", approval=approval, stop=lambda: True
        )


def test_resuming_without_an_approval_opens_the_one_that_is_sealed(office: Office) -> None:
    plan, approval = office.plan()
    interrupted(office, plan, approval)
    client = office.client(seal=seal)
    with refusal(ApprovalError, "NO_APPROVAL", r"approval\.json\.sealed.*Nothing was sent.*unseal"):
        client.resets.resume(plan, confirm=plan.phrase)
    with pytest.raises(ApprovalError):
        client.resets.resume(plan, confirm=plan.phrase, unseal=lambda sealed: sealed)

    def broken(sealed: bytes) -> bytes:
        raise OSError("no key")

    with pytest.raises(EvidenceError, match="no key"):
        client.resets.resume(plan, confirm=plan.phrase, unseal=broken)
    with refusal(ApprovalError, "SAME_USER"):
        office.client("manager").resets.resume(plan, confirm=plan.phrase, unseal=seal)
    assert not [*office.mock.calls.of("reset")]
    report = office.client().resets.resume(plan, confirm=plan.phrase, unseal=seal)  # which does not seal
    assert report.is_complete
    assert report.approved is not None
    assert report.approved.approver == approval.approver
    assert [path.name for path in office.plan_folder(plan).glob("approval*.json")] == [
        "approval.outline.json"
    ]
    assert check_records(StateDirectory.open(office.state)) == ()


def test_a_sealed_approval_is_kept_once_however_often_the_plan_is_resumed_with_it(office: Office) -> None:
    """Also by a client that does not seal, which would keep it in clear; another with the same outline stays too."""
    plan, first = office.plan()
    interrupted(office, plan, first)
    second = evolve(first, approver=evolve(first.approver, name="As they are called now"))
    for approval, number in ((first, 1), (second, 2), (first, 2), (second, 2)):
        for client in (office.client(seal=seal), office.client()):
            with pytest.raises(ResetInterruptedError):
                client.resets.resume(plan, confirm=plan.phrase, approval=approval, stop=lambda: True)
            files = sorted(path.name for path in office.plan_folder(plan).glob("approval*"))
            assert len(files) == 2 * number
            assert all(name.endswith((".sealed", ".outline.json")) for name in files)
    (office.plan_folder(plan) / "approval-2.json.sealed").unlink()
    (office.plan_folder(plan) / "approval-2.outline.json").unlink()
    office.client(seal=seal).resets.resume(plan, confirm=plan.phrase, approval=second)
    assert seal((office.plan_folder(plan) / "approval-2.json.sealed").read_bytes()) == approval_bytes(second)
    assert check_records(StateDirectory.open(office.state)) == ()


def test_a_name_that_was_edited_before_resuming_is_still_found(office: Office) -> None:
    plan, approval = office.plan()
    with pytest.raises(ResetInterruptedError):
        office.client().resets.apply(
            plan, confirm=plan.phrase, reason="yearly", approval=approval, stop=lambda: True
        )
    kept = office.plan_folder(plan) / "approval.json"
    kept.write_bytes(approval_bytes(evolve(approval, approver=evolve(approval.approver, name="Another"))))
    assert office.client().resets.resume(plan, confirm=plan.phrase).is_complete
    (found,) = check_records(StateDirectory.open(office.state))
    assert "approval.json" in str(found)


def test_without_an_approval_nothing_is_kept_and_older_reports_are_read(tmp_path: Path) -> None:
    office = Office(tmp_path)
    client = evolve(office, mock=office.mock).client()
    plan = client.resets.plan_everyone(COURSE)
    plain = TrainingClient(
        office.mock.token("admin"),
        http_client=httpx.Client(transport=office.mock.transport()),
        state_dir=office.state,
        pace=False,
    )
    report = plain.resets.apply(plan, confirm=plan.phrase, reason="yearly")
    assert report.approved is None
    folder = office.plan_folder(plan)
    assert not list(folder.glob("approval*"))
    document = json.loads((folder / "report.json").read_bytes())
    assert document.pop("approval") is None
    (folder / "report.json").write_text(json.dumps(document))
    assert report_file.load(folder) == report
    (opened,) = (event for event in read_journal(folder) if isinstance(event, Opened))
    assert opened.approval is None
    assert {office.log.approver_of(entry) for entry in office.log.entries()} == {None}


def in_clear(folder: Path, name: str) -> list[str]:
    """The files in which a name can be read."""
    spellings = (name.encode(), json.dumps(name)[1:-1].encode())
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and any(one in path.read_bytes() for one in spellings)
    ]


def test_sealed_approvals_hide(office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, approval = office.plan()
    client = office.client(seal=seal)
    report = client.resets.apply(plan, confirm=plan.phrase, reason="yearly", approval=approval)
    name, user_id = approval.approver.name, approval.approver.user_id
    folder = office.plan_folder(plan)
    assert in_clear(office.state, name) == []
    assert seal((folder / "approval.json.sealed").read_bytes()) == approval_bytes(approval)
    assert report_file.load(folder, plan, unseal=seal) == report
    shown = report_file.load(folder).approved
    assert shown is not None
    assert (shown.approver.user_id, shown.approver.name) == (user_id, "")
    state = StateDirectory.open(office.state)
    assert check_records(state) == ()

    profiles = tmp_path / "profiles.toml"
    script = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"
    profiles.write_text(f"[profiles.opens]\nunseal_command = {json.dumps([sys.executable, '-c', script])}\n")
    profiles.chmod(0o600)
    opening = ["--profiles", str(profiles), "--profile", "opens"]
    for command in (["audit", "show"], ["audit", "export"], ["report", plan.digest]):
        for options, is_named in ((["--profiles", ""], False), (opening, True)):
            assert main([*command, "--state-dir", str(office.state), *options]) == 0
            said = capsys.readouterr().out
            assert user_id in said
            assert (name in said) is is_named, command

    shutil.copytree(office.state, tmp_path / "tampered")
    (tmp_path / "tampered" / "plans" / plan.digest / "approval.json.sealed").unlink()
    (found,) = check_records(StateDirectory.open(tmp_path / "tampered"))
    assert "approval" in str(found)
    purge_state(state, datetime.now(UTC) + timedelta(days=9999))
    assert not list(folder.glob("approval*"))
    assert check_records(state) == ()


@pytest.mark.parametrize("sealed", [True, False])
def test_a_sealed_approval_without_an_outline_names_nobody_and_is_noted(office: Office, sealed: bool) -> None:
    def flip(data: bytes) -> bytes:
        return bytes(byte ^ 1 for byte in data)

    plan, approval = office.plan()
    client = office.client(seal=flip if sealed else None)
    client.resets.apply(plan, confirm=plan.phrase, reason="yearly", approval=approval)
    state, folder = StateDirectory.open(office.state), office.plan_folder(plan)
    assert check_records(state, unseal=flip) == ()
    document = json.loads(approval_bytes(approval))
    document["approver"]["name"] = "Somebody Else"
    forged = folder / "approvalx.json.sealed"
    forged.write_bytes(flip(json.dumps(document).encode()))
    named = office.log.approvers(flip)
    said = f"{approval.approver.name} ({approval.approver.user_id})"
    assert {named(entry) for entry in office.log.entries()} == {said}
    (found,) = check_records(state, unseal=flip)
    assert found.is_note
    assert forged.name in str(found)
    if sealed:  # with a copy of the outline it is still not what was approved
        (folder / "approvalx.outline.json").write_bytes((folder / "approval.outline.json").read_bytes())
        (found,) = check_records(state, unseal=flip)
        assert not found.is_note
        assert {office.log.approvers(flip)(entry) for entry in office.log.entries()} == {said}


def test_an_approval_in_clear_is_sealed_when_the_plan_is_resumed_with_a_hook(office: Office) -> None:
    plan, approval = office.plan()

    def lose(response: httpx.Response) -> None:
        if response.request.url.path.endswith(RESET):
            raise httpx.ReadError("cut", request=response.request)

    unlucky = office.client(event_hooks={"response": [lose]})
    with pytest.raises(OutcomeUnknownError):
        unlucky.resets.apply(plan, confirm=plan.phrase, reason="yearly", approval=approval)
    assert "approval.json" in in_clear(office.state, approval.approver.name)
    second = evolve(approval, approver=evolve(approval.approver, name="As they are called now"))
    office.client(seal=seal).resets.resume(plan, confirm=plan.phrase, approval=second)
    folder = office.plan_folder(plan)
    for one, file in ((approval, "approval.json.sealed"), (second, "approval-2.json.sealed")):
        assert in_clear(folder, one.approver.name) == []
        assert seal((folder / file).read_bytes()) == approval_bytes(one)
    assert check_records(StateDirectory.open(office.state)) == ()


def seal(content: bytes) -> bytes:
    return content[::-1]


def test_an_approval_with_a_token_for_a_name_is_refused(office: Office) -> None:
    _, approval = office.plan()
    leaking = evolve(approval, approver=evolve(approval.approver, name="mock_" + "a1" * 24))
    with pytest.raises(ApprovalError, match="looks like a token"):
        parse_approval(approval_bytes(leaking), "approval.json")


def test_an_approval_that_was_removed_by_hand_is_found(tmp_path: Path) -> None:
    office = Office(tmp_path)
    plan, approval = office.plan()
    office.client().resets.apply(plan, confirm=plan.phrase, approval=approval)
    state = StateDirectory.open(office.state)
    assert check_records(state) == ()
    (office.plan_folder(plan) / "approval.json").unlink()
    (found,) = check_records(state)
    assert not found.is_note
    assert "approval" in str(found)
