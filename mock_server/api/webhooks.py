"""Webhooks of an organisation, and the secret that signs them."""

from __future__ import annotations

from mock_server.api.operation import Call, Link, Operation, the_one
from mock_server.refusal import Reason, invalid
from mock_server.rules import webhooks
from mock_server.wire import answers
from mock_server.wire.message import Response
from mock_server.wire.schema import Date, answer, choice, field, many, sent_object, sent_text
from mock_server.world import clock
from mock_server.world import ledger as world

MOST = 1000
_MOST_EVENTS = 100


@answer("P")
class Webhook:
    """A subscription to events."""

    webhook_id: str
    url: str
    trigger_events: list[str]
    created_at: Date = field("The moment of the subscription.", mark="A")


@answer("P")
class Webhooks:
    """All webhooks of an organisation."""

    webhook: list[Webhook]


@answer("A")
class WebhookDeleted:
    """An answer without fields."""


@answer("A")
class WebhookToken:
    """The secret that signs webhooks."""

    token: str = field("The secret of the signature, which is the HMAC-SHA256 of the raw body.")


_NOT_FOUND = (Reason.WEBHOOK_NOT_FOUND,)
_SUBSCRIPTION = sent_object(
    "P",
    {
        "url": {
            **sent_text("An address on this machine. The live service accepts any address."),
            "examples": ["http://127.0.0.1:9/"],
        },
        "trigger_events": many(
            choice([world.RESET_EVENT]),
            "The only event that this server sends.",
            minItems=1,
            maxItems=_MOST_EVENTS,
        ),
    },
    ("url", "trigger_events"),
)
_CREATED_ID = "$response.body#/webhook_id"


@Operation(
    "CreateWebhook",
    "POST /webhooks/v1/webhooks",
    "P",
    webhooks.rights,
    Webhook,
    body=_SUBSCRIPTION,
    links=(
        Link("Webhook", "GetWebhook", "The stored webhook.", {"id": _CREATED_ID}),
        Link("End", "DeleteWebhook", "Stop the events.", {"id": _CREATED_ID}),
    ),
)
def create_webhook(call: Call) -> Response:
    """Subscribe to events."""
    fields = call.fields(call.body, ("url", "trigger_events"))
    url = webhooks.check_url(call.world, fields.text("url"))
    events = fields.texts("trigger_events", _MOST_EVENTS)
    if not events or set(events) != {world.RESET_EVENT}:
        raise invalid(
            f"trigger_events must be [{world.RESET_EVENT}], the only event that the reference server sends.",
            "trigger_events",
        )
    if len(_of(call)) >= MOST:
        raise invalid(f"There are {MOST} webhooks already. Delete one first.")
    made = world.Webhook(
        call.world.ids.uuid("webhook"),
        call.organisation.id,
        url,
        tuple(dict.fromkeys(events)),
        clock.to_text(call.world.clock.now()),
    )
    call.world.webhooks[made.id] = made
    return answers.ok(_webhook(made))


@Operation("ListWebhooks", "GET /webhooks/v1/webhooks", "P", webhooks.rights, Webhooks)
def list_webhooks(call: Call) -> Response:
    """List webhooks."""
    return answers.ok(Webhooks([_webhook(each) for each in _of(call)]))


@Operation("GetWebhook", "GET /webhooks/v1/webhooks/{id}", "P", webhooks.rights, Webhook, refusals=_NOT_FOUND)
def get_webhook(call: Call) -> Response:
    """Get a webhook."""
    return answers.ok(_webhook(_find(call)))


@Operation(
    "DeleteWebhook",
    "DELETE /webhooks/v1/webhooks/{id}",
    "P",
    webhooks.rights,
    WebhookDeleted,
    refusals=_NOT_FOUND,
)
def delete_webhook(call: Call) -> Response:
    """Delete a webhook.

    Events that are being sent still arrive.
    """
    del call.world.webhooks[_find(call).id]
    return answers.ok(WebhookDeleted())


@Operation("GetWebhookToken", "GET /webhooks/v1/token", "P", webhooks.rights, WebhookToken)
def get_token(call: Call) -> Response:
    """Get the secret that signs webhooks."""
    return _token(call)


@Operation(
    "CreateWebhookToken",
    "POST /webhooks/v1/token",
    "P",
    webhooks.rights,
    WebhookToken,
    body=sent_object("A", {}),
)
def create_token(call: Call) -> Response:
    """Create a new secret that signs webhooks.

    Events that are being sent have signatures of the old secret.
    """
    call.fields(call.body, ())
    secrets, own = call.world.webhook_secrets, call.organisation.id
    secrets[own] = secrets.get(own, 0) + 1
    return _token(call)


def _token(call: Call) -> Response:
    return answers.ok(WebhookToken(webhooks.secret(call.world, call.organisation)))


def _of(call: Call) -> list[world.Webhook]:
    return [each for each in call.world.webhooks.values() if each.organisation_id == call.organisation.id]


def _find(call: Call) -> world.Webhook:
    return the_one(call.path_id("id"), _of(call), Reason.WEBHOOK_NOT_FOUND, "webhook")


def _webhook(webhook: world.Webhook) -> Webhook:
    return Webhook(webhook.id, webhook.url, list(webhook.trigger_events), webhook.created_at)
