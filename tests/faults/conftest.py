"""One server and one warm script for all tests of a worker."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.ground import Colour, Field, Ground, Kind


@pytest.fixture(scope="session")
def arena() -> Iterator[Field]:
    """Where all grounds lie."""
    if sys.platform == "win32":
        pytest.skip("scripts are forked here, which Windows does not know")
    with Field.open() as opened:
        yield opened


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that a script without rights can reach, other than pytest's own."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        place = Path(name)
        place.chmod(0o777)
        yield place


@pytest.fixture
def ground(arena: Field, folder: Path, kind: Kind, colour: Colour) -> Ground:
    """A fresh world with a plan, for tests with a ``kind`` of server and a ``colour`` of client."""
    return Ground.make(arena, kind, colour, folder)
