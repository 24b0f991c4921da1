"""HTTP clients that a TrainingClient and its siblings share, also in a forked process and on several event loops."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from copy import copy
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary, ref

from attrs import frozen

from training_sdk._core.network import without_cookies
from training_sdk.errors import InvalidArgumentError

H = TypeVar("H", bound=Any)

NAMES = ("httpx", "httpx2")
FORKED = (
    "http_client was made in the parent process, and both processes would read each other's answers from the same "
    "connections. Nothing was sent. Make http_client and the TrainingClient in this process."
)
CLOSED = "The client is closed. Make a new one, or keep it open in a with statement."
OTHER_LOOP = (
    "http_client has connections of another event loop, such as that of an earlier asyncio.run. {effect}Close "
    "http_client before its loop ends and make it and the AsyncTrainingClient on each loop, or leave http_client out: "
    "a client without one works on every loop."
)
_LOOP_TROUBLE = ("event loop is closed", "different event loop", "different loop", "no running event loop")
"""Signs in an error of asyncio that something belongs to another event loop."""

_inherited: list[object] = []
"""Clients of a parent process: neither closed here, which could end its connections, nor collected."""


class HttpClient(Protocol):
    """An ``httpx.Client`` or ``httpx2.Client``."""

    @property
    def is_closed(self) -> bool:
        """True if it was closed."""

    def build_request(self, method: str, url: Any) -> Any:
        """Prepare a request."""

    def send(self, request: Any, *, stream: bool, auth: Any, follow_redirects: Any) -> Any:
        """Send a request."""

    def close(self) -> None:
        """Close its connections."""


class AsyncHttpClient(Protocol):
    """An ``httpx.AsyncClient`` or ``httpx2.AsyncClient``."""

    @property
    def is_closed(self) -> bool:
        """True if it was closed."""

    def build_request(self, method: str, url: Any) -> Any:
        """Prepare a request."""

    async def send(self, request: Any, *, stream: bool, auth: Any, follow_redirects: Any) -> Any:
        """Send a request."""

    async def aclose(self) -> None:
        """Close its connections."""


def library_of(value: object) -> Any:
    """Return the module, httpx or httpx2, of an object's class or of a class above it; None for any other object."""
    for kind in value.__class__.__mro__:
        root = kind.__module__.partition(".")[0]
        if root in NAMES:
            return sys.modules[root]
    return None


def check_client_kind(http_client: object, right: str) -> None:
    """Raise InvalidArgumentError unless this is a ``right``, Client or AsyncClient, of httpx or httpx2."""
    library, kind = library_of(http_client), type(http_client)
    if http_client is None or (library is not None and isinstance(http_client, getattr(library, right))):
        return
    raise InvalidArgumentError(
        f"http_client must be an {' or '.join(f'{name}.{right}' for name in NAMES)} for this client, not "
        f"{kind.__module__.partition('.')[0]}.{kind.__name__}.",
        argument="http_client",
    )


# --- one client for several TrainingClients ---


class SharedClient(Generic[H]):
    """One HTTP client: the SDK's own, which is made again after a fork, or one from outside, which cannot be."""

    def __init__(self, given: H | None, make: Callable[[], H], *, of: SharedClient[H] | None = None) -> None:
        self._make = make
        self._of = of
        self._is_own = given is None
        self._http: H = make() if given is None else given
        self._process = os.getpid()

    @property
    def is_own(self) -> bool:
        """True if the SDK made it."""
        return self._is_own

    @property
    def http(self) -> H:
        """The client that may be used here. Raises InvalidArgumentError if it may not."""
        return self.of_process

    @property
    def of_process(self) -> H:
        """The client of this process. Raises InvalidArgumentError if it belongs to the parent."""
        if self._process != os.getpid() and not self._http.is_closed:
            if not self._is_own:
                raise InvalidArgumentError(FORKED, reason="FORKED")
            _inherited.append(self._http)
            self._http, self._process = self._make(), os.getpid()
        if self._of is not None and self._of.of_process.is_closed:
            return self._of.of_process  # the one that it is a copy of
        return self._http

    def to_close(self) -> H | None:
        """Return the client to close; None if it came from outside or belongs to another process."""
        return self._http if self._is_own and self._process == os.getpid() else None


W = TypeVar("W", bound=SharedClient[Any])


def for_another_token(wire: W, make: Callable[[], Any]) -> W:
    """Return the same connections for another token, without the cookies of a client from outside."""
    return wire if wire.is_own else type(wire)(without_cookies(copy(wire.of_process)), make, of=wire)


# --- one client for each event loop ---


