"""Servers that are not as they should be: what a test lets a tap do with requests and answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from attrs import evolve

from contract.stage import RESET, Handle
from mock_server.wire.answers import marks
from mock_server.wire.message import Request, Response

FEED = "/training/v1/feed/training-course-progress"
MARKS = ("x-training-mock", "x-training-mock-identity")


def without_filters(request: Request, handle: Handle) -> Response:
    """Ignores what it is asked to filter."""
    kept = [pair for pair in parse_qsl(request.query) if pair[0] in ("page", "pageSize", "limit", "offset")]
    response = _without(handle(evolve(request, query=urlencode(kept))), *MARKS)
    return response.with_headers(marks(request))


def unmarked(request: Request, handle: Handle) -> Response:
    """Answers like a live service, which has no reason to call itself a reference server."""
    return _without(handle(request), *MARKS)


def only_marked(request: Request, handle: Handle) -> Response:
    """Answers like a live service behind a gateway that adds the reference server's mark."""
    return _without(handle(request), "x-training-mock-identity")


def _without(response: Response, *names: str) -> Response:
    return evolve(response, headers=tuple(pair for pair in response.headers if pair[0] not in names))


def bad_gateway(request: Request, handle: Handle) -> Response:
    """Does what it is asked, behind a gateway that gives up."""
    return evolve(handle(request), status=502, body=b"<html>Bad gateway</html>")


def html_page(request: Request, handle: Handle) -> Response:
    """Does what it is asked, behind a sign-in page."""
    html = (*marks(request), ("content-type", "text/html"))
    return evolve(handle(request), headers=html, body=b"<html>Sign in</html>")


def truncated(request: Request, handle: Handle) -> Response:
    """Loses the end of every answer."""
    response = handle(request)
    return evolve(response, body=response.body[:-3])


def empty(request: Request, handle: Handle) -> Response:
    """Answers without a body."""
    return evolve(handle(request), body=b"")


def miscounted(request: Request, handle: Handle) -> Response:
    """Says that more people were reset than were sent."""
    return evolve(handle(request), body=b'{"usersUpdated":9}')


def redirect(request: Request, handle: Handle) -> Response:
    """Sends clients elsewhere."""
    return evolve(handle(request), status=307, headers=(("location", "https://elsewhere.example" + RESET),))


def _altered(request: Request, handle: Handle, alter: Callable[[Any], None]) -> Response:
    response = handle(request)
    answer = json.loads(response.body)
    alter(answer)
    return evolve(response, body=json.dumps(answer).encode())


def endless(request: Request, handle: Handle) -> Response:
    """Its second page names the first one as the next."""
    first, offset, _ = request.query.partition("&offset=")
    again = {"next_page": f"{FEED}?{first}" + ("" if offset else "&offset=1")}
    return _altered(request, handle, lambda answer: answer["metadata"].update(again))


def leading_away(request: Request, handle: Handle) -> Response:
    """Its next page is on another host."""
    away = {"next_page": f"https://elsewhere.example{FEED}"}
    return _altered(request, handle, lambda answer: answer["metadata"].update(away))


def same_person_twice(request: Request, handle: Handle) -> Response:
    """Shows somebody twice, with different progress."""

    def repeat(answer: Any) -> None:
        answer["data"].append(answer["data"][0] | {"progress_percent": 12.5})

    return _altered(request, handle, repeat)
