"""What a reset does: R12 to R17, R20, R21, R25."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.outcome import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.wire import RESET
from training_sdk.testing.contract.world import (
    ANALYTICS,
    COURSES,
    RECORDED,
    Course,
    Json,
    Row,
    World,
    updated,
)

GONE = (*RECORDED, "completion_expiry_date")


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
    _nothing_in(world, {name: after[name] for name in GONE if after.get(name)}, "the row")
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


@check(
    "R13",
    "Submissions, marks and sign-offs in practical assessments, discussions and assignments are cleared as well.",
    "article",
)
def what_lies_inside_is_cleared(world: World) -> None:
    """Somebody hands in everything there is, is reset, and opens the course again: nothing has come back."""
    course = world.course()
    (row,) = world.completed(course)
    user = row["user_id"]
    for action in ("submit-assessment", "post-to-discussion", "hand-in-assignment"):
        world.act(action, course["id"], user)
    world.cleared(course, row)
    record = world.act("open", course["id"], user)
    _nothing_in(
        world, [record[n] for n in ("submissions", "posts", "hand_ins") if record.get(n)], "the record"
    )
    preview = {"courseId": course["id"], "userIds": [user]}
    shown = world.send("POST", f"{RESET}:preview", body=preview)
    if shown.status == 200:
        kinds = (
            "assessmentSubmissions",
            "assessmentMarks",
            "assessmentSignOffs",
            "discussionPosts",
            "assignmentHandIns",
        )
        counts = shown.object()["cleared"]
        _nothing_in(
            world, {name: counts[name] for name in kinds if counts.get(name)}, "the preview of another reset"
        )


@check(
    "R14",
    "Analytics go back to 0 % for those users at once, and equal what counting the feed gives.",
    "article",
)
def analytics_follow_at_once(world: World) -> None:
    """The statistics of every course beside a count, before and after a reset."""
    course = world.course()
    rows = world.completed(course, 2)
    figures_fit(world)
    world.cleared(course, *rows)
    figures_fit(world)


def figures_fit(world: World) -> None:
    """BrokenRuleError where statistics and feed disagree."""
    rows = world.rows()
    for course_id, said in world.statistics().items():
        if "totalUsers" not in said or "completedCount" not in said:
            raise NotCheckedError(
                f"statistics hold {', '.join(said)}; their shape is assumed, and is another here"
            )
        counted = _counted([row for row in rows if row["course_id"] == course_id])
        differs = {
            name: said[name] for name in counted if name in said and _differs(said[name], counted[name])
        }
        if differs:
            right = {name: counted[name] for name in differs}
            raise BrokenRuleError(
                f"GET {ANALYTICS}/courses/statistics, course {course_id}", str(right), str(differs)
            )


def _counted(rows: list[Row]) -> dict[str, float]:
    """What the statistics of a course must say of these rows."""
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


@check(
    "R15",
    "There is no way back: neither learners nor admins get the past completion from any endpoint.",
    "article",
)
def the_past_is_gone_everywhere(world: World) -> None:
    """Its dates, looked for by every filter, as an admin and as the learner; a plain look is R12's affair."""
    course = world.course()
    row = _own_completion(world, course)
    user = row["user_id"]
    marks = _dates(world, course, user)
    world.cleared(course, row)
    plainly = json.dumps([world.row(course["id"], user), world.lessons(course["id"], user)])
    plainly += json.dumps(world.attempts(course["id"], user))
    gone = {mark for mark in marks if mark not in plainly}
    done = {"completion_status": "COMPLETION_STATUS_COMPLETED", "user_id": user, "course_id": course["id"]}
    _not_among(world, gone, world.rows(**done))
    _not_among(
        world, gone, world.rows(user_id=user, course_id=course["id"], modified_after="2000-01-01T00:00:00Z")
    )
    if row["user_id"] in _ids(world, "learner"):
        _not_among(world, gone, [each for each in world.rows("learner") if each["course_id"] == course["id"]])
        _not_among(world, gone, world.lessons(course["id"], user, "learner"))
        _not_among(world, gone, world.attempts(course["id"], user, "learner"))


@check(
    "R15", "Taking the assignment away and giving it back does not bring the past back.", "article, decided"
)
def no_archive_behind_the_assignment(world: World) -> None:
    """Somebody is reset, unassigned and assigned anew."""
    course = world.course()
    (row,) = world.completed(course)
    if not world.is_own:
        raise NotCheckedError("this changes assignments, and is done in a world of the kit's own only")
    marks = _dates(world, course, row["user_id"])
    world.cleared(course, row)
    plainly = json.dumps(world.row(course["id"], row["user_id"]))
    path = f"{COURSES}/{course['id']}/assignments"
    away = {"assignments": [], "clearAllUsers": True, "clearAllGroups": True, "clearAllSites": True}
    world.send("PUT", path, body=away | {"universalAccess": False}).expect(200)
    again = {"id": row["user_id"], "type": "ASSIGNMENT_TYPE_USER", "isAssigned": True}
    world.send("PUT", path, body={"assignments": [again]}).expect(200)
    gone = {mark for mark in marks if mark not in plainly}
    _not_among(world, gone, [world.row(course["id"], row["user_id"])])


def _ids(world: World, who: str) -> set[str]:
    return {world.me(who)} if who in world.tokens else set()


def _own_completion(world: World, course: Course) -> Row:
    """The completion of the learner whose token there is, or else anybody's."""
    for user in _ids(world, "learner"):
        found = [row for row in world.rows(course_id=course["id"], user_id=user) if row["completed_at"]]
        if found:
            return found[0]
    (row,) = world.completed(course)
    return row


