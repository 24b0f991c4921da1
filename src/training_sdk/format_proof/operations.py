"""Proofs of a reset's format, as operations of ``client.resets``, and what all operations of a reset share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from os import PathLike

from attrs import evolve

from training_sdk._core import argument_checks
from training_sdk._core.flow import Flow
from training_sdk._core.listing import Calls
from training_sdk._core.operation import Bound, D, operation
from training_sdk._core.text import token_fingerprint
from training_sdk.approval.approvals import Approval, check_safeguards
from training_sdk.errors import InvalidArgumentError, Remedy
from training_sdk.format_proof.proof_ends import ProofRecorder
from training_sdk.format_proof.proof_planner import WantedProof, check_phrase, plan_proof
from training_sdk.format_proof.proof_run import ProofRun, RefusalProofRun
from training_sdk.format_proof.proofs import Proof, ProofPlan, ProofScope, find_proof, kept_fields_at
from training_sdk.local_plans.admission import proof_that_holds
from training_sdk.local_plans.plan_records import resets_known
from training_sdk.plans.people import People, Where
from training_sdk.plans.plan import Only
from training_sdk.plans.planned import LastResets, Origin
from training_sdk.plans.planner import PlanOptions
from training_sdk.plans.reset_effect import KeptFields
from training_sdk.records.state import StateDirectory
from training_sdk.records.tokens import refuse_typed
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.reset_request import Order, Progress
from training_sdk.safeguards import ResetFormat, Safeguards

LONGEST_DURATION = timedelta(days=7)
"""The longest time for which one call reads back a reset or a proof."""


class FormatProofs(Bound[D]):
    """Planning and making proofs; the base of ``Resets``, which shares its settings and its records."""

    def __init__(
        self,
        driver: D,
        calls: Calls,
        reset_format: ResetFormat,
        safeguards: Safeguards,
        state_dir: str | PathLike[str] | None,
    ) -> None:
        self._driver = driver
        self._calls = evolve(calls, is_fresh=True)  # everything here decides something by what it reads
        self._format = reset_format
        self._safeguards = safeguards
        self._state_dir = state_dir

    @operation
    def plan_proof(
        self,
        course_id: str,
        person: str | None = None,
        *,
        server_side: bool = False,
        refused_with: str | None = None,
    ) -> Flow[ProofPlan]:
        """Plan the proof of this client's ResetFormat on a live service, and change nothing.

        If a proof of this format was started and did not end, its plan is returned.

        Arguments:

        - ``course_id``: The **test course**: at most 5 people, at least two with visible progress, and no person needs
          their progress in it.
        - ``person``: The user id or e-mail of the person to reset. A completed lesson of this person must be visible in
          another course: it shows that the reset does not change other courses.
        - ``server_side``: Prove the call for everyone, which needs a separate proof. Then pass no ``person``: everyone
          on the course would be reset, and one person must have completed a lesson in another course.
        - ``refused_with``: The user id of a person who is not on the course, for a second, optional step after the
          proof of the format. One request names ``person`` and then this user. The service is expected to refuse it
          without effect.

        Raises InvalidArgumentError if the course or the person is not suitable, PlanMismatchError on the reference
        server.

        REST: the calls of ``plan_everyone`` (statistics: shape assumed), and the progress feed of each of these people.
        """
        course = argument_checks.one_id(course_id, "course_id")
        by_server = argument_checks.yes_or_no(server_side, "server_side")
        who = None if person is None else argument_checks.text(person, "person", longest=320)
        if by_server == (who is not None):
            raise InvalidArgumentError(
                "A proof resets either one named person, or everyone on the course.",
                remedy=Remedy("whom_to_prove", "Name the person, or pass server_side=True and no person."),
            )
        last = None if refused_with is None else argument_checks.one_id(refused_with, "refused_with")
        if by_server and last is not None:
            raise argument_checks.refusal(
                "refused_with",
                "needs a request that lists people. Nothing was planned.",
                remedy=Remedy("leave_out_server_side", "Leave out server_side."),
            )
        wanted = self._plan_options(course)
        return plan_proof(self._calls, WantedProof(wanted, self._format, who, self._state_dir, last))

    @operation
    def prove_format(
        self,
        plan: ProofPlan,
        *,
        confirm: str,
        reason: str,
        ticket: str | None = None,
        approval: Approval | None = None,
        accept_missing_lessons: bool = False,
        require_surveys: bool = False,
        deadline: timedelta = timedelta(hours=4),
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Flow[Proof]:
        """Prove on a test course that a reset has the expected effect, and unlock resets in this format there.

        Arguments:

        - ``plan``: The plan of the proof.
        - ``confirm``: The phrase of the proof, as a person typed it.
        - ``reason``: The reason, recorded in the audit log.
        - ``ticket``: The ticket of the decision, recorded in the audit log.
        - ``approval``: The approval of ``plan.reset``, if the safeguards require one.
        - ``accept_missing_lessons``: As for ``apply``.
        - ``require_surveys``: As for ``apply``.
        - ``deadline``: The longest time to wait for the effect, up to a week.
        - ``on_progress``: A function that is called with a ``Progress`` after each reading.

        It sends one request, with the same evidence and records as any reset. Then it reads the feed for at least 2 h
        15 min and the ``processing_time``, because the feed may show older data for this time. If the feed then shows
        the people who were reset at 0 % and everyone else as before, the proof is stored on this machine. It is valid
        for this server, organisation, format and way. After ``deadline``, or after an interrupt, prove the same plan
        again: it continues to read, and sends nothing.

        A plan with ``refused_with`` needs the proof of the format, made with a token of the same user. If the person's
        progress stays, the status of the refusal is added to that proof (``refusals_without_effect``). From then on,
        ``apply`` and ``resume`` treat a refusal of several listed people with this status as one without effect.

        Raises ProofFailedError if the reset had another effect, or if the effect is not known yet; otherwise as
        ``apply``.

        REST: the calls of ``apply`` (path published, body **assumed**), and the progress feed.
        """
        check_phrase(plan, confirm, self._format)
        check_safeguards(plan.reset, self._safeguards)
        self._calls.refuse_to_write("resets.prove_format")
        refuse_typed(self._fingerprint, reason=reason, ticket=ticket)
        order = Order(
            plan.reset,
            self._format,
            argument_checks.text(reason, "reason", longest=1000),
            argument_checks.optional_text(ticket, "ticket", longest=200),
            plan.way == "everyone",
            approval=approval,
            accept_missing_lessons=accept_missing_lessons,
            require_surveys=require_surveys,
            named_last=() if plan.refused_with is None else (plan.refused_with,),
            safeguards=evolve(self._safeguards, signed_plans=False),  # it comes from no file
        )
        base = self._recorder()
        recorder = ProofRecorder(
            base.path, base.fingerprint, base.evidence_lifetime, seal=base.seal, witnesses=plan.witnesses
        )
        kind = ProofRun if plan.refused_with is None else RefusalProofRun
        longest = checked_duration(deadline, "deadline")
        return kind(self._calls, plan, order, recorder, longest, on_progress).run()

    def _plan_options(
        self,
        courses: str | Iterable[str],
        people: People | None = None,
        *,
        only: object = None,
        where: Where | None = None,
        paths: Iterable[str] = (),
    ) -> PlanOptions:
        listed = [courses] if isinstance(courses, str) else courses
        path_ids = argument_checks.any_ids(paths, "paths")
        ids = (
            argument_checks.any_ids(listed, "courses")
            if path_ids
            else argument_checks.some_ids(listed, "courses")
        )
        if where is not None and not isinstance(where, Where):
            raise argument_checks.refusal("where", f"must be a Where(…), not {type(where).__name__}.")
        return PlanOptions(
            ids,
            people,
            _checked_only(only),
            where,
            path_ids,
            self._safeguards,
            self._last_resets,
            self._kept_fields,
        )

    def _last_resets(self, origin: Origin) -> LastResets:
        state = StateDirectory.existing(self._state_dir)
        return LastResets() if state is None else resets_known(state, origin)

    def _kept_fields(self, origin: Origin) -> KeptFields:
        return kept_fields_at(self._stored_proof, origin, self._format)

    def _stored_proof(self, ground: ProofScope) -> Proof | None:
        """Return the stored proof, also if it is not enough to send anything there."""
        state = StateDirectory.existing(self._state_dir)
        return None if state is None else find_proof(state, ground)

    def _valid_proof(self, ground: ProofScope) -> Proof | None:
        state = StateDirectory.existing(self._state_dir)
        return None if state is None else proof_that_holds(state, ground)

    def _processing_time(self, here: Origin) -> timedelta:
        """Return how long a service may work on a reset that it has accepted, by the safeguards and the proofs."""
        known = [self._safeguards.processing_time]
        for way in (False, True):
            proof = self._stored_proof(ProofScope.of(here, self._format, server_side=way))
            known += [] if proof is None else [proof.seen_after]
        return max(known)

    def _recorder(self, *, resuming: bool = False) -> Recorder:
        guards = self._safeguards
        return Recorder(self._state_dir, self._fingerprint, guards.evidence_lifetime, resuming, guards.seal)

    @property
    def _fingerprint(self) -> str | None:
        """The fingerprint of the token; None where a function gives it."""
        return token_fingerprint(self._driver.connection.token)


def checked_duration(value: object, name: str) -> timedelta:
    """Return a duration, or raise InvalidArgumentError."""
    if not isinstance(value, timedelta) or not timedelta(0) <= value <= LONGEST_DURATION:
        raise argument_checks.refusal(name, f"must be a timedelta between 0 and a week, not {value!r}.")
    return value


def _checked_only(only: object) -> Only | None:
    if only is None or only == "completed":
        return "completed" if only else None
    raise InvalidArgumentError(f"only must be None or 'completed', not {only!r}.", argument="only")
