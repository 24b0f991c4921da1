"""Reading a list page by page: the same rows as at once, and every row looked at once, not once a page."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mock_server import MockTraining, Policy
from mock_server.api import analytics, slides
from mock_server.learner_actions import LiveWorld
from mock_server.world import progress_table
from mock_server.world.courses import Course
from mock_server.world.organisation import Organisation
from mock_server.world.people import Status
from mock_server.world.progress import CourseProgress
from mock_server.world.progress_table import MatchingRows, StatsCache
from mock_server.world.seeds.builder import WorldBuilder
from unit.mock_server.core.speaker import ATTEMPTS, FEED, Speaker
from unit.mock_server.core.test_lessons_and_slides import ANSWERS, EVENTS, LESSONS, SLIDES, items

USERS, COURSES = 30, 5
FILTERS = (
    "completion_status=COMPLETION_STATUS_COMPLETED",
    "completion_status=COMPLETION_STATUS_NON_COMPLETED",
    "modified_after=2026-05-01T00:00:00Z",
    "modified_after=2026-05-01T00:00:00Z&completion_status=COMPLETION_STATUS_COMPLETED",
)


def new_mock(users: int = USERS, courses: int = COURSES) -> MockTraining:
    return MockTraining.generate(users=users, courses=courses)


def feed_walk(who: Speaker, query: str, size: int) -> list[dict[str, Any]]:
    return who.rows(f"{query}&limit={size}" if query else f"limit={size}")


def attempts_walk(who: Speaker, query: str, size: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for page in range(1, 10_000):
        answer = who.get(ATTEMPTS, f"{query}&page={page}&pageSize={size}".lstrip("&")).json
        found += answer["items"]
        if not answer["items"]:
            assert answer["totalCount"] == len(found)
            return found
    raise AssertionError("the list does not end")


def told_apart(mock: MockTraining, query: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a whole feed that a filter lets through, by the world's own records."""
    asked = dict(parse_qsl(query))
    status, after = asked.get("completion_status", ""), asked.get("modified_after")
    kept = []
    for row in rows:
        changed = mock.world.main.progress[row["course_id"]].modified_at(row["user_id"])
        is_late = after is None or changed.isoformat() > after.replace("Z", "+00:00")
        is_done = bool(row["completed_at"])
        if is_late and (not status or is_done is status.endswith("STATUS_COMPLETED")):
            kept.append(row)
    return kept


@pytest.mark.parametrize("token", ["admin", "teamlead", "learner"])
@pytest.mark.parametrize("query", FILTERS)
def test_a_filtered_walk_gives_what_the_filter_leaves_of_the_whole(token: str, query: str) -> None:
    mock = new_mock()
    who = Speaker(mock, token)
    whole = told_apart(mock, query, who.rows())
    for size in (7, 1000):
        assert feed_walk(who, query, size) == whole
    assert token == "learner" or whole


@pytest.mark.parametrize("token", ["admin", "teamlead", "learner"])
def test_attempts_come_in_one_order_whatever_the_size_of_pages(token: str) -> None:
    mock = new_mock()
    who = Speaker(mock, token)
    whole = attempts_walk(who, "", 1000)
    records = {
        (c, u): r for c, each in mock.world.main.progress.courses.items() for u, r in each.records.items()
    }
    seen = Counter((each["courseId"], each["userId"]) for each in whole)
    assert all(count == len(records[key].attempts) for key, count in seen.items())
    if token == "admin":
        assert len(whole) == sum(len(each.attempts) for each in records.values())
    for size in (3, 100):
        assert attempts_walk(who, "", size) == whole
    course = whole[0]["courseId"]
    of_course = [each for each in whole if each["courseId"] == course]
    assert attempts_walk(who, f"courseId={course}", 2) == of_course
    user = whole[-1]["userId"]
    assert attempts_walk(who, f"userId={user}", 2) == [each for each in whole if each["userId"] == user]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 7), st.booleans()), max_size=4))
def test_what_is_kept_of_a_walk_is_never_out_of_date(writes: list[tuple[int, int, bool]]) -> None:
    mock = new_mock(8, 3)
    who, world = Speaker(mock), mock.world
    learners = [each for each in world.users if each.external_id.startswith("EXT-")]
    for course, learner, leaves in [(0, 0, False), *writes]:
        where, user = world.courses[course].id, learners[learner].id
        if leaves:
            world.update_user(user, groups=frozenset())
        elif world.main.progress[where].has(user):
            world.complete_course(where, user)
        whole = who.rows()
        for query in FILTERS:
            assert feed_walk(who, query, 5) == told_apart(mock, query, whole)
        tried = [each for each in attempts_walk(who, "", 9) if each["courseId"] == where]
        records, roster = world.main.progress[where].records, world.main.progress[where].roster
        assert len(tried) == sum(len(records[each].attempts) for each in roster if each in records)


