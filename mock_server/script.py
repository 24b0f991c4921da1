"""A script run to its end, or until we are told to end: it is then stopped first, and what it left goes with us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from attrs import define, frozen

_PATIENCE = 5.0
"""Seconds that a script has to end after each signal."""
_LOOK_UP = 0.05
_ENDING = tuple(getattr(signal, each) for each in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, each))
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


@frozen
class Ending:
    """How a script ended."""

    code: int
    """Its exit code; 128 and the signal's number where a signal ended it, as shells have it."""
    said: str
    """The same in words."""


@contextmanager
def listening() -> Iterator[list[int]]:
    """The signals that come from now on and mean our end, instead of what else they would do."""
    received: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # by nohup, for one
                before[number] = signal.signal(number, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(command: Sequence[str], environment: Mapping[str, str], received: Sequence[int]) -> Ending:
    """Run a command until it ends, or stop it once a signal was received. OSError if it cannot be started."""
    script = _Script.start(command, environment)
    code = None
    while code is None:
        if received:
            return script.stop(received[0])
        with suppress(subprocess.TimeoutExpired):
            code = script.process.wait(_LOOK_UP)
    if code < 0:
        return Ending(128 - code, f"The script was ended by {_name(-code)}: exit code {128 - code}.")
    return Ending(code, f"The script ended with exit code {code}.")


@define(eq=False)
class _Script:
    """A running script and, where no terminal asks otherwise, all the processes it starts."""

    process: subprocess.Popen[bytes]
    is_group: bool

    @classmethod
    def start(cls, command: Sequence[str], environment: Mapping[str, str]) -> _Script:
        # In a group of its own it could not read from the terminal, which reaches the whole group itself.
        is_group = os.name == "posix" and not _has_terminal()
        group = 0 if is_group else None
        return cls(subprocess.Popen(list(command), env=environment, process_group=group), is_group)  # noqa: S603 - what was asked for

    def stop(self, number: int) -> Ending:
        """End it, in order first, and say so."""
        from_terminal = number == signal.SIGINT and not self.is_group
        for each in dict.fromkeys((number, signal.SIGTERM, _KILL)):
            if each != number or not from_terminal:  # it has had that one already
                self._send(each)
            if self._is_gone_within(_PATIENCE):
                break
        code = 128 + number
        return Ending(code, f"{_name(number)} ended the rehearsal and stopped the script: exit code {code}.")

    def _send(self, number: int) -> None:
        with suppress(OSError):
            if self.is_group and sys.platform != "win32":
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)

    def _is_gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None and not self._has_left_others():
                return True
            time.sleep(_LOOK_UP)
        return False

    def _has_left_others(self) -> bool:
        if not self.is_group or sys.platform == "win32":
            return False
        try:
            os.killpg(self.process.pid, 0)
        except OSError:
            return False
        return True


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
