"""Listings: lazy, whole, restartable, and proof against servers that repeat themselves for ever."""

from __future__ import annotations

import gc
import itertools
import json
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest
from attrs import define, field

from training_sdk import (
    AsyncTrainingClient,
    CompletionStatus,
    DecodingError,
    InvalidArgumentError,
    PermissionDeniedError,
)
from training_sdk._core.flow import Request, Response
from training_sdk._core.listing import MOST_EMPTY_PAGES
from unit.sdk.fakes import (
    COURSE,
    ORIGIN,
    TOKEN,
    Asker,
    Recorded,
    answer,
    no_waiting,
    over_the_wire,
    refused_wire,
    row,
    sync_client,
)

FEED = "/training/v1/feed/training-course-progress"
Use = Callable[[Any], Any]


def query(request: Request) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.target).query)


def body(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request.body or b"{}")
    return found


def course(number: int) -> dict[str, Any]:
    return {"id": f"c{number}", "title": f"Course {number}"}


@define
class Paged:
    """A server of numbered pages; ``forget`` names what it ignores."""

    courses: list[dict[str, Any]]
    counts: bool = True
    largest: int = 1000
    forget: frozenset[str] = frozenset()
    sent: list[Request] = field(factory=list)

    def __call__(self, request: Request) -> Response:
        self.sent.append(request)
        asked = {name: values for name, values in query(request).items() if name not in self.forget}
        wanted = asked.get("courseIds") or asked.get("courseId")
        found = [
            one for one in self.courses if wanted is None or (one.get("id") or one["courseId"]) in wanted
        ]
        page, size = int(asked.get("page", ["1"])[0]), min(self.largest, int(asked["pageSize"][0]))
        items = found[(page - 1) * size : page * size]
        return answer({"items": items, **({"totalCount": len(found)} if self.counts else {})})


# --- lazy, whole, restartable -----------------------------------------------------------------------------------------


def test_nothing_is_sent_before_iteration(ask: Asker) -> None:
    def only_make_it(client: Any) -> Any:
        made = [client.courses.list(), client.users.list(), client.progress.list(), client.permissions.list()]
        assert all("iterate it with" in repr(one) for one in made)
        return client.users.me()

    me = {"user_id": "u", "organisation_id": "o"}
    wire = Recorded(lambda _: answer(me))
    ask(over_the_wire(wire), only_make_it)
    assert [one.path for one in wire.sent] == ["/accounts/user/v1/user:WhoAmI"]


@pytest.mark.parametrize("total", [0, 1, 999, 1000, 1001, 2000, 2500])
@pytest.mark.parametrize("counts", [True, False])
def test_everything_is_listed_once_and_in_order(total: int, counts: bool) -> None:
    server = Paged([course(n) for n in range(total)], counts=counts)
    assert [one.id for one in sync_client(server).courses.list()] == [f"c{n}" for n in range(total)]


def test_a_listing_stops_fetching_where_the_caller_stops() -> None:
    server = Paged([course(n) for n in range(5000)])
    listing = sync_client(server).courses.list()
    next(iter(listing))
    assert len(server.sent) == 1


def test_each_iteration_starts_anew() -> None:
    server = Paged([course(n) for n in range(30)], largest=10)
    listing = sync_client(server).courses.list()
    half = list(itertools.islice(listing, 15))
    server.courses.append(course(99))
    assert [len(half), len(list(listing)), len(list(listing))] == [15, 31, 31]


def test_pages_are_available_and_numbered() -> None:
    pages = list(sync_client(Paged([course(n) for n in range(25)], largest=10)).courses.list().pages())
    assert [(page.number, len(page), page.total) for page in pages] == [(1, 10, 25), (2, 10, 25), (3, 5, 25)]
    assert [one.id for page in pages for one in page] == [f"c{n}" for n in range(25)]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_listing_is_iterated_without_await_and_may_be_left_early(backend: str) -> None:
    server = Paged([course(n) for n in range(25)], largest=10)

    async def main() -> None:
        transport = httpx.MockTransport(over_the_wire(server))
        async with httpx.AsyncClient(transport=transport) as http:
            client = AsyncTrainingClient(TOKEN, base_url=ORIGIN, http_client=http)
            async for one in client.courses.list():
                assert one.id == "c0"
                break
            gc.collect()
            assert len(server.sent) == 2  # the first says how large pages are
            assert [page.number async for page in client.courses.list().pages()] == [1, 2, 3]
            listing = client.courses.list()
            assert [one.id async for one in listing] == [one.id async for one in listing]

    anyio.run(main, backend=backend)


def test_an_async_listing_goes_on_after_a_failed_page() -> None:
    server = Paged([course(n) for n in range(25)], largest=10)
    failures = [answer({}, 403)]

    def flaky(request: Request) -> Response:
        return failures.pop() if failures and len(server.sent) > 1 else server(request)

    async def main() -> list[str]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(over_the_wire(flaky))) as http:
            items = aiter(AsyncTrainingClient(TOKEN, base_url=ORIGIN, http_client=http).courses.list())
            found = [(await anext(items)).id for _ in range(10)]
            with pytest.raises(PermissionDeniedError):
                await anext(items)
            return found + [one.id async for one in items]

    assert anyio.run(main) == [f"c{n}" for n in range(25)]


