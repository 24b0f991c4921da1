"""Webhooks of an organisation, and the secret that signs them."""

from __future__ import annotations

from mock_server.api.call import Call, Operation, link
from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.rules import webhooks
from mock_server.wire import answers
from mock_server.wire.answer_class import Date, answer, field
from mock_server.wire.message import Response
from mock_server.wire.schema import choice, many, sent_object, sent_text
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
    created_at: Date = field("When it was made.", mark="A")


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

    token: str = field("Secret of the signature, HMAC-SHA256 of the raw body.")


def _create(call: Call) -> Response:
    fields = call.fields(call.body, ("url", "trigger_events"))
    url = webhooks.check_url(call.world, fields.text("url"))
    events = fields.texts("trigger_events", _MOST_EVENTS)
    if not events or set(events) != {world.RESET_EVENT}:
        raise invalid(
            f"trigger_events must be [{world.RESET_EVENT}]; the reference server sends no other.",
            "trigger_events",
        )
    if len(_of(call)) >= MOST:
        raise invalid(f"There are {MOST} webhooks already; delete one first.")
    made = world.Webhook(
        call.world.ids.uuid("webhook"),
        call.organisation.id,
        url,
        tuple(dict.fromkeys(events)),
        clock.to_text(call.world.clock.now()),
    )
    call.world.webhooks[made.id] = made
    return answers.ok(_webhook(made))


def _list(call: Call) -> Response:
    return answers.ok(Webhooks([_webhook(each) for each in _of(call)]))


def _get(call: Call) -> Response:
    return answers.ok(_webhook(_find(call)))


def _delete(call: Call) -> Response:
    """Delete a webhook; events that are being sent still arrive."""
    del call.world.webhooks[_find(call).id]
    return answers.ok(WebhookDeleted())


def _get_secret(call: Call) -> Response:
    return answers.ok(WebhookToken(webhooks.secret(call.world, call.organisation)))


def _create_secret(call: Call) -> Response:
    """Replace the secret; events that are being sent are signed with the one before."""
    call.fields(call.body, ())
    secrets, own = call.world.webhook_secrets, call.organisation.id
    secrets[own] = secrets.get(own, 0) + 1
    return _get_secret(call)


def _of(call: Call) -> list[world.Webhook]:
    return [each for each in call.world.webhooks.values() if each.organisation_id == call.organisation.id]


def _find(call: Call) -> world.Webhook:
    wanted = call.path_id("id")
    for each in _of(call):
        if each.id == wanted:
            return each
    raise RefusedError(Reason.WEBHOOK_NOT_FOUND, f"There is no webhook {wanted}.", {"ids": wanted})


def _webhook(webhook: world.Webhook) -> Webhook:
    return Webhook(webhook.id, webhook.url, list(webhook.trigger_events), webhook.created_at)


_WEBHOOKS, _TOKEN = "/webhooks/v1/webhooks", "/webhooks/v1/token"
_NOT_FOUND = (Reason.PERMISSION_DENIED, Reason.WEBHOOK_NOT_FOUND)
_SUBSCRIPTION = sent_object(
    "P",
    {
        "url": {
            **sent_text("On this machine; the live service takes any address."),
            "examples": ["http://127.0.0.1:9/"],
        },
        "trigger_events": many(
            choice([world.RESET_EVENT]), "The only one that is sent here.", minItems=1, maxItems=_MOST_EVENTS
        ),
    },
    ("url", "trigger_events"),
)
_CREATED_ID = "$response.body#/webhook_id"

ROUTES = (
    Operation(
        "CreateWebhook",
        "POST",
        _WEBHOOKS,
        "P",
        _create,
        webhooks.rights,
        answer=Webhook,
        summary="Subscribe to events.",
        body=_SUBSCRIPTION,
        refusals=(Reason.PERMISSION_DENIED,),
        links={
            "Webhook": link("GetWebhook", "The webhook as it is kept.", id=_CREATED_ID),
            "End": link("DeleteWebhook", "No further events.", id=_CREATED_ID),
        },
    ),
    Operation(
        "ListWebhooks",
        "GET",
        _WEBHOOKS,
        "P",
        _list,
        webhooks.rights,
        answer=Webhooks,
        summary="List webhooks.",
        refusals=(Reason.PERMISSION_DENIED,),
    ),
    Operation(
        "GetWebhook",
        "GET",
        f"{_WEBHOOKS}/{{id}}",
        "P",
        _get,
        webhooks.rights,
        answer=Webhook,
        summary="Get a webhook.",
        refusals=_NOT_FOUND,
    ),
    Operation(
        "DeleteWebhook",
        "DELETE",
        f"{_WEBHOOKS}/{{id}}",
        "P",
        _delete,
        webhooks.rights,
        answer=WebhookDeleted,
        summary="Delete a webhook.",
        refusals=_NOT_FOUND,
    ),
    Operation(
        "GetWebhookToken",
        "GET",
        _TOKEN,
        "P",
        _get_secret,
        webhooks.rights,
        answer=WebhookToken,
        summary="Get the secret that webhooks are signed with.",
        refusals=(Reason.PERMISSION_DENIED,),
    ),
    Operation(
        "CreateWebhookToken",
        "POST",
        _TOKEN,
        "P",
        _create_secret,
        webhooks.rights,
        answer=WebhookToken,
        summary="Take a new secret to sign webhooks with.",
        body=sent_object("A", {}),
        refusals=(Reason.PERMISSION_DENIED,),
    ),
)
