"""R09 to R23, whatever happens: a state machine of learners, assignments, resets and refused resets.

After every step the whole world is held against a model that works everything out anew (`model`): what a step changes
is exactly what the rules say, and nothing of a cleared past is to be had from any endpoint or ledger.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from contract.plant import ARCHIVED, DRAFT, FIRE, FORKLIFT
from contract.stage import RESET, confirming, typed
from mock_server.learner_actions import LateWriteError, NotAssignedError
from mock_server.mock import TokenName
from mock_server.world.people import Seat, Status
from property.world import model
from property.world.machine import WatchedWorld
from property.world.model import Json
from training_sdk import ConfirmationError, InvalidArgumentError, ResetPlan, StalePlanError
from training_sdk.plans.plan import Only

LEARNERS = ("anna", "ben", "cleo", "dora", "emil", "gus", "dirk", "fay")

courses = st.sampled_from([FORKLIFT, FORKLIFT, FORKLIFT, FIRE, DRAFT, ARCHIVED])
names = st.sampled_from(LEARNERS)
whoever = st.none() | st.sets(names, min_size=1)
"""Some, or None for everyone."""
scores = st.integers(0, 100)
marks = st.none() | scores
ages = st.none() | st.integers(1, 40)
"""How many hours and three milliseconds before it arrives something was done; None for at once."""


class WorldMachine(WatchedWorld):
    """All that can happen in a world."""

    # --- learners ---

    def act(
        self, name: str, course: str, hours: int | None, action: Callable[..., Any], **details: Any
    ) -> None:
        """Let somebody do something; it changes their record, their certificate and the counters, or nothing."""
        self.step()
        late = timedelta(0) if hours is None else timedelta(hours=hours, milliseconds=3)
        made_at, course_id, user_id = self.now - late, self.plant.courses[course], self.plant.id(name)
        organisation = self.org(self.before)
        reset_at = organisation["reset_at"][course_id].get(user_id)
        expected = deepcopy(self.before)
        if user_id not in model.roster(organisation, course_id):
            with pytest.raises(NotAssignedError):
                action(course, user_id, made_at=made_at, **details)
        elif (
            self.mock.policy.late_writes == "refused"
            and reset_at
            and made_at < datetime.fromisoformat(reset_at)
        ):
            with pytest.raises(LateWriteError):
                action(course, user_id, made_at=made_at, **details)
        else:
            action(course, user_id, made_at=made_at, **details)
            self.expect_written(self.org(expected), course_id, user_id)
        self.expect(expected)

    @rule(name=names, course=courses, hours=ages)
    def open_course(self, name: str, course: str, hours: int | None) -> None:
        self.act(name, course, hours, self.mock.world.open)

    @rule(name=names, hours=ages, lesson=st.sampled_from(["Controls", "Signs", "Driving test"]), score=scores)
    def complete_lesson(self, name: str, hours: int | None, lesson: str, score: int) -> None:
        self.act(name, FORKLIFT, hours, self.mock.world.complete_lesson, lesson=lesson, score=score)

    @rule(name=names, course=courses, hours=ages, score=scores)
    def complete_course(self, name: str, course: str, hours: int | None, score: int) -> None:
        self.act(name, course, hours, self.mock.world.complete_course, score=score)

    @rule(name=names, hours=ages, mark=marks, is_signed_off=st.booleans())
    def submit_assessment(self, name: str, hours: int | None, mark: int | None, is_signed_off: bool) -> None:
        assessor = f"assessor of {self.now.isoformat()}" if is_signed_off else ""
        action = self.mock.world.submit_assessment
        self.act(name, FORKLIFT, hours, action, mark=mark, signed_off_by=assessor)

    @rule(name=names, course=courses, hours=ages)
    def post(self, name: str, course: str, hours: int | None) -> None:
        text = f"said at {self.now.isoformat()}"
        self.act(name, course, hours, self.mock.world.post_to_discussion, text=text)

    @rule(name=names, hours=ages, mark=marks)
    def hand_in(self, name: str, hours: int | None, mark: int | None) -> None:
        file = f"sheet {self.now.isoformat()}.pdf"
        self.act(name, FORKLIFT, hours, self.mock.world.hand_in_assignment, file_name=file, mark=mark)

    @rule(name=names, hours=ages)
    def answer_survey(self, name: str, hours: int | None) -> None:
        # Not as dates are written anywhere: somebody's date that was cleared must not be found in another's words.
        answer = f"unclear, {self.now:%d %B %H %M %S %f}"
        self.act(name, FORKLIFT, hours, self.mock.world.answer_survey, answer=answer)

    # --- assignments ---

    @rule(
        course=courses,
        kind=st.sampled_from(["USER", "GROUP", "SITE"]),
        name=names,
        number=st.integers(0, 1),
        on=st.booleans(),
    )
    def reassign(self, course: str, kind: str, name: str, number: int, on: bool) -> None:
        self.step()
        organisation, course_id = self.mock.world.main, self.plant.courses[course]
        groups, sites = list(organisation.groups), list(organisation.sites)
        target = {"USER": self.plant.id(name), "GROUP": groups[number], "SITE": sites[0]}[kind]
        change = {"id": target, "type": f"ASSIGNMENT_TYPE_{kind}", "isAssigned": on}
        answer = self.send("PUT", f"/training/courses/v1/{course_id}/assignments", {"assignments": [change]})
        assert answer.status == 200
        held = self.org(self.mock.world.snapshot())["assigned"][course_id][kind.lower() + "s"]
        assert (target in held) == on
        self.expect_reassigned("assigned", course_id)

    @rule(course=courses, on=st.booleans())
    def universal_access(self, course: str, on: bool) -> None:
        self.step()
        body = {"assignments": [], "universalAccess": on}
        course_id = self.plant.courses[course]
        assert self.send("PUT", f"/training/courses/v1/{course_id}/assignments", body).status == 200
        self.expect_reassigned("assigned", course_id)

    @rule(
        name=names,
        change=st.one_of(
            st.fixed_dictionaries({"status": st.sampled_from(Status)}),
            st.fixed_dictionaries({"seat": st.sampled_from([Seat.FULL, Seat.LITE, Seat.GUEST])}),
            st.fixed_dictionaries({"notifications": st.booleans()}),
            st.fixed_dictionaries({"groups": st.sampled_from([0, 1, 2])}),
        ),
    )
    def change_person(self, name: str, change: dict[str, Any]) -> None:
        self.step()
        if "groups" in change:
            change = {"groups": frozenset(list(self.mock.world.main.groups)[: change["groups"]])}
        self.mock.world.update_user(self.plant.id(name), **change)
        self.expect_reassigned("people", *self.org(self.before)["courses"])

    @rule(course=courses, on=st.booleans())
    def switch_certificates(self, course: str, on: bool) -> None:
        self.step()
        self.mock.world.update_course(course, certificate=on)
        expected = deepcopy(self.before)
        self.org(expected)["courses"][self.plant.courses[course]]["certificate"] = on
        self.expect(expected)

    # --- resets ---

    @rule(course=courses, listed=whoever, key=st.booleans())
    def reset_by_http(self, course: str, listed: set[str] | None, key: bool) -> None:
        self.step()
        asked = None if listed is None else self.plant.ids(*sorted(listed))
        user_ids = self.targets(course, asked)
        self.remember(course, [*user_ids, *self.absent(course, asked)])
        headers = confirming(course, len(user_ids)) | (
            {"Idempotency-Key": self.now.isoformat()} if key else {}
        )
        scope = {"allUsers": True} if asked is None else {"userIds": asked}
        body = {"courseId": self.plant.courses[course], **scope}
        request = self.request("POST", RESET, body, headers=headers)
        answer = self.mock.handle(request)
        assert (answer.status, answer.body) == (200, b'{"usersUpdated":%d}' % len(user_ids))
        self.expect_reset(course, user_ids, asked, "ada")
        if key:
            self.kept.append((request, answer.body))

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        self.step()
        request, body = data.draw(st.sampled_from(self.kept))
        answer = self.mock.handle(request)
        assert (answer.status, answer.body) == (200, body)
        assert self.mock.audit[-1].outcome == "replayed"
        self.expect(self.before, audited=1)

    def planned(self, course: str, listed: set[str] | None) -> ResetPlan | None:
        """A plan through the SDK, held against the model; None where there is nobody to plan for."""
        self.step()
        course_id = self.plant.courses[course]
        on_roster = model.roster(self.org(self.before), course_id)
        asked = None if listed is None else [i for i in self.plant.ids(*sorted(listed)) if i in on_roster]
        only: Only | None = "completed" if self.mock.policy.eligibility == "completed" else None
        user_ids = self.targets(course, asked)
        attempt = (
            partial(self.sdk.resets.plan_everyone, course_id, only=only)
            if asked is None
            else partial(self.sdk.resets.plan, course_id, asked, only=only)
        )
        plan: ResetPlan | None = None
        if not (on_roster if asked is None else asked) or (only and not user_ids):
            with pytest.raises(InvalidArgumentError):
                attempt()
        else:
            plan = attempt()
        assert plan is None or [user.user_id for user in plan.targets] == user_ids
        self.expect(self.before)
        return plan

    @rule(course=courses, listed=whoever)
    def reset_by_sdk(self, course: str, listed: set[str] | None) -> None:
        plan = self.planned(course, listed)
        if plan is None:
            return
        user_ids = [user.user_id for user in plan.targets]
        self.remember(course, user_ids)
        report = self.sdk.resets.apply(plan, confirm=typed(plan))
        assert (report.is_complete, report.reset_count) == (True, len(user_ids))
        if user_ids:
            self.expect_reset(course, user_ids, user_ids, "ada")
        else:
            self.expect(self.before)

    @rule(course=courses, listed=whoever, wrong=st.sampled_from(["", "yes", FORKLIFT]))
    def unconfirmed_reset(self, course: str, listed: set[str] | None, wrong: str) -> None:
        plan = self.planned(course, listed)
        if plan is not None:
            with pytest.raises(ConfirmationError):
                self.sdk.resets.apply(plan, confirm=wrong)
        self.expect(self.before)

    @rule(course=courses, listed=whoever)
    def stale_reset(self, course: str, listed: set[str] | None) -> None:
        plan = self.planned(course, listed)
        in_scope = [user for user in plan.users if not user.left_out] if plan else []
        moving = [user for user in in_scope if user.state != "completed"]
        if plan is None or not moving:
            return
        self.complete_course(self.plant.names([moving[-1].user_id]).pop(), course, None, 100)
        self.step()
        with pytest.raises(StalePlanError):
            self.sdk.resets.apply(plan, confirm=typed(plan))
        self.expect(self.before)

    @rule(course=courses, listed=whoever, data=st.data())
    def refused_reset(self, course: str, listed: set[str] | None, data: st.DataObject) -> None:
        self.step()
        asked = None if listed is None else self.plant.ids(*sorted(listed))
        users = len(self.targets(course, asked))
        scope: Json = {"allUsers": True} if asked is None else {"userIds": asked}
        body: Json = {"courseId": self.plant.courses[course], **scope}
        right = confirming(course, users)
        by_policy = self.mock.policy.everyone_permission == "Training: Administration" and asked is None
        powerless: TokenName = "resetter" if by_policy else "manager"
        stranger = [self.plant.id("stranger")]
        attempts: dict[str, tuple[int, TokenName, Json, dict[str, str]]] = {
            "PERMISSION_DENIED": (403, powerless, body, right),
            "PERMISSION_DENIED to team leads": (403, "teamlead", body, right),
            "UNAUTHENTICATED": (401, "revoked", body, right),
            "COURSE_NOT_FOUND abroad": (
                404,
                "admin",
                body | {"courseId": self.plant.courses["foreign"]},
                right,
            ),
            "COURSE_NOT_FOUND from abroad": (404, "outsider", {**body, **scope}, right),
            "USER_NOT_FOUND": (404, "admin", {"courseId": body["courseId"], "userIds": stranger}, right),
            "INVALID_ARGUMENT for both": (
                400,
                "admin",
                body | {"allUsers": True, "userIds": stranger},
                right,
            ),
            "INVALID_ARGUMENT for none": (400, "admin", {"courseId": body["courseId"], "userIds": []}, right),
            "CONFIRMATION_REQUIRED": (428, "admin", body, {}),
            "CONFIRMATION_MISMATCH of title": (412, "admin", body, confirming(course + "!", users)),
            "CONFIRMATION_MISMATCH of number": (412, "admin", body, confirming(course, users + 1)),
        }
        what = data.draw(st.sampled_from(sorted(attempts)))
        status, who, sent, headers = attempts[what]
        answer = self.mock.handle(self.request("POST", RESET, sent, who, headers))
        assert (answer.status, json.loads(answer.body)["details"][0]["reason"]) == (status, what.split()[0])
        entry = self.mock.audit[-1]
        assert (entry.outcome, entry.status, entry.users_updated, entry.at) == (
            what.split()[0],
            status,
            0,
            self.now,
        )
        self.expect(self.before, audited=1)


_FAST = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking such histories takes minutes; the heavy lane does it
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
_HEAVY = settings(
    _FAST,
    max_examples=50,
    stateful_step_count=50,
    derandomize=False,
    phases=[Phase.generate, Phase.shrink],
    print_blob=True,
)


def test_R09_to_R23_hold_whatever_happens() -> None:
    run_state_machine_as_test(WorldMachine, settings=_FAST)


@pytest.mark.heavy
def test_R09_to_R23_hold_whatever_happens_for_long() -> None:
    run_state_machine_as_test(WorldMachine, settings=_HEAVY)
