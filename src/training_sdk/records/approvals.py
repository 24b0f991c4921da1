"""Approvals kept beside the journal of their plan, and the names in them, which no append-only record holds."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from training_sdk.records import disk

STEM = "approval"
Named: TypeAlias = Mapping[tuple[str, str], str]
"""Names of approvers by user id and the time of the approval in ISO 8601."""


def keep(folder: Path, content: bytes) -> None:
    """Keep an approval, signature included, in the folder of its plan; an earlier one that differs stays."""
    for number in itertools.count(1):
        path = folder / (f"{STEM}.json" if number == 1 else f"{STEM}-{number}.json")
        if not path.exists():
            disk.write_whole(path, content)
            return
        if path.read_bytes() == content:
            return


def forget(folder: Path) -> None:
    """Delete the approvals in the folder of a plan, and with them the names of the approvers."""
    with disk.writing(folder):
        for path in _files(folder):
            path.unlink(missing_ok=True)
        disk.sync_folder(folder)


def names_in(folder: Path) -> Named:
    """The names in the approvals that are kept in the folder of a plan; what cannot be read names nobody."""
    found: dict[tuple[str, str], str] = {}
    for path in _files(folder):
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            document = json.loads(path.read_bytes())
            approver = document["approver"]
            found[str(approver["user_id"]), str(document["at"])] = str(approver["name"])
    return found


def approver_of(entry: Mapping[str, Any], plans: Path) -> str | None:
    """Who approved, by name and id, by an entry of the audit log and the approvals in the plans' folders.

    None where the entry names no approval; the id alone where the approval was purged or is not on this machine.
    """
    approval = entry.get("approval")
    if not isinstance(approval, Mapping) or not approval.get("user_id"):
        return None
    user_id, digest = str(approval["user_id"]), str(entry.get("plan_digest") or "")
    name = names_in(plans / digest).get((user_id, str(approval.get("at")))) if digest.isalnum() else None
    return f"{name} ({user_id})" if name else user_id


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"{STEM}*.json") if path.is_file())
