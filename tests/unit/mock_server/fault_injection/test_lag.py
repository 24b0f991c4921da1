"""The warehouse: feed and analytics show the past, everything else the present."""

from __future__ import annotations

import gc
import weakref
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import MockTraining, Policy
from mock_server.world.people import Status
from mock_server.world.progress import LONGEST, CourseProgress
from unit.mock_server.core.speaker import (
    ATTEMPTS,
    COURSES,
    FEED,
    FORKLIFT,
    PREVIEW,
    STATISTICS,
    Speaker,
    course_id,
    recorded,
    user_of,
)
from unit.mock_server.core.test_lessons_and_slides import LESSONS, LISTS, SLIDES, USER_SLIDES, items

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def lagging(lag: timedelta = HOUR) -> MockTraining:
    mock = MockTraining.demo(now=NOW)
    mock.lag = lag
    return mock


def reset_everyone(mock: MockTraining, title: str = FORKLIFT) -> None:
    users = recorded(mock, title)
    answer = Speaker(mock).reset(course_id(mock, title), None, (title, len(users)))
    assert answer.status == 200, answer.body


def read(mock: MockTraining) -> tuple[object, ...]:
    """All that comes from the warehouse."""
    admin = Speaker(mock)
    somebody = mock.world.users[-1].id
    lessons = f"/training/analytics/v1/users/{somebody}/lessons/progress"
    lists = [admin.get(each, "pageSize=1000").body for each in (STATISTICS, ATTEMPTS, lessons, *LISTS)]
    return (admin.rows(), *lists, admin.get(USER_SLIDES.format(somebody)).body)


def test_a_reset_shows_in_feed_and_analytics_only_after_the_lag() -> None:
    mock = lagging()
    before = read(mock)
    mock.clock.advance(HOUR)
    reset_everyone(mock)
    at_once = read(mock)
    mock.clock.advance(HOUR - timedelta(microseconds=1))
    just_before = read(mock)
    mock.clock.advance(timedelta(microseconds=1))
    after = read(mock)
    assert before == at_once == just_before != after
    mock.lag = timedelta(0)
    assert read(mock) == after


def test_a_course_that_loses_lessons_loses_their_figures_in_the_past_too() -> None:
    mock = lagging()
    admin, query = Speaker(mock), f"courseId={course_id(mock)}"
    mock.clock.advance(HOUR)
    reset_everyone(mock)
    whole = {path: items(admin, path, query) for path in LISTS}
    first = mock.world.course(FORKLIFT).lessons[:1]
    mock.world.update_course(FORKLIFT, lessons=first)
    for path, before in whole.items():
        assert items(admin, path, query) == [each for each in before if each["lessonId"] == first[0].id] != []


def test_what_is_not_of_the_warehouse_is_never_late() -> None:
    mock = lagging()
    admin = Speaker(mock)
    mock.world.update_course(FORKLIFT, title="Forklift basics 2")
    mock.world.update_user(user_of(mock, "learner"), first_name="Zoë")
    assert "Forklift basics 2" in [
        each["title"] for each in admin.get(COURSES, "pageSize=1000").json["items"]
    ]
    assert Speaker(mock, "learner").get("/accounts/user/v1/user:WhoAmI").json["firstname"] == "Zoë"
    users = admin.post("/users/v1/users/list", {"list_all": True}).json["users"]
    assert "Zoë" in [each["first_name"] for each in users]


def test_R06_a_confirmation_is_checked_against_the_truth_and_not_the_lagging_view() -> None:
    mock = lagging()
    course, count = course_id(mock), len(recorded(mock))
    newcomer = next(u for u in mock.world.main.progress[course].roster if u not in recorded(mock))
    mock.world.complete_course(course, newcomer)
    admin = Speaker(mock)
    assert admin.post(PREVIEW, {"courseId": course, "allUsers": True}).json["usersToReset"] == count + 1
    refused = admin.reset(course, None, (FORKLIFT, count))
    assert (refused.status, refused.metadata["users"]) == (412, str(count + 1))
    done = admin.reset(course, None, (FORKLIFT, count + 1))
    assert done.json == {"usersUpdated": count + 1}


def test_names_in_lagging_rows_are_those_of_today() -> None:
    mock = lagging()
    reset_everyone(mock)
    learner = user_of(mock, "learner")
    rows = [row for row in Speaker(mock).rows() if row["user_id"] == learner]
    mock.world.update_user(learner, first_name="Zoë")
    after = [row for row in Speaker(mock).rows() if row["user_id"] == learner]
    assert after == [{**row, "user_first_name": "Zoë"} for row in rows] != []


def test_R04_rights_are_never_late() -> None:
    mock = lagging()
    mock.world.update_user(user_of(mock, "manager"), permission_sets=frozenset())
    assert Speaker(mock, "manager").get(STATISTICS).status == 403


