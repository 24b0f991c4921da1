"""Output that cannot be written: each command says so, where its work is recorded, and ends with a code of its own."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from training_sdk.cli import main
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.streams import StreamFile
from training_sdk.plans.wording import short_digest
from unit.sdk.cli.conftest import Run

COURSE = "6908610029087ab67fa50c2e"
SIOBHAN = "siobhan.doyle@nordwerk.example"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to fail on")
def test_every_command_says_that_its_output_was_lost_and_what_is_recorded(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json").document
    phrase, digest = planned["phrase"], planned["digest"]
    confirmed = ("--reason", "test", "--confirm", phrase)
    saved = tmp_path / "state" / "plans" / digest / "report.json"
    report = f"The result for each person is recorded in {saved}: training-sdk report {short_digest(digest)}"
    everyone = ("--course", COURSE, "--everyone")
    due = ("due", "--course", COURSE, "--zone", "UTC", "--months", "1")
    for words, recorded in (
        (("plan", *everyone, "--save", "closed.json"), "The plan is in closed.json."),
        (("sign", "plan.json", "--confirm", phrase), "The approval is in plan.approval.json."),
        (("apply", "plan.json", *confirmed), report),
        (("verify", "plan.json"), report),
        (("audit", "bundle", "plan.json", "--output", "made.zip"), "The bundle is in made.zip."),
        ((*due, "--save", "due.json"), "The plan is in due.json."),
        (("report", "plan.json"), ""),
        (("report", "--list"), ""),
        (("show", "plan.json"), ""),
        (("audit", "export"), ""),
        (("audit", "show"), ""),
        (("evidence", "verify"), ""),
        (("evidence", "history"), ""),
        (("progress", "--format", "exporter-csv"), ""),
        (("courses",), ""),
        (("whoami",), ""),
        (("doctor",), ""),
        (("completion", "bash"), ""),
        (("--help",), ""),
        (("--version",), ""),
        (("apply", "--help"), ""),
    ):
        capsys.readouterr()
        with open("/dev/full", "w") as full, monkeypatch.context() as patched:  # noqa: PTH123 - a device
            patched.setattr(sys, "stdout", full)
            code = main(words)
        assert code == ExitCode.OUTPUT_LOST, words
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith("training-sdk: The output could not be written: No space left on device."), (
            words
        )
        assert recorded in said, words
    assert run("report", "plan.json").document["report"]["complete"] is True


def test_a_pipe_that_does_not_block_gets_everything() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    sent = b"x" * 1_000_000
    with os.fdopen(reading, "rb") as reader, StreamFile(writing, "w") as writer:
        got: list[bytes] = []
        thread = threading.Thread(target=lambda: got.append(reader.read(len(sent))))
        thread.start()
        left = memoryview(sent)
        while left:
            left = left[writer.write(left) :]
        thread.join()
        assert (got == [sent], writer.failure) == (True, None)
