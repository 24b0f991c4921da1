"""Descriptors that make one method a call of sync clients and a coroutine of async clients.

An operation is a method that checks its arguments at once and returns a flow. A listing returns a ``PageSource``.
"""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import MethodType
from typing import (
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    TypeVar,
    get_args,
    get_type_hints,
    overload,
)

from training_sdk._core.drivers import AsyncDriver, SyncDriver
from training_sdk._core.flow import Flow
from training_sdk._core.listing import Calls, Page, PageRequest
from training_sdk.frames.methods import AsyncFrames, Frames

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")
D = TypeVar("D", SyncDriver, AsyncDriver)


class PageSource(Protocol[T]):
    """A listing that has not started: a ``Paginator``, or several of them that make one."""

    @property
    def first(self) -> PageRequest:
        """The request for the first page."""

    def start(self) -> Any:
        """Return the position before the first page."""

    def step(self, cursor: Any) -> Flow[tuple[Page[T], Any]]:
        """Fetch the page at a position; return it and the next position, which is None at the end."""


class Bound(Generic[D]):
    """Base of the clients and their resources. The type of the driver makes it sync or async."""

    _driver: D
    _calls: Calls

    def __init__(self, driver: D, calls: Calls) -> None:
        self._driver = driver
        self._calls = calls


class _Descriptor(ABC):
    """Base of both descriptors: a method that shows the signature of the sync or async call."""

    _shown_sync: str
    _shown_async: str

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def _of(self, owner: Any) -> Any:
        """Return the method of an owner, or the plain function if it is None: for help() and the reference.

        The method is not stored in the owner. It would keep itself, the owner and the connections alive until a garbage
        collection.
        """
        if owner is None:
            return self._sync
        return MethodType(self._async if type(owner._driver) is AsyncDriver else self._sync, owner)

    @abstractmethod
    def _perform(self, driver: Any, result: Any) -> Any:
        """Turn the flow or listing that the method returned into its result, on a driver."""

    @functools.cached_property
    def _sync(self) -> Callable[..., Any]:
        return self._described(self._shown_sync)

    @functools.cached_property
    def _async(self) -> Callable[..., Any]:
        return self._described(self._shown_async)

    def _described(self, shown: str) -> Callable[..., Any]:
        """Return the function of the method, with the signature and the documentation that users see."""
        function, perform = self._function, self._perform

        def call(owner: Any, /, *args: Any, **kwargs: Any) -> Any:
            return perform(owner._driver, function(owner, *args, **kwargs))

        signature = inspect.signature(function)
        shown = shown.format(str(signature.return_annotation).partition("[")[2].removesuffix("]"))
        functools.update_wrapper(call, function)
        call.__dict__["__signature__"] = signature.replace(return_annotation=shown)
        call.__annotations__ = {**function.__annotations__, "return": shown}
        return call


class Operation(_Descriptor, Generic[P, T]):
    """A descriptor that turns a method that returns a flow into a call (sync) or a coroutine (async)."""

    _shown_sync = "{}"
    _shown_async = "Coroutine[Any, Any, {}]"

    def __init__(self, function: Callable[Concatenate[S, P], Flow[T]]) -> None:
        super().__init__(function)

    @overload
    def __get__(self, owner: None, kind: type) -> Callable[..., T]: ...
    @overload
    def __get__(self, owner: Bound[SyncDriver], kind: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, owner: Bound[AsyncDriver], kind: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        return self._of(owner)

    def _perform(self, driver: SyncDriver | AsyncDriver, result: Flow[T]) -> Any:
        return driver.run(result)


class Listed(_Descriptor, Generic[P, T]):
    """A descriptor that turns a method that returns a ``PageSource`` into a lazy listing (``for``, ``async for``)."""

    _shown_sync = "Listing[{}]"
    _shown_async = "AsyncListing[{}]"

    def __init__(self, function: Callable[Concatenate[S, P], PageSource[T]]) -> None:
        super().__init__(function)

    @overload
    def __get__(self, owner: None, kind: type) -> Callable[..., Listing[T]]: ...
    @overload
    def __get__(self, owner: Bound[SyncDriver], kind: type) -> Callable[P, Listing[T]]: ...
    @overload
    def __get__(self, owner: Bound[AsyncDriver], kind: type) -> Callable[P, AsyncListing[T]]: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        return self._of(owner)

    def _perform(self, driver: SyncDriver | AsyncDriver, result: PageSource[T]) -> Any:
        if isinstance(driver, SyncDriver):
            return Listing(driver, result, self._model)
        return AsyncListing(driver, result, self._model)

    def _model(self) -> type[Any]:
        """Return the model of the items, from the annotation of the method."""
        model: type[Any] = get_args(get_type_hints(self._function)["return"])[0]
        return model


operation = Operation
listing = Listed


class Listing(Frames[T]):
    """All items that a server lists, fetched page by page while iterated; each iteration starts from the beginning."""

    def __init__(self, driver: SyncDriver, walk: PageSource[T], model: Callable[[], type[Any]]) -> None:
        self._driver = driver
        self._walk = walk
        self._model = model

    def pages(self) -> Iterator[Page[T]]:
        """Yield the same items, page by page."""
        cursor = self._walk.start()
        while cursor is not None:
            page, cursor = self._driver.run(self._walk.step(cursor))
            yield page

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.items

    def __repr__(self) -> str:
        return f"<Listing of {self._walk.first.request.path}: iterate it with for>"


class AsyncListing(AsyncFrames[T]):
    """All items that a server lists, fetched page by page while iterated; each iteration starts from the beginning."""

    def __init__(self, driver: AsyncDriver, walk: PageSource[T], model: Callable[[], type[Any]]) -> None:
        self._driver = driver
        self._walk = walk
        self._model = model

    def pages(self) -> AsyncIterator[Page[T]]:
        """Yield the same items, page by page."""
        return _AsyncPages(self._driver, self._walk)

    def __aiter__(self) -> AsyncIterator[T]:
        return _AsyncItems(self.pages())

    def __repr__(self) -> str:
        return f"<AsyncListing of {self._walk.first.request.path}: iterate it with async for>"


class _AsyncPages(AsyncIterator[Page[T]]):
    def __init__(self, driver: AsyncDriver, walk: PageSource[T]) -> None:
        self._driver = driver
        self._walk = walk
        self._cursor = walk.start()

    async def __anext__(self) -> Page[T]:
        if self._cursor is None:
            raise StopAsyncIteration
        page, self._cursor = await self._driver.run(self._walk.step(self._cursor))
        return page


class _AsyncItems(AsyncIterator[T]):
    def __init__(self, pages: AsyncIterator[Page[T]]) -> None:
        self._pages = pages
        self._items: Iterator[T] = iter(())

    async def __anext__(self) -> T:
        while True:
            for item in self._items:
                return item
            self._items = iter(await anext(self._pages))
