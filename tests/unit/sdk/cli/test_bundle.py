"""``audit bundle``: an auditor who has the zip, a shell, ``sha256sum`` and ``ssh-keygen``, and nothing of ours."""

from __future__ import annotations

import hashlib
import json
import re
import resource
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define

from mock_server import MockTraining
from mock_server.mock import TokenName
from training_sdk import Safeguards, TrainingClient
from training_sdk.cli import main
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.evidence import packs_in
from training_sdk.local_plans import record_check
from training_sdk.records import storage
from training_sdk.records.audit import AuditLog
from training_sdk.records.state import StateDirectory
from unit.sdk.evidence.past import purge_state

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell, modes and limits")

TITLE = "Forklift basics"
BEFORE = Path(__file__).parents[1] / "written_before" / "state"
COMMANDS = ("sh", "sha256sum", "ssh-keygen", "sed", "grep", "cut", "tr", "paste", "awk", "cat")


def seal(data: bytes) -> bytes:
    return bytes(byte ^ 0x5A for byte in data)


@define
class Case:
    """A machine on which one signed and approved plan was applied, and then another one without approval."""

    folder: Path
    digest: str
    other: str
    names: tuple[str, ...]
    """Name and e-mail of the person in the plan, and the name of the approver."""

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def plan(self) -> Path:
        return self.state / "plans" / self.digest

    @property
    def pack(self) -> Path:
        return next(one for one in packs_in(self.state / "evidence") if one.name.startswith(self.digest[:16]))

    def bundle(self, *options: str, plan: str | None = None) -> int:
        found: int = main(
            ["audit", "bundle", plan or self.digest, "--output", str(self.folder / "made.zip"), *options]
        )
        return found

    def unpacked(self, *options: str) -> Path:
        """The folder in the bundle, as ``unzip`` makes it."""
        assert self.bundle(*options) in (0, ExitCode.RECORDS)
        return unpacked(self.folder / "made.zip")


def unpacked(made: Path) -> Path:
    target = made.with_suffix("")
    subprocess.run(["unzip", "-q", made, "-d", target], check=True)
    (folder,) = target.iterdir()
    return folder


def commands_of(page: str) -> str:
    return "\n".join(line[4:] for line in page.splitlines() if line.startswith("    "))


def expected(page: str) -> set[str]:
    """What the page says that is printed."""
    lines = re.findall(r"^Expected: .*$", page, re.MULTILINE)
    return {one for line in lines for one in re.findall(r"OK ([^,]+?)(?=, |\. |\.$)", line)}


def verified(folder: Path) -> tuple[set[str], str]:
    """What the commands of the page find to be as it was written, with no other programs, and all they print."""
    programs = folder.parents[1] / "programs"
    programs.mkdir(exist_ok=True)
    for name in COMMANDS:
        if not (programs / name).exists():
            (programs / name).symlink_to(str(shutil.which(name)))
    ran = subprocess.run(
        [programs / "sh"],
        input=commands_of((folder / "VERIFY.txt").read_text("utf-8")),
        cwd=folder,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    return set(re.findall(r"^OK (.*)$", ran.stdout, re.MULTILINE)), ran.stdout


def applied(folder: Path, *, sealed: bool = False) -> Case:
    """Apply two plans, the first of which is signed by its planner and approved by somebody else with a key."""
    mock = MockTraining.demo()
    http = httpx.Client(transport=mock.transport())
    signers = folder / "allowed_signers"
    clients: dict[str, TrainingClient] = {}
    namespaces: dict[TokenName, str] = {"admin": "training-sdk-plan", "manager": "training-sdk-reset"}
    for who, namespace in namespaces.items():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / who], check=True)
        rules = Safeguards(
            four_eyes="signed" if who == "admin" else None,
            allowed_signers=signers if who == "admin" else None,
            seal=seal if sealed else None,
        )
        clients[who] = TrainingClient(
            mock.token(who), http_client=http, safeguards=rules, state_dir=folder / "state"
        )
        key = (folder / f"{who}.pub").read_text()
        with signers.open("a") as file:
            file.write(f'{clients[who].users.me().user_id} namespaces="{namespace}" {key}')
    signers.chmod(0o644)
    admin, manager = clients["admin"], clients["manager"]
    course = mock.world.course(TITLE).id
    first, second = [row for row in admin.progress.list(course_id=course) if row.completed_at][:2]
    plan = admin.resets.plan(course, [first.user_id]).sign(folder / "admin")
    approval = manager.resets.approve(plan, confirm=plan.phrase, key=folder / "manager")
    plan.save(folder / "plan.json")
    report = admin.resets.apply(plan, confirm=plan.phrase, reason="fire", ticket="T-1", approval=approval)
    assert report.is_complete
    rules = Safeguards(seal=seal if sealed else None)
    free = TrainingClient(mock.token("admin"), http_client=http, safeguards=rules, state_dir=folder / "state")
    other = free.resets.plan(course, [second.user_id])
    free.resets.apply(other, confirm=other.phrase, reason="another reason")
    return Case(
        folder, plan.digest, other.digest, (first.user_name, str(first.user_email), approval.approver.name)
    )


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return applied(tmp_path_factory.mktemp("original"))


