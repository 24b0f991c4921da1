"""Whatever a live service does, by name and by chance: nobody outside a plan, nobody twice, and a true account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from attrs import define, field
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contract.hours import Hours, quick_hours
from mock_server import MockTraining, Policy
from mock_server.policy import AnswerForm, Behaviour
from training_sdk import Outcome, ResetPlan, ResetReport, TrainingClient, TrainingError
from training_sdk.evidence import packs_in, verify_pack
from training_sdk.records.audit import AuditLog
from training_sdk.records.state import StateDirectory

LATER = timedelta(hours=4)
"""Longer than a service may be behind, and than a queue may take."""
NEVER_PROVED = {Behaviour.IGNORES_COURSE, Behaviour.IGNORES_USER_LIST, Behaviour.RESETS_STRANGERS}
Key = tuple[str, str]


def _fits(names: set[Any]) -> bool:
    try:
        Policy(
            emulates=[each for each in names if isinstance(each, Behaviour)],
            answers=[each for each in names if isinstance(each, AnswerForm)],
        )
    except ValueError:
        return False
    return True


together = st.sets(st.sampled_from([*Behaviour, *AnswerForm]), max_size=4).filter(_fits)


@define
class Run:
    """A proof, a plan, and what became of both."""

    mock: MockTraining
    client: TrainingClient
    hours: Hours
    report: ResetReport | None = None
    story: list[str] = field(factory=list)

    @property
    def courses(self) -> list[str]:
        """The test course, and two others."""
        return list(self.mock.world.main.courses)

    def effects(self, since: int = 0) -> Counter[Key]:
        """Who was reset how often, by the server's own log."""
        return Counter((each.course_id, one) for each in self.mock.audit[since:] for one in each.reset_ids)

    def attempt(self, what: str, step: Callable[[], Any]) -> Any:
        """Take a step; what it gives, or None with its error in the story."""
        try:
            done = step()
        except TrainingError as error:
            self.story.append(f"{what}: {type(error).__name__}, {error}")
            self.report = getattr(error, "report", None) or self.report
            return None
        self.story.append(f"{what}: done")
        self.report = done if isinstance(done, ResetReport) else self.report
        return done

    def prove(self) -> bool:
        """Prove the format with somebody who has progress in every course."""
        test_course, person = self.courses[0], self.mock.world.users[0].id
        plan = self.attempt("plan the proof", lambda: self.client.resets.plan_proof(test_course, person))
        prove = self.client.resets.prove_format
        return plan is not None and bool(
            self.attempt("prove", lambda: prove(plan, confirm=plan.phrase, reason="first reset here"))
        )

    def apply(self, fault: str | None, per_request: int | None) -> ResetPlan | None:
        """Plan for everyone in the other courses, apply with a fault, and resume as often as three times."""
        resets = self.client.resets
        plan: ResetPlan | None = self.attempt("plan", lambda: resets.plan_everyone(self.courses[1:]))
        if plan is None:
            return None
        if fault is not None:
            self.mock.faults.add("drop", operation="ResetCourseProgress", when=fault)
        order: dict[str, Any] = {"confirm": plan.phrase, "per_request": per_request}
        self.attempt("apply", lambda: resets.apply(plan, reason="yearly", **order))
        for _ in range(3):
            self.hours.wait(LATER)
            self.attempt("resume", lambda: resets.resume(plan, **order))
        self.hours.wait(LATER)
        return plan


@contextmanager
def running(policy: Policy) -> Iterator[Run]:
    """A service that does what the policy says, where hours take no time."""
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setenv("TRAINING_SDK_STATE_DIR", str(Path(folder) / "state"))
        hours = quick_hours(patch)
        mock = MockTraining.generate(users=5, courses=3, policy=policy)
        for course_id in mock.world.main.courses:
            mock.world.complete_course(course_id, mock.world.users[0].id, score=80)
        hours.on_wait.append(mock.clock.advance)
        hours.wait(LATER)  # what was learned is in the feed
        with (
            httpx.Client(transport=mock.transport()) as http,
            TrainingClient(mock.token("admin"), http_client=http, pace=False) as client,
        ):
            yield Run(mock, client, hours)


def check(run: Run, plan: ResetPlan, since: int) -> None:
    """What must hold of a plan, by the log of the server."""
    effects, targets = run.effects(since), {user.key for user in plan.targets}
    assert effects.keys() <= targets
    assert set(effects.values()) <= {1}
    state = StateDirectory.open()
    manifests = AuditLog(state.audit).manifests()
    for pack in packs_in(state.evidence):
        assert verify_pack(pack, manifest_sha256=manifests[pack.name]) == ()
    if run.report is None:
        assert not effects
        return
    outcomes = {user.key: user.outcome for user in run.report.users}
    assert outcomes.keys() == {user.key for user in plan.users}
    for key, outcome in outcomes.items():
        if outcome is Outcome.RESET:
            assert key in effects, key
        elif outcome is not Outcome.UNKNOWN:
            assert key not in effects, (key, outcome)


@settings(max_examples=6)
@given(
    together,
    st.sampled_from([0, 7200]),
    st.sampled_from([None, "before", "after"]),
    st.sampled_from([None, 1]),
)
@example({Behaviour.QUEUES_RESETS, Behaviour.ANSWERS_RESET_EMPTY}, 7200, "after", None)
@example({Behaviour.REFUSES_PARTWAY_404, AnswerForm.PROTO3}, 0, None, None)
@example({Behaviour.IGNORES_COURSE}, 0, None, None)
@example({Behaviour.RESETS_STRANGERS}, 0, None, None)
@example({Behaviour.IGNORES_USER_LIST, Behaviour.QUEUES_RESETS, Behaviour.REFUSES_PARTWAY_404}, 0, None, None)
def test_a_plan_is_kept_to(names: set[Any], lag: int, fault: str | None, per_request: int | None) -> None:
    behaviours = [each for each in names if isinstance(each, Behaviour)]
    forms = [each for each in names if isinstance(each, AnswerForm)]
    policy = Policy(plays="live", emulates=behaviours, answers=forms, lag_seconds=lag)
    with running(policy) as run:
        try:
            is_proved = run.prove()
            run.hours.wait(LATER)  # what the proof has put into a queue is carried out
            since = len(run.mock.audit)
            run.report = None
            plan = run.apply(fault, per_request)
            assert not (is_proved and NEVER_PROVED & names)
            if plan is None or not is_proved:
                assert not run.effects(since)
            else:
                check(run, plan, since)
        except BaseException as problem:
            problem.add_note("\n".join(run.story))
            raise
