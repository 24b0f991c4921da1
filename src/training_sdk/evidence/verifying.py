"""Verifying a pack, years later and without a client: are all files there and unchanged?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from attrs import frozen

from training_sdk._core.text import number, visible
from training_sdk.errors import EvidenceError
from training_sdk.evidence.answers import FORM, NAMES, SURVEYS, tables_of
from training_sdk.evidence.files import Checksum, Digest, Unseal, checksum_of, checksum_of_file
from training_sdk.evidence.pack import (
    INDEX,
    MANIFEST,
    RAW,
    TARGETS,
    Manifest,
    StoredPack,
    manifest_bytes,
    parse_manifest,
    regular_file,
    utc_text,
)
from training_sdk.evidence.tables import Tables, Targets
from training_sdk.evidence.writing import counted


class FindingKind(StrEnum):
    """The kind of a finding about a pack."""

    INCOMPLETE = "incomplete"
    MANIFEST_CHANGED = "manifest changed"
    MISSING = "file missing"
    EXTRA = "extra file"
    CHANGED = "file changed"
    CONTRADICTION = "contradiction"


@frozen
class PackFinding:
    """One difference between a package and the state in which it was written."""

    kind: FindingKind
    file: str
    """The path of the file within the package."""
    message: str

    def __str__(self) -> str:
        return visible(f"{self.file}: {self.message}")


Finding = PackFinding
"""The earlier name of ``PackFinding``."""


def verify_pack(
    folder: str | os.PathLike[str], *, manifest_sha256: str | None = None, unseal: Unseal | None = None
) -> tuple[PackFinding, ...]:
    """Compare an evidence package with its manifest, and return each difference. The result is empty if all is intact.

    The tables are derived again from the raw answers and compared.

    Arguments:

    - ``folder``: The folder of the package.
    - ``manifest_sha256``: The SHA-256 of the manifest, as the audit log has it. Without it, the function cannot notice
      that a person rewrote the manifest together with the files.
    - ``unseal``: A function that decrypts an encrypted package. Without it, only the encrypted bytes are checked.
    """
    return tuple(_findings(Path(folder), manifest_sha256, unseal))


def _findings(folder: Path, expected: str | None, unseal: Unseal | None) -> Iterator[PackFinding]:
    try:
        data = manifest_bytes(folder)
    except EvidenceError as error:
        yield PackFinding(FindingKind.INCOMPLETE, MANIFEST, error.message)
        return
    if expected is not None and checksum_of(data).sha256 != expected:
        yield PackFinding(FindingKind.MANIFEST_CHANGED, MANIFEST, "its SHA-256 differs from the given one")
    try:
        manifest = parse_manifest(data, folder)
    except EvidenceError as error:
        yield PackFinding(FindingKind.MANIFEST_CHANGED, MANIFEST, error.message)
        return
    intact = True
    for finding in _files(folder, manifest):
        intact = False
        yield finding
    if intact and (unseal or not manifest.sealed):
        yield from _contents(StoredPack(folder, manifest, checksum_of(data).sha256, unseal))


def _files(folder: Path, manifest: Manifest) -> Iterator[PackFinding]:
    """Find files that are missing, changed, or not listed."""
    there = set(_names(folder))
    for name, mark in manifest.files.items():
        if name not in there:
            yield PackFinding(FindingKind.MISSING, name, "it is listed in the manifest, but it is missing")
            continue
        try:
            found = checksum_of_file(regular_file(folder / name))
        except OSError as error:
            yield PackFinding(FindingKind.CHANGED, name, f"it cannot be read: {error.strerror or error}")
            continue
        if found != Checksum(mark.sha256, mark.bytes):
            yield PackFinding(FindingKind.CHANGED, name, _difference(mark, found))
    for name in sorted(there - manifest.files.keys() - {MANIFEST}):
        yield PackFinding(FindingKind.EXTRA, name, "it is not listed in the manifest")


def _names(folder: Path) -> Iterator[str]:
    """Return the names of everything in a pack except the folder of the answers; links are not followed."""
    for place, folders, files in os.walk(folder):
        inside = Path(place).relative_to(folder)
        for name in folders:
            if (inside / name).as_posix() != RAW or (folder / inside / name).is_symlink():
                yield (inside / name).as_posix()
        for name in files:
            yield (inside / name).as_posix()


def _difference(mark: Checksum, found: Checksum) -> str:
    if found.bytes != mark.bytes:
        return f"it has {found.bytes} bytes, but was written with {mark.bytes}"
    return "its content differs from the content that was written"


def _contents(stored: StoredPack) -> Iterator[PackFinding]:
    """Compare the files with each other. A pack that was written by hand may hold anything."""
    manifest = stored.manifest
    try:
        targets = _targets(stored)
        tables = Tables(targets, lambda name: Digest(), manifest.tables_form)
        tables.begin()
        if manifest.pseudonymised:
            _fill_from_lines(tables, stored)
            counts = {**tables.counts, **counted(targets), "answers": 0}
        else:
            times: list[str] = []
            yield from _answers(tables, stored, times)
            tables.derive_lessons()
            counts = {**tables.counts, **counted(targets), "answers": len(times)}
            yield from _missing(tables)
            yield from _short(tables, manifest)
        yield from _tables(tables, manifest)
        if counts != manifest.counts:
            yield _contradiction(MANIFEST, f"it counts {manifest.counts}, but the files contain {counts}")
    except EvidenceError as error:
        yield _contradiction(MANIFEST, error.message)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        yield _contradiction(MANIFEST, f"the files it lists cannot be read ({type(error).__name__}: {error})")


def _targets(stored: StoredPack) -> Targets:
    found: dict[str, set[str]] = {}
    for line in stored.lines(TARGETS):
        found.setdefault(line["course_id"], set()).add(line["user_id"])
    return {course_id: frozenset(users) for course_id, users in found.items()}


def _answers(tables: Tables, stored: StoredPack, found: list[str]) -> Iterator[PackFinding]:
    """Check each answer against its line of the index, and add it to the tables and its time to ``found``.

    The lines have to cover every file of answers from its first byte to its last, in order.
    """
    manifest = stored.manifest
    left, segment, file = _raw(manifest), b"", ""
    end = 0
    whole = True
    for entry in stored.lines(INDEX):
        if entry["file"] != file:
            whole = whole and end == len(segment) and left[:1] == [manifest.stored(entry["file"])]
            file, end, left = entry["file"], 0, left[1:]
            segment = stored.content(file)
        body = segment[end : end + entry["bytes"]]
        if entry["offset"] != end or checksum_of(body) != Checksum(entry["sha256"], entry["bytes"]):
            yield _contradiction(INDEX, f"its entry for byte {end} of {file} does not fit the content there")
            return
        end += len(body)
        tables.add(entry["target"], body, entry.get("cut", 0))
        found.append(entry["read_at"])
    if left or not whole or end != len(segment):
        yield _contradiction(INDEX, "it does not list each answer once")
    read_at = (utc_text(manifest.read_at.first), utc_text(manifest.read_at.last))
    if not found or (found[0], found[-1]) != read_at:
        yield _contradiction(MANIFEST, "read_at differs from the times of the answers in the index")


def _fill_from_lines(tables: Tables, stored: StoredPack) -> None:
    for table in tables_of(stored.manifest.tables_form):
        tables.write(table, list(stored.table(table.name)))


def _missing(tables: Tables) -> Iterator[PackFinding]:
    for course_id, user_id in tables.missing():
        yield _contradiction(
            "rows.jsonl", f"user {user_id!r} is a target in course {course_id!r}, but has no row"
        )


def _short(tables: Tables, manifest: Manifest) -> Iterator[PackFinding]:
    """Find what the answers lack by their own counts. Older packs were not checked for it when they were written."""
    if manifest.missing_lessons is None:
        return
    tables.listings.end()
    missing = [f"the statistics lack course {course_id!r}" for course_id in tables.courses_missing()]
    for problem in (*tables.listings.short, *missing):
        yield _contradiction(INDEX, problem)
    if (found := len(tables.lessons.missing)) != manifest.missing_lessons:
        yield _contradiction(
            MANIFEST,
            f"it counts {number(manifest.missing_lessons, 'target')} with missing lessons, but the files show {found}",
        )
    if manifest.lessons_by_page != (tables.by_page if manifest.tables_form >= FORM else None):
        yield _contradiction(
            MANIFEST,
            f"it counts {number(manifest.lessons_by_page or 0, 'target')} whose lessons were read by page, but the "
            f"pages cover {tables.by_page}",
        )
    if manifest.not_read is not None and SURVEYS not in manifest.not_read:
        for course_id in sorted(tables.targets.keys() - tables.surveyed):
            yield _contradiction(INDEX, f"the survey answers of course {course_id!r} are missing")


def _tables(tables: Tables, manifest: Manifest) -> Iterator[PackFinding]:
    found = tables.finish()
    names = (f"{name}.{kind}" for name in NAMES for kind in ("jsonl", "csv"))
    for name in names:
        if name not in found and manifest.stored(name) in manifest.files:
            yield _contradiction(manifest.stored(name), "the answers contain nothing of this kind")
    for name, derived in found.items():
        stored = manifest.files.get(manifest.stored(name))
        mark = stored and (stored.plain or Checksum(stored.sha256, stored.bytes))
        if mark != Checksum(derived.sha256, derived.bytes):
            yield _contradiction(
                manifest.stored(name), "it differs from the table that is derived from the answers again"
            )


def _raw(manifest: Manifest) -> list[str]:
    index = manifest.stored(INDEX)
    return sorted(name for name in manifest.files if name.startswith(f"{RAW}/") and name != index)


def _contradiction(file: str, message: str) -> PackFinding:
    return PackFinding(FindingKind.CONTRADICTION, file, message)
