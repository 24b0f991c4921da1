"""The commands work under every usual umask, and what they write about people is closed to others under each."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_server import MockTraining
from training_sdk.cli.exit_codes import ExitCode
from unit.sdk.approving import Keys, public
from unit.sdk.cli.conftest import Run

COURSE = "6908610029087ab67fa50c2e"


@pytest.fixture(params=[0o000, 0o002, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    return [path.name for path in (folder, *folder.rglob("*")) if stat.S_IMODE(path.lstat().st_mode) & 0o077]


def test_a_reset_with_four_eyes_works_and_leaves_nothing_open(
    umask: int, run: Run, mock: MockTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Keys(tmp_path).make("approver", "-t", "ed25519")
    approver = next(each["user_id"] for each in mock.tokens() if each["name"] == "resetter")
    signers, profiles = tmp_path / "allowed_signers", tmp_path / "profiles.toml"
    signers.write_text(f"{approver} {public(key)}\n")
    signers.chmod(0o644)  # as the page on four eyes says
    profiles.write_text(f"default = 'a'\n[profiles.a]\nfour_eyes = 'signed'\nallowed_signers = '{signers}'\n")
    profiles.chmod(0o600)
    by = ("--profiles", str(profiles))
    own = ("plan.json", "approval.json")
    planned = run("plan", *by, "--course", COURSE, "--everyone", "--save", own[0])
    assert planned.code == ExitCode.DONE, planned.text
    confirmed = ("--confirm", planned.document["phrase"])
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", mock.token("resetter"))
    signing = ("--key", str(key), "--save", own[1])
    approved = run("sign", *by, own[0], *signing, *confirmed)
    assert approved.code == ExitCode.DONE, approved.text
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", mock.token("admin"))
    done = run("apply", *by, own[0], "--reason", "renewal", "--approval", own[1], *confirmed)
    assert done.code == ExitCode.DONE, done.text
    for command in (("audit", "verify"), ("evidence", "verify"), ("report", own[0]), ("verify", own[0])):
        assert run(*command).code == ExitCode.DONE
    assert open_to_others(tmp_path / "state") == []
    for name in own:
        assert open_to_others(tmp_path / name) == []
