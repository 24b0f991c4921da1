"""The request log, `mock.calls`: requests and answers, and never a token.

The control plane's own requests are not in it. Memory is bounded: the oldest exchanges make room, and an assertion
about numbers then fails rather than counts what is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import Lock

from attrs import evolve

from mock_server.control.calls import Body, Calls, Delivered, Exchange
from mock_server.control.masking import (
    Beginnings,
    credentials,
    margin,
    masked,
    masked_bytes,
    masked_headers,
    memory,
)
from mock_server.control.naming import operation_name
from mock_server.rules.access import bearer
from mock_server.wire.message import Request, Response

__all__ = ["Body", "Calls", "Delivered", "Exchange", "Journal"]

MAX_EXCHANGES = 10_000
MAX_BYTES = 64 * 1024 * 1024
"""Of memory for all bodies, targets and headers together, what Python takes for each header included.

What an exchange takes beside them, about 1 kB, is bounded by MAX_EXCHANGES.
"""
MAX_BODY = 64 * 1024
"""Of one body; what is longer is cut, and says so. A path, a query or a header is cut there as well."""
_MAX_METHOD = 100
_BATCH = 16
"""The latest exchanges are stored as they came: so many, or those that take this part of MAX_BYTES."""
_MARGIN = 4096
"""Bytes of a long body that are stored behind those that are shown, or more if the request has longer credentials."""


class Journal(Calls):
    """The request log of a world, `mock.calls`. It grows with each request."""

    def __init__(self, token_names: Callable[[], Collection[str]] = tuple) -> None:
        super().__init__()
        self._names_now = token_names
        self._arrived: list[tuple[int, Request, Response, Mapping[str, str]]] = []
        """The latest exchanges as they came, each with its size."""
        self._arrived_size = 0
        self._kept: deque[tuple[int, Exchange | _Unread]] = deque()
        """Each older exchange with its size. It is masked when it is first read: a page takes long."""
        self._size = 0
        """Of all exchanges."""
        self._beginnings = Beginnings()
        self._count = 0
        self._lock = Lock()

    @property
    def seen(self) -> tuple[Exchange, ...]:
        """All exchanges that are stored at this moment."""
        with self._lock:
            self._compact()
            read = [(size, e if isinstance(e, Exchange) else _exchange(*e)) for size, e in self._kept]
            self._kept = deque(read)
            return tuple([each for _, each in read])

    @property
    def dropped(self) -> int:
        """The number of older exchanges that were removed since the journal was last cleared."""
        with self._lock:
            self._compact()
            return self._dropped

    def clear(self) -> None:
        """Delete all exchanges. The numbers of exchanges continue."""
        with self._lock:
            self._compact()
            self._kept.clear()
            self._beginnings = Beginnings()
            self._size = self._dropped = 0

    def record(self, request: Request, response: Response, names: Mapping[str, str]) -> None:
        """Record an exchange; ``names`` has the names of tokens and does not change."""
        if type(request.body) is not bytes or type(request.headers) is not tuple:
            request = _unchanging(request)
        size = memory(request, response) + len(request.body) + len(response.body)
        with self._lock:
            # Every request passes here. What can wait is done for many at once, which takes a third of the time.
            self._arrived.append((size, request, response, names))
            self._arrived_size += size
            self._size += size
            if len(self._arrived) >= _BATCH or self._arrived_size > MAX_BYTES // _BATCH:
                self._compact()
            elif self._size > MAX_BYTES:
                self._drop()

    def _compact(self) -> None:
        """Cut long bodies, and keep tuples of plain values, which the garbage collector soon leaves alone."""
        for size, request, response, names in self._arrived:
            token = names.get(bearer(request.all_headers("authorization")) or "", "")
            delivered, sent = _sent(request, response)
            body, texts = request.body, size - len(request.body) - len(response.body)
            if len(body) > MAX_BODY or len(sent) > MAX_BODY:
                # Keep more than is shown: a secret that is cut in half would not be recognised.
                longest = MAX_BODY + max(_MARGIN, 2 * texts)
                body, sent = body[:longest], self._beginnings.of(sent, longest, MAX_BYTES // _BATCH)
            asked = (request.method[:_MAX_METHOD], request.path, request.query, request.headers, body)
            answered = (response.status, response.headers, sent, None, response.struck, response.instead)
            stored = texts + len(body) + len(sent)
            self._count += 1
            self._kept.append((stored, (self._count, token, delivered, asked, answered)))
            self._size += stored - size
        self._arrived.clear()
        self._arrived_size = 0
        self._drop()

    def _drop(self) -> None:
        """Remove the oldest exchanges if there are too many."""
        while len(self._kept) > MAX_EXCHANGES or self._size + self._beginnings.size > MAX_BYTES:
            if self._arrived and not self._kept:
                self._compact()
            else:
                self._size -= self._kept.popleft()[0]
                self._dropped += 1

    def _token_names(self) -> Collection[str]:
        return frozenset(self._names_now())


_Headers = tuple[tuple[str, str], ...]
_Request = tuple[str, str, str, _Headers, bytes]
_Response = tuple[int, _Headers, bytes, None, tuple[str, ...], int]
_Unread = tuple[int, str, Delivered, _Request, _Response]
"""An exchange as it came: number, token, and the fields of request and answer."""


def _exchange(
    number: int, token: str, delivered: Delivered, asked: _Request, answered: _Response
) -> Exchange:
    """Return an exchange without secrets; of the bodies as much as is shown."""
    request, response = Request(*asked), Response(*answered)
    secrets = credentials(request)
    return Exchange(
        number=number,
        operation=operation_name(request.method, request.path),
        token=token,
        method=request.method,
        path=masked(request.path, secrets)[:MAX_BODY],
        query=masked(request.query, secrets)[:MAX_BODY],
        headers=_headers(masked_headers(request.headers, secrets)),
        body=_body(request.body, secrets),
        status=0 if delivered == "nothing" else response.status,
        answer_headers=() if delivered == "nothing" else _headers(masked_headers(response.headers, ())),
        answer=_body(response.body, secrets),
        request_id=next((value for name, value in response.headers if name == "x-request-id"), ""),
        delivered=delivered,
        faults=response.struck,
        instead=response.instead,
    )


def _sent(request: Request, response: Response) -> tuple[Delivered, bytes]:
    """Return the part of an answer that is sent, and its body as far as it is sent."""
    delivery = response.delivery
    if delivery is not None and delivery.dropped:
        return "nothing", b""
    keep = None if delivery is None or request.method == "HEAD" else delivery.keep
    if keep is None or keep >= len(response.body):
        return "whole", response.body
    return "cut", response.body[:keep]


def _unchanging(request: Request) -> Request:
    """Return a request that nobody can change before it is read. TypeError for a body that is not bytes."""
    return evolve(request, headers=tuple(request.headers), body=bytes(memoryview(request.body)))


def _headers(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name[:MAX_BODY], value[:MAX_BODY]) for name, value in headers)


def _body(data: bytes, secrets: Sequence[str]) -> Body:
    behind = margin(secrets)
    data = data[: MAX_BODY + behind + 1]
    shown = masked_bytes(data, secrets)
    if len(data) > MAX_BODY + behind:  # longer than what is shown
        return Body(shown[: max(0, min(MAX_BODY, len(shown) - behind))], is_cut=True)
    return Body(shown[:MAX_BODY], len(shown) > MAX_BODY)
