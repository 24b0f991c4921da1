"""Checks of what a request must say: its confirmation (R06), its scope (R07, R08), and who is eligible (R09)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.wire import RESET, Answer
from training_sdk.testing.contract.world import INVALID, Course, Row, World, confirming, is_recorded

HEADER = "reset-confirmation"
MANY = 1_000_000
_TO_FULL_WIDTH = 0xFEE0


@check(
    "R06", "A reset without a confirmation changes nothing: 428 CONFIRMATION_REQUIRED.", "article, decided"
)
def no_confirmation(world: World) -> None:
    """Send resets without a confirmation, for one learner and for everyone."""
    course, row = world.completion()
    with world.unchanged():
        for users in ([row["user_id"]], None):
            world.reset(course, users).expect(428, "CONFIRMATION_REQUIRED")


@check(
    "R06",
    "A confirmation of another title or number changes nothing: 412 CONFIRMATION_MISMATCH, saying what is true.",
    "article, decided",
)
def untrue_confirmation(world: World) -> None:
    """Confirm a reset of two learners with similar titles, and with numbers that are slightly or far wrong."""
    course = world.course()
    rows = world.completed(course, 2)
    _untrue(world, course, [row["user_id"] for row in rows], len(rows))


@check(
    "R06",
    "Nor does one change anything where everyone in a course is reset: 412, with the true title.",
    "article, decided",
    uses_up_learners=True,
)
def untrue_confirmation_of_everyone(world: World) -> None:
    """Confirm a reset of everyone with the same titles and numbers."""
    course = world.course()
    everyone = sum(is_recorded(row) for row in world.rows(course_id=course["id"]))
    if not everyone:
        raise NotCheckedError(f"No person in {course['title']!r} has recorded progress.")
    _untrue(world, course, None, everyone)


def _untrue(world: World, course: Course, users: Sequence[str] | None, number: int) -> None:
    title = course["title"]
    numbers = {0, 1, number - 1, number + 1, number + 2, MANY} - {number}
    untrue = [*((said, number) for said in like(title)), *((title, said) for said in sorted(numbers))]
    with world.unchanged():
        for confirmed in untrue:
            answer = world.reset(course, users, headers=[confirming(*confirmed)])
            answer.expect(412, "CONFIRMATION_MISMATCH")
            _tells_what_is_true(answer, title, None if users is None else number)


def like(title: str) -> Iterator[str]:
    """Yield titles that a person or a careless comparison could mistake for this one; never the title itself.

    A title without letter case, or without a character that has a wider form, has fewer of them.
    """
    plain = next((each for each in title if "!" <= each <= "~"), "")
    wide = title.replace(plain, chr(ord(plain) + _TO_FULL_WIDTH), 1) if plain else title
    alike = (title.swapcase(), f"{title} ", f" {title}", f"{title}\u200b", wide, title[:-1], title[:1], "")
    yield from dict.fromkeys(each for each in alike if each != title)


def _tells_what_is_true(answer: Answer, title: str, number: int | None) -> None:
    """Check that an answer contains the true title and number; None skips the number, because R09 checks everyone's."""
    spellings = (json.dumps(title)[1:-1], json.dumps(title, ensure_ascii=False)[1:-1])
    if not any(spelled in answer.text for spelled in spellings):
        raise BrokenRuleError(answer.sent, f"the true title {title!r} in the answer", answer.text)
    if number is not None and not re.search(rf"(?<![\w.-]){number}(?![\w.-])", answer.text):
        raise BrokenRuleError(answer.sent, f"the true number {number} in the answer", answer.text)


@check(
    "R06", "A confirmation that is not of its form, or is there twice, is 400 INVALID_ARGUMENT.", "decided"
)
def malformed_confirmation(world: World) -> None:
    """Send confirmations that are not JSON, or have a wrong number of keys, an invalid number, or two headers."""
    course, row = world.completion()
    good = {"courseTitle": course["title"], "users": 1}
    true, other = json.dumps(good), json.dumps(good | {"users": 2})
    odd = (
        good | {"users": True},
        good | {"users": "1"},
        good | {"force": True},
        {"courseTitle": good["courseTitle"]},
    )
    said = [["yes"], ["[]"], *([json.dumps(each)] for each in odd), [other, true], [true, other]]
    with world.unchanged():
        for each in said:
            headers = [(HEADER, value) for value in each]
            world.reset(course, [row["user_id"]], headers=headers).expect(400, INVALID)


@check(
    "R07",
    "Scope never widens: neither or both of userIds and allUsers, a list that is empty or holds no ids, null, "
    "allUsers that is not true, an unknown field, a repeated key or both spellings of one are 400 "
    "INVALID_ARGUMENT; nothing changes.",
    "decided",
)
def scope_never_widens(world: World) -> None:
    """Send every body that could be mistaken for "everyone" or for a list."""
    course, row = world.completion()
    everyone = sum(is_recorded(each) for each in world.rows(course_id=course["id"]))
    counts = dict.fromkeys((everyone, 1)) if world.is_own else (1,)
    with world.unchanged():
        for body in _ambiguous(course["id"], row["user_id"]):
            for count in counts:
                confirmed = confirming(course["title"], count)
                answer = world.send("POST", RESET, content=body.encode(), headers=[confirmed])
                answer.expect(400, INVALID)


