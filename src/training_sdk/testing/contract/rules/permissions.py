"""Checks of who may reset and who sees what: R01 to R05, and what the rows of the feed show (R09, R10, R14, R29)."""

from __future__ import annotations

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.rules.assignment import can_learn
from training_sdk.testing.contract.rules.reset_effect import figures_fit
from training_sdk.testing.contract.wire import RESET, USERS, Answer, unused_hex
from training_sdk.testing.contract.world import (
    ANALYTICS,
    COURSES,
    FEED,
    PREVIEW,
    WHO_AM_I,
    Course,
    Json,
    Row,
    World,
    confirming,
    is_recorded,
    snake,
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
    course, row = world.completion()
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
    course, row = world.completion()
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
    course, row = world.completion()
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
    course, row = world.completion()
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
    course, row = world.completion()
    _may_reset_nobody(world, course, "learner", row["user_id"])


@check(
    "R04",
    "Nor does a leader reset anybody: not themselves, not their team, not everyone.",
    "article, decided",
)
def leaders_reset_nobody(world: World) -> None:
    """Try a reset as the leader of a team, also of a member of the team."""
    course, row = world.completion()
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
    course, row = world.completion()
    known = world.reset(course, [row["user_id"]], 1, who="learner").expect(403)
    elsewhere = {**course, "id": unused_hex(24)}
    for where, user in ((course, world.unknown_user()), (elsewhere, row["user_id"])):
        other = world.reset(where, [user], 1, who="learner").expect(403)
        if other.body != known.body:
            raise BrokenRuleError(other.sent, f"the same answer as for what exists: {known.came}", other.text)


@check("R04", "Nor do they get a preview, where there is one.", "decided")
def no_preview_for_others(world: World) -> None:
    """Request a preview as a learner and as a leader: of themselves, of another person, and of no person."""
    course, row = world.completion()
    world.send("POST", PREVIEW, body={"courseId": course["id"], "userIds": [row["user_id"]]}).needed()
    for who in ("learner", "teamlead"):
        for users in ([world.me(who)], [row["user_id"]], []):
            world.send("POST", PREVIEW, who, body={"courseId": course["id"], "userIds": users}).expect(403)


REFUSED = (403, 404)


@check(
    "R05",
    "A learner sees their own rows, lessons and attempts, and no analytics or users.",
    "reference, decided",
    reads_only=True,
)
def learners_see_themselves(world: World) -> None:
    """Read the feed and the lists as a learner, also with another person's id."""
    me = world.me("learner")
    attempts = f"{ANALYTICS}/lessons/attempts"
    _own_alone(world, FEED, me)
    _own_alone(world, attempts, me)
    for other in _others(world, me):
        _own_alone(world, FEED, me, may_refuse=True, user_id=other)
        _own_alone(world, attempts, me, may_refuse=True, userId=other)
        _own_alone(world, f"{ANALYTICS}/users/{other}/lessons/progress", me, may_refuse=True)
    for path in (f"{ANALYTICS}/courses/statistics", "/feed/users"):
        world.send("GET", path, "learner").expect(403)
    world.send("POST", USERS, "learner", body={"list_all": True}).expect(403)


def _others(world: World, me: str) -> list[str]:
    """Return the id of another person, preferably one who has completed a course; empty if there is none."""
    rows: list[Row] = [row for row in world.rows() if row["user_id"] != me]
    return [row["user_id"] for row in sorted(rows, key=lambda row: not row["completed_at"])][:1]


def _own_alone(world: World, path: str, me: str, *, may_refuse: bool = False, **query: str) -> None:
    """Check that a list contains no other person, or is refused if another person is requested."""
    answer = world.send("GET", path, "learner", query=query)
    if may_refuse and answer.status in REFUSED:
        return
    said = answer.object()
    items = [snake(each) for each in said.get("data", said.get("items", []))]
    others = [each for each in items if each.get("user_id") != me]
    if others:
        raise BrokenRuleError(answer.sent, f"nothing but what is of {me}", f"{len(others)} of others")


@check(
    "R05",
    '"Training: Manage teams" sees fewer than all users, and figures of those alone.',
    "reference, decided",
    reads_only=True,
)
def leaders_see_their_teams(world: World) -> None:
    """Check that leaders see less than everything, and the figures of what they see."""
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
    "R05",
    "They are exactly the users of the groups and sites that one manages, and oneself.",
    "reference, decided",
)
def leaders_see_their_teams_alone(world: World) -> None:
    """Compare the feed with the groups and sites of the state document: the vendor's API does not show who manages."""
    me = world.me("teamlead")
    people = [
        each
        for organisation in world.control("GET", "state")["organisations"]
        for each in organisation["people"]
    ]
    leader = next(each for each in people if each["id"] == me)
    team = {each["id"] for each in people if _is_led(each, leader)} | {me}
    if team == {me}:
        raise NotCheckedError("The leader manages no group or site that has members.")
    expected = team & {row["user_id"] for row in world.rows()}
    seen = {row["user_id"] for row in world.rows("teamlead")}
    if seen != expected:
        came = f"{len(seen - expected)} too many, {len(expected - seen)} missing"
        raise BrokenRuleError(world.last, f"rows of {len(expected)} users", came)


