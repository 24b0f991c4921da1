"""The two clients: the same operations, called or awaited."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, Self
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from training_sdk import _checks, _codec, _pace, _urls
from training_sdk._budget import Budget
from training_sdk._drivers import (
    OWN_HEADERS,
    AsyncDriver,
    AsyncHttpClient,
    AsyncToken,
    Connection,
    HttpClient,
    SyncDriver,
    Token,
)
from training_sdk._flow import READING_METHODS, Flow, Request, Response
from training_sdk._operation import Bound, D, operation
from training_sdk._pace import Limits, Pace
from training_sdk._pages import Calls
from training_sdk.errors import InvalidArgumentError
from training_sdk.resets.format import ResetFormat
from training_sdk.resets.operations import Resets
from training_sdk.resets.safeguards import Safeguards
from training_sdk.resources.analytics import Analytics
from training_sdk.resources.collections import Collections
from training_sdk.resources.courses import Courses
from training_sdk.resources.groups import Groups
from training_sdk.resources.paths import Paths
from training_sdk.resources.permissions import Permissions
from training_sdk.resources.progress import Progress
from training_sdk.resources.sites import Sites
from training_sdk.resources.users import Users

DEFAULT_TIMEOUT = 30.0
DEFAULT_MAX_RETRY_SECONDS = 90.0
ENVIRONMENT = "SAFETYCULTURE_API_TOKEN"
BASE_URL_VARIABLE = "SAFETYCULTURE_BASE_URL"
READ_ONLY_VARIABLE = "SAFETYCULTURE_READ_ONLY"

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@frozen
class RawResponse:
    """The answer of ``client.request``: nothing of it is interpreted."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    request_id: str | None

    def json(self) -> Any:
        """The body as JSON. Raises DecodingError if it is none."""
        return _codec.loads(Response(self.status, self.headers, self.body, self.request_id))


@frozen
class _Options:
    """What a client was made with, checked."""

    connection: Connection
    max_retry_seconds: float
    reset_format: ResetFormat
    pace: bool | None
    safeguards: Safeguards
    state_dir: str | os.PathLike[str] | None
    limits: Limits = _pace.PUBLISHED

    @property
    def calls(self) -> Calls:
        connection = self.connection
        return Calls(connection.base_url, self.max_retry_seconds, connection.read_only, self._make_pace())

    def _make_pace(self) -> Pace:
        origin, token = self.connection.base_url.origin, self.connection.token
        automatic = self.pace is None
        if self.pace is False or (automatic and _urls.is_loopback(urlsplit(origin).hostname or "")):
            return _pace.UNPACED
        known = _pace.fingerprint(token) if isinstance(token, str) else None
        return Budget(origin, known, automatic, self.limits)


def _options(
    token: object,
    base_url: str | None,
    timeout: float,
    max_retry_seconds: float,
    reset_format: ResetFormat | None,
    allow_insecure_http: bool,
    read_only: bool,
    pace: bool | None,
    safeguards: Safeguards | None,
    state_dir: str | os.PathLike[str] | None,
) -> _Options:
    address = _urls.parse_base_url(
        _base_url(base_url), allow_insecure_http=_checks.yes_or_no(allow_insecure_http, "allow_insecure_http")
    )
    return _Options(
        Connection(
            address,
            _token(token),
            _checks.seconds(timeout, "timeout", least=0.001),
            _checks.yes_or_no(read_only, "read_only") or _read_only_by_environment(),
        ),
        _checks.seconds(max_retry_seconds, "max_retry_seconds"),
        _format(reset_format),
        _paced(pace),
        _safeguards(safeguards),
        state_dir,
    )


def _token(token: object) -> Any:
    if callable(token):
        return token
    return _checks.token(os.environ.get(ENVIRONMENT) if token is None else token)


def _base_url(base_url: str | None) -> str:
    if base_url is not None:
        return base_url
    named = os.environ.get(BASE_URL_VARIABLE)
    if named is not None and not named.strip():
        raise InvalidArgumentError(
            f"{BASE_URL_VARIABLE} is set but empty; unset it to reach {_urls.LIVE}, or give it the address you mean"
        )
    return named or _urls.LIVE


def _read_only_by_environment() -> bool:
    """Whether the environment forbids every client of this process to write; no client can be exempted."""
    value = os.environ.get(READ_ONLY_VARIABLE, "0")
    if value not in ("0", "1"):
        raise InvalidArgumentError(
            f"{READ_ONLY_VARIABLE} is {value!r}; set it to 1 to forbid all writing, or unset it"
        )
    return value == "1"


def _safeguards(safeguards: Safeguards | None) -> Safeguards:
    if safeguards is None:
        return Safeguards()
    if not isinstance(safeguards, Safeguards):
        raise InvalidArgumentError(f"safeguards must be Safeguards, not {type(safeguards).__name__}")
    return safeguards


def _paced(pace: bool | None) -> bool | None:
    return None if pace is None else _checks.yes_or_no(pace, "pace")


