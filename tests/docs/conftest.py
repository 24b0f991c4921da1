"""Where the examples of the documentation run: on a clock that stands still, and never beyond this machine."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from mock_server import MockTraining
from training_sdk._core import drivers, network
from training_sdk._core.flow import Moment
from training_sdk._core.urls import BaseUrl, is_loopback

STANDSTILL = datetime(2026, 12, 1, 9, tzinfo=UTC)
_PHRASE = re.compile(r'(?:reset ".*" for \d+ users?|prove on ".*" with ".*") #(?:[0-9a-f]{4}-){3}[0-9a-f]{4}')


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """As on most machines with a group for each user: what is written is open to changes by a group."""
    before = os.umask(0o002)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pytest that a page starts is without what a reader need not have: two of these take a second to load."""
    names = ("cacheprovider", "schemathesis", "hypothesispytest")
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(f"-p no:{name}" for name in names))


@pytest.fixture
def stage_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[datetime], None]:
    """A new directory, and from the call on a demo world behind every address that is not this machine's.

    The SDK's clock stands still, because the moment of reading is part of a plan's phrase.
    """
    settings = network._settings

    def begin(moment: datetime) -> None:
        mock = MockTraining.demo(now=moment)

        def on_this_machine(base_url: BaseUrl) -> dict[str, Any]:
            local = is_loopback(urlsplit(str(base_url)).hostname or "")
            return settings(base_url) if local else {"transport": mock.transport()}

        monkeypatch.setattr(network, "_settings", on_this_machine)
        monkeypatch.setattr(drivers, "now", lambda: Moment(time.monotonic(), moment))
        monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", mock.token("admin"))
        monkeypatch.delenv("SAFETYCULTURE_BASE_URL", raising=False)
        monkeypatch.chdir(tmp_path)

    return begin


@pytest.fixture
def stage(stage_at: Callable[[datetime], None]) -> None:
    """The demo world on the day of the pages."""
    stage_at(STANDSTILL)


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What was printed since the last time this was asked.

    Whoever reads it also answers prompts: with the last phrase they have seen.
    """
    seen: list[str] = []

    def answer(prompt: str = "") -> str:
        seen.append(capsys.readouterr().out)
        phrases = _PHRASE.findall("".join(seen))
        assert phrases, f"asked {prompt!r}, but the example has printed no phrase that one could type"
        return str(phrases[-1])

    def read() -> str:
        text = "".join([*seen, capsys.readouterr().out])
        seen.clear()
        return text

    monkeypatch.setattr("builtins.input", answer)
    return read
