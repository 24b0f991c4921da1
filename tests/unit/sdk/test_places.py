"""Learning paths, collections, groups and sites: both spellings read, every page walked, filtered by the client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from training_sdk import Collection, DecodingError, GroupMember, LearningPath, Site
from training_sdk._core.flow import Request, Response
from unit.sdk.fakes import Asker, answer, over_the_wire

COURSES = [{"id": "c2", "title": "Second"}, {"id": "c1", "title": "First", "isPublished": True}]


def serving(**answers: Any) -> Callable[[Request], Response]:
    """A server that knows these paths, with ``/`` written as ``__``."""

    def reply(request: Request) -> Response:
        return answer(answers[request.path.strip("/").replace("/", "__")])

    return reply


def fed(*pages: list[dict[str, Any]]) -> Callable[[Request], Response]:
    """A feed in so many pages."""

    def reply(request: Request) -> Response:
        number = int(parse_qs(urlsplit(request.target).query).get("offset", ["0"])[0])
        after = f"{request.path}?offset={number + 1}" if number + 1 < len(pages) else ""
        rest = sum(map(len, pages[number + 1 :]))
        return answer({"metadata": {"next_page": after, "remaining_records": rest}, "data": pages[number]})

    return reply


@pytest.mark.parametrize("published", ["isPublished", "is_published"])
def test_paths_are_read_in_both_spellings(ask: Asker, published: str) -> None:
    items = [{"id": "p1", "title": "Induction", published: True, "colour": "red"}]
    found = ask(
        over_the_wire(serving(training__paths__v1={"totalCount": 1, "items": items})),
        lambda client: client.paths.list(),
    )
    assert [(one.id, one.title, one.is_published, dict(one.extra)) for one in found] == [
        ("p1", "Induction", True, {"colour": "red"})
    ]
    assert isinstance(found[0], LearningPath)


def test_a_path_keeps_the_order_of_its_courses(ask: Asker) -> None:
    path = {"id": "p 1", "title": "Induction", "courses": COURSES}
    found = ask(
        over_the_wire(serving(**{"training__paths__v1__p%201": path})), lambda client: client.paths.get("p 1")
    )
    assert [course.id for course in found.courses] == ["c2", "c1"]
    assert found.is_published is None


def test_courses_of_a_path_under_another_name_are_not_taken_for_none(ask: Asker) -> None:
    reply = serving(training__paths__v1__p={"id": "p", "title": "Induction", "modules": [{"id": "c"}]})
    with pytest.raises(DecodingError, match="'courses' is missing"):
        ask(over_the_wire(reply), lambda client: client.paths.get("p"))


def test_an_empty_list_of_courses_may_be_left_out(ask: Asker) -> None:
    reply = serving(training__paths__v1__p={"id": "p", "title": "Induction"})
    assert ask(over_the_wire(reply), lambda client: client.paths.get("p")).courses == ()


@pytest.mark.parametrize("title", ["title", "name"])
def test_collections_and_their_courses(ask: Asker, title: str) -> None:
    reply = over_the_wire(
        serving(
            training__collections__v1={"total_count": 1, "items": [{"id": "k", title: "Safety"}]},
            training__collections__v1__k__courses={"items": COURSES, "totalCount": 2},
        )
    )
    assert ask(reply, lambda client: client.collections.list()) == [Collection("k", "Safety")]
    courses = ask(reply, lambda client: client.collections.courses("k"))
    assert [course.id for course in courses] == ["c2", "c1"]


def test_group_members_are_walked_to_the_end_and_filtered_by_the_client(ask: Asker) -> None:
    rows = [
        [{"userId": f"u{n}", "groupId": f"g{n % 2}"}, {"user_id": f"v{n}", "group_id": "g9"}]
        for n in range(4)
    ]
    reply = over_the_wire(fed(*rows))
    everyone = ask(reply, lambda client: client.groups.members())
    assert [member.user_id for member in everyone] == ["u0", "v0", "u1", "v1", "u2", "v2", "u3", "v3"]
    some = ask(reply, lambda client: client.groups.members(group_ids=["g1", "g1", "g7"]))
    assert some == [GroupMember("u1", "g1"), GroupMember("u3", "g1")]


def test_sites_and_their_members(ask: Asker) -> None:
    found = ask(
        over_the_wire(
            fed([{"id": "s1", "name": "Leeds", "parentId": "s0"}, {"id": "s2", "name": "", "deleted": True}])
        ),
        lambda client: client.sites.list(),
    )
    assert found == [Site("s1", "Leeds", parent_id="s0"), Site("s2", "", deleted=True)]
    members = over_the_wire(fed([{"site_id": "s1", "member_id": "u"}, {"siteId": "s2", "memberId": "u"}]))
    assert len(ask(members, lambda client: client.sites.members())) == 2
    (only,) = ask(members, lambda client: client.sites.members(site_ids=["s2"]))
    assert (only.site_id, only.member_id) == ("s2", "u")


def test_groups_are_listed(ask: Asker) -> None:
    (group,) = ask(
        over_the_wire(fed([{"id": "g", "name": "Crew", "organisationId": "o"}])),
        lambda client: client.groups.list(),
    )
    assert (group.id, group.name, group.organisation_id) == ("g", "Crew", "o")
