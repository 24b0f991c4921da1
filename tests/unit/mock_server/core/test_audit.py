from __future__ import annotations

import json

from mock_server import MockTraining, Policy
from mock_server.wire.message import Request
from unit.mock_server.core.speaker import (
    AGENT,
    FORKLIFT,
    JSON_TYPE,
    PREVIEW,
    RESET,
    Speaker,
    course_id,
    user_of,
)


def test_R23_every_refusal_is_written_down(mock: MockTraining, admin: Speaker) -> None:
    course, anna = course_id(mock), user_of(mock, "learner")
    body = {"courseId": course, "userIds": [anna]}
    text = json.dumps(body).encode()
    sent = [
        Speaker(mock, "revoked").reset(course, [anna], (FORKLIFT, 1)),
        Speaker(mock, "expired").reset(course, [anna], (FORKLIFT, 1)),
        admin.send("POST", RESET, headers=(JSON_TYPE,), too_large=True),
        admin.send("POST", RESET, raw=text),
        admin.send("POST", RESET, raw=text[:-1], headers=(JSON_TYPE,)),
        Speaker(mock, "manager").reset(course, [anna], (FORKLIFT, 1)),
        admin.reset(course, [], (FORKLIFT, 1)),
        admin.reset("nowhere", [anna], (FORKLIFT, 1)),
        admin.reset(course, [anna, "nobody"], (FORKLIFT, 1)),
        admin.reset(course, [anna], None),
        admin.reset(course, [anna], (FORKLIFT, 2)),
    ]
    assert [answer.status for answer in sent] == [401, 401, 413, 415, 400, 403, 400, 404, 404, 428, 412]
    assert [(entry.status, entry.outcome) for entry in mock.audit] == [
        (answer.status, answer.reason) for answer in sent
    ]
    assert [entry.request_id for entry in mock.audit] == [answer.headers["x-request-id"] for answer in sent]
    actors = [entry.actor_id for entry in mock.audit]
    assert actors == [user_of(mock, "admin")] * 5 + [user_of(mock, "manager")] + [user_of(mock, "admin")] * 5
    assert [entry.course_id for entry in mock.audit[5:]] == [
        course,
        course,
        "nowhere",
        course,
        course,
        course,
    ]
    assert mock.audit[8].user_ids == (anna, "nobody")
    assert all(entry.users_updated == 0 for entry in mock.audit)


def test_R23_nobody_known_is_nobody_to_write_down(mock: MockTraining) -> None:
    Speaker(mock, "never-given-out").reset(course_id(mock), None, (FORKLIFT, 37))
    Speaker(mock, None).reset(course_id(mock), None, (FORKLIFT, 37))
    assert mock.audit == ()


def test_R23_only_resets_are_written_down(mock: MockTraining, admin: Speaker) -> None:
    admin.post(PREVIEW, {"courseId": course_id(mock), "allUsers": True})
    admin.rows()
    admin.get(RESET)
    admin.post(f"{RESET}/", {})
    assert mock.audit == ()


def test_R23_hostile_bodies_are_written_down_within_bounds(mock: MockTraining, admin: Speaker) -> None:
    admin.post(RESET, {"courseId": "x" * 5000, "userIds": ["y" * 5000] * 100, "allUsers": 1})
    admin.post(RESET, {"courseId": ["a"], "userIds": {"b": 1}})
    admin.post(RESET, [1, 2])
    assert [len(entry.course_id) for entry in mock.audit] == [128, 0, 0]
    assert [entry.user_ids for entry in mock.audit] == [("y" * 128,), (), ()]


def test_R23_a_refused_request_for_many_keeps_their_number_and_the_first(mock: MockTraining) -> None:
    many = [f"user_{n:032}" for n in range(1000)]
    Speaker(mock, "expired").reset(course_id(mock), many, (FORKLIFT, 1))
    Speaker(mock, "expired").reset(course_id(mock), many[:20], (FORKLIFT, 1))
    first, second = mock.audit
    assert (first.users_asked, first.user_ids) == (1000, tuple(many[:20]))
    assert (second.users_asked, second.user_ids) == (20, tuple(many[:20]))


def test_R23_each_organisation_has_its_own_entries(mock: MockTraining) -> None:
    outsider = Speaker(mock, "outsider")
    outsider.reset(course_id(mock), None, (FORKLIFT, 37))
    (entry,) = mock.audit
    assert entry.organisation_id != mock.world.main.id
    assert entry.outcome == "COURSE_NOT_FOUND"


def test_R23_a_reset_through_another_door_of_the_same_world_is_the_same(mock: MockTraining) -> None:
    token = ("authorization", f"bearer {mock.token('admin')}")
    mock.handle(
        Request("POST", "/training/courseprogress/v1/%72eset", headers=(token, AGENT, JSON_TYPE), body=b"{}")
    )
    assert [entry.outcome for entry in mock.audit] == ["INVALID_ARGUMENT"]


def test_R23_more_people_than_are_usually_reset_at_once_are_all_on_record() -> None:
    mock = MockTraining.generate(users=3000, courses=1, seed=3, policy=Policy(max_users_per_reset=5000))
    (course,) = mock.world.courses
    progress = mock.world.main.progress[course.id]
    cleared = [user_id for user_id in progress.roster if user_id in progress.records]
    everyone = [user.id for user in mock.world.users]
    answer = Speaker(mock, "admin").reset(course.id, everyone, (course.title, len(cleared)))
    (entry,) = mock.audit
    assert answer.json == {"usersUpdated": len(cleared)}
    assert len(cleared) > 1000
    assert entry.user_ids == tuple(everyone)
    assert entry.users_asked == len(everyone)
    assert set(entry.reset_ids) == set(cleared)
