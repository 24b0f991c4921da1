"""Call sites are typed exactly on both clients, and what cannot work is refused by a type checker already."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import training_sdk

HERE = Path(__file__).parent
PACKAGE = Path(training_sdk.__file__).parent

PREAMBLE = """\
import httpx
from training_sdk import AsyncTrainingClient, ResetFormat, ResetPlan, TrainingClient
sync = TrainingClient("t")
later = AsyncTrainingClient("t")
def bad(plan: ResetPlan) -> None:
"""


def mypy(cache: Path, *files: Path) -> str:
    """What mypy --strict says of files that use the package as it stands."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary"]
    done = subprocess.run(
        [*command, "--cache-dir", str(cache), *map(str, files)],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def bad_lines() -> Sequence[tuple[str, str]]:
    """Lines that must be refused, and the code of the complaint."""
    lines = (HERE / "bad.txt").read_text(encoding="utf-8").splitlines()
    parted = [line.rpartition("  # ") for line in lines if not line.startswith("#")]
    return [(code, complaint) for code, _, complaint in parted]


def complaints(said: str) -> dict[int, set[str]]:
    """The codes of the complaints by the number of the bad line."""
    found: dict[int, set[str]] = {}
    for number, code in re.findall(r"bad\.py:(\d+): error: .*\[([a-z-]+)\]$", said, re.MULTILINE):
        found.setdefault(int(number) - PREAMBLE.count("\n") - 1, set()).add(code)
    return found


def test_call_sites_are_typed_exactly_and_what_cannot_work_is_refused(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """In one run, for most of its time goes into reading the package; later runs find it in the cache."""
    bad = tmp_path / "bad.py"
    bad.write_text(PREAMBLE + "".join(f"    {code}\n" for code, _ in bad_lines()), encoding="utf-8")
    assert pytestconfig.cache is not None
    said = mypy(pytestconfig.cache.mkdir("mypy"), HERE / "good.py", bad)
    assert [line for line in said.splitlines() if "good.py" in line] == []
    found = complaints(said)
    missed = [
        f"{code}: expected {complaint}, found {sorted(found.get(number, ())) or 'nothing'}"
        for number, (code, complaint) in enumerate(bad_lines())
        if complaint not in found.get(number, ())
    ]
    assert missed == []


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
