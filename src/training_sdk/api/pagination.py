"""The vendor's styles of paging: page numbers, ``next_page`` of the feeds, page tokens, offsets, or none at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Generic, TypeVar

from attrs import field, frozen

from training_sdk._core import codec, urls
from training_sdk._core.flow import Family, Request, Response
from training_sdk._core.listing import Calls, Filter, PageRequest, PageResult, Paginator
from training_sdk._core.model import Fields, has_other_fields, may_omit

T = TypeVar("T")
Query = Sequence[tuple[str, object | None]]

LARGEST_PAGE = 1000
IDS_PER_REQUEST = 100
"""Ids in one query: keeps an address well below the 8 kB that servers commonly accept."""


def chunked(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Return the items in order, in pieces of at most ``size``."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def only(parameter: str, value: str | None, of: Callable[[T], str]) -> tuple[Filter[T], ...]:
    """Return the filter for one course or user; none if all are wanted."""
    return () if value is None else (Filter(parameter, ((value,),), of),)


@frozen
class _Numbered(Generic[T]):
    items: tuple[T, ...] = field(metadata=may_omit([], unless=has_other_fields))
    total_count: int | None = None


@frozen
class _Metadata:
    next_page: str | None = None
    remaining_records: int | None = None


def _may_go_on(known: Fields, unknown: Fields) -> bool:
    """Return whether there may be a next page although the answer does not say so."""
    data = known.get("data")
    return bool(unknown) or (isinstance(data, list) and len(data) >= LARGEST_PAGE)


@frozen
class _Fed(Generic[T]):
    data: tuple[T, ...] = field(metadata=may_omit([], unless=has_other_fields))
    metadata: _Metadata = field(metadata=may_omit({}, unless=_may_go_on))


@frozen
class _Mark:
    """The position of a numbered page: its number and size, and how many items came before it."""

    page: int = 1
    size: int = LARGEST_PAGE
    passed: int = 0
    seen: frozenset[object] = frozenset()
    """The ids that came before it, where the query names ids."""


def numbered_pages(
    calls: Calls,
    path: str,
    item: type[T],
    *,
    queries: Sequence[Query] = ((),),
    filters: tuple[Filter[T], ...] = (),
    keep: Callable[[T, int], bool] | None = None,
    identify: Callable[[T], object] | None = None,
    named: Sequence[Collection[object]] = (),
    limit: Family = "general",
) -> Paginator[T]:
    """Return a listing by ``page`` from 1 and ``pageSize``; several queries are read one after the other.

    ``named`` has the ids that each query asks for: once all are listed, a ``totalCount`` of more does not matter.

    Where a service caps the size of its pages but not the offset, items would be passed over: so the first page says
    how large pages are, and the query restarts in pages of that size, or continues in them if there is no count.
    """
    decode = codec.decoder(_Numbered, item, shares=True)

    def place(which: int, mark: _Mark) -> PageRequest:
        query = (*queries[which], ("page", mark.page), ("pageSize", mark.size))
        return PageRequest(Request("GET", urls.target(path, query), limit=limit), mark, which)

    def read(at: PageRequest, response: Response) -> PageResult[T]:
        answer = decode(response)
        mark, found, total = at.mark, len(answer.items), answer.total_count
        passed, size = mark.passed + found, mark.size
        if mark.page == 1 and 0 < found < size == LARGEST_PAGE:
            size = found if total is None or total > found else size
        seen = mark.seen.union(map(identify, answer.items)) if named and identify else mark.seen
        has_all = bool(named) and seen.issuperset(named[at.query])
        begins_again = total is not None and size < mark.size and not has_all
        again = place(at.query, _Mark(size=size)) if begins_again else None
        # A full page may have a successor despite the count; a short one has none once the count is reached.
        counted = has_all or (total is not None and passed >= total and found < mark.size)
        # A service that divides into pages before it filters has empty ones before the rows.
        counts_more = not found and (total or 0) > max(passed, (mark.page - 1) * mark.size)
        following = None
        if (found and not counted) or counts_more:
            following = place(at.query, _Mark(mark.page + 1, size, passed, seen))
        elif at.query + 1 < len(queries):
            following = place(at.query + 1, _Mark())
        return PageResult(answer.items, following, total, again=again, has_all=has_all)

    return Paginator(calls, place(0, _Mark()), read, keep, filters, identify)


def pages_by_ids(
    calls: Calls,
    path: str,
    item: type[T],
    ids: Sequence[str] | None,
    *,
    identify: Callable[[T], str],
    query: Query = (),
    limit: Family = "general",
) -> Paginator[T]:
    """Return a numbered listing of everything, or of the things with these ids, asked for some at a time."""
    if ids is None:
        return numbered_pages(calls, path, item, queries=[query], identify=identify, limit=limit)
    batches = chunked(ids, IDS_PER_REQUEST)
    return numbered_pages(
        calls,
        path,
        item,
        queries=[(*query, *(("courseIds", one) for one in batch)) for batch in batches],
        filters=(Filter("courseIds", batches, identify),) if batches else (),
        identify=identify,
        named=batches,
        limit=limit,
    )


def single_page(
    calls: Calls, path: str, shape: type[Any], *, items: Callable[[Any], tuple[T, ...]]
) -> Paginator[T]:
    """Return a listing that comes whole, in a single answer."""
    decode = codec.decoder(shape)
    return Paginator(
        calls,
        PageRequest(Request("GET", path)),
        lambda _, response: PageResult(items(decode(response)), None),
    )


def feed(
    calls: Calls,
    path: str,
    item: type[T],
    *,
    query: Query,
    keep: Callable[[T], bool] | None = None,
    filters: tuple[Filter[T], ...] = (),
    identify: Callable[[T], object] | None = None,
) -> Paginator[T]:
    """Return a feed: ``metadata.next_page`` is followed as given, on the configured host only."""
    decode = codec.decoder(_Fed, item, shares=True)

    def read(at: PageRequest, response: Response) -> PageResult[T]:
        answer = decode(response)
        after = answer.metadata.next_page
        following = PageRequest(Request("GET", calls.base_url.next_target(after, path))) if after else None
        return PageResult(
            answer.data, following, most=LARGEST_PAGE, remaining=answer.metadata.remaining_records
        )

    first = Request("GET", urls.target(path, (*query, ("limit", LARGEST_PAGE))))
    return Paginator(calls, PageRequest(first), read, _of_item(keep), filters, identify)


def _of_item(keep: Callable[[T], bool] | None) -> Callable[[T, int], bool] | None:
    """Return the same condition for a listing of several queries."""
    return None if keep is None else lambda one, _: keep(one)


def token_pages(
    calls: Calls,
    path: str,
    shape: type[Any],
    body: Mapping[str, Any],
    *,
    items: Callable[[Any], tuple[T, ...]],
    keep: Callable[[T], bool] | None = None,
    filters: tuple[Filter[T], ...] = (),
) -> Paginator[T]:
    """Return a listing by a POST that reads; ``next_page_token`` of an answer is sent back as ``page_token``."""
    decode = codec.decoder(shape)

    def place(token: str | None) -> PageRequest:
        sent = {**body, "page_token": token} if token else dict(body)
        return PageRequest(Request("POST", path, body=codec.dumps(sent), reads=True))

    def read(at: PageRequest, response: Response) -> PageResult[T]:
        answer = decode(response)
        following = place(answer.next_page_token) if answer.next_page_token else None
        return PageResult(items(answer), following, most=body.get("page_size"))

    return Paginator(calls, place(None), read, _of_item(keep), filters)


def offset_pages(
    calls: Calls,
    path: str,
    shape: type[Any],
    body: Mapping[str, Any],
    *,
    size: int,
    items: Callable[[Any], tuple[T, ...]],
) -> Paginator[T]:
    """Return a listing by a POST with ``limit`` and ``offset``; an empty page ends it, because there is no count."""
    decode = codec.decoder(shape)

    def place(start: int) -> PageRequest:
        sent = {**body, "limit": size, "offset": start}
        return PageRequest(Request("POST", path, body=codec.dumps(sent), reads=True), start)

    def read(at: PageRequest, response: Response) -> PageResult[T]:
        found = items(decode(response))
        return PageResult(found, place(at.mark + len(found)) if found else None)

    return Paginator(calls, place(0), read)
