"""Commands in this process, against the demo organisation on a socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mock_server import MockTraining
from training_sdk.cli import main


class Told(NamedTuple):
    """What a command with --json ended with: its exit code, its document, and what it says to people."""

    code: int
    document: Any
    text: str


Run = Callable[..., Told]


@pytest.fixture
def mock() -> MockTraining:
    return MockTraining.demo()


@pytest.fixture
def at_a_desk(mock: MockTraining, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty folder, records of its own, and the demo organisation on a socket."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", mock.token("admin"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(tmp_path / "state"))
    with mock.serve(port=0) as server:
        monkeypatch.setenv("SAFETYCULTURE_BASE_URL", server.url)
        yield


@pytest.fixture
def run(at_a_desk: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with --json."""

    def ran(*arguments: str) -> Told:
        capsys.readouterr()
        code = main([*arguments, "--json"])
        told = capsys.readouterr()
        return Told(code, json.loads(told.out) if told.out else None, told.err)

    return ran
