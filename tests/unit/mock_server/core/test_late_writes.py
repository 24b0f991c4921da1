from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mock_server import LateWriteError, MockTraining, NotAssignedError, Policy
from unit.mock_server.conftest import NOW
from unit.mock_server.core.speaker import ANNA, FORKLIFT, Speaker, changed, course_id, recorded, user_of

ACTIONS: dict[str, Callable[[MockTraining, datetime], object]] = {
    "open": lambda mock, at: mock.world.open(FORKLIFT, ANNA, made_at=at),
    "lesson": lambda mock, at: mock.world.complete_lesson(FORKLIFT, ANNA, "Welcome to the yard", made_at=at),
    "course": lambda mock, at: mock.world.complete_course(FORKLIFT, ANNA, made_at=at),
    "assessment": lambda mock, at: mock.world.submit_assessment(FORKLIFT, ANNA, mark=80, made_at=at),
    "post": lambda mock, at: mock.world.post_to_discussion(FORKLIFT, ANNA, "Late.", made_at=at),
    "hand-in": lambda mock, at: mock.world.hand_in_assignment(FORKLIFT, ANNA, made_at=at),
}
MOMENT = timedelta(microseconds=1)


def after_a_reset(policy: Policy | None = None) -> MockTraining:
    mock = MockTraining.demo(policy=policy, now=NOW)
    assert Speaker(mock).reset(course_id(mock), [user_of(mock, "learner")], (FORKLIFT, 1)).status == 200
    mock.world.clock.advance(timedelta(hours=2))
    return mock


@pytest.mark.parametrize("action", ACTIONS)
def test_R22_a_write_made_before_the_reset_is_refused(action: str) -> None:
    mock = after_a_reset()
    before = mock.world.snapshot()
    with pytest.raises(LateWriteError, match="before the reset"):
        ACTIONS[action](mock, NOW - MOMENT)
    assert changed(before, mock.world.snapshot()) == set()


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("late", [timedelta(0), MOMENT, timedelta(hours=1)])
def test_R22_a_write_made_since_the_reset_is_taken(action: str, late: timedelta) -> None:
    mock = after_a_reset()
    ACTIONS[action](mock, NOW + late)
    record = mock.world.record(FORKLIFT, ANNA)
    assert record is not None
    assert record.opened_at.startswith((NOW + late).isoformat(timespec="seconds")[:19])


@pytest.mark.parametrize("action", ACTIONS)
def test_R22_the_policy_accepts_late_writes(action: str) -> None:
    mock = after_a_reset(Policy(late_writes="accepted"))
    ACTIONS[action](mock, NOW - timedelta(days=1))
    record = mock.world.record(FORKLIFT, ANNA)
    assert record is not None
    assert record.opened_at == "2026-11-29T09:00:00.000Z"


def test_R22_others_are_not_held_up(mock: MockTraining, admin: Speaker) -> None:
    mock = after_a_reset()
    progress = mock.world.main.progress[course_id(mock)]
    other = next(user for user in progress.roster if user not in progress.reset_at)
    assert mock.world.open(FORKLIFT, other, made_at=NOW - timedelta(days=1)).opened_at
    assert mock.world.open("Data protection in 20 minutes", ANNA, made_at=NOW - timedelta(days=1)).opened_at


def test_R21_a_reset_of_nothing_refuses_no_later_write(mock: MockTraining, admin: Speaker) -> None:
    progress = mock.world.main.progress[course_id(mock)]
    fresh = next(user for user in progress.roster if user not in progress.records)
    assert admin.reset(course_id(mock), [fresh], (FORKLIFT, 0)).status == 200
    assert mock.world.open(FORKLIFT, fresh, made_at=NOW - timedelta(days=1)).opened_at


def test_R16_unassigned_people_cannot_learn(mock: MockTraining) -> None:
    before = mock.world.snapshot()
    for person in mock.world.users:
        if not mock.world.main.progress[course_id(mock)].has(person.id):
            with pytest.raises(NotAssignedError, match="not assigned"):
                mock.world.open(FORKLIFT, person.id)
    assert changed(before, mock.world.snapshot()) == set()


def test_R22_made_at_needs_a_time_zone(mock: MockTraining) -> None:
    with pytest.raises(ValueError, match="time zone"):
        mock.world.open(FORKLIFT, ANNA, made_at=NOW.replace(tzinfo=None))


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    "at",
    [
        datetime(1969, 12, 31, 23, 59, tzinfo=UTC),
        datetime(9000, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_R22_made_at_is_within_the_range_of_a_clock(mock: MockTraining, action: str, at: datetime) -> None:
    before = mock.state()
    with pytest.raises(ValueError, match=r"made_at must be in the years 1970 to 8999|in the years 1 to 9999"):
        ACTIONS[action](mock, at)
    assert mock.diff(before) == ()


def test_a_completion_on_the_last_day_can_still_expire(mock: MockTraining) -> None:
    mock.world.update_course(FORKLIFT, completion_expires_months=1200)
    fresh = next(u for u in mock.world.main.progress[course_id(mock)].roster if u not in recorded(mock))
    last = datetime(8999, 12, 31, 23, 59, tzinfo=UTC)
    record = mock.world.complete_course(FORKLIFT, fresh, made_at=last)
    assert record.completion_expiry_date.startswith("9099-12-31")
    with pytest.raises(ValueError, match="completion_expires_months"):
        mock.world.update_course(FORKLIFT, completion_expires_months=1201)