def _ambiguous(course: str, user: str) -> Iterator[str]:
    """Yield bodies that do not say clearly whom they mean, or not in the documented form."""
    scopes: tuple[dict[str, Any], ...] = (
        {},
        {"userIds": [user], "allUsers": True},
        {"userIds": [user], "allUsers": False},
        {"userIds": None, "allUsers": True},
        {"userIds": [], "allUsers": True},
        {"userIds": []},
        {"userIds": None},
        {"userIds": [None]},
        {"userIds": [""]},
        {"userIds": user},
        {"userIds": f"{user},{user}"},
        {"allUsers": None},
        {"allUsers": False},
        {"allUsers": 1},
        {"allUsers": "true"},
        {"userIds": [user], "dryRun": True},
        {"learnerIds": [user]},
        {"userIds": [user], "user_ids": [user]},
        {"allUsers": True, "all_users": True},
        {"userIds": [user], "course_id": course},
    )
    for scope in scopes:
        yield json.dumps({"courseId": course, **scope})
    named, listed = f'"courseId": "{course}"', f'"userIds": ["{user}"]'
    for twice in (
        f"{named}, {listed}, {listed}",
        f"{named}, {named}, {listed}",
        f'{named}, "allUsers": false, "allUsers": true',
    ):
        yield f"{{{twice}}}"


@check(
    "R08",
    "Any listed user who does not exist fails the whole call: 404, every such id named, nothing changed.",
    "decided",
)
def one_unknown_user_stops_all(world: World) -> None:
    """Send one invented user, and two of them."""
    course, row = world.completion()
    first, second = world.unknown_user(), world.unknown_user()
    with world.unchanged():
        _stopped(world, course, row, first)
        _stopped(world, course, row, first, second)


@check("R08", "A user of another organisation does not exist either.", "decided")
def one_user_of_others_stops_all(world: World) -> None:
    """Send the administrator of the other organisation in the list."""
    course, row = world.completion()
    stranger = world.me("outsider")
    with world.unchanged():
        _stopped(world, course, row, stranger)


def _stopped(world: World, course: Course, row: Row, *strangers: str) -> None:
    answer = world.reset(course, [row["user_id"], *strangers], 1).expect(404, "USER_NOT_FOUND")
    unnamed = [each for each in strangers if each not in answer.text]
    if unnamed:
        raise BrokenRuleError(answer.sent, f"the id {unnamed[0]} named", answer.text[:300])


@check("R08", "Repeated ids count once; up to 1000 ids as sent are taken, more are 400.", "decided")
def repeated_and_too_many_ids(world: World) -> None:
    """Send one learner 1001 times, another one 1000 times, and one twice."""
    course = world.course()
    first, second = world.completed(course, 2)
    with world.unchanged():
        world.reset(course, [first["user_id"]] * 1001, 1).expect(400, INVALID)
    world.takes_effect(course, [first["user_id"]] * 2, first)
    answer = world.reset(course, [second["user_id"]] * 1000, 1)
    if answer.status == 413:
        raise NotCheckedError(f"The server refuses a body with 1000 ids as too large: {answer.came}")
    answer.expect(200)
    world.gone(course, second)


@check(
    "R09",
    "Whoever has anything recorded is reset, completed or not; a listed user without is left alone, uncounted.",
    "decided",
)
def recorded_progress_is_what_counts(world: World) -> None:
    """Reset a person who has started and one who has not."""
    course = world.course()
    begun, idle = world.begun(course), world.not_begun(course)
    world.takes_effect(course, [begun["user_id"], idle["user_id"]], begun)
    _as_before(world, course, idle)


@check("R09", "Of several listed, all are reset.", "decided")
def all_of_a_list(world: World) -> None:
    """Reset three learners who have completed the course."""
    course = world.course()
    rows = world.completed(course, 3)
    world.takes_effect(course, [row["user_id"] for row in rows], *rows)


def _as_before(world: World, course: Course, row: Row) -> None:
    told = world.noted
    world.same(told, f"the row of {row['user_id']}", row, world.row(course["id"], row["user_id"]))


@check(
    "R09",
    "Every action of a learner sets the date of opening, so that eligibility can be read off the feed.",
    "decided",
)
def a_lone_post_counts(world: World) -> None:
    """Let a person only post to the discussion; check that ``opened_at`` is set, and that a reset takes effect."""
    course = world.course()
    idle = world.not_begun(course)
    world.act("post-to-discussion", course["id"], idle["user_id"], text="contract kit")
    row = world.row(course["id"], idle["user_id"])
    if not row["opened_at"]:
        raise BrokenRuleError("a learner's post to the discussion", "opened_at set in their row", str(row))
    world.takes_effect(course, [idle["user_id"]], row)


@check(
    "R09",
    "A reset of everyone resets those with recorded progress in the course, and nobody else.",
    "decided",
    uses_up_learners=True,
)
def everyone_is_everyone_with_progress(world: World) -> None:
    """Compare the count with the feed; all other people's rows stay, in this course and in others.

    If only one reset of everyone is possible, this check also covers the other courses of the people who are reset.
    In an organisation that the contract tests made, R16 covers them.
    """
    course = world.course()
    before = world.rows()
    reset = [row for row in before if row["course_id"] == course["id"] and is_recorded(row)]
    if not reset:
        raise NotCheckedError(f"No person in {course['title']!r} has recorded progress.")
    world.takes_effect(course, None, *reset)
    told, users = world.noted, {row["user_id"] for row in reset}

    def others(rows: list[Row]) -> list[Row]:
        elsewhere = [row for row in rows if row["course_id"] != course["id"] and not world.is_own]
        return [*(row for row in rows if row["user_id"] not in users), *elsewhere]

    world.same(told, "the rows of all others", others(before), others(world.rows()))
