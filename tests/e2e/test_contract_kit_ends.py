"""How the contract kit ends as a process, by both of its names: exit codes, signals, streams of any encoding."""

from __future__ import annotations

import json
import locale
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from attrs import define, field

from e2e.fork_server import run_forked, starts_alike, warm
from mock_server import MockTraining
from mock_server.transports.serving import serve
from mock_server.wire.message import Request, Response

PATIENCE = 120
"""Seconds after which a hanging process is given up; nothing waits for it when all is well."""
UTF8 = {} if locale.getencoding().lower() == "utf-8" else {"PYTHONUTF8": "1"}
FORKLIFT = "Forklift basics"
KIT = [sys.executable, "-m", "training_sdk.testing.contract"]
CLI = [sys.executable, "-m", "training_sdk.cli", "contract"]
both = pytest.mark.parametrize("command", [KIT, CLI], ids=["module", "cli"])


def without_settings(**environment: str) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SAFETYCULTURE_", "TRAINING_", "PYTHONIO"))
    }
    return inherited | environment


def started(command: Sequence[str], *arguments: str, **environment: str) -> subprocess.Popen[str]:
    env = without_settings(**UTF8 | environment)
    if starts_alike(env):
        _, _, module, *first = command
        command = [*warm(module), *first]
    return subprocess.Popen(
        [*command, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=env,
    )


def ended(command: Sequence[str], *arguments: str, **environment: str) -> tuple[int, str, str]:
    env = without_settings(**environment)
    if starts_alike(env):
        _, _, module, *first = command
        done = run_forked(module, [*first, *arguments], cwd=Path.cwd(), env=env)
        code, out, err = done.returncode, done.stdout, done.stderr
    else:
        process = started(command, *arguments, **environment)
        out, err = process.communicate(timeout=PATIENCE)
        code = process.returncode
    assert "Traceback" not in err, err
    return code, out, err


@define
class Watched:
    """A server that does something when it is asked something for the first time, before or after it answers."""

    mock: MockTraining
    when: Callable[[Request], bool]
    then: Callable[[], None]
    control: bool = True
    """Whether it has a control plane."""
    instead: Response | None = None
    """Its answer to what it watches for, every time."""
    _done: bool = field(default=False, init=False)

    def handle(self, request: Request) -> Response:
        if not self.control and request.path.startswith("/_mock/"):
            return Response(404)
        meant = self.when(request)
        if meant and self.instead:
            return self.instead
        answer = self.mock.handle(request)
        if meant and not self._done:
            self._done = True
            self.then()
        return answer


def is_reset(request: Request) -> bool:
    return request.path.endswith("/courseprogress/v1/reset")


def nothing() -> None:
    """What a server does that is not watched for what it does."""


def tokens(mock: MockTraining, folder: Path) -> str:
    file = folder / "tokens.json"
    known = {"admin": mock.token("admin"), "learner": mock.token("learner")}
    file.write_text(json.dumps({"tokens": known, "course": mock.world.course(FORKLIFT).id}))
    file.chmod(0o600)
    return str(file)


@both
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: str(number.name))
def test_a_signal_amid_resets_says_what_was_found_and_who_may_have_been_reset(
    command: Sequence[str], number: signal.Signals, tmp_path: Path
) -> None:
    mock = MockTraining.demo()
    cleared = [each for each in mock.audit if each.outcome == "done"]
    process: list[subprocess.Popen[str]] = []
    watched = Watched(
        mock,
        lambda request: is_reset(request) and any(each.outcome == "done" for each in mock.audit),
        lambda: process[0].send_signal(number),
        control=False,
    )
    with serve(watched) as server:
        arguments = ("--base-url", server.url, "--tokens", tokens(mock, tmp_path), "--allow-resets")
        process.append(started(command, *arguments, COLUMNS="160"))
        out, err = process[0].communicate(f"{FORKLIFT}\n", timeout=PATIENCE)
    assert process[0].returncode == 4, err
    assert len([each for each in mock.audit if each.outcome == "done"]) > len(cleared)
    told = " ".join(out.split())
    assert f"Stopped: Interrupted by {number.name}. " in told
    assert f"People in {FORKLIFT!r} may have been reset" in told
    assert " holds " in out
    assert "Traceback" not in err
    assert "nothing was sent" not in out + err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: str(number.name))
