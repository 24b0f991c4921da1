"""The fuzz lane itself: it notices a server that breaks what it watches over."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from fuzz.answers import CutShortError
from fuzz.harness import watched_server
from fuzz.mutations import Delivery
from fuzz.seeds import COURSE, KNOWN
from mock_server.mock import MockTraining
from mock_server.transports.common import framed
from mock_server.wire.message import Request, Response

SEED = KNOWN[1].render()


def _careless(
    patch: pytest.MonkeyPatch, spoil: Callable[[MockTraining, Request, Response], Response]
) -> None:
    inner = MockTraining.handle

    def handle(mock: MockTraining, request: Request) -> Response:
        response = inner(mock, request)
        return response if request.header("user-agent") == "honest/1" else spoil(mock, request, response)

    patch.setattr(MockTraining, "handle", handle)


def _resets_somebody(mock: MockTraining, _request: Request, response: Response) -> Response:
    progress = mock.world.main.progress[mock.world.course(COURSE).id]
    progress.records.pop(next(iter(progress.records)))
    return response


def _says_nothing_of_it(_mock: MockTraining, _request: Request, response: Response) -> Response:
    return Response(500, response.headers, response.body)


def _says_something_else(_mock: MockTraining, _request: Request, response: Response) -> Response:
    return Response(response.status, response.headers, b"{}")


@pytest.mark.parametrize(
    ("spoil", "noticed"),
    [
        (_resets_somebody, "removed record"),
        (_says_nothing_of_it, "500"),
        (_says_something_else, "WhoAmI answers 200"),
    ],
)
def test_it_notices_a_careless_server(
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[MockTraining, Request, Response], Response],
    noticed: str,
) -> None:
    with watched_server() as served:
        served.try_out(Delivery(SEED))
        _careless(monkeypatch, spoil)
        with pytest.raises(AssertionError, match=noticed):
            served.try_out(Delivery(SEED))


def test_it_notices_framing_that_does_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(method: str, response: Response) -> tuple[tuple[tuple[str, str], ...], bytes]:
        headers, body = framed(method, response)
        return headers, body[:-1]

    with watched_server() as served:
        monkeypatch.setattr("mock_server.transports.http1.framed", short)
        with pytest.raises((AssertionError, CutShortError)):
            served.try_out(Delivery(SEED))


def test_it_notices_a_reset_of_more_than_those_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    named = json.loads(KNOWN[0].body)["userIds"]

    def greedy(mock: MockTraining, _request: Request, response: Response) -> Response:
        records = mock.world.main.progress[mock.world.course(COURSE).id].records
        records.pop(next(user for user in records if user not in named))
        return response

    with watched_server() as served:
        served.try_out(Delivery(KNOWN[0].render()))
        assert len(served.resets()) == 1
        _careless(monkeypatch, greedy)
        with pytest.raises(AssertionError, match="removed record"):
            served.try_out(Delivery(KNOWN[0].render()))
