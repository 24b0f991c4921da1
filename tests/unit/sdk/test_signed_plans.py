"""A plan that its planner has signed: what somebody else made of its file is not approved and not applied."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from training_sdk import ApprovalError, InvalidArgumentError, ResetPlan, Safeguards
from training_sdk.approval.four_eyes import approve, check_signed
from training_sdk.plans.plan import parse_plan, plan_bytes
from unit.sdk.approving import APPLIER, THIRD, Keys, Staff, some_plan, written
from unit.sdk.fakes import CALLS, FakeDriver

PLAN = some_plan()


@pytest.fixture(scope="module")
def signers(keys: Keys, key: Path, other_key: Path) -> Path:
    return keys.signers((APPLIER, key), (THIRD, other_key))


@pytest.fixture(scope="module")
def signed(key: Path) -> ResetPlan:
    return PLAN.sign(key)


def check(plan: ResetPlan, signers: Path | None, *, demanded: bool = True) -> None:
    rules = Safeguards(allowed_signers=signers, signed_plans=demanded)
    FakeDriver(Staff()).run(check_signed(plan, rules))


def test_a_signature_keeps_digest_and_phrase(signed: ResetPlan, signers: Path, tmp_path: Path) -> None:
    assert (signed.digest, signed.phrase) == (PLAN.digest, PLAN.phrase)
    signed.save(tmp_path / "plan.json")
    loaded = ResetPlan.load(tmp_path / "plan.json")
    assert loaded == signed
    check(loaded, signers)
    check(loaded, signers, demanded=False)
    assert "SIGNATURE" not in repr(loaded) + str(loaded)


def test_a_plan_without_a_signature_is_refused_where_one_is_demanded(signers: Path) -> None:
    check(PLAN, signers, demanded=False)
    with pytest.raises(ApprovalError, match=r"plan is not signed.*\bPLAN_NOT_SIGNED\b"):
        check(PLAN, signers)


FORGED: dict[str, Callable[[ResetPlan], ResetPlan]] = {
    "another person": lambda it: evolve(it, users=(evolve(it.users[0], user_id=THIRD),)),
    "another name": lambda it: evolve(it, users=(evolve(it.users[0], name="Bob"),)),
    "a later reading": lambda it: evolve(it, read_at=it.expires_at),
    "fewer warnings": lambda it: evolve(it, warnings=("none",)),
    "another planner": lambda it: evolve(it, origin=evolve(it.origin, user_id=THIRD)),
    "another organisation": lambda it: evolve(it, origin=evolve(it.origin, organisation_id="role_2")),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize("demanded", [True, False])
def test_a_plan_with_a_new_digest_and_the_old_signature_is_refused(
    forge: Callable[[ResetPlan], ResetPlan], demanded: bool, signed: ResetPlan, signers: Path, tmp_path: Path
) -> None:
    (tmp_path / "forged.json").write_bytes(plan_bytes(forge(signed)))
    loaded = ResetPlan.load(tmp_path / "forged.json")
    with pytest.raises(ApprovalError) as caught:
        check(loaded, signers, demanded=demanded)
    assert caught.value.reason in ("SIGNATURE_INVALID", "SIGNER_NOT_ALLOWED")


def test_the_signature_of_an_approval_is_none_of_a_plan(signed: ResetPlan, key: Path, signers: Path) -> None:
    flow = approve(CALLS, PLAN, Safeguards(), confirm=PLAN.phrase, key=key, interactive=False)
    approval = FakeDriver(Staff()).run(flow)
    with pytest.raises(ApprovalError, match="SIGNATURE_INVALID"):
        check(evolve(PLAN, signature=approval.signature), signers)


def test_approving_verifies_the_planner_first(signed: ResetPlan, key: Path, signers: Path) -> None:
    rules = Safeguards(allowed_signers=signers, signed_plans=True)
    options: dict[str, Any] = {"key": key, "interactive": False}
    flow = approve(CALLS, signed, rules, confirm=signed.phrase, **options)
    assert FakeDriver(Staff()).run(flow).plan_digest == signed.digest
    staff = Staff()
    with pytest.raises(ApprovalError, match="PLAN_NOT_SIGNED"):
        FakeDriver(staff).run(approve(CALLS, PLAN, rules, confirm=PLAN.phrase, **options))
    assert staff.sent == []


def test_demanding_signatures_takes_a_file_of_signers() -> None:
    with pytest.raises(InvalidArgumentError, match="allowed_signers must be set"):
        Safeguards(signed_plans=True)


@pytest.mark.parametrize("value", [1, True, [], {}])
def test_a_signature_that_is_no_text_is_no_plan(value: object, signed: ResetPlan) -> None:
    said = {**json.loads(plan_bytes(signed)), "signature": value}
    with pytest.raises(InvalidArgumentError, match="its signature must be text"):
        parse_plan(json.dumps(said).encode(), "plan.json")


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN SSH SIGNATURE-----"])
def test_a_signature_that_is_none_is_refused(text: str, signers: Path) -> None:
    with pytest.raises(ApprovalError, match="SIGNATURE_INVALID"):
        check(evolve(PLAN, signature=text), signers)


def test_only_the_planner_may_have_signed(keys: Keys, signers: Path) -> None:
    theirs = PLAN.sign(keys.folder / "third")
    with pytest.raises(ApprovalError, match=f"not for the planner {APPLIER}"):
        check(theirs, signers)
    written(keys.folder / "none", [])
    with pytest.raises(ApprovalError, match="not an allowed signer"):
        check(theirs, keys.folder / "none")
