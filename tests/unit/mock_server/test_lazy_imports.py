"""The reference server itself needs the standard library and attrs; the rest is loaded by the door that needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import mock_server, mock_server.cli", set()),
        ("import mock_server; mock_server.MockTraining.demo().serve().stop()", set()),
        ("import mock_server; mock_server.MockTraining.demo().transport()", {"httpx"}),
        ("import mock_server; mock_server.MockTraining.demo().asgi", set()),
        ("import mock_server; mock_server.MockTraining.demo().respx()", {"httpx", "respx"}),
        ("import mock_server; mock_server.MockTraining.demo().responses()", {"requests"}),
        ("import mock_server; mock_server.MockTraining.demo().serve(engine='uvicorn').stop()", {"uvicorn"}),
    ],
)
def test_a_door_is_paid_for_by_those_who_use_it(code: str, loaded: set[str]) -> None:
    heavy = {"httpx", "respx", "requests", "uvicorn", "cattrs", "training_sdk"}
    report = f"; import sys; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == loaded
