"""R03 to R05: learning paths, collections, groups and sites, through both clients and both doors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from contract.plant import ARCHIVED, DRAFT, FIRE, FORKLIFT, HIDDEN, INDUCTION, SAFETY, Plant, nothing_changes
from contract.stage import Stage
from mock_server.mock import TokenName
from training_sdk import NotFoundError, PermissionDeniedError

STAFF: tuple[TokenName, ...] = ("admin", "manager", "teamlead", "resetter")


@pytest.mark.parametrize("who", STAFF)
def test_R05_staff_see_paths_and_collections_with_courses(stage: Stage, plant: Plant, who: TokenName) -> None:
    client = stage.client(who)
    assert {path.title: path.is_published for path in client.paths.list()} == {INDUCTION: True, HIDDEN: False}
    assert {one.title for one in client.collections.list()} == {SAFETY, HIDDEN}
    path = client.paths.get(plant.path())
    assert [course.title for course in path.courses] == [FIRE, DRAFT, FORKLIFT]
    assert path.courses[2] == client.courses.get(plant.forklift)
    courses = [course.title for course in client.collections.courses(plant.collection())]
    assert courses == [FORKLIFT, ARCHIVED, FIRE]


def test_R05_a_learner_sees_published_assigned_paths_and_collections(stage: Stage, plant: Plant) -> None:
    learner = stage.client("learner")
    assert [path.title for path in learner.paths.list()] == [INDUCTION]
    assert [course.title for course in learner.paths.get(plant.path()).courses] == [FIRE, FORKLIFT]
    assert [one.title for one in learner.collections.list()] == [SAFETY]
    courses = [course.title for course in learner.collections.courses(plant.collection())]
    assert courses == [FORKLIFT, FIRE]


@pytest.mark.parametrize("who", ["learner", "outsider"])
def test_R03_R04_hidden_and_unknown_paths_look_alike(stage: Stage, plant: Plant, who: TokenName) -> None:
    client = stage.client(who)

    def refusal(ask: Callable[[], object], asked: str) -> tuple[int | None, str | None, str]:
        with pytest.raises(NotFoundError) as refused:
            ask()
        return refused.value.status, refused.value.reason, refused.value.message.replace(asked, "…")

    def courses_of(one: str) -> object:
        return list(client.collections.courses(one))

    paths = {refusal(partial(client.paths.get, one), one) for one in (plant.path(HIDDEN), "unknown")}
    assert {(status, reason) for status, reason, _ in paths} == {(404, "PATH_NOT_FOUND")}
    assert len(paths) == 1
    held = {refusal(partial(courses_of, one), one) for one in (plant.collection(HIDDEN), "unknown")}
    assert {(status, reason) for status, reason, _ in held} == {(404, "COLLECTION_NOT_FOUND")}
    assert len(held) == 1


def test_R05_groups_and_sites_with_their_members(stage: Stage, plant: Plant) -> None:
    client = stage.client("manager")
    groups = {group.name: group.id for group in client.groups.list()}
    assert groups.keys() == {"Crew", "Night shift"}
    night = client.groups.members(group_ids=[groups["Night shift"]])
    assert plant.names(member.user_id for member in night) == {"anna", "gus"}
    everyone = {(member.group_id, member.user_id) for member in client.groups.members()}
    assert len(everyone) == 9
    (harbour,) = client.sites.list()
    assert (harbour.name, harbour.deleted) == ("Harbour", False)
    members = [member.member_id for member in client.sites.members(site_ids=[harbour.id])]
    assert members == plant.ids("dora")
    assert list(client.sites.members(site_ids=["unknown"])) == []


@pytest.mark.parametrize("who", ["teamlead", "learner"])
def test_R05_without_users_no_groups_and_sites_are_seen(stage: Stage, plant: Plant, who: TokenName) -> None:
    client = stage.client(who)
    for listing in (client.groups.list, client.groups.members, client.sites.list, client.sites.members):
        with nothing_changes(plant.mock), pytest.raises(PermissionDeniedError) as denied:
            list(listing())
        assert denied.value.reason == "PERMISSION_DENIED"
