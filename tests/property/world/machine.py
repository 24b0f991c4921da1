"""A world under watch: what a step may change is worked out by the model, and what always holds is checked."""

from __future__ import annotations

import json
from collections import Counter
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from contract.everything import everything, ledgers
from contract.plant import grow
from mock_server import Policy
from mock_server.mock import TokenName
from mock_server.wire.message import Request, Response
from property.world import model
from property.world.model import Json
from training_sdk import TrainingClient

STEP = timedelta(minutes=61, milliseconds=11)
"""Between two steps, so that no two share a date."""

policies = st.builds(
    Policy,
    eligibility=st.sampled_from(["recorded", "completed"]),
    old_certificate=st.sampled_from(["hidden", "kept"]),
    late_writes=st.sampled_from(["refused", "accepted"]),
    everyone_permission=st.sampled_from(["Platform management: Users", "Training: Administration", "both"]),
    absent=st.sampled_from(["kept", "cleared"]),
    unpublished_notifications=st.sampled_from(["none", "sent"]),
)


class WatchedWorld(RuleBasedStateMachine):
    """One world, and what is remembered of its past."""

    @initialize(policy=policies)
    def begin(self, policy: Policy) -> None:
        self.plant = grow(policy)
        self.mock = self.plant.mock
        self.main = self.mock.world.main.id
        self.http = httpx.Client(transport=self.mock.transport())
        self.sdk = TrainingClient(self.mock.token("admin"), http_client=self.http, max_retry_seconds=0)
        self.gone: set[str] = set()
        self.numbers = {each.number for each in self.mock.certificates}
        self.kept: list[tuple[Request, bytes]] = []
        self.before: Json = self.mock.world.snapshot()

    def teardown(self) -> None:
        if hasattr(self, "http"):
            self.http.close()

    @property
    def now(self) -> datetime:
        return self.mock.world.clock.now()

    def org(self, world: Json) -> Json:
        found: Json = world["organisations"][self.main]
        return found

    def step(self) -> None:
        """Time goes by, so that no two steps share a date."""
        self.mock.world.clock.advance(STEP)
        self.before = self.mock.world.snapshot()

    def expect(self, expected: Json, *, audited: int = 0) -> None:
        """The world is exactly this, ids of new notifications and new audit entries apart."""
        found = self.mock.world.snapshot()
        before = len(self.before["audit"])
        assert len(found["audit"]) == before + audited
        assert found["audit"][:before] == self.before["audit"]
        ids = [message["id"] for message in found["outbox"]]
        assert len(set(ids)) == len(ids)
        for new in found["outbox"][len(self.before["outbox"]) :]:
            new["id"] = ...
        apart: Json = {"audit": [], "idempotency": {}}
        assert list(model.differences(found | apart, expected | apart)) == []

    def expect_written(self, expected: Json, course_id: str, user_id: str) -> None:
        """Take over what the learner wrote; whether it is sound is for the invariants to say."""
        found = self.org(self.mock.world.snapshot())
        before = expected["records"][course_id].get(user_id)
        after = expected["records"][course_id][user_id] = found["records"][course_id][user_id]
        expected["tallies"][course_id] = model.recounted(expected, course_id)
        if (
            after["completed_at"]
            and not (before and before["completed_at"])
            and expected["courses"][course_id]["certificate"]
        ):
            key = f"{course_id}/{user_id}"
            *old, new = found["certificates"][key]
            assert old == expected["certificates"].get(key, [])
            assert new["issued_at"] == model.wire_date(self.now)
            assert new["number"] not in self.numbers, "no number is given out twice"
            self.numbers.add(new["number"])
            expected["certificates"][key] = [*old, new]

    def expect_reassigned(self, changed: str, *course_ids: str) -> None:
        """Rosters, counters and the enrolments of those who come anew follow; nothing else does."""
        expected, found = deepcopy(self.before), self.org(self.mock.world.snapshot())
        organisation = self.org(expected)
        organisation[changed] = found[changed]
        for course_id in course_ids:
            was = set(organisation["rosters"][course_id])
            organisation["rosters"][course_id] = model.roster(organisation, course_id)
            organisation["tallies"][course_id] = model.recounted(organisation, course_id)
            for user_id in set(organisation["rosters"][course_id]) - was:
                enrolment = found["enrolments"][course_id][user_id]
                assert enrolment["modified_at"] == self.now.isoformat()
                due = organisation["courses"][course_id]["due"]
                if due["kind"] == "relative":
                    assert enrolment["due_at"] == model.wire_date(self.now + timedelta(days=due["days"]))
                organisation["enrolments"][course_id][user_id] = enrolment
        self.expect(expected)

    def request(
        self,
        method: str,
        path: str,
        body: object,
        who: TokenName = "admin",
        headers: dict[str, str] | None = None,
    ) -> Request:
        given = {
            "user-agent": "tests/1",
            "authorization": f"Bearer {self.mock.token(who)}",
            "content-type": "application/json",
        }
        given |= {name.lower(): value for name, value in (headers or {}).items()}
        return Request(method, path, "", tuple(given.items()), json.dumps(body).encode())

    def send(self, method: str, path: str, body: object) -> Response:
        return self.mock.handle(self.request(method, path, body))

    def targets(self, course: str, asked: list[str] | None) -> list[str]:
        """The users a reset clears, by the model, in the order asked for."""
        organisation = self.org(self.before)
        fits = model.recorded(organisation, self.plant.courses[course], self.mock.policy.eligibility)
        return fits if asked is None else [user_id for user_id in asked if user_id in fits]

    def absent(self, course: str, asked: list[str] | None) -> list[str]:
        """The users not assigned whose progress a reset clears as well, by the model."""
        if self.mock.policy.absent == "kept":
            return []
        organisation = self.org(self.before)
        fits = model.recorded_absent(organisation, self.plant.courses[course], self.mock.policy.eligibility)
        return fits if asked is None else [user_id for user_id in asked if user_id in fits]

    def remember(self, course: str, user_ids: list[str]) -> None:
        """Keep what is about to be cleared, as far as it stands nowhere else, to look for it ever after."""
        organisation, course_id = self.org(self.before), self.plant.courses[course]
        cleared: list[Any] = [organisation["records"][course_id][user_id] for user_id in user_ids]
        if self.mock.policy.old_certificate == "hidden":
            for user_id in user_ids:
                for each in organisation["certificates"].get(f"{course_id}/{user_id}", []):
                    cleared.append({"number": each["number"], "issued_at": each["issued_at"]})
        own, everywhere = Counter(model.texts(cleared)), Counter(model.texts(self.before))
        self.gone |= {text for text, times in own.items() if times == everywhere[text]} - model.STOCK_PHRASES

    def expect_reset(self, course: str, user_ids: list[str], asked: list[str] | None, actor: str) -> None:
        course_id, absent = self.plant.courses[course], self.absent(course, asked)
        self.expect(
            model.after_reset(self.before, self.main, course_id, user_ids, absent, self.now), audited=1
        )
        entry = self.mock.audit[-1]
        assert (entry.outcome, entry.status, entry.users_updated) == ("done", 200, len(user_ids))
        assert set(entry.reset_ids) == set(user_ids)
        assert set(entry.absent_ids) == set(absent)
        assert (entry.actor_id, entry.at) == (self.plant.id(actor), self.now)
        assert (entry.course_id, entry.everyone) == (self.plant.courses[course], asked is None)
        assert set(entry.user_ids) == (set(user_ids if asked is None else asked))

    # --- what always holds ---

    @invariant()
    def figures_equal_a_recomputation_from_the_raw_records(self) -> None:
        """R14, and the soundness of every record that a learner's action has made."""
        organisation = self.org(self.mock.world.snapshot())
        shown = {
            each["courseId"]: each for each in self.read("/training/analytics/v1/courses/statistics")["items"]
        }
        rows = {
            (row["course_id"], row["user_id"]): row
            for row in self.read("/training/v1/feed/training-course-progress")["data"]
        }
        assert list(rows) == [
            (each, user) for each in sorted(shown) for user in model.roster(organisation, each)
        ]
        for course_id, course in organisation["courses"].items():
            assert organisation["rosters"][course_id] == model.roster(organisation, course_id)
            assert organisation["tallies"][course_id] == model.recounted(organisation, course_id)
            assert shown[course_id] == model.statistics(organisation, course_id)
            for user_id in organisation["rosters"][course_id]:
                record = organisation["records"][course_id].get(user_id)
                self.row_is_sound(rows[course_id, user_id], model.figures_from_traces(course, record))
                for lesson in course["lessons"] if record else ():
                    self.lesson_is_sound(lesson, record)

    @invariant()
    def figures_of_lessons_and_slides_equal_a_recomputation_too(self) -> None:
        """R14."""
        organisation = self.org(self.mock.world.snapshot())
        lessons = self.read("/training/analytics/v1/lessons/statistics", "pageSize=1000")["items"]
        slides = self.read("/training/analytics/v1/slides/statistics", "pageSize=1000")["items"]
        courses = sorted(organisation["courses"])
        assert lessons == [row for each in courses for row in model.lesson_statistics(organisation, each)]
        assert [
            (row["slideId"], row["viewedCount"], row["answeredCount"], row["correctCount"]) for row in slides
        ] == [row for each in courses for row in model.slide_counts(organisation, each)]
        for board_id, board in organisation["leaderboards"].items():
            path = "/training/individualleaderboards/v1/rankings"
            shown = self.read(path, f"leaderboardId={board_id}")["rankings"]
            assert [
                (row["rank"], row["participantId"], row["totalScore"], row["isNotAttempted"]) for row in shown
            ] == model.rankings(organisation, board)

    def row_is_sound(self, row: Json, figures: Json) -> None:
        assert (bool(row["opened_at"]), bool(row["completed_at"])) == (
            figures["opened"],
            figures["completed"],
        )
        assert (row["completed_lessons"], row["progress_percent"]) == (figures["lessons"], figures["percent"])
        assert row["score"] == figures["score"]

    def lesson_is_sound(self, lesson: Json, record: Json) -> None:
        traces = model.lesson_from_traces(lesson, record)
        (found,) = [each for each in record["lessons"] if each["lesson_id"] == lesson["id"]] or [None]
        assert (found is None) == (traces is None)
        if found and traces:
            assert found["completed_at"] in (traces[0] or [""])
            assert (found["score"], found["percent"]) == (traces[1], 100.0 if traces[0] else 0.0)

    @invariant()
    def nothing_of_the_cleared_past_is_visible_anywhere(self) -> None:
        """R15."""
        if not self.gone:
            return
        tokens: tuple[TokenName, ...] = ("admin", "learner")
        for who in tokens:
            for asked, answer in everything(self.mock, who).items():
                assert not [text for text in self.gone if text.encode() in answer], asked
        shown = ledgers(self.mock)
        assert not [text for text in self.gone if text.encode() in shown]
        assert self.gone.isdisjoint(model.texts(self.mock.world.snapshot()))

    def read(self, path: str, query: str = "") -> Json:
        headers = (("user-agent", "tests/1"), ("authorization", f"Bearer {self.mock.token('admin')}"))
        answer: Json = json.loads(self.mock.handle(Request("GET", path, query, headers)).body)
        return answer
