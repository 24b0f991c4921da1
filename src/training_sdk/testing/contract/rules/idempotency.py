"""Checks that a repeated request takes effect only once: R11."""

from __future__ import annotations

import secrets

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.wire import unused_hex
from training_sdk.testing.contract.world import KEY, Course, Row, World, recorded, updated

REUSED = (422, "IDEMPOTENCY_KEY_REUSED")
Header = tuple[str, str]


def _key() -> Header:
    return KEY, f"kit-{secrets.token_hex(8)}"


@check(
    "R11",
    "The same Idempotency-Key, body and confirmation give the first 200 again, byte for byte; with another body or "
    "confirmation 422.",
    "decided",
)
def repeated_keys(world: World) -> None:
    """Send the same key again: unchanged, for another person, and with another number."""
    course = world.course()
    row, other = world.completed(course, 2)
    users, key = [row["user_id"]], [_key()]
    first = world.reset(course, users, 1, headers=key).expect(200)
    with world.unchanged():
        again = world.reset(course, users, 1, headers=key).expect(200)
        if again.body != first.body:
            raise BrokenRuleError(again.sent, f"the first answer again: {first.text}", again.text)
        world.reset(course, [other["user_id"]], 1, headers=key).expect(*REUSED)
        world.reset(course, users, 2, headers=key).expect(*REUSED)


@check("R11", "Only a 200 is kept: the same key may be used again after a 404 or a 412.", "decided")
def refusals_are_not_kept(world: World) -> None:
    """Send a reset of an unknown course and one with a wrong confirmation; correct and resend each."""
    course = world.course()
    rows = world.completed(course, 2)
    for row, changes, count, status in zip(
        rows, ({"courseId": unused_hex(24)}, {}), (1, 2), (404, 412), strict=True
    ):
        users, key = [row["user_id"]], [_key()]
        world.reset(course, users, count, headers=key, **changes).needed(status)
        world.reset(course, users, 1, headers=key).expect(200)


@check("R11", "A repetition has no effect of its own, though there be progress again.", "decided")
def a_repetition_does_nothing(world: World) -> None:
    """Reset a person who then completes the course again; repeat the first request."""
    world.controllable()
    course, row = world.completion()
    users, key = [row["user_id"]], [_key()]
    world.reset(course, users, 1, headers=key).expect(200)
    world.act("complete-course", course["id"], row["user_id"])
    with world.unchanged():
        world.reset(course, users, 1, headers=key).expect(200)


@check(
    "R11",
    "Rights are checked before a repetition: whoever may not reset gets no answer of others.",
    "decided",
)
def no_right_to_a_repetition(world: World) -> None:
    """Send an administrator's request again as a learner."""
    course, row = world.completion()
    key = [_key()]
    world.reset(course, [row["user_id"]], 1, headers=key).expect(200)
    with world.unchanged():
        world.reset(course, [row["user_id"]], 1, who="learner", headers=key).expect(403)


@check("R11", "A key counts for one actor alone.", "decided")
def keys_of_one_actor(world: World) -> None:
    """Let two users of the same organisation send the same key for two learners."""
    world.token("resetter")
    course = world.course()
    first, second = world.completed(course, 2)
    key = [_key()]
    world.reset(course, [first["user_id"]], 1, headers=key).expect(200)
    world.reset(course, [second["user_id"]], 1, who="resetter", headers=key).expect(200)
    world.gone(course, second)


@check("R11", "A key counts for one organisation alone.", "decided")
def keys_of_one_organisation(world: World) -> None:
    """Let administrators of two organisations send the same key."""
    world.needs_own("This check resets a person of another organisation")
    course, row = world.completion()
    theirs, their_row = _elsewhere(world)
    key = [_key()]
    world.reset(course, [row["user_id"]], 1, headers=key).expect(200)
    users = [their_row["user_id"]]
    updated(world.reset(theirs, users, 1, who="outsider", headers=key).expect(200), 1)
    after = world.row(theirs["id"], users[0], "outsider")
    if recorded(after) == recorded(their_row):
        raise BrokenRuleError(world.noted, "their own learner reset", str(after))


def _elsewhere(world: World) -> tuple[Course, Row]:
    """Return a course and a person of another organisation who has completed it."""
    courses = {each["id"]: each for each in world.courses("outsider")}
    for row in world.rows("outsider"):
        if row["completed_at"] and row["course_id"] in courses:
            return courses[row["course_id"]], row
    raise NotCheckedError("No person of another organisation has completed a course.")
