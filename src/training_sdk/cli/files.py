"""What commands write: new files that only their owner can read, since they hold names and progress."""

from __future__ import annotations

import os
from pathlib import Path

from training_sdk.errors import InvalidArgumentError


def write_new(path: Path, text: str, what: str) -> None:
    """Write a new file. Raises InvalidArgumentError if it exists or cannot be written."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InvalidArgumentError(f"{path} exists, and {what} is never written over another file") from None
    except FileNotFoundError:
        raise InvalidArgumentError(
            f"{what} cannot be written to {path}: the directory {path.parent} does not exist. Make it first"
        ) from None
    except OSError as error:
        raise InvalidArgumentError(f"{what} cannot be written to {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def refuse_existing(path: Path | None, what: str) -> None:
    """Say that a new file cannot stand there before the work is done, and not after it."""
    if path is None:
        return
    if path.exists():
        raise InvalidArgumentError(f"{path} exists, and {what} is never written over another file")
    if not path.parent.is_dir():
        raise InvalidArgumentError(
            f"{what} cannot be written to {path}: the directory {path.parent} does not exist. Make it first"
        )
