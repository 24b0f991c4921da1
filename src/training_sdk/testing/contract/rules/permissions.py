"""Checks of the permission to reset: R01 to R05."""

from __future__ import annotations

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.wire import RESET, Answer, unused_hex
from training_sdk.testing.contract.world import (
    ANALYTICS,
    COURSES,
    FEED,
    PREVIEW,
    WHO_AM_I,
    Course,
    Json,
    World,
    confirming,
)

BOTH = ("admin", "outsider")
PERMISSION = ("Platform management: Users", "Plattformverwaltung: Nutzer")


def _names_the_permission(answer: Answer) -> None:
    if not any(name in answer.text for name in PERMISSION):
        raise BrokenRuleError(answer.sent, f'the permission named, "{PERMISSION[0]}"', answer.text[:300])


@check(
    "R01",
    'A reset of listed users without "Platform management: Users" is 403, the permission named, nothing changed.',
    "article",
)
def listed_users_take_the_permission(world: World) -> None:
    """Try a reset as a user who may see all training."""
    course = world.course()
    (row,) = world.completed(course)
    with world.unchanged():
        answer = world.reset(course, [row["user_id"]], 1, who="manager")
        answer.expect(403, "PERMISSION_DENIED")
    _names_the_permission(answer)


@check("R02", "A reset of everyone in a course takes the same permission.", "decided")
def everyone_takes_the_permission(world: World) -> None:
    """Try a reset of everyone as the same user."""
    course = world.course()
    with world.unchanged():
        answer = world.reset(course, None, 1, who="manager").expect(403, "PERMISSION_DENIED")
    _names_the_permission(answer)


@check(
    "R02",
    "Where the policy asks for both permissions, neither alone resets everyone in a course.",
    "decided",
    policy={"everyone_permission": "both"},
)
def everyone_takes_both_permissions(world: World) -> None:
    """Try it as two users with one permission each; a user with both must reach the confirmation check."""
    course = world.course()
    for who in ("resetter", "manager"):
        with world.unchanged():
            world.reset(course, None, 1, who=who).expect(403, "PERMISSION_DENIED")
    answer = world.reset(course, None)
    if answer.status == 403:
        raise BrokenRuleError(answer.sent, "an administrator, who holds both, is let in", answer.came)


@check("R03", "No token and an unknown one are 401, and nothing changes.", "reference")
def nobody_gets_in(world: World) -> None:
    """Send a request and a reset without a token, and with an invented token."""
    course = world.course()
    (row,) = world.completed(course)
    with world.unchanged():
        world.send("GET", WHO_AM_I, "").expect(401)
        world.reset(course, [row["user_id"]], 1, who="").expect(401)
    _invented(world)


@check("R03", "A revoked token is 401, and nothing changes.", "reference")
def revoked_tokens(world: World) -> None:
    """Send a request and a reset with a revoked token."""
    _opens_nothing(world, "revoked")


@check("R03", "An expired token is 401, and nothing changes.", "reference")
def expired_tokens(world: World) -> None:
    """Send a request and a reset with an expired token."""
    _opens_nothing(world, "expired")


def _opens_nothing(world: World, who: str) -> None:
    world.token(who)
    course = world.course()
    (row,) = world.completed(course)
    with world.unchanged():
        world.send("GET", WHO_AM_I, who).expect(401)
        world.reset(course, [row["user_id"]], 1, who=who).expect(401)


@check("R03", "No token and an unknown one are 401.", "reference", reads_only=True)
def strangers_read_nothing(world: World) -> None:
    """Do the same with read requests only."""
    world.send("GET", WHO_AM_I, "").expect(401)
    world.send("GET", FEED, "").expect(401)
    _invented(world)


def _invented(world: World) -> None:
    invented = f"contract-kit-{world.unknown_user()}"
    world.wire.send("GET", WHO_AM_I, invented, who="an invented token").expect(401)


@check(
    "R03",
    "Another organisation's courses and users do not exist: 404, never 403, never a row in a list.",
    "reference",
)
def organisations_are_apart(world: World) -> None:
    """Access our course as another organisation's administrator, and read one of their users as our administrator."""
    course = world.course()
    (row,) = world.completed(course)
    with world.unchanged():
        world.reset(course, [row["user_id"]], 1, who="outsider").expect(404)
        world.reset(course, None, 1, who="outsider").expect(404)
        # An empty assignment changes nothing, even if the server accepts it.
        path = f"{COURSES}/{course['id']}/assignments"
        world.send("PUT", path, "outsider", body={"assignments": []}).expect(404)
    stranger = world.me("outsider")
    world.send("GET", f"{ANALYTICS}/users/{stranger}/lessons/progress").expect(404)