def _format(reset_format: ResetFormat | None) -> ResetFormat:
    if reset_format is None:
        return ResetFormat()
    if not isinstance(reset_format, ResetFormat):
        raise InvalidArgumentError(f"reset_format must be a ResetFormat, not {type(reset_format).__name__}")
    return reset_format


class _Client(Bound[D], Generic[D]):
    """What both clients offer."""

    users: Users[D]
    courses: Courses[D]
    progress: Progress[D]
    analytics: Analytics[D]
    permissions: Permissions[D]
    paths: Paths[D]
    collections: Collections[D]
    groups: Groups[D]
    sites: Sites[D]
    resets: Resets[D]

    def _set_up(self, driver: D, options: _Options) -> None:
        calls = options.calls
        self._driver = driver
        self._calls = calls
        self._options = options
        self.users = Users(driver, calls)
        self.courses = Courses(driver, calls)
        self.progress = Progress(driver, calls)
        self.analytics = Analytics(driver, calls)
        self.permissions = Permissions(driver, calls)
        self.paths = Paths(driver, calls)
        self.collections = Collections(driver, calls)
        self.groups = Groups(driver, calls)
        self.sites = Sites(driver, calls)
        self.resets = Resets(driver, calls, options.reset_format, options.safeguards, options.state_dir)

    @property
    def base_url(self) -> str:
        """Where this client sends."""
        return str(self._options.connection.base_url)

    @operation
    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Flow[RawResponse]:
        """Send a request that the SDK has no method for, with the same token, retries and errors.

        ``path`` is relative to the base URL. GET and HEAD are repeated when an answer is lost; anything else raises
        OutcomeUnknownError. Raises InvalidArgumentError for full addresses, for paths that are not plain, and for the
        reset path in whatever spelling: a reset goes through ``resets.plan`` and ``resets.apply`` only.
        """
        verb = _checks.text(method, "method", longest=10).upper()
        if verb not in METHODS:
            raise InvalidArgumentError(f"method {method!r} is none of {', '.join(METHODS)}")
        plain = _urls.checked_request_path(path)
        _urls.refuse_reset_path(self._calls.base_url.prefix + plain)
        request = Request(
            verb,
            _urls.target(plain, _query(params or {})),
            body=None if json is None else _body(json),
            headers=_headers(headers or {}),
            repeatable=verb in READING_METHODS,
            limit=_pace.family_of(plain),
        )
        return self._calls.call(
            request, lambda answer: RawResponse(answer.status, answer.headers, answer.body, answer.request_id)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"


def _body(value: object) -> bytes:
    try:
        return _codec.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"json cannot be written as JSON: {error}") from None


def _query(params: Mapping[str, object]) -> Sequence[tuple[str, object]]:
    """Query parameters as the API writes them: lists repeat their name, truth is in lower case."""
    pairs: list[tuple[str, object]] = []
    for name, value in _mapping(params, "params"):
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is None:
                continue
            if not isinstance(one, str | int | float):
                raise InvalidArgumentError(
                    f"params[{name!r}] must be text, a number, True, False or a list of these, not {one!r}"
                )
            said = str(one).lower() if isinstance(one, bool) else str(one)
            pairs.append((name, said and _checks.text(said, f"params[{name!r}]", longest=8000)))
    return pairs


def _headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    pairs = _mapping(headers, "headers")
    for name, value in pairs:
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidArgumentError(f"{name!r} is not the name of a header")
        if name.lower() in OWN_HEADERS:
            raise InvalidArgumentError(f"the header {name!r} is the client's own affair and cannot be set")
        if not _checks.text(value, f"the header {name!r}", longest=8000).isascii():
            raise InvalidArgumentError(f"the header {name!r} must be ASCII")
    return tuple((name.lower(), value) for name, value in pairs)


def _mapping(value: object, name: str) -> Sequence[tuple[str, Any]]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidArgumentError(
            f"{name} must be a dictionary whose keys are text, not {type(value).__name__}"
        )
    return tuple(value.items())


