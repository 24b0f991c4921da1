"""Append-only files of JSON lines, and their hash chain: each entry holds the hash of the one before."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from attrs import define, field, frozen

from training_sdk._core.text import sentence
from training_sdk.errors import InvalidArgumentError, RecordsDamagedError, RecordsError, RecordsLockedError
from training_sdk.records import storage
from training_sdk.records.storage import locked

log = logging.getLogger("training_sdk")

BLOCK = 65_536


@define
class Lines:
    """An append-only file of JSON lines with one writer at a time.

    A line is on the disk when ``append`` returns, and survives a crash. A line that a crash cut short (without its
    newline) counts as not written: readers skip it, and the next writer removes it and logs a warning. Anything else
    that is not as written raises RecordsDamagedError.
    """

    path: Path
    wait: float = 0.0
    """Seconds to wait for another writer before RecordsLockedError."""
    _file: int | None = field(default=None, init=False)
    _length: int = field(default=0, init=False)
    _process: int = field(factory=os.getpid, init=False)

    @property
    def length(self) -> int:
        """The number of bytes that this writer has found and acknowledged."""
        return self._length

    def raw(self) -> Iterator[tuple[int, bytes]]:
        """Return the complete lines as bytes, newline included, and their numbers from 1."""
        with suppress(FileNotFoundError), _reading(self.path), self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield number, line

    def read(self) -> tuple[dict[str, Any], ...]:
        """Return all entries of the file; none if it does not exist yet."""
        return tuple(decode_line(line, self.path, number) for number, line in self.raw())

    def last(self) -> tuple[int, bytes] | None:
        """Return the byte at which the last whole line begins, and that line, without reading what is before it."""
        with suppress(FileNotFoundError), _reading(self.path), self.path.open("rb") as file:
            end = _end_of_lines(file.fileno())
            if end:
                start = _after_newline(file.fileno(), end - 1)
                return start, _block(file.fileno(), start, end)
        return None

    def torn(self) -> int:
        """Return the number of bytes after the last complete line: the rest of a write that a crash interrupted."""
        with suppress(FileNotFoundError), _reading(self.path), self.path.open("rb") as file:
            return os.fstat(file.fileno()).st_size - _end_of_lines(file.fileno())
        return 0

    @contextmanager
    def writing(self) -> Iterator[Self]:
        """Be the only writer while the block runs."""
        with locked(self.path, self.wait):
            with storage.writing(self.path):
                self._file, self._process = self._open(), os.getpid()
            try:
                yield self
            finally:
                file, self._file = self._file, None
                os.close(file)

    def check_process(self) -> None:
        """Raise RecordsLockedError in a process that was forked from the writer; the writer continues to write."""
        if self._process != os.getpid():
            raise RecordsLockedError(
                f"{self.path} is being written by process {self._process}, from which this one was forked. Nothing was "
                "written or sent here. Continue in that process only."
            )

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add one line; it is on the disk when this returns. Outside of ``writing()`` it takes the lock for itself.

        Raises RecordsUnwritableError if the system refuses; the file is then unchanged.
        """
        line = encode_line(entry)
        if self._file is not None:
            self._append(self._file, line)
            return
        with self.writing():
            self.append(entry)

    def _append(self, file: int, line: bytes) -> None:
        size = len(line)
        self.check_process()
        with storage.writing(self.path):
            if os.fstat(file).st_size != self._length:
                raise RecordsDamagedError(
                    f"{self.path} was modified by another process. Nothing was added. Open it again."
                )
            try:
                storage.write_all(file, line)
                storage.sync(file)
                self._length += size
            except BaseException:  # Ctrl-C too: what was not acknowledged must not stay in the file
                with suppress(OSError):
                    os.ftruncate(file, self._length)
                    storage.sync(file)
                raise

    def _open(self) -> int:
        file = storage.open_private(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            self._length = _end_of_lines(file)
            torn = os.fstat(file).st_size - self._length
            if torn:
                os.ftruncate(file, self._length)
                storage.sync(file)
                log.warning(
                    "In %s, %d bytes of a line were removed, because its writing was interrupted.",
                    self.path,
                    torn,
                )
            if not self._length:  # it may be new, or its maker died before this
                storage.sync_folder(self.path.parent)
        except BaseException:
            os.close(file)
            raise
        return file


def encode_line(entry: Mapping[str, Any]) -> bytes:
    """Return one line: canonical JSON (keys in order, no spaces, ASCII) and a newline."""
    return canonical(entry) + b"\n"


def canonical(value: Any) -> bytes:
    """Return the only serialization of a value: the bytes that are hashed are the bytes in the file."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"The entry must be plain JSON: {sentence(str(error))} Nothing was written."
        ) from None
    return text.encode("ascii")


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Return the object in a line, or None if there is none."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if type(entry) is dict else None


def decode_line(line: bytes, path: Path, number: int) -> dict[str, Any]:
    """Return the object in a line. Raises RecordsDamagedError, naming the place."""
    entry = parse_line(line)
    if entry is None:
        raise damaged_line(path, number, "it has no JSON object")
    return entry


def damaged_line(path: Path, number: int, why: str) -> RecordsDamagedError:
    """Return the error for a line that is not what was written."""
    return RecordsDamagedError(
        f"{path}, line {number}, is not what was written: {why}. Do not change the file; restore a copy."
    )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RecordsError(f"Cannot read {path}: {error.strerror or error}.") from error


def _end_of_lines(file: int) -> int:
    return _after_newline(file, os.fstat(file).st_size)


def _after_newline(file: int, end: int) -> int:
    """Return where the line begins that continues at ``end``: after the newline before it, or at 0."""
    while end:
        start = max(0, end - BLOCK)
        newline = _block(file, start, end).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _block(file: int, start: int, end: int) -> bytes:
    os.lseek(file, start, os.SEEK_SET)
    return b"".join(iter(lambda: os.read(file, end - os.lseek(file, 0, os.SEEK_CUR)), b""))


RESERVED = ("n", "prev", "hash")
ALTERED = "it was altered: its hash does not fit its content"


@frozen
class Head:
    """The end of a chain: the number of its last entry and that entry's SHA-256 in hex."""

    n: int
    hash: str


START = Head(0, "0" * 64)
"""The head of a chain that has no entry yet."""


@frozen
class Link:
    """One line of a chain: its entry, if it can be read, and its fault."""

    line: int
    entry: Mapping[str, Any] | None
    fault: str | None


def next_entry(facts: Mapping[str, Any], after: Head) -> dict[str, Any]:
    """Return the entry with these facts that follows that head."""
    taken = [name for name in RESERVED if name in facts]
    if taken:
        raise InvalidArgumentError(f"{', '.join(taken)} must not be in an entry: the chain sets it.")
    entry = {**facts, "n": after.n + 1, "prev": after.hash}
    return {**entry, "hash": _digest(entry)}


def head_of(entry: Mapping[str, Any]) -> Head:
    """Return the head of a chain that ends with this entry."""
    return Head(entry["n"], entry["hash"])


def check_chain(lines: Iterable[tuple[int, bytes]]) -> Iterator[Link]:
    """Return every line of a chain with its fault; after a fault, checking continues from the line's own number."""
    before: Head | None = START
    for number, line in lines:
        entry = intact_entry(line)
        if entry is None:
            yield Link(number, parse_line(line), ALTERED)
            before = None  # what follows an altered line cannot be compared with it
            continue
        yield Link(number, entry, _misplaced(entry, before))
        before = head_of(entry)


def intact_entry(line: bytes) -> dict[str, Any] | None:
    """Return the entry in a line if it is, byte for byte, what was written; else None."""
    entry = parse_line(line)
    if entry is None or type(entry.get("n")) is not int or type(entry.get("prev")) is not str:
        return None
    unhashed = {key: value for key, value in entry.items() if key != "hash"}
    return entry if encode_line(entry) == line and entry.get("hash") == _digest(unhashed) else None


def _misplaced(entry: Mapping[str, Any], before: Head | None) -> str | None:
    if before is None or (entry["n"], entry["prev"]) == (before.n + 1, before.hash):
        return None
    if entry["n"] > before.n + 1:
        return f"lines are missing before it: {before.n + 1} to {entry['n'] - 1}"
    if entry["n"] <= before.n:
        return f"it is out of order: it has number {entry['n']}, and the line before it has {before.n}"
    return "it does not follow the line before it: one of the two is not the original"


def _digest(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(entry)).hexdigest()
