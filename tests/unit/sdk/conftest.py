from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unit.sdk.approving import Keys
from unit.sdk.fakes import Asker


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
