"""What follows a reset: notifications, certificates, late writes, the audit log, webhooks: R18, R19, R22 to R24."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from training_sdk._urls import is_loopback
from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.outcome import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.receiver import Received, receiver
from training_sdk.testing.contract.wire import Answer, unused_hex
from training_sdk.testing.contract.world import Course, Json, Row, World

DAY = 86_400
EVENT = "TRIGGER_EVENT_TRAINING_COURSE_RESET"
WEBHOOKS = "/webhooks/v1/webhooks"
SIGNATURE = "x-safetyculture-signature"
PATIENCE = 10.0
"""Seconds that events may take to arrive."""
A_MOMENT = 0.02
"""Seconds for one event too many to arrive."""


@check(
    "R18",
    'One "course assigned" notification per user reset who has them on; none to anybody else.',
    "article",
)
def notifications(world: World) -> None:
    """One of each kind is reset, and the outbox is read before and after."""
    course = world.course()
    settings = _notification_settings(world)
    rows = world.completed(course, sum(bool(r["completed_at"]) for r in world.rows(course_id=course["id"])))
    chosen = [next((r for r in rows if settings.get(r["user_id"]) is wish), None) for wish in (True, False)]
    if not all(chosen):
        raise NotCheckedError(f"in {course['title']!r} nobody with notifications on, or nobody with them off")
    before = world.control("GET", "outbox")["notifications"]
    world.cleared(course, *(row for row in chosen if row))
    after = world.control("GET", "outbox")["notifications"]
    told = [(each["course_id"], each["user_id"]) for each in after[len(before) :]]
    expected = [(course["id"], chosen[0]["user_id"])] if chosen[0] else []
    others = [each for each in told if each not in expected and each[0] == course["id"]]
    if told.count(expected[0]) != 1 or others:
        came = f"{told.count(expected[0])}, and {len(others)} to others"
        raise BrokenRuleError("a reset of two learners, one with notifications off", "1 notification", came)


def _notification_settings(world: World) -> dict[str, bool]:
    """Who wants to be told; the vendor's wire does not show it, the state document does."""
    document = world.control("GET", "state")
    people = [person for each in document["organisations"] for person in each["people"]]
    return {person["id"]: person["notifications"] for person in people}


@check(
    "R19",
    "With certificates on, completing again issues a new one, with a new number and date; the old one is not shown.",
    "article, decided",
)
def certificates(world: World) -> None:
    """Before the reset, after it, and after a new completion a day later."""
    course, row = _certified(world)
    key = (course["id"], row["user_id"])
    old = _certificates(world, *key)
    world.cleared(course, row)
    _expect(world, "after a reset", "no certificate", _certificates(world, *key), lambda held: not held)
    world.control("POST", "clock", {"advance": DAY})
    world.act("complete-course", *key)
    new = _certificates(world, *key)
    _expect(world, "completing again", "one certificate", new, lambda held: len(held) == 1)
    for name in ("number", "issued_at"):
        if new[0][name] in {each[name] for each in old}:
            raise BrokenRuleError("completing again", f"a new {name}", f"{new[0][name]} as before")


def _certified(world: World) -> tuple[Course, Row]:
    """Somebody who holds a certificate, and its course."""
    shown = [
        (each["course_id"], each["user_id"]) for each in world.control("GET", "certificates")["certificates"]
    ]
    course = world.course()
    if not any(course_id == course["id"] for course_id, _ in shown):
        raise NotCheckedError(f"{course['title']!r} gives no certificates")
    row = next(
        (row for row in world.rows(course_id=course["id"]) if (course["id"], row["user_id"]) in shown), None
    )
    if row is None:
        raise NotCheckedError("nobody holds a certificate")
    return course, row


@check("R19", "Never a certificate without a completion, and never with the switch off.", "article, decided")
def no_undeserved_certificates(world: World) -> None:
    """A learner who is only half-way, and a completion in a course that gives none."""
    course = world.course()
    idle = world.not_begun(course)
    world.act("open", course["id"], idle["user_id"])
    held = _certificates(world, course["id"], idle["user_id"])
    _expect(world, "opening the course", "no certificate", held, lambda held: not held)
    off = _without_certificates(world)
    if not off:
        raise NotCheckedError("every course with completions gives certificates")
    (row,) = world.completed(off[0])
    world.cleared(off[0], row)
    world.act("complete-course", off[0]["id"], row["user_id"])
    held = _certificates(world, off[0]["id"], row["user_id"])
    _expect(world, "completing a course without certificates", "none", held, lambda held: not held)


def _without_certificates(world: World) -> list[Course]:
    """Courses that somebody has completed and that give no certificate; the state document says which."""
    state = world.control("GET", "state")
    entries = [each["course"] for organisation in state["organisations"] for each in organisation["courses"]]
    off = {each["id"] for each in entries if not each["certificate"]}
    done = {row["course_id"] for row in world.rows() if row["completed_at"]}
    courses = (each for each in world.courses() if each["status"] == "Published")
    return [each for each in courses if each["id"] in off & done]


def _certificates(world: World, course: str, user: str) -> list[Json]:
    every = world.control("GET", "certificates")["certificates"]
    return [each for each in every if (each["course_id"], each["user_id"]) == (course, user)]


def _expect(world: World, sent: str, expected: str, held: Any, fits: Callable[[Any], bool]) -> None:
    if not fits(held):
        raise BrokenRuleError(sent, expected, json.dumps(held)[:300])


