"""Programs as processes that start warm: one process imports everything, and forks for each command.

A forked process has directory, environment, open files and limits of its own. It begins where the entry point does,
and ends as every Python program does. What is about the start itself starts a Python of its own.
"""

from __future__ import annotations

import atexit
import fcntl
import io
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from e2e.start_warm import ALIKE, LARGEST_MESSAGE, LIMITS
from training_sdk.cli.group import COMMANDS
from warm_process import warm_up

TESTS = Path(__file__).parents[1]
START = Path(__file__).with_name("start_warm.py")
PATIENCE = 120.0
"""Seconds after which a process is taken for stuck; none of them comes near."""
NEEDED = [
    "mock_server.cli",
    "pytest",
    "training_sdk.cli.program",
    "training_sdk.testing.contract.command",
    *(f"training_sdk.cli.commands.{each.module}" for each in COMMANDS.values()),
]
WITH_MAIN = {"mock_server": "mock_server.cli"}
"""Where ``main`` is, if not in the package that ``python -m`` runs."""
ABOVE = 512
"""Beyond the numbers of all files that a process is given."""


def warm(module: str) -> list[str]:
    """Return a command that does what ``python -m module`` does, in a process that is forked from the warm one."""
    return [sys.executable, "-IS", str(START), _address(), json.dumps(_alike(os.environ)), module]


def run_forked(
    module: str, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run ``module.main(arguments)`` in a process of its own, as `subprocess.run` would run ``python -m module``."""
    job = {"module": module, "arguments": [*arguments], "cwd": str(cwd), "env": {**env}, "files": [0, 1, 2]}
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection,
    ):
        given.write(stdin.encode())
        given.seek(0)
        connection.settimeout(PATIENCE)
        connection.connect(_address())
        socket.send_fds(connection, [json.dumps(job).encode()], [given.fileno(), out.fileno(), err.fileno()])
        code = int(connection.recv(LARGEST_MESSAGE))
        told = []
        for stream in (out, err):
            stream.seek(0)
            told.append(stream.read().decode().replace("\r\n", "\n"))
    return subprocess.CompletedProcess([module, *arguments], code, *told)


def starts_alike(env: Mapping[str, str]) -> bool:
    """Return whether a Python that starts with these variables is as this one is: options, locale and search path."""
    return _alike(os.environ) == _alike(env)


def _alike(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(ALIKE)}


@cache
def _address() -> str:
    """Start the warm process, which ends with the tests: when its standard input does."""
    folder = tempfile.mkdtemp(prefix="warm-")
    address = f"{folder}/socket"
    command = [sys.executable, "-m", "e2e.fork_server", address]
    process = subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    @atexit.register
    def end() -> None:
        process.communicate()
        shutil.rmtree(folder)

    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return address


def serve(listener: socket.socket) -> dict[str, Any] | None:
    """Fork for each job, until standard input ends; in a forked process the job is returned."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listener.fileno(), sys.stdin.fileno()], [], [])
        if sys.stdin.fileno() in ready:
            return None
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return keep(connection)
        connection.close()


def keep(connection: socket.socket) -> dict[str, Any]:
    """Fork again, pass on signals, and send the exit code. In the forked process, return the job."""
    message, files, *_ = socket.recv_fds(connection, LARGEST_MESSAGE, 250)
    job: dict[str, Any] = json.loads(message)
    pid = os.fork()
    if not pid:
        connection.close()
        use(files, job["files"])
        return job
    for file in files:
        os.close(file)
    ended = os.pidfd_open(pid)
    while ended not in select.select([connection.fileno(), ended], [], [])[0]:
        number = connection.recv(LARGEST_MESSAGE)
        # An empty message means that the starter has ended.
        os.kill(pid, int(number) if number else signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    connection.send(str(code).encode())
    os._exit(0)


def use(files: Sequence[int], numbers: Sequence[int]) -> None:
    """Have these files open by these numbers, and no others."""
    above = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, ABOVE) for file in files]
    os.closerange(0, ABOVE)
    for file, number in zip(above, numbers, strict=True):
        os.dup2(file, number)
        os.close(file)
    for number, (name, mode) in enumerate((("stdin", "rb"), ("stdout", "wb"), ("stderr", "wb"))):
        before = getattr(sys, name)
        buffer = open(number, mode, closefd=False)  # noqa: SIM115  # for the life of the process, as at its start
        at_once = number == 2 or buffer.isatty()
        stream = io.TextIOWrapper(
            buffer, encoding=before.encoding, errors=before.errors, line_buffering=at_once
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def main() -> int:
    """Serve; a forked process runs its command instead."""
    warm_up(NEEDED)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(sys.argv[1])
    listener.listen()
    print("ready", flush=True)
    job = serve(listener)
    if job is None:
        return 0
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    for name, limits in job.get("limits", {}).items():
        resource.setrlimit(LIMITS[name], limits)
    sys.argv = [job["module"], *job["arguments"]]
    return int(import_module(WITH_MAIN.get(job["module"], job["module"])).main())


if __name__ == "__main__":
    sys.exit(main())
