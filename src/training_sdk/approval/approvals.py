"""The confirmation and the approval of a plan: phrase, lifetime and safeguards; approver, time, signature and file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias

from attrs import field, frozen

from training_sdk import ssh_signatures
from training_sdk._core import argument_checks
from training_sdk._core.text import confirms, difference, inline, sentence, sentence_of
from training_sdk.errors import (
    ApprovalError,
    ConfirmationError,
    EvidenceError,
    InvalidArgumentError,
    Remedy,
    StalePlanError,
)
from training_sdk.plans.outline import check_whole
from training_sdk.plans.plan import EveryonePlan, ResetPlan
from training_sdk.plans.wording import shown
from training_sdk.records import approvals, storage
from training_sdk.records.events import ApprovalKept, Event, Opened, Resumed
from training_sdk.records.tokens import looks_secret
from training_sdk.safeguards import Safeguards

Kind: TypeAlias = Literal["signed", "procedural"]

FORM = 2
"""The form of what is signed and saved today."""
SILENT_FORM = 1
"""The form without ``compared``; such approvals are still read."""


@frozen
class Approver:
    """The approver, as WhoAmI names the owner of their token."""

    user_id: str
    name: str
    organisation_id: str


@frozen
class Approval:
    """The consent of one person to one plan, made by ``client.resets.approve``. It can be saved.

    - ``plan_digest``, ``phrase``: The plan that is approved.
    - ``approver``: The person who approved, by the owner of the token.
    - ``at``: The time of the approval in UTC, by the clock of the approver's machine.
    - ``kind``: ``"signed"``, or ``"procedural"``, which proves only that a person wrote it.
    - ``signature``: The SSH signature of a signed approval; None for others.
    - ``compared``: True if the names, e-mails and external ids of the plan were compared with the service; None in an
      approval of an earlier version.

    An approval changes nothing, and contains no token.
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
                "kind must be 'signed' if and only if there is a signature. Approve again.",
                reason="APPROVAL_UNREADABLE",
            )
        if (self.form == SILENT_FORM) is not (self.compared is None):
            raise ApprovalError(
                "An approval must say whether names were compared with the service. Approve again.",
                reason="APPROVAL_UNREADABLE",
            )
        if self.signature is not None:
            ssh_signatures.fingerprint(self.signature)  # raises if it is not a signature

    @property
    def message(self) -> bytes:
        """The bytes that are signed: everything except the signature, as canonical JSON."""
        return message(self)

    @property
    def key_fingerprint(self) -> str | None:
        """SHA-256 of the key in the signature, not verified, as ``ssh-keygen -l`` prints it; None if not signed."""
        return None if self.signature is None else ssh_signatures.fingerprint(self.signature)

    def document(self) -> dict[str, Any]:
        """Return the approval as plain JSON data, as it is saved."""
        return {**_terms(self), "signature": self.signature}

    def save(self, path: str | PathLike[str]) -> None:
        """Write the approval to a new file that only its owner can read.

        Raises InvalidArgumentError if the file exists or cannot be written.
        """
        storage.write_new(path, approval_bytes(self), "an approval")

    @staticmethod
    def load(path: str | PathLike[str]) -> Approval:
        """Read a saved approval. Raises ApprovalError if the file is not an approval.

        ``apply`` verifies its signature and its terms.
        """
        return read_approval(path)

    def __str__(self) -> str:
        who = f"{shown(self.approver.name) or 'a person without a name'} ({self.approver.user_id})"
        how = f"signed with {self.key_fingerprint}" if self.signature else "procedural: not signed"
        names = ""
        if self.compared is not None:
            names = f"; names {'compared' if self.compared else 'NOT compared'} with the service"
        return inline(f"{self.phrase}: approved by {who} at {self.at:%Y-%m-%d %H:%M:%S} UTC, {how}{names}")