@check(
    "R22",
    "A learner's write made before the reset that arrives after it is refused; one made after it is taken.",
    "decided",
)
def late_writes(world: World) -> None:
    """A device that was offline sends what was done the day before, and then what was done since."""
    course = world.course()
    (row,) = world.completed(course)
    now = world.control("GET", "clock")["now"]
    world.control("POST", "clock", {"advance": DAY})
    world.cleared(course, row)
    after = world.row(course["id"], row["user_id"])
    world.control("POST", "clock", {"advance": DAY})
    late = _write(world, course, row, made_at=now)
    if late.status < 400:
        raise BrokenRuleError(late.sent, "409, the write was made before the reset", late.came)
    shown = world.row(course["id"], row["user_id"])
    if shown != after:
        raise BrokenRuleError(late.sent, f"the row as after the reset: {after}", str(shown))
    _write(world, course, row).expect(200)


def _write(world: World, course: Course, row: Row, **when: str) -> Answer:
    body = {"course": course["id"], "user": row["user_id"], **when}
    answer = world.wire.control("POST", "learners/complete-course", world.token("admin"), body=body)
    world.last = f"{answer.sent} → {answer.status} {answer.reason}".rstrip()
    return answer


@check(
    "R23",
    "An append-only audit log has who, when, course, users, request id and outcome, of resets done and refused, "
    "and holds no past completion.",
    "decided",
)
def audit_log(world: World) -> None:
    """A reset that is done and one that is refused, found by their request ids."""
    course = world.course()
    (row,) = world.completed(course)
    before = _entries(world)
    done, refused = (f"kit-{unused_hex(16)}" for _ in range(2))
    user, me, elsewhere = row["user_id"], world.me(), unused_hex(24)
    request_id = "x-request-id"
    world.reset(course, [user], 1, headers=[(request_id, refused)], courseId=elsewhere).expect(404)
    answer = world.reset(course, [user], 1, headers=[(request_id, done)])
    if answer.status != 200:
        raise NotCheckedError(f"a plain reset is refused: {answer.came}")
    after = _entries(world)
    if after[: len(before)] != before:
        raise BrokenRuleError("two resets", "earlier entries as before", "others")
    ended = _outcome(after, refused, elsewhere, user, me)
    if ended == _outcome(after, done, course["id"], user, me):
        raise BrokenRuleError("a reset done and one refused", "two outcomes", f"{ended!r} twice")
    told = json.dumps(after[len(before) :])
    for date in (row["completed_at"], row["opened_at"]):
        if date in told:
            raise BrokenRuleError("two resets", "nothing of the past in the log", f"the date {date}")


def _entries(world: World) -> list[Json]:
    return list(world.control("GET", "audit")["entries"])


def _outcome(entries: list[Json], request_id: str, course: str, user: str, actor: str) -> Any:
    """The outcome of the one entry of a request, which must name the rest."""
    found = [each for each in entries if each["request_id"] == request_id]
    if len(found) != 1:
        raise BrokenRuleError(
            f"a reset with the request id {request_id}", "one entry", f"{len(found)} entries"
        )
    (entry,) = found
    said = (entry["actor_id"], entry["course_id"], user in entry["user_ids"], bool(entry["at"]))
    if said != (actor, course, True, True):
        raise BrokenRuleError(
            f"a reset of {user} by {actor} in {course}", "these in its entry", json.dumps(entry)[:300]
        )
    return entry["outcome"]


@check(
    "R24",
    f"One signed webhook event {EVENT} per user reset, if a webhook subscribes.",
    "reference, decided",
)
def webhooks(world: World) -> None:
    """Two learners are reset while a receiver on this machine listens."""
    course = world.course()
    rows = world.completed(course, 2)
    if not _is_near(world):
        raise NotCheckedError("the service is elsewhere, and cannot reach a receiver on this machine")
    with receiver() as received:
        made = world.send("POST", WEBHOOKS, body={"url": received.url, "trigger_events": [EVENT]})
        if made.status in (404, 501):
            raise NotCheckedError(f"the service has no webhooks: {made.came}")
        made.expect(200)
        try:
            secret = str(world.get("/webhooks/v1/token")["token"])
            world.cleared(course, *rows)
            _wait(world, received, len(rows))
        finally:
            world.send("DELETE", f"{WEBHOOKS}/{made.json()['webhook_id']}")
        _signed_events(received, secret, course, [row["user_id"] for row in rows])


def _is_near(world: World) -> bool:
    host = world.wire.base_url.origin.partition("://")[2].rpartition("@")[2]
    return world.is_own or is_loopback(host.rsplit(":", 1)[0].strip("[]"))


def _wait(world: World, received: Received, number: int) -> None:
    """Until so many have come, and nothing more is under way as far as the service says."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        waiting = world.control("GET", "deliveries")["waiting"] if world.is_own else 0
        if len(received.deliveries) >= number and not waiting:
            break
        time.sleep(0.005)
    time.sleep(A_MOMENT)


def _signed_events(received: Received, secret: str, course: Course, users: list[str]) -> None:
    sent = f"a reset of {len(users)} learners, a webhook subscribed"
    told = []
    for headers, body in received.deliveries:
        signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(headers.get(SIGNATURE, ""), signed):
            came = f"{SIGNATURE}: {headers.get(SIGNATURE, 'none')}"
            raise BrokenRuleError(sent, "the HMAC-SHA256 of the body, signed with the token", came)
        event = json.loads(body)
        if event["event"]["event_types"] != [EVENT] or event["resource"]["id"] != course["id"]:
            raise BrokenRuleError(sent, f"{EVENT} of the course {course['id']}", body.decode()[:300])
        told.append(event["data"]["details"]["user_id"])
    if sorted(told) != sorted(users):
        raise BrokenRuleError(sent, f"one event for each of {users}", f"events for {told or 'nobody'}")


CHECKS = (notifications, certificates, no_undeserved_certificates, late_writes, audit_log, webhooks)
