"""The copy of a plan beside its journal: in clear, or sealed with an outline in clear that has no names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training_sdk.errors import RecordsDamagedError
from training_sdk.records import storage

PLAN, SEALED, OUTLINE = "plan.json", "plan.json.sealed", "outline.json"
OUTLINE_SHA256 = "outline_sha256"
"""The field of the audit log with the SHA-256 of an outline."""
FORM = 1
_KEPT = ("digest", "phrase", "form", "scope", "courses", "selection", "read_at", "expires_at", "origin")
_KEPT_OF_USERS = (
    *("course_id", "user_id", "state", "completed_at", "opened_at", "due_at", "left_out", "last_reset_at"),
    *("percent", "completed_lessons"),  # outlines of earlier versions have neither
)


def outline_of(document: bytes) -> bytes:
    """Return the file that stays in clear of a plan's document: without names, e-mails, external ids and scores.

    Raises ValueError, KeyError, TypeError, AttributeError or RecursionError if it is no plan.
    """
    return (json.dumps(outline(json.loads(document)), indent=1) + "\n").encode("ascii")


def outline(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan's document without names, e-mails, external ids and scores.

    Ids, states, dates, percent, number of lessons, titles, form and origin stay: enough to report, verify and compare.
    """
    users = [{name: user.get(name) for name in _KEPT_OF_USERS} for user in document["users"]]
    return {
        "outline": FORM,
        **{name: document.get(name) for name in _KEPT},
        "users": users,
    }


def write_plan_copy(folder: Path, document: bytes, sealed: bytes | None) -> None:
    """Store the copy of a plan in its folder; ``sealed`` is the same bytes sealed, and then no file in clear has names.

    Raises RecordsUnwritableError.
    """
    if sealed is None:
        storage.write_whole(folder / PLAN, document)
        return
    storage.write_whole(folder / SEALED, sealed)
    storage.write_whole(folder / OUTLINE, _outline_of(document, folder))
    _remove(folder, PLAN)


def delete_plan_copy(folder: Path) -> None:
    """Remove the copy of a plan, sealed or not, when its evidence is purged; the outline stays.

    Raises RecordsDamagedError if the copy is no plan, and then it is still there; RecordsUnwritableError.
    """
    if (folder / PLAN).exists() and not (folder / OUTLINE).exists():
        storage.write_whole(folder / OUTLINE, outline_in(folder))
    _remove(folder, PLAN, SEALED)


def outline_in(folder: Path) -> bytes:
    """Return the outline of the copy in clear in a folder. Raises RecordsDamagedError if that is no plan."""
    return _outline_of((folder / PLAN).read_bytes(), folder)


def _outline_of(document: bytes, folder: Path) -> bytes:
    try:
        return outline_of(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RecordsDamagedError(
            f"{folder / PLAN} is not what was written: it contains no plan. Do not change the file; restore a copy."
        ) from None


def _remove(folder: Path, *names: str) -> None:
    with storage.writing(folder):
        for name in names:
            (folder / name).unlink(missing_ok=True)
        storage.sync_folder(folder)
