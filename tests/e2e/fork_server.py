"""Commands of the SDK as processes that start warm: one process imports everything, and forks for each command.

A forked process has directory, environment and standard streams of its own. It begins where the entry point does,
and ends as every Python program does. What is about the start itself starts a Python of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from training_sdk.cli.group import COMMANDS
from warm_process import warm_up

TESTS = Path(__file__).parents[1]
LARGEST_MESSAGE = 2**17
PATIENCE = 120.0
"""Seconds after which a process is taken for stuck; none of them comes near."""
NEEDED = [
    "training_sdk.cli.program",
    "training_sdk.testing.contract.command",
    *(f"training_sdk.cli.commands.{each.module}" for each in COMMANDS.values()),
]


def run_forked(
    module: str, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run ``module.main(arguments)`` in a process of its own, as `subprocess.run` would run ``python -m module``."""
    channel = _channel()
    job = {"module": module, "arguments": [*arguments], "cwd": str(cwd), "env": {**env}}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        socket.send_fds(channel, [json.dumps(job).encode()], [given.fileno(), out.fileno(), err.fileno()])
        try:
            code = json.loads(channel.recv(LARGEST_MESSAGE))
        except TimeoutError:
            _channel.cache_clear()  # its answer may come after all, and is none to the next job
            raise
        told = []
        for stream in (out, err):
            stream.seek(0)
            told.append(stream.read().decode().replace("\r\n", "\n"))
    return subprocess.CompletedProcess([module, *arguments], code, *told)


def starts_alike(env: Mapping[str, str]) -> bool:
    """Return whether a Python that starts with these variables is as this one is: options, locale and search path."""
    ours, theirs = (
        {name: value for name, value in each.items() if name.startswith(("PYTHON", "LC_", "LANG"))}
        for each in (os.environ, env)
    )
    return ours == theirs


@cache
def _channel() -> socket.socket:
    """Start the warm process, which ends with the tests."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE)
    command = [sys.executable, "-m", "e2e.fork_server", str(theirs.fileno())]
    process = subprocess.Popen(command, cwd=TESTS, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
    theirs.close()

    @atexit.register
    def end() -> None:
        ours.close()
        process.terminate()
        process.wait()

    return ours


def serve(channel: socket.socket) -> dict[str, Any] | None:
    """Fork for each job, and tell how it ended; in a forked process the job is returned."""
    while True:
        message, files, *_ = socket.recv_fds(channel, LARGEST_MESSAGE, 3)
        if not message:
            return None
        pid = os.fork()
        if not pid:
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            channel.close()
            found: dict[str, Any] = json.loads(message)
            return found
        for file in files:
            os.close(file)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        channel.send(json.dumps(code).encode())


def main() -> int:
    """Serve; a forked process runs its command instead."""
    warm_up(NEEDED)
    job = serve(socket.socket(fileno=int(sys.argv[1])))
    if job is None:
        return 0
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    sys.argv = [job["module"], *job["arguments"]]
    return int(import_module(job["module"]).main())


if __name__ == "__main__":
    sys.exit(main())
