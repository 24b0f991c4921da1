"""What the distributions hold, and the ways to start the command line."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_source_distribution_holds_every_folder_that_its_tests_read() -> None:
    included = set(PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
    texts = [file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("*.py")]
    named = {name for text in texts for name in re.findall(r'ROOT / "(\w[\w.-]*)"', text)}
    there = {name for name in named if (ROOT / name).exists() and name != "pyproject.toml"}
    assert "container" in there
    assert {f"/{name}" for name in there} <= included


def test_the_metadata_names_authors() -> None:
    assert PROJECT["project"]["authors"] == [{"name": "the training-sdk authors"}]


def test_the_package_starts_as_a_module() -> None:
    asked = [
        subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True)
        for module in ("training_sdk", "training_sdk.cli")
    ]
    assert [each.returncode for each in asked] == [0, 0]
    assert asked[0].stdout == asked[1].stdout
