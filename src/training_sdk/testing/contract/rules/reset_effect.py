"""Checks that a reset clears progress and keeps the course: R12, R13, R17."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.rules.assignment import NOBODY, assign, entry
from training_sdk.testing.contract.world import (
    ANALYTICS,
    COURSES,
    PREVIEW,
    RECORDED,
    Course,
    Json,
    Row,
    World,
)

INSIDE = ("submissions", "posts", "hand_ins")
COUNTED = (
    "assessmentSubmissions",
    "assessmentMarks",
    "assessmentSignOffs",
    "discussionPosts",
    "assignmentHandIns",
)
"""Cleared things that a preview counts."""


@check(
    "R12",
    "Lesson progress, attempts, score, time spent and the dates of opening and completion are gone: not started, 0 %.",
    "article",
)
def the_course_begins_anew(world: World) -> None:
    """Check row, lessons, attempts and slides of a person who had completed the course."""
    course, row = world.completion()
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
    """Reset a person whose completion has such a date."""
    rows = [row for row in world.rows() if row.get("completion_expiry_date") and row["completed_at"]]
    courses = {each["id"]: each for each in world.courses()}
    chosen = [row for row in rows if row["course_id"] == world.course_id or world.is_own]
    if not chosen:
        raise NotCheckedError("No person has a completion that expires.")
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
    """Let two people submit everything, one of them half-way through the course; after a reset, nothing returns."""
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
    """Let a person submit everything, reset them, and let them open the course again."""
    course, row = world.completion()
    _hand_in_everything(world, row)
    world.cleared(course, row)
    world.act("open", course["id"], row["user_id"])
    body = {"courseId": course["id"], "userIds": [row["user_id"]]}
    counts = world.send("POST", PREVIEW, body=body).needed().object()["cleared"]
    left = {name: counts[name] for name in COUNTED if counts.get(name)}
    _nothing_in(world, left, "the preview of another reset")


@check("R17", "The course stays the same course.", "article")
def it_stays_the_same_course(world: World) -> None:
    """Compare the course's entry and its lessons before and after."""
    course, row = world.completion()
    lessons = world.get(f"{COURSES}/{course['id']}/lessons")
    world.cleared(course, row)
    after = [each for each in world.courses() if each["id"] == course["id"]]
    world.same("a reset of one learner", "the course", [course], after)
    now = world.get(f"{COURSES}/{course['id']}/lessons")
    world.same("a reset of one learner", "the lessons", lessons, now)


@check("R17", "It is completed again, without a copy of it.", "article")
def it_is_completed_again(world: World) -> None:
    """Reset a person who then completes the course again."""
    world.controllable()
    course, row = world.completion()
    world.cleared(course, row)
    world.act("complete-course", course["id"], row["user_id"])
    again = world.row(course["id"], row["user_id"])
    if not again["completed_at"] or again["progress_percent"] != 100:
        raise BrokenRuleError("a learner completing the course again", "100 %, completed", str(again))


TRIES = 3


@check(
    "R14",
    "Course statistics go back for those users at once, and equal what counting the feed gives.",
    "article",
)
def analytics_follow_at_once(world: World) -> None:
    """Compare the statistics of every course with a count, before and after a reset."""
    course = world.course()
    rows = world.completed(course, 2)
    figures_fit(world)
    world.cleared(course, *rows)
    figures_fit(world)


@check("R14", "So do the statistics that the leader of a team sees.", "article")
def figures_of_a_team_follow(world: World) -> None:
    """Reset a member of the team."""
    course = world.course()
    team = {row["user_id"] for row in world.rows("teamlead", course_id=course["id"]) if row["completed_at"]}
    if not team:
        raise NotCheckedError(f"No person of the leader's teams has completed {course['title']!r}.")
    try:
        figures_fit(world, "teamlead")
    except BrokenRuleError as fault:
        raise NotCheckedError(
            f"The leader's figures include other people, which rule R05 checks: {fault}"
        ) from None
    world.cleared(course, world.row(course["id"], min(team)))
    figures_fit(world, "teamlead")


def figures_fit(world: World, who: str = "admin") -> None:
    """Raise BrokenRuleError if statistics and feed disagree while the feed does not change."""
    rows = world.rows(who)
    if not rows:
        raise NotCheckedError("The feed has no rows, so there is nothing to count.")
    for _ in range(TRIES):
        fault, before = _disagreement(world, who, rows), rows
        if fault is None:
            return
        rows = world.rows(who)
        if rows == before:
            raise fault
    raise NotCheckedError("People are learning now: the feed differs each time it is read. Try again later.")


