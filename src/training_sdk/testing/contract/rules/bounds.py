"""Checks of what a reset leaves alone (R16), of due dates (R20), and of odd cases (R21, R25)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.world import (
    ANALYTICS,
    COLLECTIONS,
    COURSES,
    PATHS,
    Json,
    World,
    is_recorded,
    updated,
)

Key = tuple[str, str]
"""A course and a user."""


@check(
    "R16",
    "Nothing else is touched: other users, other courses of the same user, users with their groups and sites, "
    "other courses and their lessons, learning paths and collections.",
    "article",
)
def nothing_else_is_touched(world: World) -> None:
    """Compare everything that can be read, before and after, except the one row and the figures of its course."""
    course, row = world.completion()
    key = (course["id"], row["user_id"])
    before = _readable_but(world, key)
    world.cleared(course, row)
    for what, after in _readable_but(world, key).items():
        world.same("a reset of one learner", what, before[what], after)


def _readable_but(world: World, key: Key) -> dict[str, Any]:
    rows, (course_id, user_id) = world.rows(), key
    courses = [each["id"] for each in world.courses() if each["id"] != course_id]
    mine = world.get(f"{ANALYTICS}/users/{user_id}/lessons/progress", pageSize=1000)["items"]
    return {
        "the rows of others and of other courses": [r for r in rows if (r["course_id"], r["user_id"]) != key],
        "the attempts of others and in other courses": [
            each for each in world.every_attempt() if (each["courseId"], each["userId"]) != key
        ],
        "the user's lessons in other courses": [each for each in mine if each["courseId"] != course_id],
        "the other courses": [each for each in world.courses() if each["id"] != course_id],
        "the other courses' lessons": [world.listed(f"{COURSES}/{each}/lessons") for each in courses],
        "the users": world.people(),
        "the groups' members": world.fed("/feed/group_users"),
        "the sites' members": world.fed("/feed/site_members"),
        "the learning paths": _in_full(world, PATHS, "", course_id),
        "the collections": _in_full(world, COLLECTIONS, "/courses", course_id),
    }


def _in_full(world: World, path: str, rest: str, course: str) -> list[Any]:
    """Return a listing with each of its entries; nothing if there is no such listing.

    The course itself is reduced to its id, because R17 checks its other fields.
    """
    entries = [
        (each, world.listed(f"{path}/{each['id']}{rest}")) for each in world.listed(path).get("items", ())
    ]
    return [_named(entry, course) for entry in entries]


def _named(value: Any, course: str) -> Any:
    """Return a value in which this course is reduced to its id."""
    if isinstance(value, dict):
        if value.get("id") == course:
            return course
        return {name: _named(each, course) for name, each in value.items()}
    return [_named(each, course) for each in value] if isinstance(value, list | tuple) else value


@check(
    "R16",
    "Nor is what only the server knows of them: assignments with their kind, submissions and posts of others, "
    "their certificates, due dates and settings.",
    "article",
)
def nothing_else_in_the_state(world: World) -> None:
    """Compare the state document before and after, except the data of the one learner in the one course."""
    course, row = world.completion()
    key = (course["id"], row["user_id"])
    before = _organisations_but(world, key)
    world.cleared(course, row)
    world.same("a reset of one learner", "the state document", before, _organisations_but(world, key))


def _organisations_but(world: World, key: Key) -> list[Json]:
    """Return every organisation without what a reset of this learner may change, and what the feed and R17 check."""
    state: list[Json] = world.control("GET", "state")["organisations"]
    course_id, user_id = key
    for organisation in state:
        organisation["certificates"] = [
            each for each in organisation["certificates"] if (each["course_id"], each["user_id"]) != key
        ]
        for entry in organisation["courses"]:
            if entry["course"]["id"] == course_id:
                for kept in ("records", "enrolments", "reset_at"):
                    entry[kept].pop(user_id, None)
                entry.pop("course")
    return state


@check("R16", "A reset of everyone in a course touches no other course of theirs.", "article")
def everyone_of_one_course(world: World) -> None:
    """Compare rows and attempts of the people who are reset, in all other courses, before and after."""
    if not world.is_own:
        raise NotCheckedError(
            "With one organisation for all checks, everyone is reset only once; rule R09 checks it there."
        )
    course = world.course()
    users = {row["user_id"] for row in world.rows(course_id=course["id"]) if is_recorded(row)}
    before = _elsewhere(world, course["id"], users)
    world.reset(course, None, len(users)).needed()
    for what, after in _elsewhere(world, course["id"], users).items():
        world.same("a reset of everyone in a course", what, before[what], after)


def _elsewhere(world: World, course: str, users: Collection[str]) -> dict[str, Any]:
    rows, attempts = world.rows(), world.every_attempt()
    return {
        "the rows of other courses": [
            row for row in rows if row["user_id"] in users and row["course_id"] != course
        ],
        "the attempts in other courses": [
            each for each in attempts if each["userId"] in users and each["courseId"] != course
        ],
    }


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
