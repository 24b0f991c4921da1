"""The effect of each fault of the script: on the world, instead of an answer, or on an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from math import ceil
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from attrs import evolve

from mock_server.control.faults import Fault
from mock_server.learner_actions import LateWriteError, NotAssignedError
from mock_server.refusal import CODES, Reason, RefusedError
from mock_server.rules.access import find_token
from mock_server.wire import answers
from mock_server.wire.fields import camel
from mock_server.wire.message import Delivery, Request, Response
from mock_server.world.courses import CourseStatus
from mock_server.world.people import Status

if TYPE_CHECKING:
    from mock_server.mock import MockTraining


_HTML = ("content-type", "text/html")
_PAGE = b"<!doctype html><title>Bad gateway</title><p>The service did not answer in time."
_BEHIND_ALL = "~"
"""A page token behind every user id."""
_SLOW, _PAUSE, _PIECES = 5.0, 0.5, 8


def with_faults(
    mock: MockTraining, injected: tuple[Fault, ...], request: Request, answer: Callable[[], Response]
) -> Response:
    """Return the answer to a request that triggers these faults; ``answer`` is called at most once."""
    instead = [_inject(mock, request, fault) for fault in injected if fault.when == "before"]
    early = next((each for each in instead if each is not None), None)
    response = early or answer()
    late = [_inject(mock, request, fault) for fault in injected if fault.when == "after"]
    given = next((each for each in late if each is not None), response)
    lost = response.status if early is None and given is not response else 0
    for fault in injected:
        given = _altered(request, fault, given)
    return evolve(given, struck=tuple(fault.kind for fault in injected), instead=lost)


def _inject(mock: MockTraining, request: Request, fault: Fault) -> Response | None:
    """Change the world, or return the answer that replaces the true one."""
    match fault.kind:
        case "rate_limited":
            return _rate_limited(fault)
        case "error":
            return _error(fault.status or 503)
        case "drop":
            return Response(503, delivery=Delivery(dropped=True))
        case "rights_removed" | "token_revoked":
            _remove_access(mock, request, fault)
        case _:
            _change(mock, fault)
    return None


def _change(mock: MockTraining, fault: Fault) -> None:
    """Change the user or course that the fault names; nothing if that has become impossible since it was added.

    The user may have another name now or have left the course, or the clock may be set to before a reset (R22).
    """
    with suppress(LookupError, NotAssignedError, LateWriteError):
        match fault.kind:
            case "user_deactivated":
                mock.world.update_user(fault.user, status=Status.DEACTIVATED)
            case "course_archived":
                mock.world.update_course(fault.course, status=CourseStatus.ARCHIVED)
            case "learner_writes":
                mock.world.complete_course(fault.course, fault.user)


def _rate_limited(fault: Fault) -> Response:
    refusal = RefusedError(Reason.RATE_LIMITED, "Too many requests, by the script of faults.")
    if fault.seconds is not None:
        # The vendor's exporter reads x-ratelimit-reset alone, and as a whole number.
        refusal.headers = (
            ("retry-after", f"{fault.seconds:g}"),
            ("x-ratelimit-reset", str(ceil(fault.seconds))),
        )
    return answers.error(refusal)


def _error(status: int) -> Response:
    if status in (502, 504):
        return Response(status, (_HTML,), _PAGE)
    body: dict[str, object] = {
        "code": CODES[status],
        "message": "A fault, by the script of faults.",
        "details": [],
    }
    return Response(status, (answers.JSON,), answers.to_json(body))


def _remove_access(mock: MockTraining, request: Request, fault: Fault) -> None:
    """Remove the rights, or revoke the token, of the user who sends the request."""
    world = mock.world
    with world.lock:
        token = find_token(world, request.all_headers("authorization"))
        if token is None:
            return
        if fault.kind == "token_revoked":
            (digest,) = [key for key, each in world.tokens.items() if each is token]
            world.tokens[digest] = evolve(token, revoked=True)
            return
        organisation = world.organisations[token.organisation_id]
        organisation.put_person(evolve(organisation.people[token.user_id], permission_sets=frozenset()))


def _altered(request: Request, fault: Fault, response: Response) -> Response:
    """Return the answer as it arrives."""
    half = len(response.body) // 2
    delivery = response.delivery or Delivery()
    match fault.kind:
        case "slow":
            seconds = _SLOW if fault.seconds is None else fault.seconds
            return evolve(response, delivery=evolve(delivery, delay=seconds))
        case "drip":
            pause = _PAUSE if fault.seconds is None else fault.seconds
            return evolve(response, delivery=evolve(delivery, pause=pause, pieces=_PIECES))
        case "cut":
            return evolve(response, delivery=evolve(delivery, keep=half))
        case "truncated":
            return evolve(response, body=response.body[:half])
        case "not_json":
            return evolve(response, body=_PAGE)
        case "wrong_content_type":
            others = tuple(each for each in response.headers if each[0] != "content-type")
            return evolve(response, headers=(_HTML, *others))
        case "duplicate_page" | "repeating_cursor" | "endless_cursor" if response.status == 200:
            return _paged(request, fault, response)
    return response


def _paged(request: Request, fault: Fault, response: Response) -> Response:
    """Return a page whose rows come twice, or that always names another page."""
    page: dict[str, Any] = json.loads(response.body)
    if fault.kind == "duplicate_page":
        (rows,) = [name for name in ("data", "items", "users", "lessons") if name in page]
        page[rows] = page[rows] * 2
    elif "users" in page:
        page["next_page_token"] = _token(request, page, again=fault.kind == "repeating_cursor")
    else:
        page["metadata"]["next_page"] = _path(request, page, again=fault.kind == "repeating_cursor")
    return evolve(response, body=answers.to_json(page))


def _token(request: Request, page: dict[str, Any], *, again: bool) -> str:
    """Return the token of this page again, or one that was not given before."""
    asked = {camel(name): value for name, value in json.loads(request.body).items()}.get("pageToken", "")
    natural = page["next_page_token"]
    if again:
        last = page["users"][-1]["user_id"] if page["users"] else _BEHIND_ALL
        return str(asked or natural or last)
    return str(natural or f"{asked}~")


def _path(request: Request, page: dict[str, Any], *, again: bool) -> str:
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    if not again:
        query["offset"] = str(int(query.get("offset", "0")) + max(1, len(page["data"])))
    return f"{request.path}?{urlencode(query)}" if query else request.path
