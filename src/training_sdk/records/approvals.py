"""Copies of approvals in the folder of their plan, with the approvers' names, which no append-only record has.

Where evidence is sealed they are sealed too, with an outline in clear that has no name.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from training_sdk.records import storage

STEM, SEALED, OUTLINE = "approval", ".sealed", ".outline.json"
FORM = 1
"""The form of an outline."""
Seal: TypeAlias = Callable[[bytes, Path], bytes]
"""Returns the sealed bytes of a file, whose path is for messages."""
Unseal: TypeAlias = Callable[[bytes], bytes]
Named: TypeAlias = Mapping[tuple[str, str], str]
"""Names of approvers by user id and the time of the approval in ISO 8601."""


def keep(
    folder: Path, content: bytes, seal: Seal | None = None, quoted: Mapping[str, str] | None = None
) -> None:
    """Store an approval, signature included, in the folder of its plan; an earlier one that differs stays.

    ``quoted`` are the approvals of the plan in the audit log, the SHA-256 of each with that of its outline: they
    identify a sealed approval, which cannot be read.
    """
    if _is_sealed_there(folder, content, quoted or {}):
        return
    for number in itertools.count(1):
        path = folder / (f"{STEM}.json" if number == 1 else f"{STEM}-{number}.json")
        if path.exists():
            if path.read_bytes() == content:
                return
        elif not _sealed(path).exists():
            break
    if seal is None:
        storage.write_whole(path, content)
    else:
        _write_sealed(path, content, seal)


def _is_sealed_there(folder: Path, content: bytes, quoted: Mapping[str, str]) -> bool:
    """Return whether this approval, and each other one with the same outline, is in the folder, sealed."""
    outline = hashlib.sha256(outline_of(content)).hexdigest()
    alike = {approval for approval, its_outline in quoted.items() if its_outline == outline}
    outlines = (path for path in folder.glob(f"{STEM}*{OUTLINE}") if _sealed_of(path).is_file())
    there = sum(hashlib.sha256(path.read_bytes()).hexdigest() == outline for path in outlines)
    return hashlib.sha256(content).hexdigest() in alike and there >= len(alike)


def outline_of(content: bytes) -> bytes:
    """Return the outline of an approval, which stays in clear: without the name and the signature."""
    said = {name: value for name, value in json.loads(content).items() if name != "signature"}
    said["approver"] = {name: value for name, value in said["approver"].items() if name != "name"}
    return (json.dumps({"outline": FORM, **said}, indent=1) + "\n").encode("ascii")


def seal_all(folder: Path, seal: Seal) -> None:
    """Seal the approvals that were stored in clear. Raises RecordsUnwritableError."""
    for path in in_clear(folder):
        _write_sealed(path, path.read_bytes(), seal)
        with storage.writing(folder):
            path.unlink()
            storage.sync_folder(folder)


def forget(folder: Path) -> None:
    """Delete the approvals in the folder of a plan, and with them the names of the approvers."""
    with storage.writing(folder):
        for path in sorted(path for path in folder.glob(f"{STEM}*") if path.is_file()):
            path.unlink(missing_ok=True)
        storage.sync_folder(folder)


def names_in(folder: Path, unseal: Unseal | None = None) -> Named:
    """Return the approvers' names in the folder of a plan; a file that cannot be read is skipped.

    Sealed approvals are read only with ``unseal``, and must match their outline; those in clear count first.
    """
    found: dict[tuple[str, str], str] = {}
    for identity, content in _contents(folder, unseal):
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            document = json.loads(content)
            if identity in (None, _identity(document)):
                found.setdefault(_identity(document), str(document["approver"]["name"]))
    return found


def kept_in(folder: Path) -> set[tuple[str, str]]:
    """Return the approvals in the folder of a plan, sealed or not: user id and time of each."""
    return {identity for path, identity in files_in(folder).items() if _is_whole(path)}


def files_in(folder: Path) -> dict[Path, tuple[str, str]]:
    """Return the approvals in clear and the outlines of sealed ones in a folder: user id and time of each."""
    found: dict[Path, tuple[str, str]] = {}
    for path in (*in_clear(folder), *sorted(folder.glob(f"{STEM}*{OUTLINE}"))):
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            found[path] = _identity(json.loads(path.read_bytes()))
    return found


def sealed_in(folder: Path) -> dict[tuple[str, str], Path]:
    """Return the sealed approvals in a folder, by user id and time in their outlines."""
    found: dict[tuple[str, str], Path] = {}
    for path, identity in sealed_files(folder).items():
        found.setdefault(identity, path)
    return found


def sealed_files(folder: Path) -> dict[Path, tuple[str, str]]:
    """Return every sealed approval in a folder that has an outline: user id and time in it."""
    outlines = (
        (path, identity) for path, identity in files_in(folder).items() if path.name.endswith(OUTLINE)
    )
    return {_sealed_of(path): identity for path, identity in outlines if _sealed_of(path).is_file()}


def sealed_alone(folder: Path) -> list[Path]:
    """Return the sealed approvals in a folder that have no outline: they are not read as approvals."""
    known = sealed_files(folder)
    return sorted(path for path in folder.glob(f"{STEM}*{SEALED}") if path not in known)


def approvers(plans: Path, unseal: Unseal | None = None) -> Callable[[Mapping[str, Any]], str | None]:
    """Return a function from an entry of the audit log to the approver, by name and id.

    It returns None if the entry names no approval; the id alone if the approval was purged, is sealed, or is not on
    this machine. The names are read from the plans' folders, once per plan.
    """

    @cache
    def names(digest: str) -> Named:
        return names_in(plans / digest, unseal)

    def approver_of(entry: Mapping[str, Any]) -> str | None:
        approval = entry.get("approval")
        if not isinstance(approval, Mapping) or not approval.get("user_id"):
            return None
        user_id, digest = str(approval["user_id"]), str(entry.get("plan_digest") or "")
        name = names(digest).get((user_id, str(approval.get("at")))) if digest.isalnum() else None
        return f"{name} ({user_id})" if name else user_id

    return approver_of


def _is_whole(path: Path) -> bool:
    """Return whether this is an approval in clear, or the outline of one whose sealed file exists."""
    return not path.name.endswith(OUTLINE) or _sealed_of(path).is_file()


def _sealed_of(outline: Path) -> Path:
    return outline.with_name(f"{outline.name.removesuffix(OUTLINE)}.json{SEALED}")


def _identity(document: Mapping[str, Any]) -> tuple[str, str]:
    return str(document["approver"]["user_id"]), str(document["at"])


def _write_sealed(path: Path, content: bytes, seal: Seal) -> None:
    """Write an approval sealed and then its outline, without the name and the signature."""
    storage.write_whole(_sealed(path), seal(content, _sealed(path)))
    storage.write_whole(path.with_name(path.stem + OUTLINE), outline_of(content))


def _sealed(path: Path) -> Path:
    return path.with_name(path.name + SEALED)


def in_clear(folder: Path) -> list[Path]:
    """Return the approvals in the folder of a plan that are not sealed."""
    return sorted(
        path for path in folder.glob(f"{STEM}*.json") if path.is_file() and not path.name.endswith(OUTLINE)
    )


def _contents(folder: Path, unseal: Unseal | None) -> Iterator[tuple[tuple[str, str] | None, bytes]]:
    """Yield the content of each approval, with user id and time in its outline, if it has one."""
    for path in in_clear(folder):
        with suppress(OSError):
            yield None, path.read_bytes()
    if unseal is None:
        return
    for path, identity in sealed_files(folder).items():
        with suppress(Exception):  # any error of a user's hook
            yield identity, unseal(path.read_bytes())
