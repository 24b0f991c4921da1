"""Write the record again: ``python -m record``, in ``tests``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from record import commands, names, replay


def main() -> None:
    """Write answers, ends of commands and names as they are now."""
    with replay.ANSWERS.open("w") as file:
        for session, requests in replay.sessions():
            print(replay.line_of({"session": session}), file=file)
            for _, answer in replay.replay(requests):
                print(replay.line_of(answer), file=file)
    commands.ENDS.write_text(_document({name: _ran(lines) for name, lines in commands.SESSIONS.items()}))
    names.NAMES.write_text(_document(names.public()))


def _ran(lines: list[str]) -> list[object]:
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        return [end for _, end in commands.run_session(lines, Path(folder))]


def _document(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    main()
