"""Many at once, over real sockets: no reader ever sees half a reset, and of two resets one has the effect.

Learners complete a course one after the other in the order of the roster, all of one generation with the same score,
until everybody has; then everybody is reset, and the next generation begins. So in every single answer, whenever it was
given, those who have completed come first on the roster, have one score, and have everything that belongs to a
completion; and no answer shows an earlier generation than an answer before it did. In a second course everybody
completes and is reset at random at the same time.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from attrs import define, field

from contract.plant import NOTIFIED, Plant, grow
from contract.stage import RESET, confirming, typed
from mock_server import MockTraining
from mock_server.world.courses import Course
from mock_server.world.ledger import Certificate, IdempotencyKeys, Slot
from training_sdk import (
    AlreadyAppliedError,
    ConflictError,
    OverlappingPlanError,
    RecordsLockedError,
    ResetReport,
    StalePlanError,
    TrainingClient,
)

USERS, GENERATIONS, LESSONS, ATTEMPTS = 60, 8, 4, 2
ENOUGH = 200
"""Answers that must have been read before an end is made."""
HIGHEST_SCORE = 100
MOMENT = 1e-4
"""Seconds, long enough for another thread to get its turn."""
PATIENCE = 60.0
"""Seconds after which a test gives up; no test waits for it when all is well."""


@contextmanager
def _client(mock: MockTraining, url: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {mock.token('admin')}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=PATIENCE) as client:
        yield client


def _together(*calls: Callable[[], Any]) -> list[Any]:
    """What several calls return that begin at the same moment."""
    barrier = threading.Barrier(len(calls), timeout=PATIENCE)

    def begin(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(PATIENCE) for future in [pool.submit(begin, call) for call in calls]]


# --- readers ---------------------------------------------------------------------------------------------------------


@define
class Reader:
    """Reads one thing after the other and holds every answer against what must be true of it."""

    mock: MockTraining
    http: httpx.Client
    course_id: str
    restless_id: str
    roster: list[str]
    generation: int = 0
    answers: int = 0
    seen: set[int] = field(factory=set)

    def read(self, path: str) -> Any:
        """The JSON of an answer."""
        self.answers += 1
        return self.http.get(path).raise_for_status().json()

    def has_completed(self, users: list[str], generations: set[int]) -> None:
        """Those who have completed come first, and are of one generation, which is none of the past."""
        self.seen.add(len(users))
        assert users == self.roster[: len(users)]
        assert len(generations) == (1 if users else 0)
        for generation in generations:
            assert generation >= self.generation, "what had been reset was seen again"
            self.generation = generation

    def rows(self, course_id: str) -> list[Any]:
        """The feed of a course: everybody is there, with a row that is blank or that of a whole completion."""
        rows: list[Any] = self.read(f"/training/v1/feed/training-course-progress?course_id={course_id}")[
            "data"
        ]
        assert [row["user_id"] for row in rows] == self.roster
        for row in rows:
            facts = (bool(row["completed_at"]), row["completed_lessons"], row["progress_percent"])
            assert facts == ((True, LESSONS, 100.0) if row["opened_at"] else (False, 0, 0.0))
            assert bool(row["score"]) == bool(row["time_spent_seconds"]) == bool(row["opened_at"])
        return rows

    def feed(self) -> None:
        """The progress feed of both courses."""
        self.rows(self.restless_id)
        done = [row for row in self.rows(self.course_id) if row["opened_at"]]
        self.has_completed([row["user_id"] for row in done], {row["score"] for row in done})

    def statistics(self) -> None:
        """The figures of the course agree with each other."""
        path = f"/training/analytics/v1/courses/statistics?courseIds={self.course_id}"
        (found,) = self.read(path)["items"]
        done = found["completedCount"]
        assert (found["totalUsers"], found["openedCount"]) == (USERS, done)
        assert found["completionPercent"] == round(100 * done / USERS, 2)
        self.has_completed(self.roster[:done], {found["averageScore"]} if done else set())

    def lessons(self) -> None:
        """The lessons of somebody in the middle are all completed or none is."""
        user_id = self.roster[USERS // 2]
        path = f"/training/analytics/v1/users/{user_id}/lessons/progress?courseId={self.course_id}"
        items = self.read(path)["items"]
        assert len({(item["opened"], item["completed"], item["percentageCompleted"]) for item in items}) == 1

    def attempts(self) -> None:
        """The attempts are those of whole completions."""
        path = f"/training/analytics/v1/lessons/attempts?courseId={self.course_id}&pageSize=1000"
        items = self.read(path)["items"]
        users = [item["userId"] for item in items]
        assert users[::ATTEMPTS] == users[1::ATTEMPTS]
        self.has_completed(users[::ATTEMPTS], {item["score"] for item in items})

    def preview(self) -> None:
        """What a reset would clear is everything that belongs to so many completions."""
        self.answers += 1
        body = {"courseId": self.course_id, "allUsers": True}
        found = self.http.post(f"{RESET}:preview", json=body).raise_for_status().json()
        done, cleared = found["usersToReset"], found["cleared"]
        assert found["users"] == {
            "completed": done,
            "inProgress": 0,
            "notStarted": USERS - done,
            "notAssigned": 0,
        }
        assert (cleared["lessonProgress"], cleared["attempts"]) == (LESSONS * done, ATTEMPTS * done)
        assert (cleared["certificates"], cleared["discussionPosts"]) == (done, done)

    def certificates(self) -> None:
        """Certificates stand beside completions and go with them."""
        holders = sorted(each.user_id for each in self.mock.certificates if each.course_id == self.course_id)
        assert holders == self.roster[: len(holders)]

    def until(self, over: threading.Event) -> None:
        """Read on and on."""
        while not over.is_set():
            for read in (
                self.feed,
                self.statistics,
                self.lessons,
                self.attempts,
                self.preview,
                self.certificates,
            ):
                read()


class SlowCertificates(dict[tuple[str, str], tuple[Certificate, ...]]):
    """Lets every other thread run in the middle of each completion and between any two people of a reset."""

    def __setitem__(self, key: tuple[str, str], value: tuple[Certificate, ...]) -> None:
        time.sleep(MOMENT)
        super().__setitem__(key, value)

    def pop(self, *args: Any) -> Any:
        time.sleep(MOMENT)
        return super().pop(*args)


@define
class Scene:
    """A world of two courses, in which everybody is blank at first."""

    mock: MockTraining
    http: httpx.Client
    over: threading.Event = field(factory=threading.Event)
    readers: list[Reader] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.mock.world.main.certificates = SlowCertificates(self.mock.world.main.certificates)
        course, restless = self.mock.world.courses
        roster = list(self.mock.world.main.progress[course.id].roster)
        self.readers = [Reader(self.mock, self.http, course.id, restless.id, roster) for _ in range(3)]
        for each in (course, restless):
            body = {"courseId": each.id, "allUsers": True}
            begun = self.http.post(f"{RESET}:preview", json=body).json()["usersToReset"]
            self.reset(each, begun, allUsers=True).raise_for_status()

    @property
    def answers(self) -> int:
        """How much has been read."""
        return sum(reader.answers for reader in self.readers)

    def reset(self, course: Course, users: int, **scope: Any) -> httpx.Response:
        """A reset over the wire."""
        body = {"courseId": course.id, **scope}
        return self.http.post(RESET, json=body, headers=confirming(course.title, users))

    def generations(self) -> list[int]:
        """Learners complete the course in order, and are all reset; until enough has been read meanwhile."""
        course, _ = self.mock.world.courses
        updated: list[int] = []
        while len(updated) < GENERATIONS or (self.answers < ENOUGH and len(updated) < HIGHEST_SCORE):
            for user_id in self.readers[0].roster:
                self.mock.world.complete_course(course.id, user_id, score=len(updated) + 1)
            answer = self.reset(course, USERS, allUsers=True)
            updated.append(answer.raise_for_status().json()["usersUpdated"])
        return updated

    def completions(self) -> None:
        """In the second course people complete at random …"""
        dice = Random(1)
        while not self.over.is_set():
            self.mock.world.complete_course(
                self.mock.world.courses[1].id, dice.choice(self.readers[0].roster)
            )

    def resets(self) -> Counter[int]:
        """… and are reset at random. Answers the statuses."""
        dice, statuses = Random(2), Counter[int]()
        while not self.over.is_set():
            answer = self.reset(self.mock.world.courses[1], 1, userIds=[dice.choice(self.readers[0].roster)])
            statuses[answer.status_code] += 1
        return statuses


def test_R14_no_reader_ever_sees_half_a_reset() -> None:
    mock = MockTraining.generate(users=USERS, courses=2, seed=4)
    with mock.serve() as server, _client(mock, server.url) as http:
        scene = Scene(mock, http)
        with ThreadPoolExecutor(6) as pool:
            beside = [pool.submit(reader.until, scene.over) for reader in scene.readers]
            beside.append(pool.submit(scene.completions))
            resets = pool.submit(scene.resets)
            try:
                updated = scene.generations()
            finally:
                scene.over.set()
            for each in beside:
                each.result(PATIENCE)
    assert set(updated) == {USERS}
    assert resets.result().keys() <= {200, 412}
    assert resets.result()[200] > 0
    assert scene.answers >= ENOUGH
    assert len(set().union(*(reader.seen for reader in scene.readers))) > 5, "they read while things went on"


# --- two resets at once ----------------------------------------------------------------------------------------------


def _complete_all(plant: Plant) -> None:
    for name in ("anna", "ben", "cleo", "dora", "emil"):
        plant.mock.world.complete_course(plant.forklift, plant.id(name))


def test_R18_of_two_resets_at_once_one_has_the_effect() -> None:
    plant = grow()
    plant.mock.world.clock.resume()
    body = {"courseId": plant.forklift, "allUsers": True}
    headers = confirming("Forklift basics", 5)
    with plant.mock.serve() as server, _client(plant.mock, server.url) as http:
        for turn in range(1, 6):
            _complete_all(plant)
            answers = _together(*[lambda: http.post(RESET, json=body, headers=headers)] * 3)
            assert sorted(answer.status_code for answer in answers) == [200, 412, 412]
            assert len(plant.mock.outbox) == turn * len([*NOTIFIED, "emil"])


Refused = StalePlanError | ConflictError | RecordsLockedError | AlreadyAppliedError | OverlappingPlanError


def _apply(client: TrainingClient, plan: Any) -> ResetReport | Refused:
    try:
        return client.resets.apply(plan, confirm=typed(plan))
    except (
        StalePlanError,
        ConflictError,
        RecordsLockedError,
        AlreadyAppliedError,
        OverlappingPlanError,
    ) as refused:
        return refused


@pytest.mark.parametrize(
    "plans", ["one plan", "one plan on two machines", "a plan each", "a plan each on two machines"]
)
def test_R11_two_operators_at_once_reset_once(plans: str, tmp_path: Path) -> None:
    plant = grow()
    plant.mock.world.clock.resume()
    with (
        plant.mock.serve() as server,
        TrainingClient(plant.mock.token("admin"), base_url=server.url) as one,
        TrainingClient(plant.mock.token("admin"), base_url=server.url, state_dir=tmp_path / "two") as two,
    ):
        other = two if plans.endswith("two machines") else one
        for turn in range(1, 4):
            _complete_all(plant)
            first = one.resets.plan_everyone(plant.forklift)
            second = first if plans.startswith("one plan") else one.resets.plan_everyone(plant.forklift)
            ended = _together(partial(_apply, one, first), partial(_apply, other, second))
            done = [each for each in ended if isinstance(each, ResetReport)]
            assert [report.reset_count for report in done] == [5]
            assert len(plant.mock.outbox) == turn * len([*NOTIFIED, "emil"])
            assert [entry.outcome for entry in plant.mock.audit].count("done") == turn


# --- one key, twice at once ------------------------------------------------------------------------------------------


class CountedKeys(IdempotencyKeys):
    """Says when a request with a key has arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = threading.Semaphore(0)

    @contextmanager
    def running(self, slot: Slot | None) -> Iterator[bool]:
        with super().running(slot) as is_repeat:
            self.arrived.release()
            yield is_repeat


