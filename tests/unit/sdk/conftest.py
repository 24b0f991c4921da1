from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mock_server import MockTraining
from training_sdk.local_plans import record_check
from unit.sdk.approving import Keys
from unit.sdk.fakes import Asker
from unit.sdk.machine import Machine, new_machine


@pytest.fixture(scope="module", autouse=True)
def records_read_again_at_once() -> Iterator[None]:
    """A fault is looked at twice more, without the pauses for another process, which no test here needs but one."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(record_check, "PAUSE", 0.0)
        yield


@pytest.fixture(params=["sync", "asyncio", "trio"])
def ask(request: pytest.FixtureRequest) -> Asker:
    """A question to the sync client, and to the async one on both event loops."""
    return Asker(request.param)


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    """A library whose client comes from outside."""
    return pytest.importorskip(request.param)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def key(keys: Keys) -> Path:
    return keys.make("own", "-t", "ed25519")


@pytest.fixture(scope="module")
def other_key(keys: Keys) -> Path:
    return keys.make("third", "-t", "ed25519")


@pytest.fixture
def mock() -> MockTraining:
    return MockTraining.demo()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine whose service is the reference server, with three people who have completed the course."""
    return new_machine(tmp_path)
