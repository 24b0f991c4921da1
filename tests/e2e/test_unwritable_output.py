"""Standard output and standard error that cannot be written: on a full device, closed, or a pipe without a reader."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from e2e.fork_server import warm
from e2e.training_sdk_process import PATIENCE, Desk
from training_sdk import ResetPlan, TrainingClient
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.plans.wording import short_digest

COURSE = "6908610029087ab67fa50c2e"
SIOBHAN = "siobhan.doyle@nordwerk.example"
LOST = ExitCode.OUTPUT_LOST

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


def planned(desk: Desk) -> ResetPlan:
    state = desk.folder / "state"
    with TrainingClient(
        desk.server.tokens["admin"], base_url=desk.server.url, state_dir=state, read_only=True
    ) as client:
        plan = client.resets.plan([COURSE], [SIOBHAN])
    plan.save(desk.folder / "plan.json")
    return plan


def ended(desk: Desk, words: Sequence[str], redirected: str) -> tuple[int, str, str]:
    """Run a command with redirected streams; its exit code, and what it printed to those that were not."""
    command = shlex.join((*warm("training_sdk.cli"), *words))
    done = subprocess.run(
        ["/bin/bash", "-c", f"{command} {redirected}; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        cwd=desk.folder,
        env=desk.environment(),
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("redirected", "code", "why"),
    [
        ("> /dev/full", LOST, "No space left on device"),
        (">&-", LOST, "Bad file descriptor"),
        ("| true", LOST, "Broken pipe"),
        ("> /dev/full 2> /dev/full", LOST, None),
        ("<&- >&- 2>&-", LOST, None),
        ("2>&-", 0, None),  # with --json there was nothing to print there
    ],
)
def test_a_reset_is_recorded_before_its_output_is_lost(
    desk: Desk, redirected: str, code: int, why: str | None
) -> None:
    plan = planned(desk)
    reset = ("apply", "plan.json", "--reason", "test", "--confirm", plan.phrase, "--json")
    found, _, err = ended(desk, reset, redirected)
    assert (found, desk.server.resets()) == (code, 1), err
    saved = desk.folder / "state" / "plans" / plan.digest / "report.json"
    assert [one["outcome"] for one in json.loads(saved.read_text())["users"]] == ["reset"]
    if code:
        assert err.count("\n") == (why is not None), err
        assert (
            why is None
            or f": {why}. The result for each person is recorded in {saved}: training-sdk report " in err
        )
    for record in saved.parents[2].rglob("*"):
        assert record.is_dir() or b"could not be written" not in record.read_bytes(), record


def test_a_new_file_for_which_there_is_no_room_leaves_nothing_and_ends_with_its_own_code(desk: Desk) -> None:
    plan = planned(desk)
    reset = ("apply", "plan.json", "--reason", "test", "--confirm", plan.phrase)
    assert desk.run(*reset).code == 0
    everyone = ("plan", "--course", COURSE, "--everyone")
    for words in (
        *(
            ("progress", "--format", one, "--output", "new")
            for one in ("csv", "jsonl", "parquet", "exporter-csv")
        ),
        (*everyone, "--save", "new"),
        (*everyone, "--card", "new"),
        ("show", "plan.json", "--card", "new"),
        ("report", "plan.json", "--card", "new"),
        ("audit", "export", "--output", "new"),
        ("audit", "bundle", "plan.json", "--output", "new"),
    ):
        before = sorted(desk.folder.iterdir())
        limited = ("/bin/bash", "-c", 'ulimit -f 0; exec "$@"', "limited", *warm("training_sdk.cli"), *words)
        done = subprocess.run(
            limited,
            capture_output=True,
            text=True,
            cwd=desk.folder,
            env=desk.environment(),
            timeout=PATIENCE,
            check=False,
        )
        assert (done.returncode, "Nothing is left of it. Make room" in done.stderr) == (LOST, True), done
        assert sorted(desk.folder.iterdir()) == before, words


def test_a_failing_stream_changes_no_error_and_stops_no_reset(desk: Desk) -> None:
    """R06: what is reported while people are reset may be lost; the reset goes on, and its exit code counts."""
    plan = planned(desk)
    reset = ("apply", "plan.json", "--reason", "test", "--confirm")
    assert ended(desk, (*reset, "wrong", "--json"), "> /dev/full")[0] == ExitCode.NOT_CONFIRMED
    desk.server.control(
        "POST", "faults", {"kind": "drop", "operation": "ResetCourseProgress", "when": "after"}
    )
    code, _, err = ended(desk, (*reset, plan.phrase), "> /dev/full")
    assert (code, desk.server.resets()) == (ExitCode.INCOMPLETE, 1)
    folder = desk.folder / "state" / "plans" / plan.digest
    assert f"recorded in {folder / 'report.json'}: training-sdk report {short_digest(plan.digest)}\n" in err
    resume = ("resume", "plan.json", "--confirm", plan.phrase)
    assert ended(desk, resume, "> /dev/full")[0] == LOST
    assert desk.server.resets() == 1
    assert desk.run("report", "plan.json", "--json").document["report"]["complete"] is True