def _terms(approval: Approval, *, kind: Kind | None = None) -> dict[str, Any]:
    """Return everything except the signature."""
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
    """Return the bytes that are signed, or would be if the approval were of this kind."""
    return json.dumps(_terms(approval, kind=kind), sort_keys=True, separators=(",", ":")).encode("ascii")


@frozen
class Approved:
    """A valid approval. ``kind`` is ``"signed"`` only if the signature was verified."""

    kind: Kind
    approver: Approver
    at: datetime
    key_fingerprint: str | None
    compared: bool | None = None
    """True if the approver's client compared the plan's names with the service."""

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
    """Return the approval that a record names, with the approver's name if the approval is stored in this folder.

    Without ``unseal``, the name in a sealed approval is not known.
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
    """Return the approval with which the plan was started or last resumed, by its journal."""
    return approved_by(approval_noted(events), organisation_id, folder, unseal)


def approval_noted(events: Sequence[Event]) -> ApprovalKept | None:
    """Return the last approval in a journal."""
    kept = [event.approval for event in events if isinstance(event, Opened | Resumed) and event.approval]
    return kept[-1] if kept else None


MOST_BYTES = 64 * 1024
LONGEST_TEXT = 1000
"""Characters in a text other than the signature."""

FIELDS = frozenset({"form", "kind", "plan_digest", "phrase", "approver", "at", "signature", "compared"})
SILENT_FIELDS = FIELDS - {"compared"}
APPROVER = frozenset({"user_id", "name", "organisation_id"})


def approval_bytes(approval: Approval) -> bytes:
    """Return an approval as the bytes of its file."""
    return (json.dumps(approval.document(), ensure_ascii=True, indent=1) + "\n").encode("ascii")


def read_approval(path: str | PathLike[str]) -> Approval:
    """Read an approval from a file."""
    try:
        content = storage.read_input(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        raise ApprovalError(
            f"The approval {str(path)!r} cannot be read: {sentence(getattr(error, 'strerror', None) or str(error))}",
            reason="APPROVAL_UNREADABLE",
        ) from error
    return parse_approval(content, repr(str(path)))


def find_approval(
    folder: Path, kept: ApprovalKept | None, unseal: approvals.Unseal | None = None
) -> Approval | None:
    """Return the approval that a record names, if it is in the folder of its plan and can be read.

    Raises ApprovalError if it is sealed and there is no ``unseal``, EvidenceError if that fails.
    """
    if kept is None:
        return None
    for path in approvals.in_clear(folder):
        with suppress(ApprovalError):
            found = read_approval(path)
            if (found.approver.user_id, found.at) == (kept.user_id, kept.at):
                return found
    sealed = approvals.sealed_in(folder).get((kept.user_id, kept.at.isoformat()))
    if sealed is None:
        return None
    if unseal is None:
        raise ApprovalError(
            f"The approval of this plan is sealed ({sealed}). Nothing was sent.",
            reason="NO_APPROVAL",
            remedy=Remedy("sealed_approval", "Pass approval=…, or unseal=…, the hook that opens it."),
        )
    try:
        content = unseal(sealed.read_bytes())
    except Exception as error:
        raise EvidenceError(
            f"The unseal hook failed for {sealed}: {sentence_of(error)} Nothing was sent."
        ) from error
    return parse_approval(content, repr(str(sealed)))


def parse_approval(content: bytes, name: str) -> Approval:
    """Return the approval in the bytes of a file; ``name`` is for messages."""
    if len(content) > MOST_BYTES:
        _refuse(name, f"it is larger than {MOST_BYTES} bytes")
    try:
        document = json.loads(content.decode("ascii"), object_pairs_hook=storage.refuse_duplicates)
    except (ValueError, RecursionError):
        _refuse(name, "it is not a saved approval")
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
        _refuse(name, "its 'compared' must be true or false")
    if kind not in ("signed", "procedural") or not isinstance(signature, str | None):
        _refuse(name, "its kind and its signature do not match")
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
        _refuse(name, f"it must have exactly {', '.join(sorted(expected))}")


def _text(value: object, field: str, name: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        _refuse(name, f"its {field} must be text of at most {LONGEST_TEXT} characters")
    return value


def _moment(value: object, name: str) -> datetime:
    """Return a time in the one spelling that is signed."""
    try:
        at = datetime.fromisoformat(_text(value, "at", name)).astimezone(UTC)
    except (ValueError, OverflowError):
        _refuse(name, "its 'at' is not a valid timestamp")
    if at.isoformat() != value:
        _refuse(name, "its 'at' is not written as in a saved approval")
    return at


def _refuse(name: str, why: str) -> NoReturn:
    raise ApprovalError(f"{name} is not a valid approval: {why}.", reason="APPROVAL_UNREADABLE")


LONGEST_SHOWN = 150
LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


def check_confirmation(plan: ResetPlan, confirm: object, *, server_side: bool = False) -> None:
    """Raise ConfirmationError unless ``confirm`` is the phrase of this plan."""
    if not isinstance(plan, ResetPlan):
        raise argument_checks.refusal(
            "plan", f"must be a ResetPlan from client.resets.plan(…), not {type(plan).__name__}."
        )
    check_whole(plan)
    if server_side and (not isinstance(plan, EveryonePlan) or plan.selection):
        raise InvalidArgumentError(
            "In a call for everyone, the server decides who is reset, but this plan is for selected people. Nothing "
            "was sent.",
            argument="server_side",
            remedy=Remedy(
                "plan_everyone",
                "Leave out server_side, or use a plan from plan_everyone(…) without only and where.",
            ),
        )
    check_phrase(confirm, plan.phrase, "plan")


def check_phrase(confirm: object, phrase: str, what: str) -> None:
    """Raise ConfirmationError unless a text is the phrase, also as it is shown; NFC and NFD are the same.

    The message does not contain the phrase: a program that copies it from there would confirm what no person has read.
    """
    if confirms(confirm, phrase):
        return
    if isinstance(confirm, str) and looks_secret(confirm):
        said = "confirm looks like a token, so it is not shown."
    else:
        typed = repr(confirm)
        cut = typed if len(typed) <= LONGEST_SHOWN else typed[:LONGEST_SHOWN] + "…"
        hint = difference(confirm, phrase)
        said = f"confirm is {cut}, which is not the phrase of this {what}.{hint and ' '}{hint}"
    remedy = Remedy("read_phrase", f"Read the {what}, and type the phrase at its end.")
    raise ConfirmationError(f"{said} Nothing was sent.", argument="confirm", remedy=remedy)


def check_safeguards(plan: ResetPlan, safeguards: Safeguards) -> None:
    """Raise InvalidArgumentError for a plan with a protected course or too many people."""
    for course in plan.courses:
        safeguards.check_course(course.id)
    safeguards.check_people(plan.people)


def end_of(plan: ResetPlan, lifetime: timedelta | None) -> datetime:
    """Return when a plan expires for a client with this ``plan_lifetime``, which starts when the plan was read."""
    if lifetime is None or plan.read_at > LAST_MOMENT - lifetime:
        return plan.expires_at
    return min(plan.expires_at, plan.read_at + lifetime)


def check_lifetime(plan: ResetPlan, now: datetime, lifetime: timedelta | None = None) -> None:
    """Raise StalePlanError for a plan that has expired, or whose time is in this machine's future."""
    if now > (end := end_of(plan, lifetime)):
        limit = "" if end == plan.expires_at else f", because this client's plan_lifetime is {lifetime}"
        raise StalePlanError(
            f"The plan expired at {end:%Y-%m-%d %H:%M:%S} UTC{limit}. Nothing was sent. Plan again.",
            reason="PLAN_EXPIRED",
        )
    if now < plan.read_at:
        raise StalePlanError(
            f"The plan was made at {plan.read_at:%Y-%m-%d %H:%M:%S} UTC, which this machine's clock has not reached. "
            "Nothing was sent. Set the clock, and plan again.",
            reason="PLAN_FROM_THE_FUTURE",
        )
