"""One writer at a time: a lock among processes that says who holds it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from training_sdk.errors import RecordsLockedError
from training_sdk.records import disk

LONGEST_HOLDER = 200
POLL_SECONDS = 0.01

_inherited: list[FileLock] = []
"""Locks of a parent process: releasing or collecting them here would release them there."""


@contextmanager
def held(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of a file for as long as the block runs; the system frees it if the process dies.

    ``journal.jsonl`` is locked by ``journal.lock``. Beside it stands ``journal.holder``, since Windows lets nobody
    read what is locked. Raises RecordsLockedError, naming the holder, after ``wait`` seconds (at once by default).
    """
    lock = FileLock(path.with_suffix(".lock"), mode=disk.PRIVATE_FILE, thread_local=False)
    holder, process = path.with_suffix(".holder"), os.getpid()
    with disk.writing(path):
        try:
            lock.acquire(timeout=wait, poll_interval=POLL_SECONDS)
        except Timeout:
            raise RecordsLockedError(
                f"{path} is being written by {_read(holder)}. Let it end; nothing was written"
            ) from None
    try:
        with disk.writing(path):
            _write(holder, f"process {os.getpid()} on {platform.node() or 'this machine'}")
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
    """The process that holds the lock of a file at the moment, as it calls itself; None if no process does."""
    if not path.with_suffix(".holder").exists():
        return None
    lock = FileLock(path.with_suffix(".lock"), mode=disk.PRIVATE_FILE, thread_local=False)
    with disk.writing(path):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return _read(path.with_suffix(".holder"))
    lock.release()  # a crash has left the name behind
    return None


def _write(holder: Path, text: str) -> None:
    file = disk.open_private(holder, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        disk.write_all(file, text.encode())
    finally:
        os.close(file)


def _read(holder: Path) -> str:
    text = ""
    with suppress(OSError), holder.open("rb") as file:
        text = file.read(LONGEST_HOLDER).decode("utf-8", "replace")
    return "".join(filter(str.isprintable, text)) or "another process"
