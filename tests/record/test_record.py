"""What programs read of the server and of the command line is as it was recorded.

A difference is either a mistake or a decision. For a decision write the record again, ``make record``, and commit it
alone, with the reason.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from record import commands, names, replay
from record.commands import SESSIONS

SERVER = dict(replay.sessions())


@pytest.mark.parametrize("session", SERVER)
def test_the_server_answers_as_recorded(session: str) -> None:
    kept = replay.recorded()[session]
    assert len(kept) == len(SERVER[session])
    for (asked, came), before in zip(replay.replay(SERVER[session]), kept, strict=True):
        assert came == before, f"another answer to {json.dumps(asked, ensure_ascii=False)}"


@pytest.mark.parametrize("session", SESSIONS)
def test_commands_end_as_recorded(session: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept = commands.recorded()[session]
    for (line, came), before in zip(commands.run_session(SESSIONS[session], tmp_path), kept, strict=True):
        assert came == before, f"another end of training-sdk {line}"


def test_public_names_are_as_recorded() -> None:
    assert names.public() == names.recorded()
