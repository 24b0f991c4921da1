"""What is checked before anything is read or sent: the phrase, the plan's age, and the team's hard stops."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from training_sdk._core.text import confirms, difference
from training_sdk.errors import ConfirmationError, InvalidArgumentError, StalePlanError
from training_sdk.plans.outline import check_whole
from training_sdk.plans.plan import EveryonePlan, ResetPlan
from training_sdk.plans.planned import Origin
from training_sdk.records.tokens import looks_secret
from training_sdk.resets.reset_request import Order, Piece
from training_sdk.resets.safeguards import Safeguards

LONGEST_SHOWN = 150
LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


def check_confirmation(plan: ResetPlan, confirm: object, *, server_side: bool = False) -> None:
    """Refuse, before anything is sent, what is not confirmed by the phrase of this very plan."""
    if not isinstance(plan, ResetPlan):
        raise InvalidArgumentError(
            f"plan must be a ResetPlan from client.resets.plan(…), not {type(plan).__name__}"
        )
    check_whole(plan)
    if server_side and (not isinstance(plan, EveryonePlan) or plan.selection):
        raise InvalidArgumentError(
            "server_side=True resets whoever the server takes for everyone, so it needs a plan from "
            "plan_everyone(…) without 'only' or 'where'"
        )
    check_phrase(confirm, plan.phrase, "plan")


def check_phrase(confirm: object, phrase: str, what: str) -> None:
    """Raise ConfirmationError unless a text is the phrase, also as it is shown; NFC and NFD are the same."""
    if confirms(confirm, phrase):
        return
    if isinstance(confirm, str) and looks_secret(confirm):
        raise ConfirmationError(
            f"confirm looks like a token, so it is not shown. The phrase of this {what} is {phrase!r}. "
            "Nothing was sent"
        )
    typed = repr(confirm)
    cut = typed if len(typed) <= LONGEST_SHOWN else typed[:LONGEST_SHOWN] + "…"
    said = (f"confirm is {cut}, but the phrase of this {what} is {phrase!r}.", difference(confirm, phrase))
    raise ConfirmationError(f"{' '.join(filter(None, said))} Nothing was sent")


def check_safeguards(plan: ResetPlan, safeguards: Safeguards) -> None:
    """Refuse a plan that holds a protected course or too many people, whoever made it."""
    for course in plan.courses:
        safeguards.check_course(course.id)
    safeguards.check_people(plan.people)


def end_of(plan: ResetPlan, lifetime: timedelta | None) -> datetime:
    """Until when a plan may be applied by a client with this ``plan_lifetime``, which counts from its reading."""
    if lifetime is None or plan.read_at > LAST_MOMENT - lifetime:
        return plan.expires_at
    return min(plan.expires_at, plan.read_at + lifetime)


def check_lifetime(plan: ResetPlan, now: datetime, lifetime: timedelta | None = None) -> None:
    """Refuse a plan that has expired, also by a client's own limit, or was made in this machine's future."""
    if now > (end := end_of(plan, lifetime)):
        limit = "" if end == plan.expires_at else f": this client's plan_lifetime is {lifetime}"
        raise StalePlanError(
            f"the plan expired at {end:%Y-%m-%d %H:%M:%S} UTC{limit}. Nothing was sent. Plan again",
            reason="PLAN_EXPIRED",
        )
    if now < plan.read_at:
        raise StalePlanError(
            f"the plan was made at {plan.read_at:%Y-%m-%d %H:%M:%S} UTC, which this machine's clock has not reached. "
            "Nothing was sent. Set the clock, and plan again",
            reason="PLAN_FROM_THE_FUTURE",
        )


def check_reason(order: Order, here: Origin) -> None:
    """On a live service a reset is never without a reason: an auditor will ask for it."""
    if not here.reference_server and not order.reason:
        raise InvalidArgumentError(
            "reason is missing: on a live service every reset says why, for the audit log. Nothing was sent"
        )


def check_schedule(order: Order, work: Sequence[Piece], now: datetime) -> None:
    """Refuse, before anything is sent, waves of which the last would go out after the plan has expired."""
    if order.waves is None:
        return
    waves = sum(piece.begins_wave for piece in work)
    start: datetime | None = None
    end = end_of(order.plan, order.safeguards.plan_lifetime)
    for number in range(1, waves + 1):
        start = order.waves.next_start(now if start is None else max(now, start), start)
        if start > end:
            raise InvalidArgumentError(
                f"{waves} waves would take until after the plan has expired ({end:%Y-%m-%d %H:%M} "
                f"UTC): wave {number} would go out at {start:%Y-%m-%d %H:%M} UTC. Nothing was sent. Make the waves "
                "larger or closer, or plan and apply with a plan_lifetime among the safeguards that is long enough"
            )
