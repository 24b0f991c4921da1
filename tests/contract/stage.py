"""One test body for both clients and both doors.

A `Stage` puts a world behind a door (in-process transport or a real socket) and hands out clients of one colour. The
async client comes wrapped, so that a test calls it as it calls the sync one; what runs underneath is the async one.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Generic, Literal, TypeVar, cast

import httpx
from attrs import define, field, frozen

from conformity import conformity
from mock_server import MockTraining
from mock_server.mock import TokenName
from mock_server.transports.httpx import MockTransport
from mock_server.transports.serving import serve
from mock_server.wire.message import Request, Response
from training_sdk import AsyncListing, AsyncTrainingClient, Page, ResetPlan, TrainingClient
from training_sdk._core.operation import Bound
from unit.sdk.fakes import tail

Colour = Literal["sync", "async"]
Door = Literal["in-process", "socket"]
Handle = Callable[[Request], Response]
Cut = Callable[[httpx.Request], Literal["before", "after", None]]

RESET = "/training/courseprogress/v1/reset"
LIVE = "https://api.safetyculture.io"
SDK = "training-sdk/"
T = TypeVar("T")


def typed(plan: ResetPlan) -> str:
    """What a person types after reading a plan, put together from what they read and not from ``plan.phrase``."""
    recorded = [user for user in plan.users if user.state != "not started"]
    if plan.selection == "completed":
        recorded = [user for user in recorded if user.state == "completed"]
    users = f"{len(recorded)} user{'s' * (len(recorded) != 1)}"
    return f'reset "{" ".join(plan.course.title.split())[:80]}" for {users} #{tail(plan.digest)}'


def confirming(title: str, users: int) -> dict[str, str]:
    """The header that confirms a reset to the reference server."""
    return {"Reset-Confirmation": json.dumps({"courseTitle": title, "users": users})}


@define
class Tap:
    """Sits before the server: keeps every request, and lets a test meddle with the answers.

    Whatever the server itself answers, and whatever the SDK sends, is held against the OpenAPI document; but not where
    the server plays a live one, which knows neither its own mark nor the confirmation that the document demands.
    """

    mock: MockTraining
    meddle: Callable[[Request, Handle], Response] = field(default=lambda request, handle: handle(request))
    requests: list[Request] = field(factory=list)

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        self.requests.append(request)
        if self.mock.policy.is_reference and (request.header("user-agent") or "").startswith(SDK):
            conformity().check_request(request)
        return self.meddle(request, self._answer)

    def _answer(self, request: Request) -> Response:
        response = self.mock.handle(request)
        if self.mock.policy.is_reference and not request.path.startswith("/_mock/"):
            conformity().check_answer(request, response)
        return response

    @property
    def resets(self) -> list[Request]:
        """The resets that reached the server."""
        return [request for request in self.requests if request.path == RESET]


@define
class Line(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """The way to the server, which can be cut before a request is handled or after it."""

    inner: Any
    cut: Cut

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send over a line that may break."""
        when = self.cut(request)
        _break_if(when == "before", request)
        response: httpx.Response = self.inner.handle_request(request)
        if when == "after":
            response.close()
        _break_if(when == "after", request)
        return response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send over a line that may break."""
        when = self.cut(request)
        _break_if(when == "before", request)
        response: httpx.Response = await self.inner.handle_async_request(request)
        if when == "after":
            await response.aclose()
        _break_if(when == "after", request)
        return response

    def close(self) -> None:
        """Hang up."""
        self.inner.close()

    async def aclose(self) -> None:
        """Hang up."""
        await self.inner.aclose()


def _break_if(cut: bool, request: httpx.Request) -> None:
    if cut:
        raise httpx.ReadError("the line was cut", request=request)


@frozen
class Collected(Generic[T]):
    """An async listing, walked by ``async for`` and handed on to ``for``."""

    listing: AsyncListing[T]
    runner: asyncio.Runner

    def __iter__(self) -> Iterator[T]:
        async def walk() -> list[T]:
            return [item async for item in self.listing]

        return iter(self.runner.run(walk()))

    def pages(self) -> Iterator[Page[T]]:
        """Its pages."""

        async def walk() -> list[Page[T]]:
            return [page async for page in self.listing.pages()]

        return iter(self.runner.run(walk()))


@frozen
class Blocking:
    """An async client, or a resource of one, that is called like a sync one."""

    target: Bound[Any]
    runner: asyncio.Runner

    def __getattr__(self, name: str) -> Any:
        return self._surfaced(getattr(self.target, name))

    def _surfaced(self, value: Any) -> Any:
        if isinstance(value, AsyncListing):
            return Collected(value, self.runner)
        if inspect.iscoroutine(value):
            return self.runner.run(value)
        if isinstance(value, Bound):
            return Blocking(value, self.runner)
        if callable(value):
            return lambda *args, **kwargs: self._surfaced(value(*args, **kwargs))
        return value


@define
class Stage:
    """A world behind one door, for clients of one colour."""

    mock: MockTraining
    colour: Colour
    door: Door
    closing: ExitStack
    tap: Tap = field(init=False)
    base_url: str | None = field(init=False, default=None)
    """None in-process: then the world answers as the vendor's own host."""
    runner: asyncio.Runner = field(init=False)
    raw: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tap = Tap(self.mock)
        self.runner = self.closing.enter_context(asyncio.Runner())
        if self.door == "socket":
            self.base_url = self.closing.enter_context(serve(self.tap)).url
        self.raw = self.connections()

    def connections(self, cut: Cut = lambda request: None) -> Any:
        """An httpx client of this stage's colour, on this stage's door."""
        if self.door == "in-process":
            inner: Any = MockTransport(self.tap)
        elif self.colour == "sync":
            inner = httpx.HTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        else:
            inner = httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        if self.colour == "sync":
            return self.closing.enter_context(httpx.Client(transport=Line(inner, cut)))
        client = httpx.AsyncClient(transport=Line(inner, cut))
        self.closing.callback(lambda: self.runner.run(client.aclose()))
        return client

    def client(self, who: TokenName = "admin", *, cut: Cut | None = None, **options: Any) -> TrainingClient:
        """A client with somebody's token (or with ``token=``), on connections of its own."""
        options.setdefault("token", self.mock.token(who))
        options.setdefault("base_url", self.base_url)
        options.setdefault("pace", False)  # whose file is locked and written for each request
        if cut is not None:
            options["http_client"] = self.connections(cut)
        elif self.door == "in-process":
            options.setdefault("http_client", self.raw)
        if self.colour == "sync":
            return self.closing.enter_context(TrainingClient(**options))
        client = AsyncTrainingClient(**options)
        self.closing.callback(lambda: self.runner.run(client.aclose()))
        return cast(TrainingClient, Blocking(client, self.runner))

    def send(
        self,
        method: str,
        path: str,
        who: TokenName | None = "admin",
        *,
        body: object = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """What somebody with curl could send. ``body`` goes as JSON, the path and ``content`` as they stand."""
        sent: dict[str, str] = {}
        if who is not None:
            sent["Authorization"] = f"Bearer {self.mock.token(who)}"
        if body is not None:
            content = json.dumps(body).encode()
        if content is not None:
            sent["Content-Type"] = "application/json"
        request = self.raw.build_request(
            method,
            (self.base_url or LIVE) + path,
            headers=sent | (headers or {}),
            content=content,
            # On a socket the path goes out as it stands, although httpx tidies up dot segments in its URLs.
            extensions={"target": path.encode("ascii")},
        )
        answer = self.raw.send(request)
        response: httpx.Response = self.runner.run(answer) if inspect.iscoroutine(answer) else answer
        return response

    def reset(
        self, body: object, headers: dict[str, str] | None = None, *, who: TokenName | None = "admin"
    ) -> httpx.Response:
        """A bare reset."""
        return self.send("POST", RESET, who, body=body, headers=headers)


def reason(response: httpx.Response) -> str:
    """The machine-readable reason of a refusal."""
    (detail,) = response.json()["details"]
    return str(detail["reason"])


def metadata(response: httpx.Response) -> dict[str, str]:
    """What a refusal says of its reason."""
    (detail,) = response.json()["details"]
    found: dict[str, str] = detail["metadata"]
    return found
