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

def die_at_each(call, half, folder, work):
    # Do the same work in one process after another, each killed one call later, until one comes to its end.
    for number in range(1, 1000):
        place = Path(folder, str(number))
        place.mkdir()
        child = os.fork()
        if not child:
            file = os.open(place / "acknowledged", os.O_WRONLY | os.O_CREAT)
            die_at(call, number, half)
            work(place, lambda: say(file, b"+"))
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != -signal.SIGKILL:
            sys.exit(code)
"""

DROP_RIGHTS = """
import training_sdk.records.audit, training_sdk.records.journal, training_sdk.records.chain, training_sdk.records.state
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


def killed_at_each_call(work: str, call: str, how: str, folder: Path) -> list[tuple[Path, int]]:
    """Kill processes that do this ``work(place, acknowledge)`` at each call of a function of ``os``, one after another.

    Returns their folders and how much each had been acknowledged; the last one came to its end.
    """
    done = run(f"{work}\ndie_at_each({call!r}, {how == 'half'}, sys.argv[1], work)", folder)
    assert (done.returncode, done.stderr) == (0, "")
    places = sorted(folder.iterdir(), key=lambda place: int(place.name))
    return [(place, (place / "acknowledged").stat().st_size) for place in places]


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
