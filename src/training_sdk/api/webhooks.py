"""Webhooks: addresses that receive events, and the secret that signs the events."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime

from attrs import field, frozen

from training_sdk._core import argument_checks, codec, urls
from training_sdk._core.flow import Flow, Request, Response
from training_sdk._core.listing import Paginator
from training_sdk._core.model import NOTHING_EXTRA, Extra, Model, OpenEnum
from training_sdk._core.operation import Bound, D, listing, operation
from training_sdk.api import pagination
from training_sdk.errors import InvalidArgumentError


class TriggerEvent(OpenEnum):
    """The events of Training (names third-party). The vendor has many other events, for other products."""

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
    """An address that receives events (published; ``created_at`` assumed, the fields after it third-party)."""

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
    """The secret that signs an organisation's events (name of the field assumed). Its ``repr`` does not show it."""

    token: str = field(repr=lambda _: "***")

    def has_signed(self, body: bytes, signature: str | None) -> bool:
        """Return whether the signature is the HMAC-SHA256 of the body with this secret (published).

        Arguments:

        - ``body``: The body of the request, exactly as it was received.
        - ``signature``: The value of the header ``x-safetyculture-signature`` in hexadecimal digits, or None if there
          is no such header.

        With an empty secret no signature is valid.
        """
        if not signature or not self.token:
            return False
        expected = hmac.new(self.token.encode(), body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))


@frozen
class EventActor(Model):
    """The user and organisation that caused an event (published)."""

    user: str | None = None
    organization: str | None = None
    """The organisation as a UUID with hyphens; ``users.me()`` returns ``role_`` and the same 32 digits."""


@frozen
class EventFacts(Model):
    """Kind, time and cause of an event (published)."""

    date_triggered: datetime | None = None
    event_types: tuple[TriggerEvent, ...] = ()
    triggered_by: EventActor = EventActor()


@frozen
class EventResource(Model):
    """The subject of an event (published). The subject of training events is a course (assumed)."""

    id: str | None = None
    type: str | None = None


@frozen
class WebhookEvent(Model):
    """An event that was sent to a webhook (published; the form of ``data`` is assumed). ``read_event`` returns it."""

    webhook_id: str
    event: EventFacts
    version: str | None = None
    resource: EventResource = EventResource()
    data: Extra = NOTHING_EXTRA
    """Further data of the service. Training events have the user and the course under ``details`` (assumed)."""

    @property
    def is_reset(self) -> bool:
        """True if progress was reset. There is one event for each user and course."""
        return TriggerEvent.COURSE_RESET in self.event.event_types

    @property
    def course_id(self) -> str | None:
        """The id of the course; None if the event does not name it."""
        found = self._detail("course_id", "courseId")
        return found or (self.resource.id if self.resource.type == "COURSE" else None)

    @property
    def user_id(self) -> str | None:
        """The user id of the learner, not of the user who caused the event; None if the event does not name it."""
        return self._detail("user_id", "userId")

    @property
    def organisation_id(self) -> str | None:
        """The id of the organisation as the event spells it; None if the event does not name it."""
        return self.event.triggered_by.organization or self._detail("org_id", "orgId")

    def _detail(self, *names: str) -> str | None:
        details = self.data.get("details")
        found = [details.get(name) for name in names] if isinstance(details, Mapping) else []
        return next((one for one in found if isinstance(one, str) and one), None)


EVENT_NOT_SIGNED = "EVENT_NOT_SIGNED"
"""The reason of an InvalidArgumentError for an event without a valid signature."""

_PATH = "/webhooks/v1/webhooks"
_SIGNING = "/webhooks/v1/token"

_read_secret = codec.decoder(WebhookSecret)


@frozen
class _Webhooks:
    webhook: tuple[Webhook, ...] = ()


