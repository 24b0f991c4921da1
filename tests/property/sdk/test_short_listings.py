"""Listings that end early: a paging service by the public facts, honest in many ways, or short of what it counts.

The facts: ``page`` from 1, ``pageSize`` up to 1000, ``totalCount`` and ``items``; feeds with ``metadata.next_page`` and
``metadata.remaining_records``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st

from training_sdk import DecodingError
from training_sdk._core.flow import Request, Response
from training_sdk._core.listing import LISTING_INCOMPLETE, Paginator
from training_sdk.api.analytics import lesson_attempts
from training_sdk.api.courses import _courses
from training_sdk.api.groups import group_members
from training_sdk.api.users import feed_users
from unit.sdk.fakes import CALLS, Asker, FakeDriver, answer, over_the_wire

Change = Callable[["Service"], None]


def item(number: int) -> dict[str, Any]:
    """A course, an attempt and a member of a group in one."""
    return {
        "id": f"i{number}",
        "title": f"T{number}",
        "userId": f"u{number}",
        "courseId": "c",
        "lessonId": "l",
        "groupId": "g",
    }


@define
class Service:
    """A listing of some items, in pages of at most ``cap``."""

    items: list[dict[str, Any]]
    cap: int = 1000
    offset_by_asked_size: bool = False
    """Multiply the page number by the size asked for, not by the size served."""
    counts: bool = True
    empty_first: int = 0
    """Pages without items before the first with some."""
    overlap: int = 0
    """Items of the page before that each page repeats."""
    hidden: int = 0
    """Items counted and never listed."""
    before: Change = lambda service: None
    """What happens before each page."""
    sent: list[Request] = field(factory=list)

    def __call__(self, request: Request) -> Response:
        self.sent.append(request)
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.target).query).items()}
        self.before(self)
        return self._fed(query) if request.path.startswith("/feed/") else self._numbered(query)

    def _numbered(self, query: dict[str, str]) -> Response:
        asked = int(query["pageSize"])
        served = min(asked, self.cap)
        begin = (int(query["page"]) - 1 - self.empty_first) * (asked if self.offset_by_asked_size else served)
        found = self.items[max(0, begin - self.overlap) : begin + served] if begin >= 0 else []
        total = {"totalCount": len(self.items) + self.hidden} if self.counts else {}
        return answer({**total, "items": found if begin < len(self.items) else []})

    def _fed(self, query: dict[str, str]) -> Response:
        begin = int(query.get("offset", 0))
        end = begin + min(int(query["limit"]), self.cap)
        left = max(0, len(self.items) - end)
        following = f"?limit={query['limit']}&offset={end}" if left else None
        metadata = {"next_page": following, "remaining_records": str(left + self.hidden)}
        return answer({"metadata": metadata, "data": self.items[max(0, begin - self.overlap) : end]})


@pytest.fixture(params=["sync", "asyncio", "trio"])
def ask(request: pytest.FixtureRequest) -> Asker:
    return Asker(request.param)


WALKS: dict[str, Paginator[Any]] = {
    "courses": _courses(CALLS, None, None),
    "attempts": lesson_attempts(CALLS, course_id="c"),
    "members": group_members(CALLS, None),
    "users": feed_users(CALLS),
}


def names(found: Any) -> list[str]:
    return [getattr(one, "id", None) or one.user_id.replace("u", "i") for one in found]


honest = st.builds(
    Service,
    st.integers(0, 30).map(lambda count: [item(number) for number in range(count)]),
    cap=st.sampled_from([2, 3, 7, 1000]),
    offset_by_asked_size=st.booleans(),
    counts=st.booleans(),
    overlap=st.integers(0, 2),
)


@settings(max_examples=50)
@given(st.sampled_from(sorted(WALKS)), honest)
def test_everything_is_listed_whatever_the_service_makes_of_page_sizes(name: str, service: Service) -> None:
    found = Counter(names(FakeDriver(service).run(WALKS[name].gather())))
    assert set(found) == {one["id"] for one in service.items}
    assert service.overlap or max(found.values(), default=1) == 1


@settings(max_examples=25)
@given(honest.filter(lambda service: service.counts), st.integers(1, 2))
def test_everything_is_listed_after_pages_without_items(service: Service, empty: int) -> None:
    service = evolve(service, empty_first=empty, cap=1000, offset_by_asked_size=False, sent=[])
    service.items += [item(number) for number in range(30, 30 + 1000 * empty)]
    found = names(FakeDriver(service).run(WALKS["courses"].gather()))
    assert set(found) == {one["id"] for one in service.items}


@settings(max_examples=25)
@given(st.sampled_from(sorted(WALKS)), honest, st.integers(1, 5))
def test_a_listing_that_stays_short_is_an_error(name: str, service: Service, hidden: int) -> None:
    service = evolve(service, counts=True, hidden=hidden, overlap=0, sent=[])
    with pytest.raises(DecodingError, match="ends early") as caught:
        FakeDriver(service).run(WALKS[name].gather())
    assert caught.value.reason == LISTING_INCOMPLETE
    first = service.sent[0]
    assert service.sent.count(first) == 2


@settings(max_examples=25)
@given(st.sampled_from(sorted(WALKS)), honest, st.integers(1, 5))
def test_a_listing_that_is_short_once_is_the_second_reading(name: str, service: Service, hidden: int) -> None:
    def mend(one: Service) -> None:
        if one.sent.count(one.sent[0]) == 2:
            one.hidden = 0

    service = evolve(service, counts=True, hidden=hidden, overlap=0, before=mend, sent=[])
    service.items += [item(number) for number in range(100, 110)]
    found = Counter(names(FakeDriver(service).run(WALKS[name].gather())))
    assert found == Counter(one["id"] for one in service.items)


@settings(max_examples=25)
@given(honest, st.sampled_from([-1, 1]))
def test_a_count_that_drifts_while_pages_are_read_is_no_error(service: Service, change: int) -> None:
    def drift(one: Service) -> None:
        if change > 0:
            one.items.append(item(1000 + len(one.sent)))
        elif len(one.items) > 1:
            one.items.pop()

    left = {one["id"] for one in service.items[:1]}
    service = evolve(
        service, before=lambda one: drift(one) if len(one.sent) < 4 else None, counts=True, sent=[]
    )
    found = FakeDriver(service).run(WALKS["courses"].gather())
    assert set(names(found)) >= left


def unstable(one: Service) -> None:
    """Another order for every page."""
    one.items.append(one.items.pop(0))


@pytest.mark.parametrize("name", WALKS)
def test_items_listed_twice_do_not_stand_for_those_that_are_not_listed(name: str) -> None:
    service = Service([item(number) for number in range(60)], cap=25, before=unstable)
    with pytest.raises(DecodingError, match=r"twice.* the order of its pages change") as caught:
        FakeDriver(service).run(WALKS[name].gather())
    assert caught.value.reason == LISTING_INCOMPLETE


@pytest.mark.parametrize("name", ["courses", "attempts"])
def test_items_listed_twice_are_noticed_by_a_count_that_the_first_page_leaves_out(name: str) -> None:
    def late(one: Service) -> None:
        unstable(one)
        one.counts = len(one.sent) > 1

    with pytest.raises(DecodingError, match=r"twice.* the order of its pages change"):
        FakeDriver(Service([item(number) for number in range(60)], cap=25, before=late)).run(
            WALKS[name].gather()
        )


@pytest.mark.parametrize("name", WALKS)
def test_items_that_one_page_lists_twice_are_no_sign_of_an_order_that_changes(name: str) -> None:
    service = Service([item(number // 2) for number in range(50)], cap=6)
    assert len(FakeDriver(service).run(WALKS[name].gather())) == 50


def test_attempts_without_id_are_counted_as_they_come() -> None:
    same = {name: value for name, value in item(1).items() if name != "id"}
    service = Service([same] * 60, cap=25)
    with pytest.raises(DecodingError, match="repeats an earlier page"):
        FakeDriver(service).run(WALKS["attempts"].gather())
    different = [{**same, "lessonId": f"l{number // 2}"} for number in range(60)]
    assert len(FakeDriver(Service(different, cap=25)).run(WALKS["attempts"].gather())) == 60


def test_both_clients_raise_at_the_end_of_a_listing_that_ends_early(ask: Asker) -> None:
    service = Service([item(number) for number in range(25)], hidden=35)
    with pytest.raises(DecodingError, match="lists 25 items, but counts 60"):
        ask(over_the_wire(service), lambda client: client.courses.list())
    with pytest.raises(DecodingError, match="35 remaining records"):
        ask(over_the_wire(service), lambda client: client.groups.members())


def test_both_clients_read_a_service_that_caps_pages_and_not_the_offset(ask: Asker) -> None:
    service = Service([item(number) for number in range(60)], cap=25, offset_by_asked_size=True)
    found = ask(over_the_wire(service), lambda client: client.courses.list())
    assert names(found) == [f"i{number}" for number in range(60)]
    asked = [parse_qs(urlsplit(request.target).query) for request in service.sent]
    assert [(one["page"], one["pageSize"]) for one in asked] == [
        (["1"], ["1000"]),
        (["1"], ["25"]),
        (["2"], ["25"]),
        (["3"], ["25"]),
    ]


@pytest.mark.parametrize("cap", [1, 2, 1000])
def test_what_was_asked_for_by_id_is_whole_whatever_the_service_counts(ask: Asker, cap: int) -> None:
    service = Service([item(number) for number in range(3)], cap=cap, hidden=300)
    wanted = ["i2", "i0", "i1"]
    found = ask(over_the_wire(service), lambda client: client.courses.list(ids=wanted))
    assert sorted(names(found)) == sorted(wanted)
    assert len(service.sent) <= 4
    with pytest.raises(DecodingError, match="ends early"):
        ask(over_the_wire(service), lambda client: client.courses.list(ids=[*wanted, "i9"]))
