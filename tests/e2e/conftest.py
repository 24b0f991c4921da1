"""A reference server in a process for a whole module, and a desk at which each test begins with the same world."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.training_sdk_process import Desk, Server, serving


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def whole_world(server: Server) -> Any:
    return server.control("GET", "state")


@pytest.fixture
def desk(server: Server, whole_world: Any, tmp_path: Path) -> Desk:
    server.control("PUT", "state", whole_world)
    server.control("DELETE", "faults")
    server.control("DELETE", "calls")
    return Desk(tmp_path, server)
