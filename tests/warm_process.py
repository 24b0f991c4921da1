"""What a process does that forks for each task: import, and do everything once that is slower the first time."""

from __future__ import annotations

import contextlib
import gc
import tempfile
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import import_module

from mock_server import MockTraining, Policy
from training_sdk import AlreadyAppliedError, ResetFormat, ResetPlan, TrainingClient
from training_sdk.format_proof.proofs import ProofScope, save_proof
from training_sdk.records.state import StateDirectory
from training_sdk.reports import report_file
from unit.sdk.proving import proof_of


def warm_up(modules: Iterable[str]) -> None:
    """Import modules, and reset once, so that children, with fewer rights too, find all imported and compiled."""
    for name in modules:
        import_module(name)
    for policy in (Policy(), Policy(plays="live")):
        _reset(MockTraining.generate(users=2, courses=1, policy=policy))
    gc.freeze()
    assert threading.active_count() == 1, "a fork would lose the other threads"


def _reset(mock: MockTraining) -> None:
    """Plan, save, load, reset everyone in requests that name them, be asked again, and read the report."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.serve() as server,
        TrainingClient(mock.token("admin"), base_url=server.url, state_dir=folder, pace=False) as client,
    ):
        client.resets.plan_everyone(list(mock.world.main.courses)).save(f"{folder}/plan.json")
        plan = ResetPlan.load(f"{folder}/plan.json")
        state = StateDirectory.open(folder)
        scope = ProofScope.of(plan.origin, ResetFormat(), server_side=False)
        save_proof(state, proof_of(scope, datetime.now(UTC)))
        client.resets.apply(plan, confirm=plan.phrase, reason="to be warm")
        with contextlib.suppress(AlreadyAppliedError):
            client.resets.resume(plan, confirm=plan.phrase)
        report_file.load(state.plan_folder(plan.digest))
