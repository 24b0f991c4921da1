"""Four eyes over the wire: two people of the demo organisation, each with a token and a key of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from mock_server import MockTraining
from training_sdk import (
    Approval,
    ApprovalError,
    PlannedReset,
    ResetPlan,
    ResetReport,
    Safeguards,
    StalePlanError,
    TrainingClient,
)

COURSE = "6908610029087ab67fa50c2e"
LEARNER = "user_1c0f1df09fe779030145040f203ab569"
SERVICE = "SUBSCRIPTION_SEAT_TYPE_SERVICE_USER"


class Office:
    """A demo world, and the people who plan, approve and apply in it."""

    def __init__(self, folder: Path, mock: MockTraining) -> None:
        self.folder = folder
        self.mock = mock
        self.signers = folder / "allowed_signers"
        self.signers.touch(mode=0o600)

    def client(self, token: Any, **options: Any) -> TrainingClient:
        http = httpx.Client(transport=self.mock.transport())
        return TrainingClient(self.mock.token(token), http_client=http, **options)

    def applier(self, rule: Any = "signed") -> TrainingClient:
        return self.client("admin", safeguards=Safeguards(four_eyes=rule, allowed_signers=self.signers))

    def key(self, token: Any) -> Path:
        """A key pair, listed for the owner of a token."""
        path = self.folder / str(token)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        with self.signers.open("a") as file:
            file.write(f"{self.client(token).users.me().user_id} {Path(f'{path}.pub').read_text()}")
        return path

    def plan(self) -> ResetPlan:
        return self.client("admin").resets.plan(COURSE, [LEARNER])

    def apply(self, plan: ResetPlan, approval: Approval | None, rule: Any = "signed") -> ResetReport:
        return self.applier(rule).resets.apply(plan, confirm=plan.phrase, reason="test", approval=approval)

    @property
    def resets(self) -> int:
        return len([*self.mock.calls.of("reset")])


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path, MockTraining.demo())


def as_service(office: Office, token: Any) -> None:
    """Turn the owner of a token into a service user."""
    state = office.mock.state()
    user_id = office.client(token).users.me().user_id
    (person,) = [one for org in state["organisations"] for one in org["people"] if one["id"] == user_id]
    person["seat"] = SERVICE
    office.mock.rollback(state)


@pytest.mark.parametrize("token", ["resetter", "manager"])
def test_a_plan_is_handed_over_approved_and_applied(office: Office, token: str) -> None:
    office.plan().save(office.folder / "plan.json")
    theirs = ResetPlan.load(office.folder / "plan.json")
    approver = office.client(token)
    approval = approver.resets.approve(theirs, confirm=theirs.phrase, key=office.key(token))
    approval.save(office.folder / "approval.json")
    report = office.apply(
        ResetPlan.load(office.folder / "plan.json"), Approval.load(office.folder / "approval.json")
    )
    assert report.is_complete
    assert office.resets == 1


def test_nothing_is_sent_without_a_second_person(office: Office) -> None:
    plan, key = office.plan(), office.key("admin")
    own = office.client("admin").resets.approve(plan, confirm=plan.phrase, key=key)
    unsigned = office.client("manager").resets.approve(plan, confirm=plan.phrase)
    stranger = office.client("teamlead").resets.approve(plan, confirm=plan.phrase, key=key)
    for approval, reason in (
        (None, "NO_APPROVAL"),
        (own, "SAME_USER"),
        (unsigned, "NOT_SIGNED"),
        (stranger, "SIGNER_NOT_ALLOWED"),
    ):
        with pytest.raises(ApprovalError) as caught:
            office.apply(plan, approval)
        assert caught.value.reason == reason
    assert office.resets == 0


def test_procedure_is_enough_where_the_rule_says_so(office: Office) -> None:
    plan = office.plan()
    approval = office.client("manager").resets.approve(plan, confirm=plan.phrase)
    assert office.apply(plan, approval, "procedural").is_complete


def forged(office: Office) -> ResetPlan:
    """A plan with a new digest that shows the learner and resets somebody else, as it comes out of its file."""
    plan = office.plan()
    others = office.client("admin").progress.list(course_id=COURSE)
    other = next(row for row in others if row.has_recorded_progress and row.user_id != LEARNER)
    theirs = {**attrs.asdict(PlannedReset.of(other)), "state": other.state}
    shown = plan.users[0]
    person = PlannedReset(
        **{**theirs, "name": shown.name, "email": shown.email, "external_id": shown.external_id}
    )
    attrs.evolve(plan, users=(person,)).save(office.folder / "forged.json")
    return ResetPlan.load(office.folder / "forged.json")


def test_a_plan_that_shows_one_person_and_resets_another_is_found_by_either_pair_of_eyes(
    office: Office,
) -> None:
    plan = forged(office)
    assert str(plan.users[0]).startswith(f"{office.plan().users[0].name} ")
    with pytest.raises(ApprovalError, match="IDENTITY_CHANGED"):
        office.client("manager").resets.approve(plan, confirm=plan.phrase, key=office.key("manager"))
    blind = office.client("resetter").resets.approve(plan, confirm=plan.phrase, key=office.key("resetter"))
    assert blind.compared is False
    with pytest.raises(StalePlanError, match="the plan was: find out by whom") as caught:
        office.apply(plan, blind)
    assert (caught.value.reason, office.resets) == ("IDENTITY_CHANGED", 0)


@pytest.mark.parametrize("token", ["learner", "teamlead"])
def test_whoever_may_not_look_users_up_approves_with_a_key_only(office: Office, token: str) -> None:
    plan = office.plan()
    client = office.client(token)
    with pytest.raises(ApprovalError) as caught:
        client.resets.approve(plan, confirm=plan.phrase)
    assert caught.value.reason == "SEAT_UNREADABLE"
    approval = client.resets.approve(plan, confirm=plan.phrase, key=office.key(token))
    assert office.apply(plan, approval).is_complete


@pytest.mark.parametrize("rule", ["signed", "procedural"])
def test_a_service_user_is_no_second_person(office: Office, rule: str) -> None:
    plan, key = office.plan(), office.key("manager")
    before = office.client("manager").resets.approve(plan, confirm=plan.phrase, key=key)
    as_service(office, "manager")
    with pytest.raises(ApprovalError, match="NOT_A_PERSON"):
        office.client("manager").resets.approve(plan, confirm=plan.phrase, key=key)
    with pytest.raises(ApprovalError, match="NOT_A_PERSON"):
        office.apply(plan, before, rule)
    assert office.resets == 0


def test_a_service_user_applies_nothing(office: Office) -> None:
    plan, key = office.plan(), office.key("manager")
    approval = office.client("manager").resets.approve(plan, confirm=plan.phrase, key=key)
    as_service(office, "admin")
    with pytest.raises(ApprovalError, match="NOT_A_PERSON"):
        office.apply(plan, approval)
    assert office.resets == 0


def test_another_process_approves_what_was_saved(office: Office, run: Callable[[str], str]) -> None:
    """With nothing in common but the files and a server."""
    key = office.key("resetter")
    with office.mock.serve() as server:
        with TrainingClient(office.mock.token("admin"), base_url=server.url) as client:
            plan = client.resets.plan(COURSE, [LEARNER])
        plan.save(office.folder / "plan.json")
        run(
            f"""
from training_sdk import ResetPlan, TrainingClient
plan = ResetPlan.load({str(office.folder / "plan.json")!r})
client = TrainingClient({office.mock.token("resetter")!r}, base_url={server.url!r})
approval = client.resets.approve(plan, confirm={plan.phrase!r}, key={str(key)!r})
approval.save({str(office.folder / "approval.json")!r})
"""
        )
        rules = Safeguards(four_eyes="signed", allowed_signers=office.signers)
        approval = Approval.load(office.folder / "approval.json")
        with TrainingClient(office.mock.token("admin"), base_url=server.url, safeguards=rules) as client:
            report = client.resets.apply(plan, confirm=plan.phrase, reason="test", approval=approval)
        assert report.is_complete


@pytest.fixture
def run() -> Callable[[str], str]:
    def finish(program: str) -> str:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return finish
