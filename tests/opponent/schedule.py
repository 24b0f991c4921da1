"""One randomised schedule: plans, faults, learners and resumes over an independent service, and what must hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random

from attrs import define, field

from contract.hours import Hours
from opponent.network import KINDS, Fault, serve
from opponent.service import LESSONS, RESET, Record, Service
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
from training_sdk.records.audit import AuditLog
from training_sdk.records.state import StateDirectory

LATER = timedelta(hours=3)
"""Longer than the 2 h that the service may be behind, and the margin."""
TOKEN = "opponent-token"  # opens nothing but this service
"""Opens nothing but this service."""


def make_service(random: Random, hours: Hours) -> Service:
    """A service of a few people and courses, in which some have learned; one more course is for the proof."""
    people = tuple(f"user_{number:032x}" for number in range(1, random.randint(4, 9)))
    ids = [f"{number:02d}" + "c" * 22 for number in range(random.randint(2, 4))]
    courses = {course_id: people if number else people[:3] for number, course_id in enumerate(ids)}
    lag = timedelta(minutes=random.choice([0, 30, 90, 120]))
    service = Service(lambda: hours.now().utc, people, courses, lag, draw_style(random))
    past = service.now() - timedelta(days=30)
    for course_id in courses:
        for user_id in courses[course_id]:
            if course_id == ids[0] or random.random() < 0.8:
                service.learn((course_id, user_id), random.randint(1, LESSONS), past)
    return service


@define
class Schedule:
    """What happens in one run, all drawn from one seed."""

    random: Random
    service: Service
    hours: Hours
    folder: Path
    faults: float
    """How likely a fault is at a reset; reads fail a tenth as often."""
    quiet: bool = True
    plans: dict[str, ResetPlan] = field(factory=dict)
    reports: dict[str, ResetReport] = field(factory=dict)
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
        chance = self.faults if path == RESET else self.faults / 10
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
        with serve(self.service, self.choose_fault) as url, self.client(url) as client:
            self.prove(client)
            self.quiet = False
            for number in range(self.random.randint(1, 3)):
                self.apply(client, f"plan {number}")
            self.quiet = True
            for name in self.plans:
                self.settle(client, name)
        self.check()

    def prove(self, client: TrainingClient) -> None:
        """Prove the format on the first course."""
        self.service.run = "proof"
        proof = client.resets.plan_proof(next(iter(self.service.courses)), self.service.people[0])
        client.resets.prove_format(proof, confirm=proof.phrase, reason="first reset here")

    def apply(self, client: TrainingClient, name: str) -> None:
        """Plan for some people of some courses, apply, and resume a few times."""
        self.service.run = name
        people = [one for one in self.service.people if self.random.random() < 0.7] or [
            self.service.people[0]
        ]
        courses = self.random.sample(self.usual, self.random.randint(1, len(self.usual)))
        try:
            plan = client.resets.plan(courses, people)
        except TrainingError as error:
            self.story.append(f"{name}: not planned, {type(error).__name__}")
            return
        self.plans[name] = plan
        tolerance = self.random.choice([0, len(plan.users), len(plan.users)])
        self._try(
            name, lambda: client.resets.apply(plan, confirm=plan.phrase, reason="yearly", tolerance=tolerance)
        )
        for _ in range(self.random.randint(0, 2)):
            self.hours.wait(self.random.choice([timedelta(minutes=1), timedelta(minutes=50), LATER]))
            self.resume(client, name)

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

    def _try(self, name: str, step: Callable[[], ResetReport]) -> None:
        try:
            self.reports[name] = step()
            self.story.append(f"{name}: {dict(self.reports[name].counts)}")
        except (AlreadyAppliedError, InvalidArgumentError, OverlappingPlanError) as error:
            self.story.append(f"{name}: {type(error).__name__}, {error}")
        except TrainingError as error:
            report = getattr(error, "report", None)
            if report is not None:
                self.reports[name] = report
            self.story.append(f"{name}: {type(error).__name__}, {error}")

    # --- what must hold --------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Hold the SDK's records against the service's ledger."""
        self.check_nobody_outside_and_nobody_twice()
        self.check_everybody_is_accounted_for()
        self.check_evidence()

    def check_nobody_outside_and_nobody_twice(self) -> None:
        """Every effect is of somebody whom its plan names as a target, and happened once for this plan."""
        for name, plan in self.plans.items():
            effects = Counter(effect.key for effect in self.service.ledger if effect.run == name)
            outside = effects.keys() - {user.key for user in plan.targets}
            assert not outside, (name, outside)
            assert max(effects.values(), default=1) == 1, (name, effects)
        ran = {effect.run for effect in self.service.ledger}
        assert ran <= {"proof", *self.plans}, ran

    def check_everybody_is_accounted_for(self) -> None:
        """The last report of a plan names everyone of it, and says "reset" of those and only those who were."""
        for name, report in self.reports.items():
            outcomes = {user.key: user.outcome for user in report.users}
            assert outcomes.keys() == {user.key for user in self.plans[name].users}
            cleared = {effect.key for effect in self.service.ledger if effect.run == name}
            for key, outcome in outcomes.items():
                if outcome is Outcome.RESET:
                    assert key in cleared or self.service.record(key) == Record(), (name, key, outcome)
                elif outcome is not Outcome.UNKNOWN:
                    assert key not in cleared, (name, key, outcome)

    def check_evidence(self) -> None:
        """Every pack verifies, and every completion that could be seen before it was cleared is in one."""
        state = StateDirectory.open(self.folder)
        log = AuditLog(state.audit)
        assert log.verify() == ()
        manifests = log.manifests()
        packs = evidence.packs_in(state.evidence)
        for pack in packs:
            assert evidence.verify_pack(pack, manifest_sha256=manifests[pack.name]) == (), pack.name
        kept = {(one.course_id, one.user_id, one.completed_at) for one in evidence.history(packs)}
        for effect in self.service.ledger:
            completed = effect.before.completed_at
            if completed is not None and completed < effect.at - self.service.lag - timedelta(hours=4):
                assert (*effect.key, completed) in kept, effect
