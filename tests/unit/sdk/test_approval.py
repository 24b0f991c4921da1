"""Four eyes: whose consent counts, and that no other passes for it."""

from __future__ import annotations

import base64
import json
import os
import pickle
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rawhttp import PATIENCE
from training_sdk import (
    Approval,
    ApprovalError,
    ConfirmationError,
    InvalidArgumentError,
    PlanMismatchError,
    StalePlanError,
    ssh_signatures,
)
from training_sdk._core.listing import Calls
from training_sdk._core.urls import BaseUrl
from training_sdk.approval.approvals import Approver, approval_bytes, parse_approval
from training_sdk.approval.four_eyes import MAX_AGE, NAMESPACE, SKEW, approve
from training_sdk.records import storage
from training_sdk.safeguards import Safeguards
from unit.sdk.approving import (
    ANN,
    APPLIER,
    APPROVER,
    NOW,
    THIRD,
    Keys,
    Staff,
    approved,
    checked,
    required,
    some_plan,
    stamp,
    written,
)
from unit.sdk.fakes import CALLS, START, FakeDriver, refusal

PLAN = some_plan()
refused = partial(refusal, ApprovalError)


@pytest.fixture(scope="module")
def signers(keys: Keys, key: Path, other_key: Path) -> Path:
    return keys.signers((APPROVER, key), (THIRD, other_key))


@pytest.fixture(scope="module")
def signed(key: Path) -> Approval:
    return approved(PLAN, key)


# --- approving --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [("ed25519",), ("ecdsa", "-b", "256"), ("ecdsa", "-b", "521"), ("rsa", "-b", "3072")],
    ids="-".join,
)
def test_a_plan_signed_by_one_user_may_be_applied_by_another(kind: tuple[str, ...], keys: Keys) -> None:
    key = keys.make("-".join(kind), "-t", *kind)
    approval = approved(PLAN, key)
    assert approval.kind == "signed"
    listed = keys.signers((APPROVER, key), name=f"{key.name}.signers")
    found = checked(PLAN, approval, listed)
    assert (found.kind, found.approver) == ("signed", Approver(APPROVER, "Zoë O'Brien", "role_1"))
    printed = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], capture_output=True, text=True, check=True)
    assert found.key_fingerprint == approval.key_fingerprint == printed.stdout.split()[1]


def test_an_approval_without_a_key_says_that_it_is_procedural(signers: Path) -> None:
    approval = approved(PLAN, None)
    assert (approval.kind, approval.signature, approval.key_fingerprint) == ("procedural", None, None)
    assert str(approval).endswith("procedural: not signed; names compared with the service")
    assert checked(PLAN, approval, None, rule="procedural").kind == "procedural"
    assert checked(PLAN, approval, signers, rule="procedural").kind == "procedural"


def test_what_is_not_verified_is_not_called_signed(signed: Approval) -> None:
    found = checked(PLAN, signed, None, rule="procedural")
    assert (found.kind, found.key_fingerprint) == ("procedural", None)


NOT_SEEN: dict[str, Staff] = {
    "no right to read": Staff(sees=False),
    "a narrow view": Staff(rows=[], counted=1),
}


@pytest.mark.parametrize("staff", NOT_SEEN.values(), ids=NOT_SEEN)
def test_a_signed_approval_says_that_names_were_not_compared(staff: Staff, key: Path, signers: Path) -> None:
    approval = approved(PLAN, key, staff)
    assert approval.compared is False
    assert b'"compared":false' in approval.message
    assert str(approval).endswith("names NOT compared with the service")
    found = checked(PLAN, approval, signers)
    assert (found.kind, found.compared) == ("signed", False)
    with refused("ROWS_UNREADABLE"):
        approved(PLAN, None, staff)


def test_somebody_who_has_left_the_course_is_no_obstacle() -> None:
    assert approved(PLAN, None, Staff(rows=[], counted=0)).compared is True


@pytest.mark.parametrize(
    "row",
    [{"user_first_name": "Bob"}, {"user_email": "bob@example.test"}, {"user_external_id": "E-1"}],
    ids=str,
)
@pytest.mark.parametrize("signs", [True, False], ids=["signed", "procedural"])
def test_a_plan_with_another_person_is_not_approved(row: dict[str, Any], signs: bool, keys: Keys) -> None:
    staff = Staff(rows=[{**ANN, **row}])
    with refused("IDENTITY_CHANGED"):
        approved(PLAN, keys.folder / "missing" if signs else None, staff)


