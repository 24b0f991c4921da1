"""Worlds, learners, the clock and the policy, as a user of the library meets them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Thread
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mock_server import MockTraining, NotAssignedError, Policy
from mock_server.world.clock import EARLIEST, LATEST, Clock, add_months, parse, to_http, to_text
from mock_server.world.courses import CourseStatus, DueKind
from mock_server.world.people import Seat, Status
from mock_server.world.world import Ids
from recount import recount
from unit.mock_server.conftest import NOW
from unit.mock_server.core.speaker import (
    ANNA,
    FORKLIFT,
    STATISTICS,
    WHO,
    Speaker,
    changed,
    course_id,
    recorded,
    user_of,
)


@given(st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=st.timezones()))
@example(datetime(8999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
def test_a_date_in_a_header_is_the_second_in_which_the_moment_lies(at: datetime) -> None:
    assert to_http(at) == format_datetime(at.astimezone(UTC), usegmt=True)


def assert_counters_are_true(mock: MockTraining) -> None:
    for organisation in mock.world.organisations.values():
        for course, progress in organisation.progress.courses.items():
            kept = {
                "total": len(progress.roster),
                "opened": progress.tally.opened,
                "completed": progress.tally.completed,
                "recorded": progress.tally.recorded,
                "score_sum": progress.tally.score_sum,
            }
            assert kept == recount(organisation, course)
            assert progress.roster == sorted(set(progress.roster))


def test_the_demo_is_the_same_every_time() -> None:
    first, second = MockTraining.demo(now=NOW), MockTraining.demo(now=NOW)
    assert first.world.snapshot() == second.world.snapshot()
    assert first.tokens() == second.tokens()
    Speaker(first).reset(course_id(first), None, (FORKLIFT, 37))
    assert changed(second.world.snapshot(), MockTraining.demo(now=NOW).world.snapshot()) == set()


def test_the_demo_looks_like_an_organisation(mock: MockTraining) -> None:
    courses, users = mock.world.courses, mock.world.users
    assert {course.status for course in courses} == set(CourseStatus)
    assert {course.due.kind for course in courses} == set(DueKind)
    assert (
        {course.certificate for course in courses}
        == {course.is_mandatory for course in courses}
        == {True, False}
    )
    assert any(course.completion_expires_months for course in courses)
    assert {person.status for person in users} == set(Status)
    assert {Seat.FULL, Seat.LITE, Seat.GUEST} <= {person.seat for person in users}
    assert {person.notifications for person in users} == {True, False}
    assert 55 <= len(users) <= 70
    assert all(person.email.isascii() for person in users)
    assert len({person.email for person in users}) == len(users)
    titles = "".join(course.title for course in courses)
    assert all(character in titles for character in 'ü"„🚚')
    assert_counters_are_true(mock)


def test_the_demo_course_has_37_people_in_every_state(mock: MockTraining) -> None:
    records = mock.world.main.progress[course_id(mock)].records
    mine = {user: records[user] for user in recorded(mock)}
    assert len(mine) == 37 < len(mock.world.main.progress[course_id(mock)].roster)
    assert {mock.world.user(user).notifications for user in mine} == {True, False}
    states = {
        (bool(r.completed_at), bool(r.submissions), bool(r.posts), bool(r.hand_ins), bool(r.attempts))
        for r in mine.values()
    }
    assert len(states) == 6
    anna = mine[user_of(mock, "learner")]
    assert anna.completed_at
    holders = {each.user_id for each in mock.certificates if each.course_id == course_id(mock)}
    assert {user for user in mine if mine[user].completed_at} <= holders
    assert {user for user in mine if not mine[user].completed_at}.isdisjoint(holders)


def test_the_demos_history_lies_in_the_past_and_its_clock_is_real() -> None:
    mock = MockTraining.demo()
    assert abs(mock.world.clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
    newest = datetime(2026, 11, 1, tzinfo=UTC)
    for organisation in mock.world.organisations.values():
        for progress in organisation.progress.courses.values():
            for record in progress.records.values():
                assert record.modified_at < newest
                assert all(parse(text) < newest for text in (record.opened_at, record.completed_at) if text)


def test_tokens_belong_to_people(mock: MockTraining) -> None:
    tokens = {each["name"]: each for each in mock.tokens()}
    assert set(tokens) == {
        *("admin", "manager", "teamlead", "learner", "outsider", "revoked", "resetter", "expired")
    }
    for name in ("admin", "manager", "teamlead", "learner", "resetter", "outsider"):
        assert tokens[name]["token"] == mock.token(name)
        assert Speaker(mock, name).get(WHO).json["user_id"] == tokens[name]["user_id"]
    assert len(tokens["admin"]["permissions"]) == 6
    assert tokens["manager"]["permissions"] == ["Training: Administration"]
    assert tokens["teamlead"]["permissions"] == ["Training: Manage teams"]
    assert tokens["resetter"]["permissions"] == ["Platform management: Users"]
    assert tokens["learner"]["permissions"] == []
    assert tokens["outsider"]["organisation_id"] != mock.world.main.id
    unknown: Any = "nobody"
    with pytest.raises(LookupError, match="admin, expired"):
        mock.token(unknown)


def test_generated_worlds_are_as_large_as_asked_and_repeatable() -> None:
    mock = MockTraining.generate(users=30, courses=4, seed=3, now=NOW)
    assert len(Speaker(mock).rows()) == 120
    again = MockTraining.generate(users=30, courses=4, seed=3, now=NOW)
    other = MockTraining.generate(users=30, courses=4, seed=4, now=NOW)
    assert mock.world.snapshot() == again.world.snapshot()
    assert set(mock.world.main.people).isdisjoint(other.world.main.people)
    assert {each["token"] for each in mock.tokens()}.isdisjoint(each["token"] for each in other.tokens())
    assert_counters_are_true(mock)
    assert 0 < len(Speaker(mock, "learner").rows()) == 4
    assert 0 < len(Speaker(mock, "teamlead").rows()) < 120
    for users, courses in ((0, 1), (1, 0), (-1, 1)):
        with pytest.raises(ValueError, match="needs at least 1 user and 1 course"):
            MockTraining.generate(users=users, courses=courses)


def test_things_are_looked_up_by_id_or_name(mock: MockTraining) -> None:
    world = mock.world
    assert world.course(course_id(mock)) is world.course(FORKLIFT)
    assert world.user(ANNA) is world.user(user_of(mock, "learner"))
    for look_up in (world.course, world.user):
        with pytest.raises(LookupError, match="'nothing'"):
            look_up("nothing")
    with pytest.raises(LookupError, match="no user"):
        world.user(user_of(mock, "outsider"))
    world.update_course("Forklift Basics", title=FORKLIFT)
    with pytest.raises(LookupError, match="2 courses"):
        world.course(FORKLIFT)
    assert repr(mock) == "<MockTraining Nordwerk Logistik: 64 users, 14 courses>"


def fresh(mock: MockTraining) -> str:
    progress = mock.world.main.progress[course_id(mock)]
    return next(user for user in progress.roster if user not in progress.records)


def test_a_course_is_complete_when_all_its_lessons_are(mock: MockTraining) -> None:
    world, user = mock.world, fresh(mock)
    welcome, checks, quiz, *_ = world.course(FORKLIFT).lessons
    assert world.complete_lesson(FORKLIFT, user, welcome.title).progress_percent == 16.67
    assert world.complete_lesson(FORKLIFT, user, checks.id, score=60).completed_lessons == 2
    failed = world.complete_lesson(FORKLIFT, user, quiz.id, score=79)
    assert (failed.completed_lessons, failed.attempts[-1].success) == (2, False)
    passed = world.complete_lesson(FORKLIFT, user, quiz.id, score=80)
    assert (passed.completed_lessons, len(passed.attempts), passed.time_spent_seconds) == (3, 4, 1200)
    assert world.submit_assessment(FORKLIFT, user, mark=90).completed_lessons == 3
    assert world.submit_assessment(FORKLIFT, user, mark=69, signed_off_by="JK").completed_lessons == 3
    assert world.submit_assessment(FORKLIFT, user, mark=70, signed_off_by="JK").completed_lessons == 4
    assert world.post_to_discussion(FORKLIFT, user, "Hm.").completed_lessons == 5
    done = world.hand_in_assignment(FORKLIFT, user)
    assert (done.completed_lessons, done.progress_percent) == (6, 100.0)
    assert done.completed_at == to_text(NOW)
    assert done.score == round((100 + 60 + 80 + 90) / 4)
    assert_counters_are_true(mock)


def test_completions_expire_where_the_course_says_so(mock: MockTraining) -> None:
    title = "Erste Hilfe im Betrieb 🩹"
    progress = mock.world.main.progress[course_id(mock, title)]
    user = next(each for each in progress.roster if each not in progress.records)
    assert mock.world.complete_course(title, user).completion_expiry_date == "2028-11-30T09:00:00.000Z"


def test_a_course_without_lessons_can_be_completed(mock: MockTraining) -> None:
    mock.world.update_course("Cold chain handling", lessons=())
    progress = mock.world.main.progress[course_id(mock, "Cold chain handling")]
    user = next(each for each in progress.roster if each not in progress.records)
    assert mock.world.open("Cold chain handling", user).completed_at == ""
    done = mock.world.complete_course("Cold chain handling", user)
    assert (done.progress_percent, bool(done.completed_at)) == (100.0, True)


Action = Callable[[MockTraining], object]
MISTAKES: dict[str, tuple[Action, type[Exception]]] = {
    "course": (lambda mock: mock.world.open("no such course", ANNA), LookupError),
    "user": (lambda mock: mock.world.open(FORKLIFT, "no.such@user"), LookupError),
    "lesson": (lambda mock: mock.world.complete_lesson(FORKLIFT, ANNA, "no such lesson"), LookupError),
    "kind": (lambda mock: mock.world.hand_in_assignment("Brandschutzübung", ANNA), LookupError),
    "discussion": (lambda mock: mock.world.post_to_discussion(FORKLIFT, ANNA, lesson="none"), LookupError),
    "score": (lambda mock: mock.world.complete_lesson(FORKLIFT, ANNA, "x", score=101), ValueError),
    "mark": (lambda mock: mock.world.submit_assessment(FORKLIFT, ANNA, mark=-1), ValueError),
    "assignment": (lambda mock: mock.world.open("Onboarding 2027 🚚", ANNA), NotAssignedError),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistaken_action_changes_nothing(mock: MockTraining, mistake: str) -> None:
    before = mock.world.snapshot()
    act, error = MISTAKES[mistake]
    with pytest.raises(error):
        act(mock)
    assert changed(before, mock.world.snapshot()) == set()


def test_readers_never_see_half_a_reset(mock: MockTraining) -> None:
    """A writer resets and completes everyone in turn; readers see all of it or nothing."""
    admin, course = Speaker(mock), course_id(mock)
    users = recorded(mock)
    assert admin.reset(course, None, (FORKLIFT, 37)).status == 200
    seen: list[tuple[int, int, int]] = []
    stop = False

    def read() -> None:
        while not stop:
            item = admin.get(STATISTICS, f"courseIds={course}").json["items"][0]
            rows = admin.get("/training/v1/feed/training-course-progress", f"course_id={course}").json["data"]
            opened = sum(row["opened_at"] != "" for row in rows)
            seen.append((item["openedCount"], item["completedCount"], opened))

    readers = [Thread(target=read, daemon=True) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(30):
        with mock.world.lock:
            for user in users:
                mock.world.open(FORKLIFT, user)
        assert admin.reset(course, None, (FORKLIFT, 37)).json == {"usersUpdated": 37}
    stop = True
    for reader in readers:
        reader.join(10)
    assert {count for counts in seen for count in counts} <= {0, 37}
    assert len(seen) > 2


def test_the_clock_stops_moves_and_runs() -> None:
    clock = Clock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=10)
    clock.advance(timedelta(days=2))
    assert clock.now() - datetime.now(UTC) > timedelta(days=1)
    clock.freeze()
    frozen = clock.now()
    assert clock.now() == frozen
    assert "frozen" in repr(clock)
    clock.advance(timedelta(hours=1))
    assert clock.now() == frozen + timedelta(hours=1)
    clock.freeze(NOW)
    assert clock.now() == NOW
    clock.resume()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=10)
    with pytest.raises(ValueError, match="time zone"):
        clock.freeze(NOW.replace(tzinfo=None))


moves = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**12), 10**12)


@given(st.lists(st.none() | st.datetimes(timezones=st.just(UTC)) | moves))
def test_no_move_breaks_a_clock(changes: list[datetime | float | None]) -> None:
    clock = Clock()
    for change in changes:
        before = clock.state()
        try:
            if isinstance(change, datetime | None):
                clock.freeze(change)
            else:
                clock.advance(timedelta(seconds=change))
        except (ValueError, OverflowError):
            assert clock.state() == before
        assert EARLIEST <= clock.now() < LATEST


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ((2026, 1, 31), 1, (2026, 2, 28)),
        ((2028, 1, 31), 1, (2028, 2, 29)),
        ((2026, 12, 15), 1, (2027, 1, 15)),
        ((2026, 3, 30), 24, (2028, 3, 30)),
    ],
)
def test_adding_calendar_months(start: tuple[int, int, int], months: int, end: tuple[int, int, int]) -> None:
    assert add_months(datetime(*start, tzinfo=UTC), months) == datetime(*end, tzinfo=UTC)


@given(st.datetimes(timezones=st.timezones()))
def test_dates_survive_being_written(at: datetime) -> None:
    assert abs(parse(to_text(at)) - at) < timedelta(milliseconds=1)


def test_ids_are_repeatable_and_differ() -> None:
    first, second, other = Ids("a"), Ids("a"), Ids("b")
    makers: list[Callable[[Ids], str]] = [
        Ids.user,
        Ids.role,
        Ids.certificate,
        Ids.request,
        lambda ids: ids.uuid("x"),
    ]
    for make in makers:
        made = [make(first) for _ in range(50)]
        assert made == [make(second) for _ in range(50)]
        assert len(set(made)) == 50
        assert make(other) not in made
    assert first.content(NOW) < first.content(NOW + timedelta(seconds=1))


def test_a_policy_reads_pairs() -> None:
    assert Policy.from_pairs([]) == Policy()
    assert Policy.from_pairs(
        ["everyone_permission=Training: Administration", "max_users_per_reset=5", "confirmation=off"]
    ) == Policy(everyone_permission="Training: Administration", max_users_per_reset=5, confirmation="off")


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("confirmation", "name=value"),
        ("colour=red", "everyone_permission, eligibility, old_certificate, late_writes, confirmation, max"),
        ("confirmation=maybe", "'required', 'off'"),
        ("late_writes=", "'refused', 'accepted'"),
        ("max_users_per_reset=0", "from 1 to"),
        ("max_users_per_reset=many", "from 1 to"),
        ("max_users_per_reset=²", "from 1 to"),
        ("max_users_per_reset=" + "9" * 5000, "from 1 to"),
    ],
)
def test_a_policy_says_what_is_allowed(pair: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Policy.from_pairs([pair])
    with pytest.raises(ValueError, match="twice"):
        Policy.from_pairs(["confirmation=off", "confirmation=off"])
