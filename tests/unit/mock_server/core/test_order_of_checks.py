"""R29 where the contract tests cannot see it: faults of the query and of the form of headers, among the others."""

from __future__ import annotations

import json

import pytest

from mock_server import MockTraining
from unit.mock_server.core.speaker import FORKLIFT, RESET, Speaker, changed, confirmation, course_id, recorded

BAD_SYNTAX, UNKNOWN_PARAMETER = "a=%zz", "dry_run=1"


@pytest.mark.parametrize(
    ("token", "query", "kind", "course", "status"),
    [
        ("resetter", "", "application/json", FORKLIFT, 200),
        ("resetter", BAD_SYNTAX, "application/json", FORKLIFT, 400),
        ("resetter", UNKNOWN_PARAMETER, "application/json", FORKLIFT, 400),
        ("unknown", BAD_SYNTAX, "application/json", FORKLIFT, 401),
        ("resetter", BAD_SYNTAX, "text/plain", FORKLIFT, 415),
        ("manager", BAD_SYNTAX, "application/json", FORKLIFT, 400),
        ("manager", UNKNOWN_PARAMETER, "application/json", FORKLIFT, 403),
        ("resetter", UNKNOWN_PARAMETER, "application/json", "", 400),
    ],
)
def test_R29_a_query_is_read_before_the_right_and_judged_after_it(
    mock: MockTraining, token: str, query: str, kind: str, course: str, status: int
) -> None:
    before, user = mock.world.snapshot(), recorded(mock)[0]
    body = {"courseId": course_id(mock) if course else "nowhere", "userIds": [user]}
    headers = (("content-type", kind), ("reset-confirmation", confirmation(FORKLIFT, 1)))
    raw = json.dumps(body).encode()
    assert Speaker(mock, token).send("POST", RESET, query, raw=raw, headers=headers).status == status
    assert status == 200 or changed(before, mock.world.snapshot()) <= {"/audit"}


@pytest.mark.parametrize("headers", [{"idempotency_key": "bad key"}, {"reset_confirmation": "{}"}])
def test_R29_malformed_headers_are_faults_of_fields(mock: MockTraining, headers: dict[str, str]) -> None:
    body = {"courseId": "nowhere", "userIds": ["nobody"]}
    assert Speaker(mock).post(RESET, body, **headers).status == 400
    assert Speaker(mock, "manager").post(RESET, body, **headers).status == 403