class TrainingClient(_Client[SyncDriver]):
    """A client for SafetyCulture Training; safe to share between threads.

    ``token`` is an API token or a callable that returns one, asked anew for every request; by default
    ``SAFETYCULTURE_API_TOKEN`` from the environment. ``base_url`` may hold a path prefix; by default it is
    ``SAFETYCULTURE_BASE_URL``, and without that the vendor's. ``timeout`` bounds one attempt from connecting to the
    last byte, and no attempt begins after ``max_retry_seconds``; both in seconds. ``http_client`` brings your own
    connections, which you close yourself: its headers and cookies are sent along, its auth, params and redirects are
    not, and ``timeout`` then bounds each read of an answer's head. ``reset_format`` is the body of a reset, which is
    assumed. Plain http is for this machine only unless ``allow_insecure_http``.

    ``read_only`` refuses with ReadOnlyError, before anything is sent, whatever changes something: everything but GET,
    HEAD and the POSTs that only read. ``with_options`` can switch it on, nothing switches it off, and
    ``SAFETYCULTURE_READ_ONLY=1`` forbids every client of the process to write. ``pace`` keeps requests to the published
    limits, together with all processes of this machine that use the same token on the same server; by default it does
    so on every server but this machine's own and the reference server. Waiting for one's turn counts towards no
    timeout. ``safeguards`` are the hard stops for resets. ``state_dir`` is where journals, evidence and the audit log
    are kept: by default ``TRAINING_SDK_STATE_DIR``, and without that the user's state directory; it is made on the
    first reset, and only its owner may enter it.

    Raises InvalidArgumentError for settings that cannot be used.
    """

    def __init__(
        self,
        token: Token | None = None,
        *,
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        http_client: HttpClient | None = None,
        max_retry_seconds: float = DEFAULT_MAX_RETRY_SECONDS,
        reset_format: ResetFormat | None = None,
        allow_insecure_http: bool = False,
        read_only: bool = False,
        pace: bool | None = None,
        safeguards: Safeguards | None = None,
        state_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        options = _options(
            *(token, base_url, timeout, max_retry_seconds, reset_format, allow_insecure_http),
            *(read_only, pace, safeguards, state_dir),
        )
        self._set_up(SyncDriver(options.connection, http_client), options)

    def with_options(
        self,
        *,
        token: Token | None = None,
        timeout: float | None = None,
        max_retry_seconds: float | None = None,
        reset_format: ResetFormat | None = None,
        read_only: bool | None = None,
        pace: bool | None = None,
    ) -> Self:
        """Return a client on the same connections with other options. Closing it closes nothing.

        What is None stays as it is. Raises InvalidArgumentError for ``read_only=False`` on a client that cannot write:
        it never comes to write again.
        """
        options = _changed(self._options, token, timeout, max_retry_seconds, reset_format, read_only, pace)
        other = type(self).__new__(type(self))
        other._set_up(self._driver.shared(options.connection), options)
        return other

    def close(self) -> None:
        """Close the connections, unless they came from outside."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncTrainingClient(_Client[AsyncDriver]):
    """The async twin of TrainingClient, for asyncio and trio: every operation is a coroutine.

    Listings are iterated with ``async for``, without ``await``. A callable ``token`` may be a coroutine function.
    Everything else is as on TrainingClient.
    """

    def __init__(
        self,
        token: AsyncToken | None = None,
        *,
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        http_client: AsyncHttpClient | None = None,
        max_retry_seconds: float = DEFAULT_MAX_RETRY_SECONDS,
        reset_format: ResetFormat | None = None,
        allow_insecure_http: bool = False,
        read_only: bool = False,
        pace: bool | None = None,
        safeguards: Safeguards | None = None,
        state_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        options = _options(
            *(token, base_url, timeout, max_retry_seconds, reset_format, allow_insecure_http),
            *(read_only, pace, safeguards, state_dir),
        )
        self._set_up(AsyncDriver(options.connection, http_client), options)

    def with_options(
        self,
        *,
        token: AsyncToken | None = None,
        timeout: float | None = None,
        max_retry_seconds: float | None = None,
        reset_format: ResetFormat | None = None,
        read_only: bool | None = None,
        pace: bool | None = None,
    ) -> Self:
        """Return a client on the same connections with other options. Closing it closes nothing.

        What is None stays as it is. Raises InvalidArgumentError for ``read_only=False`` on a client that cannot write:
        it never comes to write again.
        """
        options = _changed(self._options, token, timeout, max_retry_seconds, reset_format, read_only, pace)
        other = type(self).__new__(type(self))
        other._set_up(self._driver.shared(options.connection), options)
        return other

    async def aclose(self) -> None:
        """Close the connections, unless they came from outside."""
        await self._driver.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _changed(
    options: _Options,
    token: object,
    timeout: float | None,
    max_retry_seconds: float | None,
    reset_format: ResetFormat | None,
    read_only: bool | None,
    pace: bool | None,
) -> _Options:
    """The options with those replaced that are given; where something is sent cannot be changed."""
    changes: dict[str, Any] = {}
    if token is not None:
        changes["token"] = _token(token)
    if timeout is not None:
        changes["timeout"] = _checks.seconds(timeout, "timeout", least=0.001)
    if read_only is not None:
        changes["read_only"] = _still_read_only(options.connection.read_only, read_only)
    others: dict[str, Any] = {"connection": evolve(options.connection, **changes)}
    if max_retry_seconds is not None:
        others["max_retry_seconds"] = _checks.seconds(max_retry_seconds, "max_retry_seconds")
    if reset_format is not None:
        others["reset_format"] = _format(reset_format)
    if pace is not None:
        others["pace"] = _paced(pace)
    return evolve(options, **others)


def _still_read_only(was: bool, chosen: bool) -> bool:
    if not _checks.yes_or_no(chosen, "read_only") and was:
        raise InvalidArgumentError(
            "this client cannot write, and none made from it can; make a new TrainingClient for that, on purpose"
        )
    return chosen
