"""What holds for every test: nothing is ever kept in the home of whoever runs them."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Limits of time say nothing on a machine that others use as well.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")

VARIABLE = "TRAINING_SDK_STATE_DIR"

# readline exports the size of the terminal to the processes of a test run, and tables follow it.
for _size in ("COLUMNS", "LINES"):
    os.environ.pop(_size, None)

# Each request of the SDK syncs files; in memory that costs nothing, and a kill loses as much as on a disk.
_IN_MEMORY, _ROOM = Path("/dev/shm"), 4 * 2**30
if "TMPDIR" not in os.environ and _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free >= _ROOM:
    os.environ["TMPDIR"] = tempfile.tempdir = str(_IN_MEMORY)


# All that is collected stays.
gc.disable()


def pytest_collection_finish() -> None:
    """Exclude modules and collected tests from garbage collection: they live as long as the process."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def umask() -> Iterator[None]:
    """One for all machines: what a test writes for others to read is not open to changes by a group."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(autouse=True, scope="session")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where evidence, journals and logs go, of fixtures that outlive a test too."""
    folder = tmp_path_factory.getbasetemp() / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder / "shared"))
        yield folder


@pytest.fixture(autouse=True)
def state_directory(states: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a test go to a directory of its own, which is made only if it is used."""
    monkeypatch.setenv(VARIABLE, str(states / uuid.uuid4().hex))