class Webhooks(Bound[D]):
    """``client.webhooks``. All operations raise PermissionDeniedError without the permission set Administrator."""

    @listing
    def list(self) -> Paginator[Webhook]:
        """List the organisation's webhooks.

        REST: ``GET /webhooks/v1/webhooks`` (published).
        """
        return pagination.single_page(self._calls, _PATH, _Webhooks, items=lambda answer: answer.webhook)

    @operation
    def get(self, webhook_id: str) -> Flow[Webhook]:
        """Return one webhook. Raises NotFoundError if there is no such webhook.

        REST: ``GET /webhooks/v1/webhooks/{id}`` (published).
        """
        return self._calls.call(Request("GET", _one(webhook_id)), _read_webhook)

    @operation
    def create(self, url: str, *, events: Iterable[TriggerEvent | str]) -> Flow[Webhook]:
        """Create a webhook and return it. The service then sends events to its address.

        The request is never sent twice, because two webhooks may have the same address. The reference server sends only
        ``COURSE_RESET``, and only to this machine and to hosts that were allowed.

        Arguments:

        - ``url``: The http or https address that receives the events.
        - ``events``: TriggerEvent members, or names of other events that the service knows.

        Raises:

        - ``OutcomeUnknownError``: The answer was lost. ``list`` shows whether the webhook exists.
        - ``ReadOnlyError``: The client is read-only.

        REST: ``POST /webhooks/v1/webhooks`` (published).
        """
        self._calls.refuse_to_write("webhooks.create")
        body = {
            "url": argument_checks.web_address(url, "url"),
            "trigger_events": argument_checks.texts(events, "events"),
        }
        request = Request("POST", _PATH, body=codec.dumps(body), repeatable=False)
        return self._calls.call(request, _read_webhook)

    @operation
    def delete(self, webhook_id: str) -> Flow[None]:
        """Delete a webhook. Events that were sent before still arrive.

        Raises:

        - ``NotFoundError``: There is no such webhook. If an answer was lost, the request is sent again, and then the
          first attempt may have deleted it.
        - ``ReadOnlyError``: The client is read-only.

        REST: ``DELETE /webhooks/v1/webhooks/{id}`` (published).
        """
        self._calls.refuse_to_write("webhooks.delete")
        return self._calls.call(Request("DELETE", _one(webhook_id)), lambda _: None)

    @operation
    def secret(self) -> Flow[WebhookSecret]:
        """Return the secret that signs the organisation's events. It is the ``token`` of the result.

        REST: ``GET /webhooks/v1/token`` (path published, shape assumed).
        """
        return self._calls.call(Request("GET", _SIGNING), _read_secret)

    @operation
    def renew_secret(self) -> Flow[WebhookSecret]:
        """Replace the secret for all webhooks of the organisation, and return the new one.

        Events that were sent before are signed with the previous secret. The request is never sent twice.

        Raises:

        - ``OutcomeUnknownError``: The answer was lost. ``secret`` returns the secret that is valid now.
        - ``ReadOnlyError``: The client is read-only.

        REST: ``POST /webhooks/v1/token`` (path published, shape assumed).
        """
        self._calls.refuse_to_write("webhooks.renew_secret")
        request = Request("POST", _SIGNING, body=codec.dumps({}), repeatable=False)
        return self._calls.call(request, _read_secret)


def _one(webhook_id: str) -> str:
    return urls.path(f"{_PATH}/{{id}}", id=argument_checks.one_id(webhook_id, "webhook_id"))


def _read_webhook(response: Response) -> Webhook:
    """Return one webhook, bare or under the key ``webhook``: third parties have written clients for either."""
    found = codec.loads(response)
    if isinstance(found, dict) and isinstance(found.get("webhook"), dict):
        found = found["webhook"]
    return codec.structure(found, Webhook, response)


def read_event(body: bytes, signature: str | None, secret: WebhookSecret) -> WebhookEvent:
    """Check the signature of an event that was sent to a webhook, and return the event.

    Events may arrive more than once, in any order, and before the call that caused them has returned.

    Arguments:

    - ``body``: The body of the request, exactly as it was received.
    - ``signature``: The value of the header ``x-safetyculture-signature``, or None if there is no such header.
    - ``secret``: The secret of the organisation, as ``client.webhooks.secret`` returns it.

    Raises:

    - ``InvalidArgumentError``: The event is not signed with this secret (``EVENT_NOT_SIGNED``).
    - ``DecodingError``: The event is signed, but cannot be read.
    """
    if not secret.has_signed(body, signature):
        raise InvalidArgumentError(
            "The event is not signed with the secret of this organisation, so any sender is possible. "
            "Ignore it. If the secret was renewed recently, try the previous one.",
            argument="signature",
            reason=EVENT_NOT_SIGNED,
        )
    answer = Response(200, (), body)
    return codec.structure(codec.loads(answer), WebhookEvent, answer)
