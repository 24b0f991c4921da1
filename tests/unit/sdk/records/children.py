"""Other processes that use the records: killed at a chosen system call, short of room, or without rights."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREAMBLE = """
import errno, os, resource, signal, sys
from pathlib import Path

say = os.write

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def die_at(call, number, half=False):
    # Die at this call number of os.write or os.fsync: before it, or with half of it done.
    real, count = getattr(os, call), 0
    def watched(file, *data):
        nonlocal count
        count += 1
        if count == number:
            if half:
                real(file, bytes(data[0])[:len(data[0]) // 2])
            die()
        return real(file, *data)
    setattr(os, call, watched)
"""

DROP_RIGHTS = """
import training_sdk.records.audit, training_sdk.records.journal, training_sdk.records.lines, training_sdk.records.state
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
"""


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script that begins with the helpers above."""
    command = [sys.executable, "-c", PREAMBLE + script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start one, to be talked to over its standard input and output."""
    command = [sys.executable, "-c", PREAMBLE + script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run_unprivileged(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one to which permissions apply: as root it gives its rights up after the imports."""
    return run(DROP_RIGHTS + script, *arguments)


@contextmanager
def open_to_everyone() -> Iterator[Path]:
    """A folder that a process without rights can reach and write, other than pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder
