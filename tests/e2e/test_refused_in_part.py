"""A live service that refuses a reset after it has carried out a part: what the command line says (R05)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import define, evolve

from e2e.fork_server import run_forked
from mock_server import MockTraining, Policy
from mock_server.transports.serving import serve
from mock_server.wire.message import Request, Response
from training_sdk import ResetFormat, ResetPlan, TrainingClient
from training_sdk.format_proof.proofs import ProofScope, save_proof
from training_sdk.records.state import StateDirectory
from unit.sdk.proving import proof_of

RESET = "/training/courseprogress/v1/reset"


@define
class Partial:
    """A live service that resets the first of the people listed, and refuses the request for the others."""

    mock: MockTraining
    status: int | None = None
    """With which it refuses; None where it does as it is told."""
    resets: int = 0

    def handle(self, request: Request) -> Response:
        if request.path != RESET:
            return self.mock.handle(request)
        self.resets += 1
        if self.status is None:
            return self.mock.handle(request)
        document = json.loads(request.body)
        if len(document["userIds"]) > 1:
            document["userIds"] = document["userIds"][:1]
            self.mock.handle(evolve(request, body=json.dumps(document).encode()))
        return Response(self.status, (), b'{"code": 7, "message": "not this person"}')


@define
class Desk:
    """The service, and a machine on which its format counts as proved."""

    service: Partial
    url: str
    home: Path

    def client(self) -> TrainingClient:
        return TrainingClient(
            self.service.mock.token("admin"), base_url=self.url, state_dir=self.home / "state"
        )

    def environment(self) -> Mapping[str, str]:
        ours = ("SAFETYCULTURE_", "TRAINING_SDK_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return kept | {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home),
            "TRAINING_SDK_STATE_DIR": str(self.home / "state"),
            "SAFETYCULTURE_BASE_URL": self.url,
            "SAFETYCULTURE_API_TOKEN": self.service.mock.token("admin"),
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return run_forked("training_sdk.cli", command, cwd=self.home, env=self.environment())

    def plan(self, name: str, people: int) -> ResetPlan:
        """A plan for so many people, saved."""
        with self.client() as client:
            course = next(iter(self.service.mock.world.main.courses))
            everyone = client.resets.plan_everyone(course)
            plan = client.resets.plan(course, [user.user_id for user in everyone.targets[-people:]])
        plan.save(self.home / name)
        return plan

    def apply(self, name: str, plan: ResetPlan, *more: str) -> subprocess.CompletedProcess[str]:
        file = str(self.home / name)
        return self.run("apply", file, "--confirm", plan.phrase, "--reason", "renewal", *more)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    service = Partial(MockTraining.generate(users=8, courses=1, policy=Policy(plays="live")))
    tmp_path.chmod(0o700)
    with serve(service) as server:
        found = Desk(service, server.url, tmp_path)
        origin = found.plan("first.json", 2).origin
        ground = ProofScope.of(origin, ResetFormat(), server_side=False)
        save_proof(StateDirectory.open(tmp_path / "state"), proof_of(ground, datetime.now(UTC)))
        yield found


@pytest.mark.parametrize("status", [403, 429])
def test_r05_no_exit_code_says_nobody_where_that_is_not_known(desk: Desk, status: int) -> None:
    plan = desk.plan("plan.json", 3)
    desk.service.status = status
    ended = desk.apply("plan.json", plan)
    assert (ended.returncode, desk.service.resets) == (5, 1)
    said = ended.stdout + ended.stderr
    assert "--per-request 1" in said
    assert "per_request" not in said
    assert "nobody was" not in said
    assert "REFUSAL_UNCERTAIN" in (desk.home / "state" / "plans" / plan.digest / "report.json").read_text()
    assert desk.run("report", str(desk.home / "plan.json")).returncode == 5
    resumed = desk.run("resume", str(desk.home / "plan.json"), "--confirm", plan.phrase, "--per-request", "1")
    assert (resumed.returncode, desk.service.resets) == (5, 1), "it is too early to tell"


def test_one_person_per_request_has_refusals_that_are_certain(desk: Desk) -> None:
    plan = desk.plan("plan.json", 3)
    desk.service.status = 403
    ended = desk.apply("plan.json", plan, "--per-request", "1")
    assert (ended.returncode, desk.service.resets) == (7, 1)
    desk.service.status = None
    resumed = desk.run("resume", str(desk.home / "plan.json"), "--confirm", plan.phrase)
    assert (resumed.returncode, desk.service.resets) == (0, 4), resumed.stderr


def test_one_call_for_everyone_cannot_be_divided(desk: Desk) -> None:
    with desk.client() as client:
        plan = client.resets.plan_everyone(next(iter(desk.service.mock.world.main.courses)))
    plan.save(desk.home / "all.json")
    ended = desk.apply("all.json", plan, "--server-side", "--per-request", "1")
    assert (ended.returncode, desk.service.resets) == (2, 0)
    assert "Leave out --server-side or --per-request." in ended.stderr
