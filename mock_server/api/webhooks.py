"""Webhooks of an organisation and the secret they are signed with."""

from __future__ import annotations

from mock_server.api.call import Call
from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.rules import webhooks
from mock_server.wire import answers
from mock_server.wire.message import Response
from mock_server.wire.shapes import Json
from mock_server.world import clock
from mock_server.world.ledger import RESET_EVENT, Webhook

MOST = 1000


def create(call: Call) -> Response:
    """POST /webhooks/v1/webhooks."""
    fields = call.fields(call.body, ("url", "trigger_events"))
    url = webhooks.check_url(call.world, fields.text("url"))
    events = fields.texts("trigger_events", 100)
    if not events or set(events) != {RESET_EVENT}:
        raise invalid(
            f"trigger_events must be [{RESET_EVENT}]; the reference server sends no other.", "trigger_events"
        )
    if len(_of(call)) >= MOST:
        raise invalid(f"There are {MOST} webhooks already; delete one first.")
    made = Webhook(
        call.world.ids.uuid("webhook"),
        call.organisation.id,
        url,
        tuple(dict.fromkeys(events)),
        clock.to_text(call.world.clock.now()),
    )
    call.world.webhooks[made.id] = made
    return answers.ok(_shape(made))


def list_all(call: Call) -> Response:
    """GET /webhooks/v1/webhooks."""
    return answers.ok({"webhook": [_shape(each) for each in _of(call)]})


def get(call: Call) -> Response:
    """GET /webhooks/v1/webhooks/{id}."""
    return answers.ok(_shape(_find(call)))


def delete(call: Call) -> Response:
    """DELETE /webhooks/v1/webhooks/{id}; what is on its way still arrives."""
    del call.world.webhooks[_find(call).id]
    return answers.ok({})


def get_secret(call: Call) -> Response:
    """GET /webhooks/v1/token."""
    return answers.ok({"token": webhooks.secret(call.world, call.organisation)})


def new_secret(call: Call) -> Response:
    """POST /webhooks/v1/token: the next one; what is on its way is signed with the one before."""
    call.fields(call.body, ())
    secrets, own = call.world.webhook_secrets, call.organisation.id
    secrets[own] = secrets.get(own, 0) + 1
    return get_secret(call)


def _of(call: Call) -> list[Webhook]:
    return [each for each in call.world.webhooks.values() if each.organisation_id == call.organisation.id]


def _find(call: Call) -> Webhook:
    wanted = call.path_id("id")
    for each in _of(call):
        if each.id == wanted:
            return each
    raise RefusedError(Reason.WEBHOOK_NOT_FOUND, f"There is no webhook {wanted}.", {"ids": wanted})


def _shape(webhook: Webhook) -> Json:
    return {
        "webhook_id": webhook.id,
        "url": webhook.url,
        "trigger_events": list(webhook.trigger_events),
        "created_at": webhook.created_at,
    }
