"""Private files: mode 0600 from the start, written whole or not at all, locked among processes, and JSON documents."""

from __future__ import annotations

import errno
import json
import os
import platform
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from filelock import FileLock, Timeout

from training_sdk._core import codec
from training_sdk._core.text import sentence
from training_sdk.errors import (
    DecodingError,
    InvalidArgumentError,
    RecordsDamagedError,
    RecordsError,
    RecordsLockedError,
    RecordsUnwritableError,
)

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
_READING = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
)
PATIENCE_FOR_WRITER = 5.0
"""Seconds to wait for a writer of a pipe."""
_PIECE = 1024 * 1024
"""Bytes read from an input file at once."""
_ALWAYS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


FULL = frozenset({errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""Causes that have nothing to do with the name of a file: full disk, limit or quota reached, failing device."""
OUTPUT_UNWRITABLE = "OUTPUT_UNWRITABLE"
"""Reason: an output could not be written for one of these causes."""


def unwritable(error: OSError, target: Path, what: str, argument: str | None = None) -> InvalidArgumentError:
    """Return the error for an output, named ``what`` in the message, that cannot be written to a place."""
    is_full = error.errno in FULL
    why = error.strerror or error
    todo = (
        "Make room, or choose another disk" if is_full else "Choose another place, or correct the permissions"
    )
    return InvalidArgumentError(
        f"{what[:1].upper()}{what[1:]} cannot be written to {target}: {why}. Nothing is left of it. {todo}.",
        reason=OUTPUT_UNWRITABLE if is_full else None,
        argument=argument,
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into RecordsUnwritableError, naming the path and its cause."""
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise RecordsUnwritableError(
            f"Cannot write {path}: {why}. Make room or correct the permissions."
        ) from error


def open_private(path: Path, flags: int) -> int:
    """Return a file descriptor; a file that this makes is 0600 at once. A symbolic link is not followed (POSIX)."""
    return os.open(path, flags | _ALWAYS, PRIVATE_FILE)


def read_input(path: str | os.PathLike[str], most: int) -> bytes:
    """Return the content of an input file, opened once; a pipe such as ``<(…)`` is one, if a process writes into it.

    More than ``most`` bytes come back from a larger one, and never many more.

    Raises OSError, and ValueError for what cannot be a path.
    """
    descriptor = os.open(path, _READING)
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        parts = [_first_part(descriptor)] if is_pipe else []
        if sys.platform != "win32":
            os.set_blocking(descriptor, True)
        left = most + 1 - sum(map(len, parts))
        while left > 0 and (part := os.read(descriptor, min(left, _PIECE))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _first_part(pipe: int) -> bytes:
    """Return what a pipe holds so far; empty if a writer has opened it and has written nothing yet."""
    deadline = time.monotonic() + PATIENCE_FOR_WRITER
    while time.monotonic() < deadline:
        try:
            if part := os.read(pipe, _PIECE):
                return part
        except BlockingIOError:
            return b""
        time.sleep(0.02)  # no process has opened it for writing
    raise OSError(
        errno.EPIPE, f"it is a pipe into which no program has written for {PATIENCE_FOR_WRITER:g} s"
    )


def read_regular(path: str | os.PathLike[str], most: int) -> tuple[bytes, os.stat_result]:
    """Return the content of a file that is relied on, as ``read_input`` gives it, and the status of that very file.

    Raises OSError, at once, for a pipe or a device: what one reads is gone for the next, and another may be fed.
    """
    descriptor = os.open(path, _READING)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(most + 1), status
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> Path:
    """Make a folder of mode 0700, and its parents, unless it exists; its own entry is on the disk then."""
    with writing(path):
        try:
            path.mkdir(mode=PRIVATE_FOLDER, parents=True)
        except FileExistsError:
            if not path.is_dir():
                raise
        else:
            sync_folder(path.parent)
    return path


def write_all(file: int, data: bytes) -> None:
    """Write everything: where the system takes a part only, the next call tells the true cause."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def sync(file: int) -> None:
    """Return when the file is on the disk, on macOS past the cache of the drive as well."""
    if sys.platform == "darwin":
        import fcntl

        with suppress(OSError):  # network volumes do not know it
            fcntl.fcntl(file, fcntl.F_FULLFSYNC)
            return
    os.fsync(file)


def sync_folder(path: Path) -> None:
    """Return when the names in a folder are on the disk. Windows offers no such thing, and does not need it."""
    if sys.platform != "win32":
        with suppress(PermissionError):  # a folder that may be entered and not listed
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def write_new(path: str | os.PathLike[str], data: bytes, what: str) -> None:
    """Write a file of the user's own naming, 0600, that was not there before; ``what`` is it, for messages.

    Raises InvalidArgumentError if it is there or cannot be written; then nothing is left of it.
    """
    with new_file(path, what) as file:
        file.write(data)


@contextmanager
def new_file(path: str | os.PathLike[str], what: str) -> Iterator[BinaryIO]:
    """Return a file like that of ``write_new``, to be written piece by piece; it has its name once it is whole.

    A process that is killed leaves at most a hidden draft. Raises InvalidArgumentError as ``write_new`` does.
    """
    target = Path(path)
    draft = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        _refuse_existing(target)
        with os.fdopen(open_private(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL), "w+b") as file:
            yield file
            file.flush()
            sync(file.fileno())
        _name_new(draft, target)
        with _removing(target):
            sync_folder(target.parent)
    except FileExistsError:
        raise InvalidArgumentError(
            f"{target} exists, and {what} is never written over another file. Choose a new name."
        ) from None
    except OSError as error:
        raise unwritable(error, target, what) from error
    finally:
        with suppress(OSError):
            draft.unlink()


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))


def _name_new(draft: Path, target: Path) -> None:
    """Give a draft its name. Raises FileExistsError if something has that name, and nothing changes then."""
    if sys.platform == "win32":
        draft.rename(target)
        return
    try:
        os.link(draft, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.close(open_private(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        with _removing(target):
            draft.replace(target)


@contextmanager
def _removing(target: Path) -> Iterator[None]:
    """Remove a new file if the block fails, so that nothing is left of it."""
    try:
        yield
    except OSError:
        with suppress(OSError):
            target.unlink()
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Put a whole file in place, 0600: readers see the old one or the new one, never a part.

    Raises RecordsUnwritableError, and then the old one is still there.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with writing(path):
        try:
            file = open_private(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                write_all(file, data)
                sync(file)
            finally:
                os.close(file)
            draft.replace(path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
        sync_folder(path.parent)


LONGEST_HOLDER = 200
POLL_SECONDS = 0.01

_inherited: list[FileLock] = []
"""Locks of a parent process: releasing or collecting them here would release them there."""


@contextmanager
def locked(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of a file for as long as the block runs; the system frees it if the process dies.

    ``journal.jsonl`` is locked by ``journal.lock``. ``journal.holder`` names the holder, since Windows does not let a
    locked file be read. Raises RecordsLockedError, naming the holder, after ``wait`` seconds (at once by default).
    """
    lock = FileLock(path.with_suffix(".lock"), mode=PRIVATE_FILE, thread_local=False)
    holder, process = path.with_suffix(".holder"), os.getpid()
    with writing(path):
        try:
            lock.acquire(timeout=wait, poll_interval=POLL_SECONDS)
        except Timeout:
            raise RecordsLockedError(
                f"{path} is being written by {_read_holder(holder)}. Nothing was written. Let that process end."
            ) from None
    try:
        with writing(path):
            _write_holder(holder, f"process {os.getpid()} on {platform.node() or 'this machine'}")
        yield
    finally:
        if process == os.getpid():
            try:
                with suppress(OSError):
                    holder.unlink()
            finally:  # an interrupt must not leave this process unable to write the end
                lock.release()
        else:
            _inherited.append(lock)


def holder_of(path: Path) -> str | None:
    """Return the process that holds the lock of a file at the moment, as it calls itself; None if no process does."""
    if not path.with_suffix(".holder").exists():
        return None
    lock = FileLock(path.with_suffix(".lock"), mode=PRIVATE_FILE, thread_local=False)
    with writing(path):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return _read_holder(path.with_suffix(".holder"))
    lock.release()  # a crash has left the name behind
    return None


def _write_holder(holder: Path, text: str) -> None:
    file = open_private(holder, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        write_all(file, text.encode())
    finally:
        os.close(file)


def _read_holder(holder: Path) -> str:
    text = ""
    with suppress(OSError), holder.open("rb") as file:
        text = file.read(LONGEST_HOLDER).decode("utf-8", "replace")
    return "".join(filter(str.isprintable, text)) or "another process"


T = TypeVar("T")


def document_bytes(value: Any) -> bytes:
    """Return a value of an attrs class as the bytes of its file."""
    return (json.dumps(codec.plain(value), indent=1, sort_keys=True) + "\n").encode("ascii")


def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs. A repeated name is refused: two readers could take different values."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is repeated")
    return found


def write_document(path: Path, value: Any) -> None:
    """Keep a value, in the place of an earlier one. Raises RecordsUnwritableError."""
    write_whole(path, document_bytes(value))


def read_document(path: Path, shape: type[T]) -> T | None:
    """Return the stored value, None if there is none. Raises RecordsDamagedError if it is not what was written."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordsError(f"Cannot read {path}: {error.strerror or error}.") from error
    try:
        return codec.structure_value(json.loads(content), shape)
    except (ValueError, RecursionError, DecodingError) as error:
        raise RecordsDamagedError(sentence(f"{path} is not what was written: {error}")) from None
