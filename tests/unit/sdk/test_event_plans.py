"""Which plan of this machine a webhook event belongs to, and that a reset which nobody planned belongs to none."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from mock_server import MockTraining
from training_sdk import (
    DecodingError,
    InvalidArgumentError,
    RecordsDamagedError,
    TrainingClient,
    TriggerEvent,
    WebhookEvent,
    WebhookSecret,
    plan_of_event,
    read_event,
)
from training_sdk.records.audit import AuditLog
from training_sdk.records.events import Intent, Opened, Refused, Resumed, Sent
from training_sdk.records.journal import Journal
from training_sdk.records.journal_state import PersonState
from training_sdk.records.state import StateDirectory
from unit.mock_server.state.receiver import receiver

AT = datetime(2026, 12, 1, 9, tzinfo=UTC)
ORGANISATION = "role_" + "0" * 32
ANN, BEN, ADMIN, OTHER = (f"user_{letter * 32}" for letter in "abcd")
SECRET = WebhookSecret("whsec_0123456789abcdef")
DIGEST = "5" * 64


def dashed(identity: str) -> str:
    return str(UUID(hex=identity.partition("_")[2]))


def body_of(at: datetime = AT, **other: Any) -> dict[str, Any]:
    """The body of a reset event; ``other`` is user, course, actor or organisation."""
    said = {"user": ANN, "course": "c1", "actor": ADMIN, "organisation": dashed(ORGANISATION), **other}
    return {
        "webhook_id": "w1",
        "version": "3.0.0",
        "event": {
            "date_triggered": at.isoformat(),
            "event_types": ["TRIGGER_EVENT_TRAINING_COURSE_RESET"],
            "triggered_by": {"user": said["actor"], "organization": said["organisation"]},
        },
        "resource": {"id": said["course"], "type": "COURSE"},
        "data": {"details": {"course_id": said["course"], "user_id": said["user"]}},
    }


def sign(body: bytes) -> str:
    return hmac.new(SECRET.token.encode(), body, hashlib.sha256).hexdigest()


def event(at: datetime = AT, **other: Any) -> WebhookEvent:
    body = json.dumps(body_of(at, **other)).encode()
    return read_event(body, sign(body), SECRET)


def opened(**other: Any) -> Opened:
    made: dict[str, Any] = {
        "at": AT - timedelta(minutes=1),
        "nonce": "n",
        "applied_by": ADMIN,
        "organisation_id": ORGANISATION,
        "base_url": "https://api.safetyculture.io",
        "reference_server": False,
        "token_fingerprint": None,
        "reason": "fire",
        "ticket": "T-1",
        "server_side": False,
        "tolerance": 0,
        "chunk_size": 1000,
        "sdk_version": "0.1.0",
    }
    return Opened(**{**made, **other})


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """The plan of a live service, applied, by which Ann was sent at nine, and Ben never."""
    made = StateDirectory.open(tmp_path / "state")
    with Journal.open(made.plan_folder(DIGEST)) as journal:
        journal.note(opened())
        journal.note(Intent(0, "c1", (ANN,), "key"))
        journal.note(Sent(AT, 0, "sent-1"))
    return made


def test_an_event_belongs_to_the_request_that_was_sent_for_its_person(state: StateDirectory) -> None:
    found = plan_of_event(event(), state.path)
    assert found is not None
    assert (found.plan_digest, found.user_id, found.course_id, found.sent_id) == (DIGEST, ANN, "c1", "sent-1")
    assert (found.applied_by, found.sent_at, found.standing) == (ADMIN, AT, PersonState.UNKNOWN)
    assert (found.reason, found.ticket) == ("fire", "T-1")


@pytest.mark.parametrize(
    ("other", "belongs"),
    [
        ({"user": BEN}, False),
        ({"course": "c2"}, False),
        ({"actor": OTHER}, False),
        ({"organisation": dashed(OTHER)}, False),
        ({"organisation": ORGANISATION, "user": dashed(ANN), "actor": dashed(ADMIN).upper()}, True),
        ({"organisation": None, "actor": None}, True),
        ({"at": AT + timedelta(minutes=64)}, True),
        ({"at": AT + timedelta(minutes=66)}, False),
        ({"at": AT - timedelta(minutes=4)}, True),
        ({"at": AT - timedelta(minutes=6)}, False),
    ],
)
def test_an_unplanned_reset_has_no_plan(state: StateDirectory, other: dict[str, Any], belongs: bool) -> None:
    assert (plan_of_event(event(**other), state.path) is not None) is belongs


def test_who_resumed_and_a_refusal_that_was_not_true_are_seen(state: StateDirectory) -> None:
    with Journal.open(state.plan_folder(DIGEST)) as journal:
        journal.note(Refused(AT, 0, "NotFoundError", "REFUSED", "no", None))
        refused = plan_of_event(event(), state.path)
        journal.note(Resumed(AT + timedelta(hours=1), OTHER, processing_seconds=7200.0))
        journal.note(Intent(1, "c1", (ANN, BEN), "key-2"))
        journal.note(Sent(AT + timedelta(hours=1), 1, "sent-2"))
        assert refused is not None
        assert refused.standing is PersonState.REFUSED
        for user in (ANN, BEN):  # while another process is still writing
            found = plan_of_event(event(AT + timedelta(hours=2), user=user, actor=OTHER), state.path)
            assert found is not None
            assert (found.sent_id, found.applied_by) == ("sent-2", OTHER)


def test_who_is_left_out_where_a_refused_request_is_made_again_is_not_in_it(state: StateDirectory) -> None:
    later = AT + timedelta(hours=2)
    with Journal.open(state.plan_folder(DIGEST)) as journal:
        journal.note(Refused(AT, 0, "RateLimitError", "REFUSED", "later", None))
        journal.note(Intent(0, "c1", (BEN,), "key-2"))
        journal.note(Sent(later, 0, "sent-2"))
    assert plan_of_event(event(later, user=ANN), state.path) is None
    assert plan_of_event(event(later, user=BEN), state.path) is not None


def test_where_a_journal_cannot_be_read_nobody_says_none(state: StateDirectory) -> None:
    other = state.plan_folder("7" * 64)
    (other / "journal.jsonl").write_bytes(b'{"n":1}\n')
    with pytest.raises(RecordsDamagedError):
        plan_of_event(event(user=BEN), state.path)


def test_a_plan_without_a_journal_may_have_caused_an_event(state: StateDirectory) -> None:
    who = {"organisation_id": ORGANISATION, "user_id": ADMIN}
    AuditLog(state.audit).append("reset begun", at=AT, plan_digest="7" * 64, courses=["c1"], who=who)
    assert plan_of_event(event(), state.path) is not None  # a plan that can be read fits
    with pytest.raises(RecordsDamagedError, match=r"may belong to a plan that cannot be read: .* #7777-7777"):
        plan_of_event(event(user=BEN), state.path)
    assert plan_of_event(event(AT - timedelta(hours=1), user=BEN), state.path) is None
    assert plan_of_event(event(course="c2", user=BEN), state.path) is None
    assert plan_of_event(event(organisation=dashed(OTHER), user=BEN), state.path) is None


def test_without_records_no_plan_is_found(tmp_path: Path) -> None:
    assert plan_of_event(event(), tmp_path / "nothing") is None
    assert not (tmp_path / "nothing").exists()


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["event"].update(event_types=["TRIGGER_EVENT_TRAINING_COURSE_COMPLETED"]),
        lambda body: body["event"].update(event_types=None),
        lambda body: body["event"].update(date_triggered=None),
        lambda body: body.update(data={"details": {"course_id": "c1"}}),
        lambda body: body.update(data={"details": []}),
        lambda body: body.update(data=None, resource=None),
    ],
)
def test_what_is_no_reset_of_somebody_is_refused(state: StateDirectory, change: Change) -> None:
    said = body_of()
    change(said)
    body = json.dumps(said).encode()
    with pytest.raises(InvalidArgumentError, match="event"):
        plan_of_event(read_event(body, sign(body), SECRET), state.path)


def test_a_forged_event_is_not_read_and_a_broken_one_is_an_error() -> None:
    body = json.dumps(body_of()).encode()
    for signature in (None, "", sign(b"other")):
        with pytest.raises(InvalidArgumentError, match="not signed") as refused:
            read_event(body, signature, SECRET)
        assert refused.value.reason == "EVENT_NOT_SIGNED"
    for broken in (b"", b"[]", b"{", b'{"webhook_id": 7, "event": {}}'):
        with pytest.raises(DecodingError):
            read_event(broken, sign(broken), SECRET)
    read = event()
    assert (read.is_reset, read.course_id, read.user_id) == (True, "c1", ANN)
    assert read.event.triggered_by.organization == read.organisation_id == dashed(ORGANISATION)


class AnswersLater(httpx.BaseTransport):
    """Answers a reset once its events were delivered and something was done with them."""

    def __init__(self, mock: MockTraining, handle: Callable[[], object]) -> None:
        self.inner, self.mock, self.handle = mock.transport(), mock, handle

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        if request.url.path.endswith("/reset"):
            self.mock.webhooks.wait()
            self.handle()
        return response


def test_an_event_that_comes_before_apply_returns_finds_its_plan(tmp_path: Path) -> None:
    """Over a socket, as a receiver sees it; a reset by other means with the same token finds none."""
    mock = MockTraining.demo()
    seen: list[Any] = []
    http = httpx.Client(
        transport=AnswersLater(mock, lambda: seen.append(plan_of_event(received(there, secret)[0], tmp_path)))
    )
    client = TrainingClient(mock.token("admin"), http_client=http, state_dir=tmp_path)
    course = mock.world.course("Forklift basics").id
    first, second = [row.user_id for row in client.progress.list(course_id=course) if row.completed_at][:2]
    with receiver() as there:
        client.webhooks.create(there.url, events=[TriggerEvent.COURSE_RESET])
        secret = client.webhooks.secret()
        plan = client.resets.plan(course, [first])
        client.resets.apply(plan, confirm=plan.phrase)
        answer = httpx.Client(transport=mock.transport()).post(
            f"{client.base_url}/training/courseprogress/v1/reset",
            headers={
                "Authorization": f"Bearer {mock.token('admin')}",
                "Reset-Confirmation": '{"courseTitle": "Forklift basics", "users": 1}',
            },
            json={"courseId": course, "userIds": [second]},
        )
        assert answer.status_code == 200
        mock.webhooks.wait()
        events = received(there, secret)
    assert [one.user_id for one in events] == [first, second]
    assert [(one.plan_digest, one.standing) for one in seen] == [(plan.digest, PersonState.UNKNOWN)]
    assert plan_of_event(events[1], tmp_path) is None


def received(there: Any, secret: WebhookSecret) -> list[WebhookEvent]:
    return [
        read_event(body, headers.get("x-safetyculture-signature"), secret)
        for body, headers in zip(there.bodies, there.headers, strict=True)
    ]
