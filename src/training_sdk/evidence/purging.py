"""Purging packs that are older than a limit, each with an entry in the audit log before anything is deleted."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from training_sdk._core import argument_checks
from training_sdk.errors import RecordsDamagedError
from training_sdk.evidence.pack import BEGUN_FILE, MANIFEST, RAW, Log, StoredPack
from training_sdk.records import approvals, plan_copy, storage
from training_sdk.records.audit import BEGUN, COPY_PURGED, KEPT, PURGED, RESUMED, AuditLog
from training_sdk.records.events import Event, EvidenceKept
from training_sdk.records.journal import read_journal
from training_sdk.records.plan_copy import PLAN, SEALED
from training_sdk.records.state import StateDirectory, is_digest


@frozen
class StrayCopy:
    """The folder of a plan with a copy that names people, and why nothing else will delete it."""

    folder: Path
    why: str

    def forget(self) -> None:
        """Delete copy and approvals; files without names stay. Raises RecordsDamagedError, RecordsUnwritableError."""
        plan_copy.delete_plan_copy(self.folder)
        approvals.forget(self.folder)


def stray_copies(
    root: Path, before: datetime, is_closed: Callable[[str], bool], with_pack: Collection[str]
) -> Iterator[StrayCopy]:
    """Return the copies beside a folder of packs that are older than this and whose plans have no pack.

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
            yield StrayCopy(folder, "the copy of a plan that was never started")
        elif folder.name in purged and is_closed(folder.name) is True:
            yield StrayCopy(folder, "the copy of a plan whose evidence was purged")
        elif (
            events
            and not _has_evidence(events)
            and folder.name not in kept
            and is_closed(folder.name) is True
        ):
            yield StrayCopy(folder, "the copy of a closed plan that never stored evidence")


def _has_evidence(events: Sequence[Event]) -> bool:
    return any(isinstance(event, EvidenceKept) for event in events)


def _names_people(folder: Path, before: datetime) -> bool:
    files = [folder / PLAN, folder / SEALED, *folder.glob(f"{approvals.STEM}*")]
    times = [datetime.fromtimestamp(file.stat().st_mtime, UTC) for file in files if file.is_file()]
    return bool(times) and max(times) < before


def _logged(state: StateDirectory) -> tuple[frozenset[str], frozenset[str], frozenset[str]] | None:
    """Return the plans with a purged pack, those begun, and those with a pack, by the log; None if it is damaged."""
    with suppress(RecordsDamagedError):
        entries = AuditLog(state.audit).entries()
        return _digests(entries, PURGED), _digests(entries, BEGUN, RESUMED), _digests(entries, KEPT)
    return None


def _digests(entries: Sequence[Mapping[str, Any]], *events: str) -> frozenset[str]:
    return frozenset(str(entry.get("plan_digest")) for entry in entries if entry["event"] in events)


PURGING = ".purging-"


@frozen
class Purged:
    """The result of a purge for one package. ``why`` is the reason."""

    folder: Path
    plan_digest: str
    read_at: datetime | None
    """The time of the last answer in the package; None for a package that was never finished."""
    purged: bool
    """True if the package was deleted; in a dry run, if it would be deleted."""
    why: str
    manifest_sha256: str | None = None
    """The SHA-256 of the manifest; None for a package that was never finished."""
    is_copy: bool = False
    """True if this is not a package but the copy of a plan, which names people and whose packages are gone."""

    @property
    def identity(self) -> tuple[str, str]:
        """The name and the manifest's digest, which identify the package."""
        return self.folder.name.removeprefix(PURGING), self.manifest_sha256 or ""


@frozen
class _Found:
    """A pack in the folder: whole, unfinished, or partly purged."""

    folder: Path
    name: str
    plan_digest: str
    at: datetime
    read_at: datetime | None
    manifest_sha256: str | None
    targets: int | None
    is_whole: bool = True
    """True if no purge has deleted anything of it yet, as far as that can be told."""
    problem: str | None = None
    """The reason to keep it at any age: its plan cannot be read."""

    @property
    def named(self) -> dict[str, str]:
        """The pack as the audit log names it; one that was never finished has no manifest."""
        known = {} if self.manifest_sha256 is None else {"manifest_sha256": self.manifest_sha256}
        return {"name": self.name, **known}

    @property
    def half_purged(self) -> bool:
        return self.folder.name.startswith(PURGING)


