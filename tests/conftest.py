"""What holds for every test: nothing is ever kept in the home of whoever runs them."""

from __future__ import annotations

import uuid

import pytest


@pytest.fixture(autouse=True)
def state_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence, journals and logs of a test go to a directory of its own, which is made only if it is used."""
    own = tmp_path_factory.getbasetemp() / "state" / uuid.uuid4().hex
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(own))
