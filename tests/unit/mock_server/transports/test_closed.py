"""A server with a secret is reached by others: its tokens are nobody's guess, and it calls nobody unasked."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mock_server import MockTraining, Policy
from mock_server.transports.common import ServeError
from mock_server.transports.serving import Engine, Server
from mock_server.world.ledger import RESET_EVENT
from rawhttp import connected, read_answer, request
from unit.mock_server.core.speaker import FORKLIFT, WHO, Speaker, course_id, recorded
from unit.mock_server.state.receiver import receiver
from unit.mock_server.transports.helpers import eventually

HOOKS, SECRET = "/webhooks/v1/webhooks", "open sesame"
LOCAL = ["http://127.0.0.1:9/", "http://localhost/", "http://[::1]/hook"]


def hook(mock: MockTraining, url: str) -> int:
    return Speaker(mock).post(HOOKS, {"url": url, "trigger_events": [RESET_EVENT]}).status


def test_with_a_secret_the_tokens_that_everybody_knows_open_nothing() -> None:
    mock, known = MockTraining.demo(), MockTraining.demo().tokens()
    with mock.serve(secret=SECRET):
        ours = mock.tokens()
        assert [each["name"] for each in ours] == [each["name"] for each in known]
        assert not {each["token"] for each in ours} & {each["token"] for each in known}
        assert Speaker(mock).get(WHO).status == 200
        assert mock.calls.of("WhoAmI").once().token == "admin"
        for each in known:
            assert Speaker(mock, token=each["token"]).get(WHO).status == 401


def test_two_servers_draw_tokens_of_their_own_and_one_world_draws_them_once() -> None:
    one, other = MockTraining.demo(), MockTraining.demo()
    with one.serve(secret=SECRET), other.serve(secret=SECRET):
        tokens = one.tokens()
        assert tokens != other.tokens()
    with one.serve(secret=SECRET):
        assert one.tokens() == tokens


def test_an_earlier_state_does_not_bring_back_the_tokens_that_everybody_knows() -> None:
    mock, known = MockTraining.demo(), MockTraining.demo().token("admin")
    before = mock.state()
    with mock.serve(secret=SECRET):
        since = mock.state()
        ours = mock.token("admin")
        mock.rollback(since)
        assert mock.token("admin") == ours
        mock.rollback(before)
        assert mock.token("admin") not in {known, ours}
        assert Speaker(mock, token=known).get(WHO).status == 401
        assert Speaker(mock).get(WHO).status == 200


def test_a_server_that_cannot_start_has_changed_nothing(engine: Engine) -> None:
    mock = MockTraining.demo()
    before = mock.tokens()
    with MockTraining.demo().serve() as taken:
        cases: list[dict[str, Any]] = [
            {"port": taken.port},
            {"secret": " open sesame"},
            {"host": "nowhere.invalid"},
        ]
        for wrong in cases:
            with pytest.raises(ServeError):
                mock.serve(**({"secret": SECRET, "engine": engine} | wrong))
    assert mock.tokens() == before
    assert hook(mock, LOCAL[0]) == 200


def test_without_a_secret_the_tokens_stay_as_they_are() -> None:
    mock = MockTraining.demo()
    with mock.serve():
        assert mock.tokens() == MockTraining.demo().tokens()


@pytest.mark.parametrize("url", LOCAL)
def test_with_a_secret_no_webhook_goes_to_the_servers_own_machine_unless_it_is_allowed(url: str) -> None:
    mock = MockTraining.demo()
    assert hook(mock, url) == 200
    with mock.serve(secret=SECRET):
        assert hook(mock, url) == 400
        mock.webhooks.allow("receiver.example")
        assert hook(mock, url) == 400
        assert hook(mock, "http://receiver.example/") == 200
        mock.webhooks.allow("localhost")
        assert hook(mock, url) == 200


def test_what_holds_of_webhooks_holds_of_every_world_of_the_server() -> None:
    mock = MockTraining.demo()
    with mock.serve(secret=SECRET) as server, connected(server.port) as sock:
        sock.sendall(request("POST", "/_mock/worlds", (("x-training-mock-secret", SECRET),)))
        made = json.loads(read_answer(sock).body)
        (token,) = [each["token"] for each in made["tokens"] if each["name"] == "admin"]
        for url, allowed in (("http://127.0.0.1:9/", 400), ("http://receiver.example/", 200)):
            mock.webhooks.allow("receiver.example")
            body = {"url": url, "trigger_events": [RESET_EVENT]}
            assert Speaker(mock, token=token).post(HOOKS, body).status == allowed


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("http://[::1]/hook", ("::1", 80)),
        ("http://[::1]:9/hook", ("::1", 9)),
        ("https://[::1]/hook", ("::1", 443)),
        ("http://localhost", ("127.0.0.1", 80)),
    ],
)
def test_webhooks_go_to_their_host(
    monkeypatch: pytest.MonkeyPatch, url: str, called: tuple[str, int]
) -> None:
    calls: list[tuple[str, int | None]] = []
    before = set(threading.enumerate())

    def connect(connection: http.client.HTTPConnection) -> None:
        if threading.current_thread() not in before:  # not what an earlier test still has under way
            calls.append((connection.host, connection.port))
        raise OSError("nobody there")

    monkeypatch.setattr(http.client.HTTPConnection, "connect", connect)
    monkeypatch.setattr(http.client.HTTPSConnection, "connect", connect)
    mock = MockTraining.demo(policy=Policy(confirmation="off"))
    mock.webhooks.pause(timedelta(0))
    assert hook(mock, url) == 200
    somebody = recorded(mock)[:1]
    assert Speaker(mock).reset(course_id(mock), somebody, (FORKLIFT, 1)).status == 200
    assert all(each.error == "OSError: nobody there" for each in mock.webhooks.wait())
    assert set(calls) == {called}


def reset_one(mock: MockTraining) -> str:
    """The error of the only delivery that a reset of one learner leads to."""
    mock.webhooks.pause(timedelta(0))
    somebody = recorded(mock)[:1]
    assert Speaker(mock).reset(course_id(mock), somebody, (FORKLIFT, 1)).status == 200
    (made,) = mock.webhooks.wait()
    assert (made.status, made.attempt) == (0, 1), "an address that is not allowed is not tried again"
    return made.error


def by_put(mock: MockTraining, server: Server, document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    headers = (("x-training-mock-secret", SECRET), ("content-type", "application/json"))
    with connected(server.port) as sock:
        sock.sendall(request("PUT", "/_mock/state", headers, body))
        assert read_answer(sock).status == 200


def by_mark(mock: MockTraining, server: Server, document: dict[str, Any]) -> None:
    mock.marks["then"] = document
    with connected(server.port) as sock:
        sock.sendall(request("POST", "/_mock/marks/then", (("x-training-mock-secret", SECRET),)))
        assert read_answer(sock).status == 200


WAYS: dict[str, Callable[[MockTraining, Server, dict[str, Any]], None]] = {
    "a state document over the wire": by_put,
    "a mark": by_mark,
    "rollback": lambda mock, _, document: mock.rollback(document),
    "become": lambda mock, _, document: mock.become(document),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_webhook_that_a_document_brings_into_a_closed_server_is_not_delivered(way: str) -> None:
    with receiver() as there:
        mock = MockTraining.demo()
        assert hook(mock, there.url) == 200
        document = mock.state()
        mock.rollback(MockTraining.demo().state())
        with mock.serve(secret=SECRET) as server:
            WAYS[way](mock, server, document)
            assert [each.url for each in mock.world.webhooks.values()] == [there.url]
            error = reset_one(mock)
            assert error.startswith(
                "not sent: url must not be on 127.0.0.1. Webhooks are delivered to no host"
            )
            assert there.bodies == []
            mock.webhooks.allow("localhost")
            assert Speaker(mock).reset(course_id(mock), recorded(mock)[:1], (FORKLIFT, 1)).status == 200
            assert mock.webhooks.wait()[-1].is_delivered
        assert len(there.bodies) == 1


def test_a_webhook_from_before_the_secret_is_not_delivered_either() -> None:
    with receiver() as there:
        mock = MockTraining.demo()
        assert hook(mock, there.url) == 200
        with mock.serve(secret=SECRET):
            assert "not sent" in reset_one(mock)
        assert there.bodies == []


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://receiver.example/",
        "file:///etc/passwd",
        "http://user:pass@127.0.0.1:9/",
        "http://127.0.0.1:9/ HTTP/1.1\r\nx: y",
        "http://[::1",
        "",
    ],
)
def test_no_document_brings_an_address_that_could_not_be_asked_for(url: str) -> None:
    mock = MockTraining.demo()
    assert hook(mock, LOCAL[0]) == 200
    document = mock.state()
    document["webhooks"][0]["url"] = url
    mock.rollback(document)
    assert reset_one(mock).startswith("not sent: url")


def test_an_address_that_is_closed_between_two_attempts_is_not_called_again() -> None:
    with receiver() as there:
        mock = MockTraining.demo()
        there.statuses[:] = [500]
        there.held.clear()
        mock.webhooks.pause(timedelta(0))
        assert hook(mock, there.url) == 200
        assert Speaker(mock).reset(course_id(mock), recorded(mock)[:1], (FORKLIFT, 1)).status == 200
        eventually(lambda: bool(there.bodies))
        mock.webhooks.close()
        there.held.set()
        first, second = mock.webhooks.wait()
        assert (first.status, second.attempt, second.error[:8]) == (500, 2, "not sent")
        assert len(there.bodies) == 1
