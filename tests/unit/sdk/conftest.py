from __future__ import annotations

import pytest

from unit.sdk.fakes import Asker


@pytest.fixture(params=["sync", "asyncio", "trio"])
def ask(request: pytest.FixtureRequest) -> Asker:
    """A question to the sync client, and to the async one on both event loops."""
    return Asker(request.param)
