"""The drivers: they run flows, send their requests, and look at the clocks of this machine."""

from __future__ import annotations

import inspect
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias, TypeVar

from training_sdk._core import argument_checks
from training_sdk._core.connections import (
    AsyncHttpClient,
    HttpClient,
    LoopClients,
    SharedClient,
    check_client_kind,
    for_another_token,
)
from training_sdk._core.exchange import (
    Connection,
    ResponseBody,
    answer_or_raise,
    build_request,
    read_response,
    refuse_to_write,
)
from training_sdk._core.flow import (
    DrawToken,
    Effect,
    Flow,
    Moment,
    Now,
    Request,
    Response,
    RunLocally,
    Sleep,
    TokenFingerprint,
    UnsentError,
)
from training_sdk._core.network import async_client, sync_client
from training_sdk._core.text import Secret, call_hidden, fingerprint, sentence
from training_sdk.errors import InvalidArgumentError

log = logging.getLogger("training_sdk")
_jitter = random.SystemRandom()


def note(request: Request, answer: Response, started: float) -> None:
    """Log an exchange."""
    milliseconds = (time.monotonic() - started) * 1000
    log.debug(
        "%s %s: %d in %.0f ms, request %s",
        request.method,
        request.path,
        answer.status,
        milliseconds,
        answer.request_id,
    )


def pause(effect: Sleep) -> float:
    """Return the seconds of a wait, and log it."""
    seconds = effect.seconds + _jitter.uniform(0, effect.jitter)
    if effect.planned:
        if effect.why:
            log.info("%s Continuing in %.1f s.", sentence(effect.why), seconds)
    else:
        log.warning("%s Trying again in %.1f s.", sentence(effect.why), seconds)
    return seconds


def now() -> Moment:
    """Return the time of both clocks."""
    return Moment(time.monotonic(), datetime.now(UTC))


def is_waiting(flow: Flow[Any]) -> bool:
    """Return whether a flow waits for the result of an effect, so that an error can be thrown into it."""
    return inspect.getgeneratorstate(flow) == inspect.GEN_SUSPENDED


T = TypeVar("T")

Token: TypeAlias = str | Callable[[], str]
AsyncToken: TypeAlias = str | Callable[[], str | Awaitable[str]]

GRACE = 0.1
"""Seconds by which httpx's own timeouts come first, for they tell what was never delivered from what was."""


# A client from outside may follow redirects or authenticate by itself; both would send elsewhere, twice or as another.
_AS_PREPARED: dict[str, Any] = {"follow_redirects": False, "auth": None}


# --- the drivers -----------------------------------------------------------------------------------------------------


