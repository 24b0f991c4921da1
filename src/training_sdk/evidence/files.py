"""The files of a pack while they are written: private, counted and hashed as they grow, and on the disk at the end."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

from attrs import frozen

from training_sdk.errors import EvidenceError, Remedy
from training_sdk.records import storage

Seal: TypeAlias = Callable[[bytes], bytes]
"""Turns the bytes of one file into others, which are kept in their place: encrypts them."""
Unseal: TypeAlias = Callable[[bytes], bytes]
"""The way back."""

SEALED = ".sealed"
UNSEAL = Remedy("unseal", "Pass unseal=, the hook that opens what the seal hook closed.")
BLOCK = 1 << 18


@frozen
class Checksum:
    """SHA-256 of a file in hexadecimal digits, and its size in bytes."""

    sha256: str
    bytes: int


@frozen
class FileChecksum(Checksum):
    """The checksum of a file of a pack; ``plain`` is that of the bytes before they were sealed."""

    plain: Checksum | None = None


class Sink(Protocol):
    """A target for bytes until it is finished."""

    def write(self, data: bytes, /) -> None:
        """Add to the end."""

    def finish(self) -> FileChecksum:
        """Finish the file and return its checksum; it is on the disk then."""

    def close(self) -> None:
        """Close the file, finished or not."""


class Digest:
    """A sink that stores only the checksum."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes, /) -> None:
        """Count and hash."""
        self._hash.update(data)
        self._size += len(data)

    def finish(self) -> FileChecksum:
        """Return the checksum of everything written."""
        return FileChecksum(self._hash.hexdigest(), self._size)

    def close(self) -> None:
        """Do nothing: there is no file."""


class NewFile:
    """A new file of mode 0600, written in large pieces."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = Digest()
        self._waiting = bytearray()
        with storage.writing(path):
            self._file: int | None = storage.open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def write(self, data: bytes, /) -> None:
        """Add to the end. Raises RecordsUnwritableError."""
        self._digest.write(data)
        self._waiting += data
        if len(self._waiting) >= BLOCK:
            self._flush()

    def finish(self) -> FileChecksum:
        """Return when all of it is on the disk."""
        self._flush()
        with storage.writing(self._path):
            storage.sync(self._open())
        self.close()
        return self._digest.finish()

    def close(self) -> None:
        """Close the file; what is not written yet is lost."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _flush(self) -> None:
        with storage.writing(self._path):
            storage.write_all(self._open(), bytes(self._waiting))
        self._waiting.clear()

    def _open(self) -> int:
        if self._file is None:
            raise EvidenceError(f"{self._path} is closed: nothing can be added to it.")
        return self._file


class SealedFile:
    """A file whose bytes stay in memory until they are sealed, so that they are never on the disk in clear."""

    def __init__(self, path: Path, seal: Seal) -> None:
        self._path = path
        self._seal = seal
        self._waiting = bytearray()

    def write(self, data: bytes, /) -> None:
        """Add to the end."""
        self._waiting += data

    def finish(self) -> FileChecksum:
        """Seal all of it and return when that is on the disk."""
        plain = bytes(self._waiting)
        self.close()
        kept = sealed(plain, self._seal, self._path)
        file = NewFile(self._path)
        try:
            file.write(kept)
            mark = file.finish()
        finally:
            file.close()
        return FileChecksum(mark.sha256, mark.bytes, checksum_of(plain))

    def close(self) -> None:
        """Discard the bytes in memory."""
        self._waiting = bytearray()


def checksum_of(data: bytes) -> Checksum:
    """Return the checksum of these bytes."""
    return Checksum(hashlib.sha256(data).hexdigest(), len(data))


def checksum_of_file(path: Path) -> Checksum:
    """Return the checksum of a file, read piece by piece. Raises OSError."""
    with path.open("rb") as file:
        return checksum_of_stream(file)


def checksum_of_stream(file: BinaryIO) -> Checksum:
    """Return the checksum of the rest of an open file."""
    digest = Digest()
    while block := file.read(BLOCK):
        digest.write(block)
    found = digest.finish()
    return Checksum(found.sha256, found.bytes)


def sealed(plain: bytes, seal: Seal, path: Path) -> bytes:
    """Return the bytes that a seal hook makes of a file's. Raises EvidenceError if it fails, or does not seal."""
    try:
        kept = seal(plain)
    except Exception as error:
        raise EvidenceError(
            f"The seal hook failed for {path.name} ({type(error).__name__}: {error}), so the evidence is not "
            "complete and nothing was sent. Fix the hook and apply again.",
            reason="EVIDENCE_NOT_SEALED",
        ) from error
    if type(kept) is not bytes or not kept or kept == plain:
        raise EvidenceError(
            f"The seal hook must return the sealed bytes of {path.name}, not {_instead(kept)}. Nothing was sent.",
            reason="EVIDENCE_NOT_SEALED",
        )
    return kept


def _instead(sealed: object) -> str:
    if type(sealed) is not bytes:
        return type(sealed).__name__
    return "the same bytes" if sealed else "no bytes"
