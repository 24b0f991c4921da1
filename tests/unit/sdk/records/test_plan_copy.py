"""Sealing and purging reach the copy of a plan; what names nobody stays, and is enough to report and to verify."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve

from mock_server import MockTraining
from training_sdk import (
    EvidenceError,
    InvalidArgumentError,
    OutcomeUnknownError,
    OverlappingPlanError,
    ProofFailedError,
    ResetPlan,
    ResetReport,
    Safeguards,
    TrainingClient,
)
from training_sdk._core.flow import Request, Response
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.program import run as command
from training_sdk.evidence import packs_in, pseudonymise, purge, read_manifest
from training_sdk.format_proof.proof_run import ProofRun
from training_sdk.local_plans.record_check import check_records
from training_sdk.plans.outline import PlanOutline, read_plan_copy
from training_sdk.plans.plan import EveryonePlan
from training_sdk.records import plan_copy, storage
from training_sdk.records.audit import AuditLog
from training_sdk.records.state import StateDirectory
from training_sdk.reports import report_file
from unit.sdk.evidence.past import purge_state, seal
from unit.sdk.fakes import FakeDriver
from unit.sdk.records.first_form import KEY, unpacked
from unit.sdk.records.first_form import unseal as open_old
from unit.sdk.test_proof_run import kept, planned, service
from unit.sdk.test_proof_run import proving as proving_of

UNSEAL = (
    "import sys; data = sys.stdin.buffer.read(); key = b'\\xa5\\x5a\\x77'; "
    "sys.stdout.buffer.write(bytes(byte ^ key[place % 3] for place, byte in enumerate(data)))"
)


class Desk:
    """An organisation, and clients that keep their records in one state directory."""

    def __init__(self, folder: Path) -> None:
        self.mock = MockTraining.generate(users=4, courses=1)
        self.state = folder / "state"
        self.http = httpx.Client(transport=self.mock.transport())

    def client(self, **hooks: Any) -> TrainingClient:
        return TrainingClient(
            self.mock.token("admin"),
            http_client=self.http,
            base_url="https://mock.test",
            state_dir=self.state,
            pace=False,
            safeguards=Safeguards(**hooks),
        )

    def plan(self, client: TrainingClient) -> EveryonePlan:
        return client.resets.plan_everyone([*self.mock.world.main.courses])

    def applied(self, **hooks: Any) -> tuple[ResetPlan, ResetReport]:
        client = self.client(**hooks)
        plan = self.plan(client)
        return plan, client.resets.apply(plan, confirm=plan.phrase, reason="test")

    def folder(self, plan: ResetPlan) -> Path:
        return self.state / "plans" / plan.digest

    def purge(self, after: timedelta = timedelta(days=30)) -> None:
        purge_state(StateDirectory.open(self.state), datetime.now(UTC) + after)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.http.close()


def personal(plan: ResetPlan) -> list[bytes]:
    """Everything in a plan that names somebody."""
    words = {word for user in plan.users for word in (user.name, user.email, user.external_id) if word}
    return [json.dumps(word).strip('"').encode() for word in words] + [word.encode() for word in words]


def in_clear(folder: Path, plan: ResetPlan) -> list[str]:
    return [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and any(word in path.read_bytes() for word in personal(plan))
    ]


# --- sealed -----------------------------------------------------------------------------------------------------------


def test_nobody_is_named_in_clear_once_evidence_is_sealed(desk: Desk) -> None:
    plan, report = desk.applied(seal=seal)
    assert report.is_complete
    assert in_clear(desk.state, plan) == []
    outline = json.loads((desk.folder(plan) / "outline.json").read_bytes())
    assert set(outline["users"][0]) == {
        *("course_id", "user_id", "state", "completed_at", "opened_at", "due_at", "left_out"),
        *("last_reset_at", "percent", "completed_lessons"),
    }
    assert not {"warnings", "name", "email", "score"} & outline.keys()
    assert check_records(StateDirectory.open(desk.state)) == ()


def test_without_a_seal_the_copy_is_the_plan(desk: Desk) -> None:
    plan, _ = desk.applied()
    assert {path.name for path in desk.folder(plan).iterdir()} >= {"plan.json", "report.json"}
    assert read_plan_copy(desk.folder(plan)) == plan


def test_the_outline_is_enough_for_report_and_verification(desk: Desk) -> None:
    plan, report = desk.applied(seal=seal)
    loaded = report_file.load(desk.folder(plan))
    assert isinstance(loaded.plan, PlanOutline)
    assert (loaded.plan.digest, loaded.plan.phrase, loaded.plan.scope) == (
        plan.digest,
        plan.phrase,
        "everyone",
    )
    assert (loaded.counts, loaded.is_complete) == (report.counts, True)
    assert [user.key for user in loaded.plan.targets] == [user.key for user in plan.targets]
    assert plan.users[0].user_id in str(loaded)
    assert desk.client().resets.wait_until_verified(plan.digest).is_verified
    assert read_plan_copy(desk.folder(plan), unseal=seal) == plan


def test_an_outline_is_not_applied_resumed_or_saved(desk: Desk, tmp_path: Path) -> None:
    plan, _ = desk.applied(seal=seal)
    outline = read_plan_copy(desk.folder(plan))
    for use in (desk.client().resets.apply, desk.client().resets.resume):
        with pytest.raises(InvalidArgumentError, match="unseal_command"):
            use(outline, confirm=plan.phrase)
    with pytest.raises(InvalidArgumentError, match="sealed or purged"):
        outline.save(tmp_path / "plan.json")
    assert "sealed or purged" in str(outline)


def test_a_sealed_plan_is_resumed_and_stays_sealed(desk: Desk) -> None:
    desk.mock.faults.add("drop", operation="ResetCourseProgress", when="before")
    client = desk.client(seal=seal)
    plan = desk.plan(client)
    with pytest.raises(OutcomeUnknownError):
        client.resets.apply(plan, confirm=plan.phrase, reason="test")
    assert isinstance(read_plan_copy(desk.folder(plan)), PlanOutline)
    other = desk.plan(desk.client())
    with pytest.raises(OverlappingPlanError):
        desk.client().resets.apply(other, confirm=other.phrase, reason="test")
    shutil.rmtree(desk.folder(other), ignore_errors=True)
    whole = read_plan_copy(desk.folder(plan), unseal=seal)
    assert client.resets.resume(whole, confirm=plan.phrase).is_complete
    assert in_clear(desk.folder(plan), plan) == []


def test_a_hook_that_fails_ends_it_before_anything_is_kept(desk: Desk) -> None:
    def broken(data: bytes) -> bytes:
        raise OSError("no key")

    client = desk.client(seal=broken)
    plan = desk.plan(client)
    with pytest.raises(EvidenceError, match="The seal hook failed"):
        client.resets.apply(plan, confirm=plan.phrase, reason="test")
    assert in_clear(desk.state, plan) == []
    assert not any(entry.outcome == "done" for entry in desk.mock.audit)


def test_a_copy_that_was_in_clear_is_sealed_when_the_plan_is_resumed_with_a_hook(desk: Desk) -> None:
    desk.mock.faults.add("drop", operation="ResetCourseProgress", when="after")
    client = desk.client()
    plan = desk.plan(client)
    with pytest.raises(OutcomeUnknownError):
        client.resets.apply(plan, confirm=plan.phrase, reason="test")
    desk.client(seal=seal).resets.resume(plan, confirm=plan.phrase)
    assert in_clear(desk.folder(plan), plan) == []


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_process_killed_while_sealing(desk: Desk, written: int, monkeypatch: pytest.MonkeyPatch) -> None:
    client, left = desk.client(seal=seal), [written]
    plan = desk.plan(client)
    write = storage.write_whole

    def killed(path: Path, data: bytes) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        write(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(storage, "write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            client.resets.apply(plan, confirm=plan.phrase, reason="test")
    state = StateDirectory.open(desk.state)
    assert [str(one) for one in check_records(state) if not one.is_note] == []
    assert client.resets.apply(plan, confirm=plan.phrase, reason="test").is_complete
    assert [str(one) for one in check_records(state) if not one.is_note] == []
    assert in_clear(desk.state, plan) == []


@pytest.mark.parametrize("damage", [b"{}", b"", b'{"outline": 2}'])
def test_an_outline_that_was_changed_is_found(desk: Desk, damage: bytes) -> None:
    plan, _ = desk.applied(seal=seal)
    (desk.folder(plan) / "outline.json").write_bytes(damage)
    found = check_records(StateDirectory.open(desk.state))
    assert [one.is_note for one in found] == [False]


# --- on the command line ----------------------------------------------------------------------------------------------


@pytest.fixture
def profile(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "profiles.toml"
    file.write_text(f"[profiles.x]\nunseal_command = {json.dumps([sys.executable, '-c', UNSEAL])}\n")
    file.chmod(0o600)
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(desk.state))
    return file


def test_names_are_shown_by_the_plan_file_or_the_command_of_a_profile_else_ids(
    desk: Desk, profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, _ = desk.applied(seal=seal)
    plan.save(tmp_path / "plan.json")
    name, user_id = plan.targets[0].name, plan.targets[0].user_id
    opened = ("--profiles", str(profile), "--profile", "x")
    for arguments, shows in (
        (["report", plan.digest], user_id),
        (["report", str(tmp_path / "plan.json")], name),
        (["report", plan.digest, *opened], name),
    ):
        assert command(arguments) == ExitCode.DONE
        out = capsys.readouterr().out
        assert (shows in out, name in out) == (True, shows == name), arguments
    assert command(["report", plan.digest, "--card", str(tmp_path / "card.html")]) == ExitCode.USAGE
    assert not (tmp_path / "card.html").exists()
    assert command(["evidence", "verify", *opened]) == ExitCode.DONE
    assert command(["evidence", "history", *opened, "--json"]) == ExitCode.DONE
    assert len(json.loads(capsys.readouterr().out.partition("\n{")[2].join(["{", ""]))["completions"]) >= 1


# --- purged -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hooks", [{}, {"seal": seal}])
def test_a_purge_takes_the_copy_and_leaves_journal_and_report(desk: Desk, hooks: dict[str, Any]) -> None:
    plan, report = desk.applied(**hooks)
    desk.purge()
    assert in_clear(desk.state, plan) == []
    left = {path.name for path in desk.folder(plan).iterdir()} - {"journal.lock"}
    assert left == {"journal.jsonl", "report.json", "outline.json"}
    assert report_file.load(desk.folder(plan)).counts == report.counts
    assert check_records(StateDirectory.open(desk.state)) == ()
    (desk.folder(plan) / "outline.json").unlink()
    (fault,) = check_records(StateDirectory.open(desk.state))
    assert "its outline.json is missing" in fault.message


def test_the_copy_stays_as_long_as_one_pack_does(desk: Desk) -> None:
    plan, _ = desk.applied()
    state = StateDirectory.open(desk.state)
    (pack,) = packs_in(state.evidence)
    young = state.evidence / "young"
    shutil.copytree(pack, young)
    manifest = young / "manifest.json"
    later = read_manifest(young)
    moved = evolve(
        later, read_at=evolve(later.read_at, last=datetime.now(UTC) + timedelta(days=29, hours=12))
    )
    manifest.write_bytes(moved.to_bytes())
    desk.purge()
    assert packs_in(state.evidence) == (young,)
    assert read_plan_copy(desk.folder(plan)) == plan


def test_a_purge_elsewhere_takes_no_copy(desk: Desk, tmp_path: Path) -> None:
    plan, _ = desk.applied()
    state = StateDirectory.open(desk.state)
    shutil.copytree(state.evidence, desk.state / "copies")
    later = datetime.now(UTC) + timedelta(days=30)
    done = purge(
        desk.state / "copies", timedelta(days=1), later, log=AuditLog(state.audit), is_closed=lambda _: True
    )
    assert [one.purged for one in done] == [True]
    assert read_plan_copy(desk.folder(plan)) == plan


@pytest.mark.parametrize("kind", ["closed", "sealed"])
def test_the_copies_of_the_first_form_go_with_a_purge(kind: str, tmp_path: Path) -> None:
    state = StateDirectory.open(unpacked(kind, tmp_path))
    (folder,) = state.plans.iterdir()
    plan = ResetPlan.load(folder / "plan.json")
    purge_state(state, datetime.now(UTC) + timedelta(days=3000))
    assert in_clear(state.path, plan) == []
    assert report_file.load(folder).plan.phrase == plan.phrase
    assert check_records(state) == ()


def test_sealed_packs_of_the_first_form_open(tmp_path: Path) -> None:
    state = StateDirectory.open(unpacked("sealed", tmp_path))
    (pack,) = packs_in(state.evidence)
    copy = pseudonymise(pack, tmp_path / "copy", KEY, log=AuditLog(state.audit), unseal=open_old)
    assert copy.manifest.plan_digest == ""


def test_a_copy_that_is_no_plan_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(b"[]")
    with pytest.raises(Exception, match="is not what was written"):
        plan_copy.delete_plan_copy(tmp_path)
    assert (tmp_path / "plan.json").exists()


def test_a_pack_without_names_does_not_lead_to_the_plan(desk: Desk, tmp_path: Path) -> None:
    plan, _ = desk.applied()
    state = StateDirectory.open(desk.state)
    (pack,) = packs_in(state.evidence)
    copy = pseudonymise(pack, tmp_path / "copy", KEY, log=AuditLog(state.audit))
    for path in copy.folder.rglob("*"):
        assert plan.digest[:12].encode() not in path.read_bytes(), path


# --- a proof whose end is open ----------------------------------------------------------------------------------------


def sealing(proving: ProofRun) -> None:
    def closing(data: bytes) -> bytes:
        return b"closed" + bytes(seal(data))

    proving.recorder.seal = closing
    proving.order = evolve(proving.order, safeguards=Safeguards(seal=closing))


@pytest.mark.parametrize("in_one_process", [False, True])
def test_a_proof_goes_on_from_what_names_nobody(in_one_process: bool) -> None:
    organisation = service()
    plan = planned(organisation)
    first = proving_of(plan)
    sealing(first)
    before = [dict(one) for one in organisation.rows]
    cleared: list[dict[str, Any]] = []
    usual = organisation.on_reset
    assert usual is not None

    def late(request: Request) -> Response:
        answer = usual(request)
        cleared[:] = [dict(one) for one in organisation.rows]
        organisation.rows[:] = before
        return answer

    organisation.on_reset = late
    first.deadline = timedelta(seconds=1)
    with pytest.raises(ProofFailedError, match="is not known before"):
        FakeDriver(organisation).run(first.run())
    state = StateDirectory.existing()
    assert state is not None
    assert in_clear(state.path, plan.reset) == []
    organisation.rows[:] = cleared
    again = plan if in_one_process else planned(organisation, clock=9000.0)
    assert isinstance(again.reset, PlanOutline) is not in_one_process
    second = proving_of(again)
    sealing(second)
    FakeDriver(organisation, clock=9000.0).run(second.run())
    assert kept(again) is not None
    assert len(organisation.resets) == 1


# --- copies that no pack takes along ----------------------------------------------------------------------------------


def refused(desk: Desk, **hooks: Any) -> ResetPlan:
    """A plan that was refused because the end of another one is open."""
    desk.mock.faults.add("drop", operation="ResetCourseProgress", when="before")
    client = desk.client(**hooks)
    first = desk.plan(client)
    second = evolve(first, expires_at=first.expires_at + timedelta(hours=1))
    approver = client.with_options(token=desk.mock.token("manager"))
    for plan, error in ((first, OutcomeUnknownError), (second, OverlappingPlanError)):
        approval = approver.resets.approve(plan, confirm=plan.phrase) if hooks else None
        with pytest.raises(error):
            client.resets.apply(plan, confirm=plan.phrase, reason="test", approval=approval)
    return second


@pytest.mark.parametrize("hooks", [{}, {"four_eyes": "procedural"}])
def test_a_plan_that_is_refused_for_another_leaves_no_names(desk: Desk, hooks: dict[str, Any]) -> None:
    plan = refused(desk, **hooks)
    assert {path.name for path in desk.folder(plan).iterdir()} <= {"journal.jsonl", "journal.lock"}


def test_a_purge_takes_copies_of_plans_that_never_began(desk: Desk) -> None:
    """As versions left them that wrote the copy first."""
    plan = refused(desk)
    plan.save(desk.folder(plan) / "plan.json")
    (desk.folder(plan) / "approval.json").write_text("{}")
    desk.purge(after=timedelta(hours=12))
    assert in_clear(desk.folder(plan), plan) != []
    desk.purge()
    assert in_clear(desk.folder(plan), plan) == []
    assert not (desk.folder(plan) / "approval.json").exists()
    assert AuditLog(desk.state / "audit.jsonl").entries()[-1]["event"] == "plan copy purged"
    assert [str(one) for one in check_records(StateDirectory.open(desk.state)) if not one.is_note] == []


@pytest.mark.parametrize("pack", ["purged", "removed by hand", "there"])
def test_a_purge_takes_the_copy_that_an_older_purge_left_and_no_other(desk: Desk, pack: str) -> None:
    plan, _ = desk.applied()
    kept = (desk.folder(plan) / "plan.json").read_bytes()
    if pack == "purged":
        desk.purge()
        (desk.folder(plan) / "plan.json").write_bytes(kept)
        (desk.folder(plan) / "outline.json").unlink()
    elif pack == "removed by hand":
        shutil.rmtree(desk.state / "evidence")
        (desk.state / "evidence").mkdir(mode=0o700)
    desk.purge(after=timedelta(days=30) if pack != "there" else timedelta(hours=1))
    assert (desk.folder(plan) / "plan.json").exists() is (pack != "purged")
    if pack == "purged":
        assert check_records(StateDirectory.open(desk.state)) == ()


def test_purge_names_copies(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, _ = desk.applied()
    path = desk.state / "plans" / ("cd" * 32) / "plan.json"
    path.parent.mkdir(mode=0o700)
    path.write_bytes((desk.folder(plan) / "plan.json").read_bytes())
    long_ago = (datetime.now(UTC) - timedelta(days=3)).timestamp()
    os.utime(path, (long_ago, long_ago))
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(desk.state))
    monkeypatch.setenv("TRAINING_SDK_PROFILES", "")
    assert command(["evidence", "purge", "--older-than", "2", "--dry-run"]) == ExitCode.DONE
    assert "1 copy of a plan without evidence would be deleted" in capsys.readouterr().err
    assert path.exists()
    assert command(["evidence", "purge", "--older-than", "2"]) == ExitCode.DONE
    assert "1 copy of a plan without evidence was deleted" in capsys.readouterr().err
    assert not path.exists()
    assert (desk.folder(plan) / "plan.json").exists()
