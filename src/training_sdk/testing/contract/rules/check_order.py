"""Checks of the order in which a server reports several faults of a request: R29."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from attrs import define

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.findings import NotCheckedError
from training_sdk.testing.contract.wire import JSON_TYPE, RESET, Answer, unused_hex
from training_sdk.testing.contract.world import INVALID, KEY, Course, Json, Row, World, confirming


@define
class _Wrong:
    """Reset request with several faults; by the rule, the first fault decides the answer."""

    world: World
    course: Course
    row: Row
    key: str

    def ask(self, *faults: str) -> Answer:
        """Send the request."""
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
"""Possible faults in the order in which a server must detect them, with the answer to each."""

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
"""Pairs of faults, the one to be detected first in front: all pairs that can be distinguished."""


@check(
    "R29",
    "Order of checks: 401, then 413, 415 and syntax (400), 403, fields (400), course (404), users (404), a used key, "
    "428, 412, and only then the effect.",
    "decided",
)
def order_of_checks(world: World) -> None:
    """Send resets with two faults each. Another rule checks whether each fault alone is detected."""
    course = world.course()
    world.token("learner")  # raises NotCheckedError before the first reset if there is none
    first, row = world.completed(course, 2)
    wrong = _Wrong(world, course, row, f"kit-{secrets.token_hex(8)}")
    world.reset(course, [first["user_id"]], 1, headers=[(KEY, wrong.key)])
    noticed = {name for name, says in STEPS.items() if _says(wrong.ask(name), *says)}
    judged = [pair for pair in PAIRS if noticed.issuperset(pair)]
    with world.unchanged():
        for earlier, later in judged:
            wrong.ask(earlier, later).expect(*STEPS[earlier])
    if len(judged) * 2 < len(PAIRS):
        missing = ", ".join(STEPS.keys() - noticed)
        raise NotCheckedError(
            f"The server refuses too few faults to compare their order. It accepts: {missing}."
        )
    world.noted = f"{len(judged)} resets with two things wrong, each refused for the first of them"


def _says(answer: Answer, status: int, reason: str) -> bool:
    return answer.status == status and reason in ("", answer.reason)
