"""The course begins anew, and is the same course: R12, R13, R17."""

from __future__ import annotations

import json
from typing import Any

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.outcome import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.world import COURSES, PREVIEW, RECORDED, Json, Row, World

INSIDE = ("submissions", "posts", "hand_ins")
COUNTED = (
    "assessmentSubmissions",
    "assessmentMarks",
    "assessmentSignOffs",
    "discussionPosts",
    "assignmentHandIns",
)
"""What a preview counts of it."""


@check(
    "R12",
    "Lesson progress, attempts, score, time spent and the dates of opening and completion are gone: not started, 0 %.",
    "article",
)
def the_course_begins_anew(world: World) -> None:
    """The row, the lessons, the attempts and the slides of somebody who had completed it."""
    course = world.course()
    (row,) = world.completed(course)
    user = row["user_id"]
    world.reset(course, [user], 1).expect(200)
    after = world.row(course["id"], user)
    _nothing_in(world, {name: after[name] for name in RECORDED if after.get(name)}, "the row")
    left = [each for each in world.lessons(course["id"], user) if _is_begun(each)]
    _nothing_in(world, left, "the lessons")
    _nothing_in(world, world.attempts(course["id"], user), "the attempts")
    _nothing_in(world, world.slides(course["id"], user), "the slides")


def _is_begun(lesson: Json) -> bool:
    figures = ("opened", "openedDateTime", "completed", "completedDateTime", "percentageCompleted", "score")
    return any(lesson.get(name) for name in figures)


def _nothing_in(world: World, left: Any, where: str) -> None:
    if left:
        raise BrokenRuleError(
            f"{world.last}, after a reset", f"nothing left in {where}", json.dumps(left)[:300]
        )


@check("R12", "So is the date on which the completion expires.", "article")
def no_expiry_without_a_completion(world: World) -> None:
    """Somebody whose completion has such a date."""
    rows = [row for row in world.rows() if row.get("completion_expiry_date") and row["completed_at"]]
    courses = {each["id"]: each for each in world.courses()}
    chosen = [row for row in rows if row["course_id"] == world.course_id or world.is_own]
    if not chosen:
        raise NotCheckedError("nobody has a completion that expires")
    row = chosen[0]
    world.reset(courses[row["course_id"]], [row["user_id"]], 1).expect(200)
    after = world.row(row["course_id"], row["user_id"])
    _nothing_in(world, after["completion_expiry_date"], "completion_expiry_date")


@check(
    "R13",
    "Submissions, marks and sign-offs in practical assessments, discussions and assignments are cleared as well.",
    "article",
)
def what_lies_inside_is_cleared(world: World) -> None:
    """Two hand in everything there is, one half-way; reset, they open the course again: nothing has come back."""
    course = world.course()
    rows = [*world.completed(course), world.begun(course)]
    for row in rows:
        _hand_in_everything(world, row)
    world.cleared(course, *(world.row(course["id"], row["user_id"]) for row in rows))
    for row in rows:
        record = world.act("open", course["id"], row["user_id"])
        _nothing_in(world, [record[name] for name in INSIDE if record.get(name)], "the record")


def _hand_in_everything(world: World, row: Row) -> None:
    for action in ("submit-assessment", "post-to-discussion", "hand-in-assignment"):
        world.act(action, row["course_id"], row["user_id"])


@check("R13", "The preview of another reset counts none of them either.", "article")
def no_preview_of_the_past(world: World) -> None:
    """Somebody hands in everything there is, is reset, and opens the course again."""
    course = world.course()
    (row,) = world.completed(course)
    _hand_in_everything(world, row)
    world.cleared(course, row)
    world.act("open", course["id"], row["user_id"])
    body = {"courseId": course["id"], "userIds": [row["user_id"]]}
    shown = world.send("POST", PREVIEW, body=body)
    if shown.status != 200:
        raise NotCheckedError(f"there is no preview: {shown.came}")
    counts = shown.object()["cleared"]
    left = {name: counts[name] for name in COUNTED if counts.get(name)}
    _nothing_in(world, left, "the preview of another reset")


@check("R17", "The course stays the same course.", "article")
def it_stays_the_same_course(world: World) -> None:
    """Its entry and its lessons as before."""
    course = world.course()
    (row,) = world.completed(course)
    lessons = world.get(f"{COURSES}/{course['id']}/lessons")
    world.cleared(course, row)
    after = [each for each in world.courses() if each["id"] == course["id"]]
    world.same("a reset of one learner", "the course", [course], after)
    now = world.get(f"{COURSES}/{course['id']}/lessons")
    world.same("a reset of one learner", "the lessons", lessons, now)


@check("R17", "It is completed again, without a copy of it.", "article")
def it_is_completed_again(world: World) -> None:
    """Somebody is reset and does it once more."""
    world.controllable()
    course = world.course()
    (row,) = world.completed(course)
    world.cleared(course, row)
    world.act("complete-course", course["id"], row["user_id"])
    again = world.row(course["id"], row["user_id"])
    if not again["completed_at"] or again["progress_percent"] != 100:
        raise BrokenRuleError("a learner completing the course again", "100 %, completed", str(again))


CHECKS = (
    the_course_begins_anew,
    no_expiry_without_a_completion,
    what_lies_inside_is_cleared,
    no_preview_of_the_past,
    it_stays_the_same_course,
    it_is_completed_again,
)
