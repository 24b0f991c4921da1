"""The format of a journal, its events: the steps of one application of a plan, in the order in which they happened."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

from attrs import frozen


@frozen
class WavesKept:
    """The planned waves of the requests, as plain data."""

    size: int
    every_seconds: float
    between: tuple[str, ...] | None
    days: tuple[str, ...]
    zone: str | None


@frozen
class ApprovalKept:
    """The approver, by id; the approval itself, with name and signature, is stored beside the journal.

    ``kind`` is ``"signed"`` if the signature was verified, else ``"procedural"``.
    """

    user_id: str
    kind: str
    at: datetime
    key_fingerprint: str | None
    compared: bool | None = None
    """True if the approver's client compared the plan's names with the service; None of an older approval."""


@frozen
class Opened:
    """An application began; the first event of a journal, and again whenever it began again with nothing sent."""

    at: datetime
    nonce: str
    applied_by: str
    organisation_id: str
    base_url: str
    reference_server: bool
    token_fingerprint: str | None
    reason: str | None
    ticket: str | None
    server_side: bool
    tolerance: int
    chunk_size: int
    sdk_version: str
    waves: WavesKept | None = None
    """Older journals do not hold them."""
    approval: ApprovalKept | None = None
    """Older journals do not hold it."""
    accept_missing_lessons: bool = False
    """Older journals do not hold it."""
    processing_seconds: float | None = None
    """The longest that the service may work on what it has accepted; older journals do not hold it."""
    require_surveys: bool = False
    """Older journals do not hold it."""


@frozen
class Resumed:
    """An application that had sent requests was resumed, by this user."""

    at: datetime
    applied_by: str
    approval: ApprovalKept | None = None
    """Older journals do not hold it."""
    processing_seconds: float | None = None
    """As in ``opened``, if it is longer from here on."""


@frozen
class EvidenceKept:
    """A pack of evidence is whole and on the disk."""

    at: datetime
    pack: str
    manifest_sha256: str
    missing_lessons: tuple[tuple[str, str], ...] = ()
    """Course and user of those whose lessons are not all in the pack; older journals do not hold them."""
    not_read: tuple[tuple[str, str], ...] = ()
    """The listings that were not read, each with the reason; older journals do not hold them."""


@frozen
class SkippedUsers:
    """These people are skipped, each for a coded reason."""

    course_id: str
    codes: Mapping[str, str]


@frozen
class Intent:
    """A request is about to be built; nothing of it has been sent."""

    chunk: int
    course_id: str
    user_ids: tuple[str, ...]
    key: str
    named_last: tuple[str, ...] = ()
    """Users whom the request names as well, after those of the plan, and who cannot be reset; only in a proof of
    refusals. Older journals do not hold it."""
    in_course: int | None = None
    """The number of people on the course at the last reading before a call for everyone, whose answer may count them.
    Older journals do not hold it."""


@frozen
class Sent:
    """From here on the request may have arrived."""

    at: datetime
    chunk: int
    request_id: str | None = None
    """The ``X-Request-ID`` under which it is sent; older journals do not hold it."""


@frozen
class Answered:
    """The server accepted the request; ``count`` is how many people it says it reset, which may be too many."""

    at: datetime
    chunk: int
    count: int | None
    request_id: str | None


@frozen
class Refused:
    """The request is known not to have taken effect."""

    at: datetime
    chunk: int
    error: str
    code: str
    message: str
    request_id: str | None


@frozen
class RefusedInDoubt:
    """The server refused the request, and may have carried out a part of it before."""

    at: datetime
    chunk: int
    status: int
    error: str
    message: str
    request_id: str | None


@frozen
class Lost:
    """The request may or may not have taken effect."""

    at: datetime
    chunk: int
    message: str
    request_id: str | None
    cause: str | None = None
    """The class of the error beneath, such as ``DecodingError``; older journals do not name it."""
    status: int | None = None
    """That of the answer, if one came or began to come; older journals do not hold it."""


@frozen
class ReadBack:
    """The results of reading back uncertain people: ``applied``, ``not applied`` or ``unknown``."""

    at: datetime
    chunk: int
    verdicts: Mapping[str, str]
    disregarded: tuple[str, ...] = ()
    """Sentences about disregarded fields, which the service keeps after a reset; none in older journals."""
    others: tuple[str, ...] = ()
    """People outside the plan whom a call for everyone may have reset too; older journals do not name them."""


@frozen
class Closed:
    """The application has ended; nothing is left to be resumed."""

    at: datetime
    counts: Mapping[str, int]
    reason: str | None = None
    """The reason of closing it by hand; None if it ended by itself."""


Event: TypeAlias = (
    Opened
    | Resumed
    | EvidenceKept
    | SkippedUsers
    | Intent
    | Sent
    | Answered
    | Refused
    | RefusedInDoubt
    | Lost
    | ReadBack
    | Closed
)
