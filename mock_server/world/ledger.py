"""Certificates, notifications, audit log, queued resets, webhooks, idempotency keys and rate-limit windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from itertools import chain
from threading import Lock
from typing import Generic, TypeVar

from attrs import define, field, frozen

T = TypeVar("T")


@frozen
class Certificate:
    """The certificate of one completion."""

    number: str
    organisation_id: str
    course_id: str
    user_id: str
    issued_at: str


@frozen
class Notification:
    """A notification that was sent to a user."""

    id: str
    organisation_id: str
    user_id: str
    course_id: str
    sent_at: str
    kind: str = "course assigned"


@frozen
class MadeWhenRead(Generic[T]):
    """Things that are made each time they are read, and not before."""

    _make: Callable[[], Iterator[T]]

    def __iter__(self) -> Iterator[T]:
        return self._make()


class Outbox:
    """All notifications sent, oldest first. Used under the world's lock.

    Those of a reset are made when the outbox is next read: to make them takes longer than the rest of a large reset.
    """

    def __init__(self, sent: Iterable[Notification] = ()) -> None:
        self._sent = list(sent)
        self._unread: list[Iterable[Notification]] = []

    def extend(self, several: Iterable[Notification]) -> None:
        """Add notifications, which can be read more than once."""
        self._unread.append(several)

    def __iter__(self) -> Iterator[Notification]:
        if self._unread:
            sent = [*self._sent, *chain.from_iterable(self._unread)]
            # Only now: a reading that is interrupted, as by Ctrl-C, begins again the next time.
            self._sent, self._unread = sent, []
        return iter(self._sent)


@frozen
class AuditEntry:
    """A requested reset, done or refused (R23). It contains no data of the cleared progress."""

    at: datetime
    organisation_id: str
    actor_id: str
    request_id: str
    course_id: str
    """The course in the request; "" if it names none."""
    everyone: bool
    """True for a reset of everyone in the course, as the server understood the request."""
    user_ids: tuple[str, ...]
    """The users in the request, at most 20 of a refused one; for everyone, the users that were reset."""
    outcome: str
    """"done", "replayed", "queued", or the reason of the refusal. A reset refused part-way has an entry for each."""
    status: int
    """The HTTP status of the answer."""
    users_updated: int = 0
    reset_ids: tuple[str, ...] = ()
    """The users whose progress was cleared. A user without progress is not among them (R09, R21)."""
    users_asked: int = 0
    """The number of users in the request; for everyone, the number of users that were reset."""
    absent_ids: tuple[str, ...] = ()
    """Users who are not assigned and whose progress was cleared by the policy ``absent`` (R10)."""


@frozen
class QueuedReset:
    """An accepted reset of one person that is not carried out yet (``emulates="queues_resets"``)."""

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
    """One event to send to one webhook: the progress of a user in a course was reset (R24)."""

    webhook: Webhook
    secret: str = field(repr=False)
    date_triggered: str
    actor_id: str
    course_id: str
    course_title: str
    user_id: str


@define
class Window:
    """Requests of one user counted against one limit."""

    began_at: datetime
    spent: int = 0


Slot = tuple[str, str, str, str]
"""Scope of an idempotency key: organisation, actor, operation and key."""


_NO_KEY = nullcontext(False)


@define(eq=False)
class IdempotencyKeys:
    """Answers stored by idempotency key, and the keys of requests in flight."""

    kept: dict[Slot, tuple[str, bytes]] = field(factory=dict)
    """Fingerprint of the request and body of the first 200 answer."""
    _running: Counter[Slot] = field(factory=Counter)
    _lock: Lock = field(factory=Lock)

    def running(self, slot: Slot | None) -> AbstractContextManager[bool]:
        """Mark a request as in flight; the context says whether another request with its key already is."""
        return _NO_KEY if slot is None else self._marked(slot)

    @contextmanager
    def _marked(self, slot: Slot) -> Iterator[bool]:
        with self._lock:
            is_repeat = self._running[slot] > 0
            self._running[slot] += 1
        try:
            yield is_repeat
        finally:
            with self._lock:
                self._running -= Counter((slot,))
