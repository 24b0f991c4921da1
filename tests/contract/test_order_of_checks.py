"""R29: of several things wrong with a reset, the one that is checked first is the one that is answered."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

from attrs import field, frozen

from contract.plant import FORKLIFT, Plant, nothing_changes
from contract.stage import RESET, Stage, confirming, reason
from mock_server.mock import TokenName


@frozen
class Fault:
    """Something wrong with a reset, and how it is answered."""

    name: str
    status: int
    reason: str
    who: TokenName | None = "admin"
    body: dict[str, Any] = field(factory=dict)
    padding: bytes = b""
    headers: dict[str, str] = field(factory=dict)
    drops: str = ""


def _large(name: str, padding: bytes, status: int, answered: str) -> Fault:
    return Fault(name, status, answered, padding=padding)


# In the order of R29; the faults of one row exclude each other.
ORDER = (
    (Fault("token", 401, "UNAUTHENTICATED", who="revoked"),),
    (_large("size", b" " * (1024 * 1024), 413, "BODY_TOO_LARGE"),),
    (Fault("media type", 415, "UNSUPPORTED_MEDIA_TYPE", headers={"Content-Type": "text/plain"}),),
    (_large("syntax", b"}", 400, "INVALID_ARGUMENT"),),
    (Fault("permission", 403, "PERMISSION_DENIED", who="manager"),),
    (
        Fault("unknown field", 400, "INVALID_ARGUMENT", body={"force": True}),
        Fault("key", 400, "INVALID_ARGUMENT", headers={"Idempotency-Key": "no key"}),
        Fault("confirmation's form", 400, "INVALID_ARGUMENT", headers={"Reset-Confirmation": "yes"}),
    ),
    (Fault("course", 404, "COURSE_NOT_FOUND", body={"courseId": "0" * 24}),),
    (Fault("user", 404, "USER_NOT_FOUND", body={"userIds": ["user_" + "0" * 32]}),),
    (Fault("key used before", 422, "IDEMPOTENCY_KEY_REUSED", headers={"Idempotency-Key": "used"}),),
    (
        Fault("no confirmation", 428, "CONFIRMATION_REQUIRED", drops="Reset-Confirmation"),
        Fault("wrong confirmation", 412, "CONFIRMATION_MISMATCH", headers=confirming(FORKLIFT, 99)),
    ),
)
RANKED = [(rank, fault) for rank, row in enumerate(ORDER) for fault in row]
PAIRS = [(first, second) for (a, first), (b, second) in combinations(RANKED, 2) if a < b]


def _send(stage: Stage, plant: Plant, faults: list[Fault]) -> tuple[int, str]:
    body: dict[str, Any] = {"courseId": plant.forklift, "userIds": plant.ids("anna")}
    headers = confirming(FORKLIFT, 1)
    padding = b""
    who: TokenName | None = "admin"
    for fault in reversed(faults):  # what is checked first has the last word, as with the token
        body |= fault.body
        headers |= fault.headers
        headers.pop(fault.drops, None)
        padding += fault.padding
        who = fault.who if fault.who != "admin" else who
    with nothing_changes(plant.mock):
        answer = stage.send("POST", RESET, who, content=json.dumps(body).encode() + padding, headers=headers)
    return answer.status_code, reason(answer)


def _use_a_key(stage: Stage, plant: Plant) -> None:
    used = {"courseId": plant.forklift, "userIds": plant.ids("cleo")}
    stage.reset(used, confirming(FORKLIFT, 1) | {"Idempotency-Key": "used"})


def test_R29_each_fault_by_itself(stage: Stage, plant: Plant) -> None:
    _use_a_key(stage, plant)
    for _, fault in RANKED:
        assert _send(stage, plant, [fault]) == (fault.status, fault.reason), fault.name


def test_R29_of_any_two_faults_the_earlier_is_answered(stage: Stage, plant: Plant) -> None:
    _use_a_key(stage, plant)
    for first, second in PAIRS:
        answered = _send(stage, plant, [first, second])
        assert answered == (first.status, first.reason), (first.name, second.name)


def test_R29_with_everything_wrong_they_come_up_one_after_the_other(stage: Stage, plant: Plant) -> None:
    _use_a_key(stage, plant)
    faults = [row[-1] for row in ORDER]
    for number, fault in enumerate(faults):
        assert _send(stage, plant, faults[number:]) == (fault.status, fault.reason), fault.name
