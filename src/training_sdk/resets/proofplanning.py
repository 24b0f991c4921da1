"""Planning the proof of a reset's format: whether a course and its people will do. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import attrs
from attrs import evolve, frozen

from training_sdk._compare import mailbox
from training_sdk._flow import Act, Flow
from training_sdk._pages import Calls
from training_sdk.errors import InvalidArgumentError
from training_sdk.models.keys import Key
from training_sdk.models.progress import ProgressRow
from training_sdk.records.state import StateDirectory
from training_sdk.resets import pending
from training_sdk.resets.format import ResetFormat
from training_sdk.resets.identity import LiveCalls, who_and_where
from training_sdk.resets.plan import Origin, PlannedReset, ResetPlan
from training_sdk.resets.planning import Wanted, make_plan, no_traces
from training_sdk.resets.proofplan import ProofPlan
from training_sdk.resets.proofs import Ground
from training_sdk.resets.wording import shown
from training_sdk.resources.progress import progress_rows

MOST_PEOPLE = 5
"""On the sacrificial course: whom a service may reset that does not know the format."""


@frozen
class WantedProof:
    """What is to be proved: on which course, with whom (None: everyone, by one call), and within which limits."""

    wanted: Wanted
    format: ResetFormat
    person: str | None
    state_dir: str | PathLike[str] | None

    @property
    def server_side(self) -> bool:
        """Whether it is about the call that resets everyone."""
        return self.person is None


def plan_proof(calls: Calls, proof: WantedProof) -> Flow[ProofPlan]:
    """Find out whether a course will do, and change nothing; the proof that has begun where there is one."""
    calls = LiveCalls.of(calls)
    here = yield from who_and_where(calls)
    old: ProofPlan | None = yield Act(lambda: _begun_here(proof, here), "proofs: look for one that has begun")
    if old is not None:
        _refuse_another(old, proof)
        return old
    everyone = yield from make_plan(calls, evolve(proof.wanted, traces=no_traces))
    _check_course(everyone)
    reset = everyone if proof.person is None else _only(everyone, proof.person)
    rows = yield from read_people(calls, [user.user_id for user in everyone.users])
    theirs = {user.key for user in everyone.users}
    targets = {user.key for user in reset.targets}
    witnesses = (
        *(user for user in everyone.users if user.key not in targets),
        *(PlannedReset.of(row) for key, row in rows.items() if key not in theirs),
    )
    plan = ProofPlan(reset, witnesses, proof.format, "everyone" if proof.server_side else "listed")
    check_witnesses(plan)
    return plan


def _begun_here(proof: WantedProof, here: Origin) -> ProofPlan | None:
    state = StateDirectory.existing(proof.state_dir)
    ground = Ground.of(here, proof.format, server_side=proof.server_side)
    return None if state is None else pending.find(state, ground)


def _refuse_another(old: ProofPlan, proof: WantedProof) -> None:
    """A second one beside a proof whose end is open could be taken for the effect of the first."""
    course = old.reset.course
    same = proof.person is None or any(_is_named(user, proof.person) for user in old.reset.users)
    if proof.wanted.courses != (course.id,) or not same:
        who = ", ".join(shown(user.name) or user.user_id for user in old.reset.users)
        raise InvalidArgumentError(
            f"a proof of this format has begun on {course.title!r} ({course.id}) with {who}, and its end is open. "
            "Go on with that one: plan it again with the same course and person, and prove it"
        )


def _is_named(user: PlannedReset, person: str) -> bool:
    return person == user.user_id or ("@" in person and mailbox(user.email or "") == mailbox(person))


def _only(everyone: ResetPlan, person: str) -> ResetPlan:
    found = [user for user in everyone.users if _is_named(user, person)]
    if len(found) != 1:
        raise InvalidArgumentError(
            f"{person!r} is {'no' if not found else 'more than one'} person on {everyone.course.title!r}; name a user "
            "id or an e-mail"
        )
    (user,) = found
    if not user.is_target:
        raise InvalidArgumentError(
            f"{shown(user.name) or user.user_id} has no visible progress in {everyone.course.title!r}, so nobody could "
            "see whether a reset took effect. Let them open a lesson, and wait until the feed shows it"
        )
    fields = attrs.asdict(everyone, recurse=False)
    return ResetPlan(**{**fields, "users": (user,)})


def _check_course(everyone: ResetPlan) -> None:
    people, visible = len(everyone.users), len(everyone.targets)
    title = everyone.course.title
    if people > MOST_PEOPLE:
        raise InvalidArgumentError(
            f"{title!r} has {people} people, and all of them could be reset: a sacrificial course has at most "
            f"{MOST_PEOPLE}. Make one for this, and assign accounts to it that nobody needs"
        )
    if visible < 2:
        raise InvalidArgumentError(
            f"{title!r} has {visible} people with visible progress, and a proof needs two: one to be reset, one to "
            "stay. Let them open a lesson, and wait until the feed shows it"
        )


def check_witnesses(plan: ProofPlan) -> None:
    """Raise InvalidArgumentError unless somebody who would be reset has progress in another course."""
    if not plan.other_courses:
        who = ", ".join(shown(user.name) or user.user_id for user in plan.reset.targets)
        raise InvalidArgumentError(
            f"{who}: no completed lesson is visible in another course, so nobody could see whether a reset of this "
            "course clears the other courses of the same person too. Assign such a person to a second course, let them "
            "complete a lesson there, and wait until the feed shows it (up to 2 h)"
        )


def read_people(calls: Calls, user_ids: Sequence[str]) -> Flow[dict[Key, ProgressRow]]:
    """The feed's rows of a few people, in all their courses."""
    rows: dict[Key, ProgressRow] = {}
    for user_id in user_ids:
        found = yield from progress_rows(calls, user_id=user_id).gather()
        rows |= {(row.course_id, row.user_id): row for row in found}
    return rows
