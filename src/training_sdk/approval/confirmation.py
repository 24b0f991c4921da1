"""The confirmation of a plan: its phrase, its lifetime and the safeguards are checked before anything is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from training_sdk._core.text import confirms, difference
from training_sdk.errors import ConfirmationError, InvalidArgumentError, Remedy, StalePlanError
from training_sdk.plans.outline import check_whole
from training_sdk.plans.plan import EveryonePlan, ResetPlan
from training_sdk.records.tokens import looks_secret
from training_sdk.safeguards import Safeguards

LONGEST_SHOWN = 150
LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


def check_confirmation(plan: ResetPlan, confirm: object, *, server_side: bool = False) -> None:
    """Raise ConfirmationError unless ``confirm`` is the phrase of this plan."""
    if not isinstance(plan, ResetPlan):
        raise InvalidArgumentError(
            f"plan must be a ResetPlan from client.resets.plan(…), not {type(plan).__name__}.",
            argument="plan",
        )
    check_whole(plan)
    if server_side and (not isinstance(plan, EveryonePlan) or plan.selection):
        raise InvalidArgumentError(
            "In a call for everyone, the server decides who is reset, but this plan is for selected people. Nothing "
            "was sent.",
            argument="server_side",
            remedy=Remedy(
                "plan_everyone",
                "Leave out server_side, or use a plan from plan_everyone(…) without only and where.",
            ),
        )
    check_phrase(confirm, plan.phrase, "plan")


def check_phrase(confirm: object, phrase: str, what: str) -> None:
    """Raise ConfirmationError unless a text is the phrase, also as it is shown; NFC and NFD are the same.

    The message does not contain the phrase: a program that copies it from there would confirm what no person has read.
    """
    if confirms(confirm, phrase):
        return
    if isinstance(confirm, str) and looks_secret(confirm):
        said = "confirm looks like a token, so it is not shown."
    else:
        typed = repr(confirm)
        cut = typed if len(typed) <= LONGEST_SHOWN else typed[:LONGEST_SHOWN] + "…"
        hint = difference(confirm, phrase)
        said = f"confirm is {cut}, which is not the phrase of this {what}.{hint and ' '}{hint}"
    remedy = Remedy("read_phrase", f"Read the {what}, and type the phrase at its end.")
    raise ConfirmationError(f"{said} Nothing was sent.", argument="confirm", remedy=remedy)


def check_safeguards(plan: ResetPlan, safeguards: Safeguards) -> None:
    """Raise InvalidArgumentError for a plan with a protected course or too many people."""
    for course in plan.courses:
        safeguards.check_course(course.id)
    safeguards.check_people(plan.people)


def end_of(plan: ResetPlan, lifetime: timedelta | None) -> datetime:
    """Return when a plan expires for a client with this ``plan_lifetime``, which starts when the plan was read."""
    if lifetime is None or plan.read_at > LAST_MOMENT - lifetime:
        return plan.expires_at
    return min(plan.expires_at, plan.read_at + lifetime)


def check_lifetime(plan: ResetPlan, now: datetime, lifetime: timedelta | None = None) -> None:
    """Raise StalePlanError for a plan that has expired, or whose time is in this machine's future."""
    if now > (end := end_of(plan, lifetime)):
        limit = "" if end == plan.expires_at else f", because this client's plan_lifetime is {lifetime}"
        raise StalePlanError(
            f"The plan expired at {end:%Y-%m-%d %H:%M:%S} UTC{limit}. Nothing was sent. Plan again.",
            reason="PLAN_EXPIRED",
        )
    if now < plan.read_at:
        raise StalePlanError(
            f"The plan was made at {plan.read_at:%Y-%m-%d %H:%M:%S} UTC, which this machine's clock has not reached. "
            "Nothing was sent. Set the clock, and plan again.",
            reason="PLAN_FROM_THE_FUTURE",
        )
