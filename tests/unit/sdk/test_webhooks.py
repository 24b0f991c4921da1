"""Webhooks: both forms of an answer, what is sent twice and what never, and a secret that nothing shows."""

from __future__ import annotations

import hmac
import json
import logging
import pickle
import pprint
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from training_sdk import (
    InvalidArgumentError,
    NotFoundError,
    OutcomeUnknownError,
    TrainingError,
    TriggerEvent,
    Webhook,
    WebhookSecret,
)
from training_sdk._core.flow import Response
from unit.sdk.fakes import Asker, Recorded, answer, chain, no_waiting, over_the_wire, refused_wire

HOOKS, TOKEN = "/webhooks/v1/webhooks", "/webhooks/v1/token"
SECRET = "whsec_0123456789abcdef"
ROW = {
    "webhook_id": "w1",
    "url": "https://gate.example.test/hook",
    "trigger_events": ["TRIGGER_EVENT_TRAINING_COURSE_RESET", "TRIGGER_EVENT_INSPECTION_COMPLETED"],
    "created_at": "2026-03-01T08:00:00Z",
    "colour": "red",
}
Use = Callable[[Any], Any]


def made() -> Any:
    """The webhook of the row, made by hand."""
    return Webhook(
        "w1",
        "https://gate.example.test/hook",
        (TriggerEvent.COURSE_RESET, TriggerEvent("TRIGGER_EVENT_INSPECTION_COMPLETED")),
        datetime(2026, 3, 1, 8, tzinfo=UTC),
    )


def known(webhook: Webhook) -> tuple[object, ...]:
    return webhook.webhook_id, webhook.url, webhook.trigger_events, webhook.created_at


def test_all_webhooks_come_in_one_answer(ask: Asker) -> None:
    wire = Recorded(lambda _: answer({"webhook": [ROW, {**ROW, "webhook_id": "w2", "enabled": False}]}))
    found = ask(over_the_wire(wire), lambda client: client.webhooks.list())
    assert [(one.webhook_id, one.enabled, dict(one.extra)) for one in found] == [
        ("w1", None, {"colour": "red"}),
        ("w2", False, {"colour": "red"}),
    ]
    assert known(found[0]) == known(made())
    assert [event.is_known for event in found[0].trigger_events] == [True, False]
    assert [one.target for one in wire.sent] == [HOOKS]


def test_an_answer_without_webhooks_has_none(ask: Asker) -> None:
    assert ask(over_the_wire(lambda _: answer({})), lambda client: client.webhooks.list()) == []


@pytest.mark.parametrize("body", [ROW, {"webhook": ROW}], ids=["bare", "wrapped"])
@pytest.mark.parametrize(
    "use",
    [
        lambda client: client.webhooks.get("w1"),
        lambda client: client.webhooks.create("https://gate.example.test/hook", events=["E"]),
    ],
)
def test_one_webhook_is_read_bare_and_wrapped(ask: Asker, use: Use, body: object) -> None:
    assert known(ask(over_the_wire(lambda _: answer(body)), use)) == known(made())


def test_what_is_sent_is_what_was_said(ask: Asker) -> None:
    wire = Recorded(lambda request: answer({"token": SECRET} if request.path == TOKEN else ROW))
    for use in (
        lambda client: client.webhooks.create(
            "http://127.0.0.1:9/a?b=1", events=[TriggerEvent.COURSE_RESET, "ODD", "ODD"]
        ),
        lambda client: client.webhooks.delete("w 1"),
        lambda client: client.webhooks.get("w 1"),
        lambda client: client.webhooks.secret(),
        lambda client: client.webhooks.renew_secret(),
    ):
        ask(over_the_wire(wire), use)
    body = (
        b'{"url":"http://127.0.0.1:9/a?b=1","trigger_events":["TRIGGER_EVENT_TRAINING_COURSE_RESET","ODD"]}'
    )
    assert [(one.method, one.target, one.body) for one in wire.sent] == [
        ("POST", HOOKS, body),
        ("DELETE", f"{HOOKS}/w%201", None),
        ("GET", f"{HOOKS}/w%201", None),
        ("GET", TOKEN, None),
        ("POST", TOKEN, b"{}"),
    ]


@pytest.mark.parametrize("body", [b"{}", b"", b"null"])
def test_whatever_a_deletion_is_answered_with_it_is_done(ask: Asker, body: bytes) -> None:
    handler = over_the_wire(lambda _: answer(body=body))
    assert ask(handler, lambda client: client.webhooks.delete("w")) is None


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "gate.example.test/hook", "ftp://gate.test/", "https://", "https:///pw", "//gate.test/pw"),
        *("https://gate.test/p w", "https://gate.test/\npw", "https://[pw", "https://gate.test:0/pw"),
        *("https://gäte.test/pw", "https://gate.test/" + "pw" * 1000, "https://gate.test:pw/", None, 7),
    ],
)
def test_an_address_that_cannot_be_called_is_refused_without_repeating_it(ask: Asker, url: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="url") as refused:
        ask(refused_wire, lambda client: client.webhooks.create(url, events=["E"]))
    assert "pw" not in refused.value.message


