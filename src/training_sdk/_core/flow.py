"""Flows and effects: the whole vocabulary between the pure code of an operation and a driver.

An operation is a generator (a *flow*). It yields effects, receives the results and returns a model.
It does not wait, send or read a clock itself. So it runs under any driver, and tests need no driver.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import uuid
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from attrs import Factory, evolve, field, frozen

MARK = "x-training-mock"
HEADER = "x-training-mock-identity"

ONLY_MARKED = (
    "The answer has the header X-Training-Mock, but not the identity of the reference server for this request. Two "
    "causes are possible: a gateway adds the header to the answers of another service, or the reference server is "
    "older than this client. Remove the header from the gateway, or update the reference server"
)


def identity(method: str, target: str, request_id: str) -> str:
    """Return what the reference server answers to this request: SHA-256 in hex.

    ``target`` is path and query relative to the base URL, and ``request_id`` the X-Request-ID as it was sent.
    """
    text = "\n".join((method, target, request_id))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


Family: TypeAlias = Literal["catalogue", "general"]
FAMILIES: tuple[Family, ...] = ("catalogue", "general")
"""Requests that share one of the vendor's limits (P): courses and what is laid out like them, and all the rest."""

READING_METHODS = ("GET", "HEAD")
LONGEST_AGE = 10
OLDEST = 10**LONGEST_AGE
"""For an ``Age`` of more digits: 300 years and more."""


def new_request_id() -> str:
    """Return an id that no other request has."""
    return str(uuid.uuid4())


def _names(headers: tuple[tuple[str, str], ...]) -> str:
    """Return headers for a representation, without values, because one may be a token."""
    return repr([name for name, _ in headers])


@frozen
class Request:
    """A request to send; the effect is answered with a Response."""

    method: str
    target: str
    """Path and query, already percent-encoded, relative to the base URL."""
    body: bytes | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=_names)
    repeatable: bool = True
    """True if sending the request twice does no harm. If False, the request is not sent again after a lost answer."""
    reads: bool = field(default=Factory(lambda self: self.method in READING_METHODS, takes_self=True))
    """True if the request changes nothing, also for a POST that only reads. A read-only client sends nothing else."""
    limit: Family = "general"
    """The vendor's limit towards which the request counts."""
    request_id: str | None = None
    """The ``X-Request-ID`` under which it is sent. Without one the driver makes an id for every attempt."""
    token: Any = field(default=None, repr=False, eq=False)
    """The answer of ``DrawToken``, to be sent with this; without it the driver draws a token for every attempt."""

    on_new_connection: bool = field(default=False, eq=False)
    """True to use a connection that no other request uses, if the SDK makes the connections itself."""
    final_refusals: frozenset[int] | None = field(default=None, eq=False)
    """The statuses with which a refusal is certain to have had no effect; None: those of ``STATUS_ERRORS``.

    For requests that a service can carry out in part. Refusals by the reference server are always certain.
    """

    def numbered(self) -> Request:
        """Return the same request with a new id, for a request whose id is stored before it is sent."""
        return evolve(self, request_id=new_request_id())

    @property
    def path(self) -> str:
        """The target without its query, which may hold personal data."""
        return self.target.partition("?")[0]


def _seconds(text: str) -> int:
    """Return the whole seconds of a header, OLDEST at most because Python limits the length of numbers; else 0."""
    if not (text.isascii() and text.isdigit()):
        return 0
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) <= LONGEST_AGE else OLDEST


