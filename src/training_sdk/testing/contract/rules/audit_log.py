"""Checks of the audit log, which records every attempt: R23."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import BrokenRuleError
from training_sdk.testing.contract.wire import unused_hex
from training_sdk.testing.contract.world import RECORDED, Json, Row, World, is_recorded

REQUEST_ID = "x-request-id"
_PLAIN = 1000
"""Smallest number that cannot be the log's own data."""


@check(
    "R23",
    "An append-only audit log has who, when, course, users, request id and outcome, of resets done and refused "
    "with 403, 404, 412 and 428.",
    "decided",
)
def audit_log(world: World) -> None:
    """Send four resets that are refused and one that is done; find them by their request ids."""
    world.controllable()
    course, row = world.completion()
    users, me, elsewhere = [row["user_id"]], world.me(), unused_hex(24)
    world.reset(course, users)  # so that there is an earlier entry
    before = _entries(world)
    ids = {status: f"kit-{unused_hex(16)}" for status in (403, 404, 412, 428, 200)}
    said = {status: [(REQUEST_ID, each)] for status, each in ids.items()}
    world.reset(course, users, 1, who="learner", headers=said[403]).expect(403)
    world.reset(course, users, 1, headers=said[404], courseId=elsewhere).expect(404)
    for status, count in ((412, 2), (428, None)):
        world.reset(course, users, count, headers=said[status]).needed(status)
    world.reset(course, users, 1, headers=said[200]).needed()
    after = _entries(world)
    world.same("five resets", "the earlier entries", before, after[: len(before)])
    who = {status: world.me("learner") if status == 403 else me for status in ids}
    where = {status: elsewhere if status == 404 else course["id"] for status in ids}
    outcomes = {
        status: _outcome(world, after, ids[status], who[status], where[status], users) for status in ids
    }
    if len({json.dumps(each) for each in outcomes.values()}) < len(outcomes):
        raise BrokenRuleError("five resets that end differently", "five outcomes", str(outcomes))


@check("R23", "A reset of everyone is written down with those whom it has reset.", "decided")
def everyone_is_written_down(world: World) -> None:
    """Check for one entry with as many users as the feed shows with progress."""
    world.controllable()
    course = world.course()
    users = [row["user_id"] for row in world.rows(course_id=course["id"]) if is_recorded(row)]
    request_id = f"kit-{unused_hex(16)}"
    world.reset(course, None, len(users), headers=[(REQUEST_ID, request_id)]).needed()
    _outcome(world, _entries(world), request_id, world.me(), course["id"], users)


@check("R23", "The log holds no past completion: no dates, no score, no time spent.", "decided")
def the_log_holds_no_past(world: World) -> None:
    """Reset a person, and search the log entry for their past progress."""
    course, row = world.completion()
    before = _entries(world)
    world.reset(course, [row["user_id"]], 1).needed()
    added = _entries(world)[len(before) :]
    names = sorted(name for entry in added for name in entry if name in RECORDED)
    told = json.dumps(added)
    left = [text for text in map(str, _telling(row)) if _stands_in(told, text)]
    if names or left:
        raise BrokenRuleError(
            "a reset", "nothing of the past in the log", f"it holds {', '.join(names + left)}"
        )


def _stands_in(told: str, text: str) -> bool:
    """Return True if a value is a separate word of the text: a score of 97 is not part of an id with these digits."""
    return re.search(rf"(?<![\w.-]){re.escape(text)}(?![\w.-])", told) is not None


def _telling(row: Row) -> list[Any]:
    """Return the values of a row that can be recognised in a log: dates, a long time spent, and the score."""
    spent, score = row.get("time_spent_seconds") or 0, row.get("score") or 0
    numbers = [spent] if spent >= _PLAIN else []
    numbers += [score] if 1 < score < 100 else []
    return [*(row[name] for name in ("completed_at", "opened_at") if row.get(name)), *numbers]


def _entries(world: World) -> list[Json]:
    return list(world.control("GET", "audit")["entries"])


def _outcome(
    world: World, entries: list[Json], request_id: str, actor: str, course: str, users: Collection[str]
) -> Any:
    """Return the outcome in the only entry of a request; the entry must contain the other values."""
    found = [each for each in entries if each["request_id"] == request_id]
    if len(found) != 1:
        raise BrokenRuleError(
            f"a reset with the request id {request_id}", "one entry", f"{len(found)} entries"
        )
    (entry,) = found
    said = (entry["actor_id"], entry["course_id"], sorted(entry["user_ids"]), _is_now(world, entry["at"]))
    if said != (actor, course, sorted(users), True):
        raise BrokenRuleError(
            f"a reset of {len(users)} users by {actor} in {course}, just now",
            "these in its entry",
            json.dumps(entry)[:300],
        )
    return entry["outcome"]


def _is_now(world: World, at: str) -> bool:
    """Return True if a time is now by the control plane's clock, which is stopped."""
    now = datetime.fromisoformat(world.control("GET", "clock")["now"])
    return abs(datetime.fromisoformat(at) - now) < timedelta(minutes=1)
