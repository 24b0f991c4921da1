"""Single values kept as readable JSON files: written whole or not at all, and read back strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from training_sdk._core import codec
from training_sdk.errors import DecodingError, RecordsDamagedError, RecordsError
from training_sdk.records import disk

T = TypeVar("T")


def dumps(value: Any) -> bytes:
    """A value of an attrs class as the bytes of its file."""
    return (json.dumps(codec.plain(value), indent=1, sort_keys=True) + "\n").encode("ascii")


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An ``object_pairs_hook`` for JSON that refuses a repeated name: two readers could take different values."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def put(path: Path, value: Any) -> None:
    """Keep a value, in the place of an earlier one. Raises RecordsUnwritableError."""
    disk.write_whole(path, dumps(value))


def get(path: Path, shape: type[T]) -> T | None:
    """The value that is kept there, None if there is none. Raises RecordsDamagedError if it is not what was written."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordsError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        return codec.structure_value(json.loads(content), shape)
    except (ValueError, RecursionError, DecodingError) as error:
        raise RecordsDamagedError(f"{path} is not what was written: {error}") from None
