"""The contract kit as a command: against real servers, with and without a control plane, and what it says to misuse."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.fork_server import run_forked
from mock_server import MockTraining
from mock_server.mock import TokenName
from mock_server.transports.serving import serve
from mock_server.wire.message import Request, Response
from rules import RULES
from training_sdk.testing.contract import command, main

PATIENCE = 120
"""Seconds after which a hanging process is given up; nothing waits for it when all is well."""
FORKLIFT = "Forklift basics"
KINDS: tuple[TokenName, ...] = ("admin", "manager", "teamlead", "learner", "outsider", "revoked")


@pytest.fixture
def mock() -> MockTraining:
    return MockTraining.demo()


@pytest.fixture
def url(mock: MockTraining) -> Iterator[str]:
    with mock.serve() as server:
        yield server.url


@pytest.fixture(autouse=True)
def no_token_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SAFETYCULTURE_API_TOKEN", "TRAINING_MOCK_SECRET"):
        monkeypatch.delenv(name, raising=False)


class Foreign:
    """An implementation without a control plane."""

    def __init__(self, mock: MockTraining) -> None:
        self._mock = mock

    def handle(self, request: Request) -> Response:
        return Response(404) if request.path.startswith("/_mock/") else self._mock.handle(request)


@pytest.fixture
def foreign(mock: MockTraining) -> Iterator[str]:
    with serve(Foreign(mock)) as server:
        yield server.url


def tokens(mock: MockTraining, folder: Path, mode: int = 0o600, **changes: Any) -> str:
    """A file as the kit takes it."""
    known = {name: mock.token(name) for name in KINDS}
    file = folder / "tokens.json"
    file.write_text(json.dumps({"tokens": known, "course": mock.world.course(FORKLIFT).id} | changes))
    file.chmod(mode)
    return str(file)


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def results(report: Any) -> dict[str, list[str]]:
    """The rules by how their checks ended."""
    found: dict[str, list[str]] = {}
    for each in report["findings"]:
        found.setdefault(each["result"], []).append(each["rule"])
    return found


def test_the_command_checks_a_server_and_leaves_no_world_behind(mock: MockTraining, url: str) -> None:
    before = mock.state()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAFETYCULTURE_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "training_sdk.testing.contract", "--base-url", url],
        capture_output=True,
        encoding="utf-8",
        env=environment | {"PYTHONUTF8": "1", "COLUMNS": "100"},
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Nothing is broken" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    rules = {line[:3] for line in done.stdout.splitlines() if line[:1] == "R"}
    assert sorted(rules) == RULES
    assert not [each for each in mock.tokens() if each["token"] in done.stdout]
    assert "mock_" not in done.stdout.replace("/_mock/", "")
    assert mock.worlds.all() == ()
    assert mock.diff(before) == ()


def test_a_broken_rule_is_told_to_people_and_programs(
    mock: MockTraining, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mock_server.rules.reset.notifications_of", lambda *_: [])
    asked = ["--base-url", url, "--rule", "R18", "--rule", "R21"]
    assert main(asked) == 1
    table = capsys.readouterr().out
    assert "Broken: R18. 6 checks" in table
    for word in ("broken", "sent a reset", "expected 1 notification", "received 0"):
        assert word in table
    assert main([*asked, "--json"]) == 1
    report = told(capsys)
    assert report["broken"] == ["R18"]
    broken, _ = (each for each in report["findings"] if each["result"] == "broken")
    assert (broken["rule"], broken["provenance"], broken["expected"]) == ("R18", "article", "1 notification")


def test_reading_alone_changes_nothing(
    mock: MockTraining, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = mock.state()
    assert main(["--base-url", url, "--read-only", "--json"]) == 0
    assert results(told(capsys)).keys() == {"holds"}
    assert mock.diff(before) == ()
    assert {each.method for each in mock.calls} == {"GET", "POST"}
    assert {each.path for each in mock.calls if each.method == "POST"} == {"/users/v1/users/list"}


def test_an_implementation_without_a_control_plane_is_checked_in_the_course_that_is_named(
    mock: MockTraining,
    foreign: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = mock.state()
    file = tokens(mock, tmp_path)
    monkeypatch.setattr("builtins.input", lambda: FORKLIFT)
    assert main(["--base-url", foreign, "--tokens", file, "--allow-resets", "--json"]) == 0
    report = told(capsys)
    ended = results(report)
    assert ended.keys() == {"holds", "not checked"}
    assert set(ended["holds"]) >= {f"R{n:02}" for n in (*range(1, 13), 14, 15, 16, 17, 20, 21, 24, 29)}
    assert {"R13", "R18", "R19", "R22", "R23", "R25"}.isdisjoint(ended["holds"])
    parts = {each["check"] for each in report["findings"] if each["result"] == "not checked"}
    assert parts >= {"R17-it-is-completed-again", "R21-nothing-to-reset-tells-nobody", "R03-expired-tokens"}
    assert all(each["seen"] for each in report["findings"])
    touched = {each.key[0] for each in mock.diff(before) if each.kind in ("record", "enrolment", "assigned")}
    assert touched == {mock.world.course(FORKLIFT).id}


def test_what_takes_another_token_is_not_said_to_hold_without_it(
    mock: MockTraining,
    foreign: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tokens(mock, tmp_path, tokens={"admin": mock.token("admin")})
    monkeypatch.setattr("builtins.input", lambda: FORKLIFT)
    assert main(["--base-url", foreign, "--tokens", file, "--allow-resets", "--json"]) == 0
    holds = {each["check"] for each in told(capsys)["findings"] if each["result"] == "holds"}
    assert {each[:3] for each in holds}.isdisjoint({"R01", "R02", "R04", "R05"})
    assert {each for each in holds if each[:3] in ("R03", "R15")} == {
        "R03-nobody-gets-in",
        "R03-strangers-read-nothing",
        "R15-the-past-is-gone-everywhere",
    }


@pytest.mark.parametrize("typed", ["yes", "forklift basics", ""])
def test_nothing_is_reset_unless_the_title_is_typed(
    mock: MockTraining,
    foreign: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
) -> None:
    before = mock.state()
    file = tokens(mock, tmp_path)
    assert main(["--base-url", foreign, "--tokens", file]) == 2
    assert "Pass --allow-resets to allow it, or --read-only" in capsys.readouterr().err
    monkeypatch.setattr("builtins.input", lambda: typed)
    assert main(["--base-url", foreign, "--tokens", file, "--allow-resets"]) == 3
    said = capsys.readouterr().err
    assert "type the title of the course" in said
    assert "were not allowed" in said
    assert mock.diff(before) == ()


@pytest.mark.parametrize(
    ("typed", "allowed"), [(b"stra\xffe\n", False), ("Stra\u00dfe \u00fcben \n".encode(), True), (b"", False)]
)
def test_the_title_is_compared_composed_and_bytes_that_are_no_text_allow_nothing(
    monkeypatch: pytest.MonkeyPatch, typed: bytes, *, allowed: bool
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed), encoding="utf-8"))
    assert command._typed("Stra\u00dfe u\u0308ben") is allowed


def test_a_token_may_stand_in_the_environment(
    mock: MockTraining,
    foreign: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OUR_ADMIN", mock.token("admin"))
    file = tmp_path / "tokens.toml"
    file.write_text('[tokens]\nadmin = "$OUR_ADMIN"\n')
    file.chmod(0o644)  # it holds no secret
    assert main(["--base-url", foreign, "--tokens", str(file), "--read-only", "--json"]) == 0
    assert results(told(capsys))["not checked"] == ["R05"] * 3
    monkeypatch.delenv("OUR_ADMIN")
    assert main(["--base-url", foreign, "--tokens", str(file), "--read-only"]) == 2
    assert (
        "The token 'admin' is read from the variable OUR_ADMIN, which is not set" in capsys.readouterr().err
    )


@pytest.mark.skipif(os.name != "posix", reason="permissions of files are POSIX's")
def test_a_file_that_others_can_read_is_refused_with_the_remedy(
    mock: MockTraining, foreign: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tokens(mock, tmp_path, 0o644)
    assert main(["--base-url", foreign, "--tokens", file, "--read-only"]) == 2
    said = capsys.readouterr().err
    assert f"chmod 600 {file}" in said
    assert mock.token("admin") not in said
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tokens": {"learner": "x"}}, ": an admin and any of"),
        ({"tokens": {"admin": "x", "boss": "y"}}, "must not contain 'boss'"),
        ({"tokens": "x"}, "must contain tokens"),
        ({"course": 7}, "a course id"),
        ({"password": "x"}, "must not contain 'password'"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(
    mock: MockTraining, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: Any, said: str
) -> None:
    file = tokens(mock, tmp_path, **changes)
    assert main(["--base-url", "http://127.0.0.1:9", "--tokens", file]) == 2
    assert said in capsys.readouterr().err


def test_what_cannot_be_checked_at_all_is_said(
    foreign: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--base-url", foreign]) == 3
    assert "name a file with tokens and a course" in capsys.readouterr().err
    assert main(["--base-url", foreign, "--read-only"]) == 3
    said = capsys.readouterr().err
    assert "No token is given, and no control plane lists one" in said
    assert "set SAFETYCULTURE_API_TOKEN" in said
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", "t")
    assert main(["--base-url", "http://127.0.0.1:9", "--read-only"]) == 3
    assert "could not connect to http://127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["--base-url", "elsewhere"], ["--base-url", "http://127.0.0.1:9", "--rule", "R28"]],
)
def test_misuse_is_told_from_what_is_broken(arguments: list[str]) -> None:
    done = run_forked("training_sdk.testing.contract", arguments, cwd=Path.cwd(), env=os.environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert "contract" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_environment_that_forbids_to_write_is_heard(
    mock: MockTraining, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAFETYCULTURE_READ_ONLY", "1")
    assert main(["--base-url", url]) == 2
    assert "SAFETYCULTURE_READ_ONLY" in capsys.readouterr().err
    assert mock.worlds.all() == ()
    assert main(["--base-url", url, "--read-only"]) == 0


def test_a_server_with_a_secret_is_asked_with_it(
    mock: MockTraining, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock.serve(secret="s" * 32) as server:
        assert main(["--base-url", server.url, "--rule", "R12"]) == 3
        said = capsys.readouterr().err
        assert "CONTROL_SECRET_REQUIRED" in said
        assert "Set TRAINING_MOCK_SECRET to it" in said
        monkeypatch.setenv("TRAINING_MOCK_SECRET", "another one")
        for asked in (["--rule", "R12"], ["--read-only"]):
            assert main(["--base-url", server.url, *asked]) == 3
            assert "The one in TRAINING_MOCK_SECRET is wrong" in capsys.readouterr().err
        monkeypatch.setenv("TRAINING_MOCK_SECRET", "s" * 32)
        assert main(["--base-url", server.url, "--rule", "R12"]) == 0


def test_a_server_with_a_secret_has_its_webhooks_checked_once_it_may_deliver_them_here(
    mock: MockTraining, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRAINING_MOCK_SECRET", "s" * 32)
    with mock.serve(secret="s" * 32) as server:
        asked = ["--base-url", server.url, "--rule", "R24"]
        assert main([*asked, "--json"]) == 3
        (finding,) = told(capsys)["findings"]
        assert finding["result"] == "not checked"
        assert finding["seen"].endswith("serve --allow-webhook-host 127.0.0.1.")
        mock.webhooks.allow("127.0.0.1")
        assert main(asked) == 0
