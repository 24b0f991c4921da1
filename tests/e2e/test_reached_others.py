"""A live service that resets one more person than was sent and counts them: exit code 10 from every command after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from e2e.training_sdk_process import Desk, serving
from training_sdk import ResetFormat, ResetPlan
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.format_proof.proofs import ProofScope, save_proof
from training_sdk.records.state import StateDirectory
from unit.sdk.proving import proof_of

COURSE = "6908610029087ab67fa50c2e"
SIOBHAN = "siobhan.doyle@nordwerk.example"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with serving("--policy", "emulates=resets_strangers") as running:
        yield Desk(tmp_path, running)


def test_the_exit_code_is_kept_and_nothing_more_is_sent(desk: Desk) -> None:
    phrase = desk.plan("--course", COURSE, "--user", SIOBHAN)
    everyone = desk.plan("--course", COURSE, "--everyone", name="everyone.json")
    origin = ResetPlan.load(desk.folder / "plan.json").origin
    state = StateDirectory.open(desk.folder / "state")
    proof = proof_of(ProofScope.of(origin, ResetFormat(), server_side=False), datetime.now(UTC))
    save_proof(state, proof)
    applied = desk.run("apply", "plan.json", "--reason", "yearly", "--confirm", phrase, "--json")
    assert applied.code == applied.document["error"]["exit_code"] == ExitCode.OTHERS_REACHED
    assert applied.document["report"]["reached_others"] == 1
    assert "outside the plan may have been reset" in applied.err
    assert "training-sdk resume" not in applied.err
    save_proof(state, proof)  # as if the process had been killed before it withdrew the proof
    refused = desk.run("apply", "everyone.json", "--reason", "yearly", "--confirm", everyone, "--json")
    assert (refused.code, refused.document["error"]["reason"]) == (ExitCode.NOTHING_SENT, "PROOF_WITHDRAWN")
    for command in (
        ("report", "plan.json", "--json"),
        ("verify", "plan.json", "--deadline", "0s", "--json"),
        ("resume", "plan.json", "--confirm", phrase, "--json"),
        ("report", "plan.json"),
    ):
        done = desk.run(*command)
        assert done.code == ExitCode.OTHERS_REACHED, (command, done)
        assert "training-sdk resume" not in done.out + done.err
    assert desk.server.resets() == 1
    assert desk.run("audit", "verify").code == ExitCode.DONE