@frozen
class Response:
    """A whole answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes = field(repr=False)
    request_id: str | None = None
    is_reference: bool = False
    """True if the answer has the identity of the reference server for exactly this request."""
    base_url: str | None = None
    """The source of the answer."""

    @property
    def is_only_marked(self) -> bool:
        """True if the answer has the mark of the reference server, which any server can set, but not its identity."""
        return not self.is_reference and self.header(MARK) is not None

    @property
    def age(self) -> int:
        """The seconds for which a cache has stored this answer, by its ``Age``; 0 without that header."""
        said = [value for name, value in self.headers if name == "age"]
        return max(map(_seconds, map(str.strip, ",".join(said).split(","))), default=0) if said else 0

    @property
    def date(self) -> datetime | None:
        """The time of the answer by its ``Date``; None if that is absent or not readable."""
        with contextlib.suppress(ValueError, OverflowError):
            found = parsedate_to_datetime(self.header("date") or "")
            return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        return None

    def header(self, name: str) -> str | None:
        """Return the first value of a header, or None."""
        return next((value for key, value in self.headers if key == name), None)


@frozen
class Sleep:
    """A wait of ``seconds``, plus a random part of ``jitter``."""

    seconds: float
    jitter: float = 0.0
    why: str = ""
    """The reason, for the log."""
    planned: bool = False
    """True if the wait is a normal part of the work and no error caused it."""


@frozen
class Now:
    """A reading of the clocks; answered with a Moment."""


@frozen
class RunLocally:
    """An action on this machine that must end before the flow continues; answered with its result.

    Both drivers run it directly, on the event loop too, so that no cancellation can come between a record that is
    written and the request that it announces.
    """

    action: Callable[[], Any]
    what: str
    """A label for tests and logs: ``journal: sent 3``."""


@frozen
class TokenFingerprint:
    """The fingerprint of the token that a request sent now would carry."""


@frozen
class DrawToken:
    """The token that a request sent now would carry, for several requests that must carry the same."""


@frozen
class Moment:
    """One reading of both clocks."""

    monotonic: float
    utc: datetime


Effect: TypeAlias = Request | Sleep | Now | RunLocally | TokenFingerprint | DrawToken
T = TypeVar("T")
Flow: TypeAlias = Generator[Effect, Any, T]


def noting_waits(flow: Flow[T]) -> Flow[tuple[T, bool]]:
    """Run a flow; return its result, and whether it waited for anything but an answer."""
    step: Callable[[Any], Effect] = flow.send
    value: Any = None
    has_waited = False
    while True:
        try:
            effect = step(value)
        except StopIteration as end:
            return end.value, has_waited
        has_waited = has_waited or isinstance(effect, Sleep)
        try:
            value, step = (yield effect), flow.send
        except BaseException as problem:
            value, step = problem, flow.throw


class TransportError(Exception):
    """Base of what a driver throws into a flow instead of a Response.

    ``nobody_yet`` is whether no answer has come to this client at all, and its owner has not said how long to wait.
    """

    def __init__(
        self,
        message: str,
        *,
        timeout: bool = False,
        request_id: str | None = None,
        nobody_yet: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.timeout = timeout
        self.request_id = request_id
        self.nobody_yet = nobody_yet
        self.status: int | None = None
        """That of the answer, where its head came."""


class NotDeliveredError(TransportError):
    """The request never reached the server: connecting failed, and where ``hopeless`` would fail again."""

    def __init__(
        self,
        message: str,
        *,
        timeout: bool = False,
        hopeless: bool = False,
        request_id: str | None = None,
        nobody_yet: bool = False,
    ) -> None:
        super().__init__(message, timeout=timeout, request_id=request_id, nobody_yet=nobody_yet)
        self.hopeless = hopeless


class NoAnswerError(TransportError):
    """The request may have reached the server, and no whole answer came back."""


class UnsentError(TransportError):
    """Nothing was sent, because the request could not be prepared; ``original`` is the error to raise."""

    def __init__(self, original: BaseException) -> None:
        super().__init__(f"not sent: {type(original).__name__}")
        self.original = original


class InterruptedSendError(TransportError):
    """Ctrl-C or cancellation arrived while the request was under way; ``original`` is the error to raise."""

    def __init__(self, original: BaseException, request_id: str | None = None) -> None:
        super().__init__(f"interrupted by {type(original).__name__}", request_id=request_id)
        self.original = original


FIRST_POSIX_TIME = 1e9
"""A header with a number from here on names a time and not a number of seconds: 1e9 is in 2001."""


def asked_wait(response: Response) -> float | None:
    """Return the seconds of Retry-After or x-ratelimit-reset; None if absent or not readable."""
    waits = (seconds_until(response, name) for name in ("retry-after", "x-ratelimit-reset"))
    return next((wait for wait in waits if wait is not None), None)


def seconds_until(response: Response, name: str) -> float | None:
    """Return the seconds of a header: a number, a date, or, except for Retry-After, a time since 1970.

    A time counts from the ``Date`` of the same answer, so that this machine's clock does not matter.
    """
    text = response.header(name) or ""
    try:
        seconds, is_time = float(text), False
    except ValueError:
        seconds, is_time = _posix(text), True
    if name != "retry-after" and seconds >= FIRST_POSIX_TIME:
        seconds, is_time = seconds / (1000 if seconds >= 1000 * FIRST_POSIX_TIME else 1), True
    if is_time:
        seconds -= _posix(response.header("date"))
    if not math.isfinite(seconds) or (seconds < 0 and not is_time):
        return None
    return max(0.0, seconds)


def _posix(date: str | None) -> float:
    """Return the seconds since 1970 of a date as HTTP writes it; NaN for anything else."""
    try:
        return parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return math.nan


class Pace(Protocol):
    """The interface of a pace for the send policy."""

    def acquire(self, request: Request) -> Flow[float]:
        """Wait until this request may be sent; return the seconds that it took."""

    def observe(self, request: Request, response: Response) -> None:
        """Note the limits in an answer, and do nothing else: some requests must not be delayed."""

    def flush(self) -> Flow[None]:
        """Store the noted limits for the other processes."""


class Unpaced:
    """No pace at all."""

    def acquire(self, request: Request) -> Flow[float]:
        """Return at once."""
        yield from ()
        return 0.0

    def observe(self, request: Request, response: Response) -> None:
        """Note nothing."""

    def flush(self) -> Flow[None]:
        """Store nothing."""
        yield from ()


UNPACED = Unpaced()
