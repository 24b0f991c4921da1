from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mock_server import MockTraining
from unit.mock_server.core.speaker import Speaker

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


@pytest.fixture
def mock() -> MockTraining:
    return MockTraining.demo(now=NOW)


@pytest.fixture
def admin(mock: MockTraining) -> Speaker:
    return Speaker(mock)