def purge(
    root: str | os.PathLike[str],
    older_than: timedelta,
    now: datetime,
    *,
    log: Log,
    is_closed: Callable[[str], bool],
    dry_run: bool = False,
    only: Collection[tuple[str, str]] | None = None,
) -> tuple[Purged, ...]:
    """Delete old evidence packages in a folder of packages, and return the result for each.

    The age counts from the time at which a package was read; for an unfinished package, from its start. A package that
    does not name its plan and its start is kept. The next purge finishes an interrupted one. Other files and folders
    are not touched. In a state directory the stored copy of a plan is deleted with its last package. Its outline,
    journal and report, which contain no names, stay. An old copy of a plan without packages is deleted too.

    Arguments:

    - ``root``: The folder that contains the packages.
    - ``older_than``: Delete packages that are older than this.
    - ``now``: The current time, with a time zone.
    - ``log``: The audit log, which gets an entry for each package before it is deleted.
    - ``is_closed``: A function that returns for the digest of a plan whether its journal is closed. Packages of other
      plans are kept at any age.
    - ``dry_run``: Delete nothing; return what would be deleted.
    - ``only``: The identities of packages that a person confirmed, as a dry run returned them. All others are kept.

    Raises:

    - ``EvidenceError``: The manifest of a package cannot be read. Nothing was deleted.
    - ``RecordsUnwritableError``: The operating system refuses to delete a file.
    """
    argument_checks.moment(now, "now")
    if older_than <= timedelta(0):
        raise argument_checks.refusal("older_than", f"must be a timedelta above zero, not {older_than!r}.")
    try:
        before = now - older_than
    except OverflowError:
        raise argument_checks.refusal(
            "older_than", f"must not reach back beyond all dates, as {older_than!r} does."
        ) from None
    packs = list(_packs(Path(root)))
    left = Counter(found.plan_digest for found in packs)
    unknown = [found.name for found in packs if found.problem is not None]
    for digest in left:
        left[digest] += sum(_is_named_after(digest, name) for name in unknown)
    copies = [
        copy
        for copy in stray_copies(Path(root), before, is_closed, left.keys())
        if not any(_is_named_after(copy.folder.name, name) for name in unknown)
    ]
    done = [_decide(found, before, log, is_closed, None if dry_run else left, only) for found in packs]
    return (*done, *(_decide_copy(copy, log, only, dry_run=dry_run) for copy in copies))


def _decide_copy(
    copy: StrayCopy, log: Log, only: Collection[tuple[str, str]] | None, *, dry_run: bool
) -> Purged:
    found = Purged(copy.folder, copy.folder.name, None, True, copy.why, is_copy=True)
    if only is not None and found.identity not in only:
        return evolve(found, purged=False, why="it is not among the packs that were confirmed")
    if not dry_run:
        log.append(COPY_PURGED, plan_digest=found.plan_digest, **_quoted_outline(copy.folder))
        copy.forget()
    return found


def _quoted_outline(plan: Path) -> dict[str, str]:
    """Return the SHA-256 of the outline that is about to be made of the copy of a plan."""
    copy = plan / plan_copy.PLAN
    if not copy.is_file() or (plan / plan_copy.OUTLINE).exists():
        return {}
    return {plan_copy.OUTLINE_SHA256: hashlib.sha256(plan_copy.outline_in(plan)).hexdigest()}


def _decide(
    found: _Found,
    before: datetime,
    log: Log,
    is_closed: Callable[[str], bool],
    left: Counter[str] | None,
    only: Collection[tuple[str, str]] | None,
) -> Purged:
    """Delete a pack if it may go; ``left`` are the packs of each plan that are still there, None in a dry run."""

    def say(purged: bool, why: str) -> Purged:
        return Purged(found.folder, found.plan_digest, found.read_at, purged, why, found.manifest_sha256)

    if found.problem is not None:
        return say(False, found.problem)
    if found.is_whole and found.at >= before:
        return say(False, "it is not old enough")
    if found.plan_digest and not is_digest(found.plan_digest):
        return say(False, "it names a plan, but not by a digest")
    if found.plan_digest and is_closed(found.plan_digest) is not True:
        return say(False, "its plan is not closed")
    if only is not None and say(True, "").identity not in only:
        return say(False, "it is not among the packs that were confirmed")
    if left is not None:
        left[found.plan_digest] -= 1
        _delete(found, log, is_last=not left[found.plan_digest])
    return say(True, "a purge of it was interrupted" if found.half_purged else "it is old enough")


