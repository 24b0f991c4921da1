"""Copies of plans and approvals that no pack takes along: of plans that never began, or whose packs were purged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import frozen

from training_sdk.errors import RecordsDamagedError
from training_sdk.records import approvals, plancopy
from training_sdk.records.audit import AuditLog
from training_sdk.records.events import Event, EvidenceKept
from training_sdk.records.journal import read_journal
from training_sdk.records.logged import BEGUN, KEPT, PURGED, RESUMED
from training_sdk.records.plancopy import PLAN, SEALED
from training_sdk.records.state import StateDirectory


@frozen
class StrayCopy:
    """The folder of a plan with a copy that names people, and why nothing else will delete it."""

    folder: Path
    why: str

    def forget(self) -> None:
        """Delete copy and approvals; what names nobody stays. Raises RecordsDamagedError, RecordsUnwritableError."""
        plancopy.forget(self.folder)
        approvals.forget(self.folder)


def stray_copies(
    root: Path, before: datetime, is_closed: Callable[[str], bool], with_pack: Collection[str]
) -> Iterator[StrayCopy]:
    """The copies beside a folder of packs that are older than this and whose plans have no pack.

    A plan that was begun must be closed, and the audit log must name a purge of its packs: missing ones are no purge.
    Where neither journal nor log names a pack, none was kept, and nothing was sent.
    """
    if root.name != "evidence":
        return
    state = StateDirectory(root.parent)
    logged = _logged(state)
    if logged is None:
        return
    purged, begun, kept = logged
    for folder in state.plan_folders:
        if folder.name in with_pack or not _names_people(folder, before):
            continue
        try:
            events = read_journal(folder)
        except RecordsDamagedError:
            continue
        if not events and folder.name not in begun:
            yield StrayCopy(folder, "the copy of a plan that never began")
        elif folder.name in purged and is_closed(folder.name) is True:
            yield StrayCopy(folder, "the copy of a plan whose evidence was purged")
        elif events and not _kept_any(events) and folder.name not in kept and is_closed(folder.name) is True:
            yield StrayCopy(folder, "the copy of a closed plan that never kept evidence")


def _kept_any(events: Sequence[Event]) -> bool:
    return any(isinstance(event, EvidenceKept) for event in events)


def _names_people(folder: Path, before: datetime) -> bool:
    files = [folder / PLAN, folder / SEALED, *folder.glob(f"{approvals.STEM}*")]
    times = [datetime.fromtimestamp(file.stat().st_mtime, UTC) for file in files if file.is_file()]
    return bool(times) and max(times) < before


def _logged(state: StateDirectory) -> tuple[frozenset[str], frozenset[str], frozenset[str]] | None:
    """The plans whose packs were purged, that were begun, and that kept a pack, by the log; None if it is damaged."""
    with suppress(RecordsDamagedError):
        entries = AuditLog(state.audit).entries()
        return _digests(entries, PURGED), _digests(entries, BEGUN, RESUMED), _digests(entries, KEPT)
    return None


def _digests(entries: Sequence[Mapping[str, Any]], *events: str) -> frozenset[str]:
    return frozenset(str(entry.get("plan_digest")) for entry in entries if entry["event"] in events)
