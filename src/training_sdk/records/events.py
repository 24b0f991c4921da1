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
    """True if the approver's client compared the plan's names with the service; None for an older approval."""


@frozen
class Opened:
    """An application was started. It is the first event of a journal, and comes again if nothing was sent before."""

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
    """None in older journals."""
    approval: ApprovalKept | None = None
    """Older journals do not hold it."""
    accept_missing_lessons: bool = False
    """Older journals do not hold it."""
    processing_seconds: float | None = None
    """The longest time that the service may need for an accepted request; None in older journals."""
    require_surveys: bool = False
    """Older journals do not hold it."""


@frozen
class Resumed:
    """This user resumed an application that had sent requests."""

    at: datetime
    applied_by: str
    approval: ApprovalKept | None = None
    """Older journals do not hold it."""
    processing_seconds: float | None = None
    """The new value of the field in ``opened``, if it is longer."""


@frozen
class EvidenceKept:
    """An evidence package is complete and on the disk."""

    at: datetime
    pack: str
    manifest_sha256: str
    missing_lessons: tuple[tuple[str, str], ...] = ()
    """The course ids and user ids whose lessons are not all in the package; empty in older journals."""
    not_read: tuple[tuple[str, str], ...] = ()
    """The listings that were not read, each with the reason; empty in older journals."""


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
    """Further users in the request, after those of the plan, who cannot be reset; only in a check of refusals. Empty in
    older journals."""
    in_course: int | None = None
    """The number of people on the course at the last reading before a call for everyone, whose answer may count them.
    None in older journals."""


@frozen
class Sent:
    """The request is being sent: from now on it may have arrived."""

    at: datetime
    chunk: int
    request_id: str | None = None
    """The ``X-Request-ID`` of the request; None in older journals."""


@frozen
class Answered:
    """The server accepted the request. ``count`` is the number of reset people in its answer, which may be too high."""

    at: datetime
    chunk: int
    count: int | None
    request_id: str | None


def counted_besides(count: int | None, named: int, in_course: int | None) -> int:
    """Return how many people an answer counts beyond those that the request was about.

    A call for everyone may count all people on the course, also those who had nothing to reset.
    """
    return 0 if count is None or count == in_course else max(0, count - named)


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
    """The class of the underlying error, such as ``DecodingError``; None in older journals."""
    status: int | None = None
    """The status of the answer, if at least its head was received; None in older journals."""


def was_accepted(event: Lost) -> bool:
    """Return whether a 2xx came that could not be read; older journals show it by the cause, or by the message."""
    if event.status is not None:
        return 200 <= event.status < 300
    return event.cause == "DecodingError" or (event.cause is None and _UNREADABLE in event.message)


_UNREADABLE = "with something unreadable"
"""In the messages of before, where the cause is not named."""


@frozen
class ReadBack:
    """The results of reading back uncertain people: ``applied``, ``not applied`` or ``unknown``."""

    at: datetime
    chunk: int
    verdicts: Mapping[str, str]
    disregarded: tuple[str, ...] = ()
    """Sentences about fields that were ignored because the service keeps them in a reset; empty in older journals."""
    others: tuple[str, ...] = ()
    """The user ids of people outside the plan whom a call for everyone may have reset; empty in older journals."""


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