@pytest.mark.parametrize("at", ["POST", "GET", "DELETE"])
def test_a_signal_leaves_no_world_behind(number: signal.Signals, at: str) -> None:
    mock = MockTraining.demo()
    process: list[subprocess.Popen[str]] = []

    def when(request: Request) -> bool:
        return request.method == at and request.path.startswith("/_mock/worlds") == (at != "GET")

    with serve(Watched(mock, when, lambda: process[0].send_signal(number))) as server:
        process.append(started(KIT, "--base-url", server.url, "--json"))
        out, err = process[0].communicate(timeout=PATIENCE)
    assert (process[0].returncode, err) == (4, "")
    report = json.loads(out)
    assert report["stopped"].startswith(f"Interrupted by {number.name}")
    assert (report["exit_code"], report["left_behind"]) == (4, [])
    assert {each["result"] for each in report["findings"]} == {"not checked"} | (
        {"holds"} if at == "DELETE" else set()
    )
    assert mock.worlds.all() == ()


@both
def test_each_ending_has_its_exit_code(command: Sequence[str]) -> None:
    mock = MockTraining.demo()
    broken = Watched(mock, is_reset, nothing, instead=Response(200, (), b"{}"))
    kept = Watched(mock, lambda request: request.method == "DELETE", nothing, instead=Response(500))
    foreign = Watched(mock, is_reset, nothing, control=False)
    with mock.serve() as well, serve(broken) as ill, serve(kept) as litters, serve(foreign) as other:
        codes = {
            0: (well.url, "--rule", "r12"),
            1: (ill.url, "--rule", "R01"),
            2: (well.url, "--rule", "R28"),
            3: (other.url,),
            5: (litters.url, "--rule", "R12"),
        }
        for code, (url, *arguments) in codes.items():
            came, out, err = ended(command, "--base-url", url, *arguments)
            assert came == code, (code, out, err)
            assert bool(out) == (code in (0, 1, 5))
    assert ended(command, "--base-url", "http://127.0.0.1:9")[0] == 3


@both
def test_why_nothing_was_checked_is_told_to_programs_as_well(command: Sequence[str]) -> None:
    code, out, err = ended(command, "--base-url", "http://127.0.0.1:9", "--json")
    assert json.loads(out)["exit_code"] == code == 3
    assert "could not connect to http://127.0.0.1:9" in json.loads(out)["error"]
    assert "could not connect" in err


@both
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_that_lacks_letters_changes_no_exit_code(command: Sequence[str], encoding: str) -> None:
    odd = json.dumps({"usersUpdated": 7, "title": "安全講習 – naïve"}, ensure_ascii=False).encode()
    mock = MockTraining.demo()
    with serve(Watched(mock, is_reset, nothing, instead=Response(200, (), odd))) as server:
        for extra in ((), ("--json",)):
            arguments = ("--base-url", server.url, "--rule", "R01", *extra)
            process = subprocess.run(
                [*command, *arguments],
                capture_output=True,
                env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
                timeout=PATIENCE,
                check=False,
            )
            assert (process.returncode, process.stderr) == (1, b"")
            assert b"R01" in process.stdout


@both
def test_the_kit_calls_itself_by_the_name_it_was_called_by(command: Sequence[str]) -> None:
    code, out, _ = ended(command, "--help")
    name = (
        "training-sdk contract"
        if "training_sdk.cli" in command
        else "python -m training_sdk.testing.contract"
    )
    assert (code, out.startswith(f"usage: {name} ")) == (0, True)
    code, _, err = ended(command, "--nonsense")
    assert (code, err.startswith(f"usage: {name} ")) == (2, True)


def test_a_reader_who_leaves_is_no_error() -> None:
    with (
        MockTraining.demo().serve() as server,
        started(KIT, "--base-url", server.url, "--read-only") as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(timeout=PATIENCE) == 0
        assert process.stderr.read() == ""
