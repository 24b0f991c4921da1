"""Rehearsal: run a script against a reference server of its own, and report what it would have done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

from attrs import define, frozen

from mock_server.mock import MockTraining, TokenName
from mock_server.terminal_text import CommandError, inline
from mock_server.transports.serving import SECRET_VARIABLE
from mock_server.world.differences import brief
from mock_server.world.ledger import AuditEntry
from mock_server.world.seeds import evidence_pack, exporter_csv

_PATIENCE = 5.0
"""Seconds that a script has to end after each signal."""
_LOOK_UP = 0.05
_ENDING = tuple(getattr(signal, each) for each in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, each))
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


@frozen
class Ending:
    """The end of a script."""

    code: int
    """Its exit code; 128 and the signal's number where a signal ended it, as shells have it."""
    said: str
    """The same in words."""


@contextmanager
def listening() -> Iterator[list[int]]:
    """Collect the signals that would end this process, instead of their usual effect."""
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


def run_command(command: Sequence[str], environment: Mapping[str, str], received: Sequence[int]) -> Ending:
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


URL_VARIABLE, TOKEN_VARIABLE = "SAFETYCULTURE_BASE_URL", "SAFETYCULTURE_API_TOKEN"
RECORDS_VARIABLE = "TRAINING_SDK_STATE_DIR"
"""The directory for journals, evidence and audit log: rehearsed resets must not be stored among real ones."""
ONLY_URL_VARIABLE = "SAFETYCULTURE_ONLY_BASE_URL"
"""The only address that SDK clients may use: a mistake in the script must not reach a live service."""
PROFILE_VARIABLE, NO_PROFILE = "TRAINING_SDK_PROFILE", "none"
_NO_PROXY = ("NO_PROXY", "no_proxy")
_SHOWN, _TITLES = 40, 3


class RehearsalError(CommandError):
    """A script that cannot be started; the message names the remedy."""


def run(mock: MockTraining, command: Sequence[str], token: TokenName) -> Ending:
    """Run a command; only its environment has the server's address and a token.

    Its records are stored in a temporary directory, which is deleted at the end, also after a signal. Raises
    RehearsalError if the command cannot be started.
    """
    with (
        listening() as received,
        mock.serve() as server,
        tempfile.TemporaryDirectory(prefix="rehearsal-") as records,
    ):
        spared = ",".join(dict.fromkeys(filter(None, (*map(os.environ.get, _NO_PROXY), server.host))))
        own = {
            URL_VARIABLE: server.url,
            ONLY_URL_VARIABLE: server.url,
            PROFILE_VARIABLE: NO_PROFILE,
            TOKEN_VARIABLE: mock.token(token),
            RECORDS_VARIABLE: records,
            **dict.fromkeys(_NO_PROXY, spared),
        }
        if server.secret is not None:
            own[SECRET_VARIABLE] = server.secret
        try:
            return run_command(command, os.environ | own, received)
        except OSError as error:
            raise RehearsalError(f"{command[0]} cannot be started: {error.strerror}.") from None


def loaded(mock: MockTraining, source: str, *, is_pack: bool = False) -> list[str]:
    """Return lines about a loaded world, with warnings if it is empty, or if a course has several titles.

    ``is_pack`` is True for an evidence pack, which holds other people than an export.
    """
    courses = mock.world.main.progress.courses
    rosters = [each.roster for each in courses.values()]
    rows, people = sum(map(len, rosters)), len(set().union(*rosters))
    if not rows:
        return [f"WARNING: {source} has no rows. This world has only the owners of the tokens."]
    counts = f"{_counted(rows, 'row')} of {_counted(people, 'person', 'people')} in {_counted(len(rosters), 'course')}"
    said = f"Loaded {counts} from {source}."
    return [said, *completed_only(mock, source, is_pack=is_pack), *islice(_titles(mock, source), _SHOWN)]


def completed_only(mock: MockTraining, source: str, *, is_pack: bool = False) -> list[str]:
    """Return a warning if all people in a world are completed: such a file or pack leaves out all others."""
    courses = mock.world.main.progress.courses.values()
    records = [each.records.get(user_id) for each in courses for user_id in each.roster]
    if not records or any(record is None or not record.completed_at for record in records):
        return []
    said = evidence_pack.COMPLETED_ONLY if is_pack else exporter_csv.COMPLETED_ONLY
    return [f"WARNING: {said.format(source=source)}"]


def _titles(mock: MockTraining, source: str) -> Iterator[str]:
    for course in mock.world.courses:
        enrolments = mock.world.main.progress[course.id].enrolments.values()
        others = {each.identity.course_title for each in enrolments if each.identity} - {course.title}
        if others:
            listed = ", ".join(map(repr, sorted(others)[:_TITLES]))
            yield (
                f"WARNING: {source} has {len(others) + 1} titles for the course {course.id}. This world uses"
                f" {course.title!r}; other rows have {listed}."
            )


def story(mock: MockTraining, before: dict[str, Any], ending: Ending, warnings: Sequence[str] = ()) -> str:
    """Return a summary: the requests of the script that the request log still holds, and all changes since ``before``.

    ``warnings`` about the world come last.
    """
    asked = Counter((each.operation or "(no operation)", each.status) for each in mock.calls)
    requests = [f"{name} -> {status}: {count}" for (name, status), count in asked.items()]
    if mock.calls.dropped:
        requests.insert(
            0, f"{_counted(mock.calls.dropped, 'earlier request')}, no longer in the journal; after them:"
        )
    lines = [ending.said]
    lines += _part("requests", requests)
    lines += _part("resets", map(_reset(mock), mock.audit))
    sent = mock.outbox[len(before["outbox"]) :]
    lines += _part("notifications", [f"{len(sent)} sent"] if sent else [])
    changes = [each for each in mock.diff(before) if each.kind not in ("audit entry", "notification")]
    lines += [*_part("changes", brief(changes, _SHOWN)), *warnings]
    return "\n".join(lines)


def _reset(mock: MockTraining) -> Callable[[AuditEntry], str]:
    def said(entry: AuditEntry) -> str:
        course = mock.world.main.courses.get(entry.course_id)
        title = f'"{course.title}"' if course else f"course {entry.course_id or '(not named)'}"
        whom = "everyone" if entry.everyone else f"{entry.users_asked} listed"
        return f"{title}, {whom}: {entry.outcome}, {_counted(entry.users_updated, 'user')} reset"

    return said


def _counted(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or f'{one}s'}"


def _part(heading: str, lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return [f"{heading}:", *(f"  {inline(each)}" for each in found)] if found else [f"{heading}: none"]
