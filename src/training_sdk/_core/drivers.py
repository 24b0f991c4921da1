"""The two thin edges that touch the outside: they run flows, and they alone import httpx."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
import platform
import ssl
import time
from collections.abc import Awaitable, Callable
from copy import copy
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeAlias, TypeVar

import httpx
from attrs import define, evolve, field, frozen

from training_sdk._core import argument_checks, flow, network, run_locally, urls
from training_sdk._core.argument_checks import is_own, is_refused
from training_sdk._core.body import Body, bounded, root_of, unquoted
from training_sdk._core.connections import CLOSED, LoopWire, Wire, of_other_loop
from training_sdk._core.deadline import Deadline, keep_deadlines
from training_sdk._core.flow import (
    Act,
    Draw,
    Effect,
    Flow,
    InterruptedSendError,
    NoAnswerError,
    NotDeliveredError,
    Now,
    Request,
    Response,
    TransportError,
    UnsentError,
    Whose,
    new_request_id,
)
from training_sdk._core.http_library import NAMES, AsyncHttpClient, HttpClient, library_of
from training_sdk._core.request_ids import request_id_of
from training_sdk._core.text import Secret, drawn, fingerprint, masked, masked_body, sentence
from training_sdk._core.urls import BaseUrl, is_loopback
from training_sdk._version import __version__
from training_sdk.errors import InvalidArgumentError, ReadOnlyError

T = TypeVar("T")
H = TypeVar("H", bound=Any)
W = TypeVar("W", bound=Wire[Any])

Token: TypeAlias = str | Callable[[], str]
AsyncToken: TypeAlias = str | Callable[[], str | Awaitable[str]]

USER_AGENT = f"training-sdk/{__version__} python/{platform.python_version()}"
LONGEST_CONNECT = 10.0
HOPELESS = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "Name or service not known")
"""Signs in an error that trying again would not help."""
READ_ONLY = (
    "{what} would change something, and this client cannot: it was made with read_only=True, or "
    "SAFETYCULTURE_READ_ONLY is set. Nothing was sent. Use a client that may write, if that is what you mean"
)
GRACE = 0.1
"""Seconds by which httpx's own timeouts come first, for they tell what was never delivered from what was."""

log = logging.getLogger("training_sdk")

# A client from outside may follow redirects or authenticate by itself; both would send elsewhere, twice or as another.
_AS_PREPARED: dict[str, Any] = {"follow_redirects": False, "auth": None}


@define
class Reached:
    """Whether an answer has ever come from where a client sends; clients on the same connections share it."""

    is_so: bool = False


@frozen
class Connection:
    """Where a driver sends, as whom, how long one attempt may take in seconds, and whether it may change anything."""

    base_url: BaseUrl
    token: Secret
    timeout: float
    read_only: bool = False
    waits_for_server: bool = False
    """Whether the caller has said how long to try, so that a server may still be starting."""
    reached: Reached = field(factory=Reached, eq=False, repr=False)


# --- what both drivers share: pure preparation and reading -----------------------------------------------------------


@functools.cache
def _tls() -> ssl.SSLContext:
    """One context per process: making it is nearly all that a client costs (23 ms against 0.07)."""
    return network.trusted(httpx.create_ssl_context)


