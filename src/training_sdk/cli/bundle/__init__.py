"""One zip with all records of a reset on this machine, for an auditor who has no access to the machine.

Files are copied as they are stored: encrypted files stay encrypted, and purged files are not included. The zip also
contains the files that ``sha256sum`` and ``ssh-keygen`` need, and a page that explains how to verify it.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
from datetime import datetime
from pathlib import Path
from typing import IO

from attrs import frozen

from training_sdk._core import argument_checks
from training_sdk.cli.bundle.contents import BundleFinding, Contents, Item, blocks_of
from training_sdk.errors import RecordsLockedError
from training_sdk.evidence.files import checksum_of_stream
from training_sdk.plans.wording import short_digest
from training_sdk.records import storage
from training_sdk.records.chain import Head
from training_sdk.records.journal import FILE
from training_sdk.records.state import StateDirectory

PAGE, SUMS = "VERIFY.txt", "SHA256SUMS"
WHAT = "a bundle"
_FILE, _FOLDER = (stat.S_IFREG | 0o600) << 16, (stat.S_IFDIR | 0o700) << 16


@frozen
class Bundle:
    """A bundle that was written."""

    path: Path
    sha256: str
    head: Head
    """Head of the audit log at the time when the bundle was made."""
    files: int
    findings: tuple[BundleFinding, ...]


def write_bundle(
    state: StateDirectory,
    folder: Path,
    target: Path,
    now: datetime,
    *,
    signers: Path | None = None,
    usual_signers: Path | None = None,
    with_evidence: bool = True,
) -> Bundle:
    """Write the records of the plan in this folder to a new zip with mode 0600. No partial file is left after an error.

    ``signers``: the file of allowed signers to include. Without it, ``usual_signers`` is included if it can be used.
    Records with faults are included too, and the faults are named.

    Raises RecordsLockedError while the plan is being applied, ApprovalError for a file of signers that others can
    change, RecordsError for records that cannot be read, InvalidArgumentError if the file exists or cannot be
    written.
    """
    contents = Contents(state, folder, now, with_evidence)
    _refuse_applying(folder)
    contents.gather(signers or usual_signers, is_chosen=signers is not None)
    _refuse_applying(folder)  # it may have begun meanwhile
    with storage.new_file(target, WHAT) as file:
        files = _write(file, contents)
        file.seek(0)
        sha256 = checksum_of_stream(file).sha256
    return Bundle(target, sha256, contents.head, files, tuple(contents.findings))


def _refuse_applying(folder: Path) -> None:
    if holder := storage.holder_of(folder / FILE):
        raise RecordsLockedError(
            f"Plan #{short_digest(folder.name)} is being applied by {holder}, so its records are not complete yet. No "
            "bundle was written. Wait until that process has ended."
        )


def _write(file: IO[bytes], contents: Contents) -> int:
    """Write the zip: the page, the files, then the SHA-256 of each. Return the number of files."""
    top = f"reset-{short_digest(contents.digest)}"
    sums: list[str] = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        items = [Item(PAGE, contents.page().encode("utf-8", "replace")), *contents.items]
        for folder in sorted({parent for item in items for parent in _parents(f"{top}/{item.name}")}):
            made = _entry(f"{folder}/", contents.now, _FOLDER)
            archive.writestr(made, b"")
        for item in items:
            blocks = [item.content] if isinstance(item.content, bytes) else blocks_of(item.content)
            digest = hashlib.sha256()
            entry = _entry(f"{top}/{item.name}", contents.now, _FILE)
            with archive.open(entry, "w", force_zip64=isinstance(item.content, Path)) as member:
                for block in blocks:
                    digest.update(block)
                    member.write(block)
            sums.append(f"{digest.hexdigest()}  {item.name}\n")
        archive.writestr(_entry(f"{top}/{SUMS}", contents.now, _FILE), "".join(sorted(sums, key=_by_name)))
    return len(items) + 1


def _by_name(line: str) -> str:
    return line.partition("  ")[2]


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]


def _entry(name: str, now: datetime, mode: int) -> zipfile.ZipInfo:
    at = argument_checks.in_utc(now)
    entry = zipfile.ZipInfo(name, (at.year, at.month, at.day, at.hour, at.minute, at.second))
    entry.external_attr, entry.compress_type = mode, zipfile.ZIP_DEFLATED
    return entry
