"""An evidence pack: its manifest, and how the files of a finished one are read."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import attrs
from attrs import field, frozen

from training_sdk._core import argument_checks, codec
from training_sdk._core.text import sentence_of
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import DecodingError, EvidenceError
from training_sdk.evidence.answers import ALWAYS, FORMS, NAMES, value_in
from training_sdk.evidence.files import SEALED, UNSEAL, Checksum, FileChecksum, Unseal, checksum_of
from training_sdk.evidence.tables import LessonTally

FORM = 1
MANIFEST = "manifest.json"
BEGUN_FILE = "begun.json"
PLAN = "plan.json"
TARGETS = "targets.jsonl"
RAW = "raw"
INDEX = "raw/index.jsonl"
BLIND = timedelta(hours=2)
WHY_BLIND = (
    "A live service answers from a warehouse that is refreshed every 30 minutes to 2 hours. Changes in "
    "the 2 hours before the first reading, or while the pack was read, may be missing from it."
)

_SEGMENT = re.compile(r"raw/\d{6,}\.answers")
_FIXED = frozenset(
    {BEGUN_FILE, PLAN, TARGETS, INDEX, *(f"{name}.{kind}" for name in NAMES for kind in ("jsonl", "csv"))}
)


class Head(Protocol):
    """The last hash of the audit log, with the number of its entry."""

    @property
    def n(self) -> int:
        """The number of entries in the log."""

    @property
    def hash(self) -> str:
        """The hash of the last entry."""


class Log(Protocol):
    """The part of the audit log that packs use."""

    def append(self, event: str, /, **facts: Any) -> object:
        """Add an entry; it is on the disk when this returns."""


@frozen
class LogHead:
    """The end of the audit log when the pack was written."""

    n: int
    hash: str


@frozen
class ReadAt:
    """The times of the first and the last answer of a pack (UTC)."""

    first: datetime
    last: datetime


@frozen
class BlindWindow:
    """The period from which a package may lack events. ``why`` is the reason."""

    since: datetime
    until: datetime
    why: str = WHY_BLIND

    @classmethod
    def of(cls, read_at: ReadAt) -> BlindWindow:
        """Return the time from two hours before the first answer to the last."""
        return cls(read_at.first - BLIND, read_at.last)


@frozen
class Pseudonymised:
    """The pack that this one was made from, and a check value of the key."""

    original_manifest_sha256: str
    key_check: str
    left_out: tuple[str, ...]
    """The files and fields of the original that are not here."""


@frozen
class Manifest:
    """The description of a package, with the checksum of each file in it. It contains no personal data."""

    form: int
    tool: str
    plan_digest: str
    base_url: str
    organisation_id: str
    reference_server: bool
    read_at: ReadAt
    blind_window: BlindWindow
    counts: dict[str, int]
    files: dict[str, FileChecksum] = field(repr=False)
    sealed: bool = False
    audit_log: LogHead | None = None
    pseudonymised: Pseudonymised | None = None
    tables_form: int = 1
    """The version of the rules by which the tables are derived. Older manifests do not name it and use version 1."""
    missing_lessons: int | None = None
    """The number of targets with fewer listed lessons than their rows count as completed, which was accepted.

    None in older manifests, for which this was not checked.
    """
    lessons_by_page: int | None = None
    """The number of targets whose lessons were derived from pages of events and attempts; None in older manifests."""
    not_read: dict[str, str] | None = None
    """The listings that could not be read completely, each with the reason; None in older manifests.

    If ``survey answers`` is among them, the package lacks answers that a reset clears. If another listing is, the
    lessons were read separately for more people, and nothing is missing.
    """

    def to_bytes(self) -> bytes:
        """Return the only serialization of the manifest."""
        plain = attrs.asdict(self, value_serializer=lambda _, __, value: _written(value))
        plain["files"] = {name: _mark(mark) for name, mark in sorted(self.files.items())}
        if self.tables_form == 1:
            del plain["tables_form"]
        for name in ("missing_lessons", "lessons_by_page", "not_read"):
            if plain[name] is None:  # an older manifest
                del plain[name]
        return json.dumps(plain, indent=1, sort_keys=True).encode("ascii") + b"\n"

    def stored(self, name: str) -> str:
        """Return the name of a file in the pack."""
        return name + SEALED if self.sealed else name


def _written(value: Any) -> Any:
    return utc_text(value) if isinstance(value, datetime) else value


def utc_text(when: datetime) -> str:
    """Return a moment as packs write it."""
    return argument_checks.in_utc(when).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _mark(mark: FileChecksum) -> dict[str, Any]:
    written: dict[str, Any] = {"sha256": mark.sha256, "bytes": mark.bytes}
    return written | ({"plain": attrs.asdict(mark.plain)} if mark.plain else {})


@frozen
class Pack:
    """A complete evidence package: its folder, its manifest, and the progress rows of its targets."""

    folder: Path
    manifest: Manifest
    manifest_sha256: str
    """The SHA-256 of the manifest. Store it in another place: only with it can a changed manifest be noticed."""
    rows: Mapping[tuple[str, str], ProgressRow] = field(repr=False, hash=False)
    """The progress rows, by course id and user id."""
    missing_lessons: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """The course ids and user ids of targets with missing lessons, which the caller accepted."""

    def age(self, now: datetime) -> timedelta:
        """Return the time since the last answer was received. The progress rows are read last."""
        return now - self.manifest.read_at.last


def refuse_old(pack: Pack, now: datetime, limit: timedelta) -> None:
    """Raise EvidenceError if a package is older than ``limit``, or if this machine's clock is behind its time."""
    age = pack.age(now)
    if age > limit:
        raise EvidenceError(
            f"The evidence in {pack.folder} was read {age} ago, and at most {limit} are allowed. Nothing was sent. "
            "Collect it again.",
            reason="EVIDENCE_TOO_OLD",
        )
    if age < timedelta(0):
        raise EvidenceError(
            f"By this machine's clock, the evidence in {pack.folder} was read {-age} in the future, so the clock was "
            "set back. Nothing was sent. Set the clock and collect the evidence again.",
            reason="EVIDENCE_TOO_OLD",
        )


