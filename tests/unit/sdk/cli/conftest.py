"""Commands in this process, against the demo organisation on a socket."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from attrs import frozen

from e2e.training_sdk_process import Done
from mock_server import MockTraining
from training_sdk import ResetInterruptedError, ResetPlan, TrainingClient, Waves
from training_sdk.cli import main


class Told(NamedTuple):
    """What a command with --json ended with: its exit code, its document, and what it says to people."""

    code: int
    document: Any
    text: str


Run = Callable[..., Told]


@pytest.fixture
def demo_site(mock: MockTraining, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty folder, records of its own, and the demo organisation on a socket."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", mock.token("admin"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(tmp_path / "state"))
    with mock.serve(port=0) as server:
        monkeypatch.setenv("SAFETYCULTURE_BASE_URL", server.url)
        yield


@frozen
class Demo:
    """A folder, and commands that run in it."""

    folder: Path
    mock: MockTraining
    patch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        """Run a command with this input and these variables."""
        self.capsys.readouterr()
        with self.patch.context() as patch:
            patch.setattr("sys.stdin", io.StringIO(stdin))
            for name, value in environment.items():
                patch.setenv(name, value)
            code = main(arguments)
        told = self.capsys.readouterr()
        return Done(code, told.out, told.err)

    def plan(self, *arguments: str, **environment: str) -> str:
        """Save a plan and return its phrase."""
        done = self.run("plan", *arguments, "--save", "plan.json", "--json", **environment)
        assert done.code == 0, done
        return str(done.document["phrase"])

    @property
    def resets(self) -> list[Any]:
        """The reset requests that have reached the server."""
        return [*self.mock.calls.of("reset")]


@pytest.fixture
def demo(
    demo_site: None,
    tmp_path: Path,
    mock: MockTraining,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Demo:
    return Demo(tmp_path, mock, monkeypatch, capsys)


@pytest.fixture
def run(demo_site: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with --json."""

    def ran(*arguments: str) -> Told:
        capsys.readouterr()
        code = main([*arguments, "--json"])
        told = capsys.readouterr()
        return Told(code, json.loads(told.out) if told.out else None, told.err)

    return ran


def stopped_after(path: str, people: int | None = None) -> ResetPlan:
    """A saved plan that was applied to this many people (to all but one) and stopped."""
    plan, done = ResetPlan.load(path), list[str]()
    with pytest.raises(ResetInterruptedError), TrainingClient() as client:
        client.resets.apply(
            plan,
            confirm=plan.phrase,
            reason="test",
            waves=Waves(people or len(plan.targets) - 1),
            stop=lambda: bool(done),
            on_progress=lambda step: done.append(step.what) if step.what == "reset" else None,
        )
    return plan