@pytest.mark.parametrize("confirm", ["", "yes", "reset", None, True, PLAN.phrase + " ", PLAN.digest])
def test_approving_takes_the_phrase_of_the_plan(confirm: object) -> None:
    staff = Staff()
    with pytest.raises(ConfirmationError):
        approved(PLAN, None, staff, confirm=confirm)
    assert staff.sent == []


def test_approving_takes_a_plan() -> None:
    with pytest.raises(InvalidArgumentError, match="not str"):
        FakeDriver(Staff()).run(approve(CALLS, "plan", Safeguards(), confirm="plan", key=None))  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize(
    ("staff", "calls"),
    [
        (Staff(organisation="role_2"), CALLS),
        (Staff(reference=False), CALLS),
        (Staff(), Calls(BaseUrl("https://other.example.test"), 90.0)),
    ],
    ids=["organisation", "server", "address"],
)
def test_a_plan_is_approved_where_it_was_made(staff: Staff, calls: Calls, signed: Approval) -> None:
    with pytest.raises(PlanMismatchError):
        FakeDriver(staff).run(approve(calls, PLAN, Safeguards(), confirm=PLAN.phrase, key=None))
    staff.me = APPLIER
    with pytest.raises(PlanMismatchError):
        required(PLAN, signed, None, staff=staff, rule="procedural", calls=calls)


def test_an_expired_plan_is_not_approved(key: Path) -> None:
    with pytest.raises(StalePlanError, match="expired"):
        approved(some_plan(expires_at=START - timedelta(seconds=1)), key)


# --- who the two are --------------------------------------------------------------------------------------------------

NOBODY = {
    "service": ({"seat_type": "SUBSCRIPTION_SEAT_TYPE_SERVICE_USER"}, "NOT_A_PERSON"),
    "support": ({"seat_type": "SUBSCRIPTION_SEAT_TYPE_SUPPORT"}, "NOT_A_PERSON"),
    "a seat of tomorrow": ({"seat_type": "SUBSCRIPTION_SEAT_TYPE_ROBOT"}, "NOT_A_PERSON"),
    "no seat told": ({"seat_type": None}, "NOT_A_PERSON"),
    "deactivated": ({"status": "USER_ACTIVE_STATUS_DEACTIVATED"}, "NOT_ACTIVE"),
    "no status told": ({"status": None}, "NOT_ACTIVE"),
    "unknown": (None, "NOT_ACTIVE"),
}


def staff_with(user_id: str, facts: dict[str, Any] | None, me: str) -> Staff:
    staff = Staff(me=me)
    if facts is None:
        del staff.users[user_id]
    else:
        staff.users[user_id] = facts
    return staff


@pytest.mark.parametrize(("facts", "reason"), NOBODY.values(), ids=NOBODY)
@pytest.mark.parametrize("with_key", [True, False])
def test_only_active_users_sign(facts: dict[str, Any] | None, reason: str, with_key: bool, key: Path) -> None:
    with refused(reason):
        approved(PLAN, key if with_key else None, staff_with(APPROVER, facts, APPROVER))


@pytest.mark.parametrize(("facts", "reason"), NOBODY.values(), ids=NOBODY)
@pytest.mark.parametrize("whom", [APPROVER, APPLIER], ids=["approver", "applier"])
def test_applying_looks_at_both_again(
    facts: dict[str, Any] | None, reason: str, whom: str, signed: Approval, signers: Path
) -> None:
    with refused(reason):
        required(PLAN, signed, signers, staff=staff_with(whom, facts, APPLIER))


@pytest.mark.parametrize("seat", ["PREMIUM", "LITE", "COLLABORATOR"])
def test_every_seat_of_a_person_will_do(seat: str, key: Path, signers: Path) -> None:
    facts = {"seat_type": f"SUBSCRIPTION_SEAT_TYPE_{seat}"}
    approval = approved(PLAN, key, staff_with(APPROVER, facts, APPROVER))
    assert required(PLAN, approval, signers, staff=staff_with(APPROVER, facts, APPLIER)).kind == "signed"


def test_both_are_looked_up_in_one_request(signed: Approval, signers: Path) -> None:
    staff = Staff(me=APPLIER)
    required(PLAN, signed, signers, staff=staff)
    assert [request.path.rpartition("/")[2] for request in staff.sent] == ["user:WhoAmI", "list"]


