from __future__ import annotations

import pytest

from mock_server import MockTraining
from mock_server.world.people import Seat, Status
from mock_server.world.progress import Record
from unit.mock_server.conftest import NOW
from unit.mock_server.core.speaker import (
    ANNA,
    FORKLIFT,
    PREVIEW,
    Speaker,
    changed,
    course_id,
    user_of,
)

USER, GROUP, SITE = "ASSIGNMENT_TYPE_USER", "ASSIGNMENT_TYPE_GROUP", "ASSIGNMENT_TYPE_SITE"
DATE = "2026-03-01T08:00:00Z"
TRACES = {
    "opened_at": Record(NOW, opened_at=DATE),
    "completed_at": Record(NOW, completed_at=DATE),
    "completed_lessons": Record(NOW, completed_lessons=1),
    "progress_percent": Record(NOW, progress_percent=0.5),
    "score": Record(NOW, score=1),
    "time_spent_seconds": Record(NOW, time_spent_seconds=1),
}


def count(speaker: Speaker, course: str) -> int:
    """How many a reset of everyone would clear."""
    return int(speaker.post(PREVIEW, {"courseId": course, "allUsers": True}).json["usersToReset"])


@pytest.mark.parametrize("trace", TRACES)
def test_R09_any_trace_in_the_feed_is_progress(mock: MockTraining, admin: Speaker, trace: str) -> None:
    progress = mock.world.main.progress[course_id(mock)]
    fresh = next(user for user in progress.roster if user not in progress.records)
    progress.put(fresh, Record(NOW))
    assert admin.reset(course_id(mock), [fresh], (FORKLIFT, 0)).json == {"usersUpdated": 0}
    progress.put(fresh, TRACES[trace])
    assert admin.rows(f"user_id={fresh}&course_id={course_id(mock)}")[0][trace]
    assert admin.reset(course_id(mock), [fresh], (FORKLIFT, 1)).json == {"usersUpdated": 1}
    assert fresh not in progress.records


def test_R09_every_learner_action_sets_opened_at(mock: MockTraining, admin: Speaker) -> None:
    world, lessons = mock.world, mock.world.course(FORKLIFT).lessons
    progress = world.main.progress[course_id(mock)]
    fresh = [user for user in progress.roster if user not in progress.records]
    records = [
        world.post_to_discussion(FORKLIFT, fresh[0], "Mind the racks."),
        world.submit_assessment(FORKLIFT, fresh[1], mark=40),
        world.hand_in_assignment(FORKLIFT, fresh[2]),
        world.complete_lesson(FORKLIFT, fresh[3], lessons[0].title),
    ]
    assert all(record.opened_at == "2026-11-30T09:00:00.000Z" for record in records)
    assert count(admin, course_id(mock)) == 37 + 4
    assert admin.reset(course_id(mock), [fresh[0]], (FORKLIFT, 1)).json == {"usersUpdated": 1}
    assert world.record(FORKLIFT, fresh[0]) is None


@pytest.mark.parametrize("change", [{"status": Status.DEACTIVATED}, {"seat": Seat.GUEST}])
def test_R10_inactive_not_assigned(mock: MockTraining, admin: Speaker, change: dict[str, object]) -> None:
    course, anna = course_id(mock), user_of(mock, "learner")
    mock.world.update_user(ANNA, **change)
    assert count(admin, course) == 36
    assert admin.rows(f"course_id={course}&user_id={anna}") == []
    before = mock.world.snapshot()
    assert admin.reset(course, [anna], (FORKLIFT, 0)).json == {"usersUpdated": 0}
    assert changed(before, mock.world.snapshot()) == {"/audit"}
    mock.world.update_user(ANNA, status=Status.ACTIVE, seat=Seat.FULL)
    row = admin.rows(f"course_id={course}&user_id={anna}")[0]
    assert row["completed_at"] != ""


def test_R10_those_who_left_have_progress_that_does_not_count(mock: MockTraining, admin: Speaker) -> None:
    progress = mock.world.main.progress[course_id(mock)]
    gone = [user for user in progress.records if not mock.world.user(user).can_learn]
    assert len(gone) == 4
    assert admin.reset(course_id(mock), None, (FORKLIFT, 37)).json == {"usersUpdated": 37}
    assert sorted(progress.records) == sorted(gone)
