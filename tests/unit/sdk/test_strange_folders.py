"""Reports changed by hand, and what other programs leave beside the folders of plans: named, and in nobody's way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training_sdk import RecordsDamagedError
from training_sdk.cli import main
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.local_plans.closing import find_digest
from training_sdk.local_plans.plan_records import effects_there
from training_sdk.local_plans.record_check import check_records
from training_sdk.plans.plan import ResetPlan
from training_sdk.records.state import StateDirectory
from training_sdk.reports import report_file
from unit.sdk.machine import LATER, Machine, new_machine

Change = Callable[[dict[str, Any]], object]


def rewritten(folder: Path, change: Change) -> None:
    path = folder / report_file.REPORT
    said = json.loads(path.read_bytes())
    change(said)
    path.write_text(json.dumps(said))


def two_applied(machine: Machine) -> tuple[ResetPlan, ResetPlan]:
    one, other = machine.plan(0, 1), machine.plan(2)
    for plan in (one, other):
        machine.apply(plan)
    return one, other


CHANGES: dict[str, Change] = {
    "a person dropped": lambda said: said["users"].pop(),
    "a person twice": lambda said: said["users"].append(said["users"][0]),
    "an unknown person": lambda said: said["users"].append({**said["users"][0], "user_id": "user_x"}),
    "another course": lambda said: said["users"][0].update(course_id="other"),
    "nobody": lambda said: said["users"].clear(),
    "another plan": lambda said: said.update(plan_digest="ab" * 32),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_report_of_other_people_is_named_and_hides_no_other(
    change: Change, machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R21: no outcome is shown for a plan but its own."""
    one, other = two_applied(machine)
    folder = machine.state / "plans" / one.digest
    rewritten(folder, change)
    with pytest.raises(RecordsDamagedError, match=r"report\.json is not what was written .*restore a copy"):
        report_file.load(folder)
    assert_listed(machine, capsys, monkeypatch, shown=other, unread=one)


def test_the_report_of_another_plan_is_named(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two_applied(machine)
    plans = machine.state / "plans"
    shutil.copy(plans / other.digest / report_file.REPORT, plans / one.digest / report_file.REPORT)
    with pytest.raises(RecordsDamagedError, match=f"is the report of plan #{other.short_digest}"):
        report_file.load(plans / one.digest)
    assert_listed(machine, capsys, monkeypatch, shown=other, unread=one)


def assert_listed(
    machine: Machine,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    shown: ResetPlan,
    unread: ResetPlan | None,
) -> None:
    """What the command says of both plans."""
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(machine.state))
    monkeypatch.setenv("TRAINING_SDK_PROFILES", "")
    capsys.readouterr()
    assert main(["report", "--list", "--json"]) == ExitCode.DONE
    said = json.loads(capsys.readouterr().out)
    assert [one["phrase"] for one in said["reports"]] == [shown.phrase]
    assert [unread.digest[:12] in why for why in said["unread"]] == [True] if unread else said["unread"] == []
    if unread:
        assert main(["report", unread.digest[:16], "--json"]) == ExitCode.RECORDS


def test_what_is_no_folder_of_a_plan_is_in_nobodys_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of a folder from when its outcome was unknown would block its people for ever."""
    machine = new_machine(tmp_path, reference=False)
    plan = machine.plan(0, 1)
    machine.lose(plan, arrives=True, reason="yearly")
    plans = machine.state / "plans"
    shutil.copytree(plans / plan.digest, plans / f"{plan.digest}.bak")
    (plans / ".DS_Store").write_text("x")
    (plans / "new folder").mkdir()
    (plans / ("cd" * 32)).write_text("a file")
    machine.puppet.clock += LATER + 60
    machine.resume(plan)
    state = StateDirectory.open(machine.state)
    assert find_digest(state, plan.digest[:12]) == plan.digest
    assert_listed(machine, capsys, monkeypatch, shown=plan, unread=None)
    found = check_records(state)
    assert [str(one).partition(" is not that of a plan")[0] for one in found] == [
        f"The folder plans/{plan.digest}.bak",
        "The folder plans/new folder",
    ]
    assert all(one.is_note for one in found)
    assert [other.name for other in effects_there(state, plan.origin)] == [f"#{plan.short_digest}"]
