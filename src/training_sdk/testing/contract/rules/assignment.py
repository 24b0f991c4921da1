"""Checks of assignment to a course: R10."""

from __future__ import annotations

from attrs import define, field

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.world import (
    COURSES,
    Course,
    Json,
    Row,
    World,
    is_recorded,
    recorded,
    updated,
)

NOBODY = {"clearAllUsers": True, "clearAllGroups": True, "clearAllSites": True, "universalAccess": False}
"""The change that ends all assignments of a course."""


@check(
    "R10",
    "Assigned is who is so directly, through a group, through a site or by universal access.",
    "reference, decided",
)
def ways_of_being_assigned(world: World) -> None:
    """Check each way to assign a person: assign, then unassign."""
    world.needs_own()
    course, roll = _emptiest(world), _Roll.of(world)
    assign(world, course, NOBODY)
    _on_roster(world, course, set())
    somebody = min(roll.learners)
    for kind, members in (("USER", {somebody: {somebody}}), ("GROUP", roll.groups), ("SITE", roll.sites)):
        key = next((each for each, those in members.items() if those & roll.learners), None)
        if key is None:
            raise NotCheckedError(f"There is no {kind.lower()} that contains a learner.")
        assign(world, course, entry(key, kind, True))
        _on_roster(world, course, members[key] & roll.learners)
        assign(world, course, entry(key, kind, False))
        _on_roster(world, course, set())
    assign(world, course, {"universalAccess": True})
    _on_roster(world, course, roll.learners)


@check(
    "R10", "Deactivated users and guests are assigned to nothing, and cannot be reset.", "reference, decided"
)
def guests_and_deactivated(world: World) -> None:
    """Check a guest and a deactivated person, both assigned directly."""
    world.needs_own()
    course, roll = _emptiest(world), _Roll.of(world)
    if not roll.others:
        raise NotCheckedError("There is neither a guest nor a deactivated person.")
    for user in roll.others:
        assign(world, course, entry(user, "USER", True))
        if user in {row["user_id"] for row in world.rows(course_id=course["id"])}:
            raise BrokenRuleError(world.last, f"no row of {user}, who is a guest or deactivated", "a row")
        updated(world.reset(course, [user], 0), 0)


@check(
    "R10",
    "Whoever is away while everyone is reset keeps their past, which reappears when they return.",
    "article, decided",
    policy={"absent": "kept"},
)
def what_the_absent_keep(world: World) -> None:
    """Unassign a person who completed the course, reset everyone, and assign the person again."""
    before, after = _reset_while_away(world)
    if recorded(after) != recorded(before):
        raise BrokenRuleError("a new assignment of the person", "their progress as before", str(after))


@check(
    "R10",
    "Where the policy clears the absent, they return with nothing recorded.",
    "decided",
    policy={"absent": "cleared"},
)
def what_the_absent_lose(world: World) -> None:
    """Do the same where unassigned people lose their progress."""
    _, after = _reset_while_away(world)
    if is_recorded(after):
        raise BrokenRuleError("a new assignment of the person", "nothing recorded", str(after))


def _reset_while_away(world: World) -> tuple[Row, Row]:
    """Return a person's row before they are unassigned, and after a reset of everyone and a new assignment."""
    course = world.course()
    away, there = world.completed(course, 2)
    assign(world, course, NOBODY)
    assign(world, course, entry(there["user_id"], "USER", True))
    world.reset(course, None, 1).needed()
    assign(world, course, entry(away["user_id"], "USER", True))
    if not world.rows(course_id=course["id"], user_id=away["user_id"]):
        raise NotCheckedError("The assignment of one user has no effect.")
    return away, world.row(course["id"], away["user_id"])


@define
class _Roll:
    """People by ability to learn (yes or no), and the members of each group and site."""

    learners: set[str]
    others: set[str]
    groups: dict[str, set[str]] = field(factory=dict)
    sites: dict[str, set[str]] = field(factory=dict)

    @classmethod
    def of(cls, world: World) -> _Roll:
        people = world.people()
        learners = {each["user_id"] for each in people if can_learn(each)}
        made = cls(learners, {each["user_id"] for each in people} - learners)
        for each in world.get("/feed/group_users", limit=1000)["data"]:
            made.groups.setdefault(each["group_id"], set()).add(each["user_id"])
        for each in world.get("/feed/site_members", limit=1000)["data"]:
            made.sites.setdefault(each["site_id"], set()).add(each["member_id"])
        return made


def can_learn(person: Json) -> bool:
    """R10: return True for a person who is neither deactivated nor a guest."""
    return not person["status"].endswith("_DEACTIVATED") and not person["seat_type"].endswith("_COLLABORATOR")


def _emptiest(world: World) -> Course:
    """Return the published course with the fewest rows."""
    rows = [row["course_id"] for row in world.rows()]
    published = [each for each in world.courses() if each["status"] == "Published"]
    return min(published, key=lambda course: (rows.count(course["id"]), course["id"]))


def entry(key: str, kind: str, is_assigned: bool) -> Json:
    """Return the change of one assignment, of a USER, GROUP or SITE."""
    return {"assignments": [{"id": key, "type": f"ASSIGNMENT_TYPE_{kind}", "isAssigned": is_assigned}]}


def assign(world: World, course: Course, change: Json) -> None:
    """Change the assignments of a course."""
    world.send("PUT", f"{COURSES}/{course['id']}/assignments", body={"assignments": [], **change}).expect(200)


def _on_roster(world: World, course: Course, expected: set[str]) -> None:
    told = world.last
    shown = {row["user_id"] for row in world.rows(course_id=course["id"])}
    if shown != expected:
        said = f"{len(shown)}, of whom {len(shown - expected)} should not and {len(expected - shown)} are missing"
        raise BrokenRuleError(told, f"rows of {len(expected)} users", said)
