"""`make bench`: its rows, its goals, and that the short version can fail."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import goals, world
from benchmarks.__main__ import RESULTS, Result, main, text
from benchmarks.harness import Samples, rows
from docs._generate import speed

ROOT = Path(__file__).parents[2]


def table(tmp_path: Path, *entries: str, margin: float = 2) -> str:
    path = tmp_path / "goals.toml"
    path.write_text("\n".join([f"margin = {margin}", *entries]), encoding="utf-8")
    return str(path)


def entry(name: str, bound: str = 'ratio = "<= 1.5"', more: str = "short = true") -> str:
    return f'[{name}]\nwhat = "It"\npeer = "its peer"\nunit = "s"\n{bound}\n{more}\n'


def test_every_row_has_a_goal_and_every_goal_a_row() -> None:
    assert set(rows()) == set(goals.read())


@pytest.mark.parametrize(
    ("measures", "named"),
    [({}, "the goal a has no row"), ({"a": world.fresh_world, "b": world.fresh_world}, "b has no goal")],
)
def test_a_row_without_a_goal_is_refused_and_the_reverse(
    measures: dict[str, object], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--goals", table(tmp_path, entry("a"))], measures) == 2  # type: ignore[arg-type]  # never called
    assert capsys.readouterr().err == named + "\n"


@pytest.mark.parametrize(
    ("seconds", "code", "met"), [(1.4, 0, "yes"), (2.9, 0, "MISSED"), (3.1, 1, "MISSED")]
)
def test_the_short_version_fails_beyond_the_margin_only(
    seconds: float, code: int, met: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--short", "--goals", table(tmp_path, entry("a"))]
    assert main(given, {"a": lambda short: Samples(seconds, 1)}) == code
    said = capsys.readouterr()
    assert said.out.splitlines()[1].split()[-1] == met
    assert said.err == ("a is beyond its limit of ≤ 3×.\n" if code else "")


def test_a_product_that_became_slow_fails_the_short_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The ratio is about 6 on a quiet machine; 60 leaves room for tests that run beside this one.
    given = ["--short", "--goals", table(tmp_path, entry("fresh-world", 'ratio = "<= 60"'), margin=1)]
    assert main(given, {"fresh-world": world.fresh_world}) == 0
    quick = world.world_and_client

    def slow() -> None:
        quick()
        for _ in range(300):
            world.canned_and_client()

    monkeypatch.setattr(world, "world_and_client", slow)
    assert main(given, {"fresh-world": world.fresh_world}) == 1


def test_a_row_that_cannot_be_measured_is_shown_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(short: bool) -> Samples:
        raise RuntimeError("no peer is installed")

    given = ["--goals", table(tmp_path, entry("a"), entry("b"))]
    assert main(given, {"a": broken, "b": lambda short: Samples(1, 1)}) == 1
    said = capsys.readouterr()
    assert said.err == "a could not be measured: RuntimeError('no peer is installed')\n"
    assert [line.split()[-1] for line in said.out.splitlines()[1:3]] == ["failed", "yes"]


@pytest.mark.parametrize(
    ("bound", "more", "wrong"),
    [
        ('ratio = "< 2"', "", "a bound begins with"),
        ('ratio = "<= 2"\nours = "<= 2"', "", "either the ratio or ours"),
        ("", "", "either the ratio or ours"),
        ('ratio = "<= 2"', 'limit = "<= 1"', "narrower"),
        ('ratio = ">= 2"', 'limit = ">= 3"', "narrower"),
        ('ratio = "<= 2"', 'limit = ">= 1"', "narrower"),
        ('ratio = "<= 2"', "size = 3", "unknown size"),
    ],
)
def test_a_table_of_goals_that_is_wrong_is_refused(bound: str, more: str, wrong: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=wrong):
        goals.read(Path(table(tmp_path, entry("a", bound, more))))


def test_the_command_measures_by_name_writes_nothing_and_fits_80_columns() -> None:
    before = RESULTS.read_bytes()
    command = [sys.executable, "-m", "benchmarks", "--short", "fresh-world"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), (
        done.stderr
    )  # a machine that is busy with other tests may exceed any limit
    assert re.search(
        r"^fresh-world +\d\S* \S+ +\d\S* \S+ +\S+× +≤ 4× +(yes|MISSED)$", done.stdout, re.MULTILINE
    )
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert RESULTS.read_bytes() == before


def test_the_results_are_a_run_of_these_goals_and_the_page_shows_them() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    table = goals.read()
    page = speed.speed()
    assert all(goal.what in page for goal in table.values())
    for each in results:
        goal = table[each["name"]]
        assert each["goal"] == goal.text
        assert set(each) == {"name", "ours", "peer", "ratio", "goal", "met"}
        assert each["met"] == (
            each["ours"] is not None and goal.holds(each["ours"], each["ratio"], goal.bound)
        )
        assert len(text(Result(**each), goal.unit)) <= 80
    assert page.count("**missed**") == sum(not each["met"] for each in results)
