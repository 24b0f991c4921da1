"""Planning the proof of a reset's format: checks that a course and its people are suitable. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import attrs
from attrs import evolve, frozen

from training_sdk._core import argument_checks
from training_sdk._core.flow import Flow, RunLocally
from training_sdk._core.listing import Calls
from training_sdk._core.model import Key
from training_sdk._core.text import mailbox
from training_sdk.api.progress import ProgressRow, progress_rows
from training_sdk.approval import approvals
from training_sdk.errors import InvalidArgumentError
from training_sdk.format_proof import pending
from training_sdk.format_proof.proofs import ProofPlan, ProofScope, Way
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.planned import Origin, PlannedReset
from training_sdk.plans.planner import PlanOptions, make_plan, no_kept_fields
from training_sdk.plans.reading import LiveCalls, read_origin
from training_sdk.plans.wording import number, shown
from training_sdk.records.state import StateDirectory
from training_sdk.safeguards import ResetFormat

MOST_PEOPLE = 5
"""The largest number of people on the test course: a service that does not know the format may reset them all."""

_ELSEWHERE = (
    "No completion of this person is visible in another course, so the proof could not show whether a reset "
    "clears that too. Let this person complete another course."
)
_BESIDE = (
    "No other person has completed this course, so the proof could not show whether a reset of one person "
    "reaches the others. Let another person complete it."
)


@frozen
class WantedProof:
    """The options of a proof: course, person (None for everyone by one call), and limits.

    ``refused_with`` is the id of a user who cannot be reset there, for the proof of a refusal.
    """

    wanted: PlanOptions
    format: ResetFormat
    person: str | None
    state_dir: str | PathLike[str] | None
    refused_with: str | None = None

    @property
    def server_side(self) -> bool:
        """True if the proof sends the call that resets everyone."""
        return self.person is None


def plan_proof(calls: Calls, proof: WantedProof) -> Flow[ProofPlan]:
    """Check whether a course is suitable, and change nothing; return the pending proof if there is one."""
    calls = LiveCalls.of(calls)
    here = yield from read_origin(calls)
    old: ProofPlan | None = yield RunLocally(
        lambda: _begun_here(proof, here), "proofs: look for one that has begun"
    )
    if old is not None:
        _refuse_another(old, proof)
        return old
    everyone = yield from make_plan(calls, evolve(proof.wanted, kept_fields=no_kept_fields))
    _check_course(everyone)
    reset = everyone if proof.person is None else _only(everyone, proof.person)
    rows = yield from read_people(calls, [user.user_id for user in everyone.users])
    if proof.refused_with is not None:
        _check_progress(reset.targets[0])
        rows |= yield from _read_refused(calls, everyone, proof.refused_with)
    theirs = {user.key for user in everyone.users}
    targets = {user.key for user in reset.targets}
    witnesses = (
        *(user for user in everyone.users if user.key not in targets),
        *(PlannedReset.of(row) for key, row in rows.items() if key not in theirs),
    )
    way: Way = "everyone" if proof.server_side else "listed"
    plan = ProofPlan(reset, witnesses, proof.format, way, proof.refused_with)
    check_witnesses(plan)
    return plan


def _begun_here(proof: WantedProof, here: Origin) -> ProofPlan | None:
    state = StateDirectory.existing(proof.state_dir)
    ground = ProofScope.of(here, proof.format, server_side=proof.server_side)
    return None if state is None else pending.find(state, ground)


def _refuse_another(old: ProofPlan, proof: WantedProof) -> None:
    """Raise unless the open proof is the wanted one: the effects of two proofs could be confused."""
    course = old.reset.course
    same = proof.person is None or any(_is_named(user, proof.person) for user in old.reset.users)
    if proof.wanted.courses != (course.id,) or not same or proof.refused_with != old.refused_with:
        who = ", ".join(shown(user.name) or user.user_id for user in old.reset.users)
        if old.refused_with is not None:
            who += f" and, to be refused, {old.refused_with}"
        raise InvalidArgumentError(
            f"A proof of this format was started on {course.title!r} ({course.id}) with {who}, and did not end. "
            "Nothing was sent. Continue that proof: plan it again with the same course and people, and prove it."
        )


def _is_named(user: PlannedReset, person: str) -> bool:
    return person == user.user_id or ("@" in person and mailbox(user.email or "") == mailbox(person))


def _only(everyone: ResetPlan, person: str) -> ResetPlan:
    found = [user for user in everyone.users if _is_named(user, person)]
    if len(found) != 1:
        raise argument_checks.refusal(
            "person",
            f"must be the user id or e-mail of one person on {everyone.course.title!r}, not {person!r}, which "
            f"fits {'no' if not found else 'more than one'} person.",
        )
    (user,) = found
    if not user.is_target:
        raise InvalidArgumentError(
            f"{shown(user.name) or user.user_id} has no visible progress in {everyone.course.title!r}, so "
            "the proof could not show whether a reset took effect. Let this person open a lesson, and wait "
            "until the feed shows it."
        )
    fields = attrs.asdict(everyone, recurse=False)
    return ResetPlan(**{**fields, "users": (user,)})


def _check_progress(person: PlannedReset) -> None:
    """Raise InvalidArgumentError for a person whose row may look the same after a reset."""
    if not (person.completed_at or person.completed_lessons or person.percent):
        raise InvalidArgumentError(
            f"{shown(person.name) or person.user_id} has no completed lesson in the course, so the proof "
            "could not show whether the refused request reset this person. Let this person complete one, and wait "
            "until the feed shows it (up to 2 h)."
        )


def _read_refused(calls: Calls, everyone: ResetPlan, user_id: str) -> Flow[dict[Key, ProgressRow]]:
    """Return the rows of the user to be refused: the user is not on this course, but on another one."""
    course = everyone.course
    rows = yield from read_people(calls, [user_id])
    if (course.id, user_id) in rows:
        raise InvalidArgumentError(
            f"User {user_id} is on {course.title!r}, so the service need not refuse the request. In refused_with, name "
            "a user who is not assigned to it.",
            argument="refused_with",
        )
    if not rows:
        raise InvalidArgumentError(
            f"The feed shows no course of user {user_id}, so the service may not know this user. It may "
            "refuse unknown users before it resets people, and others only after. In refused_with, name "
            "the id of a user who is assigned to another course.",
            argument="refused_with",
        )
    return rows


def _check_course(everyone: ResetPlan) -> None:
    people, visible = len(everyone.users), len(everyone.targets)
    title = everyone.course.title
    if people > MOST_PEOPLE:
        raise InvalidArgumentError(
            f"{title!r} has {people} people, and all of them could be reset: a test course has at most "
            f"{MOST_PEOPLE}. Create a separate course, and assign test accounts to it."
        )
    if visible < 2:
        seen = number(visible, "person", "people")
        raise InvalidArgumentError(
            f"{title!r} has {seen} with visible progress, and a proof needs two: one to be reset, one to "
            "stay. Let more people open a lesson, and wait until the feed shows it."
        )


def check_witnesses(plan: ProofPlan) -> None:
    """Raise InvalidArgumentError unless the control persons have as much progress as the people to reset.

    A service may reset only people who have completed a course. Then only completions show whether it respects the
    list of users and the course.
    """
    who = ", ".join(shown(user.name) or user.user_id for user in plan.reset.targets)
    if not plan.other_courses:
        raise InvalidArgumentError(
            f"No completed lesson of {who} is visible in another course, so the proof could not show whether a reset "
            "of this course clears the other courses of the same person too. Assign a person to a second course, let "
            "this person complete a lesson there, and wait until the feed shows it (up to 2 h).",
            reason="PROOF_TOO_NARROW",
        )
    if plan.is_wide_enough:
        return
    missing = ((plan.completions_elsewhere, _ELSEWHERE), (plan.completions_beside, _BESIDE))
    raise InvalidArgumentError(
        f"{who} completed {plan.reset.course.title!r}, and a service may reset only people who have completed a "
        f"course. {' '.join(how for is_there, how in missing if not is_there)} Wait until the feed shows it (up to "
        "2 h), and plan again.",
        reason="PROOF_TOO_NARROW",
    )


def read_people(calls: Calls, user_ids: Sequence[str]) -> Flow[dict[Key, ProgressRow]]:
    """Return the feed's rows of a few people, in all their courses."""
    rows: dict[Key, ProgressRow] = {}
    for user_id in user_ids:
        found = yield from progress_rows(calls, user_id=user_id).gather()
        rows |= {(row.course_id, row.user_id): row for row in found}
    return rows


def check_phrase(plan: object, confirm: object, reset_format: ResetFormat) -> None:
    """Raise ConfirmationError unless ``confirm`` is the phrase of this proof."""
    if not isinstance(plan, ProofPlan):
        raise argument_checks.refusal(
            "plan", f"must be a ProofPlan from client.resets.plan_proof(…), not {type(plan).__name__}."
        )
    if plan.format != reset_format:
        raise InvalidArgumentError(
            "The proof was planned for another ResetFormat than that of this client. Nothing was sent. Plan it again.",
            argument="plan",
        )
    approvals.check_phrase(confirm, plan.phrase, "proof")