@pytest.fixture
def case(original: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    return at(shutil.copytree(original.folder, tmp_path / "case"), original, monkeypatch)


def at(folder: Path, original: Case, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(folder / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    return Case(folder, original.digest, original.other, original.names)


def test_the_page_alone_verifies_all_of_a_bundle(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert case.bundle("--signers", "allowed_signers") == 0
    made = case.folder / "made.zip"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    told = capsys.readouterr()
    assert hashlib.sha256(made.read_bytes()).hexdigest() in told.out
    assert "do not change it" in told.err
    folder = unpacked(made)
    page = (folder / "VERIFY.txt").read_text("utf-8")
    found, said = verified(folder)
    assert found == expected(page) | {"files"} == {
        *("files", "log", "journal", "journal as the log quotes it", "report.json", "outline.json", "terms.json"),
        *("approval.json", "approval signature", "plan signature"),
        *(f"manifest of {case.pack.name}", f"pack {case.pack.name}"),
    }  # fmt: skip
    assert said.count("Good ") == 2
    assert AuditLog(case.state / "audit.jsonl").head().hash in said
    for text in ("If evidence is purged or pseudonymised", "Nothing: they agree."):
        assert text in page
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert modes == {0o600, 0o700}
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert case.other.encode() not in everything
    assert b"another reason" not in everything


def swap(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def sum_again(folder: Path) -> None:
    """What a forger does as well."""
    names = [line.split("  ", 1)[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))


def another_key(folder: Path, _: Case) -> None:
    """Sign the message with a key of one's own that is listed for the approver."""
    made = folder.parent / "forged"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", made], check=True)
    message = folder / "plan" / "approval.message"
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", made, "-n", "training-sdk-reset", message],
        check=True,
        capture_output=True,
    )
    (folder / "plan" / "approval.message.sig").replace(folder / "plan" / "approval.signature")
    user_id = json.loads(message.read_bytes())["approver"]["user_id"]
    (folder / "allowed_signers").write_text(f"{user_id} {made.with_suffix('.pub').read_text()}")


def edit(name: str, old: bytes, new: bytes) -> Callable[[Path, Case], object]:
    return lambda folder, case: swap(folder / name.replace("PACK", case.pack.name), old, new)


def empty(name: str) -> Callable[[Path, Case], object]:
    return lambda folder, case: (folder / name.replace("PACK", case.pack.name)).write_bytes(b"")


FORGERIES: dict[str, tuple[Callable[[Path, Case], object], str]] = {
    "the log": (edit("log/excerpt.jsonl", b'"T-1"', b'"T-2"'), "log"),
    "the journal": (edit("plan/journal.jsonl", b'"fire"', b'"hire"'), "journal"),
    "no journal": (empty("plan/journal.jsonl"), "journal"),
    "the report": (edit("plan/report.json", b'"reset"', b'"failed"'), "report.json"),
    "the plan": (edit("plan/terms.json", b'"score":', b'"score" :'), "terms.json"),
    "the approval": (edit("plan/approval.json", b'"name": "', b'"name": "A'), "approval.json"),
    "what was signed": (edit("plan/approval.message", b'"name":"', b'"name":"A'), "approval signature"),
    "the planner": (edit("plan/plan.message", b"user_", b"user-"), "plan signature"),
    "who signed": (another_key, "approval signature"),
    "nobody's keys": (empty("allowed_signers"), "plan signature"),
    "evidence": (edit("evidence/PACK/rows.csv", b"100", b"101"), "pack"),
    "an empty file": (empty("evidence/PACK/raw/index.jsonl"), "pack"),
    "the manifest": (edit("evidence/PACK/manifest.json", b'"bytes": 1', b'"bytes": 2'), "manifest"),
}


@pytest.fixture(scope="module")
def bundled(original: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole bundle, unpacked; tests change copies of it."""
    made = tmp_path_factory.mktemp("bundled") / "made.zip"
    signers = str(original.folder / "allowed_signers")
    options = ("--output", str(made), "--signers", signers, "--state-dir", str(original.state))
    assert main(["audit", "bundle", original.digest, *options]) == 0
    return unpacked(made)


@pytest.mark.parametrize("name", FORGERIES)
def test_a_changed_file_of_a_bundle_is_bad(bundled: Path, original: Case, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(bundled, tmp_path / "made" / bundled.name)
    forge, what = FORGERIES[name]
    forge(folder, original)
    sum_again(folder)
    lacking = expected((folder / "VERIFY.txt").read_text("utf-8")) - verified(folder)[0]
    assert any(one == what or one.startswith(f"{what} ") for one in lacking), lacking


def test_a_file_that_was_changed_alone_is_not_that_of_the_bundle(bundled: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bundled, tmp_path / "made" / bundled.name)
    (folder / "plan" / "report.txt").write_bytes(b"All well")
    assert "files" not in verified(folder)[0]


def test_a_line_of_the_log_cannot_hold_the_hash_that_somebody_noted(case: Case) -> None:
    """A line made again passes by itself; the hash that is printed is computed, and so is not the one it claims."""
    head = AuditLog(case.state / "audit.jsonl").entries(plan_digest=case.digest)[-1]["hash"]
    folder = case.unpacked()
    path = folder / "log" / "excerpt.jsonl"
    *before, last = path.read_bytes().splitlines(keepends=True)
    forged = last.replace(b'"T-1"', b'"T-2"').rstrip(b"\n")
    computed = hashlib.sha256(forged).hexdigest().encode()
    path.write_bytes(
        b"".join(before) + forged.replace(b"{", b'{"a":{"hash":"' + computed + b'",', 1) + b"}\n"
    )
    swapped = path.read_bytes()
    assert head.encode() in swapped
    said = verified(folder)[1].partition("OK log")[2].partition("{")[0]
    assert head not in said


def test_a_bundle_is_never_written_over_anything(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    made = case.folder / "made.zip"
    made.write_bytes(b"mine")
    assert case.bundle() == ExitCode.USAGE
    assert made.read_bytes() == b"mine"
    made.unlink()
    made.symlink_to(case.folder / "nowhere")
    assert case.bundle() == ExitCode.USAGE
    assert "never written over" in capsys.readouterr().err
    assert main(["audit", "bundle", case.digest[:16]]) == 0
    (usual,) = case.folder.glob("reset-*.zip")
    assert zipfile.is_zipfile(usual)
    assert not list(case.folder.glob(".*"))


def test_a_bundle_on_a_full_disk_leaves_nothing(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(case.folder.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        code = case.bundle()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (code, set(case.folder.iterdir())) == (ExitCode.OUTPUT_LOST, before)
    assert "A bundle cannot be written" in capsys.readouterr().err


def test_without_evidence_a_bundle_has_the_manifests_alone(case: Case) -> None:
    folder = case.unpacked("--without-evidence")
    assert [path.name for path in (folder / "evidence").rglob("*") if path.is_file()] == ["manifest.json"]
    page = (folder / "VERIFY.txt").read_text("utf-8")
    assert "made without evidence" in page
    assert "Put the file that the team used" in page
    found = verified(folder)[0]
    assert expected(page) - found == {"approval signature", "plan signature"}  # for nobody's keys are there
    shutil.copy(case.folder / "allowed_signers", folder)
    assert expected(page) <= verified(folder)[0]


def test_nothing_is_unsealed_for_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "case").mkdir()
    made = applied(tmp_path / "case", sealed=True)
    case = at(made.folder, made, monkeypatch)
    script = "import sys; sys.stdout.buffer.write(bytes(b ^ 0x5A for b in sys.stdin.buffer.read()))"
    profiles = case.folder / "profiles.toml"
    command = json.dumps([sys.executable, "-c", script])
    profiles.write_text(f"[profiles.opens]\nunseal_command = {command}\n")
    profiles.chmod(0o600)
    options = ("--profiles", str(profiles), "--profile", "opens")
    assert case.bundle(*options, plan=str(case.folder / "plan.json")) == 0
    folder = unpacked(case.folder / "made.zip")
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for name in case.names:
        assert name.encode() not in everything
        assert json.dumps(name).strip('"').encode() not in everything
    page = (folder / "VERIFY.txt").read_text("utf-8")
    assert "no readable names" in page
    assert "encrypted as on that machine" in page
    assert expected(page) <= verified(folder)[0]
    assert f"pack {case.pack.name}" in expected(page)


def test_what_was_purged_is_not_in_a_bundle(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    state, name = StateDirectory.open(case.state), case.pack.name
    copied = shutil.copytree(case.pack, case.folder / "copy")
    purge_state(state, datetime.now(UTC) + timedelta(days=100))
    assert not case.plan.joinpath("plan.json").exists()
    copied.replace(state.evidence / name)  # restored from a backup: the next purge deletes it
    capsys.readouterr()
    folder = case.unpacked("--json")
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert "purge and pseudonymise do not change it" in note
    assert not (folder / "evidence").exists()
    page = (folder / "VERIFY.txt").read_text("utf-8")
    assert f"Pack {name} was purged on" in page
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for one in case.names:
        assert json.dumps(one).strip('"').encode() not in everything
    assert "not here: it was purged" in page
    assert expected(page) <= verified(folder)[0]


FAULTS: dict[str, Callable[[Case], object]] = {
    "a report": lambda case: swap(case.plan / "report.json", b'"reset"', b'"failed"'),
    "a pack": lambda case: swap(case.pack / "rows.csv", b"100", b"101"),
    "a manifest": lambda case: swap(case.pack / "manifest.json", b'"bytes": 1', b'"bytes": 2'),
    "a journal": lambda case: swap(case.plan / "journal.jsonl", b'"fire"', b'"hire"'),
    "the log": lambda case: swap(case.state / "audit.jsonl", b'"fire"', b'"hire"'),
    "an approval": lambda case: swap(case.plan / "approval.json", b'"name": "', b'"name": "A'),
    "a plan": lambda case: swap(case.plan / "plan.json", b'"percent": 100', b'"percent": 101'),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_bundled_records_are_named(case: Case, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_check, "PAUSE", 0)
    FAULTS[name](case)
    assert case.bundle() == ExitCode.RECORDS
    folder = unpacked(case.folder / "made.zip")
    assert "- FAULT: " in (folder / "VERIFY.txt").read_text("utf-8")


def test_no_planted_file_becomes_a_command_or_a_link(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_check, "PAUSE", 0)
    approval = json.loads((case.plan / "approval.json").read_bytes())
    (case.plan / "approval;touch forged;.json").write_text(json.dumps(approval))
    approval["approver"]["user_id"] = "user'\n    touch forged\n"
    (case.plan / "approval-2.json").write_text(json.dumps(approval))
    secret = case.folder / "secret"
    secret.write_text("not for auditors")
    for path in (case.pack / "rows.csv", case.plan / "report.json"):
        path.unlink(missing_ok=True)
        path.symlink_to(secret)
    log = AuditLog(case.state / "audit.jsonl")
    log.append(
        "evidence kept",
        plan_digest=case.digest,
        pack={"name": "../../secret", "manifest_sha256": "0" * 64},
        base_url="http://x\n    touch forged",
    )
    folder = case.unpacked()
    page = (folder / "VERIFY.txt").read_text("utf-8")
    assert "touch forged" not in commands_of(page)
    assert {"secret", "rows.csv", "report.json"} & {path.name for path in folder.rglob("*")} == set()
    assert b"not for auditors" not in b"".join(
        path.read_bytes() for path in folder.rglob("*") if path.is_file()
    )
    for said in (
        "not a file of an approval",
        "no file of allowed signers can hold",
        "not the name of an evidence pack",
    ):
        assert said in page
    verified(folder)
    assert not list(folder.rglob("forged"))


def test_evidence_that_is_purged_meanwhile_leaves_no_bundle(
    case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new_file = storage.new_file

    def purged_now(path: Path, what: str) -> Any:
        (case.pack / "rows.jsonl").unlink()
        return new_file(path, what)

    monkeypatch.setattr(storage, "new_file", purged_now)
    before = set(case.folder.iterdir())
    assert case.bundle() == ExitCode.RECORDS
    assert "No bundle was written" in capsys.readouterr().err
    assert set(case.folder.iterdir()) == before


def test_a_plan_that_is_being_applied_is_not_bundled(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    with storage.locked(case.plan / "journal.jsonl", 1):
        assert case.bundle() != 0
    assert "is being applied by" in capsys.readouterr().err
    assert not (case.folder / "made.zip").exists()


def test_signers_that_others_can_change_are_refused(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    (case.folder / "allowed_signers").chmod(0o666)
    assert case.bundle("--signers", "allowed_signers") not in (0, ExitCode.RECORDS)
    assert not (case.folder / "made.zip").exists()
    profiles = case.folder / "profiles.toml"
    profiles.write_text(
        f"[profiles.signed]\nallowed_signers = {json.dumps(str(case.folder / 'allowed_signers'))}\n"
    )
    profiles.chmod(0o600)
    assert case.bundle("--profiles", str(profiles), "--profile", "signed") == 0
    assert "It is not in the bundle" in capsys.readouterr().out


@pytest.mark.parametrize("digest", [path.name for path in sorted((BEFORE / "plans").iterdir())])
def test_older_bundled_records_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digest: str) -> None:
    state = shutil.copytree(BEFORE, tmp_path / "state")
    state.chmod(0o700)
    assert (
        main(["audit", "bundle", digest, "--output", str(tmp_path / "made.zip"), "--state-dir", str(state)])
        == 0
    )
    folder = unpacked(tmp_path / "made.zip")
    page = (folder / "VERIFY.txt").read_text("utf-8")
    lacking = expected(page) - verified(folder)[0]
    assert {one for one in lacking if not one.endswith("signature")} == set()


# --- the head of the log ----------------------------------------------------------------------------------------------


def head_of(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["audit", "head"]) == 0
    return capsys.readouterr().out.strip()


def test_a_noted_head_finds_a_cut_or_rewritten_log(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    noted = head_of(capsys)
    log = case.state / "audit.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    assert main(["audit", "verify", "--head", noted, "--head", f"0:{'0' * 64}"]) == 0
    AuditLog(log).append("a note", reason="later")
    assert main(["audit", "verify", "--head", noted]) == 0
    later = head_of(capsys)
    log.write_bytes(b"".join(lines))
    assert main(["audit", "verify"]) == 0  # nothing else knows of the later line
    assert main(["audit", "verify", "--head", noted, "--head", later]) == ExitCode.RECORDS
    assert f"--head {later} refers to entry" in capsys.readouterr().out
    AuditLog(log).append("another note", reason="later")
    assert main(["audit", "verify", "--head", later, "--json"]) == ExitCode.RECORDS
    assert "the log was written again" in capsys.readouterr().out


@pytest.mark.parametrize(
    "typed", ["", "3", "x:" + "0" * 64, "3:" + "0" * 63, "3:" + "A" * 64, "-1:" + "0" * 64]
)
def test_what_is_no_head_is_refused(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", "--head", typed]) == ExitCode.USAGE
    assert "audit head" in capsys.readouterr().err
