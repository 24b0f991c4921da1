"""Resetting course progress: the only way through the SDK, in two steps with a phrase between them."""

from __future__ import annotations

from collections.abc import Iterable

from training_sdk import _checks
from training_sdk._flow import Flow
from training_sdk._operation import Bound, D, operation
from training_sdk._pages import Calls
from training_sdk.errors import InvalidArgumentError
from training_sdk.resets.applying import Order, apply_plan, check_confirmation
from training_sdk.resets.format import ResetFormat
from training_sdk.resets.plan import Only, ResetPlan
from training_sdk.resets.planning import make_plan
from training_sdk.resets.report import ResetReport


class Resets(Bound[D]):
    """``client.resets``"""

    def __init__(self, driver: D, calls: Calls, reset_format: ResetFormat) -> None:
        self._driver = driver
        self._calls = calls
        self._format = reset_format

    @operation
    def plan(self, course_id: str, users: Iterable[str], *, only: Only | None = None) -> Flow[ResetPlan]:
        """Plan the reset of the users named, and change nothing.

        ``users`` are user ids; an empty list is refused. ``only="completed"`` leaves out those who have not completed.
        Raises NotFoundError if someone is not in the course, PermissionDeniedError if the token may not read progress,
        InvalidArgumentError if ``only`` leaves nobody.

        REST: WhoAmI, ``GET /training/courses/v1`` and the progress feed. On a live service what the plan says is up to
        2 h old.
        """
        return make_plan(
            self._calls,
            _checks.one_id(course_id, "course_id"),
            _checks.some_ids(users, "users"),
            _checked_only(only),
        )

    @operation
    def plan_everyone(self, course_id: str, *, only: Only | None = None) -> Flow[ResetPlan]:
        """Plan the reset of everyone assigned to a course whom this token sees, and change nothing.

        Refused with PermissionDeniedError if the feed shows fewer people than the statistics count; a server that
        narrows both to someone's teams cannot be caught at it, so read the numbers. People who are unassigned or
        deactivated at the moment are not in it: they keep their past, which reappears when they return.

        REST: as for ``plan``, and ``GET /training/analytics/v1/courses/statistics`` (shape assumed).
        """
        return make_plan(self._calls, _checks.one_id(course_id, "course_id"), None, _checked_only(only))

    @operation
    def apply(
        self,
        plan: ResetPlan,
        *,
        confirm: str,
        reason: str | None = None,
        ticket: str | None = None,
        server_side: bool = False,
    ) -> Flow[ResetReport]:
        """Carry out a plan. It cannot be undone.

        ``confirm`` is the plan's phrase, typed. ``reason`` and ``ticket`` are kept in the report. Users are sent as
        explicit ids, at most 1000 a request; ``server_side=True`` makes one call for everyone instead.

        Raises, with nothing sent: ConfirmationError if the phrase is not this plan's; PlanMismatchError if the client
        speaks to another server or organisation; UnconfirmedFormatError if that is not the reference server;
        StalePlanError if anyone has moved. Raises, with ``report`` saying what became of everyone: OutcomeUnknownError
        if an answer was lost, or any other error that stopped it between two requests.

        REST: ``POST /training/courseprogress/v1/reset`` (path published, body **assumed**).
        """
        chosen = _checks.yes_or_no(server_side, "server_side")
        check_confirmation(plan, confirm, server_side=chosen)
        order = Order(
            plan,
            self._format,
            _checks.optional_text(reason, "reason"),
            _checks.optional_text(ticket, "ticket", longest=200),
            chosen,
        )
        return apply_plan(self._calls, order)


def _checked_only(only: object) -> Only | None:
    if only is None or only == "completed":
        return "completed" if only else None
    raise InvalidArgumentError(f"only {only!r} is not understood; it is None or 'completed'")
