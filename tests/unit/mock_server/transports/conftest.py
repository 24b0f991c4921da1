"""Both engines, for every test that asks for one."""

from __future__ import annotations

import pytest

from mock_server.transports.serving import Engine


@pytest.fixture(params=["stdlib", "uvicorn"])
def engine(request: pytest.FixtureRequest) -> Engine:
    chosen: Engine = request.param
    return chosen
