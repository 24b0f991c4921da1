"""Progress with the names of sites and groups: each row of the feed once, joined as one would by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import attrs
import httpx
import pytest

from mock_server import MockTraining
from training_sdk import InvalidArgumentError, PermissionDeniedError, ProgressRow, TrainingClient
from training_sdk.api.progress import ProgressTableRow
from unit.sdk.fakes import Asker

FIELDS = attrs.fields(ProgressRow)


@pytest.fixture(scope="module")
def mock() -> MockTraining:
    return MockTraining.demo()


def client_of(mock: MockTraining, role: Literal["admin", "teamlead"] = "admin") -> TrainingClient:
    return TrainingClient(mock.token(role), http_client=httpx.Client(transport=mock.transport()), pace=False)


def by_hand(client: TrainingClient) -> dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]]:
    """The sites and groups of each user, as pairs of name and id."""
    sites = {one.id: one.name for one in client.sites.list() if not one.deleted}
    groups = {one.id: one.name for one in client.groups.list()}
    found: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {}
    for member in client.sites.members():
        if member.site_id in sites:
            found.setdefault(member.user_id, ([], []))[0].append((sites[member.site_id], member.site_id))
    for one in client.groups.members():
        found.setdefault(one.user_id, ([], []))[1].append((groups[one.group_id], one.group_id))
    return found


def test_a_row_is_that_of_the_feed_with_the_names_of_the_person(mock: MockTraining) -> None:
    client, places = client_of(mock), by_hand(client_of(mock))
    rows, feed = [*client.progress.table(sites=True, groups=True)], [*client.progress.list()]
    assert len(rows) == len(feed) > 200
    assert sum(bool(row.sites) for row in rows) > 50
    assert max(len(row.groups or ()) for row in rows) > 1
    for row, plain in zip(rows, feed, strict=True):
        assert row.state == plain.state
        assert {field.name: getattr(row, field.name) for field in FIELDS} == {
            field.name: getattr(plain, field.name) for field in FIELDS
        }
        sites, groups = places.get(row.user_id, ([], []))
        assert [*zip(row.sites or (), row.site_ids or (), strict=True)] == sorted(set(sites))
        assert [*zip(row.groups or (), row.group_ids or (), strict=True)] == sorted(set(groups))


def test_the_table_is_the_same_on_every_client(mock: MockTraining, ask: Asker) -> None:
    rows = ask(
        mock.transport().handle_request,
        lambda client: client.progress.table(groups=True),
        token=mock.token("admin"),
    )
    assert rows == [*client_of(mock).progress.table(groups=True)]
    assert all(type(row) is ProgressTableRow and row.sites is None and row.site_ids is None for row in rows)


def test_courses_are_read_one_after_the_other_in_the_order_given(mock: MockTraining) -> None:
    client = client_of(mock)
    counts = Counter(row.course_id for row in client.progress.list())
    wanted = sorted(counts, reverse=True)[:3]
    table = client.progress.table(courses=wanted)
    assert [*dict.fromkeys(row.course_id for row in table)] == wanted
    assert Counter(row.course_id for row in table) == {one: counts[one] for one in wanted}
    assert [page.number for page in table.pages()] == [1, 2, 3]
    assert table.to_pandas()["sites"].isna().all()
    assert repr(table) == "<Listing of /training/v1/feed/training-course-progress: iterate it with for>"


def test_nothing_is_read_before_the_table_is_used_and_everything_again_each_time(mock: MockTraining) -> None:
    client = client_of(mock)
    before = len(mock.calls)
    table = client.progress.table(sites=True)
    assert len(mock.calls) == before
    first = [*table]
    once = len(mock.calls) - before
    assert [*table] == first
    assert len(mock.calls) - before == 2 * once > 2


def test_who_may_not_read_sites_is_told_so(mock: MockTraining) -> None:
    table = client_of(mock, "teamlead").progress.table(sites=True)
    with pytest.raises(PermissionDeniedError):
        table.to_arrow()
    assert len([*client_of(mock, "teamlead").progress.table()]) > 0


@pytest.mark.parametrize("wrong", [{"courses": []}, {"courses": "c"}, {"sites": 1}, {"groups": "yes"}])
def test_arguments_are_checked_before_anything_is_sent(mock: MockTraining, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client_of(mock).progress.table(**wrong)
    assert caught.value.argument == next(iter(wrong))
