"""Files written by the version of the record are read: plans, approvals, journals, reports, packs, logs and proofs.

``files/`` holds four machines with their servers as of 1 March 2027 at 09:00 UTC (``proof-held``: 12:30). Do not edit
or regenerate them. On ``reference`` a plan is named by what became of it: ``ended``; ``stopped`` after the first of two
requests; ``lost-after`` and ``lost-before``, whose answer or request was lost; ``begun``, with nothing sent; ``closed``
by hand; ``refused`` for lack of a right. The others were not applied.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import time_machine

from mock_server import MockTraining
from training_sdk import (
    AlreadyAppliedError,
    Approval,
    EveryonePlan,
    Outcome,
    ResetPlan,
    Safeguards,
    TrainingClient,
)
from training_sdk.cli import main
from training_sdk.plans.plan import plan_bytes

FILES = Path(__file__).with_name("files")
REFERENCE = FILES / "reference"
PLANS = {path.stem: path for path in (REFERENCE / "plans").iterdir()}
BEGUN = {"ended", "stopped", "lost-after", "lost-before", "begun", "closed", "refused", "server-side"}
APPROVALS = sorted((REFERENCE / "approvals").glob("*.json"))


class Machine:
    """A machine with its server, some time after the files were written."""

    def __init__(self, folder: Path, name: str, later: timedelta) -> None:
        self.folder = folder / name
        shutil.copytree(FILES / name, self.folder)
        (self.folder / "state").chmod(0o700)
        self.mock = MockTraining.load(self.folder / "world.json")
        self.mock.clock.advance(later)

    def client(self, **options: Any) -> TrainingClient:
        http = httpx.Client(transport=self.mock.transport())
        token = self.mock.token("admin")
        return TrainingClient(token, base_url="https://training.example", http_client=http, **options)

    def plan(self, name: str) -> ResetPlan:
        return ResetPlan.load(self.folder / "plans" / f"{name}.json")

    @property
    def sent(self) -> int:
        """The resets that reached the server since."""
        return len([*self.mock.calls.of("reset")])


Machines = Callable[[str, timedelta], Machine]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """Makes a machine whose clock, with that of its server, says that so much time has passed."""
    with ExitStack() as ending:

        def made(name: str, later: timedelta) -> Machine:
            found = Machine(tmp_path, name, later)
            monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(found.folder / "state"))
            ending.enter_context(time_machine.travel(found.mock.clock.now()))
            return found

        yield made


@pytest.fixture
def reference(machine: Machines) -> Machine:
    return machine("reference", timedelta(minutes=30))


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_has_its_digest_and_phrase_and_is_written_as_it_was(name: str) -> None:
    written = PLANS[name].read_bytes()
    plan, said = ResetPlan.load(PLANS[name]), json.loads(written)
    assert (plan.digest, plan.phrase, plan.form) == (said["digest"], said["phrase"], 3)
    assert isinstance(plan, EveryonePlan) is (name in ("everyone", "completed", "server-side"))
    assert plan_bytes(plan) == written


@pytest.mark.parametrize("name", sorted(set(PLANS) - BEGUN))
def test_a_plan_that_was_not_applied_is_applied(reference: Machine, name: str) -> None:
    plan = reference.plan(name)
    report = reference.client().resets.apply(plan, confirm=plan.phrase, reason="renewal", tolerance=50)
    assert {user.outcome for user in report.users} <= {
        Outcome.RESET,
        Outcome.NOTHING_TO_RESET,
        Outcome.SKIPPED,
    }
    assert reference.sent > 0


@pytest.mark.parametrize("name", sorted(BEGUN - {"refused", "begun"}))
def test_a_plan_is_applied_once(reference: Machine, name: str) -> None:
    plan = reference.plan(name)
    with pytest.raises(AlreadyAppliedError):
        reference.client().resets.apply(plan, confirm=plan.phrase, reason="renewal")
    assert not reference.sent


@pytest.mark.parametrize(
    ("name", "sent"), [("stopped", 1), ("lost-after", 0), ("lost-before", 1), ("refused", 1)]
)
def test_a_plan_that_has_begun_is_resumed(reference: Machine, name: str, sent: int) -> None:
    plan = reference.plan(name)
    report = reference.client().resets.resume(plan, confirm=plan.phrase)
    assert ({user.outcome for user in report.users}, reference.sent) == ({Outcome.RESET}, sent)


def test_a_plan_is_resumed_with_its_approval(reference: Machine) -> None:
    plan, signers = reference.plan("begun"), reference.folder / "approvals" / "allowed_signers"
    signers.chmod(0o600)
    approval = Approval.load(reference.folder / "approvals" / "begun.signed.json")
    client = reference.client(safeguards=Safeguards(four_eyes="signed", allowed_signers=signers))
    assert client.resets.resume(plan, confirm=plan.phrase, approval=approval).is_complete
    assert reference.sent == 1


@pytest.mark.parametrize("path", APPROVALS, ids=lambda path: path.stem)
def test_an_approval_is_one_of_its_plan(path: Path) -> None:
    name, _, kind = path.stem.partition(".")
    approval = Approval.load(path)
    assert (approval.kind, approval.phrase) == (kind, ResetPlan.load(PLANS[name]).phrase)


@pytest.mark.parametrize("name", ["reference", "sealed", "proof-begun", "proof-held"])
def test_records_agree_and_evidence_verifies(machine: Machines, name: str) -> None:
    machine(name, timedelta(minutes=30))
    assert (
        main(["audit", "verify", "--profile", "none"]),
        main(["evidence", "verify", "--profile", "none"]),
    ) == (0, 0)


@pytest.mark.parametrize("name", sorted(BEGUN))
def test_a_report_is_found_by_the_digest(
    reference: Machine, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = reference.plan(name)
    main(["report", plan.digest, "--json", "--profile", "none"])
    said = json.loads(capsys.readouterr().out)
    assert plan.digest in json.dumps(said)
    assert "error" not in said


def test_a_sealed_plan_is_resumed(machine: Machines) -> None:
    here = machine("sealed", timedelta(minutes=30))
    plan = here.plan("lost")
    client = here.client(
        safeguards=Safeguards(seal=lambda data: b"SEALED" + bytes(byte ^ 0x5A for byte in data))
    )
    assert client.resets.resume(plan, confirm=plan.phrase).is_complete
    assert not here.sent


def test_a_proof_that_has_begun_ends(machine: Machines) -> None:
    here = machine("proof-begun", timedelta(hours=3, minutes=30))
    course, person = (
        next(iter(here.mock.world.main.courses)),
        (here.folder / "person.txt").read_text().strip(),
    )
    proof = here.client().resets.plan_proof(course, person)
    assert proof.phrase == (here.folder / "phrase.txt").read_text().strip()
    held = here.client().resets.prove_format(
        proof, confirm=proof.phrase, reason="proof", deadline=timedelta(0)
    )
    assert (held.counted, here.sent) == (True, 0)


def test_a_proof_that_held_unlocks(machine: Machines) -> None:
    here = machine("proof-held", timedelta(hours=1))
    plan = here.plan("lost")
    report = here.client().resets.resume(plan, confirm=plan.phrase)
    assert ({user.outcome for user in report.users}, here.sent) == ({Outcome.RESET}, 0)


@pytest.mark.parametrize("path", sorted(FILES.glob("*/world.json")), ids=lambda path: path.parent.name)
def test_a_state_document_is_loaded_and_saved_as_it_was(path: Path) -> None:
    saved, before = MockTraining.load(path).state(), json.loads(path.read_text())
    # A policy that is newer than the file is saved with its default value.
    assert {**before["policy"], **saved["policy"]} == {**saved["policy"], **before["policy"]}
    assert {**saved, "policy": before["policy"]} == before
