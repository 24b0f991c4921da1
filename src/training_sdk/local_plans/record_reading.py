"""One reading of all records of this machine, for comparing them; another process may be writing meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import frozen

from training_sdk._core.text import visible
from training_sdk.errors import EvidenceError, RecordsError
from training_sdk.evidence.files import Unseal
from training_sdk.evidence.pack import BEGUN_FILE, MANIFEST, Manifest, StoredPack
from training_sdk.evidence.purging import PURGING
from training_sdk.plans.wording import short_digest
from training_sdk.records.audit import BEGUN, KEPT, RESUMED
from training_sdk.records.chain import Lines, check_chain
from training_sdk.records.events import Event, EvidenceKept, Opened, Resumed
from training_sdk.records.journal import JournalCopy
from training_sdk.records.journal_state import JournalState
from training_sdk.records.state import StateDirectory, is_digest
from training_sdk.reports import report_file

Entry = Mapping[str, Any]
"""An entry of the audit log."""
_LOGGED_AS: Mapping[type[Event], str] = {Opened: BEGUN, Resumed: RESUMED, EvidenceKept: KEPT}


@frozen
class PackFolder:
    """A folder in the folder of packs, as it is found."""

    name: str
    is_being_purged: bool
    """True if its folder is named as a purge names it."""
    sha256: str | None
    manifest: Manifest | None
    problem: str | None


@frozen
class RecordFinding:
    """A contradiction between two records or, where ``is_note``, work that was not finished.

    ``plan`` is the digest of the plan and ``pack`` the name of the evidence pack that it is about, where it is one.
    """

    message: str
    is_note: bool = False
    plan: str | None = None
    pack: str | None = None

    def __str__(self) -> str:
        return visible(self.message)


def fault(message: str, plan: str | None = None, pack: str | None = None) -> RecordFinding:
    """Return the finding of a contradiction between two records."""
    return RecordFinding(message, plan=plan, pack=pack)


def note(message: str, plan: str | None = None, pack: str | None = None) -> RecordFinding:
    """Return the finding of work that was not finished."""
    return RecordFinding(message, is_note=True, plan=plan, pack=pack)


@frozen
class PlanReading:
    """Everything that was read about one plan."""

    digest: str
    directory: StateDirectory
    journal: JournalCopy
    state: JournalState
    before: Sequence[Entry]
    """Its entries in the log before the journal was read."""
    logged: Sequence[Entry]
    """Its entries in the log after everything else was read."""
    report: bytes | None
    unseal: Unseal | None

    @property
    def folder(self) -> Path:
        """The folder of the plan."""
        return self.directory.path / "plans" / self.digest

    @property
    def name(self) -> str:
        """The plan's name in messages."""
        return f"plan #{short_digest(self.digest)}"

    @property
    def opening(self) -> str:
        """The plan's name at the beginning of a sentence."""
        return f"Plan #{short_digest(self.digest)}"

    def entries(self, *events: str) -> list[Entry]:
        """Return its entries in the log of these kinds."""
        return [entry for entry in self.logged if entry.get("event") in events]

    def fault(self, message: str, pack: str | None = None) -> RecordFinding:
        """Return the finding of a contradiction about this plan."""
        return fault(message, self.digest, pack)

    def note(self, message: str, pack: str | None = None) -> RecordFinding:
        """Return the finding of work on this plan that was not finished."""
        return note(message, self.digest, pack)


@frozen
class Reading:
    """Everything at once. The log is read first and last, since what is in it must be in the journals."""

    directory: StateDirectory
    before: Sequence[Entry]
    """The entries of the log before the journals were read."""
    journals: Mapping[str, JournalCopy]
    """By the digest of the plan."""
    damaged: Mapping[str, str]
    """The faults of the journals that cannot be read."""
    packs: Mapping[str, PackFolder]
    reports: Mapping[str, bytes]
    foreign: Sequence[str]
    """Folders beside those of plans, by name; nothing reads them."""
    after: Sequence[Entry]
    """The entries of the log after everything else was read."""
    unseal: Unseal | None = None
    """Opens sealed copies of plans and sealed approvals."""

    @classmethod
    def of(cls, directory: StateDirectory, unseal: Unseal | None = None) -> Reading:
        """Read everything."""
        before = _entries(directory.audit)
        packs = {pack.name: pack for pack in _packs(directory.path / "evidence")}
        journals: dict[str, JournalCopy] = {}
        damaged: dict[str, str] = {}
        for folder in directory.plan_folders:
            try:
                journals[folder.name] = JournalCopy.read(folder)
            except RecordsError as error:
                damaged[folder.name] = error.message
        plans = directory.path / "plans"
        reports = {
            digest: content
            for digest in journals
            if (content := _content(plans / digest / report_file.REPORT)) is not None
        }
        foreign = _foreign(plans)
        after = _entries(directory.audit)
        return cls(directory, before, journals, damaged, packs, reports, foreign, after, unseal)

    def plan(self, digest: str) -> PlanReading:
        """Return what was read about one plan."""
        journal = self.journals.get(digest, JournalCopy())
        return PlanReading(
            digest,
            self.directory,
            journal,
            journal.state(),
            [entry for entry in self.before if entry.get("plan_digest") == digest],
            [entry for entry in self.after if entry.get("plan_digest") == digest],
            self.reports.get(digest),
            self.unseal,
        )


def at(entry: Entry) -> datetime | None:
    """Return the time of an entry, or None."""
    try:
        return datetime.fromisoformat(str(entry.get("at")))
    except ValueError:
        return None


def logged_as(event: Event) -> str | None:
    """Return the kind of entry that the log gets for an event of a journal; None for most events."""
    return _LOGGED_AS.get(type(event))


def entries_of(event: Event, logged: Sequence[Entry]) -> list[Entry]:
    """Return those of these entries that the log got for an event."""
    what = logged_as(event)
    match event:
        case Opened() | Resumed():
            return [entry for entry in logged if entry.get("event") == what and at(entry) == event.at]
        case EvidenceKept():
            pack = {"name": event.pack, "manifest_sha256": event.manifest_sha256}
            return [entry for entry in logged if entry.get("event") == what and entry.get("pack") == pack]
    return []


def pack_of(entry: Entry) -> Mapping[str, Any]:
    """Return the pack that an entry names; empty if it names none."""
    pack = entry.get("pack")
    return pack if isinstance(pack, dict) else {}


def _entries(path: Path) -> list[Entry]:
    """Return the entries that can be read; ``AuditLog.verify`` reports the others."""
    return [link.entry for link in check_chain(Lines(path).raw()) if link.entry is not None]


def _foreign(root: Path) -> list[str]:
    found = root.iterdir() if root.is_dir() else ()
    return sorted(path.name for path in found if path.is_dir() and not is_digest(path.name))


def _packs(root: Path) -> Iterator[PackFolder]:
    if not root.is_dir():
        return
    for folder in sorted(root.iterdir()):
        name = folder.name.removeprefix(PURGING)
        hidden = name != folder.name
        if folder.is_symlink() or not folder.is_dir():
            continue
        if (folder / MANIFEST).is_file():
            yield _whole(folder, name, hidden)
        elif (folder / BEGUN_FILE).is_file() or hidden:
            yield PackFolder(name, hidden, None, None, None)


def _whole(folder: Path, name: str, hidden: bool) -> PackFolder:
    try:
        stored = StoredPack.open(folder)
    except EvidenceError as error:
        return PackFolder(name, hidden, None, None, error.message)
    return PackFolder(name, hidden, stored.manifest_sha256, stored.manifest, None)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordsError(f"Cannot read {path}: {error.strerror or error}.") from error
