"""An approval as a value: who consented to which plan, when, and signed or not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from training_sdk._core.printable import inline
from training_sdk.approval import ssh
from training_sdk.errors import ApprovalError
from training_sdk.plans.wording import shown
from training_sdk.records import approvals
from training_sdk.records.events import ApprovalKept, Event, Opened, Resumed

Kind: TypeAlias = Literal["signed", "procedural"]

FORM = 2
"""The form of what is signed and saved today."""
SILENT_FORM = 1
"""The form that does not say whether names were compared; such approvals are still read."""


@frozen
class Approver:
    """Who approved, as WhoAmI named the owner of their token."""

    user_id: str
    name: str
    organisation_id: str


@frozen
class Approval:
    """One person's consent to one plan, made by ``client.resets.approve``; changes nothing and can be saved.

    ``kind`` is ``"signed"``, or ``"procedural"``: that proves no more than that somebody wrote it. ``at`` is UTC, by
    the clock of the approver's machine. ``compared`` is whether the plan's names, e-mails and external ids were
    compared with the service when it was approved; None in an approval of an earlier version. It holds no token.
    """

    plan_digest: str
    phrase: str
    approver: Approver
    at: datetime
    kind: Kind
    signature: str | None = field(default=None, repr=False)
    form: int = FORM
    compared: bool | None = False

    def __attrs_post_init__(self) -> None:
        if (self.kind == "signed") is (self.signature is None):
            raise ApprovalError(
                "an approval is signed exactly if it holds a signature; this one says otherwise. Approve again",
                reason="APPROVAL_UNREADABLE",
            )
        if (self.form == SILENT_FORM) is not (self.compared is None):
            raise ApprovalError(
                "an approval must say whether names were compared with the service. Approve again",
                reason="APPROVAL_UNREADABLE",
            )
        if self.signature is not None:
            ssh.fingerprint(self.signature)  # which refuses what is no signature at all

    @property
    def message(self) -> bytes:
        """What is signed: everything but the signature, as JSON in one spelling only."""
        return message(self)

    @property
    def key_fingerprint(self) -> str | None:
        """SHA-256 of the key that claims to have signed, as ``ssh-keygen -l`` prints it; None without a signature."""
        return None if self.signature is None else ssh.fingerprint(self.signature)

    def document(self) -> dict[str, Any]:
        """The approval as plain JSON data, as it is saved."""
        return {**_terms(self), "signature": self.signature}

    def save(self, path: str | PathLike[str]) -> None:
        """Write the approval to a new file that only its owner can read.

        Raises InvalidArgumentError if the file exists or cannot be written.
        """
        from training_sdk.approval import approval_file

        approval_file.save(self, path)

    @staticmethod
    def load(path: str | PathLike[str]) -> Approval:
        """Read a saved approval. Raises ApprovalError if it is none; whether it is true is checked on applying."""
        from training_sdk.approval import approval_file

        return approval_file.load(path)

    def __str__(self) -> str:
        who = f"{shown(self.approver.name) or 'somebody without a name'} ({self.approver.user_id})"
        how = f"signed with {self.key_fingerprint}" if self.signature else "procedural: not signed"
        names = ""
        if self.compared is not None:
            names = f"; names {'compared' if self.compared else 'NOT compared'} with the service"
        return inline(f"{self.phrase}: approved by {who} at {self.at:%Y-%m-%d %H:%M:%S} UTC, {how}{names}")


def _terms(approval: Approval, *, kind: Kind | None = None) -> dict[str, Any]:
    """Everything but the signature."""
    approver = approval.approver
    return {
        "form": approval.form,
        "kind": kind or approval.kind,
        "plan_digest": approval.plan_digest,
        "phrase": approval.phrase,
        "approver": {
            "user_id": approver.user_id,
            "name": approver.name,
            "organisation_id": approver.organisation_id,
        },
        "at": approval.at.isoformat(),
        **({} if approval.compared is None else {"compared": approval.compared}),
    }


def message(approval: Approval, *, kind: Kind | None = None) -> bytes:
    """What is signed, or would be if the approval were of this kind."""
    return json.dumps(_terms(approval, kind=kind), sort_keys=True, separators=(",", ":")).encode("ascii")


@frozen
class Approved:
    """An approval that holds, and what that rests on: ``kind`` is ``"signed"`` only if the signature was verified."""

    kind: Kind
    approver: Approver
    at: datetime
    key_fingerprint: str | None
    compared: bool | None = None
    """Whether the approver's client compared the plan's names with the service."""

    @property
    def kept(self) -> ApprovalKept:
        """The same without a name, for records that are never changed."""
        return ApprovalKept(self.approver.user_id, self.kind, self.at, self.key_fingerprint, self.compared)

    def __str__(self) -> str:
        who = inline(self.approver.name) or "name not on this machine"
        how = f"signed with {self.key_fingerprint}" if self.kind == "signed" else "procedural: not signed"
        missing = "; names not compared with the service" if self.compared is False else ""
        return f"{who} ({inline(self.approver.user_id)}) at {self.at:%Y-%m-%d %H:%M:%S} UTC, {how}{missing}"


def approved_by(
    kept: ApprovalKept | None, organisation_id: str, folder: Path, unseal: approvals.Unseal | None = None
) -> Approved | None:
    """What a record says of an approval, with the approver's name as far as the approval is kept in this folder.

    Without ``unseal`` a sealed approval names nobody.
    """
    if kept is None:
        return None
    name = approvals.names_in(folder, unseal).get((kept.user_id, kept.at.isoformat()), "")
    kind: Kind = "signed" if kept.kind == "signed" else "procedural"
    return Approved(
        kind, Approver(kept.user_id, name, organisation_id), kept.at, kept.key_fingerprint, kept.compared
    )


def approved_before(
    events: Sequence[Event], organisation_id: str, folder: Path, unseal: approvals.Unseal | None = None
) -> Approved | None:
    """Who approved the plan when it was begun or last resumed with an approval, by its journal."""
    return approved_by(approval_noted(events), organisation_id, folder, unseal)


def approval_noted(events: Sequence[Event]) -> ApprovalKept | None:
    """The approval that a journal names last."""
    kept = [event.approval for event in events if isinstance(event, Opened | Resumed) and event.approval]
    return kept[-1] if kept else None