def _dates(world: World, course: Course, user: str) -> set[str]:
    """Every moment of the past that is shown of somebody in a course."""
    row = world.row(course["id"], user)
    shown = [row, *world.lessons(course["id"], user), *world.attempts(course["id"], user)]
    names = ("opened_at", "completed_at", "openedDateTime", "completedDateTime", "startedDateTime")
    return {each[name] for each in shown for name in names if each.get(name)}


def _not_among(world: World, marks: set[str], shown: Any) -> None:
    found = sorted(mark for mark in marks if mark in json.dumps(shown))
    if found:
        raise BrokenRuleError(
            f"{world.last}, after a reset", "nothing of the past", f"the dates {', '.join(found)}"
        )


@check(
    "R16",
    "Nothing else is touched: other users, other courses of the same user, the assignment, other courses' content.",
    "article",
)
def nothing_else_is_touched(world: World) -> None:
    """Everything that can be read, before and after, save for the one row and the figures of its course."""
    course = world.course()
    (row,) = world.completed(course)
    key = (course["id"], row["user_id"])
    before = _everything_but(world, key)
    world.cleared(course, row)
    for what, after in _everything_but(world, key).items():
        if after != before[what]:
            changed = [each for each in after if each not in before[what]]
            lost = len(before[what]) - len(after)
            came = f"{len(changed)} changed, {max(lost, 0)} lost; {json.dumps(changed[:1])[:200]}"
            raise BrokenRuleError("a reset of one learner", f"{what} as before", came)


def _everything_but(world: World, key: tuple[str, str]) -> dict[str, list[Any]]:
    rows = world.rows()
    course_id = key[0]
    return {
        "the rows of others and of other courses": [r for r in rows if (r["course_id"], r["user_id"]) != key],
        "whoever is assigned": [[r["course_id"], r["user_id"]] for r in rows],
        "the other courses": [each for each in world.courses() if each["id"] != course_id],
        "the other courses' figures": [each for key, each in world.statistics().items() if key != course_id],
        "the users": world.people(),
    }


@check("R17", "The course stays the same course, and retraining needs no new one.", "article")
def it_stays_the_same_course(world: World) -> None:
    """Its entry and its lessons as before; where learners can be made to act, it is completed again."""
    course = world.course()
    (row,) = world.completed(course)
    lessons = world.get(f"{COURSES}/{course['id']}/lessons")
    world.cleared(course, row)
    after = [each for each in world.courses() if each["id"] == course["id"]]
    if after != [course]:
        raise BrokenRuleError("a reset of one learner", f"the course as before: {course}", str(after))
    if world.get(f"{COURSES}/{course['id']}/lessons") != lessons:
        raise BrokenRuleError("a reset of one learner", f"the lessons as before: {lessons}", world.last)
    if world.is_own:
        world.act("complete-course", course["id"], row["user_id"])
        again = world.row(course["id"], row["user_id"])
        if not again["completed_at"] or again["progress_percent"] != 100:
            raise BrokenRuleError("a learner completing the course again", "100 %, completed", str(again))


@check("R20", "A due date that is relative to the assignment starts anew at the reset.", "decided")
def relative_due_dates_start_anew(world: World) -> None:
    """Somebody in a course with a relative due date."""
    course = world.course(dueBy="relative")
    (row,) = world.completed(course)
    world.cleared(course, row)
    after = world.row(course["id"], row["user_id"])["due_at"]
    if not after or _moment(after) <= _moment(row["due_at"]):
        raise BrokenRuleError(
            "a reset of one learner", f"a due date later than {row['due_at']}", after or "none"
        )


@check("R20", "A fixed due date stays.", "decided")
def fixed_due_dates_stay(world: World) -> None:
    """Somebody in a course that is due on a date."""
    course = world.course(dueBy="static")
    (row,) = world.completed(course)
    world.cleared(course, row)
    after = world.row(course["id"], row["user_id"])["due_at"]
    if after != row["due_at"]:
        raise BrokenRuleError("a reset of one learner", f"the due date {row['due_at']}", after or "none")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@check(
    "R21",
    "Resetting a user with nothing recorded changes nothing, sends nothing, succeeds and does not count.",
    "decided",
)
def nothing_to_reset_is_no_error(world: World) -> None:
    """Somebody who has not begun, alone."""
    course = world.course()
    idle = world.not_begun(course)
    told = _outbox(world)
    with world.unchanged(course):
        updated(world.reset(course, [idle["user_id"]], 0), 0)
    if _outbox(world) != told:
        raise BrokenRuleError("a reset of one who has not begun", "no notification", "one more in the outbox")


def _outbox(world: World) -> list[Any]:
    return list(world.control("GET", "outbox")["notifications"]) if world.is_own else []


@check("R25", "Draft and archived courses can be reset too.", "decided")
def drafts_and_archived_courses(world: World) -> None:
    """Somebody in each."""
    tried = 0
    for status in ("Draft", "Archived"):
        try:
            course = world.course(status=status)
        except NotCheckedError:
            continue
        (row,) = world.completed(course)
        updated(world.reset(course, [row["user_id"]], 1), 1)
        tried += 1
    if not tried:
        raise NotCheckedError("nobody has completed a draft or an archived course")


CHECKS = (
    the_course_begins_anew,
    what_lies_inside_is_cleared,
    analytics_follow_at_once,
    the_past_is_gone_everywhere,
    no_archive_behind_the_assignment,
    nothing_else_is_touched,
    it_stays_the_same_course,
    relative_due_dates_start_anew,
    fixed_due_dates_stay,
    nothing_to_reset_is_no_error,
    drafts_and_archived_courses,
)
