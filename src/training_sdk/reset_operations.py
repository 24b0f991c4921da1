"""Resetting course progress: the only way through the SDK, in two steps with a phrase between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from os import PathLike
from pathlib import Path

from attrs import evolve

from training_sdk._core import argument_checks
from training_sdk._core.flow import Flow
from training_sdk._core.operation import D, operation
from training_sdk.approval.approvals import Approval
from training_sdk.approval.confirmation import check_confirmation, check_safeguards
from training_sdk.approval.four_eyes import approve_signed
from training_sdk.errors import InvalidArgumentError
from training_sdk.plans.people import People
from training_sdk.plans.people_file import Named
from training_sdk.plans.plan import EveryonePlan, Only, ResetPlan
from training_sdk.plans.planner import make_due_plan, make_everyone_plan, make_plan
from training_sdk.plans.selection import Where
from training_sdk.prove_format.operations import (
    FormatProofs,
    checked_duration,
    checked_functions,
    checked_number,
)
from training_sdk.recertification.due import Due
from training_sdk.records.tokens import refuse_typed
from training_sdk.reports.report import ResetReport
from training_sdk.resets.reset_request import MOST_PER_REQUEST, UNDIVIDED, Order, Progress
from training_sdk.resets.reset_run import apply_plan
from training_sdk.resets.resume import resume_plan
from training_sdk.resets.waves import Waves
from training_sdk.verification.verification_result import Verification
from training_sdk.verification.verifying import VerificationOptions, wait_until_verified


class Resets(FormatProofs[D]):
    """``client.resets``"""

    @operation
    def plan(
        self,
        courses: str | Iterable[str],
        users: Iterable[str] | People,
        *,
        only: Only | None = None,
        where: Where | None = None,
        paths: Iterable[str] = (),
        skip_unassigned: bool = False,
    ) -> Flow[ResetPlan]:
        """Plan the reset of the users named, in every course named, and change nothing.

        Arguments:

        - ``courses``: The ids of the courses, or one id. With ``paths`` it may be empty.
        - ``users``: User ids and e-mail addresses, or People, which also holds external ids, groups, sites and files.
          An empty list is refused: it never means everyone.
        - ``only``: ``"completed"`` leaves out those who have not completed.
        - ``where``: Criteria; people for whom they do not hold are left out.
        - ``paths``: Ids of learning paths whose courses are added.
        - ``skip_unassigned``: Leave people out of courses in which the feed has no row for them; the plan lists them. A
          person in no course is an error.

        Raises NotFoundError if someone is not in a course, PermissionDeniedError if the token may not read progress,
        InvalidArgumentError if nobody is left or one of the client's safeguards forbids it.

        REST: WhoAmI, ``GET /training/courses/v1``, ``GET /training/paths/v1`` and the progress feed; for groups and
        sites their feeds. On a live service what the plan says is up to 2 h old.
        """
        people = users if isinstance(users, People) else People.of(users, name="users")
        wanted = self._plan_options(courses, people, only, where, paths)
        skips = argument_checks.yes_or_no(skip_unassigned, "skip_unassigned")
        return make_plan(self._calls, evolve(wanted, skip_unassigned=skips))

    @operation
    def plan_everyone(
        self, courses: str | Iterable[str], *, only: Only | None = None, where: Where | None = None
    ) -> Flow[EveryonePlan]:
        """Plan the reset of everyone assigned to these courses whom this token sees, and change nothing.

        Refused with PermissionDeniedError if the feed shows fewer people than the statistics count; a server that
        narrows both to someone's teams cannot be caught at it, so read the numbers. People who are unassigned or
        deactivated at the moment, or guests, are not in it: they keep their past, which reappears when they return.

        REST: as for ``plan``, and ``GET /training/analytics/v1/courses/statistics`` (shape assumed).
        """
        return make_everyone_plan(self._calls, self._plan_options(courses, None, only, where))

    @operation
    def plan_due(self, due: Due) -> Flow[ResetPlan]:
        """Plan the reset of whom ``who_is_due(…)`` found due, and change nothing.

        Whoever is held, warned of or in grace is not in it. Whoever no longer has the completion they were found due
        by stays in it with ``left_out="RENEWED"``, and is not reset. Raises InvalidArgumentError if nobody is (still)
        due, or if the list is for a day after today; otherwise as ``plan``, which it is. Today is the day in the zone
        of the list, by the ``Date`` of the service's answer, or by this machine's clock if the answer has none.

        REST: WhoAmI and the reading calls of ``plan``.
        """
        by_course = due.by_course
        if not by_course:
            raise InvalidArgumentError(
                "No person in this list is due, so there is nothing to plan. Nothing was read. Make the list for "
                "another day, or correct the rule.",
                argument="due",
            )
        people = tuple(
            Named("user_id", user, course) for course, users in by_course.items() for user in users
        )
        return make_due_plan(
            self._calls, self._plan_options(tuple(by_course), People(people), None, None), due
        )

    @operation
    def approve(
        self,
        plan: ResetPlan,
        *,
        confirm: str,
        key: str | PathLike[str] | None = None,
        interactive: bool = False,
    ) -> Flow[Approval]:
        """Approve somebody else's plan, as the owner of this client's token; sends nothing that changes anything.

        ``confirm`` is the plan's phrase, typed. With ``key``, the path of an SSH key, the approval is signed by
        ``ssh-keygen``, which may ask on the terminal for a passphrase only if ``interactive``. Without it is
        procedural, which proves no more than that two tokens took part. Names, e-mails and external ids are compared
        with the service where this token may read them; ``approval.compared`` says whether. Raises ApprovalError if
        one differs, for a service's token, and for a procedural approval that compared nothing; ConfirmationError if
        the phrase is not this plan's.

        REST: WhoAmI, the progress feed, ``GET /training/analytics/v1/courses/statistics`` (shape assumed)
        and ``POST /users/v1/users/list`` (third-party).
        """
        return approve_signed(
            self._calls,
            plan,
            self._safeguards,
            confirm=confirm,
            key=None if key is None else Path(key),
            interactive=argument_checks.yes_or_no(interactive, "interactive"),
        )

    @operation
    def apply(
        self,
        plan: ResetPlan,
        *,
        confirm: str,
        reason: str | None = None,
        ticket: str | None = None,
        server_side: bool = False,
        tolerance: int = 0,
        approval: Approval | None = None,
        waves: Waves | None = None,
        per_request: int | None = None,
        accept_missing_lessons: bool = False,
        require_surveys: bool = False,
        stop: Callable[[], bool] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Flow[ResetReport]:
        """Carry out a plan, once. It cannot be undone.

        Evidence about everyone is written before anything is sent, and every step is written to a journal before the
        next is taken, so that ``resume`` can go on from wherever it ended. Users are sent as explicit ids.

        Arguments:

        - ``plan``: The plan.
        - ``confirm``: The plan's phrase, typed.
        - ``reason``: Why, for the audit log; required on a live service.
        - ``ticket``: Where it was decided, for the audit log.
        - ``server_side``: Make one call for everyone of a course instead of listing people.
        - ``tolerance``: Stop if the progress of more people than this has changed since the plan was made. People whose
          progress has changed are skipped in any case.
        - ``approval``: The approval of a second person.
        - ``waves``: How the requests are spread over time.
        - ``per_request``: The most people in one request, by default 1000. A live service's refusal is certain to have
          had no effect only where the request names one person.
        - ``accept_missing_lessons``: Go on if the evidence holds fewer lessons than a progress row says are completed;
          it and the report then name them.
        - ``require_surveys``: Stop if the survey answers of a course cannot be read as evidence. Otherwise evidence and
          report say so.
        - ``stop``: Called before each request; true ends it there.
        - ``on_progress``: Called with how far it is.

        Raises, with nothing sent: ConfirmationError if the phrase is not this plan's; AlreadyAppliedError if it was
        applied before; OverlappingPlanError if another plan may have reset the same people; ApprovalError if the
        safeguards demand a second person; PlanMismatchError if the client speaks to another server or organisation;
        UnconfirmedFormatError on a live service without a proof that holds; EvidenceError and RecordsError if the
        records cannot be kept; StalePlanError if people moved. Raises, with ``report`` saying what became of
        everyone: OutcomeUnknownError if an answer was lost or a request of several people refused, or any other error
        that stopped it between two requests. Ctrl-C and cancellation go on as themselves, with the same report as
        their attribute ``report``. Without it, ask ``training-sdk report``: nothing need have been sent, and all may be
        over.

        REST: ``POST /training/courseprogress/v1/reset`` (path published, body **assumed**).
        """
        chosen = argument_checks.yes_or_no(server_side, "server_side")
        check_confirmation(plan, confirm, server_side=chosen)
        check_safeguards(plan, self._safeguards)
        self._calls.refuse_to_write("resets.apply")
        refuse_typed(self._fingerprint, reason=reason, ticket=ticket)
        order = Order(
            plan,
            self._format,
            argument_checks.optional_text(reason, "reason"),
            argument_checks.optional_text(ticket, "ticket", longest=200),
            chosen,
            checked_number(tolerance, "tolerance"),
            waves=waves,
            per_request=_per_request(per_request, server_side=chosen),
            accept_missing_lessons=argument_checks.yes_or_no(
                accept_missing_lessons, "accept_missing_lessons"
            ),
            require_surveys=argument_checks.yes_or_no(require_surveys, "require_surveys"),
            approval=approval,
            safeguards=self._safeguards,
            **checked_functions(stop, on_progress),
        )
        return apply_plan(self._calls, order, self._recorder(), self._valid_proof)

    @operation
    def resume(
        self,
        plan: ResetPlan,
        *,
        confirm: str,
        approval: Approval | None = None,
        waves: Waves | None = None,
        per_request: int | None = None,
        accept_missing_lessons: bool = False,
        require_surveys: bool = False,
        stop: Callable[[], bool] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        unseal: Callable[[bytes], bytes] | None = None,
    ) -> Flow[ResetReport]:
        """Go on with a plan whose application stopped half-way, on the machine where it began.

        Arguments:

        - ``plan``: The plan.
        - ``confirm``: The plan's phrase, typed.
        - ``approval``: The approval of a second person. By default the one kept beside the journal, which is verified
          where an approval is demanded.
        - ``waves``: How the requests are spread over time, by default as it was begun.
        - ``per_request``: The most people in one request, by default as it was begun.
        - ``accept_missing_lessons``: As for ``apply``.
        - ``require_surveys``: As for ``apply``.
        - ``stop``: Called before each request; true ends it there.
        - ``on_progress``: Called with how far it is.
        - ``unseal``: Opens the approval beside the journal, if it is sealed.

        Whatever may have arrived is read back first and never simply sent again: nothing recorded, or a course begun
        anew, means it took effect; all as before means it did not, on a live service once 2 h 15 min and the
        ``processing_time`` have passed, and never if the service accepted the request (a 2xx, readable or not);
        anything else stays unknown for a person to decide. On the reference server the very same request may be sent
        once more by the same user at once, since it is known there by its key. Nobody is ever reset twice. A
        plan is read back, and then nothing more is sent, if it has expired, if no proof of the format holds any more,
        or if people outside it may have been reset. If people are left then, it raises StalePlanError,
        UnconfirmedFormatError or IncompleteResetError (``REACHED_OTHERS``) with a report. InvalidArgumentError if
        it never began here, AlreadyAppliedError if it came to its end, and as ``apply``.

        REST: the calls of ``apply`` (path published, body **assumed**).
        """
        check_confirmation(plan, confirm)
        check_safeguards(plan, self._safeguards)
        self._calls.refuse_to_write("resets.resume")
        order = Order(
            plan,
            self._format,
            approval=approval,
            waves=waves,
            per_request=_per_request(per_request),
            accept_missing_lessons=argument_checks.yes_or_no(
                accept_missing_lessons, "accept_missing_lessons"
            ),
            require_surveys=argument_checks.yes_or_no(require_surveys, "require_surveys"),
            safeguards=self._safeguards,
            **checked_functions(stop, on_progress),
        )
        recorder = self._recorder(resuming=True)
        recorder.unseal = unseal
        return resume_plan(self._calls, order, recorder, self._valid_proof)

    @operation
    def wait_until_verified(
        self,
        report: ResetReport | str,
        *,
        deadline: timedelta = timedelta(hours=5),
        every: timedelta = timedelta(minutes=5),
        lessons: int = 1000,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Flow[Verification]:
        """Read progress and analytics until they show what a reset did, and send no reset.

        Arguments:

        - ``report``: That of ``apply`` or ``resume``, or the digest of a plan applied on this machine.
        - ``deadline``: Give up after this time.
        - ``every``: The first wait between two readings; later ones are up to six times as long.
        - ``lessons``: Of how many people at most the lessons are read as well as the feed; they are spread over the
          plan.
        - ``on_progress``: Called with how far it is.

        Whoever was reset, or may have been, ends as verified (seen at 0 %, or begun or completed again since),
        contradicted (the old progress is still recorded 2 h 15 min and the ``processing_time`` later) or pending. It
        ends when nobody is pending whom another reading could settle, or after ``deadline``. One line goes to the audit
        log; people whose result the journal does not know stay so, until ``resume``. Nothing counts as verified as a
        whole before the plan came to its end with every target reset.

        Raises InvalidArgumentError if nobody was reset or there is no such report, PlanMismatchError on another server
        or in another organisation, ClockError.

        REST: WhoAmI, the progress feed, ``GET /training/analytics/v1/users/{userId}/lessons/progress`` (shape assumed).
        """
        if not isinstance(report, ResetReport | str):
            raise InvalidArgumentError(
                f"report must be a ResetReport or a plan's digest, not {type(report).__name__}.",
                argument="report",
            )
        first = checked_duration(every, "every")
        if not first:
            raise InvalidArgumentError("every must be longer than 0 seconds.", argument="every")
        watch = VerificationOptions(
            checked_duration(deadline, "deadline"),
            first,
            checked_number(lessons, "lessons"),
            processing_time=self._processing_time,
            **checked_functions(None, on_progress),
        )
        return wait_until_verified(self._calls, report, watch, self._recorder(), self._kept_fields)


def _per_request(number: object, *, server_side: bool = False) -> int | None:
    if number is None:
        return None
    if type(number) is not int or not 1 <= number <= MOST_PER_REQUEST:
        raise InvalidArgumentError(
            f"per_request must be a number of people from 1 to {MOST_PER_REQUEST}, not {number!r}.",
            argument="per_request",
        )
    if server_side:
        raise InvalidArgumentError(UNDIVIDED)
    return number
