"""Making and applying plans on a fake organisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from training_sdk import (
    ResetFormat,
    ResetPlan,
    ResetReport,
)
from training_sdk._flow import (
    Request,
    Response,
)
from training_sdk._pages import Calls
from training_sdk.resets.applying import Order, apply_plan
from training_sdk.resets.planning import make_plan
from unit.sdk.fakes import (
    CALLS,
    COURSE,
    Organisation,
    Puppet,
    row,
)


def planned(organisation: Organisation, *, users: list[str] | None = None, only: Any = None) -> ResetPlan:
    """A plan made on an organisation whose log is then cleared."""
    plan = Puppet(organisation).run(make_plan(CALLS, COURSE, users, only))
    organisation.sent.clear()
    return plan


def apply(
    organisation: Organisation,
    plan: ResetPlan,
    *,
    calls: Calls = CALLS,
    puppet: Puppet | None = None,
    **order: Any,
) -> ResetReport:
    """Apply a plan whose confirmation is not what the test is about."""
    settings = {"format": ResetFormat(), "reason": None, "ticket": None, "server_side": False, **order}
    return (puppet or Puppet(organisation)).run(apply_plan(calls, Order(plan, **settings)))


def many(number: int) -> Organisation:
    return Organisation([row(one) for one in range(number)])


def nth_reset(
    organisation: Organisation, number: int, step: Callable[[Request], Response] | BaseException
) -> None:
    """Let the nth reset end otherwise."""

    def reply(request: Request) -> Response:
        if len(organisation.resets) != number:
            return organisation.reset(request)
        if isinstance(step, BaseException):
            raise step
        return step(request)

    organisation.on_reset = reply


def everyone_once(report: ResetReport) -> bool:
    return sorted(one.user_id for one in report.users) == sorted(one.user_id for one in report.plan.users)
