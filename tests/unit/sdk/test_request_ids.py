"""Whatever id a service gives its answers, the records are brought to their end, and no secret gets into them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server import MockTraining
from training_sdk import OutcomeUnknownError, ResetReport, TrainingClient
from training_sdk._core.exchange import shown_request_id
from training_sdk.records.audit import AuditLog
from training_sdk.records.events import Answered, Closed, Sent
from training_sdk.records.journal import read_journal
from unit.sdk.fakes import RESET

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl"
OURS = "3a8f"
SECRET = f"{OURS} (the service's own id looks like a secret and is not shown)"
TOKEN = "k7" * 20

SHOWN = [
    (None, OURS),
    ("", OURS),
    ("a5f3-9", "a5f3-9"),
    ("x" * 200, "x" * 200),
    ("x" * 201, f"{OURS} (the service's own id: '{'x' * 200}...')"),
    ("two words", f"{OURS} (the service's own id: 'two words')"),
    ("\x1b[31mred", f"{OURS} (the service's own id: '\\x1b[31mred')"),
    ("ü\u202e", f"{OURS} (the service's own id: '\\xfc\\u202e')"),
    ("mock_" + "a1" * 24, SECRET),
    (JWT, SECRET),
    ("Bearer abc123def456ghi789", SECRET),
    (f"for-{TOKEN}", SECRET),
]


@pytest.mark.parametrize(("given", "shown"), SHOWN)
def test_an_id_is_shown_as_it_is_or_escaped_beside_ours(given: str | None, shown: str) -> None:
    assert shown_request_id(given, OURS, TOKEN) == shown


@given(st.text(max_size=300))
def test_no_id_is_too_long_or_unprintable(text: str) -> None:
    shown = shown_request_id(text, OURS, TOKEN)
    assert shown.isascii()
    assert shown.isprintable()
    assert 0 < len(shown) < 300


class Meddler:
    """A gateway that gives every answer to a reset another request id."""

    def __init__(self, given: str, path: Path) -> None:
        self.mock = MockTraining.demo()
        self.given, self.state = given, path / "state"

    def answer(self, response: httpx.Response) -> None:
        if response.request.url.path.endswith(RESET):
            response.headers.encoding = "utf-8"
            response.headers["x-request-id"] = self.given

    def client(self) -> TrainingClient:
        http = httpx.Client(transport=self.mock.transport(), event_hooks={"response": [self.answer]})
        return TrainingClient(self.mock.token("admin"), http_client=http, state_dir=self.state, pace=False)

    def events(self, digest: str) -> tuple[Any, ...]:
        return read_journal(self.state / "plans" / digest)

    def kept(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.state.rglob("*") if path.is_file())


IDS = [
    JWT,
    "mock_" + "a1" * 24,
    "",
    "two words",
    "x" * 5000,
    "\x7f",
    "ü",
    "Bearer abc123def456ghi789",
]


@pytest.mark.parametrize("given", [*IDS, "the token itself"])
def test_no_request_id_stops_the_end_from_being_written(given: str, tmp_path: Path) -> None:
    meddler = Meddler(given, tmp_path)
    if given == "the token itself":
        meddler.given = meddler.mock.token("admin")
    client = meddler.client()
    plan = client.resets.plan_everyone("6908610029087ab67fa50c2e")
    report: ResetReport = client.resets.apply(plan, confirm=plan.phrase, reason="yearly")
    events = meddler.events(plan.digest)
    assert isinstance(events[-1], Closed)
    (sent,) = (event for event in events if isinstance(event, Sent))
    (answered,) = (event for event in events if isinstance(event, Answered))
    assert (answered.request_id,) == report.requests
    assert str(sent.request_id) in report.requests[0]
    assert AuditLog(meddler.state / "audit.jsonl").entries()[-1]["event"] == "reset ended"
    for secret in (JWT, "a1" * 24, "abc123def456ghi789", meddler.mock.token("admin")):
        assert secret.encode() not in meddler.kept()


@pytest.mark.parametrize("given", [JWT, "\x7f"])
def test_an_error_with_such_an_id_is_written_too(given: str, tmp_path: Path) -> None:
    meddler = Meddler(given, tmp_path)
    client = meddler.client()
    plan = client.resets.plan_everyone("6908610029087ab67fa50c2e")
    meddler.mock.faults.add("error", operation="ResetCourseProgress", status=500)
    with pytest.raises(OutcomeUnknownError) as caught:
        client.resets.apply(plan, confirm=plan.phrase, reason="yearly")
    assert caught.value.report is not None
    assert given not in str(caught.value)
    assert AuditLog(meddler.state / "audit.jsonl").entries()[-1]["event"] == "reset stopped"
    assert JWT.encode() not in meddler.kept()
