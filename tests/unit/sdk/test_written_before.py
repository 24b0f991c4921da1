"""Plans, approvals, journals and proofs that an earlier version wrote are read, resumed and refused."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mock_server import MockTraining
from training_sdk import (
    AlreadyAppliedError,
    Approval,
    ApprovalError,
    EveryonePlan,
    InvalidArgumentError,
    Outcome,
    ProofFailedError,
    ResetPlan,
    Safeguards,
    StalePlanError,
    TrainingClient,
)
from training_sdk._core import drivers
from training_sdk._core.flow import Moment
from training_sdk.plans.plan import parse_plan, plan_bytes
from training_sdk.records.state import StateDirectory
from unit.sdk.approving import checked

BEFORE = Path(__file__).with_name("written_before")
PLANS = {path.stem: path for path in (BEFORE / "plans").iterdir()}
NOT_APPLIED = ("users", "several-courses", "everyone", "completed", "due")
NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)


class Machine:
    """The machine on which the files were written, half an hour later; ``now`` is what its clock says."""

    def __init__(self, mock: MockTraining) -> None:
        self.mock = mock
        self.now = NOW

    def client(self, **options: Any) -> TrainingClient:
        http = httpx.Client(transport=self.mock.transport())
        return TrainingClient(
            self.mock.token("admin"), base_url="https://training.example", http_client=http, **options
        )

    @property
    def resets(self) -> int:
        """How many resets reached the server."""
        return len([*self.mock.calls.of("reset")])


def machine(folder: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    state = folder / "state"
    shutil.copytree(source / "state", state)
    state.chmod(0o700)
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(state))
    found = Machine(MockTraining.load(source / "world.json"))
    found.mock.clock.advance(timedelta(minutes=30))
    monkeypatch.setattr(drivers, "now", lambda: Moment(time.monotonic(), found.now))
    return found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return machine(tmp_path, BEFORE, monkeypatch)


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_loads_with_the_digest_and_the_phrase_it_was_given(name: str) -> None:
    written = PLANS[name].read_bytes()
    said = json.loads(written)
    plan = ResetPlan.load(PLANS[name])
    assert (plan.digest, plan.phrase, plan.form) == (said["digest"], said["phrase"], 2)
    assert plan.phrase.endswith(f" #{plan.digest[:6]}")
    assert isinstance(plan, EveryonePlan) is (name == "everyone")
    assert plan_bytes(plan) == written


@pytest.mark.parametrize("name", NOT_APPLIED)
def test_such_a_plan_is_not_applied_and_leaves_no_trace(here: Machine, name: str) -> None:
    plan = ResetPlan.load(PLANS[name])
    state = StateDirectory.open()
    before = {path: path.read_bytes() for path in state.path.rglob("*") if path.is_file()}
    with pytest.raises(StalePlanError, match=r"Nothing was sent\. Plan again") as caught:
        here.client().resets.apply(plan, confirm=plan.phrase, reason="renewal")
    assert caught.value.reason == "PLAN_FORM_OLD"
    assert not [*here.mock.calls]
    assert before == {path: path.read_bytes() for path in state.path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["ended", "stopped", "lost"])
def test_that_it_was_applied_already_is_said_first(here: Machine, name: str) -> None:
    plan = ResetPlan.load(PLANS[name])
    with pytest.raises(AlreadyAppliedError):
        here.client().resets.apply(plan, confirm=plan.phrase, reason="renewal")
    assert not here.resets


@pytest.mark.parametrize("name", NOT_APPLIED)
def test_what_never_began_is_not_resumed(here: Machine, name: str) -> None:
    plan = ResetPlan.load(PLANS[name])
    with pytest.raises(InvalidArgumentError, match="do not contain this plan"):
        here.client().resets.resume(plan, confirm=plan.phrase)


@pytest.mark.parametrize(("name", "sent"), [("stopped", 1), ("lost", 0)])
def test_what_began_is_resumed_to_its_end(here: Machine, name: str, sent: int) -> None:
    plan = ResetPlan.load(PLANS[name])
    report = here.client().resets.resume(plan, confirm=plan.phrase)
    assert {user.outcome for user in report.users} == {Outcome.RESET}
    assert here.resets == sent
    with pytest.raises(AlreadyAppliedError):
        here.client().resets.apply(plan, confirm=plan.phrase, reason="renewal")


def test_a_plan_that_was_begun_is_resumed_with_the_approval_of_then(here: Machine) -> None:
    plan, approval = ResetPlan.load(PLANS["begun"]), Approval.load(BEFORE / "approvals/begun.signed.json")
    client = here.client(safeguards=Safeguards(four_eyes="signed", allowed_signers=signers(here)))
    assert client.resets.resume(plan, confirm=plan.phrase, approval=approval).is_complete
    assert here.resets == 1


def signers(here: Machine) -> Path:
    path = StateDirectory.open().path.parent / "allowed_signers"
    shutil.copy(BEFORE / "approvals/allowed_signers", path)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("path", sorted((BEFORE / "approvals").glob("*.json")), ids=lambda path: path.stem)
def test_an_approval_is_one_of_its_own_plan_and_of_no_other(here: Machine, path: Path) -> None:
    name, _, kind = path.stem.partition(".")
    plan, approval = ResetPlan.load(PLANS[name]), Approval.load(path)
    assert (approval.kind, approval.phrase) == (kind, plan.phrase)
    known: dict[str, Any] = {"now": NOW, "rule": kind, "applied_by": plan.origin.user_id}
    assert checked(plan, approval, signers(here), **known).kind == kind
    with pytest.raises(ApprovalError, match="OTHER_PLAN"):
        checked(ResetPlan.load(PLANS["ended"]), approval, signers(here), **known)


@pytest.mark.parametrize("named", [lambda plan: plan.digest, lambda plan: plan.digest[:6]])
def test_its_report_is_found(here: Machine, named: Callable[[ResetPlan], str]) -> None:
    plan = ResetPlan.load(PLANS["ended"])
    seen = here.client().resets.wait_until_verified(named(plan), deadline=timedelta(0))
    assert seen.is_verified
    assert seen.report.plan == plan


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return machine(tmp_path, BEFORE / "proof", monkeypatch)


def test_a_proof_that_has_begun_goes_on_with_its_own_phrase_and_is_too_narrow(live: Machine) -> None:
    course = next(iter(live.mock.world.main.courses))
    client = live.client()
    proof = client.resets.plan_proof(course, "user1@generated.example")
    assert proof.phrase == (BEFORE / "proof/phrase.txt").read_text().strip()
    with pytest.raises(ProofFailedError, match="NOT_SEEN_YET"):
        client.resets.prove_format(proof, confirm=proof.phrase, reason="proof", deadline=timedelta(0))
    live.now += timedelta(hours=4)
    live.mock.clock.advance(timedelta(hours=4))
    with pytest.raises(ProofFailedError) as ended:  # nobody else had completed the course
        client.resets.prove_format(proof, confirm=proof.phrase, reason="proof")
    assert ended.value.reason == "PROOF_TOO_NARROW"
    assert not live.resets


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda said: {**said, "note": "reset nobody"}, "changed since"),
        (lambda said: {**said, "form": 3}, "changed since"),
        (lambda said: {**said, "form": 1}, "reads forms 2 to 3"),
        (lambda said: {**said, "form": True}, "reads forms 2 to 3"),
        (lambda said: {**said, "scope": "nobody"}, "changed since"),
        (
            lambda said: {**said, "users": [{**said["users"][0], "note": "x"}, *said["users"][1:]]},
            "changed since",
        ),
    ],
)
def test_what_its_form_does_not_hold_is_refused(change: Callable[[dict[str, Any]], Any], why: str) -> None:
    said = change(json.loads(PLANS["users"].read_bytes()))
    with pytest.raises(InvalidArgumentError, match=why):
        parse_plan(json.dumps(said).encode(), "plan.json")


def test_a_name_that_stands_twice_is_refused() -> None:
    text = PLANS["users"].read_text().replace('"email":', '"email": "ann@example.test", "email":', 1)
    with pytest.raises(InvalidArgumentError, match="is not a saved plan"):
        parse_plan(text.encode(), "plan.json")
