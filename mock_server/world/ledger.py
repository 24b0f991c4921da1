"""What the world writes down or keeps: certificates, notifications, audit log, queue, webhooks, idempotency keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock

from attrs import define, field, frozen


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


RESET_EVENT = "TRIGGER_EVENT_TRAINING_COURSE_RESET"


@frozen
class Webhook:
    """One subscription of an organisation."""

    id: str
    organisation_id: str
    url: str
    trigger_events: tuple[str, ...]
    created_at: str


@frozen
class Message:
    """One event on its way to one webhook: somebody's progress in a course was reset (R24)."""

    webhook: Webhook
    secret: str = field(repr=False)
    date_triggered: str
    actor_id: str
    course_id: str
    course_title: str
    user_id: str


@define
class Window:
    """How many requests have come since it began."""

    began_at: datetime
    spent: int = 0


Slot = tuple[str, str, str, str]
"""Organisation, actor, operation and key: what a key is scoped to."""


@define(eq=False)
class IdempotencyKeys:
    """The answers kept by key, and the keys of requests that are still running."""

    kept: dict[Slot, tuple[str, bytes]] = field(factory=dict)
    """Fingerprint and body of the first 200."""
    _running: Counter[Slot] = field(factory=Counter)
    _lock: Lock = field(factory=Lock)

    @contextmanager
    def running(self, slot: Slot | None) -> Iterator[bool]:
        """Mark a request as running from its arrival on; tells whether another with its key was so already."""
        if slot is None:
            yield False
            return
        with self._lock:
            is_repeat = self._running[slot] > 0
            self._running[slot] += 1
        try:
            yield is_repeat
        finally:
            with self._lock:
                self._running -= Counter((slot,))
