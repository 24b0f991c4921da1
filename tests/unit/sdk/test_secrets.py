"""No token and no personal data in messages, logs, tracebacks, request ids or files."""

from __future__ import annotations

import copy
import logging
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server import MockTraining
from training_sdk import (
    APIStatusError,
    ConfirmationError,
    OutcomeUnknownError,
    ResetReport,
    TrainingClient,
    TrainingError,
)
from training_sdk._core.exchange import shown_request_id
from training_sdk._core.text import Secret, call_hidden, hidden
from training_sdk.approval.approvals import check_confirmation
from training_sdk.records.audit import AuditLog
from training_sdk.records.events import Answered, Closed, Sent
from training_sdk.records.journal import read_journal
from unit.sdk.fakes import (
    COURSE,
    ORIGIN,
    RESET,
    TOKEN,
    Asker,
    Organisation,
    answer,
    chain,
    no_waiting,
    over_the_wire,
    row,
    user_id,
)
from unit.sdk.resetting import planned

ME = {"user_id": "u", "organisation_id": "o"}


def breaking(kind: str) -> Any:
    def handle(request: httpx.Request) -> httpx.Response:
        if kind == "connect":
            raise httpx.ConnectError("refused", request=request)
        if kind == "read":
            raise httpx.ReadError("reset", request=request)
        if kind == "hook":
            raise RuntimeError("a hook broke")
        if kind == "html":
            return httpx.Response(200, html="<html>")
        echo = f"no, {request.headers['authorization']}"  # some servers repeat what they were sent
        return httpx.Response(int(kind), json={"code": 1, "message": echo}, headers={"location": f"/{echo}"})

    return handle


