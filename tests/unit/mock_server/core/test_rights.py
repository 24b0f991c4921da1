"""The table of who may do what, cell by cell."""

from __future__ import annotations

import pytest

from mock_server import MockTraining
from mock_server.world.people import Permission
from unit.mock_server.core.speaker import (
    ATTEMPTS,
    COURSES,
    PREVIEW,
    STATISTICS,
    WHO,
    Answer,
    Speaker,
    course_id,
    user_of,
)

PEOPLE = ("admin", "resetter", "manager", "teamlead", "learner")
TRAINING, USERS = "Training: Administration", "Platform management: Users"


def calls(speaker: Speaker) -> dict[str, Answer]:
    """One call of every family of operations; the reset is confirmed wrongly, so that it changes nothing."""
    mock = speaker.mock
    course, user, own = course_id(mock), user_of(mock, "learner"), user_of(mock, str(speaker.token))
    (board,) = mock.world.main.leaderboards
    group = next(iter(mock.world.main.groups))
    return {
        "who": speaker.get(WHO),
        "courses": speaker.get(COURSES),
        "lessons": speaker.get(f"{COURSES}/{course}/lessons"),
        "feed": speaker.get("/training/v1/feed/training-course-progress"),
        "attempts": speaker.get(ATTEMPTS),
        "statistics": speaker.get(STATISTICS),
        **{path: speaker.get(f"/training/analytics/v1/{path}") for path in (*FIGURES, *ROWS)},
        "user's events": speaker.get(f"/training/analytics/v1/users/{own}/lessons/progress/events"),
        "user's slides": speaker.get(f"/training/analytics/v1/users/{own}/slides/statistics"),
        "rapid refreshes": speaker.get("/training/rapid-refresh/v1"),
        "leaderboards": speaker.get("/training/individualleaderboards/v1"),
        "rankings": speaker.get("/training/individualleaderboards/v1/rankings", f"leaderboardId={board}"),
        "users": speaker.post("/users/v1/users/list", {"list_all": True}),
        "feed users": speaker.get("/feed/users"),
        "feed groups": speaker.get("/feed/groups"),
        "feed group users": speaker.get("/feed/group_users"),
        "feed sites": speaker.get("/feed/sites"),
        "groups": speaker.get("/groups"),
        "users of a group": speaker.get(f"/groups/{group}/users"),
        "feed site members": speaker.get("/feed/site_members"),
        "assignments": speaker.send("PUT", f"{COURSES}/{course}/assignments", body={"assignments": []}),
        "permission sets": speaker.post("/permissions/v1/permission_sets", {}),
        "reset": speaker.reset(course, [user], ("wrong", 1)),
        "preview": speaker.post(PREVIEW, {"courseId": course, "userIds": [user]}),
        "reset everyone": speaker.reset(course, None, ("wrong", 1)),
        "preview everyone": speaker.post(PREVIEW, {"courseId": course, "allUsers": True}),
    }


FIGURES = {
    *("lessons/statistics", "slides/statistics", "surveys/questionDefinitions", "rapidRefresh/answers"),
}
ROWS = {"lessons/progress/events", "surveys/answers"}
ALL = {"who", "courses", "lessons", "feed", "attempts", "rapid refreshes", "leaderboards", "rankings"}
ALL |= {*ROWS, "user's events", "user's slides"}
LISTS = {"groups", "users of a group"}
LISTS |= {"users", "feed users", "feed groups", "feed group users", "feed sites", "feed site members"}
RESETS = {"reset", "preview", "reset everyone", "preview everyone"}
MAY = {
    "admin": ALL | LISTS | RESETS | FIGURES | {"statistics", "assignments", "permission sets"},
    "resetter": ALL | LISTS | RESETS | {"permission sets"},
    "manager": ALL | LISTS | FIGURES | {"statistics", "assignments"},
    "teamlead": ALL | FIGURES | {"statistics"},
    "learner": ALL,
}


@pytest.mark.parametrize("token", PEOPLE)
def test_R01_R04_R05_who_may_do_what(mock: MockTraining, token: str) -> None:
    before = mock.world.snapshot()
    answers = calls(Speaker(mock, token))
    assert {name for name, answer in answers.items() if answer.status != 403} == MAY[token]
    for answer in answers.values():
        if answer.status == 403:
            assert answer.reason == "PERMISSION_DENIED"
            assert answer.metadata["permission"] in answer.message
    after = mock.world.snapshot()
    assert {**after, "audit": []} == {**before, "audit": []}


def test_R04_a_hidden_user_and_an_unknown_one_look_the_same(mock: MockTraining) -> None:
    path = "/training/analytics/v1/users/{}/lessons/progress"
    for token in ("learner", "teamlead", "resetter"):
        speaker = Speaker(mock, token)
        hidden, unknown = user_of(mock, "manager"), "user_" + "0" * 32
        answers = [speaker.get(path.format(user)) for user in (hidden, unknown)]
        assert [answer.status for answer in answers] == [404, 404]
        assert answers[0].message.replace(hidden, "") == answers[1].message.replace(unknown, "")
        assert "Training: Administration" in answers[0].message


def test_R05_learners_see_published_courses_assigned_to_them(mock: MockTraining) -> None:
    learner = Speaker(mock, "learner")
    own = {row["course_id"] for row in learner.rows()}
    every = Speaker(mock).get(COURSES, "pageSize=1000").json["items"]
    expected = [item for item in every if item["id"] in own and item["status"] == "Published"]
    assert learner.get(COURSES).json["items"] == expected
    assert 0 < len(expected) < len(own)
    for item in every:
        seen = 200 if item in expected else 404
        assert learner.get(f"{COURSES}/{item['id']}/lessons").status == seen
        lesson = mock.world.course(item["id"]).lessons[0].id
        assert learner.get(f"/training/lessons/v1/{lesson}").status == seen


def test_R01_the_names_of_permissions_are_the_articles() -> None:
    assert [Permission.USERS, Permission.TRAINING, Permission.TEAMS] == [
        "Platform management: Users",
        "Training: Administration",
        "Training: Manage teams",
    ]