@pytest.mark.parametrize("events", [[], [""], ["a\n"], [7], "TRIGGER_EVENT_TRAINING_COURSE_RESET"])
def test_events_that_name_nothing_are_refused(ask: Asker, events: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="events"):
        ask(refused_wire, lambda client: client.webhooks.create("https://x.test/", events=events))


# --- answers that are lost --------------------------------------------------------------------------------------------


def losing(answers: list[Response], sent: list[str]) -> Callable[[httpx.Request], httpx.Response]:
    """A wire that loses the first answer."""

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(f"{request.method} {request.url.path}")
        if len(sent) == 1:
            raise httpx.ReadError("reset", request=request)
        return over_the_wire(lambda _: answers.pop(0))(request)

    return handle


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda client: client.webhooks.create("https://x.test/", events=["E"]), f"POST {HOOKS}"),
        (lambda client: client.webhooks.renew_secret(), f"POST {TOKEN}"),
    ],
)
def test_what_would_be_done_twice_is_never_sent_twice(ask: Asker, use: Use, what: str) -> None:
    sent: list[str] = []
    with pytest.raises(OutcomeUnknownError, match="Read what is there back before you decide") as lost:
        ask(losing([], sent), use)
    assert sent == [what]
    assert "progress" not in lost.value.message


def test_what_is_deleted_twice_is_deleted(ask: Asker) -> None:
    sent: list[str] = []
    with no_waiting():
        ask(losing([answer({})], sent), lambda client: client.webhooks.delete("w"))
        assert sent == [f"DELETE {HOOKS}/w"] * 2
        with pytest.raises(NotFoundError):
            ask(losing([answer({}, 404)], []), lambda client: client.webhooks.delete("w"))


# --- the secret -------------------------------------------------------------------------------------------------------


def test_a_secret_is_held_and_not_shown(ask: Asker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wire = over_the_wire(lambda _: answer({"token": SECRET, "secret": SECRET}))
    for use in (lambda client: client.webhooks.secret(), lambda client: client.webhooks.renew_secret()):
        secret = ask(wire, use)
        assert secret.token == SECRET
        assert repr(secret) == "WebhookSecret(token=***)"
        shown = f"{secret} {secret!s} {[secret]} {pprint.pformat({'a': secret})}"
        assert SECRET not in shown
        assert pickle.loads(pickle.dumps(secret)) == secret
        assert WebhookSecret("another") != secret
    assert "webhooks/v1/token" in caplog.text
    assert SECRET not in caplog.text
    assert not any(SECRET in str(vars(record)) for record in caplog.records)


BROKEN = {
    "cut off": f'{{"token": "{SECRET}'.encode(),
    "not UTF-8": f'{{"token": "{SECRET}'.encode() + b'\xff"}',
    "no JSON": SECRET.encode(),
    "a list": json.dumps({"token": [SECRET]}).encode(),
    "text": json.dumps(SECRET).encode(),
    "another name": json.dumps({"secret": SECRET}).encode(),
    "another name and a number": json.dumps({"secret": SECRET, "token": 7}).encode(),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("name", ["secret", "renew_secret"])
def test_no_error_has_the_secret(
    ask: Asker, name: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(TrainingError) as caught:
        ask(over_the_wire(lambda _: answer(body=body)), lambda client: getattr(client.webhooks, name)())
    for error in chain(caught.value):
        held = [getattr(error, attribute) for attribute in ("doc", "object") if hasattr(error, attribute)]
        assert SECRET not in f"{error} {error!r} {error.args} {vars(error)} {held}"
    assert SECRET not in caplog.text


def test_a_signature_is_the_hmac_of_the_body_and_nothing_else() -> None:
    """The second test case of RFC 4231."""
    secret, body = WebhookSecret("Jefe"), b"what do ya want for nothing?"
    right = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert secret.has_signed(body, right)
    assert not secret.has_signed(body + b" ", right)
    assert not WebhookSecret("jefe").has_signed(body, right)
    for wrong in (None, "", right[:-1], right + "0", right[::-1], "ü" * 64, "\ud800"):
        assert secret.has_signed(body, wrong) is False
    assert WebhookSecret("").has_signed(b"", hmac.new(b"", b"", "sha256").hexdigest()) is False
