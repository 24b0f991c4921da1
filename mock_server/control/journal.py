"""The request journal, `mock.calls`: what was asked and answered, with assertions, and never a token.

The control plane's own requests are not in it. Memory is bounded: the oldest exchanges make room, and an assertion
about numbers then fails rather than counts what is left.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from threading import Lock
from typing import Any, overload

from attrs import field, frozen

from mock_server.operations.routing import Router
from mock_server.operations.table import OPERATIONS
from mock_server.refusal import RefusedError
from mock_server.wire import reading
from mock_server.wire.message import Request, Response

MAX_EXCHANGES = 10_000
MAX_BYTES = 32 * 1024 * 1024
"""Of all bodies together."""
MAX_BODY = 64 * 1024
"""Of one body; what is longer is cut, and says so."""

MASK = "***"
SHORT = {
    "reset": "ResetCourseProgress",
    "preview": "PreviewReset",
    "progress": "ListTrainingCourseProgress",
    "courses": "ListCourses",
    "users": "ListUsers",
    "assignments": "UpdateCourseAssignments",
    "statistics": "GetCourseStatistics",
}
"""Names that tests may use beside those of the operation table."""

_NAMES = {name.casefold(): name for name in (operation.name for operation in OPERATIONS)}
_NAMES |= {short.casefold(): name for short, name in SHORT.items()}
_SECRET_HEADER = re.compile(r"authorization|cookie|secret|token|api-?key")
_BEGINS = ("mock_", "whsec_")
_SECRET = re.compile(rf"(?:{'|'.join(_BEGINS)})[0-9a-f]{{8,}}")
_SECRET_BYTES = re.compile(_SECRET.pattern.encode())
_SHOWN = 20
_ROUTER = Router(OPERATIONS)


@lru_cache(maxsize=1024)
def operation_name(method: str, path: str) -> str:
    """The operation that a request means, "" for none."""
    try:
        return _ROUTER.find(method, reading.segments(path))[0].name
    except RefusedError:
        return ""


@frozen
class Body:
    """A body with its secrets masked."""

    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    is_cut: bool = False
    """It was longer than 64 KiB, and the rest was not kept."""

    @property
    def json(self) -> Any:
        """The body read as JSON; ValueError if it is cut or no JSON."""
        if self.is_cut:
            raise ValueError(f"the body was cut after {len(self.data)} bytes: it cannot be read as JSON")
        return json.loads(self.data)

    @property
    def text(self) -> str:
        """The body as text; what is not UTF-8 is replaced."""
        return self.data.decode(errors="replace")


@frozen
class Exchange:
    """One request and its answer, as the journal keeps them: tokens masked, long bodies cut."""

    number: int
    """Counted from 1, in the order of the answers."""
    operation: str
    """A name of the operation table; "" where the request fits none."""
    token: str
    """The name of the token that spoke (``"admin"``); "" for none or an unknown one."""
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    """Of the request: names in lower case; secret values are ``***``."""
    body: Body
    status: int
    answer_headers: tuple[tuple[str, str], ...]
    answer: Body

    def header(self, name: str) -> str | None:
        """The first value of a request header, in any case; None without."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    @property
    def json(self) -> Any:
        """The request's body read as JSON; ValueError if it is cut or no JSON."""
        return self.body.json

    @property
    def request_id(self) -> str:
        """The id under which the answer, and the audit log, know it."""
        return next((value for key, value in self.answer_headers if key == "x-request-id"), "")

    def __str__(self) -> str:
        target = f"{self.path}?{self.query}" if self.query else self.path
        who = f" as {self.token}" if self.token else ""
        return f"#{self.number} {self.method} {target[:200]}{who} -> {self.status}"


