"""Files of one's own: private from their first moment, and on the disk before anybody relies on them."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from training_sdk.errors import InvalidArgumentError, RecordsUnwritableError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
_ALWAYS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into RecordsUnwritableError, naming the path and its cause."""
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise RecordsUnwritableError(
            f"cannot write {path}: {why}. Make room or mend the permissions"
        ) from error


def open_private(path: Path, flags: int) -> int:
    """A file descriptor; a file that this makes is 0600 at once. A symbolic link is not followed (POSIX)."""
    return os.open(path, flags | _ALWAYS, PRIVATE_FILE)


def make_folder(path: Path) -> Path:
    """Make a folder of mode 0700, and what lies above it, unless it is there; its own entry is on the disk then."""
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
    target = Path(path)
    try:
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _ALWAYS, PRIVATE_FILE)
    except FileExistsError:
        raise InvalidArgumentError(
            f"{target} exists; {what} is never written over another file. Choose a new name"
        ) from None
    except OSError as error:
        raise InvalidArgumentError(f"{what} cannot be written to {target}: {error.strerror}") from error
    try:
        try:
            write_all(file, data)
            sync(file)
        finally:
            os.close(file)
    except OSError as error:
        target.unlink()  # half of it is none
        raise InvalidArgumentError(f"{what} cannot be written to {target}: {error.strerror}") from error


def write_whole(path: Path, data: bytes) -> None:
    """Put a whole file in place, 0600: whoever looks sees the old one or the new one, never a part.

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