@pytest.mark.parametrize(
    "kind", ["connect", "read", "hook", "html", "302", "401", "403", "429", "500", "501"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_error_shows_a_token(ask: Asker, kind: str, method: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with no_waiting(), pytest.raises((TrainingError, RuntimeError)) as caught:
        ask(
            breaking(kind),
            lambda client: _read(client, method),
            max_retry_seconds=1,
        )
    for error in chain(caught.value):
        assert TOKEN not in f"{error} {error!r} {error.args} {vars(error)}"
        assert not type(error).__module__.startswith(("httpx", "httpcore", "h11"))
        if isinstance(error, TrainingError):
            assert TOKEN.encode() not in pickle.dumps(error)
    assert TOKEN not in caplog.text
    assert all(TOKEN not in str(vars(record)) for record in caplog.records)


def _read(client: Any, method: str) -> Any:
    return client.users.me() if method == "GET" else client.courses.update_assignments("c", add_users=["u"])


def test_no_client_shows_its_token(ask: Asker) -> None:
    def use(client: Any) -> Any:
        shown = [
            repr(client),
            str(client),
            repr(client._options),
            repr(client.with_options(token=TOKEN)._options),
        ]
        assert not any(TOKEN in one for one in shown)
        assert repr(client) == f"{type(client).__name__}(base_url={ORIGIN!r})"
        return client.users.me()

    ask(over_the_wire(lambda _: answer(ME)), use)


def test_a_whole_reset_logs_no_token_name_or_query(ask: Asker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    organisation = Organisation([row(1), row(2)])
    plan = ask(over_the_wire(organisation), lambda client: client.resets.plan(COURSE, users=[user_id(1)]))
    report = ask(over_the_wire(organisation), lambda client: client.resets.apply(plan, confirm=plan.phrase))
    own = [record.getMessage() for record in caplog.records if record.name == "training_sdk"]
    assert any(RESET in line for line in own)
    assert not any("?" in line for line in own)
    for secret in (TOKEN, "Zoë", "user1@example.test"):
        assert secret not in caplog.text
    assert TOKEN.encode() not in pickle.dumps((plan, report))
    assert TOKEN not in f"{plan!r}{plan}{report!r}{report}"


def test_there_is_one_logger_and_it_is_quiet_by_itself(ask: Asker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ask(over_the_wire(lambda _: answer(ME)), lambda client: client.users.me())
    names = {record.name for record in caplog.records if record.name.startswith("training")}
    assert names == {"training_sdk"}
    assert logging.getLogger("training_sdk").handlers == []


@pytest.fixture
def warnings_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING, logger="training_sdk"):
        yield caplog


def test_a_wait_is_logged_with_its_reason(ask: Asker, warnings_logged: pytest.LogCaptureFixture) -> None:
    replies = iter([answer({"message": "too many"}, 429), answer(ME)])
    with no_waiting():
        ask(over_the_wire(lambda _: next(replies)), lambda client: client.users.me())
    assert re.search(r"too many\. \(429.*\)\. Trying again in 0\.[56] s\.", warnings_logged.text)


SPELLINGS: list[Any] = [
    str,
    lambda token: token.replace("_", "\\u005f"),
    lambda token: "".join(f"\\u{ord(letter):04X}" for letter in token),
    lambda token: token.replace("/", "\\/"),
    lambda token: "".join(f"%{ord(letter):02x}" for letter in token),
]


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize("status", [302, 401, 404, 429, 500])
def test_a_token_that_is_echoed_in_another_spelling_is_masked(ask: Asker, spell: Any, status: int) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        echo = spell(request.headers["authorization"].removeprefix("Bearer "))
        info = '{"reason": "UNKNOWN", "metadata": {"' + echo + '": "' + echo + '"}}'
        body = '{"code": 16, "message": "no ' + echo + '", "details": [' + info + "]}"
        return httpx.Response(status, text=body, headers={"location": f"/{echo}", "x-request-id": echo})

    token = "scapi_secret/0123456789/abcdef"
    with no_waiting(), pytest.raises(TrainingError) as caught:
        ask(handle, lambda client: client.with_options(token=token).users.me(), max_retry_seconds=0)
    for error in chain(caught.value):
        assert token not in f"{error} {error!r} {error.args}"


NESTED = ["[" * 600 + "]" * 600, '{"a":' * 600 + "1" + "}" * 600, "[" * 5000, "9" * 5000]


@pytest.mark.parametrize("nested", NESTED, ids=["lists", "objects", "deeper than JSON is read", "digits"])
@pytest.mark.parametrize("status", [302, 400, 404, 429, 500])
def test_an_answer_whose_token_cannot_be_masked_is_an_error(ask: Asker, nested: str, status: int) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        echo = request.headers["authorization"].removeprefix("Bearer ").replace("/", "\\/")
        return httpx.Response(status, text=f'{{"code": 16, "message": "no {echo}", "more": {nested}}}')

    token = "scapi_secret/0123456789/abcdef"
    with no_waiting(), pytest.raises(APIStatusError) as caught:
        ask(handle, lambda client: client.with_options(token=token).users.me(), max_retry_seconds=0)
    assert caught.value.status == status
    for error in chain(caught.value):
        assert token not in f"{error} {error!r} {error.args}"


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(TOKEN)
    for shown in (
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!s:>40}",
        repr([secret]),
        repr(vars_of(secret)),
    ):
        assert TOKEN not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="not pickled"):
        copy.deepcopy(secret)
    assert hidden(secret) is secret
    assert (secret == Secret(TOKEN), secret == Secret("x"), secret == TOKEN) == (True, False, False)
    assert call_hidden(Secret(lambda: TOKEN)) == secret == call_hidden(secret)


def vars_of(secret: Secret) -> dict[str, Any]:
    return {name: getattr(secret, name) for name in Secret.__slots__}


def test_a_token_typed_in_the_place_of_the_phrase_is_not_shown() -> None:
    plan = planned(Organisation([row(1)]))
    with pytest.raises(ConfirmationError) as caught:
        check_confirmation(plan, TOKEN)
    assert TOKEN not in str(caught.value)
    assert "confirm looks like a token" in str(caught.value)


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl"
OURS = "3a8f"
SECRET = f"{OURS} (the service's own id looks like a secret and is not shown)"
SENT_TOKEN = "k7" * 20

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
    (f"for-{SENT_TOKEN}", SECRET),
]


@pytest.mark.parametrize(("given", "shown"), SHOWN)
def test_an_id_is_shown_as_it_is_or_escaped_beside_ours(given: str | None, shown: str) -> None:
    assert shown_request_id(given, OURS, SENT_TOKEN) == shown


@given(st.text(max_size=300))
def test_no_id_is_too_long_or_unprintable(text: str) -> None:
    shown = shown_request_id(text, OURS, SENT_TOKEN)
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
