"""Listings: lazy and complete, or an error. A listing that is short, repeats itself or never ends raises DecodingError.

Rows of other courses or users are dropped. If there are only such rows, the answer may belong to another request, on
connections that two processes share: the listing is read a second time on a new connection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, Self, TypeVar

from attrs import define, evolve, field, frozen

from training_sdk._core import send_policy, urls
from training_sdk._core.codec import common_fields
from training_sdk._core.exchange import READ_ONLY, WRITABLE
from training_sdk._core.flow import UNPACED, Flow, Pace, Request, Response
from training_sdk._core.send_policy import Attempt
from training_sdk._core.text import number, sentence
from training_sdk.errors import APIConnectionError, DecodingError, ReadOnlyError, TrainingError

T = TypeVar("T")
log = logging.getLogger("training_sdk")

MOST_PAGES = 100_000
MOST_EMPTY_PAGES = 1000
"""A service that divides into pages before it filters has empty ones before, between and after the rows."""
MOST_UNCOUNTED = 10_000
"""Items whose ids are held although no page has a count yet: a later one may have it."""
LISTING_INCOMPLETE = "LISTING_INCOMPLETE"
"""The reason of a DecodingError for a listing that ends before everything that the service counts was listed."""


@frozen
class Calls:
    """The facts about a client that every operation needs: its server, the time for retries, the pace."""

    base_url: urls.BaseUrl
    max_retry_seconds: float
    read_only: bool = False
    """Refuse requests that change something; the drivers of such a client refuse them too."""
    pace: Pace = field(default=UNPACED, repr=False, eq=False)
    token: Any = field(default=None, repr=False, eq=False)
    """Drawn for all of these calls; without one the driver draws a token for every attempt."""
    is_fresh: bool = False
    """Refuse answers from a cache; otherwise they are logged once."""
    logged: set[str] = field(factory=set, repr=False, eq=False)

    @classmethod
    def of(cls, calls: Calls, **more: Any) -> Self:
        """Return these calls as calls of this class."""
        return cls(**common_fields(calls, Calls), **more)

    def call(
        self, request: Request, decode: Callable[[Response], T], *, once: Attempt | None = None
    ) -> Flow[T]:
        """Send by the send policy and decode the answer; with ``once``, send without waiting."""
        if not request.reads:
            self.refuse_to_write(f"{request.method} {request.path}")
        if self.token is not None:
            request = evolve(request, token=self.token)
        doubt = partial(self._doubt, request)

        def read(response: Response) -> T:
            if (problem := doubt(response)) is not None:
                raise problem
            return decode(response)

        seconds, pace = self.max_retry_seconds, self.pace
        return send_policy.call(request, read, max_retry_seconds=seconds, pace=pace, once=once, doubt=doubt)

    def _doubt(self, request: Request, response: Response) -> TrainingError | None:
        if response.age:
            message = (
                f"{request.method} {request.path} was answered from a cache, {response.age} s old, and may be out of "
                "date. Configure the proxy between this machine and the service not to cache requests to the API."
            )
            if self.is_fresh:
                where = {"request_id": response.request_id, "method": request.method, "path": request.path}
                return APIConnectionError(message, reason="CACHED_ANSWER", **where)
            if not self.logged:
                self.logged.add("CACHED_ANSWER")
                log.warning("%s", message)
        return self.doubt(request, response)

    def doubt(self, request: Request, response: Response) -> TrainingError | None:
        """Return the error for an answer of doubtful origin; None if it can be trusted."""
        return None

    def forget(self, answers: int | None = None) -> None:
        """Drop the last ``answers``, or all of them, because they are read again. Here nothing is stored."""

    def refuse_to_write(self, what: str) -> None:
        """Raise ReadOnlyError on a client that cannot write; for operations that read before they write."""
        if self.read_only:
            raise ReadOnlyError(READ_ONLY.format(what=what), remedy=WRITABLE)


# --- pages ---


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
class PageRequest:
    """The request for one page; ``mark`` belongs to the style of paging: a page number, an offset.

    A listing that needs several queries, one after the other, numbers them in ``query``.
    """

    request: Request
    mark: Any = None
    query: int = 0

    def asks_the_same(self, other: PageRequest) -> bool:
        """Return whether both ask for the same page; the order of parameters and an offset of 0 do not matter."""
        own, its = self.request, other.request
        rest = (own.method, own.body, self.query) == (its.method, its.body, other.query)
        return rest and urls.page_asked_for(own.target) == urls.page_asked_for(its.target)


@frozen
class PageResult(Generic[T]):
    """The items of one page, and the request for the next."""

    items: tuple[T, ...]
    following: PageRequest | None
    total: int | None = None
    most: int | None = None
    """The number of items that were asked for at most."""
    remaining: int | None = None
    """The number of items after this page, by the service."""
    again: PageRequest | None = None
    """The start of the query in pages of this size, if the service caps its pages."""
    has_all: bool = False
    """All items that the query named by id have been listed, whatever the service counts."""

    def is_short(self, before: int | None) -> bool:
        """Return whether this page has fewer items than asked for, or than the page ``before``, so it may be the last.

        Two pages of the same length may both be full, on a service that gives fewer than it is asked for.
        """
        count = len(self.items)
        asked = self.most is not None and count < self.most and (count != before or not count)
        return asked or (before is not None and count < before)


# --- checks ---


@frozen
class Filter(Generic[T]):
    """A parameter that names courses or users, with a function that returns the one of an item."""

    parameter: str
    wanted: Sequence[Collection[str]]
    """The wanted ones by query, or the same for all."""
    of: Callable[[T], str]

    def fits(self, items: Iterable[T], query: int) -> bool:
        """Return whether all items are of the courses or users that this query asked for."""
        return set(map(self.of, items)).issubset(self.wanted[query if len(self.wanted) > 1 else 0])


@define
class FilterCheck:
    """Rows that one reading of a listing kept, and dropped because they are of another course or user."""

    is_second: bool = False
    fitting: int = 0
    """The number of items of the wanted courses and users."""
    strange: dict[str, set[str]] = field(factory=dict)
    """The other courses or users of the dropped items, by parameter."""

    def sort(self, items: tuple[T, ...], filters: Iterable[Filter[T]], query: int) -> tuple[T, ...]:
        """Return the items that fit; note the others."""
        if all(each.fits(items, query) for each in filters):
            self.fitting += len(items)
            return items
        fitting = []
        for item in items:
            if failed := [each for each in filters if not each.fits((item,), query)]:
                for each in failed:
                    self.strange.setdefault(each.parameter, set()).add(each.of(item))
            else:
                fitting.append(item)
        self.fitting += len(fitting)
        return tuple(fitting)

    @property
    def all_strange(self) -> bool:
        """True if there were items, and every one is of another course or user."""
        return bool(self.strange) and not self.fitting

    def judge(self, path: str) -> None:
        """Raise DecodingError after a second reading, unless the service clearly ignores a filter."""
        named = " and ".join(self.strange)
        if any(len(found) > 1 for found in self.strange.values()):
            log.warning(
                "%s lists only other courses or users, because the service ignores %s. The rows are filtered here.",
                path,
                named,
            )
            return
        found = ", ".join(repr(each) for ids in self.strange.values() for each in ids)
        raise DecodingError(
            f"{path} was requested with {named}, but all rows belong to a different course or user ({found}), also in "
            "a second reading on a new connection. The answer belongs to another request, so it was not used. Check "
            "whether a proxy mixes up answers, or a forked process shares connections."
        )


@frozen
class Count:
    """The numbers of items that were listed and that the service counts. The last page decides."""

    items: int = 0
    repeated: int = 0
    """The number of items that an earlier page has listed already."""
    ids: set[object] = field(factory=set)
    total: int = 0
    remaining: int = 0
    announced: int = 0
    """The number of items that a feed announced with its first page."""

    def with_page(self, result: PageResult[T], identify: Callable[[T], object] | None) -> Count:
        """Return the count after one more page."""
        items, left = self.items + len(result.items), result.remaining
        announced = self.announced if self.items or left is None else items + left
        total = result.total or self.total  # an empty page may leave the count out
        again = 0
        if identify is not None and (total or announced or items <= MOST_UNCOUNTED):
            found = [one for one in map(identify, result.items) if one is not None]
            again = 0 if self.ids.isdisjoint(found) else sum(one in self.ids for one in found)
            self.ids.update(found)
        return Count(items, self.repeated + again, self.ids, total, left or 0, announced)

    @property
    def problem(self) -> str | None:
        """The items that are missing at the end of the query, as text; None if nothing is missing."""
        if self.items < self.total:
            return f"it lists {number(self.items, 'item')}, but counts {self.total}"
        different, expected = self.items - self.repeated, self.total or self.announced
        if different < min(expected, self.items):
            return (
                f"it lists {different} of {expected} items, and some items twice, because the order of its pages "
                "changes while it is read"
            )
        if self.remaining:
            return f"after its last page it counts {number(self.remaining, 'remaining record')}"
        return None


@frozen
class Cursor:
    """The position in a listing, and the pages read so far, so that a listing without end is noticed."""

    page: PageRequest
    requests: set[Request]
    """All requests made, and the next."""
    pages: set[tuple[Any, ...]]
    """Length, first and last item of every page of this query: two equal ones are a repeated page."""
    number: int = 1
    empty: int = 0
    filter_check: FilterCheck = field(factory=FilterCheck)
    before: int | None = None
    """The number of items of the page before, if it is of the same query."""
    count: Count = field(factory=Count)

    def after(self, result: PageResult[Any], total: Count) -> Cursor | None:
        """Return the next cursor; None at the end. Raises DecodingError if the listing would not end."""
        ends = (len(result.items), *result.items[:1], *result.items[-1:])
        if result.items and ends in self.pages:
            raise self._endless("repeats an earlier page")
        following = result.following
        if following is None or (following.asks_the_same(self.page) and result.is_short(self.before)):
            return None
        if following.request in self.requests:
            raise self._endless("points back to an earlier page")
        self.requests.add(following.request)
        if following.query != self.page.query:
            return Cursor(following, self.requests, set(), self.number + 1, filter_check=self.filter_check)
        empty = 0 if result.items else self.empty + 1
        if empty > MOST_EMPTY_PAGES or self.number >= MOST_PAGES:
            raise self._endless("is followed by ever more pages")
        self.pages.add(ends)
        count = len(result.items)
        return Cursor(
            following, self.requests, self.pages, self.number + 1, empty, self.filter_check, count, total
        )

    def begin_again(self, place: PageRequest) -> Cursor:
        """Return the same query from its beginning, in pages of another size."""
        self.requests.add(place.request)
        return evolve(self, page=place)

    def check_whole(self, count: Count) -> None:
        """Raise DecodingError at the end of a query unless everything that the service counts was listed."""
        if (problem := count.problem) is not None:
            raise DecodingError(
                f"{self.page.request.path} ends early: {sentence(problem)} The list is not complete. Read it again.",
                reason=LISTING_INCOMPLETE,
            )

    def _endless(self, what: str) -> DecodingError:
        return DecodingError(
            f"{self.page.request.path} cannot be read to its end: page {self.number} {what}. The list is not complete."
        )


# --- reading ---


@frozen
class Paginator(Generic[T]):
    """A listing that has not started: its first request, how to read an answer, and which items to keep."""

    calls: Calls
    first: PageRequest
    read: Callable[[PageRequest, Response], PageResult[T]]
    keep: Callable[[T, int], bool] | None = None
    """Return whether an item is wanted, by the query that found it; None if all are."""
    filters: tuple[Filter[T], ...] = ()
    """The filters that the server was asked to apply; they are applied again."""
    identify: Callable[[T], object] | None = None
    """Return the id of an item, so that one listed twice is counted once; None if it has none."""

    def start(self) -> Cursor:
        """Return a fresh cursor before the first page."""
        return Cursor(self.first, {self.first.request}, set())

    def step(self, cursor: Cursor) -> Flow[tuple[Page[T], Cursor | None]]:
        """Fetch one page, and apply again the filters that the server was asked to apply."""
        place, filter_check = cursor.page, cursor.filter_check
        request = evolve(place.request, on_new_connection=filter_check.is_second)
        result: PageResult[T] = yield from self.calls.call(
            request, lambda response: self.read(place, response)
        )
        if result.again is not None:
            self.calls.forget(1)
            return (yield from self.step(cursor.begin_again(result.again)))
        fitting = filter_check.sort(result.items, self.filters, place.query)
        keep = self.keep
        kept = fitting if keep is None else tuple(item for item in fitting if keep(item, place.query))
        count = cursor.count.with_page(result, self.identify)
        following = cursor.after(result, count)
        if following is None and filter_check.all_strange and (again := self._once_more(cursor)) is not None:
            following = again
        elif not result.has_all and (following is None or following.page.query != place.query):
            cursor.check_whole(count)
        return Page(kept, cursor.number, result.total), following

    def _once_more(self, cursor: Cursor) -> Cursor | None:
        """Return the start of a second reading on new connections, if only other courses or users were listed."""
        if cursor.filter_check.is_second:
            cursor.filter_check.judge(cursor.page.request.path)
            return None
        self.calls.forget()
        return evolve(self.start(), number=cursor.number + 1, filter_check=FilterCheck(is_second=True))

    def gather(self) -> Flow[tuple[T, ...]]:
        """Return all items, for flows that need the whole listing."""
        items: list[T] = []
        yield from self.read_whole(items.extend, items.clear)
        return tuple(items)

    def read_whole(self, take: Callable[[tuple[T, ...]], None], forget: Callable[[], None]) -> Flow[None]:
        """Pass every page to ``take``; after a reading that ends early call ``forget``, and read again.

        Raises DecodingError (``LISTING_INCOMPLETE``) if the second reading ends early too.
        """
        try:
            yield from self._read_to_end(take)
        except DecodingError as error:
            if error.reason != LISTING_INCOMPLETE:
                raise
            self.calls.forget()
            forget()
            yield from self._read_to_end(take)

    def _read_to_end(self, take: Callable[[tuple[T, ...]], None]) -> Flow[None]:
        cursor: Cursor | None = self.start()
        while cursor is not None:
            page, cursor = yield from self.step(cursor)
            take(page.items)
