"""What a reset takes: R06 to R11, and the order of checks, R29."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.outcome import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.wire import JSON_TYPE, RESET, Answer, unused_hex
from training_sdk.testing.contract.world import COURSES, Course, Json, Row, World, confirming, is_recorded

INVALID = "INVALID_ARGUMENT"
KEY = "idempotency-key"


@check(
    "R06", "A reset without a confirmation changes nothing: 428 CONFIRMATION_REQUIRED.", "article, decided"
)
def no_confirmation(world: World) -> None:
    """For one learner and for everyone."""
    course = world.course()
    (row,) = world.completed(course)
    with world.unchanged(course):
        for users in ([row["user_id"]], None):
            world.reset(course, users).expect(428, "CONFIRMATION_REQUIRED")


@check(
    "R06",
    "A confirmation of another title or number changes nothing: 412 CONFIRMATION_MISMATCH, saying what is true.",
    "article, decided",
)
def untrue_confirmation(world: World) -> None:
    """Titles that look alike, and numbers close by."""
    course = world.course()
    (row,) = world.completed(course)
    title = course["title"]
    with world.unchanged(course):
        for said, users in (
            (title.swapcase(), 1),
            (f"{title} ", 1),
            (f"{title}\u200b", 1),
            (title, 2),
            (title, 0),
        ):
            answer = world.reset(course, [row["user_id"]], headers=[confirming(said, users)])
            answer.expect(412, "CONFIRMATION_MISMATCH")
            spellings = (json.dumps(title)[1:-1], json.dumps(title, ensure_ascii=False)[1:-1])
            if not any(spelled in answer.text for spelled in spellings):
                raise BrokenRuleError(answer.sent, f"the true title {title!r} in the answer", answer.text)


@check("R06", "A confirmation that is not of its form changes nothing: 400 INVALID_ARGUMENT.", "decided")
def malformed_confirmation(world: World) -> None:
    """Not JSON, another number of keys, a number that is none."""
    course = world.course()
    (row,) = world.completed(course)
    good = {"courseTitle": course["title"], "users": 1}
    said = ["yes", "[]", json.dumps(good | {"users": True}), json.dumps(good | {"users": "1"})]
    said += [json.dumps(good | {"force": True}), json.dumps({"courseTitle": course["title"]})]
    with world.unchanged(course):
        for each in said:
            answer = world.reset(course, [row["user_id"]], headers=[("reset-confirmation", each)])
            answer.expect(400, INVALID)


@check(
    "R07",
    "Scope never widens: neither or both of userIds and allUsers, an empty list, null, allUsers false, an unknown "
    "field, a repeated key or both spellings of one are 400 INVALID_ARGUMENT; nothing changes.",
    "decided",
)
def scope_never_widens(world: World) -> None:
    """Every body that somebody could take for "everyone" by mistake."""
    course = world.course()
    (row,) = world.completed(course)
    users = [row["user_id"]]
    everyone = sum(is_recorded(each) for each in world.rows(course_id=course["id"]))
    with world.unchanged(course):
        scopes: tuple[Json, ...] = (
            {},
            {"userIds": users, "allUsers": True},
            {"userIds": []},
            {"userIds": None},
            {"allUsers": None},
            {"allUsers": False},
            {"userIds": users, "dryRun": True},
            {"learnerIds": users},
            {"userIds": users, "user_ids": users},
        )
        for scope in scopes:
            for count in (everyone if world.is_own else 1, 1):
                body = json.dumps({"courseId": course["id"], **scope})
                _refused(world, course, body, count)
        listed = json.dumps(users)
        _refused(
            world, course, f'{{"courseId": "{course["id"]}", "userIds": {listed}, "userIds": {listed}}}', 1
        )


def _refused(world: World, course: Course, body: str, count: int) -> None:
    confirmed = confirming(course["title"], count)
    answer = world.send("POST", RESET, content=body.encode(), headers=[confirmed])
    answer.expect(400, INVALID)


@check(
    "R08",
    "One listed user who does not exist fails the whole call: 404, the id named, nothing changed.",
    "decided",
)
def one_unknown_user_stops_all(world: World) -> None:
    """An invented user, and where there is one, a user of another organisation."""
    course = world.course()
    (row,) = world.completed(course)
    strangers = [world.unknown_user()]
    if "outsider" in world.tokens:
        strangers.append(world.me("outsider"))
    with world.unchanged(course):
        for stranger in strangers:
            answer = world.reset(course, [row["user_id"], stranger], 1).expect(404, "USER_NOT_FOUND")
            if stranger not in answer.text:
                raise BrokenRuleError(answer.sent, f"the id {stranger} named", answer.text[:300])


@check("R08", "Repeated ids count once; more than 1000 ids as sent are 400.", "decided")
def repeated_and_too_many_ids(world: World) -> None:
    """The same learner 1001 times, then twice."""
    course = world.course()
    (row,) = world.completed(course)
    with world.unchanged(course):
        world.reset(course, [row["user_id"]] * 1001, 1).expect(400, INVALID)
    _updated(world.reset(course, [row["user_id"]] * 2, 1), 1)


def _updated(answer: Answer, number: int) -> None:
    """A 200 that says how many users were reset; zero may be absent."""
    said = answer.object()
    if said.get("usersUpdated", said.get("users_updated", 0)) != number:
        raise BrokenRuleError(answer.sent, f"usersUpdated {number}", answer.came)


@check(
    "R09",
    "Whoever has anything recorded is reset, completed or not; a listed user without is left alone, uncounted.",
    "decided",
)
def recorded_progress_is_what_counts(world: World) -> None:
    """Somebody half-way, beside somebody who has not begun."""
    course = world.course()
    begun, idle = world.begun(course), world.not_begun(course)
    _updated(world.reset(course, [begun["user_id"], idle["user_id"]], 1), 1)
    after = world.row(course["id"], idle["user_id"])
    if after != idle:
        raise BrokenRuleError(world.last, f"the row as before: {idle}", str(after))


@check(
    "R09",
    "Every action of a learner sets the date of opening, so that eligibility can be read off the feed.",
    "decided",
)
def a_lone_post_counts(world: World) -> None:
    """Somebody who only posts to the discussion is opened, and is reset."""
    course = world.course()
    idle = world.not_begun(course)
    world.act("post-to-discussion", course["id"], idle["user_id"], text="contract kit")
    row = world.row(course["id"], idle["user_id"])
    if not row["opened_at"]:
        raise BrokenRuleError("a learner's post to the discussion", "opened_at set in their row", str(row))
    _updated(world.reset(course, [idle["user_id"]], 1), 1)


@check("R09", "A reset of everyone resets exactly those with recorded progress.", "decided")
def everyone_is_everyone_with_progress(world: World) -> None:
    """As many as the feed shows."""
    course = world.course()
    recorded = sum(is_recorded(row) for row in world.rows(course_id=course["id"]))
    _updated(world.reset(course, None, recorded), recorded)


@check(
    "R10",
    "Assigned is who is so directly, through a group, through a site or by universal access.",
    "reference, decided",
)
def ways_of_being_assigned(world: World) -> None:
    """Each way, put on and taken off again."""
    if not world.is_own:
        raise NotCheckedError("this changes assignments, and is done in a world of the kit's own only")
    course, roll = _emptiest(world), _Roll.of(world)
    with_nobody = {
        "clearAllUsers": True,
        "clearAllGroups": True,
        "clearAllSites": True,
        "universalAccess": False,
    }
    _assign(world, course, with_nobody)
    _on_roster(world, course, set())
    somebody = min(roll.learners)
    for kind, members in (("USER", {somebody: {somebody}}), ("GROUP", roll.groups), ("SITE", roll.sites)):
        key = next((each for each, those in members.items() if those & roll.learners), None)
        if key is not None:
            _assign(world, course, _entry(key, kind, True))
            _on_roster(world, course, members[key] & roll.learners)
            _assign(world, course, _entry(key, kind, False))
            _on_roster(world, course, set())
    _assign(world, course, {"universalAccess": True})
    _on_roster(world, course, roll.learners)


@check(
    "R10", "Deactivated users and guests are assigned to nothing, and cannot be reset.", "reference, decided"
)
def guests_and_deactivated(world: World) -> None:
    """One of each, assigned directly."""
    if not world.is_own:
        raise NotCheckedError("this changes assignments, and is done in a world of the kit's own only")
    course, roll = _emptiest(world), _Roll.of(world)
    for user in roll.others:
        _assign(world, course, _entry(user, "USER", True))
        if user in {row["user_id"] for row in world.rows(course_id=course["id"])}:
            raise BrokenRuleError(world.last, f"no row of {user}, who is a guest or deactivated", "a row")
        _updated(world.reset(course, [user], 0), 0)


@define
class _Roll:
    """Who can learn, who cannot, and who belongs to which group and site."""

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
    """R10: neither deactivated nor a guest."""
    return not person["status"].endswith("_DEACTIVATED") and not person["seat_type"].endswith("_COLLABORATOR")


def _emptiest(world: World) -> Course:
    """The published course with the fewest rows."""
    rows = [row["course_id"] for row in world.rows()]
    published = [each for each in world.courses() if each["status"] == "Published"]
    return min(published, key=lambda course: (rows.count(course["id"]), course["id"]))


def _entry(key: str, kind: str, is_assigned: bool) -> Json:
    return {"assignments": [{"id": key, "type": f"ASSIGNMENT_TYPE_{kind}", "isAssigned": is_assigned}]}


def _assign(world: World, course: Course, change: Json) -> None:
    world.send("PUT", f"{COURSES}/{course['id']}/assignments", body={"assignments": [], **change}).expect(200)


def _on_roster(world: World, course: Course, expected: set[str]) -> None:
    told = world.last
    shown = {row["user_id"] for row in world.rows(course_id=course["id"])}
    if shown != expected:
        said = f"{len(shown)}, of whom {len(shown - expected)} should not and {len(expected - shown)} are missing"
        raise BrokenRuleError(told, f"rows of {len(expected)} users", said)


@check(
    "R11",
    "The same Idempotency-Key, body and confirmation give the first 200 again, byte for byte, without a second effect.",
    "decided",
)
def repeated_keys(world: World) -> None:
    """Once more, with other content, and after something that was no 200."""
    course = world.course()
    row, other = world.completed(course, 2)
    users, key = [row["user_id"]], [(KEY, f"kit-{secrets.token_hex(8)}")]
    world.reset(course, users, 1, headers=key, courseId=unused_hex(24)).expect(404)
    first = world.reset(course, users, 1, headers=key).expect(200)
    with world.unchanged(course):
        again = world.reset(course, users, 1, headers=key).expect(200)
        if again.body != first.body:
            raise BrokenRuleError(again.sent, f"the first answer again: {first.text}", again.text)
        world.reset(course, [other["user_id"]], 1, headers=key).expect(422, "IDEMPOTENCY_KEY_REUSED")


# --- the order of checks ------------------------------------------------------------------------------------------


@define
class _Wrong:
    """A reset with some things wrong with it, of which the first one by the rule decides the answer."""

    world: World
    course: Course
    row: Row
    key: str

    def ask(self, *faults: str) -> Answer:
        """Send it."""
        body: dict[str, Any] = {"courseId": self.course["id"], "userIds": [self.row["user_id"]]}
        changes: Mapping[str, Json] = {
            "field": {"userIds": 7},
            "course": {"courseId": unused_hex(24)},
            "user": {"userIds": [self.world.unknown_user()]},
        }
        for fault in faults:
            body |= changes.get(fault, {})
        content = json.dumps(body).encode()
        content = content[:-1] if "syntax" in faults else content
        content = content + b" " * 1024 * 1024 if "large" in faults else content
        headers = [("content-type", "text/plain" if "type" in faults else JSON_TYPE)]
        if "unconfirmed" not in faults:
            headers.append(confirming(self.course["title"], 2 if "untrue" in faults else 1))
        if "key" in faults:
            headers.append((KEY, self.key))
        who = "" if "nobody" in faults else "learner" if "right" in faults else "admin"
        return self.world.send("POST", RESET, who, content=content, headers=headers)


STEPS = {
    "nobody": (401, ""),
    "large": (413, ""),
    "type": (415, ""),
    "syntax": (400, INVALID),
    "right": (403, ""),
    "field": (400, INVALID),
    "course": (404, "COURSE_NOT_FOUND"),
    "user": (404, "USER_NOT_FOUND"),
    "key": (422, ""),
    "unconfirmed": (428, ""),
    "untrue": (412, ""),
}
"""What can be wrong, in the order in which it is to be noticed, and the answer to each."""

PAIRS = (
    *(("nobody", each) for each in ("large", "type", "syntax", "field", "course", "unconfirmed")),
    *(("large", each) for each in ("right", "course")),
    *(("type", each) for each in ("right", "field", "course", "unconfirmed")),
    *(("syntax", each) for each in ("right", "unconfirmed", "untrue")),
    *(("right", each) for each in ("field", "unconfirmed", "untrue")),
    *(("field", each) for each in ("course", "key", "unconfirmed", "untrue")),
    *(("course", each) for each in ("user", "key", "unconfirmed", "untrue")),
    *(("user", each) for each in ("key", "unconfirmed", "untrue")),
    *(("key", each) for each in ("unconfirmed", "untrue")),
)
"""Two things wrong at once, the one to be noticed first: as many as can be told apart."""


@check(
    "R29",
    "Order of checks: 401, then 413, 415 and syntax (400), 403, fields (400), course (404), users (404), a used key, "
    "428, 412, and only then the effect.",
    "decided",
)
def order_of_checks(world: World) -> None:
    """Resets with two things wrong with them. What is not even noticed alone is another rule's matter."""
    course = world.course()
    first, row = world.completed(course, 2)
    wrong = _Wrong(world, course, row, f"kit-{secrets.token_hex(8)}")
    world.reset(course, [first["user_id"]], 1, headers=[(KEY, wrong.key)])
    noticed = {name for name, says in STEPS.items() if _says(wrong.ask(name), *says)}
    judged = [pair for pair in PAIRS if noticed.issuperset(pair)]
    with world.unchanged(course):
        for earlier, later in judged:
            wrong.ask(earlier, later).expect(*STEPS[earlier])
    if len(judged) * 2 < len(PAIRS):
        missing = ", ".join(STEPS.keys() - noticed)
        raise NotCheckedError(f"too little is refused at all to tell an order; not noticed: {missing}")
    world.noted = f"{len(judged)} resets with two things wrong, each refused for the first of them"


def _says(answer: Answer, status: int, reason: str) -> bool:
    return answer.status == status and reason in ("", answer.reason)


CHECKS = (
    no_confirmation,
    untrue_confirmation,
    malformed_confirmation,
    scope_never_widens,
    one_unknown_user_stops_all,
    repeated_and_too_many_ids,
    recorded_progress_is_what_counts,
    a_lone_post_counts,
    ways_of_being_assigned,
    guests_and_deactivated,
    repeated_keys,
    order_of_checks,
)
LAST = (everyone_is_everyone_with_progress,)
"""What leaves nothing to play with for those after it."""