class Calls(Sequence[Exchange]):
    """Exchanges in order, and what tests assert of them; every failure lists what was seen."""

    def __init__(self, seen: Iterable[Exchange] = (), dropped: int = 0, what: str = "requests") -> None:
        self._seen = tuple(seen)
        self._dropped = dropped
        self._what = what

    @property
    def seen(self) -> tuple[Exchange, ...]:
        """All of them at this moment."""
        return self._seen

    @property
    def dropped(self) -> int:
        """How many older ones have made room."""
        return self._dropped

    def of(self, operation: str) -> Calls:
        """Those of one operation, by its name or a short one (``"reset"``).

        LookupError for an unknown name, so that a slip never counts as "no calls".
        """
        name = _known(operation)
        return Calls((each for each in self.seen if each.operation == name), self.dropped, name)

    def by(self, token: str) -> Calls:
        """Those made with the token of this name."""
        return self.where(lambda each: each.token == token, f"{self._what} as {token}")

    def answered(self, status: int) -> Calls:
        """Those answered with this status."""
        return self.where(lambda each: each.status == status, f"{self._what} answered {status}")

    def where(self, fits: Callable[[Exchange], bool], what: str = "") -> Calls:
        """Those that fit; ``what`` names them in failures."""
        return Calls(filter(fits, self.seen), self.dropped, what or f"{self._what} that fit")

    def times(self, number: int) -> Calls:
        """Assert that there are exactly so many."""
        self._require(len(self.seen) == number, f"{number} {self._what}, not {len(self.seen)}")
        return self

    def once(self) -> Exchange:
        """Assert that there is exactly one, and return it."""
        return self.times(1).seen[0]

    def never(self) -> None:
        """Assert that there are none."""
        self.times(0)

    def in_order(self, *operations: str) -> None:
        """Assert that these operations were called in this order; others may stand between them."""
        left = [_known(each) for each in operations]
        for each in self.seen:
            if left and each.operation == left[0]:
                left.pop(0)
        self._require(not left, f"{' then '.join(operations)}; {left[0] if left else ''} did not come")

    def _require(self, holds: bool, expected: str) -> None:
        if self.dropped:
            raise AssertionError(
                f"expected {expected}, but {self.dropped} older requests are no longer in the journal:"
                " clear it (mock.calls.clear()) before what you count"
            )
        if not holds:
            listed = "".join(f"\n  {each}" for each in self.seen[-_SHOWN:])
            raise AssertionError(f"expected {expected}; seen:{listed or ' none'}")

    @overload
    def __getitem__(self, index: int) -> Exchange: ...
    @overload
    def __getitem__(self, index: slice) -> Calls: ...
    def __getitem__(self, index: int | slice) -> Exchange | Calls:
        if isinstance(index, slice):
            return Calls(self.seen[index], self.dropped, self._what)
        return self.seen[index]

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self.seen)

    def __len__(self) -> int:
        return len(self.seen)

    def __repr__(self) -> str:
        return f"<{len(self.seen)} {self._what}>"


class Journal(Calls):
    """What `mock.calls` is: the exchanges of a world as they come in."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: deque[Exchange] = deque()
        self._size = 0
        self._count = 0
        self._lock = Lock()

    @property
    def seen(self) -> tuple[Exchange, ...]:
        """All that are kept at this moment."""
        with self._lock:
            return tuple(self._kept)

    @property
    def dropped(self) -> int:
        """How many older ones have made room since the journal was last cleared."""
        with self._lock:
            return self._dropped

    def clear(self) -> None:
        """Forget everything; numbers go on."""
        with self._lock:
            self._kept.clear()
            self._size = self._dropped = 0

    def record(self, request: Request, response: Response, names: Mapping[str, str]) -> None:
        """Keep an exchange; ``names`` has the names of tokens."""
        credentials = _credentials(request)
        token = names.get(credentials[0], "") if len(credentials) == 1 else ""
        headers, answer_headers = _headers(request.headers, credentials), _headers(response.headers, ())
        body, answer = _body(request.body, credentials), _body(response.body, credentials)
        path, query = _masked(request.path, credentials), _masked(request.query, credentials)
        operation = operation_name(request.method, request.path)
        with self._lock:
            self._count += 1
            made = Exchange(
                self._count,
                operation,
                token,
                request.method,
                path,
                query,
                headers,
                body,
                response.status,
                answer_headers,
                answer,
            )
            self._kept.append(made)
            self._size += _size(made)
            while len(self._kept) > MAX_EXCHANGES or self._size > MAX_BYTES:
                self._size -= _size(self._kept.popleft())
                self._dropped += 1


def _known(operation: str) -> str:
    name = _NAMES.get(operation.casefold())
    if name is None:
        near = get_close_matches(operation.casefold(), _NAMES, n=1)
        hint = (
            f"; did you mean {_NAMES[near[0]]}?"
            if near
            else f"; there are {', '.join(sorted(_NAMES.values()))}"
        )
        raise LookupError(f"there is no operation {operation!r}{hint}")
    return name


def _size(exchange: Exchange) -> int:
    return len(exchange.body.data) + len(exchange.answer.data)


def _credentials(request: Request) -> tuple[str, ...]:
    """What stands behind the scheme in Authorization, which must not be seen anywhere else either."""
    return tuple(value.rpartition(" ")[2] for value in request.all_headers("authorization") if len(value) > 8)


def _masked(text: str, credentials: Iterable[str]) -> str:
    for each in credentials:
        text = text.replace(each, MASK)
    # The plain search first: the pattern alone takes milliseconds for a page of the feed.
    return _SECRET.sub(MASK, text) if any(begin in text for begin in _BEGINS) else text


def _headers(headers: Iterable[tuple[str, str]], credentials: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, _scheme(value) if _is_secret(name) else _masked(value, credentials)) for name, value in headers
    )


@lru_cache(maxsize=256)
def _is_secret(header: str) -> bool:
    return _SECRET_HEADER.search(header) is not None


def _scheme(value: str) -> str:
    """A secret header's value, of which only the scheme may be seen."""
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {MASK}" if space and scheme.lower() == "bearer" else MASK


def _body(data: bytes, credentials: Iterable[str]) -> Body:
    for each in credentials:
        data = data.replace(each.encode(), MASK.encode())
    if any(begin.encode() in data for begin in _BEGINS):
        data = _SECRET_BYTES.sub(MASK.encode(), data)
    return Body(data[:MAX_BODY], len(data) > MAX_BODY)