# --- ids, filters and what servers make of them -----------------------------------------------------------------------


@pytest.mark.parametrize("forget", [frozenset[str](), frozenset({"courseIds"})])
def test_many_ids_are_asked_for_in_batches_and_found_once_each(forget: frozenset[str]) -> None:
    server = Paged([course(n) for n in range(300)], forget=forget)
    wanted = [f"c{n}" for n in range(0, 300, 2)] + ["unknown"]
    found = [one.id for one in sync_client(server).courses.list(ids=wanted)]
    assert sorted(found) == sorted(set(wanted) - {"unknown"})
    assert max(len(query(request)["courseIds"]) for request in server.sent) <= 100
    assert all(len(request.target) < 8000 for request in server.sent)


STATISTICS = [{"courseId": f"c{n}", "totalUsers": n, "completedCount": 0} for n in range(300)]


@pytest.mark.parametrize("forget", [frozenset[str](), frozenset({"courseId"})])
@pytest.mark.parametrize("ids", [["c7"], ["c9", "c2", "unknown"], [f"c{n}" for n in range(0, 300, 2)]])
def test_statistics_use_the_published_parameters(ask: Asker, ids: list[str], forget: frozenset[str]) -> None:
    server = Paged(STATISTICS, forget=forget)
    found = ask(over_the_wire(server), lambda client: client.analytics.course_statistics(course_ids=ids))
    assert sorted(one.course_id for one in found) == sorted(set(ids) - {"unknown"})
    (asked,) = map(query, server.sent)
    assert asked.pop("courseId", ["c7"]) == ["c7"]
    assert asked == {"page": ["1"], "pageSize": ["1000"]}


def test_a_thousand_and_more_unknown_ids_are_an_empty_list_and_no_alarm() -> None:
    server = Paged([])
    assert list(sync_client(server).courses.list(ids=[f"x{n}" for n in range(1500)])) == []
    assert len(server.sent) == 15


EMPTY: list[Use] = [
    lambda client: client.courses.list(ids=[]),
    lambda client: client.users.list(ids=()),
    lambda client: client.users.list(usernames=[]),
    lambda client: client.users.list(statuses=iter(())),
    lambda client: client.users.list(seat_types=set()),
    lambda client: client.analytics.course_statistics(course_ids=[]),
    lambda client: client.resets.plan("c", users=[]),
]


@pytest.mark.parametrize("use", EMPTY)
def test_R07_an_empty_list_never_means_everyone(ask: Asker, use: Use) -> None:
    with pytest.raises(InvalidArgumentError, match="empty"):
        ask(refused_wire, use)


def test_what_the_server_was_asked_to_filter_is_filtered_again(ask: Asker) -> None:
    rows = [row(1), row(2), row(3, completed_at=""), row(1, course_id="another")]
    everything = over_the_wire(lambda _: answer({"metadata": {}, "data": rows}))

    def names(**filters: Any) -> list[tuple[str, str]]:
        found = ask(everything, lambda client: client.progress.list(**filters))
        return [(one.course_id, one.user_id[-1]) for one in found]

    assert names(course_id=COURSE, user_id=row(1)["user_id"]) == [(COURSE, "1")]
    assert names(status="COMPLETION_STATUS_NON_COMPLETED") == [(COURSE, "3")]
    assert names(status=CompletionStatus.COMPLETED, course_id="another") == [("another", "1")]


def _users(client: Any, **filters: Any) -> Any:
    return client.users.list(**filters)


def test_users_are_filtered_again(ask: Asker) -> None:
    people = [
        {"user_id": "a", "username": "ann", "status": "USER_ACTIVE_STATUS_ACTIVE"},
        {"user_id": "b", "username": "bob", "status": "USER_ACTIVE_STATUS_DEACTIVATED"},
    ]
    everyone = over_the_wire(lambda _: answer({"users": people}))
    filters: list[dict[str, Any]] = [
        {"ids": ["a"]},
        {"usernames": ["ann"]},
        {"statuses": ["USER_ACTIVE_STATUS_ACTIVE"]},
    ]
    for one in filters:
        assert [user.user_id for user in ask(everyone, partial(_users, **one))] == ["a"]


def test_users_are_asked_for_by_body_and_token(ask: Asker) -> None:
    sent: list[dict[str, Any]] = []

    def reply(request: Request) -> Response:
        sent.append(body(request))
        number = int(sent[-1].get("page_token", 0))
        return answer(
            {"users": [{"user_id": f"u{number}"}], "next_page_token": str(number + 1) if number < 2 else ""}
        )

    assert [one.user_id for one in ask(over_the_wire(reply), lambda client: client.users.list())] == [
        "u0",
        "u1",
        "u2",
    ]
    assert sent[0] == {"list_all": True, "page_size": 200}
    assert sent[2] == {"list_all": True, "page_size": 200, "page_token": "2"}


