"""A command in a process that is forked from the warm one (`fork_server`), which gets all that this one was given.

It starts within a few milliseconds, passes on signals, and ends as the command does. Where a Python would start
otherwise than the warm one did, with a stream that is closed or other variables, one is started instead.
"""

import json
import os
import resource
import signal
import socket
import sys

ALIKE = ("PYTHON", "LC_", "LANG")
"""Beginnings of the names of variables that change how a Python starts."""
LARGEST_MESSAGE = 2**17
LIMITS = {"files": resource.RLIMIT_FSIZE, "memory": resource.RLIMIT_AS}
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def open_files() -> list[int]:
    """All but the one through which they are listed."""
    found = []
    with os.scandir("/proc/self/fd") as listed:
        numbers = [int(entry.name) for entry in listed]
    for number in numbers:
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return sorted(found)


def main(address: str, alike: str, module: str, *arguments: str) -> int:
    """Hand the command to the warm process, and wait for its end."""
    files, environment = open_files(), dict(os.environ)
    ours = {name: value for name, value in environment.items() if name.startswith(ALIKE)}
    if files[:3] != [0, 1, 2] or ours != json.loads(alike):
        os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(address)
    job = {
        "module": module,
        "arguments": arguments,
        "cwd": os.getcwd(),  # noqa: PTH109  # pathlib takes longer to import than all the rest
        "env": environment,
        "files": files,
        "limits": {name: resource.getrlimit(number) for name, number in LIMITS.items()},
    }
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    for passed_on in PASSED_ON:
        signal.signal(passed_on, lambda number, _: _send(connection, number))
    socket.send_fds(connection, [json.dumps(job).encode()], files)
    for number in files:
        os.close(number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    return int(connection.recv(LARGEST_MESSAGE))


def _send(connection: socket.socket, number: int) -> None:
    connection.send(str(number).encode())


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
