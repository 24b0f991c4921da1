"""Groups and sites to user ids, with the smallest number of requests."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, field

from training_sdk import InvalidArgumentError, NotFoundError, People
from training_sdk._core.flow import Request, Response
from training_sdk.plans.people_lookup import Members, member_ids, member_key
from unit.sdk.fakes import CALLS, FakeDriver, answer


def role(number: int) -> str:
    return f"role_{number:032x}"


@define
class Feeds:
    """An organisation's groups and sites."""

    groups: list[tuple[str, str]] = field(factory=list)
    in_groups: list[tuple[str, str]] = field(factory=list)
    sites: list[dict[str, Any]] = field(factory=list)
    at_sites: list[tuple[str, str]] = field(factory=list)
    asked: list[str] = field(factory=list)

    def __call__(self, request: Request) -> Response:
        self.asked.append(request.path)
        rows = {
            "/feed/groups": [{"id": one, "name": name} for one, name in self.groups],
            "/feed/group_users": [{"group_id": one, "user_id": user} for one, user in self.in_groups],
            "/feed/sites": self.sites,
            "/feed/site_members": [{"site_id": one, "member_id": user} for one, user in self.at_sites],
        }[request.path]
        return answer({"metadata": {"next_page": ""}, "data": rows})

    def of(self, **given: Any) -> Members:
        return FakeDriver(self).run(member_ids(CALLS, People.named(**given)))


@pytest.fixture
def feeds() -> Feeds:
    return Feeds(
        groups=[
            (role(1), "Crew"),
            (role(2), "Night"),
            (role(3), "Night"),
            (role(4), "Empty"),
            ("g5", role(2)),
        ],
        in_groups=[(role(1), "u1"), (role(1), "u2"), (role(2), "u3"), (role(3), "u4"), ("g5", "u5")],
        sites=[
            {"id": "s1", "name": "Leeds"},
            {"id": "s2", "name": "Leeds", "deleted": True},
            {"id": "s3", "name": "Gone", "deleted": True},
            {"id": "s4", "name": "Hub", "parent_id": "s1"},
        ],
        at_sites=[("s1", "u1"), ("s2", "u8"), ("s3", "u9"), ("s4", "u7")],
    )


def test_where_no_group_and_no_site_is_named_nothing_is_asked(feeds: Feeds) -> None:
    assert feeds.of(user_ids=["u"]) == {}
    assert feeds.asked == []


def test_groups_by_id_take_one_feed(feeds: Feeds) -> None:
    assert feeds.of(groups=[role(1), role(2)]) == {
        member_key("group", role(1)): {"u1", "u2"},
        member_key("group", role(2)): {"u3"},
    }
    assert feeds.asked == ["/feed/group_users"]


def test_by_name_they_take_two(feeds: Feeds) -> None:
    assert feeds.of(groups=["Crew", role(2)], sites=["Leeds"]) == {
        member_key("group", "Crew"): {"u1", "u2"},
        member_key("group", role(2)): {"u3"},
        member_key("site", "Leeds"): {"u1"},
    }
    assert feeds.asked == ["/feed/groups", "/feed/group_users", "/feed/sites", "/feed/site_members"]


def test_an_id_without_members_is_told_from_an_unknown_one(feeds: Feeds) -> None:
    assert feeds.of(groups=[role(4)]) == {member_key("group", role(4)): frozenset()}
    assert feeds.asked == ["/feed/group_users", "/feed/groups", "/feed/group_users"]
    with pytest.raises(NotFoundError, match="no group") as missing:
        feeds.of(groups=[role(1), role(9)])
    assert (missing.value.reason, missing.value.info.metadata) == ("GROUP_NOT_FOUND", (("group", role(9)),))


def test_a_mistyped_name_is_answered_with_those_that_come_close(feeds: Feeds) -> None:
    for typed in ("crew", "Crwe"):
        with pytest.raises(NotFoundError, match=rf"no group '{typed}' .*name\. Similar names: 'Crew' \("):
            feeds.of(groups=[typed])
    with pytest.raises(NotFoundError, match=r"exact name \("):
        feeds.of(sites=["Nowhere near"])


def test_a_name_that_looks_like_an_id_is_found_as_a_name(feeds: Feeds) -> None:
    feeds.groups.append(("g6", role(6)))
    feeds.in_groups.append(("g6", "u6"))
    assert feeds.of(groups=[role(6)]) == {member_key("group", role(6)): {"u6"}}
    # An id comes before a name: "g5" has the name of the second group's id.
    assert feeds.of(groups=[role(2)]) == {member_key("group", role(2)): {"u3"}}


def test_a_name_that_two_have_is_refused_with_their_ids(feeds: Feeds) -> None:
    with pytest.raises(InvalidArgumentError) as ambiguous:
        feeds.of(groups=["Night"])
    assert role(2) in ambiguous.value.message
    assert role(3) in ambiguous.value.message
    assert "/feed/group_users" not in feeds.asked


def test_a_row_that_comes_twice_is_one_group_and_one_site(feeds: Feeds) -> None:
    feeds.groups += feeds.groups[:1]
    feeds.sites += feeds.sites[:1]
    assert feeds.of(groups=["Crew"], sites=["Leeds"]) == {
        member_key("group", "Crew"): {"u1", "u2"},
        member_key("site", "Leeds"): {"u1"},
    }


def test_names_are_exact_and_deleted_sites_have_none(feeds: Feeds) -> None:
    for name in ("leeds", "Leeds ", "Lee", "Gone"):
        with pytest.raises(NotFoundError, match="no site") as missing:
            feeds.of(sites=[name])
        assert missing.value.reason == "SITE_NOT_FOUND"
    assert feeds.of(sites=["s3"]) == {member_key("site", "s3"): {"u9"}}


def test_the_members_of_a_site_below_are_not_its_own(feeds: Feeds) -> None:
    assert feeds.of(sites=["Leeds"]) == {member_key("site", "Leeds"): {"u1"}}


def test_a_site_without_members_names_its_sub_sites(feeds: Feeds) -> None:
    feeds.sites += [
        {"id": "s5", "name": "Germany"},
        {"id": "s6", "name": "Hamburg", "parent_id": "s5"},
        {"id": "s7", "name": "Port", "parent_id": "s6"},
        {"id": "s8", "name": "Sold", "parent_id": "s5", "deleted": True},
        {"id": role(8), "name": "Ring", "parent_id": role(9)},
        {"id": role(9), "name": "Road", "parent_id": role(8)},
    ]
    feeds.at_sites.append(("s6", "u6"))
    for name in ("Germany", "s5"):
        with pytest.raises(InvalidArgumentError, match="has no members of its own") as caught:
            feeds.of(sites=["Leeds", name])
        assert caught.value.message.endswith("Name the sub-sites: 'Hamburg' (s6), 'Port' (s7)")
    for site in (role(8), "Ring"):
        with pytest.raises(InvalidArgumentError, match=r"Name the sub-sites: 'Road' \(role_0+9\)$"):
            feeds.of(sites=[site])
    assert feeds.of(sites=["Hamburg"]) == {member_key("site", "Hamburg"): {"u6"}}
    assert feeds.of(sites=["Port"]) == {member_key("site", "Port"): frozenset()}
