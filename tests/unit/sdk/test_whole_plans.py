"""Plans from listings that end early, or whose pages change their order: never fewer people than were meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import define, field

from training_sdk import DecodingError, PermissionDeniedError, ResetPlan
from training_sdk._core.flow import Request, Response
from training_sdk.plans.people import People
from training_sdk.plans.planner import PlanOptions, make_plan
from training_sdk.plans.reading import sees_everyone
from unit.sdk.fakes import (
    CALLS,
    COURSE,
    Asker,
    FakeDriver,
    Organisation,
    answer,
    over_the_wire,
    row,
    untouched,
    user_id,
)

FEED = "/training/v1/feed/training-course-progress"
GROUP = "role_" + "a" * 32
PEOPLE = 12
PAGE = 5


@define
class Paged(Organisation):
    """Feeds in pages of 5, whose order ``turn`` may change; groups and sites whose feeds may end early."""

    overlap: int = 0
    turn: Callable[[int], bool] = lambda page: False
    """Whether the rows come in another order from this page on, counted from the first request."""
    lost_members: int = 0
    lacks: Callable[[int], bool] = lambda reading: False
    """Whether the statistics lack the course in this reading."""
    announces: bool = False
    """Whether pages of progress say how many rows remain."""
    pages: int = 0
    readings: int = 0
    members: list[str] = field(factory=lambda: [user_id(number) for number in range(PEOPLE)])

    def _routes(self) -> dict[str, Callable[[Request], Response]]:
        return super()._routes() | {
            "/feed/group_users": lambda _: self._members("group_id", "user_id", GROUP),
            "/feed/site_members": lambda _: self._members("site_id", "member_id", GROUP),
        }

    def _members(self, place: str, person: str, which: str) -> Response:
        shown = self.members[: len(self.members) - self.lost_members]
        rows = [{place: which, person: one} for one in shown]
        return answer({"metadata": {"next_page": None, "remaining_records": self.lost_members}, "data": rows})

    def _feed(self, request: Request) -> Response:
        query = parse_qs(urlsplit(request.target).query)
        if "user_id" in query:
            return super()._feed(request)
        self.pages += 1
        if self.turn(self.pages):
            self.rows.append(self.rows.pop(0))
        begin = int(query.get("offset", ["0"])[0])
        end = begin + PAGE
        following = f"{FEED}?course_id={COURSE}&offset={end}" if end < len(self.rows) else None
        rows = self.rows[max(0, begin - self.overlap) : end]
        left = {"remaining_records": max(0, len(self.rows) - end)} if self.announces else {}
        return answer({"metadata": {"next_page": following, **left}, "data": rows})

    def _statistics(self, request: Request) -> Response:
        self.readings += 1
        if self.lacks(self.readings):
            return answer({"totalCount": 0, "items": []})
        return super()._statistics(request)


def paged(**how: Any) -> Paged:
    return Paged([row(number) for number in range(PEOPLE)], **how)


def plan_for(people: People | None, service: Organisation) -> ResetPlan:
    return FakeDriver(service).run(make_plan(CALLS, PlanOptions((COURSE,), people)))


NAMED = People.of([user_id(number) for number in range(PEOPLE)])
NAMED_TWO = People.of([user_id(1), user_id(2)])
WHOM: dict[str, People | None] = {
    "everyone": None,
    "named": NAMED,
    "a group": People(groups=(GROUP,)),
    "a site": People(sites=(GROUP,)),
}


@pytest.mark.parametrize("whom", WHOM)
@pytest.mark.parametrize("overlap", [0, 2])
def test_rows_that_repeat_the_end_of_the_page_before_are_legal(whom: str, overlap: int) -> None:
    assert len(plan_for(WHOM[whom], paged(overlap=overlap)).targets) == PEOPLE


@pytest.mark.parametrize("whom", WHOM)
def test_an_order_of_pages_that_changes_once_is_read_once_more(whom: str) -> None:
    assert len(plan_for(WHOM[whom], paged(turn=lambda page: page == 2)).targets) == PEOPLE


@pytest.mark.parametrize("whom", WHOM)
def test_an_order_of_pages_that_always_changes_is_named_as_that(whom: str) -> None:
    service = paged(turn=lambda page: True)
    with pytest.raises(DecodingError, match=r"twice.* the order of its pages change") as caught:
        plan_for(WHOM[whom], service)
    assert caught.value.reason == "LISTING_INCOMPLETE"
    assert "this token" not in str(caught.value)
    assert service.pages == 6


def test_progress_that_lists_some_people_twice_in_place_of_others_is_an_error(ask: Asker) -> None:
    service = paged(turn=lambda page: True, announces=True)
    with pytest.raises(DecodingError, match=r"twice.* the order of its pages change.*\bLISTING_INCOMPLETE\b"):
        ask(over_the_wire(service), lambda client: client.progress.list(course_id=COURSE))


@pytest.mark.parametrize("overlap", [0, 2])
def test_progress_that_repeats_the_end_of_a_page_is_legal_with_a_count(ask: Asker, overlap: int) -> None:
    service = paged(overlap=overlap, announces=True)
    found = ask(over_the_wire(service), lambda client: client.progress.list(course_id=COURSE))
    assert len({one.user_id for one in found}) == PEOPLE
    assert len(plan_for(None, paged(overlap=overlap, announces=True)).targets) == PEOPLE


def test_a_narrow_view_is_still_named_as_that() -> None:
    for overlap in (0, 1):
        with pytest.raises(
            PermissionDeniedError, match=r"this token sees the progress of 12.*\bNARROW_VIEW\b"
        ):
            plan_for(None, paged(overlap=overlap, counted=40))


class Counting(Organisation):
    """A service whose statistics say how many have opened and completed the course."""

    figures: ClassVar[dict[str, int]] = {}
    total = 5

    def _statistics(self, request: Request) -> Response:
        return answer(
            {"totalCount": 1, "items": [{"courseId": COURSE, "totalUsers": self.total, **self.figures}]}
        )


@pytest.mark.parametrize(
    ("figures", "rows", "is_whole"),
    [
        ({"openedCount": 2, "completedCount": 1}, [], True),
        ({"openedCount": 3, "completedCount": 1}, [], False),
        ({"openedCount": 2, "completedCount": 2}, [], False),
        ({"completedCount": 1}, [], False),
        ({"openedCount": 1, "completedCount": 1}, [], False),  # if those who completed are not counted again
        (
            {"openedCount": 2, "completedCount": 1},
            [untouched(3)],
            False,
        ),  # it does show rows without progress
    ],
)
def test_when_no_row_means_unbegun(
    figures: dict[str, int], rows: list[dict[str, Any]], is_whole: bool
) -> None:
    service = Counting([row(1), row(2, completed_at="", progress_percent=50.0), *rows])
    with mock.patch.object(Counting, "figures", figures):
        if is_whole:
            plan = plan_for(None, service)
            assert len(plan.targets) == 2
            assert any("By the statistics, the others have nothing recorded" in one for one in plan.warnings)
            return
        with pytest.raises(PermissionDeniedError, match=r"\bNARROW_VIEW\b"):
            plan_for(None, service)


def test_rows_repeated_at_page_borders_are_no_changing_order_where_empty_rows_are_left_out() -> None:
    service = Counting([row(1), row(2), row(2)])
    service.total = 3
    with mock.patch.object(Counting, "figures", {"openedCount": 2, "completedCount": 2}):
        assert len(plan_for(NAMED_TWO, service).targets) == 2


def test_without_the_right_to_statistics_repeated_rows_are_read_as_they_come() -> None:
    assert len(plan_for(NAMED, paged(overlap=1, may_read=False)).targets) == PEOPLE


@pytest.mark.parametrize("whom", ["a group", "a site"])
def test_members_that_remain_after_the_last_page_are_an_error(ask: Asker, whom: str) -> None:
    service = paged(lost_members=3)
    with pytest.raises(DecodingError, match=r"3 remaining records.*\bLISTING_INCOMPLETE\b"):
        ask(over_the_wire(service), lambda client: client.resets.plan(COURSE, WHOM[whom]))


def test_statistics_that_lack_the_course_are_read_once_more() -> None:
    assert len(plan_for(None, paged(lacks=lambda reading: reading == 1)).targets) == PEOPLE


def test_statistics_that_lack_the_course_are_no_proof_that_everyone_is_seen(ask: Asker) -> None:
    service = paged(lacks=lambda reading: True)
    with pytest.raises(DecodingError, match="statistics lack course 'Forklift basics'") as caught:
        ask(over_the_wire(service), lambda client: client.resets.plan_everyone(COURSE))
    assert caught.value.reason == "LISTING_INCOMPLETE"
    assert "Nothing was sent" in str(caught.value)
    assert not FakeDriver(service).run(sees_everyone(CALLS, COURSE, {}))
