"""The two clients: the same operations, called or awaited."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from attrs import evolve

from training_sdk._core import argument_checks
from training_sdk._core.argument_checks import RawResponse, raw_request
from training_sdk._core.connections import AsyncHttpClient, HttpClient
from training_sdk._core.drivers import (
    AsyncDriver,
    AsyncToken,
    SyncDriver,
    Token,
)
from training_sdk._core.exchange import Connection
from training_sdk._core.flow import Flow
from training_sdk._core.operation import Bound, D, operation
from training_sdk._core.text import hidden
from training_sdk.client_options import (
    DEFAULT_TIMEOUT,
    Options,
    checked_pace,
    checked_retry_time,
    checked_setting,
    checked_timeout,
    checked_token,
    chosen_address,
    read_only_by_environment,
    still_read_only,
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
    from training_sdk.reset_operations import Resets
    from training_sdk.safeguards import ResetFormat, Safeguards

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

AnyToken = TypeVar("AnyToken")
AnyHttpClient = TypeVar("AnyHttpClient")


class _Client(Bound[D], Generic[D, AnyToken, AnyHttpClient]):
    """Base of both clients, which differ in their driver, token and HTTP client."""

    _make_driver: Callable[..., D]

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

    def __init__(
        self,
        token: AnyToken | None = None,
        *,
        base_url: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        http_client: AnyHttpClient | None = None,
        max_retry_seconds: float | None = None,
        reset_format: ResetFormat | None = None,
        allow_insecure_http: bool = False,
        read_only: bool = False,
        pace: bool | None = None,
        safeguards: Safeguards | None = None,
        state_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        secret, token = hidden(token), None  # a traceback shows the parameter
        options = Options(
            Connection(
                chosen_address(base_url, allow_insecure_http=allow_insecure_http),
                checked_token(secret),
                checked_timeout(timeout),
                argument_checks.yes_or_no(read_only, "read_only") or read_only_by_environment(),
                waits_for_server=max_retry_seconds is not None,
            ),
            checked_retry_time(max_retry_seconds),
            checked_setting(reset_format, "ResetFormat", "reset_format"),
            checked_pace(pace),
            checked_setting(safeguards, "Safeguards", "safeguards"),
            state_dir,
        )
        self._set_up(self._make_driver(options.connection, http_client), options)

    def with_options(
        self,
        *,
        token: AnyToken | None = None,
        timeout: float | None = None,
        max_retry_seconds: float | None = None,
        reset_format: ResetFormat | None = None,
        read_only: bool | None = None,
        pace: bool | None = None,
    ) -> Self:
        """Return a client that uses the same connections with different options. Closing it closes no connection.

        Options that are None stay as they are. With a different ``token``, cookies of an ``http_client`` of your own
        are neither sent nor stored.

        Raises InvalidArgumentError for options that cannot be used, and for ``read_only=False`` on a read-only client.
        """
        secret, token = hidden(token), None
        options, connection = self._options, self._options.connection
        if secret is not None:
            connection = evolve(connection, token=checked_token(secret))
        if timeout is not None:
            connection = evolve(connection, timeout=checked_timeout(timeout))
        if read_only is not None:
            connection = evolve(connection, read_only=still_read_only(connection, read_only))
        if max_retry_seconds is not None:
            connection = evolve(connection, waits_for_server=True)
            options = evolve(options, max_retry_seconds=checked_retry_time(max_retry_seconds))
        if reset_format is not None:
            options = evolve(
                options, given_format=checked_setting(reset_format, "ResetFormat", "reset_format")
            )
        if pace is not None:
            options = evolve(options, pace=checked_pace(pace))
        options = evolve(options, connection=connection)
        other = type(self).__new__(type(self))
        other._set_up(self._driver.shared(options.connection), options)
        return other

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
        """Send a request for which the SDK has no method, with the same token, retries and errors.

        If an answer is lost, GET and HEAD are sent again.

        Arguments:

        - ``method``: GET, HEAD, POST, PUT, PATCH or DELETE.
        - ``path``: The path, relative to the base URL, without a query.
        - ``params``: The parameters of the query. A list repeats its parameter; None leaves it out.
        - ``json``: The body. It is sent as JSON.
        - ``headers``: Further headers. Cookies and headers that only the client may set are refused.

        Raises:

        - ``InvalidArgumentError``: The path is a full address, is not plain, or is the path of a reset in any spelling
          (use ``resets.plan`` and ``resets.apply``), or a header could change the server, the user or the effect of
          the request (such as ``X-Forwarded-Host`` or ``X-Original-URL``).
        - ``OutcomeUnknownError``: The answer to a request other than GET and HEAD was lost.
        - ``ReadOnlyError``: The client is read-only, and the request is not GET or HEAD.
        - ``APIStatusError``: The server refused the request.

        REST: the request that the arguments name.
        """
        request = raw_request(
            self._calls.base_url.prefix, method, path, params=params, json=json, headers=headers
        )
        return self._calls.call(
            request, lambda answer: RawResponse(answer.status, answer.headers, answer.body, answer.request_id)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"


class TrainingClient(_Client[SyncDriver, Token, HttpClient]):
    """A client for SafetyCulture Training, which several threads can share.

    After a fork, the client opens new connections in the child process. If it uses an ``http_client`` of the parent
    process, it raises InvalidArgumentError in the child, before anything is sent.

    Arguments:

    - ``token``: An API token, or a function that returns one. The function is called for each request; a reset and the
      requests right before it share one call. By default the value of ``SAFETYCULTURE_API_TOKEN``.
    - ``base_url``: The address of the server. It may have a path prefix. By default the value of
      ``SAFETYCULTURE_BASE_URL``, or else the vendor's address.
    - ``timeout``: The limit for one attempt in seconds, from connecting to the last byte of the answer.
    - ``http_client``: Your own client of httpx or httpx2. You close it yourself. Its headers and cookies are sent; its
      auth, params and redirects are not used. ``timeout`` then limits each read of the head of an answer.
    - ``max_retry_seconds``: The limit for all attempts in seconds: no attempt starts later. By default 90, and 10 while
      this client has not received any answer, because then the address is probably wrong.
    - ``reset_format``: The field names in the body of a reset, which are assumed.
    - ``allow_insecure_http``: Allow http without TLS to other machines. The token is then sent unencrypted.
    - ``read_only``: Allow only GET, HEAD and the POST requests that only read. Other requests raise ReadOnlyError,
      before anything is sent. ``with_options`` can set it, and nothing can unset it. If ``SAFETYCULTURE_READ_ONLY`` is
      1, all clients of the process are read-only.
    - ``pace``: Send at most as many requests as the published limits allow. All processes with the same token, server
      and ``state_dir`` share the limits; processes of other users of this machine do not. By default True for each
      server except this machine and the reference server. The wait does not count towards a timeout.
    - ``safeguards``: The limits for resets.
    - ``state_dir``: The directory for journals, evidence and the audit log. By default the value of
      ``TRAINING_SDK_STATE_DIR``, or else the user's state directory. It is created when it is first needed, and only
      its owner can enter it.

    Raises InvalidArgumentError for options that cannot be used.
    """

    _make_driver = SyncDriver

    def close(self) -> None:
        """Close the connections, except those of an ``http_client`` of your own."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncTrainingClient(_Client[AsyncDriver, AsyncToken, AsyncHttpClient]):
    """The async version of TrainingClient, for asyncio and trio: each operation is a coroutine.

    Arguments, errors and behaviour are as for TrainingClient, except:

    - Listings are iterated with ``async for``, without ``await``.
    - ``token`` may also be a coroutine function.
    - The client opens connections for each event loop on which it is used. So it works in several calls of
      ``asyncio.run``, and in threads with their own event loops. ``aclose`` closes the connections of its event loop;
      the others are closed when their loops end.
    - An ``http_client`` of your own with open connections works only on their event loop. On another one the client
      raises InvalidArgumentError, before anything is sent.
    """

    _make_driver = AsyncDriver

    async def aclose(self) -> None:
        """Close the client and its connections on this event loop, except those of an ``http_client`` of your own."""
        await self._driver.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