def _disagreement(world: World, who: str, rows: list[Row]) -> BrokenRuleError | None:
    for course_id, said in world.statistics(who).items():
        if "totalUsers" not in said or "completedCount" not in said:
            raise NotCheckedError(
                f"The statistics contain {', '.join(said)}: their shape is assumed, and differs here."
            )
        counted = _counted([row for row in rows if row["course_id"] == course_id])
        differs = {
            name: said[name] for name in counted if name in said and _differs(said[name], counted[name])
        }
        if differs:
            right = {name: counted[name] for name in differs}
            sent = f"GET {ANALYTICS}/courses/statistics as {who}, course {course_id}"
            return BrokenRuleError(sent, _rounded(right), _rounded(differs))
    return None


def _rounded(figures: Mapping[str, Any]) -> str:
    """Return figures rounded to as many digits as are compared."""
    return str(
        {name: round(value, 2) if isinstance(value, float) else value for name, value in figures.items()}
    )


def _counted(rows: list[Row]) -> dict[str, float]:
    """Return what the statistics of a course must be for these rows."""
    done = sum(bool(row["completed_at"]) for row in rows)
    scores = [row["score"] for row in rows if any(row.get(name) for name in RECORDED)]
    return {
        "totalUsers": len(rows),
        "openedCount": sum(bool(row["opened_at"]) for row in rows),
        "completedCount": done,
        "completionPercent": 100 * done / len(rows) if rows else 0,
        "averageScore": sum(scores) / len(scores) if scores else 0,
    }


def _differs(said: Any, counted: float) -> bool:
    return not isinstance(said, int | float) or abs(said - counted) > 0.01


LONG_AGO = "2000-01-01T00:00:00Z"
DATES = ("opened_at", "completed_at", "openedDateTime", "completedDateTime", "startedDateTime")


@check(
    "R15",
    "There is no way back: no filter of the feed gives an admin the past completion.",
    "article",
)
def the_past_is_gone_everywhere(world: World) -> None:
    """Search for past dates with every filter; R12 checks the unfiltered lists."""
    course, row = world.completion()
    gone = _reset(world, course, row)
    narrowed = {"user_id": row["user_id"], "course_id": course["id"]}
    _not_among(world, gone, world.rows(**narrowed, completion_status="COMPLETION_STATUS_COMPLETED"))
    _not_among(world, gone, world.rows(**narrowed, modified_after=LONG_AGO))


@check("R15", "Nor does the learner get it: not from the feed, not from lessons or attempts.", "article")
def learners_lose_their_past_too(world: World) -> None:
    """Reset the learner whose token is known, and search as this learner."""
    me = world.me("learner")
    course = world.course()
    found = [each for each in world.rows(course_id=course["id"], user_id=me) if each["completed_at"]]
    if not found:
        raise NotCheckedError(f"The learner has not completed {course['title']!r}.")
    gone = _reset(world, course, found[0])
    _not_among(world, gone, [each for each in world.rows("learner") if each["course_id"] == course["id"]])
    _not_among(world, gone, world.lessons(course["id"], me, "learner"))
    _not_among(world, gone, world.attempts(course["id"], me, "learner"))


@check(
    "R15", "Taking the assignment away and giving it back does not bring the past back.", "article, decided"
)
def no_archive_behind_the_assignment(world: World) -> None:
    """Reset a person, unassign them and assign them again."""
    _reset_and_unassigned(world)


@check(
    "R15",
    "Nor does it where the policy clears what absent users have recorded.",
    "decided",
    policy={"absent": "cleared"},
)
def no_archive_where_the_absent_are_cleared(world: World) -> None:
    """Do the same where unassigned people lose their progress."""
    _reset_and_unassigned(world)


def _reset_and_unassigned(world: World) -> None:
    course, row = world.completion()
    world.needs_own()
    gone = _reset(world, course, row)
    assign(world, course, NOBODY)
    assign(world, course, entry(row["user_id"], "USER", True))
    shown = world.rows(course_id=course["id"], user_id=row["user_id"])
    if not shown:
        raise NotCheckedError("The assignment of one user has no effect, which rule R10 checks.")
    _not_among(world, gone, shown)


def _reset(world: World, course: Course, row: Row) -> set[str]:
    """Reset a person; return the dates of their past that an unfiltered list no longer shows."""
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
