"""Checks of single resets other than their effect: due dates, nothing to reset, the course's status: R20, R21, R25."""

from __future__ import annotations

from datetime import datetime, timedelta

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import BrokenRuleError
from training_sdk.testing.contract.world import World, updated


@check("R20", "A due date that is relative to the assignment is a later one after the reset.", "decided")
def relative_due_dates_start_anew(world: World) -> None:
    """Reset a person in a course with a relative due date."""
    course, row = world.completion(dueBy="relative")
    world.cleared(course, row)
    after = world.row(course["id"], row["user_id"])["due_at"]
    if not after or _moment(after) <= _moment(row["due_at"]):
        raise BrokenRuleError(
            "a reset of one learner", f"a due date later than {row['due_at']}", after or "none"
        )


@check("R20", "It is as many days after the reset as the course gives after an assignment.", "decided")
def relative_due_dates_count_from_the_reset(world: World) -> None:
    """Compare the due date with the control plane's clock, which is stopped, and the days in the state document."""
    course, row = world.completion(dueBy="relative")
    organisations = world.control("GET", "state")["organisations"]
    entries = [each["course"] for organisation in organisations for each in organisation["courses"]]
    (days,) = (each["due"]["days"] for each in entries if each["id"] == course["id"])
    expected = _moment(world.control("GET", "clock")["now"]) + timedelta(days=days)
    world.cleared(course, row)
    after = world.row(course["id"], row["user_id"])["due_at"]
    if not after or abs(_moment(after) - expected) > timedelta(minutes=1):
        raise BrokenRuleError("a reset of one learner", f"due on {expected.isoformat()}", after or "none")


@check("R20", "A fixed due date stays.", "decided")
def fixed_due_dates_stay(world: World) -> None:
    """Reset a person in a course with a fixed due date."""
    course, row = world.completion(dueBy="static")
    world.cleared(course, row)
    after = world.row(course["id"], row["user_id"])["due_at"]
    if after != row["due_at"]:
        raise BrokenRuleError("a reset of one learner", f"the due date {row['due_at']}", after or "none")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@check(
    "R21",
    "Resetting a user with nothing recorded changes nothing, succeeds and does not count.",
    "decided",
)
def nothing_to_reset_is_no_error(world: World) -> None:
    """Reset one person who has not started."""
    course = world.course()
    idle = world.not_begun(course)
    with world.unchanged():
        updated(world.reset(course, [idle["user_id"]], 0), 0)


@check("R21", "Nor does it send a notification.", "decided")
def nothing_to_reset_tells_nobody(world: World) -> None:
    """Compare the outbox before and after."""
    course = world.course()
    idle = world.not_begun(course)
    before = world.control("GET", "outbox")["notifications"]
    world.reset(course, [idle["user_id"]], 0)
    world.same(world.noted, "the outbox", before, world.control("GET", "outbox")["notifications"])


@check("R25", "Draft courses can be reset too.", "decided")
def draft_courses(world: World) -> None:
    """Reset a person in a draft course."""
    _in_a_course_that_is(world, "Draft")


@check("R25", "Archived courses can be reset too.", "decided")
def archived_courses(world: World) -> None:
    """Reset a person in an archived course."""
    _in_a_course_that_is(world, "Archived")


def _in_a_course_that_is(world: World, status: str) -> None:
    course, row = world.completion(status=status)
    world.takes_effect(course, [row["user_id"]], row)
