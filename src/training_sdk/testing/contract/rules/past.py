"""There is no way back: R15."""

from __future__ import annotations

import json
from typing import Any

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.outcome import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.world import COURSES, Course, Row, World

LONG_AGO = "2000-01-01T00:00:00Z"
DATES = ("opened_at", "completed_at", "openedDateTime", "completedDateTime", "startedDateTime")


@check(
    "R15",
    "There is no way back: no filter of the feed gives an admin the past completion.",
    "article",
)
def the_past_is_gone_everywhere(world: World) -> None:
    """Its dates, looked for by every filter; a plain look is R12's affair."""
    course = world.course()
    (row,) = world.completed(course)
    gone = _reset(world, course, row)
    narrowed = {"user_id": row["user_id"], "course_id": course["id"]}
    _not_among(world, gone, world.rows(**narrowed, completion_status="COMPLETION_STATUS_COMPLETED"))
    _not_among(world, gone, world.rows(**narrowed, modified_after=LONG_AGO))


@check("R15", "Nor does the learner get it: not from the feed, not from lessons or attempts.", "article")
def learners_lose_their_past_too(world: World) -> None:
    """The learner whose token there is is reset, and looks."""
    me = world.me("learner")
    course = world.course()
    found = [each for each in world.rows(course_id=course["id"], user_id=me) if each["completed_at"]]
    if not found:
        raise NotCheckedError(f"the learner has not completed {course['title']!r}")
    gone = _reset(world, course, found[0])
    _not_among(world, gone, [each for each in world.rows("learner") if each["course_id"] == course["id"]])
    _not_among(world, gone, world.lessons(course["id"], me, "learner"))
    _not_among(world, gone, world.attempts(course["id"], me, "learner"))


@check(
    "R15", "Taking the assignment away and giving it back does not bring the past back.", "article, decided"
)
def no_archive_behind_the_assignment(world: World) -> None:
    """Somebody is reset, unassigned and assigned anew."""
    _reset_and_unassigned(world)


@check(
    "R15",
    "Nor does it where the policy clears what absent users have recorded.",
    "decided",
    policy={"absent": "cleared"},
)
def no_archive_where_the_absent_are_cleared(world: World) -> None:
    """The same in such a world."""
    _reset_and_unassigned(world)


def _reset_and_unassigned(world: World) -> None:
    course = world.course()
    (row,) = world.completed(course)
    if not world.is_own:
        raise NotCheckedError("this changes assignments, and is done in a world of the kit's own only")
    gone = _reset(world, course, row)
    path = f"{COURSES}/{course['id']}/assignments"
    away = {"assignments": [], "clearAllUsers": True, "clearAllGroups": True, "clearAllSites": True}
    world.send("PUT", path, body=away | {"universalAccess": False}).expect(200)
    again = {"id": row["user_id"], "type": "ASSIGNMENT_TYPE_USER", "isAssigned": True}
    world.send("PUT", path, body={"assignments": [again]}).expect(200)
    shown = world.rows(course_id=course["id"], user_id=row["user_id"])
    if not shown:
        raise NotCheckedError("an assignment of one user assigns nobody, which is R10's matter")
    _not_among(world, gone, shown)


def _reset(world: World, course: Course, row: Row) -> set[str]:
    """Reset somebody; the dates of their past, save for those that a plain look shows still."""
    key = (course["id"], row["user_id"])
    shown = [row, *world.lessons(*key), *world.attempts(*key)]
    marks = {each[name] for each in shown for name in DATES if each.get(name)}
    world.cleared(course, row)
    plainly = json.dumps([world.row(*key), world.lessons(*key), world.attempts(*key)])
    return {mark for mark in marks if mark not in plainly}


def _not_among(world: World, marks: set[str], shown: Any) -> None:
    found = sorted(mark for mark in marks if mark in json.dumps(shown))
    if found:
        raise BrokenRuleError(
            f"{world.last}, after a reset", "nothing of the past", f"the dates {', '.join(found)}"
        )


CHECKS = (
    the_past_is_gone_everywhere,
    learners_lose_their_past_too,
    no_archive_behind_the_assignment,
    no_archive_where_the_absent_are_cleared,
)
