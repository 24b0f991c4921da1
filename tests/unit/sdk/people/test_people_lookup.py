"""From names to user ids: every person found, with the place of each problem; members of groups and sites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import define, field

from training_sdk import InvalidArgumentError, Named, NotFoundError, People, ProgressRow
from training_sdk._core.codec import structure_value
from training_sdk._core.flow import Request, Response
from training_sdk.plans.people_lookup import Members, Resolved, member_ids, member_key, resolve
from unit.sdk.fakes import CALLS, FakeDriver, answer, row, user_id


def person(number: int, course: str = "c", **facts: Any) -> ProgressRow:
    facts = {"user_external_id": f"00{number}", **facts}
    return structure_value(row(number, course_id=course, **facts), ProgressRow)


def rows(**courses: list[ProgressRow]) -> dict[str, dict[str, ProgressRow]]:
    return {course: {one.user_id: one for one in people} for course, people in courses.items()}


TWO = rows(c=[person(1), person(2), person(3)], d=[person(2, "d"), person(3, "d")])
ONE = {"c": TWO["c"]}


def found(
    people: People, where: Mapping[str, Mapping[str, ProgressRow]] = ONE, **members: set[str]
) -> Resolved:
    """``groups_…`` and ``sites_…`` name who is in which."""
    return resolve(
        people,
        where,
        {
            member_key("group" if key.startswith("group") else "site", key.partition("_")[2]): frozenset(ids)
            for key, ids in members.items()
        },
    )


def test_people_are_found_by_whatever_names_them_in_the_order_named() -> None:
    people = People.named(user_ids=[user_id(3)], emails=[" USER1@Example.test "], external_ids=["002"])
    resolved = found(people)
    assert resolved.by_course == {"c": (user_id(3), user_id(1), user_id(2))}
    assert resolved.warnings == ()


def test_without_a_course_of_their_own_they_stand_for_every_course() -> None:
    assert found(People.of([user_id(2)]), TWO).by_course == {"c": (user_id(2),), "d": (user_id(2),)}
    people = People((Named("user_id", user_id(1), "c"), Named("email", "user3@example.test", "d")))
    assert found(people, TWO).by_course == {"c": (user_id(1),), "d": (user_id(3),)}


def test_somebody_named_in_two_ways_counts_once_and_is_told_of() -> None:
    resolved = found(People.named(user_ids=[user_id(1)], emails=["user1@example.test"]))
    assert resolved.by_course == {"c": (user_id(1),)}
    (warning,) = resolved.warnings
    assert "the same person as user id" in warning


def test_warnings_of_the_naming_are_handed_on() -> None:
    assert len(found(People.of([user_id(1)] * 3)).warnings) == 2


def test_everybody_who_is_missing_is_named_with_their_place() -> None:
    people = People(
        (
            Named("email", "gone@b.test", None, "line 2"),
            Named("user_id", user_id(1), None, "line 3"),
            Named("external_id", "NW-9", None, "line 4"),
        )
    )
    with pytest.raises(NotFoundError) as missing:
        found(people, TWO)
    assert missing.value.reason == "USER_NOT_IN_COURSE"
    for said in (
        "'gone@b.test' (line 2), ",
        "'NW-9' (line 4)",
        f"'{user_id(1)}' (line 3) in course 'd'",
    ):
        assert said in missing.value.message
    assert f"'{user_id(1)}' (line 3) in course 'c'" not in missing.value.message
    assert missing.value.message.count("gone@b.test") == 1  # who is in none of the courses is named once
    assert ("email", "gone@b.test") in missing.value.info.metadata


@pytest.mark.parametrize(
    ("named", "in_course"),
    [
        ("max@stra\u00dfe.example", "max@strasse.example"),
        ("wei\u00df@x.example", "weiss@x.example"),
        ("\u212aim@x.example", "kim@x.example"),
        ("u\u0308nal@x.example", "\u00fcnal@x.example"),
        ("\u00dcNAL@x.example", "\u00fcnal@x.example"),
    ],
)
def test_an_address_that_only_folds_alike_is_another_mailbox(named: str, in_course: str) -> None:
    with pytest.raises(NotFoundError) as missing:
        found(People.of([named]), rows(c=[person(1, user_email=in_course)]))
    assert missing.value.reason == "USER_NOT_IN_COURSE"
    assert f"{named!r} is not {in_course!r}" in missing.value.message


def test_an_address_with_letters_in_two_parts_is_not_blamed_on_its_case() -> None:
    composed = "m\u00fcller@example.test"
    here = {"c": {user_id(1): person(1, user_email="mu\u0308ller@example.test")}}
    with pytest.raises(NotFoundError, match="composed and one decomposed letters") as caught:
        found(People.of([composed]), here)
    assert "case" not in caught.value.message


def test_both_of_two_addresses_that_fold_alike_are_found() -> None:
    where = rows(c=[person(1, user_email="wei\u00df@x.example"), person(2, user_email="weiss@x.example")])
    resolved = found(People.of(["WEISS@x.example", "wei\u00df@X.example"]), where)
    assert resolved.by_course == {"c": (user_id(2), user_id(1))}
    assert resolved.warnings == ()


def test_many_who_are_missing_are_counted() -> None:
    with pytest.raises(NotFoundError, match="and 5 more cannot be found"):
        found(People.of([f"nobody{number}" for number in range(25)]))


@pytest.mark.parametrize(
    ("external_id", "hint"),
    [
        ("1.23E+05", "spreadsheet"),
        ("1,5e+10", "spreadsheet"),
        ("1", "leading zeros"),
        (" 001", "white space"),
    ],
)
def test_what_a_spreadsheet_does_to_ids_is_hinted_at(external_id: str, hint: str) -> None:
    with pytest.raises(NotFoundError, match=hint):
        found(People.named(external_ids=[external_id]))
    with pytest.raises(NotFoundError) as missing:
        found(People.named(external_ids=["NW-9"]))
    assert missing.value.message.endswith("Nothing was planned.")


def test_an_external_id_is_compared_exactly() -> None:
    where = rows(c=[person(1, user_external_id="NW-1"), person(2, user_external_id="nw-1")])
    assert found(People.named(external_ids=["nw-1"]), where).by_course == {"c": (user_id(2),)}


@pytest.mark.parametrize("course", ["c", "d"])
def test_a_name_that_fits_two_people_is_refused_and_names_both(course: str) -> None:
    twin = person(9, course, user_email="User1@example.test", user_external_id="001")
    where = rows(c=[person(1)], d=[person(1, "d")])
    where[course][twin.user_id] = twin
    for people in (People.of(["user1@example.test"]), People.named(external_ids=["001"])):
        with pytest.raises(InvalidArgumentError) as ambiguous:
            found(people, where)
        assert user_id(1) in ambiguous.value.message
        assert user_id(9) in ambiguous.value.message


def test_people_without_email_or_external_id_are_found_by_neither() -> None:
    where = rows(c=[person(1, user_email="", user_external_id=""), person(2)])
    assert found(People.of([user_id(1)]), where).by_course == {"c": (user_id(1),)}
    with pytest.raises(NotFoundError):
        found(People.of(["user1@example.test"]), where)


def test_members_who_are_not_in_the_course_are_left_out_and_counted() -> None:
    people = People.named(user_ids=[user_id(2)], groups=["Crew"])
    resolved = found(people, group_Crew={user_id(1), user_id(2), user_id(7), user_id(8)})
    assert resolved.by_course == {"c": (user_id(2), user_id(1))}
    assert resolved.warnings == (
        "2 of the 4 members of group 'Crew' are not in course 'c' and are left out.",
    )
    one = found(People.named(groups=["Crew"]), group_Crew={user_id(1), "user_gone"})
    assert one.warnings == ("1 of the 2 members of group 'Crew' is not in course 'c' and is left out.",)


def test_a_group_and_a_site_of_one_name_are_two_things() -> None:
    people = People.named(groups=["Leeds"], sites=["Leeds"])
    resolved = found(people, group_Leeds={user_id(1)}, site_Leeds={user_id(2)})
    assert resolved.by_course == {"c": (user_id(1), user_id(2))}


@pytest.mark.parametrize("members", [set(), {"user_9"}, {user_id(1)}])
def test_a_group_none_of_whose_members_is_in_a_course_is_refused(members: set[str]) -> None:
    said = (
        rf"None of the members of group 'Crew' \({len(members)}\) is in"
        if members
        else "Group 'Crew' has no members"
    )
    with pytest.raises(InvalidArgumentError, match=said):
        found(People.named(groups=["Crew"]), TWO, group_Crew=members)


def test_a_course_of_nobody_is_refused() -> None:
    people = People((Named("user_id", user_id(2), "c"),))
    with pytest.raises(InvalidArgumentError, match="No people are named for course 'd'"):
        found(people, TWO)


def test_a_course_that_is_not_in_the_plan_is_refused() -> None:
    people = People((Named("user_id", user_id(2), "elsewhere", "line 2"),))
    with pytest.raises(InvalidArgumentError, match=r"Course 'elsewhere' of user id .* \(line 2\)"):
        found(people, TWO)
    several = People((*people.entries, Named("user_id", user_id(3), "far")))
    with pytest.raises(
        InvalidArgumentError, match=r", course 'far' of .*: the plan does not have these courses\."
    ):
        found(several, TWO)
    with pytest.raises(InvalidArgumentError, match="no course"):
        found(People.of(["u"]), {})


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
        with pytest.raises(NotFoundError, match=rf"no group '{typed}' .*name\. Similar names: 'Crew'\. \("):
            feeds.of(groups=[typed])
    with pytest.raises(NotFoundError, match=r"exact name\. \("):
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
        assert caught.value.message.endswith("Name the sub-sites: 'Hamburg' (s6), 'Port' (s7).")
    for site in (role(8), "Ring"):
        with pytest.raises(InvalidArgumentError, match=r"Name the sub-sites: 'Road' \(role_0+9\)\.$"):
            feeds.of(sites=[site])
    assert feeds.of(sites=["Hamburg"]) == {member_key("site", "Hamburg"): {"u6"}}
    assert feeds.of(sites=["Port"]) == {member_key("site", "Port"): frozenset()}
