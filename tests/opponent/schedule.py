"""One randomised schedule: plans, faults, learners and resumes over an independent service, and what must hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from random import Random

from attrs import define, field, frozen

from contract.hours import Hours
from opponent.behaviours import DAMAGES, REFUSALS
from opponent.ledger import LESSONS
from opponent.network import KINDS, Fault, serve
from opponent.service import RESET, WHO_AM_I, Service, lesson_id
from opponent.styles import draw_style
from training_sdk import (
    AlreadyAppliedError,
    InvalidArgumentError,
    Outcome,
    OverlappingPlanError,
    ResetPlan,
    ResetReport,
    Safeguards,
    TrainingClient,
    TrainingError,
    evidence,
)
from training_sdk.local_plans.record_check import check_records
from training_sdk.records.audit import AuditLog
from training_sdk.records.state import StateDirectory

LATER = timedelta(hours=4)
"""Longer than the 2 h that the service may be behind, and the margin."""
TOKEN = "opponent-token"  # opens nothing but this service
"""Opens nothing but this service."""


def make_service(random: Random, hours: Hours) -> Service:
    """A service of a few people and courses, in which some have learned; one more course is for the proof.

    The first person, with whom the format is proved, has completed every course, and all have completed that of the
    proof.
    """
    people = tuple(f"user_{number:032x}" for number in range(1, random.randint(4, 9)))
    ids = [f"{number:02d}" + "c" * 22 for number in range(random.randint(2, 4))]
    courses = {course_id: people if number else people[:3] for number, course_id in enumerate(ids)}
    lag = timedelta(minutes=random.choice([0, 30, 90, 120]))
    style = draw_style(random)
    service = Service(
        lambda: hours.now().utc,
        people,
        courses,
        points=20.5 if "fractions in scores" in style else 20,
        lag=lag,
        style=style,
        refusal=random.choice(REFUSALS),
        waited=lambda: hours.passed,
    )
    past = service.now() - timedelta(days=30)
    for course_id in courses:
        for user_id in courses[course_id]:
            if course_id == ids[0] or user_id == people[0]:
                service.learn((course_id, user_id), LESSONS, past)
            elif random.random() < 0.8:
                service.learn((course_id, user_id), random.randint(1, LESSONS), past)
    return service


@frozen
class Account:
    """What became of everyone in a plan, as the SDK says."""

    outcomes: Mapping[tuple[str, str], Outcome]
    is_complete: bool
    reached_others: int = 0

    @classmethod
    def of(cls, report: ResetReport) -> Account:
        """What a report says."""
        return cls(
            {user.key: user.outcome for user in report.users}, report.is_complete, report.reached_others
        )


@define
class Schedule:
    """What happens in one run, all drawn from one seed."""

    random: Random
    service: Service
    hours: Hours
    folder: Path
    faults: float
    """How likely a fault is at a reset; reads fail a tenth as often."""
    does: frozenset[str] = frozenset()
    """What the service does beside resetting whom it is asked to."""
    from_the_beginning: bool = True
    """Whether it does so from the proof on, or only afterwards."""
    most_plans: int = 3
    is_proved: bool = False
    url: str = ""
    quiet: bool = True
    plans: dict[str, ResetPlan] = field(factory=dict)
    accounts: dict[str, Account] = field(factory=dict)
    story: list[str] = field(factory=list)

    @property
    def usual(self) -> list[str]:
        """The courses but the one of the proof."""
        return list(self.service.courses)[1:]

    def choose_fault(self, method: str, path: str) -> Fault:
        """Draw what befalls a request; before some of them a learner acts."""
        if self.quiet:
            return Fault()
        if self.random.random() < 0.01:
            key = self.random.choice(self.usual), self.random.choice(self.service.people)
            self.service.learn(key, self.random.randint(0, 2))
            self.story.append(f"{key} learns")
        if path == RESET and "resets strangers" in self.does:
            return Fault()  # an answer that is lost names no strangers
        chance = self.faults if path in (RESET, WHO_AM_I) else self.faults / 10
        if self.random.random() >= chance:
            return Fault()
        fault = Fault(self.random.choice(KINDS), self.random.random())
        self.story.append(f"{method} {path}: {fault}")
        return fault

    def client(self, url: str) -> TrainingClient:
        """A client that keeps its records in the run's folder."""
        safeguards = Safeguards(plan_lifetime=timedelta(days=7))
        return TrainingClient(TOKEN, base_url=url, state_dir=self.folder, safeguards=safeguards, pace=False)

    def play(self) -> None:
        """Prove the format, apply one to three plans through faults, then let everything settle and check it."""
        with serve(self.service, self.choose_fault) as self.url, self.client(self.url) as client:
            self.service.does = self.does if self.from_the_beginning else frozenset()
            self._try("proof", lambda: self.prove(client))
            self.service.does = self.does
            self.quiet = False
            for number in range(self.random.randint(1, self.most_plans)):
                self.apply(client, f"plan {number}")
            self.quiet = True
            for name in self.plans:
                self.settle(client, name)
        self.check()

    def prove(self, client: TrainingClient) -> None:
        """Prove the format on the first course, with the first person."""
        self.service.run = "proof"
        proof = client.resets.plan_proof(next(iter(self.service.courses)), self.service.people[0])
        client.resets.prove_format(proof, confirm=proof.phrase, reason="first reset here")
        self.is_proved = True

    def apply(self, client: TrainingClient, name: str) -> None:
        """Plan for some people of some courses, apply, and resume a few times."""
        self.service.run = name
        people = [one for one in self.service.people if self.random.random() < 0.7] or [
            self.service.people[0]
        ]
        courses = self.random.sample(self.usual, self.random.randint(1, len(self.usual)))
        plan = self.plan(client, name, courses, people)
        if plan is None:
            return
        self.plans[name] = plan
        tolerance = self.random.choice([0, len(plan.users), len(plan.users)])
        self.begin(client, name, tolerance, self.random.choice([None, None, 1]))
        for _ in range(self.random.randint(0, 2)):
            self.hours.wait(self.random.choice([timedelta(minutes=1), timedelta(minutes=50), LATER]))
            self.resume(client, name)

    def begin(self, client: TrainingClient, name: str, tolerance: int, per_request: int | None) -> None:
        """Apply a plan."""
        plan = self.plans[name]
        self._try(
            name,
            lambda: client.resets.apply(
                plan, confirm=plan.phrase, reason="yearly", tolerance=tolerance, per_request=per_request
            ),
        )

    def plan(
        self, client: TrainingClient, name: str, courses: list[str], people: list[str]
    ) -> ResetPlan | None:
        """Plan through faults, and where they prevent it once more without."""
        for self.quiet in (False, True):
            try:
                return client.resets.plan(courses, people)
            except TrainingError as error:
                self.story.append(f"{name}: not planned, {type(error).__name__}")
            finally:
                self.quiet = False
        return None

    def resume(self, client: TrainingClient, name: str) -> None:
        """Resume a plan, where there is anything to resume."""
        plan = self.plans[name]
        self.service.run = name
        self._try(name, lambda: client.resets.resume(plan, confirm=plan.phrase))

    def settle(self, client: TrainingClient, name: str) -> None:
        """Resume without faults, hours later, until nothing changes any more."""
        for _ in range(3):
            self.hours.wait(LATER)
            self.resume(client, name)

    def _try(self, name: str, step: Callable[[], ResetReport | None]) -> None:
        try:
            report = step()
            self.story.append(f"{name}: {dict(report.counts) if report else 'done'}")
            if report is not None:
                self.accounts[name] = Account.of(report)
        except (AlreadyAppliedError, InvalidArgumentError, OverlappingPlanError) as error:
            self.story.append(f"{name}: {type(error).__name__}, {error}")
        except TrainingError as error:
            report = getattr(error, "report", None)
            if report is not None and name in self.plans:
                self.accounts[name] = Account.of(report)
            self.story.append(f"{name}: {type(error).__name__}, {error}")

    # --- what must hold --------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Hold the SDK's records against the service's ledger."""
        self.hours.wait(LATER)
        self.service.work_off()
        self.check_nobody_outside()
        self.check_nobody_twice()
        self.check_everybody_is_accounted_for()
        self.check_evidence()
        assert not self.service.waited_before_a_reset, "something was waited for after the last reading"

    def check_nobody_outside(self) -> None:
        """Every effect is of somebody whom its plan names as a target.

        A service that resets others as well is noticed in the proof, or at its first request afterwards.
        """
        ran = {effect.run for effect in self.service.ledger}
        assert ran <= ({"proof", *self.plans} if self.is_proved else {"proof"}), ran
        outside = [effect for effect in self.service.ledger if not effect.is_listed]
        for name, plan in self.plans.items():
            named = {effect.key for effect in self.service.ledger if effect.run == name and effect.is_listed}
            assert named <= {user.key for user in plan.targets}, name
        if outside:
            assert self.does & DAMAGES, outside
            assert {effect.request for effect in outside} == {self.service.resets}, "more requests were sent"
            for run in {effect.run for effect in outside} - {"proof"}:
                assert self.accounts[run].reached_others == 1
                assert not self.accounts[run].is_complete

    def check_nobody_twice(self) -> None:
        """Every effect happened once for its plan."""
        effects = Counter((effect.run, effect.key) for effect in self.service.ledger)
        assert set(effects.values()) <= {1}, effects

    def check_everybody_is_accounted_for(self) -> None:
        """The last report of a plan names everyone of it, and says "reset" of those and only those who were."""
        for name, account in self.accounts.items():
            outcomes = account.outcomes
            assert outcomes.keys() == {user.key for user in self.plans[name].users}
            cleared = {effect.key for effect in self.service.ledger if effect.run == name}
            for key, outcome in outcomes.items():
                if outcome is Outcome.RESET:
                    assert key in cleared or not self.service.record(key).lessons, (name, key, outcome)
                elif outcome is not Outcome.UNKNOWN:
                    assert key not in cleared, (name, key, outcome)

    def check_evidence(self) -> None:
        """All records agree, every pack verifies, and all that could be seen of those whom a plan cleared is in one.

        Completions, and every attempt and every completed lesson of the cleared record.
        """
        state = StateDirectory.open(self.folder)
        log = AuditLog(state.audit)
        assert log.verify() == ()
        assert [str(one) for one in check_records(state) if not one.is_note] == []
        manifests = log.manifests()
        packs = evidence.packs_in(state.evidence)
        for pack in packs:
            assert evidence.verify_pack(pack, manifest_sha256=manifests[pack.name]) == (), pack.name
        kept = {(one.course_id, one.user_id, one.completed_at) for one in evidence.history(packs)}
        attempts = {line for pack in packs for line in _lines(pack, "attempts")}
        lessons = {line for pack in packs for line in _lines(pack, "lessons")}
        for effect in self.service.ledger:
            if not effect.is_listed:
                continue
            before, seen_by = effect.before, effect.requested_at - self.service.lag - timedelta(hours=4)
            if before.completed_at is not None and before.completed_at < seen_by:
                assert (*effect.key, before.completed_at) in kept, effect
            for number, done in enumerate(before.lessons):
                if done < seen_by:
                    lesson = (*effect.key, lesson_id(effect.key[0], number))
                    assert lesson in attempts, effect
                    assert lesson in lessons, effect


def _lines(pack: Path, table: str) -> Iterator[tuple[str, str, str]]:
    """Course, person and lesson of every line of a table in a pack."""
    for line in (pack / f"{table}.jsonl").read_text("utf-8").splitlines():
        item = json.loads(line)
        yield item["courseId"], item["userId"], item["lessonId"]
