"""What a reset takes: R06 to R09, R11."""

from __future__ import annotations

import json
import secrets

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.outcome import BrokenRuleError
from training_sdk.testing.contract.wire import RESET, unused_hex
from training_sdk.testing.contract.world import (
    INVALID,
    KEY,
    Course,
    Json,
    World,
    confirming,
    is_recorded,
    updated,
)


@check(
    "R06", "A reset without a confirmation changes nothing: 428 CONFIRMATION_REQUIRED.", "article, decided"
)
def no_confirmation(world: World) -> None:
    """For one learner and for everyone."""
    course = world.course()
    (row,) = world.completed(course)
    with world.unchanged(course):
        for users in ([row["user_id"]], None):
            world.reset(course, users).expect(428, "CONFIRMATION_REQUIRED")


@check(
    "R06",
    "A confirmation of another title or number changes nothing: 412 CONFIRMATION_MISMATCH, saying what is true.",
    "article, decided",
)
def untrue_confirmation(world: World) -> None:
    """Titles that look alike, and numbers close by."""
    course = world.course()
    (row,) = world.completed(course)
    title = course["title"]
    with world.unchanged(course):
        for said, users in (
            (title.swapcase(), 1),
            (f"{title} ", 1),
            (f"{title}\u200b", 1),
            (title, 2),
            (title, 0),
        ):
            answer = world.reset(course, [row["user_id"]], headers=[confirming(said, users)])
            answer.expect(412, "CONFIRMATION_MISMATCH")
            spellings = (json.dumps(title)[1:-1], json.dumps(title, ensure_ascii=False)[1:-1])
            if not any(spelled in answer.text for spelled in spellings):
                raise BrokenRuleError(answer.sent, f"the true title {title!r} in the answer", answer.text)


@check("R06", "A confirmation that is not of its form changes nothing: 400 INVALID_ARGUMENT.", "decided")
def malformed_confirmation(world: World) -> None:
    """Not JSON, another number of keys, a number that is none."""
    course = world.course()
    (row,) = world.completed(course)
    good = {"courseTitle": course["title"], "users": 1}
    said = ["yes", "[]", json.dumps(good | {"users": True}), json.dumps(good | {"users": "1"})]
    said += [json.dumps(good | {"force": True}), json.dumps({"courseTitle": course["title"]})]
    with world.unchanged(course):
        for each in said:
            answer = world.reset(course, [row["user_id"]], headers=[("reset-confirmation", each)])
            answer.expect(400, INVALID)


@check(
    "R07",
    "Scope never widens: neither or both of userIds and allUsers, an empty list, null, allUsers false, an unknown "
    "field, a repeated key or both spellings of one are 400 INVALID_ARGUMENT; nothing changes.",
    "decided",
)
def scope_never_widens(world: World) -> None:
    """Every body that somebody could take for "everyone" by mistake."""
    course = world.course()
    (row,) = world.completed(course)
    users = [row["user_id"]]
    everyone = sum(is_recorded(each) for each in world.rows(course_id=course["id"]))
    with world.unchanged(course):
        scopes: tuple[Json, ...] = (
            {},
            {"userIds": users, "allUsers": True},
            {"userIds": []},
            {"userIds": None},
            {"allUsers": None},
            {"allUsers": False},
            {"userIds": users, "dryRun": True},
            {"learnerIds": users},
            {"userIds": users, "user_ids": users},
        )
        for scope in scopes:
            for count in (everyone if world.is_own else 1, 1):
                body = json.dumps({"courseId": course["id"], **scope})
                _refused(world, course, body, count)
        listed = json.dumps(users)
        _refused(
            world, course, f'{{"courseId": "{course["id"]}", "userIds": {listed}, "userIds": {listed}}}', 1
        )


def _refused(world: World, course: Course, body: str, count: int) -> None:
    confirmed = confirming(course["title"], count)
    answer = world.send("POST", RESET, content=body.encode(), headers=[confirmed])
    answer.expect(400, INVALID)


