"""Input files of commands, and what they write: new files that only their owner can read."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

from training_sdk.errors import InvalidArgumentError
from training_sdk.records import disk
from training_sdk.records.disk import read_input

LARGEST = 64 * 1024 * 1024


def read_lines(path: Path, what: str) -> list[str]:
    """The lines of an input file in UTF-8, read once and bounded; a pipe such as ``<(…)`` is one.

    Raises InvalidArgumentError if it cannot be read; ``what`` is it, for the message.
    """
    try:
        content = read_input(path, LARGEST)
        if len(content) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST // 1024**2} MiB")
        return [*StringIO(content.decode("utf-8-sig"), newline=None)]
    except UnicodeDecodeError:
        raise InvalidArgumentError(f"{what} {path} cannot be read: it is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidArgumentError(f"{what} {path} cannot be read: {why}") from None


def is_pipe(path: Path) -> bool:
    """Whether this is a pipe or a device, which holds nothing any more once it was read."""
    return path.exists() and not path.is_file() and not path.is_dir()


def write_new(path: Path, content: str | bytes, what: str) -> None:
    """Write a new file, whole or not at all. Raises InvalidArgumentError if it exists or cannot be written."""
    refuse_existing(path, what)
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    disk.write_new(path, data, what)


def refuse_existing(path: Path | None, what: str) -> None:
    """Say that a new file cannot stand there before the work is done, and not after it."""
    if path is None:
        return
    if os.path.lexists(path):
        raise InvalidArgumentError(f"{path} exists, and {what} is never written over another file")
    if not path.parent.is_dir():
        raise InvalidArgumentError(
            f"{what} cannot be written to {path}: the directory {path.parent} does not exist. Make it first"
        )
