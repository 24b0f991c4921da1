"""Listings: lazy, whole, and proof against a server that repeats itself for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, TypeVar

from attrs import frozen

from training_sdk import _send, _urls
from training_sdk._drivers import AsyncDriver, SyncDriver
from training_sdk._flow import Flow, Request, Response
from training_sdk.errors import DecodingError

T = TypeVar("T")

MOST_PAGES = 100_000
MOST_EMPTY_PAGES = 10


@frozen
class Calls:
    """What every operation needs to know of its client: where pages may lead and how long to try."""

    base_url: _urls.BaseUrl
    max_retry_seconds: float

    def call(self, request: Request, decode: Callable[[Response], T]) -> Flow[T]:
        """Send by the send rules and decode."""
        return _send.call(request, decode, max_retry_seconds=self.max_retry_seconds)


@frozen
class Page(Generic[T]):
    """One page of a listing. ``total`` is the server's own count of everything, where it gives one."""

    items: tuple[T, ...]
    number: int
    total: int | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@frozen
class Place:
    """Where in a listing a request fetches; ``mark`` is the style's own: a page number, an offset, a token."""

    request: Request
    mark: Any = None


@frozen
class Batch(Generic[T]):
    """What one answer holds, and the place that follows it."""

    items: tuple[T, ...]
    following: Place | None
    total: int | None = None


@frozen
class Cursor:
    """How far a walk is, and what it remembers, so that it notices when it goes in circles."""

    place: Place
    seen: set[Request]
    number: int = 1
    empty: int = 0
    last: tuple[Any, ...] = ()

    def after(self, batch: Batch[Any]) -> Cursor | None:
        """The way on, or None at the end. Raises DecodingError if the walk would not end."""
        if batch.items and batch.items == self.last:
            raise self._endless("repeats the page before it")
        if batch.following is None:
            return None
        empty = 0 if batch.items else self.empty + 1
        if batch.following.request in self.seen:
            raise self._endless("points back to an earlier page")
        if empty > MOST_EMPTY_PAGES or self.number >= MOST_PAGES:
            raise self._endless("is followed by ever more pages")
        self.seen.add(batch.following.request)
        return Cursor(batch.following, self.seen, self.number + 1, empty, batch.items)

    def _endless(self, what: str) -> DecodingError:
        path = self.place.request.path
        return DecodingError(
            f"{path} cannot be read to its end: page {self.number} {what}. Nothing of it can be relied on"
        )


@frozen
class Walk(Generic[T]):
    """A listing that has not begun: its first place, how to read an answer, and which items to keep."""

    calls: Calls
    first: Place
    read: Callable[[Place, Response], Batch[T]]
    keep: Callable[[T], bool] = lambda item: True

    def start(self) -> Cursor:
        """A fresh cursor before the first page."""
        return Cursor(self.first, {self.first.request})

    def step(self, cursor: Cursor) -> Flow[tuple[Page[T], Cursor | None]]:
        """Fetch one page; what the server was asked to filter is filtered again here."""
        place = cursor.place
        batch: Batch[T] = yield from self.calls.call(
            place.request, lambda response: self.read(place, response)
        )
        kept = tuple(item for item in batch.items if self.keep(item))
        return Page(kept, cursor.number, batch.total), cursor.after(batch)

    def gather(self) -> Flow[tuple[T, ...]]:
        """Everything, for flows that need it whole."""
        items: list[T] = []
        cursor: Cursor | None = self.start()
        while cursor is not None:
            page, cursor = yield from self.step(cursor)
            items += page.items
        return tuple(items)


class Listing(Generic[T]):
    """Everything a server lists, fetched page by page while it is iterated; each iteration starts anew."""

    def __init__(self, driver: SyncDriver, walk: Walk[T]) -> None:
        self._driver = driver
        self._walk = walk

    def pages(self) -> Iterator[Page[T]]:
        """The same, page by page."""
        cursor: Cursor | None = self._walk.start()
        while cursor is not None:
            page, cursor = self._driver.run(self._walk.step(cursor))
            yield page

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.items

    def __repr__(self) -> str:
        return f"<Listing of {self._walk.first.request.path}: iterate it with for>"


class AsyncListing(Generic[T]):
    """Everything a server lists, fetched page by page while it is iterated; each iteration starts anew."""

    def __init__(self, driver: AsyncDriver, walk: Walk[T]) -> None:
        self._driver = driver
        self._walk = walk

    async def pages(self) -> AsyncIterator[Page[T]]:
        """The same, page by page."""
        cursor: Cursor | None = self._walk.start()
        while cursor is not None:
            page, cursor = await self._driver.run(self._walk.step(cursor))
            yield page

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item

    def __repr__(self) -> str:
        return f"<AsyncListing of {self._walk.first.request.path}: iterate it with async for>"
