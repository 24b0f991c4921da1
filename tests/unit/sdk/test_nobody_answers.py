"""A client that nobody has answered yet gives up early, and says where it has tried."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mock_server import MockTraining
from training_sdk import APIConnectionError, NotFoundError, TrainingClient
from training_sdk._core.flow import (
    NoAnswerError,
    NotDeliveredError,
    Request,
    Response,
    Sleep,
    TransportError,
)
from training_sdk._core.send_policy import call
from unit.sdk.fakes import Puppet


def slept(error: TransportError, most: float) -> tuple[float, str]:
    """For how long a request is tried that is never delivered, and the message at the end."""
    pauses: list[Sleep] = []

    def never(_: Request) -> Response:
        raise error

    with pytest.raises(APIConnectionError) as caught:
        Puppet(never, on_sleep=pauses.append).run(
            call(Request("GET", "/x"), lambda answer: answer, max_retry_seconds=most)
        )
    return sum(one.seconds for one in pauses), caught.value.message


def test_who_has_never_been_answered_gives_up_after_ten_seconds() -> None:
    waited, said = slept(NotDeliveredError("refused by http://x. Right?", nobody_yet=True), 90)
    assert 5 < waited <= 10
    assert "Right? Nobody has answered there yet, so it was given up after 10 s" in said
    assert "set max_retry_seconds" in said
    waited, said = slept(NotDeliveredError("refused"), 90)
    assert 60 < waited <= 90
    assert "would exceed max_retry_seconds=90" in said
    assert slept(NotDeliveredError("refused", nobody_yet=True), 3)[0] <= 3
    assert slept(NoAnswerError("closed", nobody_yet=True), 90)[0] <= 10
    cut = NoAnswerError("closed within an answer", nobody_yet=True)
    cut.status = 200
    assert slept(cut, 90)[0] > 60


def nowhere() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def failure(client: TrainingClient) -> TransportError:
    with pytest.raises(TransportError) as caught:
        client._driver._send(Request("GET", "/training/courses/v1"))
    return caught.value


def test_only_a_client_that_was_told_nothing_and_heard_nothing_gives_up_early() -> None:
    url = nowhere()
    with TrainingClient("mock_1", base_url=url) as client:
        found = failure(client)
        assert found.nobody_yet
        assert url in found.message
        assert not failure(client.with_options(max_retry_seconds=60)).nobody_yet
    with TrainingClient("mock_1", base_url=url, max_retry_seconds=90) as client:
        assert not failure(client).nobody_yet


class Closing(socketserver.BaseRequestHandler):
    """Closes every connection without an answer."""

    def handle(self) -> None:
        self.request.recv(65536)


def test_a_server_that_closes_every_connection_has_not_answered() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), Closing) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with TrainingClient("mock_1", base_url=f"http://127.0.0.1:{server.server_address[1]}") as client:
            found = failure(client)
            assert isinstance(found, NoAnswerError)
            assert found.nobody_yet
            assert not failure(client.with_options(max_retry_seconds=60)).nobody_yet
        server.shutdown()


def test_a_client_that_was_answered_once_waits_as_long_as_ever() -> None:
    mock = MockTraining.demo()
    with mock.serve(port=0) as server:
        client = TrainingClient(mock.token("admin"), base_url=server.url)
        other = client.with_options(timeout=5)
        client.users.me()
    with contextlib.suppress(
        NoAnswerError, NotDeliveredError
    ):  # the connection that the server left open may break only now
        client._driver._send(Request("GET", "/training/courses/v1"))
    assert not failure(client).nobody_yet
    assert not failure(other).nobody_yet
    client.close()


class Shop(BaseHTTPRequestHandler):
    """A web server that is not the API."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_a_web_server_that_is_another_is_named() -> None:
    with HTTPServer(("127.0.0.1", 0), Shop) as shop:
        threading.Thread(target=shop.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{shop.server_port}"
        with TrainingClient("mock_1", base_url=url) as client, pytest.raises(NotFoundError) as caught:
            list(client.courses.list())
        shop.shutdown()
    assert f"the server at {url} answered 404 without an explanation" in caught.value.message
    assert "Is that the base URL of the API?" in caught.value.message
