"""This machine: where records are kept, whether they can be, and what was left half-way."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from training_sdk.cli.health.checks import Check, error, note, ok, warning
from training_sdk.errors import RecordsError, TrainingError
from training_sdk.plans.wording import number, short_digest
from training_sdk.records.audit import AuditLog
from training_sdk.records.events import Closed, Opened
from training_sdk.records.journal import read_journal
from training_sdk.records.state import PERMANENT, StateDirectory

AREA = "machine"
LITTLE = 200 * 1024 * 1024
"""Bytes; evidence of some ten thousand people takes as much."""
_HOLDER = re.compile(r"process (\d+) on (.+)")


def check_machine(path: Path | None) -> Iterator[Check]:
    """The state directory and what is in it. Nothing is made where there is none."""
    try:
        state = StateDirectory.existing(path)
    except TrainingError as problem:
        yield error(AREA, "state directory", problem.message)
        return
    if state is None:
        yield _none_yet(StateDirectory.obstacle(path))
        return
    yield _writable(state)
    yield _space(state)
    yield from _audit(state)
    yield from _plans(state)
    yield from _locks(state)


def _none_yet(obstacle: Path | None) -> Check:
    if obstacle is None:
        return note(AREA, "state directory", "there is none yet; the first reset makes it")
    return error(
        AREA,
        "state directory",
        f"there is none, and none can be made below {obstacle}, so nothing can be reset. Make {obstacle} a directory "
        f"that you can write. {PERMANENT}",
    )


def _writable(state: StateDirectory) -> Check:
    if os.access(state.path, os.W_OK | os.X_OK):
        return ok(AREA, "state directory", f"{state.path}, closed to others")
    return error(
        AREA,
        "state directory",
        f"{state.path} cannot be written, so nothing can be reset: chmod 700 '{state.path}'. {PERMANENT}",
    )


def _space(state: StateDirectory) -> Check:
    free = shutil.disk_usage(state.path).free
    said = f"{free / 1024**3:.1f} GiB free"
    if free < LITTLE:
        return warning(AREA, "space", f"{said}: without room for evidence nothing is reset")
    return ok(AREA, "space", said)


def _audit(state: StateDirectory) -> Iterator[Check]:
    if not state.audit.exists():
        yield note(AREA, "audit log", "there is none yet")
        return
    try:
        findings = AuditLog(state.audit).verify()
    except (RecordsError, OSError) as problem:
        yield error(AREA, "audit log", str(problem))
        return
    faults = [one for one in findings if not one.is_note]
    if faults:
        yield error(
            AREA, "audit log", f"{number(len(faults), 'fault')}; see training-sdk audit verify: {faults[0]}"
        )
    else:
        yield ok(AREA, "audit log", "; ".join(map(str, findings)) or "as it was written")


def _plans(state: StateDirectory) -> Iterator[Check]:
    """The journals, and the plans that stopped half-way."""
    half = []
    for folder in state.plan_folders:
        try:
            events = read_journal(folder)
        except TrainingError as problem:
            yield error(AREA, "journal", problem.message)
            continue
        if any(isinstance(one, Opened) for one in events) and not any(
            isinstance(one, Closed) for one in events
        ):
            half.append(f"#{short_digest(folder.name)}")
    if half:
        yield warning(AREA, "plans", f"begun and not at their end, to be resumed: {', '.join(half)}")
    else:
        yield ok(AREA, "plans", "none stopped half-way")


def _locks(state: StateDirectory) -> Iterator[Check]:
    """Who holds what; a holder that has died left its name, and holds nothing."""
    for path in sorted(state.path.rglob("*.holder")):
        match = _HOLDER.match(path.read_text(encoding="utf-8", errors="replace"))
        what = _locked(path.relative_to(state.path).with_suffix(""))
        if match is None or match[2] != platform.node():
            yield note(AREA, "lock", f"{what} is held from elsewhere, or was: {path.name}")
        elif _lives(int(match[1])):
            yield note(AREA, "lock", f"{what} is being written by process {match[1]}")
        else:
            yield note(AREA, "lock", f"{what} was held by process {match[1]}, which has died; it is free")


def _locked(path: Path) -> str:
    """What a lock is for; a plan goes by the tail of its phrase, which fits into a table."""
    of_plan = len(path.parts) == 3 and path.parts[0] == "plans"
    return f"{path.name} of plan #{short_digest(path.parts[1])}" if of_plan else str(path)


def _lives(process: int) -> bool:
    if sys.platform == "win32":
        return True  # asking would end it there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