def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows looked at, one entry for each time somebody went through a course."""
    seen: list[int] = []
    look = MatchingRows.scan.__func__  # type: ignore[attr-defined]  # the function beneath the class method

    def counted(cls: type[MatchingRows], progress: CourseProgress, *rest: Any) -> MatchingRows:
        seen.append(len(progress.roster))
        found: MatchingRows = look(cls, progress, *rest)
        return found

    monkeypatch.setattr(MatchingRows, "scan", classmethod(counted))
    return seen


@pytest.mark.parametrize("query", FILTERS)
def test_a_walk_looks_at_every_row_once(monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    mock, seen = new_mock(), looks(monkeypatch)
    feed_walk(Speaker(mock), query, 2)
    assert sum(seen) == USERS * COURSES
    mock.world.complete_course(mock.world.courses[2].title, mock.world.users[0].id)
    feed_walk(Speaker(mock), query, 2)
    assert sum(seen) == USERS * COURSES + USERS  # only the course that changed


def test_attempts_are_looked_for_once_too(monkeypatch: pytest.MonkeyPatch) -> None:
    mock, seen = new_mock(), looks(monkeypatch)
    attempts_walk(Speaker(mock), "", 5)
    assert sum(seen) == USERS * COURSES


@pytest.mark.parametrize("path", [EVENTS, ANSWERS])
@pytest.mark.parametrize("token", ["admin", "teamlead", "learner"])
def test_events_and_answers_come_in_one_order_whatever_the_size_of_pages(token: str, path: str) -> None:
    who = Speaker(new_mock(), token)
    whole = items(who, path)
    for size in (3, 100):
        assert items(who, path, size=size) == whole
    assert token == "learner" or len(whole) > 10


@pytest.mark.parametrize("path", [EVENTS, ANSWERS])
def test_events_and_answers_are_looked_for_once_too(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    mock, seen = new_mock(), looks(monkeypatch)
    items(Speaker(mock), path, size=5)
    assert sum(seen) == USERS * COURSES
    mock.world.complete_course(mock.world.courses[2].title, mock.world.users[0].id)
    items(Speaker(mock), path, size=5)
    assert sum(seen) == USERS * COURSES + USERS  # only the course that changed


@pytest.mark.parametrize(("path", "module"), [(LESSONS, analytics), (SLIDES, slides)])
def test_figures_are_counted_once(monkeypatch: pytest.MonkeyPatch, path: str, module: Any) -> None:
    counted: list[str] = []
    count = module._count

    def watched(course: Course, *rest: Any) -> Any:
        counted.append(course.id)
        return count(course, *rest)

    monkeypatch.setattr(module, "_count", watched)
    mock = new_mock()
    for token in ("admin", "teamlead"):
        items(Speaker(mock, token), path, size=1)
    ids = [each.id for each in mock.world.courses]
    assert counted == ids * 2
    mock.world.complete_course(ids[2], mock.world.users[0].id)
    items(Speaker(mock), path, size=2)
    assert counted == [*ids * 2, ids[2]]  # only the course that changed


def test_figures_kept_are_bounded() -> None:
    kept, asked = StatsCache(), list[int]()

    def ask(question: int) -> int:
        def count() -> int:
            asked.append(question)
            return question

        return kept.figures(question, "course", "state", count)

    assert [ask(each) for each in range(progress_table.KEPT + 1)] == list(range(progress_table.KEPT + 1))
    assert [ask(1), ask(0)] == [1, 0]
    assert asked == [*range(progress_table.KEPT + 1), 0]


def test_questions_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    mock, seen = new_mock(), looks(monkeypatch)
    who = Speaker(mock)
    for day in range(1, progress_table.KEPT + 5):
        who.get(FEED, f"modified_after=2026-05-{day:02d}T00:00:00Z")
    assert len(mock.world.main.progress.page_index._kept) == progress_table.KEPT
    count = len(seen)
    who.get(FEED, f"modified_after=2026-05-{progress_table.KEPT + 4:02d}T00:00:00Z")
    assert len(seen) == count
    mock.world.main.progress.page_cache.clear()
    who.get(FEED, "modified_after=2026-05-01T00:00:00Z")
    assert len(seen) == count + COURSES


@given(
    most=st.integers(0, 60_000),
    pages=st.integers(0, 60_000),
    limit=st.integers(10, 60),
    changed=st.lists(st.integers(0, USERS - 1)),
)
@settings(max_examples=8)
def test_rows_kept_as_json_are_bounded(most: int, pages: int, limit: int, changed: list[int]) -> None:
    mock = new_mock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress_table, "MOST_BYTES", most)
        patch.setattr(progress_table, "MOST_BYTES_OF_PAGES", pages)
        table = mock.world.main.progress
        for turn in range(2):
            for number in changed[turn::2]:
                for progress in table.courses.values():
                    progress.put(progress.roster[number % len(progress.roster)], None)
            kept_rows = Speaker(mock).rows(f"limit={limit}")
            rows = [row for each in table.courses.values() for row in each.fragments.values()]
            dicts = sum(sys.getsizeof(each.fragments) for each in table.courses.values() if each.fragments)
            assert (
                sum(map(sys.getsizeof, rows)) + dicts - 5 * sys.getsizeof({"": b""}) <= table.row_cache.size
            )
            assert table.row_cache.size <= most
            taken = sum(map(sys.getsizeof, table.page_cache._pages.values()))
            assert taken <= table.page_cache.size <= pages
            assert Speaker(mock).rows(f"limit={limit}") == kept_rows
            table.row_cache.clear()
            table.page_cache.clear()
            assert Speaker(mock).rows(f"limit={limit}") == kept_rows


def test_a_page_that_was_read_shows_every_change_of_its_rows() -> None:
    mock = new_mock()
    who, course = Speaker(mock), mock.world.courses[0]
    changes: list[Callable[[str], object]] = [
        lambda user_id: mock.world.update_user(user_id, first_name="Renamed"),
        lambda _: mock.world.update_course(course.id, title="Retitled"),
        lambda user_id: mock.world.main.progress[course.id].put(user_id, None),
        lambda user_id: mock.world.update_user(user_id, status=Status.DEACTIVATED),
        lambda _: setattr(mock, "lag", timedelta(hours=1)),
        lambda user_id: mock.world.main.progress[course.id].put(user_id, None),
    ]
    for change in changes:
        rows = who.rows("")
        assert who.rows("") == rows
        change(next(row["user_id"] for row in rows if row["completed_at"]))
        shown = who.rows("")
        table = mock.world.main.progress
        table.row_cache.clear()
        table.page_cache.clear()
        assert who.rows("") == shown
        assert (shown == rows) == bool(mock.lag)


@given(
    st.sampled_from(["first_name", "last_name", "email", "external_id"]),
    st.text(st.characters(codec="utf-8")),
)
@example("first_name", 'Ann "Nan"')
@example("external_id", "\\")
@example("email", "\n")
@example("last_name", "\x7f\u2028ö")
def test_any_text_of_a_person_is_shown_among_the_rows_of_others(name: str, value: str) -> None:
    mock = new_mock(users=3, courses=1)
    rows = Speaker(mock).rows("")
    rows[1][f"user_{name}"] = value
    people, change = mock.world.main.people, dict[str, Any]({name: value})
    people[rows[1]["user_id"]] = evolve(people[rows[1]["user_id"]], **change)
    mock.world.main.progress.row_cache.clear()
    mock.world.main.progress.page_cache.clear()
    assert Speaker(mock).rows("") == rows


def test_a_page_that_was_read_is_answered_to_those_only_who_may_see_it() -> None:
    mock = new_mock()
    first = {name: Speaker(mock, name).rows("") for name in ("admin", "teamlead", "learner")}
    assert len({len(rows) for rows in first.values()}) == len(first)
    assert {name: Speaker(mock, name).rows("") for name in reversed(first)} == first


def test_people_come_in_pages_that_add_up_and_know_of_newcomers() -> None:
    mock = new_mock()
    who = Speaker(mock)

    def walk(path: str) -> list[dict[str, Any]]:
        rows, more = [], f"{path}?limit=7"
        while more:
            page = who.get(*more.split("?")).json
            rows += page["data"]
            more = page["metadata"]["next_page"]
        return rows

    people = sorted(mock.world.users, key=lambda each: each.id)
    assert [each["id"] for each in walk("/feed/users")] == [each.id for each in people]
    pairs = [(each.id, group) for each in people for group in sorted(each.groups)]
    assert [(each["user_id"], each["group_id"]) for each in walk("/feed/group_users")] == pairs
    gone = mock.world.update_user(pairs[0][0], groups=frozenset())
    assert [each["user_id"] for each in walk("/feed/group_users")] == [u for u, _ in pairs if u != gone.id]


def test_courses_may_be_added_in_any_order() -> None:
    mock = new_mock(2, 6)
    ids = [each.id for each in mock.world.courses]
    assert ids == sorted(ids)
    early = mock.world.main.courses[ids[0]]
    mock.world.main.put_course(evolve(early, id="0" * 24))
    mock.world.main.put_course(evolve(early, id="f" * 24))
    every = ["0" * 24, *ids, "f" * 24]
    assert list(mock.world.main.courses) == list(mock.world.main.progress.courses) == every


def test_courses_built_in_any_order_are_sorted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sorts: list[Organisation] = []
    sort = Organisation.sort_courses

    def counted(organisation: Organisation) -> None:
        sorts.append(organisation)
        sort(organisation)

    monkeypatch.setattr(Organisation, "sort_courses", counted)
    builder = WorldBuilder(seed="any")
    ids = [f"{number:024x}" for number in range(500)]
    organisation = builder.organisation("Nordwerk")
    for each in reversed(ids):
        organisation.course(each, id=each)
    built = builder.build(Policy(), LiveWorld).main
    assert list(built.courses) == list(built.progress.courses) == ids
    assert sorts == [built]
