"""Rows about data out: the command that prints a training record, beside the SDK that only reads it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from benchmarks.harness import Samples, most_resident, row
from mock_server import MockTraining

READ = """
import sys
from training_sdk import TrainingClient
with TrainingClient() as client:
    print(sum(1 for _ in client.progress.list()))
"""


class _Run:
    """One process: seconds of processor time, the most memory, and what it printed."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(command, env=environment, stdout=output)  # noqa: S603 - ours
            self.bytes = 0.0
            while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
                self.bytes = max(self.bytes, most_resident(process.pid))
                time.sleep(0.01)
            _, status, used = ended
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            self.lines = sum(1 for _ in output)
        if process.returncode:
            raise RuntimeError(f"{command} ended with {process.returncode}")
        self.seconds = used.ru_utime + used.ru_stime


@cache
def _progress(short: bool) -> tuple[list[_Run], list[_Run]]:
    rows = 10_000 if short else 200_000
    mock = MockTraining.generate(users=rows // 10, courses=10)
    ours, peer = [], []
    with mock.serve() as server, tempfile.TemporaryDirectory() as state:
        Path(state).chmod(0o700)
        environment = {
            **os.environ,
            "SAFETYCULTURE_API_TOKEN": mock.token("admin"),
            "SAFETYCULTURE_BASE_URL": server.url,
            "TRAINING_SDK_STATE_DIR": state,
        }
        for _ in range(1 if short else 2):
            ours.append(_Run([sys.executable, "-m", "training_sdk", "progress"], environment))
            peer.append(_Run([sys.executable, "-c", READ], environment))
    if min(each.lines for each in ours) < rows:
        raise RuntimeError("the command did not print every row")
    return ours, peer


@row("progress-command")
def _progress_seconds(short: bool) -> Samples:
    ours, peer = _progress(short)
    return Samples([each.seconds for each in ours], [each.seconds for each in peer])


@row("progress-command-memory")
def _progress_memory(short: bool) -> Samples:
    ours, peer = _progress(short)
    return Samples([each.bytes for each in ours], [each.bytes for each in peer])