def _delete(found: _Found, log: Log, *, is_last: bool) -> None:
    """Log the purge, rename the folder, and delete its files; the manifest last, because the next purge reads it.

    A folder that is named as being purged without a line in the log was renamed by hand.
    """
    log.append(
        PURGED,
        pack=found.named,
        plan_digest=found.plan_digest,
        read_at=found.read_at and found.read_at.isoformat(),
        targets=found.targets,
        resumed=found.half_purged,
        **(_quoted_outline(_plan_of(found)) if is_last else {}),
    )
    folder = found.folder
    if not found.half_purged:
        folder = folder.with_name(PURGING + found.name)
        with storage.writing(folder):
            found.folder.rename(folder)
            storage.sync_folder(folder.parent)
    if is_last:
        _forget_plan(found)
    with storage.writing(folder):
        for path in _files_of(folder):
            path.unlink()
        if (folder / RAW).is_dir():
            (folder / RAW).rmdir()
        for name in (MANIFEST, BEGUN_FILE):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
        storage.sync_folder(folder.parent)


def _plan_of(found: _Found) -> Path:
    """Return the folder of the plan of a pack."""
    return found.folder.parent.parent / "plans" / found.plan_digest


def _forget_plan(found: _Found) -> None:
    """Remove a plan's copy and approvals before its last pack is deleted, so that a killed purge can continue."""
    plan = _plan_of(found)
    if found.plan_digest and found.folder.parent.name == "evidence" and plan.is_dir():
        plan_copy.delete_plan_copy(plan)
        approvals.forget(plan)


def _files_of(folder: Path) -> Iterator[Path]:
    for place in (folder / RAW, folder):
        if place.is_dir() and not place.is_symlink():
            yield from [
                path
                for path in place.iterdir()
                if path.name not in (MANIFEST, BEGUN_FILE) and (path.is_symlink() or not path.is_dir())
            ]


def _packs(root: Path) -> Iterator[_Found]:
    """Return the packs in a folder; a folder without a file of a pack is not a pack."""
    with storage.writing(root):
        folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())
    yield from _packs_among(folders)


def _packs_among(folders: Iterable[Path]) -> Iterator[_Found]:
    for folder in folders:
        if (folder / MANIFEST).is_file():
            yield _whole(folder)
        elif (folder / BEGUN_FILE).is_file():
            yield _unfinished(folder)
        elif folder.name.startswith(PURGING) and not any(folder.iterdir()):
            yield _Found(folder, _name(folder), "", datetime.min, None, None, None, is_whole=False)


def _whole(folder: Path) -> _Found:
    stored = StoredPack.open(folder)
    manifest = stored.manifest
    last = manifest.read_at.last
    return _Found(
        folder,
        _name(folder),
        manifest.plan_digest,
        last,
        last,
        stored.manifest_sha256,
        manifest.counts.get("targets"),
        is_whole=not folder.name.startswith(PURGING)
        or all((folder / name).is_file() for name in manifest.files),
    )


def _unfinished(folder: Path) -> _Found:
    try:
        begun = json.loads((folder / BEGUN_FILE).read_bytes())
        at = argument_checks.moment(datetime.fromisoformat(begun["begun_at"]), "begun_at")
        whole = not folder.name.startswith(PURGING)
        return _Found(folder, _name(folder), str(begun["plan_digest"]), at, None, None, None, is_whole=whole)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        problem = (
            f"its {BEGUN_FILE} cannot be read ({error}), so the plan and the age of this pack are unknown. Check "
            "it, and move it to another folder"
        )
        return _Found(folder, _name(folder), "", datetime.min, None, None, None, problem=problem)


def _is_named_after(digest: str, pack: str) -> bool:
    """Return whether a pack has the name that packs of a plan are given."""
    return pack.startswith(f"{digest[:16]}-")


def plan_of_pack(folder: Path) -> str:
    """Return the digest of the plan of a pack, also of an unfinished one; empty where the folder holds none."""
    found = next(_packs_among([folder]), None)
    return "" if found is None else found.plan_digest


def _name(folder: Path) -> str:
    return folder.name.removeprefix(PURGING)