def _is_led(person: Json, leader: Json) -> bool:
    return any(set(person[kind]) & set(leader[f"managed_{kind}"]) for kind in ("groups", "sites"))


@check(
    "R05", '"Training: Administration" sees the progress of all users.', "reference, decided", reads_only=True
)
def managers_see_everyone(world: World) -> None:
    """Check that managers see as much as an administrator."""
    if world.rows("manager") != world.rows():
        raise BrokenRuleError(world.last, "the rows an administrator sees", "others")


@check(
    "R09",
    "Whatever is recorded, the date of opening is set, so that eligibility can be read off the feed.",
    "decided",
    reads_only=True,
)
def whoever_began_has_opened(world: World) -> None:
    """Check every row of the feed."""
    rows = world.rows()
    if not any(map(is_recorded, rows)):
        raise NotCheckedError("No person has recorded progress.")
    without = [row for row in rows if is_recorded(row) and not row["opened_at"]]
    if without:
        raise BrokenRuleError(
            f"GET {FEED}", "opened_at where anything is recorded", f"{len(without)} rows without"
        )
    world.noted = f"GET {FEED} → {len(rows)} rows, {sum(map(is_recorded, rows))} with recorded progress"


@check("R10", "Deactivated users and guests have no rows.", "reference, decided", reads_only=True)
def rows_of_learners_alone(world: World) -> None:
    """Compare the feed with the list of users."""
    others = {person["user_id"] for person in world.people() if not can_learn(person)}
    if not others:
        raise NotCheckedError("There is neither a guest nor a deactivated person.")
    shown = {row["user_id"] for row in world.rows()}
    if others & shown:
        raise BrokenRuleError(
            f"GET {FEED}", f"no rows of {len(others)} guests and deactivated", str(sorted(others & shown))
        )


@check("R14", "Course statistics equal what counting the rows of the feed gives.", "article", reads_only=True)
def figures_equal_the_feed(world: World) -> None:
    """Compare the figures of every course."""
    figures_fit(world)


@check("R29", "Who it is comes first: 401 before any fault of the request.", "decided", reads_only=True)
def rights_come_first(world: World) -> None:
    """Request the feed with an invalid limit, with a token and without."""
    fault = {"limit": "none"}
    if world.send("GET", FEED, query=fault).status != 400 or world.send("GET", FEED, "").status != 401:
        raise NotCheckedError(
            "The server accepts an invalid limit, or a request without a token, so the order cannot be compared."
        )
    world.send("GET", FEED, "", query=fault).expect(401)