@frozen
class _LoopClient(Generic[H]):
    """An async client, and the generator that closes it at the end of its event loop."""

    http: H
    keeper: AsyncGenerator[None, None]

    @classmethod
    def of(cls, http: H) -> _LoopClient[H]:
        async def keep() -> AsyncGenerator[None, None]:
            try:
                yield
            finally:
                await http.aclose()

        kept = cls(http, keep())
        # Started here, and not awaited because it waits for nothing: the loop ends it before it closes.
        with suppress(StopIteration):
            kept.keeper.asend(None).send(None)
        return kept


class LoopClients(SharedClient[H]):
    """HTTP clients whose connections belong to an event loop: the SDK makes one of its own for each loop."""

    def __init__(self, given: H | None, make: Callable[[], H], *, of: SharedClient[H] | None = None) -> None:
        super().__init__(given, make, of=of)
        self._spare = [self._http] if self._is_own else []
        self._by_loop: WeakKeyDictionary[object, _LoopClient[H]] = WeakKeyDictionary()
        self._is_closed = False

    @property
    def http(self) -> H:
        """The client of this loop. Raises InvalidArgumentError if it belongs to another loop or process."""
        if not self._is_own:
            _refuse_other_loop(self.of_process)
            return self.of_process
        if self._is_closed:
            raise InvalidArgumentError(CLOSED)
        if self._process != os.getpid():
            _inherited.extend((*self._spare, *self._by_loop.values()))
            self._spare, self._by_loop, self._process = [], WeakKeyDictionary(), os.getpid()
        loop = _loop()
        kept = self._by_loop.get(loop)
        if kept is None or kept.http.is_closed:
            self._forget_ended()
            kept = self._by_loop[loop] = _LoopClient.of(self._spare_client())
        return kept.http

    def _spare_client(self) -> H:
        """Return the client made at the start to the first loop that asks, in any thread, and new ones to others."""
        try:
            return self._spare.pop()
        except IndexError:
            return self._make()

    def _forget_ended(self) -> None:
        """Drop the clients of loops that were closed without ending their generators: nothing can close them."""
        for reference in self._by_loop.keyrefs():  # a copy: loops of other threads may come and go
            loop = reference()
            is_closed = getattr(loop, "is_closed", None)  # which only those of asyncio have
            if loop is not None and is_closed is not None and is_closed():
                self._by_loop.pop(loop, None)

    async def aclose(self) -> None:
        """Close the SDK's own client of this loop permanently; those of other loops are closed when their loops end."""
        if not self._is_own or self._process != os.getpid():
            return
        self._is_closed = True
        for spare in self._spare:
            await spare.aclose()
        kept = self._by_loop.pop(_loop(), None)
        if kept is not None:
            await kept.keeper.aclose()


def _loop() -> object:
    """Return the event loop of this task, asyncio's or trio's."""
    asyncio = sys.modules.get("asyncio")  # a client that is not async does not need it, nor does trio
    if asyncio is not None:
        with suppress(RuntimeError, AttributeError):  # no loop of asyncio runs, or a thread is importing it
            if asyncio.current_task() is not None:  # else trio runs as a guest on it
                loop: object = asyncio.get_running_loop()
                return loop
    with suppress(RuntimeError, KeyError):
        token: object = sys.modules["trio"].lowlevel.current_trio_token()
        return token
    raise InvalidArgumentError("No event loop runs here. Run the coroutine with asyncio.run or trio.run.")


_loops: WeakKeyDictionary[object, ref[object]] = WeakKeyDictionary()
"""On which loop the connections of clients from outside were made, by their pools."""


def _refuse_other_loop(http: Any) -> None:
    here = _loop()
    for pool in _pools(http):
        loop = _loops.get(pool)
        if loop is not None and loop() is not here and pool.connections:
            raise InvalidArgumentError(OTHER_LOOP.format(effect="Nothing was sent. "), reason="OTHER_LOOP")
        _loops[pool] = ref(here)


def _pools(http: Any) -> Iterator[Any]:
    """Yield the connection pools of a client; those of foreign transports are unknown."""
    for transport in (http._transport, *http._mounts.values()):
        pool = getattr(transport, "_pool", None)
        if hasattr(pool, "connections"):
            yield pool


def of_other_loop(error: BaseException) -> BaseException:
    """Return the error, or an InvalidArgumentError in place of one about connections of another event loop."""
    said = str(error).lower()
    if isinstance(error, RuntimeError) and any(sign in said for sign in _LOOP_TROUBLE):
        return InvalidArgumentError(OTHER_LOOP.format(effect=""), reason="OTHER_LOOP")
    return error