@check(
    "R08",
    "One listed user who does not exist fails the whole call: 404, the id named, nothing changed.",
    "decided",
)
def one_unknown_user_stops_all(world: World) -> None:
    """An invented user, and where there is one, a user of another organisation."""
    course = world.course()
    (row,) = world.completed(course)
    strangers = [world.unknown_user()]
    if "outsider" in world.tokens:
        strangers.append(world.me("outsider"))
    with world.unchanged(course):
        for stranger in strangers:
            answer = world.reset(course, [row["user_id"], stranger], 1).expect(404, "USER_NOT_FOUND")
            if stranger not in answer.text:
                raise BrokenRuleError(answer.sent, f"the id {stranger} named", answer.text[:300])


@check("R08", "Repeated ids count once; more than 1000 ids as sent are 400.", "decided")
def repeated_and_too_many_ids(world: World) -> None:
    """The same learner 1001 times, then twice."""
    course = world.course()
    (row,) = world.completed(course)
    with world.unchanged(course):
        world.reset(course, [row["user_id"]] * 1001, 1).expect(400, INVALID)
    updated(world.reset(course, [row["user_id"]] * 2, 1), 1)


@check(
    "R09",
    "Whoever has anything recorded is reset, completed or not; a listed user without is left alone, uncounted.",
    "decided",
)
def recorded_progress_is_what_counts(world: World) -> None:
    """Somebody half-way, beside somebody who has not begun."""
    course = world.course()
    begun, idle = world.begun(course), world.not_begun(course)
    updated(world.reset(course, [begun["user_id"], idle["user_id"]], 1), 1)
    after = world.row(course["id"], idle["user_id"])
    if after != idle:
        raise BrokenRuleError(world.last, f"the row as before: {idle}", str(after))


@check(
    "R09",
    "Every action of a learner sets the date of opening, so that eligibility can be read off the feed.",
    "decided",
)
def a_lone_post_counts(world: World) -> None:
    """Somebody who only posts to the discussion is opened, and is reset."""
    course = world.course()
    idle = world.not_begun(course)
    world.act("post-to-discussion", course["id"], idle["user_id"], text="contract kit")
    row = world.row(course["id"], idle["user_id"])
    if not row["opened_at"]:
        raise BrokenRuleError("a learner's post to the discussion", "opened_at set in their row", str(row))
    updated(world.reset(course, [idle["user_id"]], 1), 1)


@check("R09", "A reset of everyone resets exactly those with recorded progress.", "decided")
def everyone_is_everyone_with_progress(world: World) -> None:
    """As many as the feed shows."""
    course = world.course()
    recorded = sum(is_recorded(row) for row in world.rows(course_id=course["id"]))
    updated(world.reset(course, None, recorded), recorded)


@check(
    "R11",
    "The same Idempotency-Key, body and confirmation give the first 200 again, byte for byte, without a second effect.",
    "decided",
)
def repeated_keys(world: World) -> None:
    """Once more, with other content, and after something that was no 200."""
    course = world.course()
    row, other = world.completed(course, 2)
    users, key = [row["user_id"]], [(KEY, f"kit-{secrets.token_hex(8)}")]
    world.reset(course, users, 1, headers=key, courseId=unused_hex(24)).expect(404)
    first = world.reset(course, users, 1, headers=key).expect(200)
    with world.unchanged(course):
        again = world.reset(course, users, 1, headers=key).expect(200)
        if again.body != first.body:
            raise BrokenRuleError(again.sent, f"the first answer again: {first.text}", again.text)
        world.reset(course, [other["user_id"]], 1, headers=key).expect(422, "IDEMPOTENCY_KEY_REUSED")


CHECKS = (
    no_confirmation,
    untrue_confirmation,
    malformed_confirmation,
    scope_never_widens,
    one_unknown_user_stops_all,
    repeated_and_too_many_ids,
    recorded_progress_is_what_counts,
    a_lone_post_counts,
    repeated_keys,
)
LAST = (everyone_is_everyone_with_progress,)
"""What leaves nothing to play with for those after it."""
