"""What the world writes down: certificates, notifications and the audit log."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen


@frozen
class Certificate:
    """Proof of one completion."""

    number: str
    organisation_id: str
    course_id: str
    user_id: str
    issued_at: str


@frozen
class Notification:
    """One message in the outbox."""

    id: str
    organisation_id: str
    user_id: str
    course_id: str
    sent_at: str
    kind: str = "course assigned"


@frozen
class AuditEntry:
    """One reset that was asked for, done or refused (R23). Holds nothing of the progress that was there."""

    at: datetime
    organisation_id: str
    actor_id: str
    request_id: str
    course_id: str
    """As asked for; "" where the request did not say."""
    everyone: bool
    """Whether everyone in the course was meant: of a reset that was done, as it was understood."""
    user_ids: tuple[str, ...]
    """Those listed in the request, the first 20 of a refused one; those reset where it was everyone."""
    outcome: str
    """"done", "replayed", "queued", or the reason of the refusal. A refusal after a part has an entry of each kind."""
    status: int
    """HTTP status of the answer."""
    users_updated: int = 0
    reset_ids: tuple[str, ...] = ()
    """Those whose progress was cleared; of those listed, some may have had none (R09, R21)."""
    users_asked: int = 0
    """How many users the request listed, or were reset where it was everyone."""
    absent_ids: tuple[str, ...] = ()
    """Users who were not assigned and whose progress was cleared as well, by the policy ``absent`` (R10)."""


@frozen
class QueuedReset:
    """One person's reset that was accepted and is not carried out yet (``emulates="queues_resets"``)."""

    due_at: datetime
    organisation_id: str
    actor_id: str
    request_id: str
    course_id: str
    user_id: str
