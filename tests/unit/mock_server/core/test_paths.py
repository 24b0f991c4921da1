"""Learning paths and collections: their shapes and pages, in every world, and in what is kept of one."""

from __future__ import annotations

import pytest

from mock_server import MockTraining
from unit.mock_server.core.speaker import ANNA, FORKLIFT, Speaker

PATHS = "/training/paths/v1"
COLLECTIONS = "/training/collections/v1"


def by_title(speaker: Speaker, path: str) -> dict[str, str]:
    return {item["title"]: item["id"] for item in speaker.get(path).json["items"]}


def test_a_collections_courses_come_in_pages(admin: Speaker) -> None:
    held = by_title(admin, COLLECTIONS)["Safety at work"]
    first = admin.get(f"{COLLECTIONS}/{held}/courses", "pageSize=2").json
    second = admin.get(f"{COLLECTIONS}/{held}/courses", "page=2&pageSize=2").json
    assert (first["totalCount"], len(first["items"]), len(second["items"])) == (3, 2, 1)
    assert first["items"][0]["title"] == FORKLIFT
    assert admin.get(f"{COLLECTIONS}/{held}/courses", "page=3&pageSize=2").json["items"] == []


def test_R10_a_path_follows_who_somebody_is(mock: MockTraining) -> None:
    learner = Speaker(mock, "learner")
    mock.world.update_user(ANNA, groups=frozenset())
    assert by_title(learner, PATHS) == {}


@pytest.mark.parametrize("path", [f"{PATHS}/unknown", f"{COLLECTIONS}/unknown/courses"])
def test_R03_unknown_ones_are_404(admin: Speaker, path: str) -> None:
    answer = admin.get(path)
    assert (answer.status, answer.reason) == (
        404,
        "PATH_NOT_FOUND" if PATHS in path else "COLLECTION_NOT_FOUND",
    )


def test_generated_worlds_have_a_few() -> None:
    speaker = Speaker(MockTraining.generate(users=3, courses=7, seed=1), "admin")
    paths = by_title(speaker, PATHS)
    assert paths.keys() == {"Induction", "Every second course"}
    sizes = {title: len(speaker.get(f"{PATHS}/{one}").json["courses"]) for title, one in paths.items()}
    assert sizes == {"Induction": 5, "Every second course": 4}
    held = by_title(speaker, COLLECTIONS)["Everything"]
    assert speaker.get(f"{COLLECTIONS}/{held}/courses").json["totalCount"] == 7
