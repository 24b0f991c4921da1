"""The two clients: the same operations, called or awaited."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

from training_sdk._core.argument_checks import RawResponse, raw_request
from training_sdk._core.connections import AsyncHttpClient, HttpClient
from training_sdk._core.drivers import (
    AsyncDriver,
    AsyncToken,
    SyncDriver,
    Token,
)
from training_sdk._core.flow import Flow
from training_sdk._core.operation import Bound, D, operation
from training_sdk._core.text import hidden
from training_sdk.client_options import (
    DEFAULT_TIMEOUT,
    Options,
    changed,
    options_of,
)

if TYPE_CHECKING:
    from training_sdk.api.analytics import Analytics
    from training_sdk.api.courses import Courses
    from training_sdk.api.groups import Groups, Sites
    from training_sdk.api.leaderboards import Leaderboards
    from training_sdk.api.learning_paths import Collections, Paths
    from training_sdk.api.permissions import Permissions
    from training_sdk.api.progress import Progress
    from training_sdk.api.rapid_refreshes import RapidRefreshes
    from training_sdk.api.users import Users
    from training_sdk.api.webhooks import Webhooks
    from training_sdk.reset_format import ResetFormat
    from training_sdk.reset_operations import Resets
    from training_sdk.safeguards import Safeguards

_RESOURCES = {
    "users": "api.users",
    "courses": "api.courses",
    "progress": "api.progress",
    "analytics": "api.analytics",
    "permissions": "api.permissions",
    "paths": "api.learning_paths",
    "collections": "api.learning_paths",
    "groups": "api.groups",
    "sites": "api.groups",
    "rapid_refreshes": "api.rapid_refreshes",
    "leaderboards": "api.leaderboards",
    "webhooks": "api.webhooks",
    "resets": "reset_operations",
}
"""The module of each resource, which is imported when the resource is first used."""


class _Client(Bound[D], Generic[D]):
    """Base of both clients."""

    users: Users[D]
    courses: Courses[D]
    progress: Progress[D]
    analytics: Analytics[D]
    permissions: Permissions[D]
    paths: Paths[D]
    collections: Collections[D]
    groups: Groups[D]
    sites: Sites[D]
    rapid_refreshes: RapidRefreshes[D]
    leaderboards: Leaderboards[D]
    webhooks: Webhooks[D]
    resets: Resets[D]

    def _set_up(self, driver: D, options: Options) -> None:
        calls = options.calls
        self._driver = driver
        self._calls = calls
        self._options = options

    def _resource(self, name: str) -> Any:
        """Import and make a resource; its class is named in the annotations above."""
        module = import_module(f"training_sdk.{_RESOURCES[name]}")
        kind = getattr(module, _Client.__annotations__[name].removesuffix("[D]"))
        if name != "resets":
            return kind(self._driver, self._calls)
        options = self._options
        return kind(self._driver, self._calls, options.reset_format, options.safeguards, options.state_dir)

    if not TYPE_CHECKING:  # else every name would be an attribute

        def __getattr__(self, name: str) -> Any:
            """Make a resource when it is first used."""
            if name not in _RESOURCES:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            found = self.__dict__[name] = self._resource(name)
            return found

    def __dir__(self) -> Iterable[str]:
        """Return the attributes, with the resources that were not used yet."""
        return {*super().__dir__(), *_RESOURCES}

    @property
    def base_url(self) -> str:
        """The address of the server."""
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
        OutcomeUnknownError. Raises InvalidArgumentError for cookies, for headers that lead a request elsewhere
        (``X-Forwarded-Host``, ``X-Original-URL``), for full addresses, for paths that are not plain, and for the
        reset path in any spelling: a reset goes through ``resets.plan`` and ``resets.apply`` only.
        """
        request = raw_request(
            self._calls.base_url.prefix, method, path, params=params, json=json, headers=headers
        )
        return self._calls.call(
            request, lambda answer: RawResponse(answer.status, answer.headers, answer.body, answer.request_id)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"


class TrainingClient(_Client[SyncDriver]):
    """A client for SafetyCulture Training; safe to share between threads.

    In a process that is forked it makes connections of its own; with an ``http_client`` from outside it raises
    InvalidArgumentError there, before it sends anything.

    Arguments:

    - ``token``: An API token, or a callable that returns one. The callable is called for each request, and once for a
      reset and the readings right before it. By default ``SAFETYCULTURE_API_TOKEN`` from the environment.
    - ``base_url``: The server; it may hold a path prefix. By default ``SAFETYCULTURE_BASE_URL``, else the vendor's.
    - ``timeout``: The most seconds of one attempt, from connecting to the last byte.
    - ``http_client``: Connections of your own, of httpx or httpx2, which you close yourself. Their headers and cookies
      are sent along; their auth, params and redirects are not. ``timeout`` then bounds each read of an answer's head.
    - ``max_retry_seconds``: No attempt begins after so many seconds. By default 90, and 10 as long as no answer has
      come to this client, because then the address is probably wrong.
    - ``reset_format``: The body of a reset, which is assumed.
    - ``allow_insecure_http``: Use plain http beyond this machine.
    - ``read_only``: Refuse with ReadOnlyError, before anything is sent, everything but GET, HEAD and the POSTs that
      only read. ``with_options`` can switch it on, nothing switches it off. ``SAFETYCULTURE_READ_ONLY=1`` forbids every
      client of the process to write.
    - ``pace``: Keep requests to the published limits, together with all processes that use the same token on the same
      server and the same ``state_dir``, so not with those of other users of this machine. By default on every server
      but this machine's own and the reference server. Waiting for one's turn counts towards no timeout.
    - ``safeguards``: The limits for resets.
    - ``state_dir``: Where journals, evidence and the audit log are stored. By default ``TRAINING_SDK_STATE_DIR``, else
      the user's state directory. It is made when it is first needed, and only its owner may enter it.

    Raises InvalidArgumentError for settings that cannot be used.
    """

    def __init__(
        self,
        token: Token | None = None,
        *,
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        http_client: HttpClient | None = None,
        max_retry_seconds: float | None = None,
        reset_format: ResetFormat | None = None,
        allow_insecure_http: bool = False,
        read_only: bool = False,
        pace: bool | None = None,
        safeguards: Safeguards | None = None,
        state_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        secret, token = hidden(token), None  # a traceback shows the parameter
        options = options_of(
            *(secret, base_url, timeout, max_retry_seconds, reset_format, allow_insecure_http),
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

        With another ``token`` no cookies of an ``http_client`` from outside are sent along or kept.

        What is None stays as it is. Raises InvalidArgumentError for ``read_only=False`` on a client that cannot write:
        it never comes to write again.
        """
        secret, token = hidden(token), None
        options = changed(self._options, secret, timeout, max_retry_seconds, reset_format, read_only, pace)
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
    It makes connections for each event loop that it is used on, so it works in one ``asyncio.run`` after another and in
    threads with loops of their own; they are closed by ``aclose`` on their loop, or when their loop ends. An
    ``http_client`` from outside with open connections works on their loop only: elsewhere InvalidArgumentError is
    raised, before anything is sent. Everything else is as on TrainingClient.
    """

    def __init__(
        self,
        token: AsyncToken | None = None,
        *,
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        http_client: AsyncHttpClient | None = None,
        max_retry_seconds: float | None = None,
        reset_format: ResetFormat | None = None,
        allow_insecure_http: bool = False,
        read_only: bool = False,
        pace: bool | None = None,
        safeguards: Safeguards | None = None,
        state_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        secret, token = hidden(token), None  # a traceback shows the parameter
        options = options_of(
            *(secret, base_url, timeout, max_retry_seconds, reset_format, allow_insecure_http),
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

        With another ``token`` no cookies of an ``http_client`` from outside are sent along or kept.

        What is None stays as it is. Raises InvalidArgumentError for ``read_only=False`` on a client that cannot write:
        it never comes to write again.
        """
        secret, token = hidden(token), None
        options = changed(self._options, secret, timeout, max_retry_seconds, reset_format, read_only, pace)
        other = type(self).__new__(type(self))
        other._set_up(self._driver.shared(options.connection), options)
        return other

    async def aclose(self) -> None:
        """Close the client and its connections on this event loop, unless they came from outside."""
        await self._driver.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