def test_R15_a_world_without_a_lag_keeps_no_past() -> None:
    mock = lagging()
    reset_everyone(mock)
    course = mock.world.main.progress[course_id(mock)]
    assert course.lag_history is not None
    assert course.lag_history.changes
    mock.lag = timedelta(0)
    assert [each.lag_history for each in mock.world.main.progress.courses.values() if each.lag_history] == []
    mock.world.complete_course(FORKLIFT, user_of(mock, "learner"))
    assert course.lag_history is None


def test_the_past_is_forgotten_when_no_lag_could_ask_for_it() -> None:
    mock = lagging(LONGEST)
    course, user = course_id(mock), recorded(mock)[0]
    past = mock.world.main.progress[course].lag_history
    assert past is not None
    longest = 0
    for _ in range(100):
        mock.world.post_to_discussion(course, user)
        mock.clock.advance(10 * MINUTE)
        longest = max(longest, len(past.changes))
    assert past.dropped + len(past.changes) == 100
    assert 24 <= longest < 40


def test_the_past_is_kept_for_as_long_as_lag_and_refresh_together_may_ask_for_it() -> None:
    most = int(LONGEST.total_seconds())
    start = datetime(2026, 11, 2, tzinfo=UTC)  # a refresh begins here
    mock = MockTraining.demo(now=start - 3 * HOUR, policy=Policy(lag_seconds=most, refresh_seconds=most))
    course, (active, *_) = course_id(mock), recorded(mock)
    newcomer = next(u for u in mock.world.main.progress[course].roster if u not in recorded(mock))
    mock.world.post_to_discussion(course, active)
    mock.clock.freeze(start + timedelta(seconds=1))
    mock.world.complete_course(course, newcomer)
    mock.clock.freeze(
        start + 2 * LONGEST - timedelta(seconds=1)
    )  # the latest moment at which `start` is shown
    mock.world.post_to_discussion(course, active)
    past = mock.world.main.progress[course].lag_history
    assert past is not None
    assert past.dropped == 1, "nothing was forgotten, so this shows nothing"
    query = f"course_id={course}&user_id={newcomer}"
    assert Speaker(mock).rows(query)[0]["completed_at"] == ""
    mock.clock.advance(timedelta(seconds=1))
    assert Speaker(mock).rows(query)[0]["completed_at"] != ""


def test_what_follows_a_clock_set_back_shows_after_the_lag_and_not_years_later() -> None:
    mock = lagging()
    course = course_id(mock)
    late = [u for u in mock.world.main.progress[course].roster if u not in recorded(mock)][:3]

    def shown() -> list[bool]:
        rows = (Speaker(mock).rows(f"course_id={course}&user_id={each}") for each in late)
        return [bool(row["completed_at"]) for (row,) in rows]

    mock.clock.freeze(NOW.replace(year=2030))
    for each in late[:2]:
        mock.world.complete_course(course, each)
    mock.clock.freeze(NOW)
    mock.world.complete_course(course, late[2])
    assert shown() == [False, False, False]
    mock.clock.advance(HOUR)
    assert shown() == [True, True, True]


def test_what_a_clock_set_back_has_left_behind_shows_once_the_lag_is_over() -> None:
    mock = lagging()
    course = course_id(mock)
    user = next(u for u in mock.world.main.progress[course].roster if u not in recorded(mock))
    query = f"course_id={course}&user_id={user}"
    mock.clock.freeze(NOW.replace(year=2030))
    mock.world.complete_course(course, user)
    mock.clock.freeze(NOW)
    (before,) = Speaker(mock).rows(query)
    mock.clock.advance(HOUR)
    (after,) = Speaker(mock).rows(query)
    mock.lag = timedelta(0)
    assert before != after == Speaker(mock).rows(query)[0]


def test_a_view_of_the_past_goes_when_the_next_one_takes_its_place() -> None:
    mock = lagging()
    course, user = course_id(mock), recorded(mock)[0]
    past = mock.world.main.progress[course].lag_history
    assert past is not None
    views: dict[weakref.ref[CourseProgress], None] = {}
    mock.world.post_to_discussion(course, user)
    for _ in range(20):
        mock.clock.advance(HOUR)
        mock.world.post_to_discussion(course, user)
        Speaker(mock).rows(f"course_id={course}")
        assert past.view is not None
        last = past.view[1]
        views[weakref.ref(last)] = None
    gc.collect()
    assert len(views) == 20
    assert [each() for each in views if each() is not None] == [last]


