"""Pages of the progress feed that are kept: after any changes, the same answers as without caches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from attrs import evolve
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mock_server import MockTraining, Policy
from mock_server.world.people import Status
from mock_server.world.progress_table import PageIndex
from unit.mock_server.core.speaker import FEED, Answer, Speaker

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TOKENS = ("admin", "teamlead", "learner")
POLICIES = (
    Policy(),
    Policy(default_page_size=5),
    Policy(requests="lenient", answers=("proto3",)),
    Policy(emulates=("omits_empty_rows",)),
    Policy(emulates=("repeats_border_rows", "bare_query_next_page"), answers=("nulls",)),
    Policy(emulates=("keeps_score",)),
)

Change = Callable[[MockTraining, str, str, int], object]
"""A change to an organisation, given the ids of a course and a user, and a number."""


def reset(mock: MockTraining, course: str, user: str, number: int) -> None:
    progress = mock.world.main.progress[course]
    people = [user] if number % 2 else None
    reset_ones = [each for each in people or progress.roster if each in progress.records]
    title = mock.world.main.courses[course].title
    Speaker(mock).reset(course, people, (title, len(reset_ones)) if mock.policy.asks_confirmation else None)


def learn(mock: MockTraining, course: str, user: str, number: int) -> None:
    if mock.world.main.progress[course].has(user):
        (mock.world.open if number % 2 else mock.world.complete_course)(course, user)


def assign(mock: MockTraining, course: str, user: str, number: int) -> None:
    before = mock.world.main.assigned[course]
    users = {**before.users, user: NOW} if number % 2 else {}
    mock.world.main.assign(course, evolve(before, users=users, groups=before.groups if number % 3 else {}))


def lose_rights(mock: MockTraining, _course: str, _user: str, number: int) -> None:
    mock.faults.add("rights_removed", operation="progress")
    Speaker(mock, TOKENS[number % 3]).get(FEED)


def name(user: str, number: int) -> dict[str, str]:
    return {("first_name", "last_name", "email", "external_id")[number % 4]: f"{user}{number}"}


CHANGES: dict[str, Change] = {
    "learn": learn,
    "reset": reset,
    "assign": assign,
    "name": lambda mock, _, user, n: mock.world.update_user(user, **name(user, n)),
    "status": lambda mock, _, user, n: mock.world.update_user(user, status=list(Status)[n % len(Status)]),
    "groups": lambda mock, _, user, n: mock.world.update_user(
        user, groups=frozenset([*mock.world.main.groups][: n % 3])
    ),
    "managed": lambda mock, _, user, n: mock.world.update_user(
        next(one["user_id"] for one in mock.tokens() if one["name"] == "teamlead"),
        managed_groups=frozenset([*mock.world.main.groups][: n % 3]),
    ),
    "permissions": lambda mock, _, user, n: mock.world.update_user(
        user, permission_sets=frozenset([*mock.world.main.permission_sets][: n % 4])
    ),
    "title": lambda mock, course, _, n: mock.world.update_course(course, title=f"title {n}"),
    "lessons": lambda mock, course, _, n: mock.world.update_course(
        course, lessons=mock.world.main.courses[course].lessons[: n % 3]
    ),
    "clock": lambda mock, _course, _user, n: mock.clock.freeze(NOW + timedelta(minutes=10 * n)),
    "lag": lambda mock, _course, _user, n: setattr(mock, "lag", timedelta(minutes=n % 3 * 60)),
    "policy": lambda mock, _course, _user, n: setattr(mock.world, "policy", POLICIES[n % len(POLICIES)]),
    "rights": lose_rights,
    "rollback": lambda mock, _course, _user, _: mock.rollback(mock.state()),
}


def questions(course: str, user: str) -> list[tuple[str, str]]:
    queries = [
        "",
        "limit=5",
        "limit=5&offset=5",
        "completion_status=COMPLETION_STATUS_COMPLETED",
        f"modifiedAfter={NOW:%Y-%m-%dT%H}:30:00Z",
        f"course_id={course}",
        f"user_id={user}",
        "limit=0",
        "unknown=1",
    ]
    return [(token, query) for token in TOKENS for query in queries]


def answers(mock: MockTraining, asked: list[tuple[str, str]], *, cold: bool = False) -> list[Answer]:
    """The answers, without the headers of each request; ``cold`` drops all that is kept before each of them."""
    found = []
    for token, query in asked:
        table = mock.world.main.progress
        if cold:
            table.page_cache.clear()
            table.page_index = PageIndex()
            for each in table.courses.values():
                each.forget_rows()
                if each.lag_history is not None:
                    each.lag_history.view = None
        answer = Speaker(mock, token).send("GET", FEED, query, headers=(("x-request-id", "same"),))
        found.append(answer)
    return found


EVERY_CHANGE = [(what, number) for what in sorted(CHANGES) for number in range(len(POLICIES))]


@pytest.mark.parametrize("is_demo", [True, False])
@settings(max_examples=2, phases=[Phase.generate])
@given(random=st.randoms(use_true_random=False))
def test_after_any_changes_cached_pages_equal_uncached_answers(is_demo: bool, random: Random) -> None:
    mock = MockTraining.demo(now=NOW) if is_demo else MockTraining.generate(users=9, courses=3, now=NOW)
    for what, number in random.sample(EVERY_CHANGE, len(EVERY_CHANGE)):
        course, user = random.choice([*mock.world.main.courses]), random.choice([*mock.world.main.people])
        asked = questions(course, user)
        answers(mock, asked)
        CHANGES[what](mock, course, user, number)
        kept = answers(mock, asked)
        assert answers(mock, asked) == kept
        assert answers(mock, asked, cold=True) == kept, (what, number)
        if number == 0 and not mock.lag:
            assert answers(MockTraining.load(mock.state()), asked) == kept
