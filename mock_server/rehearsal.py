"""A rehearsal: somebody's real script against a server of its own, and then what it would have done."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mock_server.mock import MockTraining, TokenName
from mock_server.world.differences import brief
from mock_server.world.ledger import AuditEntry

URL_VARIABLE, TOKEN_VARIABLE = "SAFETYCULTURE_BASE_URL", "SAFETYCULTURE_API_TOKEN"
RECORDS_VARIABLE = "TRAINING_SDK_STATE_DIR"
"""Where a script keeps journals, evidence and audit log: what was only rehearsed must not stand among what was done."""
_SHOWN = 40


class RehearsalError(Exception):
    """A script that could not be started; the message names the remedy."""


def run(mock: MockTraining, command: Sequence[str], token: TokenName) -> int:
    """Run a command with the server's address and a token in its environment alone; its exit code.

    Its records are kept in a directory of this rehearsal, which goes with it. RehearsalError if it cannot be started.
    """
    with mock.serve() as server, tempfile.TemporaryDirectory(prefix="rehearsal-") as records:
        spared = ",".join(filter(None, (os.environ.get("NO_PROXY"), server.host)))
        own = {
            URL_VARIABLE: server.url,
            TOKEN_VARIABLE: mock.token(token),
            RECORDS_VARIABLE: records,
            "NO_PROXY": spared,
            "no_proxy": spared,
        }
        try:
            done = subprocess.run(list(command), env=os.environ | own, check=False)  # noqa: S603 - what was asked for
        except OSError as error:
            raise RehearsalError(f"{command[0]} cannot be started: {error.strerror}") from None
    return done.returncode


def loaded(mock: MockTraining, source: str) -> str:
    """What a world was loaded with, said loudly where that is nothing."""
    rosters = [each.roster for each in mock.world.main.progress.courses.values()]
    rows, people = sum(map(len, rosters)), len(set().union(*rosters))
    if not rows:
        return f"WARNING: {source} holds no rows: nobody is in this world but the staff that own the tokens"
    return f"loaded {rows} rows of {people} people in {len(rosters)} courses from {source}"


def story(mock: MockTraining, before: dict[str, Any], code: int) -> str:
    """What the script asked and what has changed since ``before``."""
    asked = Counter((each.operation or "(no operation)", each.status) for each in mock.calls)
    lines = [f"The script ended with exit code {code}."]
    lines += _part("requests", [f"{name} -> {status}: {count}" for (name, status), count in asked.items()])
    lines += _part("resets", map(_reset(mock), mock.audit))
    sent = mock.outbox[len(before["outbox"]) :]
    lines += _part("notifications", [f"{len(sent)} sent"] if sent else [])
    changes = [each for each in mock.diff(before) if each.kind not in ("audit entry", "notification")]
    lines += _part("changes", brief(changes, _SHOWN))
    return "\n".join(lines)


def _reset(mock: MockTraining) -> Callable[[AuditEntry], str]:
    def said(entry: AuditEntry) -> str:
        course = mock.world.main.courses.get(entry.course_id)
        title = f'"{course.title}"' if course else f"course {entry.course_id or '(not named)'}"
        whom = "everyone" if entry.everyone else f"{len(entry.user_ids)} listed"
        return f"{title}, {whom}: {entry.outcome}, {entry.users_updated} users reset"

    return said


def _part(heading: str, lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return [f"{heading}:", *(f"  {each}" for each in found)] if found else [f"{heading}: none"]