def test_R11_while_the_first_is_running_the_same_key_is_409_and_then_replayed() -> None:
    plant = grow()
    keys = plant.mock.world.keys = CountedKeys()
    body = {"courseId": plant.forklift, "userIds": plant.ids("anna")}
    headers = confirming("Forklift basics", 1) | {"Idempotency-Key": "k"}
    with plant.mock.serve() as server, _client(plant.mock, server.url) as http, ThreadPoolExecutor(2) as pool:
        with plant.mock.world.lock:  # nobody gets past the door's counter while this is held
            sent = [pool.submit(http.post, RESET, json=body, headers=headers) for _ in range(2)]
            assert all(keys.arrived.acquire(timeout=PATIENCE) for _ in sent)
        answers = sorted((each.result(PATIENCE) for each in sent), key=lambda answer: answer.status_code)
        assert [answer.status_code for answer in answers] == [200, 409]
        assert json.loads(answers[1].content)["details"][0]["reason"] == "IDEMPOTENCY_KEY_IN_FLIGHT"
        again = http.post(RESET, json=body, headers=headers)
    assert (again.status_code, again.content) == (200, answers[0].content)
    assert [message.user_id for message in plant.mock.outbox] == plant.ids("anna")
    assert sorted(entry.outcome for entry in plant.mock.audit) == [
        "IDEMPOTENCY_KEY_IN_FLIGHT",
        "done",
        "replayed",
    ]