@check("R03", "No list of one organisation holds a course, a row or a user of another.", "reference")
def lists_are_apart(world: World) -> None:
    """Compare courses, rows and users of both organisations, and rows requested by the id of our course."""
    _disjoint(world, "courses", *({each["id"] for each in world.courses(who)} for who in BOTH))
    _disjoint(world, "rows", *({each["course_id"] for each in world.rows(who)} for who in BOTH))
    _disjoint(world, "users", *({each["user_id"] for each in world.people(who)} for who in BOTH))
    for course in {row["course_id"] for row in world.rows()}:
        asked = world.send("GET", FEED, "outsider", query={"course_id": course})
        if asked.status != 404 and asked.object()["data"]:
            raise BrokenRuleError(asked.sent, "none of our rows", asked.came)


def _disjoint(world: World, what: str, ours: set[str], theirs: set[str]) -> None:
    if ours & theirs:
        raise BrokenRuleError(world.last, f"none of our {what}", f"{len(ours & theirs)} of them")


@check(
    "R04",
    "Who may not reset resets nobody, not even themselves, in neither spelling of the fields; nothing changes.",
    "article, decided",
)
def learners_reset_nobody(world: World) -> None:
    """Try a reset as a learner: of themselves, of another person, and of everyone."""
    course = world.course()
    (row,) = world.completed(course)
    _may_reset_nobody(world, course, "learner", row["user_id"])


@check(
    "R04",
    "Nor does a leader reset anybody: not themselves, not their team, not everyone.",
    "article, decided",
)
def leaders_reset_nobody(world: World) -> None:
    """Try a reset as the leader of a team, also of a member of the team."""
    course = world.course()
    (row,) = world.completed(course)
    me = world.me("teamlead")
    team = [
        each["user_id"] for each in world.rows("teamlead", course_id=course["id"]) if each["completed_at"]
    ]
    theirs = [user for user in team if user != me][:1]
    if not theirs:
        raise NotCheckedError(f"No person of the leader's teams has completed {course['title']!r}.")
    _may_reset_nobody(world, course, "teamlead", row["user_id"], *theirs)


def _may_reset_nobody(world: World, course: Course, who: str, *users: str) -> None:
    with world.unchanged():
        for listed in ([world.me(who)], *([user] for user in users), None):
            world.reset(course, listed, 1, who=who).expect(403)
            scope: Json = {"all_users": True} if listed is None else {"user_ids": listed}
            confirmed = confirming(course["title"], 1)
            body = {"course_id": course["id"], **scope}
            world.send("POST", RESET, who, body=body, headers=[confirmed]).expect(403)


@check("R04", "A refusal for want of rights reveals nothing about the target.", "decided")
def refusals_reveal_nothing(world: World) -> None:
    """Check that existing and missing objects get the same answer."""
    course = world.course()
    (row,) = world.completed(course)
    known = world.reset(course, [row["user_id"]], 1, who="learner").expect(403)
    elsewhere = {**course, "id": unused_hex(24)}
    for where, user in ((course, world.unknown_user()), (elsewhere, row["user_id"])):
        other = world.reset(where, [user], 1, who="learner").expect(403)
        if other.body != known.body:
            raise BrokenRuleError(other.sent, f"the same answer as for what exists: {known.came}", other.text)


@check("R04", "Nor do they get a preview, where there is one.", "decided")
def no_preview_for_others(world: World) -> None:
    """Request a preview as a learner and as a leader: of themselves, of another person, and of no person."""
    course = world.course()
    (row,) = world.completed(course)
    asked = world.send("POST", PREVIEW, body={"courseId": course["id"], "userIds": [row["user_id"]]})
    if asked.status != 200:
        raise NotCheckedError(f"There is no preview: {asked.came}")
    for who in ("learner", "teamlead"):
        for users in ([world.me(who)], [row["user_id"]], []):
            world.send("POST", PREVIEW, who, body={"courseId": course["id"], "userIds": users}).expect(403)