def read_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Return the manifest of a package without reading its files. Raises EvidenceError if it is not complete."""
    return parse_manifest(manifest_bytes(Path(folder)), Path(folder))


def manifest_bytes(folder: Path) -> bytes:
    """Return the bytes of the manifest. Raises EvidenceError if there is none."""
    try:
        return (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        what = "was never finished" if (folder / BEGUN_FILE).exists() else "is not an evidence pack"
        raise EvidenceError(f"{folder} {what}: it has no {MANIFEST}.", reason="EVIDENCE_INCOMPLETE") from None
    except OSError as error:
        raise EvidenceError(f"Cannot read {folder / MANIFEST}: {error.strerror or error}.") from error


def parse_manifest(data: bytes, folder: Path) -> Manifest:
    """Return a manifest from its bytes. Raises EvidenceError if this is not how it was written."""
    try:
        manifest = codec.structure_value(json.loads(data), Manifest)
        known = manifest.form == FORM and manifest.tables_form in FORMS
        whole = known and manifest.to_bytes() == data
    except (ValueError, RecursionError, DecodingError) as error:
        raise _not_as_written(folder, str(error)) from None
    if not known:
        raise EvidenceError(
            f"{folder} has form {manifest.form}, with tables of form {manifest.tables_form}, and this version of "
            f"training-sdk reads form {FORM}, with tables of forms up to {max(FORMS)}. Update it."
        )
    strange = [name for name in manifest.files if not is_file_of_a_pack(name, manifest.sealed)]
    if strange or not whole:
        raise _not_as_written(
            folder, f"{strange[0]!r} is not a file of a pack" if strange else "it was edited"
        )
    return manifest


def _not_as_written(folder: Path, why: str) -> EvidenceError:
    return EvidenceError(
        f"{folder / MANIFEST} is not what was written: {why}. Do not change the pack; restore a copy.",
        reason="EVIDENCE_CHANGED",
    )


def is_file_of_a_pack(name: str, sealed: bool) -> bool:
    """Return whether a manifest may name this file."""
    if sealed and name != BEGUN_FILE:
        if not name.endswith(SEALED):
            return False
        name = name.removesuffix(SEALED)
    return name in _FIXED or _SEGMENT.fullmatch(name) is not None


def packs_in(root: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Return the folders of the complete packages in a folder, in order of their names: by plan, then by time."""
    found = [path for path in Path(root).iterdir() if not path.name.startswith(".") and not path.is_symlink()]
    return tuple(sorted(path for path in found if (path / MANIFEST).is_file()))