@functools.cache
def _no_tls() -> ssl.SSLContext:
    """For plain http to this machine: a context that trusts nobody, so that TLS could only fail."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _settings(base_url: BaseUrl) -> dict[str, Any]:
    plain = base_url.origin.startswith("http:")
    host = httpx.URL(base_url.origin).host
    # A proxy named in the environment must not get to see, in clear text, what is meant for this machine.
    may_use_proxy = not is_loopback(host)
    if may_use_proxy:
        network.check_proxies(_is_address)
    return {"verify": _no_tls() if plain else _tls(), "trust_env": may_use_proxy}


def _is_address(text: str) -> bool:
    try:
        return bool(httpx.URL(text))
    except httpx.InvalidURL:
        return False


def _sync_client(base_url: BaseUrl) -> httpx.Client:
    http = httpx.Client(**_settings(base_url))
    for transport in (http._transport, *http._mounts.values()):
        keep_deadlines(transport)
    return _without_cookies(http)


class _NoCookies(CookieJar):
    """The jar of a client that keeps and sends no cookie, not even one among its default headers."""

    def __init__(self) -> None:
        super().__init__(DefaultCookiePolicy(allowed_domains=()))


def _without_cookies(http: H) -> H:
    """The client, which from now on keeps and sends no cookie: a token says who asks, and nothing else may."""
    http.cookies = _NoCookies()
    return http


def _async_client(base_url: BaseUrl) -> httpx.AsyncClient:
    return _without_cookies(httpx.AsyncClient(**_settings(base_url)))


def _without_its_cookies(wire: W, make: Callable[[], Any]) -> W:
    """The same connections for another token, to whose owner the cookies of a client from outside do not belong."""
    return wire if wire.is_own else type(wire)(_without_cookies(copy(wire.of_process)), make, of=wire)


def _refuse_to_write(connection: Connection, request: Request) -> None:
    """The last gate of a client that cannot write: whatever flow asks, nothing passes here that does not read."""
    if connection.read_only and not request.reads:
        raise ReadOnlyError(READ_ONLY.format(what=f"{request.method} {request.path}"))


def _build(http: Any, connection: Connection, request: Request, token: Secret) -> Any:
    library = library_of(http)
    if http.is_closed:
        raise InvalidArgumentError(CLOSED)
    headers = {
        "accept": "application/json",
        "user-agent": f"{USER_AGENT} {library.__name__}/{library.__version__}",
        "x-request-id": request.request_id or new_request_id(),
    }
    if request.reads:
        headers["cache-control"] = "no-cache, no-store"
    if request.body is not None:
        headers["content-type"] = "application/json"
    named = headers.keys() - {name for name, _ in request.headers}
    # A list, for the contract kit sends a header twice, and none that is empty: it asks as nobody.
    sent = [*((name, headers[name]) for name in sorted(named)), *filter(_is_sent, request.headers)]
    limits = library.Timeout(Deadline(connection.timeout), connect=min(connection.timeout, LONGEST_CONNECT))
    url = _parsed(str(connection.base_url) + request.target, library)
    built = http.build_request(request.method, url, headers=sent, content=request.body, timeout=limits)
    built.url = url  # without the params that a client from outside may add: what was checked is what is sent
    is_removed = is_refused if isinstance(http.cookies.jar, _NoCookies) else is_own
    for name in {*filter(is_removed, built.headers)} - {name for name, _ in sent}:
        built.headers.pop(name, None)
    if not any(name == "authorization" for name, _ in request.headers):
        built.headers["authorization"] = f"Bearer {token.reveal()}"
    built.headers["host"] = url.netloc.decode("ascii")
    if request.body is not None:
        built.headers["content-length"] = str(len(request.body))
    return built


def _is_sent(header: tuple[str, str]) -> bool:
    return header != ("authorization", "")


def _parsed(address: str, library: Any) -> Any:
    with contextlib.suppress(library.InvalidURL):
        return library.URL(address)
    raise InvalidArgumentError(f"the address {address[:200]!r} is too long or not an address at all")


def _response(answer: Any, body: bytes, prepared: Any, connection: Connection) -> Response:
    headers = tuple((name.lower(), value) for name, value in answer.headers.multi_items())
    token = _sent_token(prepared)
    if not answer.is_success:  # what it says ends in a message; some servers repeat what they were sent
        body = masked_body(body, token)
        headers = tuple((name, masked(value, token)) for name, value in headers)
    response = Response(
        answer.status_code, headers, body, is_reference=_is_reference(answer, prepared, connection.base_url)
    )
    given, sent = response.header("x-request-id"), prepared.headers["x-request-id"]
    connection.reached.is_so = True
    return evolve(
        response,
        request_id=request_id_of(given, sent, token.reveal()),
        base_url=str(connection.base_url),
    )


def _sent_token(prepared: Any) -> Secret:
    return Secret(prepared.headers.get("authorization", "").removeprefix("Bearer "))


def _is_reference(answer: Any, prepared: Any, base_url: BaseUrl) -> bool:
    """Whether the reference server gave this answer to this request; never over a network from a host of the vendor."""
    if "network_stream" in answer.extensions and urls.is_vendors(prepared.url.host):
        return False
    target = prepared.url.raw_path.decode("ascii").removeprefix(base_url.prefix)
    expected = flow.identity(prepared.method, target, prepared.headers["x-request-id"])
    return bool(answer.headers.get_list(flow.HEADER) == [expected])


def _own_answer(problem: Any, prepared: Any, connection: Connection, status: int | None) -> Any:
    """The answer that a client from outside has raised by itself, its body thrown away; anything else is raised.

    ``status`` is that of the answer, where its head came before the problem.

    What is about another request, such as one that a hook has made, says nothing about the fate of ours.
    """
    own = _is_about(problem, prepared)
    if (
        isinstance(problem, library_of(prepared).HTTPStatusError)
        and own
        and problem.response.request is prepared
    ):
        return problem.response
    broken = _translate(problem, prepared, connection, own=own)
    broken.status = status
    raise broken from None


def _is_about(problem: Any, prepared: Any) -> bool:
    try:
        return isinstance(problem, library_of(prepared).HTTPError) and problem.request is prepared
    except RuntimeError:  # how httpx says that an error is about no request
        return False


def _translate(error: BaseException, prepared: Any, connection: Connection, *, own: bool) -> TransportError:
    """What a broken exchange means for the flow; Ctrl-C, cancellation and foreign errors are interruptions."""
    library, request_id = library_of(prepared), prepared.headers["x-request-id"]
    if isinstance(error, TransportError):
        return error
    if type(error).__module__.startswith("socksio."):  # httpcore passes it on as it is
        return NoAnswerError(
            f"the proxy does not answer as a SOCKS proxy: {bounded(str(error))}", request_id=request_id
        )
    if not isinstance(error, TimeoutError) and not (isinstance(error, library.HTTPError) and own):
        return InterruptedSendError(of_other_loop(error), request_id)
    said = unquoted(masked(str(error), _sent_token(prepared))) or type(error).__name__
    timeout = isinstance(error, library.TimeoutException | TimeoutError)
    nobody_yet = not (connection.reached.is_so or connection.waits_for_server)
    if isinstance(
        error, library.ConnectError | library.ConnectTimeout | library.PoolTimeout | library.ProxyError
    ):
        # Only an error of a proxy may quote an answer; the others name our host in quotes.
        shown = unquoted if isinstance(error, library.ProxyError) else bounded
        said = shown(masked(root_of(error), _sent_token(prepared))) or said
        hopeless = any(sign in said for sign in HOPELESS)
        said = f"{sentence(said)} {_advice(said, prepared.url)}"
        where = f"{prepared.url.scheme}://{prepared.url.netloc.decode('ascii')}"
        return NotDeliveredError(
            f"could not connect to {where}: {said}",
            timeout=timeout,
            hopeless=hopeless,
            request_id=request_id,
            nobody_yet=nobody_yet,
        )
    what = "no answer in time" if timeout else "the connection broke before the whole answer was in"
    if isinstance(error, library.DecodingError):
        what = "the answer cannot be decompressed"
    # A slow server may be there; one that closes each connection without a word is not the one that was meant.
    nobody_yet &= isinstance(error, library.NetworkError | library.RemoteProtocolError)
    return NoAnswerError(f"{what}: {said}", timeout=timeout, request_id=request_id, nobody_yet=nobody_yet)


def _advice(said: str, url: Any) -> str:
    """What to look into where nothing was connected."""
    if "CERTIFICATE_VERIFY_FAILED" in said:
        ignored = " and ".join(name for name in network.NOT_READ if os.environ.get(name))
        return (
            "If your organisation signs certificates itself, name the file of its authority in SSL_CERT_FILE"
            f"{f' ({ignored} is not read)' if ignored else ''}. Is base_url or SAFETYCULTURE_BASE_URL right?"
        )
    proxy = None if is_loopback(url.host) else network.proxy_of(url.scheme, url.host)
    if "WRONG_VERSION_NUMBER" in said and not proxy:
        return (
            "The server there does not speak TLS. Is it http:// there, or is the port wrong? Look at base_url or "
            "SAFETYCULTURE_BASE_URL"
        )
    if proxy:
        return (
            f"Is the proxy that {proxy[0]} names running and right, and base_url or SAFETYCULTURE_BASE_URL?"
        )
    return "Is the server running, and base_url or SAFETYCULTURE_BASE_URL right?"


def _refuse_colour(http_client: object, right: str) -> None:
    """Raise InvalidArgumentError unless this is a ``right``, Client or AsyncClient, of httpx or httpx2."""
    library, kind = library_of(http_client), type(http_client)
    if http_client is None or (library is not None and isinstance(http_client, getattr(library, right))):
        return
    raise InvalidArgumentError(
        f"http_client must be an {' or '.join(f'{name}.{right}' for name in NAMES)} for this client, not "
        f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    )


# --- the drivers -----------------------------------------------------------------------------------------------------


class SyncDriver:
    """Runs flows on the calling thread; safe to share between threads."""

    def __init__(
        self, connection: Connection, http_client: HttpClient | None, wire: Wire[HttpClient] | None = None
    ) -> None:
        _refuse_colour(http_client, "Client")
        self.connection = connection
        self._owns = wire is None
        self._make = partial(_sync_client, connection.base_url)
        self._wire = wire or Wire(http_client, self._make)

    def shared(self, connection: Connection) -> SyncDriver:
        """A driver with another token or timeout on the same connections, which it does not close."""
        is_same = connection.token is self.connection.token
        wire = self._wire if is_same else _without_its_cookies(self._wire, self._make)
        return SyncDriver(connection, None, wire)

    def run(self, flow: Flow[T]) -> T:
        """Drive a flow to its end; an interrupt that falls between two steps goes to it as one within a step does."""
        step: Callable[[Any], Effect] = flow.send
        value: Any = None
        while True:
            try:
                return self._drive(flow, step, value)
            except BaseException as problem:
                if not run_locally.is_waiting(flow):
                    raise
                step, value = flow.throw, problem

    def _drive(self, flow: Flow[T], step: Callable[[Any], Effect], value: Any) -> T:
        while True:
            try:
                effect = step(value)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                value, step = self._perform(effect), flow.send
            except BaseException as problem:
                value, step = problem, flow.throw

    def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Request):
            return self._send(effect)
        if isinstance(effect, Now):
            return run_locally.now()
        if isinstance(effect, Act):
            return effect.action()
        if isinstance(effect, Draw):
            return self._token()
        if isinstance(effect, Whose):
            return fingerprint(self._token().reveal())
        return time.sleep(run_locally.pause(effect))

    def _send(self, request: Request) -> Response:
        if request.on_new_connection and self._wire.is_own:
            with self._make() as http:
                return self._send_by(lambda: http, request)
        return self._send_by(lambda: self._wire.http, request)

    def _send_by(self, choose: Callable[[], HttpClient], request: Request) -> Response:
        try:
            _refuse_to_write(self.connection, request)
            http = choose()
            token = self._token() if request.token is None else request.token
            prepared = _build(http, self.connection, request, token)
        except BaseException as problem:
            raise UnsentError(problem) from None
        request_id = prepared.headers["x-request-id"]
        started = time.monotonic()
        body = Body(started + self.connection.timeout, request_id)
        try:
            answer = http.send(prepared, stream=True, **_AS_PREPARED)
            try:
                body.begin(answer.headers.get("content-encoding", ""), answer.status_code)
                for chunk in answer.iter_bytes():
                    body.add(chunk)
            finally:
                answer.close()
        except BaseException as problem:
            answer = _own_answer(problem, prepared, self.connection, body.status)
        response = _response(answer, body.whole(), prepared, self.connection)
        run_locally.note(request, response, started)
        return response

    def _token(self) -> Secret:
        token = drawn(self.connection.token)
        if inspect.iscoroutine(token.reveal()):
            token.reveal().close()
            raise InvalidArgumentError("the token is a coroutine function; that takes an AsyncTrainingClient")
        return argument_checks.token(token)

    def close(self) -> None:
        """Close the connections, unless they came from outside."""
        http = self._wire.to_close()
        if self._owns and http is not None:
            http.close()


class AsyncDriver:
    """Runs flows on an event loop, asyncio's or trio's."""

    def __init__(
        self,
        connection: Connection,
        http_client: AsyncHttpClient | None,
        wire: LoopWire[AsyncHttpClient] | None = None,
    ) -> None:
        _refuse_colour(http_client, "AsyncClient")
        self.connection = connection
        self._owns = wire is None
        self._make = partial(_async_client, connection.base_url)
        self._wire = wire or LoopWire(http_client, self._make)

    def shared(self, connection: Connection) -> AsyncDriver:
        """A driver with another token or timeout on the same connections, which it does not close."""
        is_same = connection.token is self.connection.token
        wire = self._wire if is_same else _without_its_cookies(self._wire, self._make)
        return AsyncDriver(connection, None, wire)

    async def run(self, flow: Flow[T]) -> T:
        """Drive a flow to its end; an interrupt that falls between two steps goes to it as one within a step does."""
        step: Callable[[Any], Effect] = flow.send
        value: Any = None
        while True:
            try:
                return await self._drive(flow, step, value)
            except BaseException as problem:
                if not run_locally.is_waiting(flow):
                    raise
                step, value = flow.throw, problem

    async def _drive(self, flow: Flow[T], step: Callable[[Any], Effect], value: Any) -> T:
        while True:
            try:
                effect = step(value)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                value, step = await self._perform(effect), flow.send
            except BaseException as problem:
                value, step = problem, flow.throw

    async def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Request):
            return await self._send(effect)
        if isinstance(effect, Now):
            return run_locally.now()
        if isinstance(effect, Act):
            return effect.action()
        if isinstance(effect, Draw):
            return await self._token()
        if isinstance(effect, Whose):
            return fingerprint((await self._token()).reveal())
        import anyio

        return await anyio.sleep(run_locally.pause(effect))

    async def _send(self, request: Request) -> Response:
        if request.on_new_connection and self._wire.is_own:
            async with self._make() as http:
                return await self._send_by(lambda: http, request)
        return await self._send_by(lambda: self._wire.http, request)

    async def _send_by(self, choose: Callable[[], AsyncHttpClient], request: Request) -> Response:
        try:
            _refuse_to_write(self.connection, request)
            http = choose()
            token = await self._token() if request.token is None else request.token
            prepared = _build(http, self.connection, request, token)
        except BaseException as problem:
            raise UnsentError(problem) from None
        request_id = prepared.headers["x-request-id"]
        started = time.monotonic()
        body = Body(started + self.connection.timeout, request_id)
        import anyio  # httpx itself brings it; imported late because sync users never need it

        try:
            with anyio.fail_after(self.connection.timeout + GRACE):
                answer = await http.send(prepared, stream=True, **_AS_PREPARED)
                try:
                    body.begin(answer.headers.get("content-encoding", ""), answer.status_code)
                    async for chunk in answer.aiter_bytes():
                        body.add(chunk)
                finally:
                    await answer.aclose()
        except BaseException as problem:
            answer = _own_answer(problem, prepared, self.connection, body.status)
        response = _response(answer, body.whole(), prepared, self.connection)
        run_locally.note(request, response, started)
        return response

    async def _token(self) -> Secret:
        token = drawn(self.connection.token)
        if inspect.isawaitable(token.reveal()):
            token = Secret(await token.reveal())
        return argument_checks.token(token)

    async def aclose(self) -> None:
        """Close the connections, unless they came from outside."""
        if self._owns:
            await self._wire.aclose()