@pytest.mark.parametrize("path", [LESSONS, SLIDES])
def test_figures_counted_over_a_view_of_the_past_do_not_keep_it(path: str) -> None:
    mock = lagging()
    course, user = course_id(mock), recorded(mock)[0]
    past = mock.world.main.progress[course].lag_history
    assert past is not None
    mock.world.post_to_discussion(course, user)
    views: list[weakref.ref[CourseProgress]] = []
    for asked in (path, FEED):
        mock.clock.advance(HOUR)
        mock.world.post_to_discussion(course, user)
        assert Speaker(mock).get(asked).status == 200
        assert past.view is not None
        views.append(weakref.ref(past.view[1]))
    gc.collect()
    assert [each() is not None for each in views] == [False, True]


def test_refreshes_come_at_intervals() -> None:
    mock = MockTraining.demo(now=NOW, policy=Policy(refresh_seconds=1800))
    mock.clock.advance(10 * MINUTE)
    before = read(mock)
    reset_everyone(mock)
    mock.clock.advance(20 * MINUTE - timedelta(seconds=1))
    assert read(mock) == before
    mock.clock.advance(timedelta(seconds=1))
    assert read(mock) != before


def test_a_new_course_has_nobody_in_it_before_the_warehouse_knows() -> None:
    mock = lagging()
    course, admin = mock.world.update_course(FORKLIFT, title="Twin"), Speaker(mock)
    with mock.world.lock:
        mock.world.main.put_course(evolve(course, id="f" * 24))
    entry = {"id": user_of(mock, "learner"), "type": "ASSIGNMENT_TYPE_USER", "isAssigned": True}
    path = f"/training/courses/v1/{'f' * 24}/assignments"
    assert admin.send("PUT", path, body={"assignments": [entry]}).status == 200
    assert admin.rows(f"course_id={'f' * 24}") == []
    mock.clock.advance(HOUR)
    assert [row["user_id"] for row in admin.rows(f"course_id={'f' * 24}")] == [entry["id"]]


@pytest.mark.parametrize(
    "lag", [timedelta(seconds=-1), timedelta(seconds=0.5), LONGEST + timedelta(seconds=1)]
)
def test_a_lag_out_of_range_is_refused_and_changes_nothing(lag: timedelta) -> None:
    mock = lagging()
    with pytest.raises(ValueError, match="0 to 2 hours"):
        mock.lag = lag
    assert mock.lag == HOUR == timedelta(seconds=mock.policy.lag_seconds)


@pytest.mark.parametrize("name", ["lag_seconds", "refresh_seconds"])
@pytest.mark.parametrize("value", ["-1", "7201", "1.5", "soon"])
def test_a_policy_of_lag_out_of_range_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name}.*0 to 7200"):
        Policy.from_pairs([f"{name}={value}"])


ACTIONS = ("complete", "post", "reset", "unassign", "assign", "deactivate", "activate")
steps = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 2), st.integers(0, 1), st.integers(0, 50)), max_size=25
)


def _do(mock: MockTraining, action: str, user: str, course: str) -> None:
    on_roster = mock.world.main.progress[course].has(user)
    match action:
        case "complete" | "post" if on_roster:
            act = mock.world.complete_course if action == "complete" else mock.world.post_to_discussion
            act(course, user)
        case "reset":
            Speaker(mock).reset(course, [user], None)
        case "assign" | "unassign":
            entry = {"id": user, "type": "ASSIGNMENT_TYPE_USER", "isAssigned": action == "assign"}
            body = {"assignments": [entry], "universalAccess": False}
            Speaker(mock).send("PUT", f"{COURSES}/{course}/assignments", body=body)
        case "activate" | "deactivate":
            status = Status.ACTIVE if action == "activate" else Status.DEACTIVATED
            mock.world.update_user(user, status=status)


@settings(max_examples=40, deadline=None)
@given(steps=steps, lag=st.integers(1, 120))
def test_a_lagging_world_shows_an_earlier_state(steps: list[tuple[str, int, int, int]], lag: int) -> None:
    """Against a twin that does the same without a lag, and whose answers are written down minute by minute."""
    policy = Policy(confirmation="off")
    punctual, late = (MockTraining.generate(users=6, courses=2, policy=policy, now=NOW) for _ in range(2))
    staff = {each["user_id"] for each in late.tokens()}
    people = [u.id for u in late.world.users if u.id not in staff] or [late.world.users[-1].id]
    courses = [course.id for course in late.world.courses]
    late.lag = lag * MINUTE
    shown = [(NOW, read(punctual))]
    for action, user, course, minutes in steps:
        for mock in (punctual, late):
            _do(mock, action, people[user % len(people)], courses[course])
        shown.append((punctual.clock.now(), read(punctual)))
        for mock in (punctual, late):
            mock.clock.advance(minutes * MINUTE)
        moment = late.clock.now() - lag * MINUTE
        then = [seen for at, seen in shown if at <= moment] or [shown[0][1]]
        assert read(late) == then[-1]
