"""Recorded progress is what counts: R09."""

from __future__ import annotations

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.outcome import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.world import Course, Row, World, is_recorded


@check(
    "R09",
    "Whoever has anything recorded is reset, completed or not; a listed user without is left alone, uncounted.",
    "decided",
)
def recorded_progress_is_what_counts(world: World) -> None:
    """Somebody half-way, beside somebody who has not begun."""
    course = world.course()
    begun, idle = world.begun(course), world.not_begun(course)
    world.takes_effect(course, [begun["user_id"], idle["user_id"]], begun)
    _as_before(world, course, idle)


@check("R09", "Of several listed, all are reset.", "decided")
def all_of_a_list(world: World) -> None:
    """Three learners who have completed the course."""
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
    """Somebody who only posts to the discussion is opened, and is reset."""
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
)
def everyone_is_everyone_with_progress(world: World) -> None:
    """As many as the feed shows; the rows of everybody else stay, in this course and in others.

    Where there is one reset of everyone only, it answers for the other courses of those who are reset as well;
    in a world of the kit's own that is R16's.
    """
    course = world.course()
    before = world.rows()
    reset = [row for row in before if row["course_id"] == course["id"] and is_recorded(row)]
    if not reset:
        raise NotCheckedError(f"nobody in {course['title']!r} has anything recorded")
    world.takes_effect(course, None, *reset)
    told, users = world.noted, {row["user_id"] for row in reset}

    def others(rows: list[Row]) -> list[Row]:
        elsewhere = [row for row in rows if row["course_id"] != course["id"] and not world.is_own]
        return [*(row for row in rows if row["user_id"] not in users), *elsewhere]

    world.same(told, "the rows of all others", others(before), others(world.rows()))


CHECKS = (recorded_progress_is_what_counts, all_of_a_list, a_lone_post_counts)
LAST = (everyone_is_everyone_with_progress,)
"""What leaves nothing to play with for those after it."""