def test_an_approver_who_may_not_list_users_signs_and_the_applier_looks(key: Path, signers: Path) -> None:
    with refused("SEAT_UNREADABLE"):
        approved(PLAN, None, Staff(listable=False))
    approval = approved(PLAN, key, Staff(listable=False))
    assert required(PLAN, approval, signers, staff=Staff(me=APPLIER)).kind == "signed"
    with refused("SEAT_UNREADABLE"):
        required(PLAN, approval, signers, staff=Staff(me=APPLIER, listable=False))


def test_the_two_are_different_users(signed: Approval, signers: Path) -> None:
    with refused("SAME_USER"):
        required(PLAN, signed, signers, staff=Staff(me=APPROVER))
    with refused("SAME_USER"):
        required(PLAN, approved(PLAN, None), None, staff=Staff(me=APPROVER), rule="procedural")


def test_whoever_planned_may_be_either_of_the_two(key: Path, signers: Path) -> None:
    for planner in (APPLIER, APPROVER, THIRD):
        plan = some_plan(origin=evolve(PLAN.origin, user_id=planner))
        assert required(plan, approved(plan, key), signers, staff=Staff(me=APPLIER)).kind == "signed"


@pytest.mark.parametrize("hostile", ["user_*", "user_a,user_b", "!user_a", "-oProxy", "a b", "a\nb", "", "ü"])
def test_a_user_id_that_means_something_to_ssh_is_no_principal(hostile: str, key: Path) -> None:
    with refused("NOT_A_PERSON"):
        approved(PLAN, key, Staff(me=hostile))


# --- what is approved -------------------------------------------------------------------------------------------------


def test_without_an_approval_no_user_is_looked_up(signers: Path) -> None:
    staff = Staff(me=APPLIER)
    with refused("NO_APPROVAL"):
        required(PLAN, None, signers, staff=staff)
    assert [request.path.rpartition("/")[2] for request in staff.sent] == ["user:WhoAmI"]


@pytest.mark.parametrize("nothing", [True, "approved", {"kind": "signed"}])
def test_only_an_approval_is_one(nothing: object, signers: Path) -> None:
    with pytest.raises(InvalidArgumentError):
        checked(PLAN, nothing, signers)


def test_an_approval_of_another_plan_is_none(signed: Approval, signers: Path) -> None:
    with refused("OTHER_PLAN"):
        checked(some_plan(read_at=START + timedelta(seconds=1)), signed, signers)


def test_digest_and_phrase_fit_to_the_last_letter() -> None:
    approval = approved(PLAN, None)
    last = "0" if PLAN.digest[-1] != "0" else "1"
    digest = evolve(approval, plan_digest=PLAN.digest[:-1] + last)
    for other in (digest, evolve(approval, phrase=PLAN.phrase.replace("basics", "Basics"))):
        with refused("OTHER_PLAN"):
            checked(PLAN, other, None, rule="procedural")


def test_an_approval_is_as_old_as_allowed(signed: Approval, signers: Path) -> None:
    assert checked(PLAN, signed, signers, now=START + MAX_AGE).at == START
    with refused("APPROVAL_EXPIRED"):
        checked(PLAN, signed, signers, now=START + MAX_AGE + timedelta(seconds=1))
    assert checked(PLAN, signed, signers, now=START - SKEW).at == START
    with refused("NOT_YET_VALID"):
        checked(PLAN, signed, signers, now=START - SKEW - timedelta(seconds=1))


def test_the_approver_is_in_the_organisation_of_the_plan(signed: Approval, signers: Path) -> None:
    elsewhere = evolve(signed, approver=evolve(signed.approver, organisation_id="role_2"))
    with refused("OTHER_ORGANISATION"):
        checked(PLAN, elsewhere, signers)


def test_procedure_is_not_enough_where_a_signature_is_demanded(signers: Path) -> None:
    with refused("NOT_SIGNED"):
        checked(PLAN, approved(PLAN, None), signers)


# --- signatures -------------------------------------------------------------------------------------------------------

