"""The two ways in which the vendor's lists come in pages."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TypeVar
from urllib.parse import urlencode

from mock_server.api.call import Call
from mock_server.behaviours import Behaviour
from mock_server.wire import answers
from mock_server.wire.message import Response
from mock_server.wire.shapes import Json

PAGE = ("page", "pageSize")
FEED = ("limit", "offset")
_LARGEST = 1000
_DEFAULT_SIZE = 25
_CAP = 25
_LAST = 10**9

_END: Json = {"next_page": None, "next_page_token": None}

_T = TypeVar("_T")


def numbered(call: Call, items: Sequence[_T], shape: Callable[[_T], Json]) -> Response:
    """A numbered page, counted from 1; one past the end is empty."""
    return numbered_part(call, len(items), lambda start: (shape(each) for each in items[start:]))


def numbered_part(call: Call, total: int, items_after: Callable[[int], Iterable[Json]]) -> Response:
    """A numbered page of so many items, of which those are asked for that come after as many as it leaves out."""
    page = call.query.number("page", 1, 1, _LAST)
    size = call.query.number("pageSize", default_size(call, _DEFAULT_SIZE), 1, _LARGEST)
    start = (page - 1) * size
    if Behaviour.CAPS_PAGE_SIZE in call.world.policy.emulates:
        size = min(size, _CAP)
    part = islice(items_after(start), size) if start < total else ()
    return answers.ok({"totalCount": total, "items": list(part)})


def default_size(call: Call, most: int) -> int:
    """How many rows a page has if the request does not say."""
    return min(most, call.world.policy.default_page_size)


def window(call: Call) -> tuple[int, int]:
    """Offset and limit of a feed's page."""
    limit = call.query.number("limit", default_size(call, _LARGEST), 1, _LARGEST)
    return call.query.number("offset", 0, 0, _LAST), limit


def empty_feed() -> Response:
    """A feed without rows."""
    return answers.ok({"metadata": {**_END, "remaining_records": 0}, "data": []})


def feed_metadata(call: Call, template: str, next_offset: int | None) -> Json:
    """Where a feed continues; both are null at its end.

    The path is relative and keeps every parameter of this request (P). The token is opaque (A): no parameter takes it.
    """
    if next_offset is None:
        return dict(_END)
    query = [(name, value) for name, (value, *_) in call.query.values.items() if name != "offset"]
    return {
        "next_page": f"{template}?{urlencode([*query, ('offset', str(next_offset))])}",
        "next_page_token": urlsafe_b64encode(f"offset:{next_offset}".encode()).decode().rstrip("="),
    }


def feed(call: Call, template: str, rows: Sequence[_T], shape: Callable[[_T], Json]) -> Response:
    """A page of one of the small feeds, which say how many rows remain."""
    offset, limit = window(call)
    end = offset + limit
    metadata = feed_metadata(call, template, end if end < len(rows) else None)
    metadata["remaining_records"] = max(0, len(rows) - end)
    return answers.ok({"metadata": metadata, "data": [shape(each) for each in rows[offset:end]]})