def test_permission_sets_are_asked_for_by_offset(ask: Asker) -> None:
    def reply(request: Request) -> Response:
        start = body(request)["offset"]
        sets = [
            {"permission_set": {"identifier": {"id": f"p{n}", "name": "n"}}}
            for n in range(start, min(start + 40, 100))
        ]
        return answer({"permission_sets": sets})

    found = ask(over_the_wire(reply), lambda client: client.permissions.list())
    assert [one.identifier.id for one in found] == [f"p{n}" for n in range(100)]


# --- next pages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "/gate", "/training"])
@pytest.mark.parametrize("repeats_prefix", [True, False])
def test_next_page_is_followed_under_any_prefix(ask: Asker, prefix: str, repeats_prefix: bool) -> None:
    paths: list[str] = []

    def reply(request: Request) -> Response:
        paths.append(request.path)
        number = int(query(request).get("offset", ["0"])[0])
        link = (prefix if repeats_prefix else "") + f"{FEED}?offset={number + 1}&limit=1"
        return answer({"metadata": {"next_page": link if number < 2 else ""}, "data": [row(number)]})

    found = ask(over_the_wire(reply), lambda client: client.progress.list(), base_url=ORIGIN + prefix)
    assert len(found) == 3
    assert set(paths) == {prefix + FEED}


@pytest.mark.parametrize(
    "link", ["https://evil.test" + FEED, "//evil.test/x", "/../x", "/training/courseprogress/v1/reset"]
)
def test_a_next_page_that_leads_elsewhere_is_not_followed(ask: Asker, link: str) -> None:
    wire = Recorded(lambda _: httpx.Response(200, json={"metadata": {"next_page": link}, "data": [row(1)]}))
    with pytest.raises(DecodingError, match="not followed"):
        ask(wire, lambda client: client.progress.list())
    assert len(wire.sent) == 1


# --- endless ----------------------------------------------------------------------------------------------------------


def fed(number: int, link: str, *rows: int) -> Response:
    return answer({"metadata": {"next_page": link}, "data": [row(one) for one in rows]})


ENDLESS: dict[str, tuple[Use, Callable[[int, Request], Response]]] = {
    "the same next page": (
        lambda client: client.progress.list(),
        lambda number, _: fed(number, FEED + "?offset=1", number),
    ),
    "two next pages by turns": (
        lambda client: client.progress.list(),
        lambda number, _: fed(number, f"{FEED}?offset={number % 2}", number),
    ),
    "the same rows for ever": (
        lambda client: client.progress.list(),
        lambda number, _: fed(number, f"{FEED}?offset={number}", 1, 2),
    ),
    "three pages of rows by turns": (
        lambda client: client.progress.list(),
        lambda number, _: fed(number, f"{FEED}?offset={number}", number % 3, 50),
    ),
    "empty pages for ever": (
        lambda client: client.progress.list(),
        lambda number, _: fed(number, f"{FEED}?offset={number}"),
    ),
    "a server that ignores the page": (
        lambda client: client.courses.list(),
        lambda number, _: answer({"items": [course(n) for n in range(1000)], "totalCount": 1000}),
    ),
    "a page token that comes back": (
        lambda client: client.users.list(),
        lambda number, _: answer({"users": [{"user_id": f"u{number}"}], "next_page_token": "again"}),
    ),
    "a server that ignores the offset": (
        lambda client: client.permissions.list(),
        lambda number, _: answer(
            {"permission_sets": [{"permission_set": {"identifier": {"id": "p", "name": "n"}}}]}
        ),
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless_listing_is_an_error(ask: Asker, name: str) -> None:
    use, reply = ENDLESS[name]
    count = itertools.count(1)
    with pytest.raises(DecodingError, match="cannot be read to its end"), no_waiting():
        ask(over_the_wire(lambda request: reply(next(count), request)), use)
    assert next(count) < (MOST_EMPTY_PAGES + 20 if name == "empty pages for ever" else 20)


def test_a_listing_of_new_rows_for_ever_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training_sdk._core.listing.MOST_PAGES", 50)
    count = itertools.count(1)

    def reply(_: Request) -> Response:
        number = next(count)
        return fed(number, f"{FEED}?offset={number}", number)

    with pytest.raises(DecodingError, match="ever more pages"):
        list(sync_client(reply).progress.list())


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "x",
        {"courses": []},
        {"message": "moved"},
        {"items": {}},
        {"items": [None]},
        {"items": [{"id": 1}]},
        {"data": []},
    ],
)
def test_an_answer_of_another_shape_is_a_decoding_error(ask: Asker, value: Any) -> None:
    with pytest.raises(DecodingError, match=r"\$"):
        ask(over_the_wire(lambda _: answer(value)), lambda client: client.courses.list())
