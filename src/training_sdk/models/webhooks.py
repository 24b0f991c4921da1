"""Webhooks: who is told of events, and the secret that tells a true event from a forged one."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen

from training_sdk.models.base import NOTHING_EXTRA, Extra, Model, OpenEnum


class TriggerEvent(OpenEnum):
    """What a webhook can be told of in Training (names third-party); the vendor has many more, for other products."""

    COURSE_CREATED = "TRIGGER_EVENT_TRAINING_COURSE_CREATED"
    COURSE_UPDATED = "TRIGGER_EVENT_TRAINING_COURSE_UPDATED"
    COURSE_PUBLISHED = "TRIGGER_EVENT_TRAINING_COURSE_PUBLISHED"
    COURSE_REPUBLISHED = "TRIGGER_EVENT_TRAINING_COURSE_REPUBLISHED"
    COURSE_UNPUBLISHED = "TRIGGER_EVENT_TRAINING_COURSE_UNPUBLISHED"
    COURSE_DELETED = "TRIGGER_EVENT_TRAINING_COURSE_DELETED"
    COURSE_ENROLLED = "TRIGGER_EVENT_TRAINING_COURSE_ENROLLED"
    COURSE_OPENED = "TRIGGER_EVENT_TRAINING_COURSE_OPENED"
    COURSE_COMPLETED = "TRIGGER_EVENT_TRAINING_COURSE_COMPLETED"
    COURSE_EXPIRED = "TRIGGER_EVENT_TRAINING_COURSE_EXPIRED"
    COURSE_RESET = "TRIGGER_EVENT_TRAINING_COURSE_RESET"
    LESSON_OPENED = "TRIGGER_EVENT_TRAINING_LESSON_OPENED"
    LESSON_COMPLETED = "TRIGGER_EVENT_TRAINING_LESSON_COMPLETED"


@frozen
class Webhook(Model):
    """An address that is told of events (published; ``created_at`` assumed, what follows it third-party)."""

    webhook_id: str
    url: str
    trigger_events: tuple[TriggerEvent, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    enabled: bool | None = None
    user_id: str | None = None
    organisation_id: str | None = None


@frozen
class WebhookSecret(Model):
    """What an organisation's events are signed with (name of the field assumed); not shown when it is printed."""

    token: str = field(repr=lambda _: "***")

    def has_signed(self, body: bytes, signature: str | None) -> bool:
        """Whether this is the signature of this body: its HMAC-SHA256 in hexadecimal digits (published).

        ``body`` is what was received, byte for byte, and ``signature`` the header ``x-safetyculture-signature``, or
        None where there is none. An empty secret has signed nothing: anybody could.
        """
        if not signature or not self.token:
            return False
        expected = hmac.new(self.token.encode(), body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))


@frozen
class EventActor(Model):
    """Who caused an event (published)."""

    user: str | None = None
    organization: str | None = None
    """A UUID with hyphens, where ``users.me()`` says ``role_`` and the same 32 digits."""


@frozen
class EventFacts(Model):
    """What happened, when, and by whom (published)."""

    date_triggered: datetime | None = None
    event_types: tuple[TriggerEvent, ...] = ()
    triggered_by: EventActor = EventActor()


@frozen
class EventResource(Model):
    """What an event is about (published): of training events, a course (assumed)."""

    id: str | None = None
    type: str | None = None


@frozen
class WebhookEvent(Model):
    """What is posted to a webhook (published, but for ``data``, whose form is assumed); ``read_event`` makes one."""

    webhook_id: str
    event: EventFacts
    version: str | None = None
    resource: EventResource = EventResource()
    data: Extra = NOTHING_EXTRA
    """Whatever else the service says; of training events under ``details`` who and which course (assumed)."""

    @property
    def is_reset(self) -> bool:
        """Whether progress in a course was reset: one event for each person and course."""
        return TriggerEvent.COURSE_RESET in self.event.event_types

    @property
    def course_id(self) -> str | None:
        """The course that it is about; None if the event does not say that."""
        found = self._detail("course_id", "courseId")
        return found or (self.resource.id if self.resource.type == "COURSE" else None)

    @property
    def user_id(self) -> str | None:
        """The learner that it is about, not the one who caused it; None if the event does not say that."""
        return self._detail("user_id", "userId")

    @property
    def organisation_id(self) -> str | None:
        """The organisation in the spelling of the event; None if the event does not say that."""
        return self.event.triggered_by.organization or self._detail("org_id", "orgId")

    def _detail(self, *names: str) -> str | None:
        details = self.data.get("details")
        found = [details.get(name) for name in names] if isinstance(details, Mapping) else []
        return next((one for one in found if isinstance(one, str) and one), None)
