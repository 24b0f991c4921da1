"""Listings: lazy, whole, and proof against a server that repeats itself for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

from attrs import define, evolve, field, frozen

from training_sdk._core import send_policy, urls
from training_sdk._core.exchange import READ_ONLY
from training_sdk._core.flow import Flow, Request, Response
from training_sdk._core.pacing import UNPACED, Pace
from training_sdk._core.send_policy import Attempt
from training_sdk._core.text import sentence
from training_sdk.errors import APIConnectionError, DecodingError, ReadOnlyError, TrainingError

T = TypeVar("T")

log = logging.getLogger("training_sdk")


@frozen
class Filter(Generic[T]):
    """One parameter that names courses or users, and of which one an item is."""

    parameter: str
    wanted: Sequence[Collection[str]]
    """By query, or the same for all."""
    of: Callable[[T], str]

    def fits(self, item: T, query: int) -> bool:
        """Return whether an item is what this query asked for."""
        return self.of(item) in self.wanted[query if len(self.wanted) > 1 else 0]


def only(parameter: str, value: str | None, of: Callable[[T], str]) -> tuple[Filter[T], ...]:
    """Return the filter for one course or user; none if all are wanted."""
    return () if value is None else (Filter(parameter, ((value,),), of),)


@define
class FilterCheck:
    """Rows that one reading of a listing kept, and dropped because they are of another course or user."""

    is_second: bool = False
    fitting: int = 0
    """How many items are of the courses and users that were asked for."""
    strange: dict[str, set[str]] = field(factory=dict)
    """Of which other courses or users the dropped ones are, by parameter."""

    def sort(self, items: Iterable[T], filters: Iterable[Filter[T]], query: int) -> tuple[T, ...]:
        """Return the items that fit; note the others."""
        fitting = []
        for item in items:
            failed = [each for each in filters if not each.fits(item, query)]
            for each in failed:
                self.strange.setdefault(each.parameter, set()).add(each.of(item))
            if not failed:
                fitting.append(item)
        self.fitting += len(fitting)
        return tuple(fitting)

    @property
    def all_strange(self) -> bool:
        """True if there were items, and every one is of another course or user."""
        return bool(self.strange) and not self.fitting

    def judge(self, path: str) -> None:
        """After a second reading: raise DecodingError unless the service plainly ignores a filter."""
        named = " and ".join(self.strange)
        if any(len(found) > 1 for found in self.strange.values()):
            log.warning(
                "%s lists other courses or users only: the service ignores %s, and nothing fits it",
                path,
                named,
            )
            return
        found = ", ".join(repr(each) for ids in self.strange.values() for each in ids)
        raise DecodingError(
            f"{path} was asked with {named}, and everything it listed is of another one ({found}), also when it was "
            "read once more on a new connection. This is not the answer to this request, so it was not used. Does "
            "something on the way mix up answers, or does a process that was forked share connections?"
        )


CACHED = (
    "{what} was answered from a cache, which got this {age} s ago (Age: {age}), so it may be out of date. Let the "
    "proxy between this machine and the service pass on requests to the API without caching them"
)


MOST_PAGES = 100_000
LISTING_INCOMPLETE = "LISTING_INCOMPLETE"
"""The reason of a DecodingError for a listing that ends before everything that the service counts was listed."""
MOST_EMPTY_PAGES = 1000
"""A service that divides into pages before it filters has empty ones before, between and after the rows."""


@frozen
class Calls:
    """The facts about a client that every operation needs: its server, the time for retries, the pace."""

    base_url: urls.BaseUrl
    max_retry_seconds: float
    read_only: bool = False
    """Refuse what changes something; the drivers of such a client refuse it too, whoever asks."""
    pace: Pace = field(default=UNPACED, repr=False, eq=False)
    token: Any = field(default=None, repr=False, eq=False)
    """Drawn for all of these calls; without one the driver draws a token for every attempt."""
    is_fresh: bool = False
    """Refuse what a cache answers; otherwise it is logged once."""
    logged: set[str] = field(factory=set, repr=False, eq=False)

    def call(
        self, request: Request, decode: Callable[[Response], T], *, once: Attempt | None = None
    ) -> Flow[T]:
        """Send by the send rules and decode; with ``once`` without waiting for anything."""
        if not request.reads:
            self.refuse_to_write(f"{request.method} {request.path}")
        if self.token is not None:
            request = evolve(request, token=self.token)
        doubt = partial(self._doubt, request)

        def read(response: Response) -> T:
            problem = doubt(response)
            if problem is not None:
                raise problem
            return decode(response)

        return send_policy.call(
            request,
            read,
            max_retry_seconds=self.max_retry_seconds,
            pace=self.pace,
            once=once,
            doubt=doubt,
        )

    def _doubt(self, request: Request, response: Response) -> TrainingError | None:
        if response.age:
            message = CACHED.format(what=f"{request.method} {request.path}", age=response.age)
            if self.is_fresh:
                return APIConnectionError(
                    message, reason="CACHED_ANSWER", request_id=response.request_id, method=request.method,
                    path=request.path,
                )  # fmt: skip
            if not self.logged:
                self.logged.add("CACHED_ANSWER")
                log.warning("%s", message)
        return self.doubt(request, response)

    def doubt(self, request: Request, response: Response) -> TrainingError | None:
        """Return the error for an answer of doubtful origin; None if it can be trusted."""
        return None

    def forget(self, answers: int | None = None) -> None:
        """Drop the last ``answers``, or all of them: they are read again. Nothing to drop where none are stored."""

    def refuse_to_write(self, what: str) -> None:
        """Raise ReadOnlyError on a client that cannot write; for what reads something before it writes."""
        if self.read_only:
            raise ReadOnlyError(READ_ONLY.format(what=what))


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


@frozen
class PageResult(Generic[T]):
    """The items of one page, and the request for the next."""

    items: tuple[T, ...]
    following: PageRequest | None
    total: int | None = None
    most: int | None = None
    """How many items were asked for at most."""
    remaining: int | None = None
    """How many items the service says come after this page."""
    again: PageRequest | None = None
    """The beginning of the query in pages of the size that this one has, where the service caps its pages."""
    has_all: bool = False
    """Everything that the query asked for by its id has been listed, whatever the service counts."""

    def is_short(self, before: int | None) -> bool:
        """Return whether this page has fewer items than asked for, or than the page ``before``, so it may be the last.

        Two pages of the same length may both be full, on a service that gives fewer than it is asked for.
        """
        count = len(self.items)
        asked = self.most is not None and count < self.most and (count != before or not count)
        return asked or (before is not None and count < before)


@frozen
class Count:
    """The numbers of items that were listed and that the service counts. The last page decides."""

    items: int = 0
    repeated: int = 0
    """How many of them an earlier page has listed already."""
    ids: set[object] = field(factory=set)
    total: int = 0
    remaining: int = 0
    announced: int = 0
    """How many items a feed announced with its first page."""

    def with_page(self, batch: PageResult[T], identify: Callable[[T], object]) -> Count:
        """Return the count after one more page."""
        found = [one for one in map(identify, batch.items) if one is not None]
        again = sum(one in self.ids for one in found)
        self.ids.update(found)
        items, left = self.items + len(batch.items), batch.remaining
        announced = self.announced if self.items or left is None else items + left
        # An empty page may leave the count out.
        return Count(items, self.repeated + again, self.ids, batch.total or self.total, left or 0, announced)

    @property
    def problem(self) -> str | None:
        """What is missing at the end of the query; None if nothing is missing."""
        if self.items < self.total:
            return f"it lists {self.items} items and counts {self.total}"
        different, expected = self.items - self.repeated, self.total or self.announced
        if different < min(expected, self.items):
            return (
                f"it lists {different} of {expected} items, and some of them twice: the order of its pages changes "
                "while they are read"
            )
        if self.remaining:
            return f"after its last page it says that {self.remaining} records remain"
        return None


@frozen
class Cursor:
    """The position in a listing, and the pages read so far, so that a listing without end is noticed."""

    place: PageRequest
    requests: set[Request]
    """Every request made or about to be made."""
    pages: set[tuple[Any, ...]]
    """How every page of the present query begins and ends: two that agree in it are the same page again."""
    number: int = 1
    empty: int = 0
    tally: FilterCheck = field(factory=FilterCheck)
    before: int | None = None
    """How many items the page before held, where there is one of the same query."""
    count: Count = field(factory=Count)

    def after(self, batch: PageResult[Any], total: Count) -> Cursor | None:
        """Return the next cursor; None at the end. Raises DecodingError if the listing would not end."""
        ends = (len(batch.items), *batch.items[:1], *batch.items[-1:])
        if batch.items and ends in self.pages:
            raise self._endless("repeats an earlier page")
        following = batch.following
        if following is None or (_is_same(following, self.place) and batch.is_short(self.before)):
            return None
        if following.request in self.requests:
            raise self._endless("points back to an earlier page")
        self.requests.add(following.request)
        if following.query != self.place.query:
            return Cursor(following, self.requests, set(), self.number + 1, tally=self.tally)
        empty = 0 if batch.items else self.empty + 1
        if empty > MOST_EMPTY_PAGES or self.number >= MOST_PAGES:
            raise self._endless("is followed by ever more pages")
        self.pages.add(ends)
        count = len(batch.items)
        return Cursor(following, self.requests, self.pages, self.number + 1, empty, self.tally, count, total)

    def begin_again(self, place: PageRequest) -> Cursor:
        """Return the same query from its beginning, in pages of another size."""
        self.requests.add(place.request)
        return evolve(self, place=place)

    def check_whole(self, count: Count) -> None:
        """Raise DecodingError at the end of a query unless everything that the service counts was listed."""
        if (problem := count.problem) is not None:
            raise DecodingError(
                f"{self.place.request.path} ends early: {sentence(problem)} Nothing of it can be relied on. "
                "Read it again",
                reason=LISTING_INCOMPLETE,
            )

    def _endless(self, what: str) -> DecodingError:
        path = self.place.request.path
        return DecodingError(
            f"{path} cannot be read to its end: page {self.number} {what}. Nothing of it can be relied on"
        )


def _is_same(one: PageRequest, other: PageRequest) -> bool:
    """Return whether two requests ask for the same page; the order of parameters and an offset of 0 do not matter."""

    def key(place: PageRequest) -> tuple[object, ...]:
        request = place.request
        path, _, query = request.target.partition("?")
        pairs = sorted(pair for pair in parse_qsl(query, keep_blank_values=True) if pair != ("offset", "0"))
        return request.method, path, pairs, request.body, place.query

    return key(one) == key(other)


@frozen
class Paginator(Generic[T]):
    """A listing that has not started: its first request, how to read an answer, and which items to keep."""

    calls: Calls
    first: PageRequest
    read: Callable[[PageRequest, Response], PageResult[T]]
    keep: Callable[[T, int], bool] = lambda item, query: True
    """Whether an item is what was asked for, by the query that was to find it."""
    filters: tuple[Filter[T], ...] = ()
    """What the server was asked to filter by, and what is filtered by again."""
    identify: Callable[[T], object] = lambda item: None
    """The id of an item, by which one that is listed twice is counted once; None where it has none."""

    def start(self) -> Cursor:
        """Return a fresh cursor before the first page."""
        return Cursor(self.first, {self.first.request}, set())

    def step(self, cursor: Cursor) -> Flow[tuple[Page[T], Cursor | None]]:
        """Fetch one page; what the server was asked to filter is filtered again here."""
        place, tally = cursor.place, cursor.tally
        request = evolve(place.request, on_new_connection=tally.is_second)
        batch: PageResult[T] = yield from self.calls.call(
            request, lambda response: self.read(place, response)
        )
        if batch.again is not None:
            self.calls.forget(1)
            return (yield from self.step(cursor.begin_again(batch.again)))
        fitting = tally.sort(batch.items, self.filters, place.query)
        kept = tuple(item for item in fitting if self.keep(item, place.query))
        count = cursor.count.with_page(batch, self.identify)
        following = cursor.after(batch, count)
        if following is None and tally.all_strange and (again := self._once_more(cursor)) is not None:
            following = again
        elif not batch.has_all and (following is None or following.place.query != place.query):
            cursor.check_whole(count)
        return Page(kept, cursor.number, batch.total), following

    def _once_more(self, cursor: Cursor) -> Cursor | None:
        """Return the start of a second reading on new connections, if only other courses or users were listed."""
        if cursor.tally.is_second:
            cursor.tally.judge(cursor.place.request.path)
            return None
        self.calls.forget()
        again = FilterCheck(is_second=True)
        return Cursor(self.first, {self.first.request}, set(), cursor.number + 1, tally=again)

    def gather(self) -> Flow[tuple[T, ...]]:
        """Everything, for flows that need it whole."""
        items: list[T] = []
        yield from self.read_whole(items.extend, items.clear)
        return tuple(items)

    def read_whole(self, take: Callable[[tuple[T, ...]], None], forget: Callable[[], None]) -> Flow[None]:
        """Hand every page to ``take``; after one that ends early ``forget`` them, and read once more.

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


# Classes, not async generators: one that is left early needs closing on its event loop, and trio warns if it is not.
