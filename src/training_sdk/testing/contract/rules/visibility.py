"""Checks of the right to see other people's progress: R05."""

from __future__ import annotations

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.rules.assignment import can_learn
from training_sdk.testing.contract.rules.reset_effect import figures_fit
from training_sdk.testing.contract.wire import USERS
from training_sdk.testing.contract.world import ANALYTICS, FEED, Json, Row, World, is_recorded, snake

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
