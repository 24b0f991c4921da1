"""Checks of webhooks: one per user (R24), and none if there is nothing to reset (R21)."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import define, field

from training_sdk._core.urls import is_loopback
from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.wire import MOST_SHOWN, Answer
from training_sdk.testing.contract.world import INVALID, RECORDED, Course, World, snake

HOST = "127.0.0.1"
LONGEST = 1024 * 1024


@define
class Received:
    """Received requests: headers with lower-case names, and bodies."""

    url: str
    deliveries: list[tuple[dict[str, str], bytes]] = field(factory=list)


@contextmanager
def receiver() -> Iterator[Received]:
    """Listen on a free port of the loopback address; answer every request with 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = min(int(self.headers.get("content-length") or 0), LONGEST)
            body = self.rfile.read(length)
            made.deliveries.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    made = Received(f"http://{HOST}:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


EVENT = "TRIGGER_EVENT_TRAINING_COURSE_RESET"
WEBHOOKS = "/webhooks/v1/webhooks"
SIGNATURE = "x-safetyculture-signature"
PATIENCE = 10.0
"""Seconds to wait for events."""
A_MOMENT = 0.02
"""Seconds to wait for an event too many."""


@check(
    "R24",
    f"One signed webhook event {EVENT} per user reset, if a webhook subscribes: with the course, who did it, and "
    "nothing of the progress.",
    "reference, decided",
)
def webhooks(world: World) -> None:
    """Reset two learners and one person who has not started, while a receiver on this machine listens."""
    course = world.course()
    rows, idle = world.completed(course, 2), world.not_begun(course)
    users = [row["user_id"] for row in rows]
    with _listening(world) as (received, secret):
        world.reset(course, [*users, idle["user_id"]], len(users)).needed()
        _wait(world, received, len(users))
    sent = f"a reset of {len(users)} learners, a webhook subscribed"
    _signed(sent, received, secret)
    events = [_event(sent, body) for _, body in received.deliveries]
    for event in events:
        _tells_the_rest(sent, event, course, world.me())
    told = [str(_at(sent, event, "data", "details", "user_id")) for event in events]
    if sorted(told) != sorted(users):
        raise BrokenRuleError(sent, f"one event for each of {users}", f"events for {told or 'nobody'}")


@check("R21", "Nor does it send a webhook event.", "decided")
def nothing_to_reset_is_no_event(world: World) -> None:
    """Reset one person who has not started, while a receiver on this machine listens."""
    course = world.course()
    idle = world.not_begun(course)
    with _listening(world) as (received, _):
        world.reset(course, [idle["user_id"]], 0)
        _wait(world, received, 0)
    if received.deliveries:
        raise BrokenRuleError("a reset of one who has not begun", "no event", f"{len(received.deliveries)}")


@contextmanager
def _listening(world: World) -> Iterator[tuple[Received, str]]:
    """Yield a receiver that is registered as a webhook of the service, and the signing secret."""
    if not _is_near(world):
        raise NotCheckedError("The service runs on another machine, and cannot reach a receiver on this one.")
    with receiver() as received:
        made = world.send("POST", WEBHOOKS, body={"url": received.url, "trigger_events": [EVENT]})
        if made.status in (404, 501):
            raise NotCheckedError(f"The service has no webhooks: {made.came}")
        if _is_of_the_address(made):
            raise NotCheckedError(
                "This server delivers webhooks to no host of this machine. Start it with serve --allow-webhook-host "
                f"{HOST}."
            )
        try:
            made.expect(200)
            yield received, str(world.get("/webhooks/v1/token")["token"])
        finally:
            _removed(world, made)


def _is_of_the_address(made: Answer) -> bool:
    """Return True if the service refuses this receiver's address, and not webhooks in general."""
    refused = (made.status, made.reason, made.blamed) == (400, INVALID, "url")
    return refused and HOST in made.message


def _removed(world: World, made: Answer) -> None:
    """Delete the webhook that an answer names, whatever its status; it is noted as left behind until it is deleted."""
    told = made.json()
    webhook = told.get("webhook_id") if isinstance(told, dict) else None
    if webhook:
        path = f"{WEBHOOKS}/{webhook}"
        left = f"the webhook {webhook}. Remove it: DELETE {path}"
        world.wire.left.append(left)
        if world.send("DELETE", path).status in (200, 204, 404) or world.is_own:
            world.wire.left.remove(left)


def _is_near(world: World) -> bool:
    host = world.wire.base_url.origin.partition("://")[2].rpartition("@")[2]
    return world.is_own or is_loopback(host.rsplit(":", 1)[0].strip("[]"))


def _wait(world: World, received: Received, number: int) -> None:
    """Wait until this number has come, and the service reports no event under way."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        waiting = world.control("GET", "deliveries")["waiting"] if world.is_own else 0
        if len(received.deliveries) >= number and not waiting:
            break
        time.sleep(0.005)
    time.sleep(A_MOMENT)


def _signed(sent: str, received: Received, secret: str) -> None:
    for headers, body in received.deliveries:
        signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        # As bytes: text is compared only if it is ASCII, which a broken server's need not be.
        if not hmac.compare_digest(headers.get(SIGNATURE, "").encode(errors="replace"), signed.encode()):
            came = f"{SIGNATURE}: {headers.get(SIGNATURE, 'none')}"
            raise BrokenRuleError(sent, "the HMAC-SHA256 of the body, signed with the token", came)


def _event(sent: str, body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BrokenRuleError(
            sent, "events in JSON", body[:MOST_SHOWN].decode(errors="replace") or "nothing"
        ) from None


def _at(sent: str, event: Any, *names: str) -> Any:
    """Return the value at a path of an event. A missing field is the server's fault."""
    value = event
    for name in names:
        if not isinstance(value, dict) or name not in value:
            raise BrokenRuleError(sent, f"events with {'.'.join(names)}", _shown(event))
        value = value[name]
    return value


def _shown(value: Any) -> str:
    return json.dumps(value)[:MOST_SHOWN]


def _tells_the_rest(sent: str, event: Any, course: Course, me: str) -> None:
    """Check type, course and actor, and that the event contains nothing of the past."""
    types, resource = _at(sent, event, "event", "event_types"), _at(sent, event, "resource", "id")
    named, actor = _at(sent, event, "data", "details", "course_id"), _at(sent, event, "event", "triggered_by")
    if (types, resource, named) != ([EVENT], course["id"], course["id"]):
        raise BrokenRuleError(sent, f"{EVENT} of the course {course['id']}", _shown(event))
    if _at(sent, event, "event", "triggered_by", "user") != me:
        raise BrokenRuleError(sent, f"triggered by {me}", _shown(actor))
    past = sorted(set(_names(event)) & set(RECORDED))
    if past:
        raise BrokenRuleError(sent, "nothing of the past in it", f"it holds {', '.join(past)}")


def _names(value: Any) -> Iterator[str]:
    """Yield the name of every field, at any depth, in snake_case."""
    if isinstance(value, dict):
        yield from snake(value)
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names(each)
