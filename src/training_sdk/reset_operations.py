"""The operations that plan and apply resets: the only way to reset progress with the SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from os import PathLike
from pathlib import Path

from attrs import evolve

from training_sdk._core import argument_checks, codec
from training_sdk._core.flow import Flow
from training_sdk._core.operation import D, operation
from training_sdk.approval.approvals import Approval, check_confirmation, check_safeguards
from training_sdk.approval.four_eyes import approve
from training_sdk.errors import InvalidArgumentError
from training_sdk.format_proof.operations import FormatProofs, checked_duration
from training_sdk.plans.people import People, Where
from training_sdk.plans.people_file import Named
from training_sdk.plans.plan import EveryonePlan, Only, ResetPlan
from training_sdk.plans.planner import make_everyone_plan, make_plan
from training_sdk.recertification.due import Due
from training_sdk.records.tokens import refuse_typed
from training_sdk.reports.report import ResetReport
from training_sdk.resets.reset_request import Order, Progress, checked_per_request
from training_sdk.resets.reset_run import apply_plan
from training_sdk.resets.resume import resume_plan
from training_sdk.resets.verification_result import Verification
from training_sdk.resets.verifying import VerificationOptions, wait_until_verified
from training_sdk.resets.waves import Waves

# A reset imports nothing half-way: while it runs the package may be upgraded, or the right to read it be lost.
codec.import_readers()


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
        """Plan the reset of these users in these courses. Nothing is changed.

        On a live service the data in the plan is up to 2 h old.

        Arguments:

        - ``courses``: The ids of the courses, or one id. It may be empty if ``paths`` is given.
        - ``users``: User ids and e-mail addresses, or a ``People`` object, which can also contain external ids, groups,
          sites and files. An empty list is an error: it never means everyone.
        - ``only``: ``"completed"`` leaves out people who have not completed the course.
        - ``where``: Conditions on the progress. People who do not meet them are left out.
        - ``paths``: Ids of learning paths. Their courses are added to ``courses``.
        - ``skip_unassigned``: Leave a person out of each course in which the feed has no row for them, and list them in
          the plan. A person without a row in any course is an error.

        Raises:

        - ``NotFoundError``: A course does not exist, or a person has no row in a course.
        - ``PermissionDeniedError``: The token must not read the progress of other people.
        - ``InvalidArgumentError``: No person is left, or a safeguard of the client forbids the plan.

        REST: WhoAmI, ``GET /training/courses/v1``, ``GET /training/paths/v1`` and the progress feed; for groups and
        sites also their feeds.
        """
        people = users if isinstance(users, People) else People.of(users, name="users")
        wanted = self._plan_options(courses, people, only=only, where=where, paths=paths)
        skips = argument_checks.yes_or_no(skip_unassigned, "skip_unassigned")
        return make_plan(self._calls, evolve(wanted, skip_unassigned=skips))

    @operation
    def plan_everyone(
        self, courses: str | Iterable[str], *, only: Only | None = None, where: Where | None = None
    ) -> Flow[EveryonePlan]:
        """Plan the reset of everyone who is assigned to these courses and visible to this token. Nothing is changed.

        Check the numbers in the plan: if the server limits both the feed and the statistics to the teams of the token's
        user, the SDK cannot notice it. People who are now unassigned or deactivated, and guests, are not in the plan.
        Their progress stays stored, and reappears when they return.

        Arguments:

        - ``courses``: The ids of the courses, or one id.
        - ``only``: As for ``plan``.
        - ``where``: As for ``plan``.

        Raises:

        - ``PermissionDeniedError``: The feed shows fewer people than the statistics count.
        - Otherwise as ``plan``.

        REST: the requests of ``plan``, and ``GET /training/analytics/v1/courses/statistics`` (shape assumed).
        """
        return make_everyone_plan(self._calls, self._plan_options(courses, only=only, where=where))

    @operation
    def plan_due(self, due: Due) -> Flow[ResetPlan]:
        """Plan the reset of the people whom ``who_is_due`` found due. Nothing is changed.

        People on the hold list, people who are only warned, and people in the grace period are not in the plan. A
        person whose completion changed since the list was made stays in the plan with ``left_out="RENEWED"``, and is
        not reset.

        Arguments:

        - ``due``: The list that ``who_is_due`` returned, for today or an earlier day. Today is the day in the time zone
          of the list, by the ``Date`` of the service's answer, or by this machine's clock if the answer has none.

        Raises:

        - ``InvalidArgumentError``: No person is due, or no longer due, or the list is for a day after today.
        - Otherwise as ``plan``.

        REST: WhoAmI, and the other requests of ``plan``.
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
        wanted = self._plan_options(tuple(by_course), People(people))
        return make_plan(self._calls, evolve(wanted, due=due))

    @operation
    def approve(
        self,
        plan: ResetPlan,
        *,
        confirm: str,
        key: str | PathLike[str] | None = None,
        interactive: bool = False,
    ) -> Flow[Approval]:
        """Approve a plan that another person made, as the owner of this client's token. Nothing is changed.

        Names, e-mail addresses and external ids in the plan are compared with the service if this token may read them.
        ``approval.compared`` is True if they were compared.

        Arguments:

        - ``plan``: The plan of the other person.
        - ``confirm``: The confirmation phrase of the plan, as the approver typed it.
        - ``key``: The path of an SSH key with which ``ssh-keygen`` signs the approval. Without a key the approval is
          procedural (unsigned): it proves only that two tokens were used.
        - ``interactive``: Let ``ssh-keygen`` ask for a passphrase or a touch on the terminal.

        Raises:

        - ``ConfirmationError``: ``confirm`` is not the phrase of this plan.
        - ``ApprovalError``: A name, an e-mail address or an external id differs, the token belongs to a service user,
          or nothing could be compared for a procedural approval.

        REST: WhoAmI, the progress feed, ``GET /training/analytics/v1/courses/statistics`` (shape assumed)
        and ``POST /users/v1/users/list`` (third-party).
        """
        return approve(
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
        """Apply a plan: reset the people in it. A plan is applied once, and a reset cannot be undone.

        Evidence of everyone is stored before the first request. Each step is written to a journal before the next
        step, so that ``resume`` can continue after any interruption. Each request lists the user ids.

        Arguments:

        - ``plan``: The plan.
        - ``confirm``: The confirmation phrase of the plan, as a person typed it.
        - ``reason``: The reason for the reset, recorded in the audit log; at most 1000 characters. It is required on a
          live service.
        - ``ticket``: The ticket or decision behind the reset, recorded in the audit log; at most 200 characters.
        - ``server_side``: Send one request for everyone in a course, instead of listing user ids.
        - ``tolerance``: The number of people whose progress may have changed since the plan was made. If it is
          exceeded, the reset stops. People whose progress has changed are skipped in any case.
        - ``approval``: The approval of a second person, if the safeguards require one.
        - ``waves``: The schedule that spreads the requests over time.
        - ``per_request``: The highest number of people in one request, 1 to 1000; by default 1000. If a live service
          refuses a request, only a request for one person is certain to have had no effect.
        - ``accept_missing_lessons``: Continue if the evidence has fewer lessons than a progress row counts as
          completed. The evidence and the report then name these people.
        - ``require_surveys``: Stop if the survey answers of a course cannot be read as evidence. By default the reset
          continues, and the evidence and the report show the gap.
        - ``stop``: A function that is called before each request. If it returns True, no further request is sent.
        - ``on_progress``: A function that is called with the progress of the reset.

        Raises, before anything is sent:

        - ``ConfirmationError``: ``confirm`` is not the phrase of this plan.
        - ``AlreadyAppliedError``: The plan was applied, or its application was started.
        - ``OverlappingPlanError``: Another plan may have reset the same people.
        - ``ApprovalError``: The safeguards require an approval, and it is missing or not valid.
        - ``PlanMismatchError``: The plan was made on another server or in another organisation.
        - ``UnconfirmedFormatError``: The format is not verified on this live service.
        - ``StalePlanError``: Progress changed since the plan was made.
        - ``EvidenceError``, ``RecordsError``: Evidence or records cannot be stored.

        Raises, with the result for every user in ``report``:

        - ``OutcomeUnknownError``: An answer was lost, or a request for several people was refused.
        - ``ResetInterruptedError``: ``stop`` returned True.
        - Any other error that stopped the reset between two requests.

        Ctrl-C and cancellation are raised unchanged, with the same report in their attribute ``report``. If they have
        no report, run ``training-sdk report``: it shows whether anything was sent.

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
            tolerance,
            waves=waves,
            per_request=checked_per_request(per_request, server_side=chosen),
            accept_missing_lessons=accept_missing_lessons,
            require_surveys=require_surveys,
            approval=approval,
            safeguards=self._safeguards,
            stop=stop,
            on_progress=on_progress,
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
        """Continue an interrupted application of a plan, on the machine on which it was started.

        A request whose result is unknown is not sent again. Its users are read first:

        - If their progress is empty, or they started the course again, the request took effect.
        - If their progress is unchanged, the request had no effect. On a live service this counts only after 2 h 15 min
          and the ``processing_time``, and never if the service accepted the request (any 2xx status).
        - In all other cases the result stays unknown, and a person must decide.

        No person is reset twice. On the reference server, which recognises a request by its key, the same user may send
        the same request again at once. If the plan has expired, if the format is no longer verified, or if people
        outside the plan may have been reset, results are read, but nothing more is sent.

        Arguments:

        - ``plan``: The plan.
        - ``confirm``: The confirmation phrase of the plan, as a person typed it.
        - ``approval``: The approval of a second person. By default the one that is stored beside the journal; it is
          verified if the safeguards require an approval.
        - ``waves``: The schedule that spreads the requests over time. By default the one of ``apply``.
        - ``per_request``: The highest number of people in one request. By default the one of ``apply``.
        - ``accept_missing_lessons``: As for ``apply``.
        - ``require_surveys``: As for ``apply``.
        - ``stop``: As for ``apply``.
        - ``on_progress``: As for ``apply``.
        - ``unseal``: A function that decrypts the approval beside the journal, if it is encrypted.

        Raises:

        - ``InvalidArgumentError``: The plan was never applied on this machine.
        - ``AlreadyAppliedError``: The application of the plan has ended.
        - ``StalePlanError``: The plan has expired, and people are left. The error has a report.
        - ``UnconfirmedFormatError``: The format is no longer verified, and people are left. The error has a report.
        - ``IncompleteResetError``: People outside the plan may have been reset (``REACHED_OTHERS``). The error has a
          report.
        - Otherwise as ``apply``.

        REST: the requests of ``apply`` (path published, body **assumed**).
        """
        check_confirmation(plan, confirm)
        check_safeguards(plan, self._safeguards)
        self._calls.refuse_to_write("resets.resume")
        order = Order(
            plan,
            self._format,
            approval=approval,
            waves=waves,
            per_request=checked_per_request(per_request),
            accept_missing_lessons=accept_missing_lessons,
            require_surveys=require_surveys,
            safeguards=self._safeguards,
            stop=stop,
            on_progress=on_progress,
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
        """Read progress and analytics until they show the effect of a reset. No reset is sent.

        Each user who was reset, or may have been, gets one of three results:

        - Verified: the progress is at 0 %, or the course was started or completed again since the reset.
        - Contradicted: the old progress is still shown 2 h 15 min and the ``processing_time`` after the reset.
        - Pending: neither is shown yet.

        Reading ends if another reading could not settle any pending user, or after ``deadline``. One line is written to
        the audit log. A user whose result is unknown in the journal stays unknown until ``resume``. The plan counts as
        verified only if its application has ended and every target was reset.

        Arguments:

        - ``report``: The report of ``apply`` or ``resume``, or the digest of a plan that was applied on this machine.
        - ``deadline``: The time after which reading ends.
        - ``every``: The first wait between two readings. Later waits are up to six times as long.
        - ``lessons``: The highest number of users whose lessons are read in addition to the feed. They are spread over
          the plan.
        - ``on_progress``: A function that is called with the progress of the verification.

        Raises:

        - ``InvalidArgumentError``: No user was reset, or there is no such report.
        - ``PlanMismatchError``: The plan was made on another server or in another organisation.
        - ``ClockError``: The clocks of this machine and of the live service are too far apart.

        REST: WhoAmI, the progress feed, ``GET /training/analytics/v1/users/{userId}/lessons/progress`` (shape assumed).
        """
        if not isinstance(report, ResetReport | str):
            raise argument_checks.refusal(
                "report", f"must be a ResetReport or a plan's digest, not {type(report).__name__}."
            )
        first = checked_duration(every, "every")
        if not first:
            raise InvalidArgumentError("every must be longer than 0 seconds.", argument="every")
        watch = VerificationOptions(
            checked_duration(deadline, "deadline"),
            first,
            lessons,
            on_progress,
            self._processing_time,
        )
        return wait_until_verified(self._calls, report, watch, self._recorder(), self._kept_fields)
