"""Webhooks: who is told of events, and what those are signed with."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from training_sdk._core import argument_checks, codec, pagination, urls
from training_sdk._core.flow import Flow, Request, Response
from training_sdk._core.listing import Walk
from training_sdk._core.operation import Bound, D, listing, operation
from training_sdk.errors import InvalidArgumentError
from training_sdk.models.webhooks import TriggerEvent, Webhook, WebhookEvent, WebhookSecret

EVENT_NOT_SIGNED = "EVENT_NOT_SIGNED"
"""The reason of an InvalidArgumentError for an event that nobody has signed, or somebody else."""

_PATH = "/webhooks/v1/webhooks"
_SIGNING = "/webhooks/v1/token"

_read_secret = codec.decoder(WebhookSecret)


@frozen
class _Webhooks:
    webhook: tuple[Webhook, ...] = ()


class Webhooks(Bound[D]):
    """``client.webhooks``; everything here needs the permission set Administrator, or raises PermissionDeniedError."""

    @listing
    def list(self) -> Walk[Webhook]:
        """List the organisation's webhooks.

        REST: ``GET /webhooks/v1/webhooks`` (published).
        """
        return pagination.undivided(self._calls, _PATH, _Webhooks, items=lambda answer: answer.webhook)

    @operation
    def get(self, webhook_id: str) -> Flow[Webhook]:
        """Return one webhook. Raises NotFoundError if there is none.

        REST: ``GET /webhooks/v1/webhooks/{id}`` (published).
        """
        return self._calls.call(Request("GET", _one(webhook_id)), _read_webhook)

    @operation
    def create(self, url: str, *, events: Iterable[TriggerEvent | str]) -> Flow[Webhook]:
        """Have an address told of events, and return the webhook.

        ``url`` is an http or https address. ``events`` are TriggerEvents, or the names of others that the service
        knows. The reference server sends ``COURSE_RESET`` only, and only to this machine and to hosts it was allowed.
        Two webhooks may have one address, so this is never sent twice: a lost answer raises OutcomeUnknownError, and
        ``list`` shows whether the webhook is there. Raises ReadOnlyError on a client that cannot write.

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
        """Delete a webhook; what is on its way to it still arrives.

        Raises NotFoundError if there is none. Sent again when an answer is lost, so it may also be raised where the
        first attempt has done it. Raises ReadOnlyError on a client that cannot write.

        REST: ``DELETE /webhooks/v1/webhooks/{id}`` (published).
        """
        self._calls.refuse_to_write("webhooks.delete")
        return self._calls.call(Request("DELETE", _one(webhook_id)), lambda _: None)

    @operation
    def secret(self) -> Flow[WebhookSecret]:
        """Return the secret that the organisation's events are signed with.

        Its ``token`` holds it; printing does not show it.

        REST: ``GET /webhooks/v1/token`` (path published, shape assumed).
        """
        return self._calls.call(Request("GET", _SIGNING), _read_secret)

    @operation
    def renew_secret(self) -> Flow[WebhookSecret]:
        """Take a new secret for all webhooks of the organisation, and return it.

        What is on its way is signed with the one before. Never sent twice: a lost answer raises OutcomeUnknownError,
        and ``secret`` tells which one holds. Raises ReadOnlyError on a client that cannot write.

        REST: ``POST /webhooks/v1/token`` (path published, shape assumed).
        """
        self._calls.refuse_to_write("webhooks.renew_secret")
        request = Request("POST", _SIGNING, body=codec.dumps({}), repeatable=False)
        return self._calls.call(request, _read_secret)


def _one(webhook_id: str) -> str:
    return urls.path(f"{_PATH}/{{id}}", id=argument_checks.one_id(webhook_id, "webhook_id"))


def _read_webhook(response: Response) -> Webhook:
    """One webhook, bare or under the key ``webhook``: third parties have written clients for either."""
    found = codec.loads(response)
    if isinstance(found, dict) and isinstance(found.get("webhook"), dict):
        found = found["webhook"]
    return codec.structure(found, Webhook, response)


def read_event(body: bytes, signature: str | None, secret: WebhookSecret) -> WebhookEvent:
    """Return the event that was posted to a webhook, once its signature fits.

    ``body`` is what was received, byte for byte, and ``signature`` the header ``x-safetyculture-signature``, or None
    where there is none. Events may come more than once, in any order, and before the reset that causes them has
    returned. Raises InvalidArgumentError (``EVENT_NOT_SIGNED``) for one that the secret has not signed, and
    DecodingError for a signed one that cannot be read.
    """
    if not secret.has_signed(body, signature):
        raise InvalidArgumentError(
            "the event is not signed with the secret of this organisation, so anybody may have sent it. Ignore it; if "
            "the secret was renewed lately, try the one before",
            reason=EVENT_NOT_SIGNED,
        )
    answer = Response(200, (), body)
    return codec.structure(codec.loads(answer), WebhookEvent, answer)
