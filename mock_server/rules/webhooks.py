"""R24: webhooks get one signed event for every user reset."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.rules.access import Reach
from mock_server.transports.guard import is_loopback
from mock_server.wire.answers import to_json
from mock_server.world import clock
from mock_server.world.ledger import RESET_EVENT, Message

if TYPE_CHECKING:
    from mock_server.rules.access import Actor
    from mock_server.world.courses import Course
    from mock_server.world.organisation import Organisation
    from mock_server.world.world import World

ADMINISTRATOR = "Administrator"
SIGNATURE = "x-safetyculture-signature"
MAX_PENDING = 100_000
"""Most messages to send; further ones are dropped with a line in the log (delivery is best effort)."""

log = logging.getLogger("mock_server")


def rights(_world: World, actor: Actor, _body: object) -> Reach:
    """Require the permission set Administrator, whatever other sets hold; 403 without it (P)."""
    sets = actor.organisation.permission_sets
    if any(
        sets[each].name == ADMINISTRATOR and not sets[each].custom for each in actor.person.permission_sets
    ):
        return Reach.ALL
    message = f'This needs the permission set "{ADMINISTRATOR}" (webhooks).'
    raise RefusedError(Reason.PERMISSION_DENIED, message, {"permissionSet": ADMINISTRATOR})


def check_url(world: World, url: str) -> str:
    """Return an http or https address on an allowed host, by default loopback; 400 for any other."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    bad = (
        parts.username is not None
        or parts.fragment
        or not url.isascii()
        or not url.isprintable()
        or " " in url
    )
    if parts.scheme not in ("http", "https") or not host or bad:
        raise invalid(
            "url must be an http or https address with a host and without user name, space and fragment.",
            "url",
        )
    allowed = world.webhook_hosts
    if host not in allowed and not (is_loopback(host) and "localhost" in allowed):
        own = (
            "Webhooks are delivered to this machine only"
            if "localhost" in allowed
            else "Webhooks are delivered to no host, because other machines can reach this server"
        )
        raise invalid(
            f"url must not be on {host[:100]}. {own}. Allow the host with serve --allow-webhook-host, or"
            " mock.webhooks.allow in Python.",
            "url",
        )
    return url


def secret(world: World, organisation: Organisation) -> str:
    """Return the secret that signs an organisation's webhooks; a new one after every rotation."""
    generation = world.webhook_secrets.get(organisation.id, 0)
    return f"whsec_{world.ids.derive(f'webhook secret/{organisation.id}/{generation}', 48)}"


def for_reset(world: World, actor: Actor, course: Course, user_ids: Sequence[str]) -> list[Message]:
    """Return one message per user reset and subscribed webhook."""
    organisation = actor.organisation
    subscribed = [
        each
        for each in world.webhooks.values()
        if each.organisation_id == organisation.id and RESET_EVENT in each.trigger_events
    ]
    if not subscribed:
        return []
    key, now = secret(world, organisation), clock.to_text(world.clock.now())
    return [
        Message(webhook, key, now, actor.id, course.id, course.title, user_id)
        for user_id in user_ids
        for webhook in subscribed
    ]


def send(world: World, messages: Sequence[Message]) -> None:
    """Queue messages; they are sent once the world's lock is free."""
    room = max(0, MAX_PENDING - len(world.pending))
    world.pending.extend(messages[:room])
    if len(messages) > room:
        log.warning(
            "%d webhook messages were dropped, because %d are waiting already.",
            len(messages) - room,
            MAX_PENDING,
        )


def body(message: Message) -> bytes:
    """Return the envelope (P) with a training event (A). It holds no data of the cleared progress (R15)."""
    organisation = message.webhook.organisation_id
    return to_json(
        {
            "webhook_id": message.webhook.id,
            "version": "3.0.0",
            "event": {
                "date_triggered": message.date_triggered,
                "event_types": [RESET_EVENT],
                "triggered_by": {"user": message.actor_id, "organization": _dashed(organisation)},
            },
            "resource": {"id": message.course_id, "type": "COURSE"},
            "data": {
                "event": {"training_course_reset": {}},
                "details": {
                    "course_id": message.course_id,
                    "course_title": message.course_title,
                    "user_id": message.user_id,
                    "org_id": _dashed(organisation),
                },
            },
        }
    )


def signature(key: str, payload: bytes) -> str:
    """Return the HMAC-SHA256 of the raw body in hexadecimal digits (P)."""
    return hmac.new(key.encode(), payload, hashlib.sha256).hexdigest()


def _dashed(role_id: str) -> str:
    """Return an organisation's id as the vendor's webhooks write it; an id of another form stays."""
    digits = role_id.removeprefix("role_")
    try:
        return str(UUID(hex=digits))
    except ValueError:
        return role_id
