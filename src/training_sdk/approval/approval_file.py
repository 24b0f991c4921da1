"""Approvals on disk: readable JSON beside the plan, read strictly, for it comes from another person's machine."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import NoReturn

from training_sdk._core.printable import sentence
from training_sdk.approval.approvals import FORM, SILENT_FORM, Approval, Approver
from training_sdk.errors import ApprovalError, EvidenceError
from training_sdk.records import approvals, disk, documents
from training_sdk.records.events import ApprovalKept
from training_sdk.records.tokens import looks_secret

LARGEST = 64 * 1024
LONGEST = 1000
"""Characters in a text other than the signature."""

FIELDS = frozenset({"form", "kind", "plan_digest", "phrase", "approver", "at", "signature", "compared"})
SILENT_FIELDS = FIELDS - {"compared"}
APPROVER = frozenset({"user_id", "name", "organisation_id"})


def save(approval: Approval, path: str | PathLike[str]) -> None:
    """Write an approval to a new file that only its owner can read."""
    disk.write_new(path, dumps(approval), "an approval")


def dumps(approval: Approval) -> bytes:
    """An approval as the bytes of its file."""
    return (json.dumps(approval.document(), ensure_ascii=True, indent=1) + "\n").encode("ascii")


def load(path: str | PathLike[str]) -> Approval:
    """Read an approval back."""
    try:
        content = disk.read_input(path, LARGEST)
    except (OSError, ValueError) as error:
        raise ApprovalError(
            f"the approval {str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}",
            reason="APPROVAL_UNREADABLE",
        ) from error
    return loads(content, repr(str(path)))


def find(folder: Path, kept: ApprovalKept | None, unseal: approvals.Unseal | None = None) -> Approval | None:
    """The approval that a record names, if it is in the folder of its plan and can be read.

    Raises ApprovalError if it is sealed and there is no ``unseal``, EvidenceError if that fails.
    """
    if kept is None:
        return None
    for path in approvals.in_clear(folder):
        with suppress(ApprovalError):
            found = load(path)
            if (found.approver.user_id, found.at) == (kept.user_id, kept.at):
                return found
    sealed = approvals.sealed_in(folder).get((kept.user_id, kept.at.isoformat()))
    if sealed is None:
        return None
    if unseal is None:
        raise ApprovalError(
            f"the approval of this plan is sealed: {sealed}. Nothing was sent. Give the approval (approval=…), or what "
            "opens it: unseal=…, on the command line unseal_command in a profile",
            reason="NO_APPROVAL",
        )
    try:
        content = unseal(sealed.read_bytes())
    except Exception as error:
        raise EvidenceError(
            f"the unseal hook failed for {sealed}: {sentence(str(error))} Nothing was sent"
        ) from error
    return loads(content, repr(str(sealed)))


def loads(content: bytes, name: str) -> Approval:
    """An approval from the bytes of its file; ``name`` is for messages."""
    if len(content) > LARGEST:
        _refuse(name, f"it is larger than {LARGEST} bytes")
    try:
        document = json.loads(content.decode("ascii"), object_pairs_hook=documents.once)
    except (ValueError, RecursionError):
        _refuse(name, "it is not what approval.save(…) wrote")
    form = document.get("form") if isinstance(document, dict) else FORM
    _check_fields(document, SILENT_FIELDS if form == SILENT_FORM else FIELDS, name)
    _check_fields(document["approver"], APPROVER, name)
    if type(form) is not int or form not in (SILENT_FORM, FORM):
        _refuse(name, f"it is of form {form!r}, and this version reads forms {SILENT_FORM} and {FORM}")
    approver = Approver(**{field: _text(document["approver"][field], field, name) for field in APPROVER})
    if looks_secret(approver.name):
        _refuse(name, "the name of its approver looks like a token")
    kind, signature, compared = document["kind"], document["signature"], document.get("compared")
    if form == FORM and type(compared) is not bool:
        _refuse(name, "its 'compared' is neither true nor false")
    if kind not in ("signed", "procedural") or not isinstance(signature, str | None):
        _refuse(name, "its kind and its signature do not fit")
    return Approval(
        plan_digest=_text(document["plan_digest"], "plan_digest", name),
        phrase=_text(document["phrase"], "phrase", name),
        approver=approver,
        at=_moment(document["at"], name),
        kind=kind,
        signature=signature,
        form=form,
        compared=compared,
    )


def _check_fields(document: object, expected: frozenset[str], name: str) -> None:
    if not isinstance(document, dict) or document.keys() != expected:
        _refuse(name, f"it must hold exactly {', '.join(sorted(expected))}")


def _text(value: object, field: str, name: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        _refuse(name, f"its {field} is no text of at most {LONGEST} characters")
    return value


def _moment(value: object, name: str) -> datetime:
    """A time in the one spelling that is signed."""
    try:
        at = datetime.fromisoformat(_text(value, "at", name)).astimezone(UTC)
    except (ValueError, OverflowError):
        _refuse(name, "its time is none")
    if at.isoformat() != value:
        _refuse(name, "its time is not spelt as approval.save(…) does")
    return at


def _refuse(name: str, why: str) -> NoReturn:
    raise ApprovalError(f"{name} is no approval that can be used: {why}", reason="APPROVAL_UNREADABLE")
