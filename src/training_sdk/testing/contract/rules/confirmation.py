"""Checks of the confirmation, which every reset needs: R06."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.wire import Answer
from training_sdk.testing.contract.world import INVALID, Course, World, confirming, is_recorded

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