FORGED: dict[str, Callable[[Approval], Approval]] = {
    "another approver": lambda it: evolve(it, approver=evolve(it.approver, user_id=THIRD)),
    "another name": lambda it: evolve(it, approver=evolve(it.approver, name="Somebody Else")),
    "another time": lambda it: evolve(it, at=it.at + timedelta(seconds=1)),
    "another form": lambda it: evolve(it, form=3),
    "the first form": lambda it: evolve(it, form=1, compared=None),
    "names that were not compared": lambda it: evolve(it, compared=not it.compared),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize("rule", ["signed", "procedural"])
def test_an_approval_edited_by_hand_is_refused(
    forge: Callable[[Approval], Approval], rule: str, signed: Approval, signers: Path
) -> None:
    with pytest.raises(ApprovalError) as caught:
        checked(PLAN, forge(signed), signers, rule=rule)
    assert caught.value.reason in ("SIGNATURE_INVALID", "SIGNER_NOT_ALLOWED")


def test_the_signature_of_another_plan_is_refused(key: Path, signers: Path) -> None:
    elsewhere = approved(some_plan("Another course"), key)
    with refused("SIGNATURE_INVALID"):
        checked(PLAN, evolve(elsewhere, plan_digest=PLAN.digest, phrase=PLAN.phrase), signers)


def test_a_signature_made_for_something_else_is_refused(signed: Approval, key: Path, signers: Path) -> None:
    again = ssh_signatures.sign(signed.message, key, namespace=NAMESPACE, interactive=False)
    assert checked(PLAN, evolve(signed, signature=again), signers).kind == "signed"
    commit = ssh_signatures.sign(signed.message, key, namespace="git", interactive=False)
    with refused("SIGNATURE_INVALID"):
        checked(PLAN, evolve(signed, signature=commit), signers)


def test_a_key_that_is_not_listed_is_refused(signed: Approval, keys: Keys, other_key: Path) -> None:
    for lines in ((), ((APPROVER, other_key),)):
        with refused("SIGNER_NOT_ALLOWED"):
            checked(PLAN, signed, keys.signers(*lines, name="without"))


def test_a_key_listed_for_somebody_else_is_refused(signed: Approval, keys: Keys, key: Path) -> None:
    for who in (THIRD, "zoe@example.test", "*", "user_*", f"{THIRD},zoe@example.test"):
        with refused("SIGNER_NOT_ALLOWED"):
            checked(PLAN, signed, keys.signers((who, key), name="elsewhere"))


@pytest.mark.parametrize("also", [THIRD, APPLIER, "*", "user_b*", f"!{THIRD}"])
def test_a_key_that_two_share_is_refused(also: str, signed: Approval, keys: Keys, key: Path) -> None:
    with refused("SIGNER_SHARED"):
        checked(PLAN, signed, keys.signers((f"{APPROVER},{also}", key), name="shared"))
    with refused("SIGNER_NOT_ALLOWED"):  # on two lines, the first counts
        checked(PLAN, signed, keys.signers((also.strip("!"), key), (APPROVER, key), name="shared"))


@pytest.mark.parametrize("hostile", ["*", "user_*", f"{APPROVER},x"])
def test_a_pattern_as_an_approver_is_refused(hostile: str, signed: Approval, keys: Keys, key: Path) -> None:
    """However well it is signed, and listed."""
    claimed = evolve(signed, approver=evolve(signed.approver, user_id=hostile))
    again = ssh_signatures.sign(claimed.message, key, namespace=NAMESPACE, interactive=False)
    with refused("SIGNER_NOT_ALLOWED"):
        checked(PLAN, evolve(claimed, signature=again), keys.signers((hostile, key), name="hostile"))


def test_an_address_may_stand_beside_the_user_id(signed: Approval, keys: Keys, key: Path) -> None:
    listed = keys.signers((f"{APPROVER},zoe@example.test", key), name="with address")
    assert checked(PLAN, signed, listed).kind == "signed"


def test_a_key_counts_from_and_until_when_its_line_says(signed: Approval, keys: Keys, key: Path) -> None:
    soon, past = stamp(NOW + timedelta(hours=1)), stamp(NOW - timedelta(hours=1))
    for options in (f'valid-before="{soon}"', f'valid-after="{past}"'):
        assert (
            checked(PLAN, signed, keys.signers((f"{APPROVER} {options}", key), name="dated")).kind == "signed"
        )
    for options in (f'valid-before="{past}"', f'valid-after="{soon}"'):
        with refused("SIGNER_NOT_ALLOWED"):
            checked(PLAN, signed, keys.signers((f"{APPROVER} {options}", key), name="dated"))


def test_a_line_may_bind_its_key_to_approvals(signed: Approval, keys: Keys, key: Path) -> None:
    ours = keys.signers((f'{APPROVER} namespaces="{NAMESPACE}"', key), name="bound")
    assert checked(PLAN, signed, ours).kind == "signed"
    with refused("SIGNATURE_INVALID"):
        checked(PLAN, signed, keys.signers((f'{APPROVER} namespaces="git"', key), name="bound"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_signature_with_a_flipped_bit_fails(place: int, bit: int, signed: Approval, signers: Path) -> None:
    assert signed.signature is not None
    blob = bytearray(base64.b64decode("".join(signed.signature.split("\n")[1:-2])))
    blob[place % len(blob)] ^= 1 << bit
    with pytest.raises(ApprovalError) as caught:
        checked(PLAN, evolve(signed, signature=armoured(bytes(blob))), signers)
    assert caught.value.reason in ("SIGNATURE_INVALID", "SIGNER_NOT_ALLOWED")


def armoured(blob: bytes) -> str:
    text = base64.b64encode(blob).decode()
    lines = "\n".join(text[start : start + 70] for start in range(0, len(text), 70))
    return f"{ssh_signatures.BEGIN}\n{lines}\n{ssh_signatures.END}\n"


NO_SIGNATURES = {
    "empty": "",
    "words": "trust me",
    "not base64": f"{ssh_signatures.BEGIN}\n~~~~\n{ssh_signatures.END}\n",
    "no key": armoured(b"SSHSIG" + bytes(8)),
    "half": armoured(b"SSHSIG" + bytes([0, 0, 0, 1, 0, 0, 9, 9]) + b"x"),
    "megabytes": armoured(b"SSHSIG" + bytes([0, 0, 0, 1, 0, 0, 0, 1]) + b"x" + bytes(4_000_000)),
    "not ASCII": f"{ssh_signatures.BEGIN}\n{'Ä' * 8}\n{ssh_signatures.END}\n",
}


@pytest.mark.parametrize("text", NO_SIGNATURES.values(), ids=NO_SIGNATURES)
def test_what_is_no_signature_makes_no_approval(text: str, signed: Approval) -> None:
    with refused("SIGNATURE_INVALID"):
        evolve(signed, signature=text)


def test_the_kind_fits_the_signature(signed: Approval) -> None:
    with refused("APPROVAL_UNREADABLE"):
        evolve(signed, kind="procedural")
    with refused("APPROVAL_UNREADABLE"):
        evolve(signed, signature=None)


# --- the file of allowed signers --------------------------------------------------------------------------------------


def test_an_unusable_file_of_signers_is_refused(signed: Approval, signers: Path, tmp_path: Path) -> None:
    broad = written(tmp_path / "broad", [signers.read_text()])
    broad.chmod(0o666)
    large = written(tmp_path / "large", ["#" * (ssh_signatures.LARGEST_SIGNERS + 1)])
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (broad, large, pipe, tmp_path, tmp_path / "missing", Path("nul\0l")):
        with refused("SIGNERS_UNUSABLE"):
            checked(PLAN, signed, path)


@pytest.mark.parametrize(
    ("mode", "said"), [(0o620, "chmod g-w"), (0o602, "chmod go-w"), (0o666, "chmod go-w")]
)
@pytest.mark.parametrize("above", [0, 1, 2], ids=["the file", "its directory", "a directory above"])
def test_signers_that_others_may_change_are_refused(
    mode: int, said: str, above: int, signed: Approval, signers: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "team" / "keys"
    folder.mkdir(parents=True)
    listed = written(folder / "signers", signers.read_text().splitlines())
    assert checked(PLAN, signed, listed).kind == "signed"
    changeable = (listed, folder, tmp_path / "team")[above]
    changeable.chmod(mode | (0o100 if above else 0))
    with refused("SIGNERS_UNUSABLE", f"{said} {re.escape(str(changeable))}"):
        checked(PLAN, signed, listed)
    changeable.chmod(0o700)


def test_a_link_is_followed_and_checked_at_both_ends(signed: Approval, signers: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    listed = written(tmp_path / "there" / "signers", signers.read_text().splitlines())
    (tmp_path / "here").mkdir()
    link = tmp_path / "here" / "signers"
    link.symlink_to(listed)
    assert checked(PLAN, signed, link).kind == "signed"
    for folder in ("here", "there"):
        (tmp_path / folder).chmod(0o770)
        with pytest.raises(ApprovalError, match="chmod g-w"):
            checked(PLAN, signed, link)
        (tmp_path / folder).chmod(0o700)


def test_a_directory_with_the_sticky_bit_is_accepted(signed: Approval, signers: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    assert (
        checked(PLAN, signed, written(shared / "signers", signers.read_text().splitlines())).kind == "signed"
    )


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("what", ["file", "directory"])
def test_signers_of_another_uid_are_bad(what: str, signed: Approval, signers: Path, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    listed = written(folder / "signers", signers.read_text().splitlines())
    os.chown(listed if what == "file" else folder, 12345, -1)
    with refused("SIGNERS_UNUSABLE", r"another user \(uid 12345\)"):
        checked(PLAN, signed, listed)


@pytest.mark.parametrize("order", [(APPROVER, THIRD), (THIRD, APPROVER)], ids=["first", "second"])
@pytest.mark.parametrize("options", ["", ' namespaces="training-sdk-reset"', ' valid-before="20200101"'])
def test_one_key_on_two_lines_for_two_people_is_refused(
    order: tuple[str, str], options: str, signed: Approval, key: Path, keys: Keys
) -> None:
    first, second = order
    listed = keys.signers((first, key), (f"{second}{options}", key), name="shared.signers")
    with pytest.raises(ApprovalError) as caught:
        checked(PLAN, signed, listed)
    assert caught.value.reason == ("SIGNER_SHARED" if first == APPROVER else "SIGNER_NOT_ALLOWED")


def test_one_key_twice_for_one_person_and_address_is_fine(signed: Approval, key: Path, keys: Keys) -> None:
    listed = keys.signers((f"{APPROVER},zoe@example.test", key), (APPROVER, key), name="twice.signers")
    assert checked(PLAN, signed, listed).kind == "signed"


def test_a_damaged_line_is_told_with_its_file(signed: Approval, tmp_path: Path) -> None:
    damaged = written(tmp_path / "damaged", [f"{APPROVER} ssh-ed25519 AAAA"])
    with refused("SIGNER_NOT_ALLOWED", re.escape(f"{damaged}:1")):
        checked(PLAN, signed, damaged)


@pytest.mark.parametrize("name", ["a file", "-f", "line\nbreak", "'; touch x #", "ümlaut", '"quoted"'])
def test_odd_paths(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: Keys, key: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(key.read_bytes())
    Path(name).chmod(0o600)
    approval = approved(PLAN, Path(name))
    listed = Path(f"{name}.signers")
    listed.write_bytes(keys.signers((APPROVER, key), name="plain").read_bytes())
    listed.chmod(0o600)
    assert checked(PLAN, approval, listed).kind == "signed"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, f"{name}.signers"])


# --- ssh-keygen and its trouble ---------------------------------------------------------------------------------------


def test_a_key_that_others_can_read_is_refused_with_the_words_of_ssh(key: Path, tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.write_bytes(key.read_bytes())
    loose.chmod(0o644)
    with refused("SIGNING_FAILED", r"0644.*too open"):
        approved(PLAN, loose)


@pytest.mark.parametrize("path", [Path("missing"), Path("/"), Path("nul\0l")])
def test_a_key_that_cannot_be_read_is_named(path: Path) -> None:
    with refused("SIGNING_FAILED"):
        approved(PLAN, path)


def test_no_passphrase_prompt_without_tty(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even by the program that a desktop brings for it."""
    asked = tmp_path / "asked"
    helper = tmp_path / "askpass"
    helper.write_text(f"#!/bin/sh\ntouch {asked}\necho hunter2\n")
    helper.chmod(0o700)
    for name, value in {"SSH_ASKPASS": str(helper), "DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": "force"}.items():
        monkeypatch.setenv(name, value)
    with refused("SIGNING_FAILED", "ssh-add"):
        approved(PLAN, keys.make("locked", "-t", "ed25519", passphrase="hunter2"))
    assert not asked.exists()


def test_agent_key(
    keys: Keys, key: Path, signers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(address)], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(address))
        wait_for(address)
        subprocess.run(["ssh-add", "-q", str(key)], check=True, stderr=subprocess.DEVNULL)
        alone = tmp_path / "only.pub"
        alone.write_bytes(key.with_name(f"{key.name}.pub").read_bytes())
        assert checked(PLAN, approved(PLAN, alone), signers).kind == "signed"
    finally:
        agent.terminate()
        agent.wait()


def wait_for(address: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with socket.socket(socket.AF_UNIX) as one:
            try:
                one.connect(str(address))
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.01)
                continue
            return


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_on_a_terminal_the_passphrase_is_asked_for(keys: Keys, signers: Path, tmp_path: Path) -> None:
    import pty

    key = keys.make("typed", "-t", "ed25519", passphrase="hunter2")
    result = tmp_path / "signature"
    child, terminal = pty.fork()
    if child == 0:
        try:
            result.write_text(ssh_signatures.sign(b"words", key, namespace=NAMESPACE, interactive=True))
        finally:
            os._exit(0)
    said = b""
    while b"passphrase" not in said:
        said += os.read(terminal, 1000)
    os.write(terminal, b"hunter2\n")
    os.waitpid(child, 0)
    os.close(terminal)
    assert ssh_signatures.fingerprint(result.read_text()).startswith("SHA256:")


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another ssh-keygen before the true one."""
    program = folder / "bin" / "ssh-keygen"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def test_a_hanging_ssh_keygen_is_killed(tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heart = tmp_path / "heart"
    os.mkfifo(heart)
    # The grandchild holds the pipe open as long as it lives.
    stand_in(tmp_path, f"sleep 600 > {heart} &\nsleep 600", monkeypatch)
    monkeypatch.setattr(ssh_signatures, "LONGEST_SIGNING", 0.5)
    listening = os.open(heart, os.O_RDONLY | os.O_NONBLOCK)
    with refused("SSH_KEYGEN_STUCK"):
        approved(PLAN, key)
    os.set_blocking(listening, True)
    assert os.read(listening, 1) == b""  # its end: nobody holds it any more
    os.close(listening)


def test_a_key_in_a_pipe_or_a_device_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key", 0o600)
    for key in (tmp_path / "key", Path("/dev/null"), tmp_path):
        with refused("SIGNING_FAILED", "not a regular file"):
            approved(PLAN, key)


def test_exit_0_needs_a_signature(tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, "exit 0", monkeypatch)
    with refused("SIGNING_FAILED"):
        approved(PLAN, key)


def test_without_ssh_keygen_the_error_says_what_to_install(
    tmp_path: Path, key: Path, signed: Approval, signers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for use in (lambda: approved(PLAN, key), lambda: checked(PLAN, signed, signers)):
        with refused("SSH_KEYGEN_MISSING", "openssh-client"):
            use()
    assert approved(PLAN, None).kind == "procedural"


def test_ssh_keygen_in_cwd_is_not_run(tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, "exit 0", monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "bin")
    with refused("SSH_KEYGEN_MISSING"):
        approved(PLAN, key)


def test_ssh_keygen_output_is_cut(tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, "printf '\\033[31mred\\n' >&2; yes no | head -c 100000 >&2; exit 255", monkeypatch)
    with pytest.raises(ApprovalError) as caught:
        approved(PLAN, key)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1000


# --- on disk ----------------------------------------------------------------------------------------------------------


def test_an_approval_is_saved_and_read_back(signed: Approval, tmp_path: Path) -> None:
    for number, approval in enumerate((signed, approved(PLAN, None))):
        path = tmp_path / f"{number}.json"
        approval.save(path)
        assert Approval.load(path) == approval
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(InvalidArgumentError, match="exists"):
            approval.save(path)
        assert pickle.loads(pickle.dumps(approval)) == approval
    with pytest.raises(InvalidArgumentError, match="cannot be written"):
        signed.save(tmp_path / "no" / "such" / "folder")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to fail on")
def test_no_half_approval_is_left(signed: Approval, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "approval.json"
    opened = os.open

    def full(*arguments: Any) -> int:
        os.close(opened(*arguments))
        return opened("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(InvalidArgumentError, match="No space left"):
        signed.save(path)
    assert not path.exists()


def changed(document: dict[str, Any], **other: Any) -> bytes:
    return json.dumps({**document, **other}).encode()


BAD: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "empty": lambda it: b"",
    "not JSON": lambda it: b"approved",
    "a list": lambda it: b"[]",
    "deep": lambda it: b"[" * 50_000,
    "not ASCII": lambda it: json.dumps(it | {"phrase": "ü"}, ensure_ascii=False).encode("latin-1"),
    "a field too many": lambda it: changed(it, extra=1),
    "a field too few": lambda it: changed({name: it[name] for name in it if name != "phrase"}),
    "a name twice": lambda it: changed(it)[:-1] + b', "kind": "signed"}',
    "another form": lambda it: changed(it, form=3),
    "a form that only looks right": lambda it: changed(it, form=True),
    "the first form with a later field": lambda it: changed(it, form=1),
    "no word on whether names were compared": lambda it: changed(it, compared=None),
    "a number for that": lambda it: changed(it, compared=1),
    "another kind": lambda it: changed(it, kind="verified"),
    "no list for a kind": lambda it: changed(it, kind=["signed"]),
    "a number for a signature": lambda it: changed(it, signature=1),
    "no approver": lambda it: changed(it, approver=None),
    "an approver without a name": lambda it: changed(it, approver={"user_id": "u", "organisation_id": "o"}),
    "a number for a name": lambda it: changed(it, approver=it["approver"] | {"name": 1}),
    "a long phrase": lambda it: changed(it, phrase="x" * 1001),
    "no time": lambda it: changed(it, at="soon"),
    "a time without a zone": lambda it: changed(it, at="2026-03-01T08:00:00"),
    "a time in another spelling": lambda it: changed(it, at="2026-03-01T08:00:00Z"),
    "a time in another zone": lambda it: changed(it, at="2026-03-01T09:00:00+01:00"),
    "a time before all time": lambda it: changed(it, at="0001-01-01T00:00:00+14:00"),
    "megabytes": lambda it: changed(it, signature="A" * 4_000_000),
}


@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD)
def test_bad_files_fail(spoil: Callable[[dict[str, Any]], bytes], signed: Approval, tmp_path: Path) -> None:
    path = tmp_path / "approval.json"
    path.write_bytes(spoil(signed.document()))
    with refused("APPROVAL_UNREADABLE"):
        Approval.load(path)


def test_an_approval_in_a_pipe_is_read_once(signed: Approval, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with ThreadPoolExecutor() as pool:
        pool.submit(path.write_bytes, approval_bytes(signed))
        assert Approval.load(path) == signed


def test_what_is_no_file_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "PATIENCE_FOR_WRITER", 0.1)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "pipe", Path("nul\0l")):
        with refused("APPROVAL_UNREADABLE"):
            Approval.load(path)


@given(text=st.text(max_size=200), seconds=st.integers(0, 10**9))
def test_every_approval_survives_its_file_and_has_one_message(text: str, seconds: int) -> None:
    approval = Approval(
        "0" * 64, text, Approver("u", text, "o"), START + timedelta(seconds=seconds), "procedural"
    )
    twin = parse_approval(approval_bytes(approval), "x")
    assert (twin, twin.message) == (approval, approval.message)
    assert twin.message.isascii()
    assert "\n" not in str(twin)


@given(
    st.tuples(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20)),
    st.tuples(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20)),
)
def test_two_approvals_that_differ_have_two_messages(one: tuple[str, ...], two: tuple[str, ...]) -> None:
    first, second = (Approval(a, b, Approver("u", c, "o"), START, "procedural") for a, b, c in (one, two))
    assert (first.message == second.message) is (first == second)


def test_every_reason_is_explained() -> None:
    root = Path(__file__).parents[3]
    given: set[str] = set()
    for name in ("approval/approvals.py", "approval/four_eyes.py", "ssh_signatures.py"):
        path = root / "src" / "training_sdk" / name
        given |= set(re.findall(r'reason="([A-Z_]+)"', path.read_text(encoding="utf-8")))
    page = (root / "docs" / "reference" / "reasons.md").read_text(encoding="utf-8")
    of_approval = page.partition("### Approval\n")[2].partition("\n### ")[0]
    of_plans = {"IDENTITY_CHANGED", "PLAN_EXPIRED", "PLAN_FROM_THE_FUTURE"}
    assert given - of_plans == set(re.findall(r"^\| `([A-Z_]+)` \|", of_approval, re.MULTILINE))
    assert "| `IDENTITY_CHANGED` | `StalePlanError`, `ApprovalError` |" in page
