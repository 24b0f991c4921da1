"""R29: of two faults in one request the earlier check answers. All pairs of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations

import pytest
from attrs import define, field

from mock_server import MockTraining
from unit.mock_server.core.conftest import NOW
from unit.mock_server.core.speaker import (
    FORKLIFT,
    RESET,
    Answer,
    Speaker,
    changed,
    confirmation,
    course_id,
    recorded,
)


@define
class Draft:
    """A good reset of one user, into which faults are put."""

    mock: MockTraining
    token: str = "resetter"
    kind: str = "application/json"
    too_large: bool = False
    broken: bool = False
    query: str = ""
    fields: dict[str, object] = field(factory=dict)
    key: str | None = None
    confirm: str | None = None

    def send(self) -> Answer:
        headers = [("content-type", self.kind)]
        headers += [("idempotency-key", self.key)] if self.key else []
        headers += [("reset-confirmation", self.confirm)] if self.confirm else []
        raw = json.dumps(self.fields).encode()
        return Speaker(self.mock, self.token).send(
            "POST",
            RESET,
            self.query,
            raw=raw[:-1] if self.broken else raw,
            headers=tuple(headers),
            too_large=self.too_large,
        )


def draft() -> Draft:
    mock = MockTraining.demo(now=NOW)
    first = recorded(mock)[0]
    return Draft(
        mock,
        fields={"courseId": course_id(mock), "userIds": [first]},
        confirm=confirmation(FORKLIFT, 1),
    )


def unauthenticated(draft: Draft) -> None:
    draft.token = "unknown"


def too_large(draft: Draft) -> None:
    draft.too_large = True


def wrong_type(draft: Draft) -> None:
    draft.kind = "text/plain"


def broken(draft: Draft) -> None:
    draft.broken = True


def bad_query_syntax(draft: Draft) -> None:
    draft.query = "a=%zz"


def no_right(draft: Draft) -> None:
    if draft.token == "resetter":
        draft.token = "manager"


def unknown_parameter(draft: Draft) -> None:
    draft.query = draft.query or "dry_run=1"


def bad_field(draft: Draft) -> None:
    draft.fields["dryRun"] = True


def unknown_course(draft: Draft) -> None:
    draft.fields["courseId"] = "nowhere"


def unknown_user(draft: Draft) -> None:
    draft.fields["userIds"] = ["nobody"]


def used_key(draft: Draft) -> None:
    other = recorded(draft.mock)[1]
    draft.key = "used"
    for token in ("resetter", "manager"):
        Speaker(draft.mock, token).reset(
            course_id(draft.mock), [other], (FORKLIFT, 1), idempotency_key="used"
        )


def no_confirmation(draft: Draft) -> None:
    draft.confirm = None


def untrue_confirmation(draft: Draft) -> None:
    if draft.confirm:
        draft.confirm = confirmation(FORKLIFT, 5)


# In the order of R29; each with the status it alone leads to.
Fault = tuple[Callable[[Draft], None], int]
FAULTS: list[Fault] = [
    (unauthenticated, 401),
    (too_large, 413),
    (wrong_type, 415),
    (broken, 400),
    (bad_query_syntax, 400),
    (no_right, 403),
    (unknown_parameter, 400),
    (bad_field, 400),
    (unknown_course, 404),
    (unknown_user, 404),
    (used_key, 422),
    (no_confirmation, 428),
    (untrue_confirmation, 412),
]


def test_R29_without_a_fault_it_is_done() -> None:
    assert draft().send().json == {"usersUpdated": 1}


@pytest.mark.parametrize(("fault", "status"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_R29_each_fault_has_its_status(fault: Callable[[Draft], None], status: int) -> None:
    made = draft()
    fault(made)
    assert made.send().status == status


@pytest.mark.parametrize(
    ("first", "second"), list(combinations(FAULTS, 2)), ids=lambda fault: fault[0].__name__
)
def test_R29_of_two_faults_the_earlier_answers(first: Fault, second: Fault) -> None:
    made = draft()
    for fault, _ in (first, second):
        fault(made)
    before = made.mock.world.snapshot()
    assert made.send().status == first[1]
    assert changed(before, made.mock.world.snapshot()) <= {"/audit"}


def test_R29_of_two_400s_the_syntax_comes_before_the_right() -> None:
    made = draft()
    broken(made)
    no_right(made)
    assert made.send().status == 400
    made = draft()
    bad_field(made)
    no_right(made)
    assert made.send().status == 403


def test_R29_of_two_404s_the_course_comes_first() -> None:
    made = draft()
    unknown_course(made)
    unknown_user(made)
    assert made.send().reason == "COURSE_NOT_FOUND"


@pytest.mark.parametrize("headers", [{"idempotency_key": "bad key"}, {"reset_confirmation": "{}"}])
def test_R29_malformed_headers_are_faults_of_fields(mock: MockTraining, headers: dict[str, str]) -> None:
    body = {"courseId": "nowhere", "userIds": ["nobody"]}
    assert Speaker(mock).post(RESET, body, **headers).status == 400
    assert Speaker(mock, "manager").post(RESET, body, **headers).status == 403
