"""Who may do it: R01 to R05."""

from __future__ import annotations

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.outcome import BrokenRuleError
from training_sdk.testing.contract.wire import RESET, USERS, Answer, unused_hex
from training_sdk.testing.contract.world import ANALYTICS, FEED, WHO_AM_I, World

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
    """Somebody who may see all training tries."""
    course = world.course()
    (row,) = world.completed(course)
    with world.unchanged(course):
        answer = world.reset(course, [row["user_id"]], 1, who="manager")
        answer.expect(403, "PERMISSION_DENIED")
    _names_the_permission(answer)


@check("R02", "A reset of everyone in a course takes the same permission.", "decided")
def everyone_takes_the_permission(world: World) -> None:
    """The same somebody tries it with everyone."""
    course = world.course()
    with world.unchanged(course):
        answer = world.reset(course, None, 1, who="manager").expect(403, "PERMISSION_DENIED")
    _names_the_permission(answer)


@check("R03", "No token, an unknown or a revoked one is 401, and nothing changes.", "reference")
def nobody_gets_in(world: World) -> None:
    """A request and a reset by nobody, by an invented token and by tokens that are no longer good."""
    course = world.course()
    (row,) = world.completed(course)
    known = [name for name in ("revoked", "expired") if name in world.tokens]
    with world.unchanged(course):
        for who in ("", *known):
            world.send("GET", WHO_AM_I, who).expect(401)
            world.reset(course, [row["user_id"]], 1, who=who).expect(401)
    _invented(world)


@check("R03", "No token and an unknown one are 401.", "reference", reads_only=True)
def strangers_read_nothing(world: World) -> None:
    """The same with reading alone."""
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
    """The administrator of another organisation reaches for ours, and ours for a user of theirs."""
    course = world.course()
    (row,) = world.completed(course)
    with world.unchanged(course):
        world.reset(course, [row["user_id"]], 1, who="outsider").expect(404)
        world.reset(course, None, 1, who="outsider").expect(404)
    ours = {each["id"] for each in world.courses()}
    _disjoint(world, ours, {each["id"] for each in world.courses("outsider")})
    _disjoint(world, ours, {each["course_id"] for each in world.rows("outsider")})
    stranger = world.me("outsider")
    world.send("GET", f"{ANALYTICS}/users/{stranger}/lessons/progress").expect(404)


def _disjoint(world: World, ours: set[str], theirs: set[str]) -> None:
    if ours & theirs:
        raise BrokenRuleError(world.last, "none of our courses", f"{len(ours & theirs)} of them")


@check(
    "R04",
    "Who may not reset resets nobody, not even themselves, by no path; nothing changes.",
    "article, decided",
)
def learners_reset_nobody(world: World) -> None:
    """A learner and the leader of a team try it with themselves, with somebody, with everyone."""
    course = world.course()
    (row,) = world.completed(course)
    for who in ("learner", "teamlead"):
        with world.unchanged(course):
            for users in ([world.me(who)], [row["user_id"]], None):
                world.reset(course, users, 1, who=who).expect(403)


@check("R04", "A refusal for want of rights reveals nothing about the target.", "decided")
def refusals_reveal_nothing(world: World) -> None:
    """What exists and what does not get the same answer."""
    course = world.course()
    (row,) = world.completed(course)
    known = world.reset(course, [row["user_id"]], 1, who="learner").expect(403)
    elsewhere = {**course, "id": unused_hex(24)}
    for where, user in ((course, world.unknown_user()), (elsewhere, row["user_id"])):
        other = world.reset(where, [user], 1, who="learner").expect(403)
        if other.body != known.body:
            raise BrokenRuleError(other.sent, f"the same answer as for what exists: {known.came}", other.text)
    preview = {"courseId": course["id"], "userIds": [row["user_id"]]}
    if world.send("POST", f"{RESET}:preview", body=preview).status == 200:
        world.send("POST", f"{RESET}:preview", "learner", body=preview).expect(403)


@check(
    "R05", "A learner sees their own rows, and no analytics or users.", "reference, decided", reads_only=True
)
def learners_see_themselves(world: World) -> None:
    """The feed and the lists, as a learner asks for them."""
    me = world.me("learner")
    others = {row["user_id"] for row in world.rows("learner")} - {me}
    if others:
        raise BrokenRuleError(world.last, f"rows of {me} alone", f"rows of {len(others)} others")
    world.send("GET", f"{ANALYTICS}/courses/statistics", "learner").expect(403)
    world.send("POST", USERS, "learner", body={"list_all": True}).expect(403)


@check(
    "R05",
    '"Training: Manage teams" sees the users of the teams one manages; the rest is left out of feed and figures.',
    "reference, decided",
    reads_only=True,
)
def leaders_see_their_teams(world: World) -> None:
    """Less than everything, and the figures of what is seen."""
    every = {row["user_id"] for row in world.rows()}
    seen = world.rows("teamlead")
    team = {row["user_id"] for row in seen}
    if not seen or not team < every:
        raise BrokenRuleError(world.last, f"some of {len(every)} users", f"{len(team)} users")
    answer = world.get(f"{ANALYTICS}/courses/statistics", "teamlead", pageSize=1000)
    for each in answer["items"]:
        counted = sum(row["course_id"] == each["courseId"] for row in seen)
        if each["totalUsers"] != counted:
            raise BrokenRuleError(world.last, f"{counted} users in {each['courseTitle']!r}", str(each))


@check(
    "R05", '"Training: Administration" sees the progress of all users.', "reference, decided", reads_only=True
)
def managers_see_everyone(world: World) -> None:
    """As much as an administrator."""
    if world.rows("manager") != world.rows():
        raise BrokenRuleError(world.last, "the rows an administrator sees", "others")


CHECKS = (
    listed_users_take_the_permission,
    everyone_takes_the_permission,
    nobody_gets_in,
    strangers_read_nothing,
    organisations_are_apart,
    learners_reset_nobody,
    refusals_reveal_nothing,
    learners_see_themselves,
    leaders_see_their_teams,
    managers_see_everyone,
)