def open_pack(folder: str | os.PathLike[str], *, unseal: Unseal | None = None) -> Pack:
    """Read an evidence package with its progress rows.

    ``unseal`` is a function that decrypts an encrypted package. Raises EvidenceError if the package is incomplete, or
    if the files that are read were changed. ``verify_pack`` checks all files.
    """
    stored = StoredPack.open(folder, unseal)
    if stored.manifest.pseudonymised:
        raise EvidenceError(
            f"{stored.folder} is pseudonymised, so progress cannot be read from it by user id."
        )
    items = list(stored.lines("rows.jsonl"))
    found = [codec.structure_kept(item, ProgressRow) for item in items]
    rows = {(row.course_id, row.user_id): row for row in found}
    missing = _missing_lessons(stored, dict(zip(rows, items, strict=True)))
    return Pack(stored.folder, stored.manifest, stored.manifest_sha256, rows, missing)


@frozen
class StoredPack:
    """The files of a whole pack, read as its manifest describes them."""

    folder: Path
    manifest: Manifest
    manifest_sha256: str
    unseal: Unseal | None = None
    """The function that opens sealed files."""

    @classmethod
    def open(cls, folder: str | os.PathLike[str], unseal: Unseal | None = None) -> StoredPack:
        """Read the manifest; the other files are read on demand. Raises EvidenceError if it is not a whole pack."""
        path = Path(folder)
        data = manifest_bytes(path)
        return cls(path, parse_manifest(data, path), checksum_of(data).sha256, unseal)

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """Return the objects in a JSONL file, which must be what the manifest says."""
        for line in self.content(name).splitlines():
            item: dict[str, Any] = json.loads(line)
            yield item

    def table(self, name: str) -> Iterator[dict[str, Any]]:
        """Return the items of a table; a table without items may have no file."""
        if name in ALWAYS or self.manifest.stored(f"{name}.jsonl") in self.manifest.files:
            yield from self.lines(f"{name}.jsonl")

    def content(self, name: str) -> bytes:
        """Return a file in clear. Raises EvidenceError unless it is what the manifest says."""
        stored = self.manifest.stored(name)
        mark = self.manifest.files.get(stored)
        if mark is None:
            raise EvidenceError(f"{self.folder} has no {stored}.")
        path = self.folder / stored
        try:
            data = regular_file(path).read_bytes()
        except OSError as error:
            raise EvidenceError(f"Cannot read {path}: {error.strerror or error}.") from error
        _check(data, mark, path)
        if mark.plain is None:
            return data
        if self.unseal is None:
            raise EvidenceError(f"{self.folder} is sealed.", remedy=UNSEAL)
        try:
            plain = self.unseal(data)
        except Exception as error:
            raise EvidenceError(f"The unseal hook failed for {path}: {sentence_of(error)}") from error
        _check(plain, mark.plain, path)
        return plain


def _missing_lessons(
    stored: StoredPack, rows: Mapping[tuple[str, str], Mapping[str, Any]]
) -> tuple[tuple[str, str], ...]:
    """Return course and user of each target whose lessons are missing in a pack."""
    if not stored.manifest.missing_lessons:
        return ()
    tally = LessonTally()
    for key, row in rows.items():
        tally.add_row(key, row)
    for lesson in stored.lines("lessons.jsonl"):
        tally.add_lesson((value_in(lesson, "course_id"), value_in(lesson, "user_id")), lesson)
    return tuple(tally.missing)


def regular_file(path: Path) -> Path:
    """Return the path. Raises OSError if it is not a regular file, such as a symbolic link."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(f"{path} is not a regular file")
    return path


def _check(data: bytes, mark: Checksum, path: Path) -> None:
    found = checksum_of(data)
    if (found.sha256, found.bytes) != (mark.sha256, mark.bytes):
        raise EvidenceError(
            f"{path} is not what was written. Do not change it; restore a copy.",
            reason="EVIDENCE_CHANGED",
        )