class SyncDriver:
    """Runs flows on the calling thread; safe to share between threads."""

    def __init__(
        self,
        connection: Connection,
        http_client: HttpClient | None,
        wire: SharedClient[HttpClient] | None = None,
    ) -> None:
        check_client_kind(http_client, "Client")
        self.connection = connection
        self._owns = wire is None
        self._make = partial(sync_client, connection.base_url)
        self._wire = wire or SharedClient(http_client, self._make)

    def shared(self, connection: Connection) -> SyncDriver:
        """Return a driver with another token or timeout on the same connections, which it does not close."""
        is_same = connection.token is self.connection.token
        wire = self._wire if is_same else for_another_token(self._wire, self._make)
        return SyncDriver(connection, None, wire)

    def run(self, flow: Flow[T]) -> T:
        """Drive a flow to its end; an interrupt that falls between two steps goes to it as one within a step does."""
        step: Callable[[Any], Effect] = flow.send
        value: Any = None
        while True:
            try:
                return self._drive(flow, step, value)
            except BaseException as problem:
                if not is_waiting(flow):
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
            return now()
        if isinstance(effect, RunLocally):
            return effect.action()
        if isinstance(effect, DrawToken):
            return self._token()
        if isinstance(effect, TokenFingerprint):
            return fingerprint(self._token().reveal())
        return time.sleep(pause(effect))

    def _send(self, request: Request) -> Response:
        if request.on_new_connection and self._wire.is_own:
            with self._make() as http:
                return self._send_by(lambda: http, request)
        return self._send_by(lambda: self._wire.http, request)

    def _send_by(self, choose: Callable[[], HttpClient], request: Request) -> Response:
        try:
            refuse_to_write(self.connection, request)
            http = choose()
            token = self._token() if request.token is None else request.token
            prepared = build_request(http, self.connection, request, token)
        except BaseException as problem:
            raise UnsentError(problem) from None
        request_id = prepared.headers["x-request-id"]
        started = time.monotonic()
        body = ResponseBody(started + self.connection.timeout, request_id)
        try:
            answer = http.send(prepared, stream=True, **_AS_PREPARED)
            try:
                body.begin(answer.headers.get("content-encoding", ""), answer.status_code)
                for chunk in answer.iter_bytes():
                    body.add(chunk)
            finally:
                answer.close()
        except BaseException as problem:
            answer = answer_or_raise(problem, prepared, self.connection, body.status)
        response = read_response(answer, body.whole(), prepared, self.connection)
        note(request, response, started)
        return response

    def _token(self) -> Secret:
        token = call_hidden(self.connection.token)
        if inspect.iscoroutine(token.reveal()):
            token.reveal().close()
            raise InvalidArgumentError(
                "token must not be a coroutine function here. Nothing was sent. Use it with AsyncTrainingClient.",
                argument="token",
            )
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
        wire: LoopClients[AsyncHttpClient] | None = None,
    ) -> None:
        check_client_kind(http_client, "AsyncClient")
        self.connection = connection
        self._owns = wire is None
        self._make = partial(async_client, connection.base_url)
        self._wire = wire or LoopClients(http_client, self._make)

    def shared(self, connection: Connection) -> AsyncDriver:
        """Return a driver with another token or timeout on the same connections, which it does not close."""
        is_same = connection.token is self.connection.token
        wire = self._wire if is_same else for_another_token(self._wire, self._make)
        return AsyncDriver(connection, None, wire)

    async def run(self, flow: Flow[T]) -> T:
        """Drive a flow to its end; an interrupt that falls between two steps goes to it as one within a step does."""
        step: Callable[[Any], Effect] = flow.send
        value: Any = None
        while True:
            try:
                return await self._drive(flow, step, value)
            except BaseException as problem:
                if not is_waiting(flow):
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
            return now()
        if isinstance(effect, RunLocally):
            return effect.action()
        if isinstance(effect, DrawToken):
            return await self._token()
        if isinstance(effect, TokenFingerprint):
            return fingerprint((await self._token()).reveal())
        import anyio

        return await anyio.sleep(pause(effect))

    async def _send(self, request: Request) -> Response:
        if request.on_new_connection and self._wire.is_own:
            async with self._make() as http:
                return await self._send_by(lambda: http, request)
        return await self._send_by(lambda: self._wire.http, request)

    async def _send_by(self, choose: Callable[[], AsyncHttpClient], request: Request) -> Response:
        try:
            refuse_to_write(self.connection, request)
            http = choose()
            token = await self._token() if request.token is None else request.token
            prepared = build_request(http, self.connection, request, token)
        except BaseException as problem:
            raise UnsentError(problem) from None
        request_id = prepared.headers["x-request-id"]
        started = time.monotonic()
        body = ResponseBody(started + self.connection.timeout, request_id)
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
            answer = answer_or_raise(problem, prepared, self.connection, body.status)
        response = read_response(answer, body.whole(), prepared, self.connection)
        note(request, response, started)
        return response

    async def _token(self) -> Secret:
        token = call_hidden(self.connection.token)
        if inspect.isawaitable(token.reveal()):
            token = Secret(await token.reveal())
        return argument_checks.token(token)

    async def aclose(self) -> None:
        """Close the connections, unless they came from outside."""
        if self._owns:
            await self._wire.aclose()
