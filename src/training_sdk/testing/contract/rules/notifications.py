"""Checks of effects after a reset: notifications, certificates, late writes, log and webhooks: R18, R19, R22."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.wire import Answer
from training_sdk.testing.contract.world import Course, Json, Row, World, is_recorded

DAY = 86_400
LATE: tuple[tuple[str, Json], ...] = (
    ("open", {}),
    ("post-to-discussion", {"text": "contract kit"}),
    ("submit-assessment", {}),
    ("hand-in-assignment", {}),
    ("complete-course", {}),
)
"""Actions that a learner may have done offline."""


@check(
    "R18",
    'One "course assigned" notification per user reset who has them on; none to anybody else.',
    "article",
)
def notifications(world: World) -> None:
    """Reset one person of each kind and one who has not started; compare the outbox before and after."""
    course = world.course()
    settings = _notification_settings(world)
    recorded = [row for row in world.rows(course_id=course["id"]) if row["completed_at"]]
    chosen = [
        next((r for r in recorded if settings.get(r["user_id"]) is wish), None) for wish in (True, False)
    ]
    rows = [row for row in chosen if row]
    if len(rows) < len(chosen):
        raise NotCheckedError(
            f"{course['title']!r} has no person who completed it with notifications on, or none with notifications off."
        )
    idle = [row for row in world.rows(course_id=course["id"]) if not is_recorded(row)]
    beside = [row for row in idle if settings.get(row["user_id"])][:1]
    before = _outbox(world)
    world.reset(course, [row["user_id"] for row in (*rows, *beside)], len(rows)).needed()
    _told(world, "a reset of two learners, one with notifications off", before, course, [rows[0]["user_id"]])


@check("R18", "So it is where everyone in a course is reset.", "article")
def notifications_of_everyone(world: World) -> None:
    """Compare the outbox, before and after, with all people with recorded progress and their settings."""
    course = world.course()
    settings = _notification_settings(world)
    users = [row["user_id"] for row in world.rows(course_id=course["id"]) if is_recorded(row)]
    before = _outbox(world)
    world.reset(course, None, len(users)).needed()
    _told(world, "a reset of everyone", before, course, [user for user in users if settings[user]])


@check(
    "R18",
    "Nobody is notified of a course that learners cannot open.",
    "decided",
    policy={"unpublished_notifications": "none"},
)
def no_notifications_of_unpublished_courses(world: World) -> None:
    """Reset people with notifications on, in a draft and in an archived course; compare the outbox."""
    settings = _notification_settings(world)
    before = _outbox(world)
    for status in ("Draft", "Archived"):
        course = world.course(status=status)
        rows = [row for row in world.rows(course_id=course["id"]) if row["completed_at"]]
        chosen = next((row for row in rows if settings.get(row["user_id"])), None)
        if chosen is None:
            raise NotCheckedError(f"No person with notifications on has completed {course['title']!r}.")
        world.reset(course, [chosen["user_id"]], 1).needed()
        _told(world, f"a reset in a course that is {status}", before, course, ())


def _outbox(world: World) -> list[Json]:
    return list(world.control("GET", "outbox")["notifications"])


def _told(world: World, sent: str, before: list[Json], course: Course, users: Collection[str]) -> None:
    """Check that exactly these users were notified of exactly this course, once each."""
    told = Counter((each["course_id"], each["user_id"]) for each in _outbox(world)[len(before) :])
    expected = Counter((course["id"], user) for user in users)
    if told != expected:
        right, others = (told & expected).total(), (told - expected).total()
        number = f"{len(users)} notification{'' if len(users) == 1 else 's'}"
        raise BrokenRuleError(sent, number, f"{right}, and {others} to others, of other courses or twice")


def _notification_settings(world: World) -> dict[str, bool]:
    """Return who wants notifications: the state document shows it, the vendor's API does not."""
    document = world.control("GET", "state")
    people = [person for each in document["organisations"] for person in each["people"]]
    return {person["id"]: person["notifications"] for person in people}


@check(
    "R19",
    "With certificates on, completing again issues a new one, with a new number and date; the old one is not shown.",
    "article, decided",
)
def certificates(world: World) -> None:
    """Check two learners' certificates: before a reset, after it, and after a new completion a day later."""
    course, rows = _certified(world)
    key = (course["id"], rows[0]["user_id"])
    old = _certificates(world, *key)
    world.cleared(course, *rows)
    for row in rows:
        held = _certificates(world, course["id"], row["user_id"])
        _expect(world, "after a reset", "no certificate", held, lambda held: not held)
    world.control("POST", "clock", {"advance": DAY})
    world.act("complete-course", *key)
    new = _certificates(world, *key)
    _expect(world, "completing again", "one certificate", new, lambda held: len(held) == 1)
    for name in ("number", "issued_at"):
        if new[0][name] in {each[name] for each in old}:
            raise BrokenRuleError("completing again", f"a new {name}", f"{new[0][name]} as before")


def _certified(world: World) -> tuple[Course, list[Row]]:
    """Return a course and two people who have a certificate of it."""
    shown = [
        (each["course_id"], each["user_id"]) for each in world.control("GET", "certificates")["certificates"]
    ]
    course = world.course()
    if not any(course_id == course["id"] for course_id, _ in shown):
        raise NotCheckedError(f"{course['title']!r} issues no certificates.")
    rows = [row for row in world.rows(course_id=course["id"]) if (course["id"], row["user_id"]) in shown]
    if len(rows) < 2:
        raise NotCheckedError(f"Fewer than two people have a certificate of {course['title']!r}.")
    return course, rows[:2]


@check("R19", "Never a certificate without a completion, and never with the switch off.", "article, decided")
def no_undeserved_certificates(world: World) -> None:
    """Check a learner who opens the course and does a lesson, and a completion of a course without certificates."""
    course = world.course()
    idle = world.not_begun(course)
    lesson = world.lessons(course["id"], idle["user_id"])[0]["lessonId"]
    for action, details in (("open", {}), ("complete-lesson", {"lesson": lesson})):
        world.act(action, course["id"], idle["user_id"], **details)
        held = _certificates(world, course["id"], idle["user_id"])
        _expect(world, f"{action}, the course not completed", "no certificate", held, lambda held: not held)
    off = _without_certificates(world)
    if not off:
        raise NotCheckedError("Every course with completions issues certificates.")
    (row,) = world.completed(off[0])
    world.cleared(off[0], row)
    world.act("complete-course", off[0]["id"], row["user_id"])
    held = _certificates(world, off[0]["id"], row["user_id"])
    _expect(world, "completing a course without certificates", "none", held, lambda held: not held)


def _without_certificates(world: World) -> list[Course]:
    """Return courses without a certificate that people have completed, by the state document."""
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
    """Send the actions of the day before from an offline device, of every kind, and then newer ones."""
    course, row = world.completion()
    now = world.control("GET", "clock")["now"]
    world.control("POST", "clock", {"advance": DAY})
    world.cleared(course, row)
    world.control("POST", "clock", {"advance": DAY})
    with world.unchanged():
        for action, details in LATE:
            late = _write(world, action, row, made_at=now, **details)
            if late.status < 400:
                raise BrokenRuleError(late.sent, "409, the write was made before the reset", late.came)
    _write(world, "complete-course", row).expect(200)


def _write(world: World, action: str, row: Row, **details: object) -> Answer:
    body = {"course": row["course_id"], "user": row["user_id"], **details}
    return world.controlled("POST", f"learners/{action}", body)
