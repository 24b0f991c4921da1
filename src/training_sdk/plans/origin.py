"""Where we are: who answers on this client's own connection, asked anew each time and never remembered."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self, TypeVar

import attrs
from attrs import frozen

from training_sdk._core.flow import ONLY_MARKED, Flow, Moment, Now, Request, Response
from training_sdk._core.listing import Calls
from training_sdk.api.users import WHO_AM_I, Me, read_me
from training_sdk.errors import ClockError, PlanMismatchError, TrainingError, UnconfirmedFormatError
from training_sdk.format_proof.proofs import Proof
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.planned import Origin

T = TypeVar("T")

UNCONFIRMED = (
    "{where} has not identified itself as the reference server, so nothing was sent. Only the path of a reset is "
    "published; the names of the fields in its body are assumed. A service that does not know the field that lists "
    "the users could drop it and reset everyone. Prove the format on a sacrificial course first "
    "(client.resets.prove_format), or use the web app there"
)

KINDS = "on the reference server", "on a service that is not the reference server"

LARGEST_DIFFERENCE = timedelta(minutes=5)
"""Between this machine's clock and a live service's, while what is late there is judged by the clock here."""


@frozen
class Here(Origin):
    """Where a client works now, as WhoAmI was just answered."""

    is_only_marked: bool = False
    """The answer had the mark of the reference server, and not its identity."""

    @classmethod
    def of(cls, calls: Calls, me: Me, response: Response) -> Here:
        """From the answer to WhoAmI."""
        return cls(
            str(calls.base_url),
            me.organisation_id,
            me.user_id,
            response.is_reference,
            is_only_marked=response.is_only_marked,
        )

    @property
    def origin(self) -> Origin:
        """What a plan keeps of it."""
        return Origin(self.base_url, self.organisation_id, self.user_id, self.reference_server)


def who_and_where(calls: Calls) -> Flow[Here]:
    """Whose token this is, and what kind of server answers."""
    return (yield from calls.call(WHO_AM_I, lambda response: Here.of(calls, read_me(response), response)))


def service_time(calls: Calls) -> Flow[datetime]:
    """The time by the ``Date`` of the service's answer; by this machine's clock if the answer has none."""
    theirs = yield from calls.call(WHO_AM_I, _date)
    now: Moment = yield Now()
    return now.utc if theirs is None else theirs


def check_clock(calls: Calls) -> Flow[None]:
    """Raise ClockError if the server's ``Date`` is not about what the clock here says.

    A server that gives no time, or none that can be read, is not judged.
    """
    theirs = yield from calls.call(WHO_AM_I, _date)
    now: Moment = yield Now()
    if theirs is None:
        return
    apart = now.utc - theirs
    if abs(apart) > LARGEST_DIFFERENCE:
        way = "ahead of" if apart > timedelta(0) else "behind"
        by = timedelta(seconds=round(abs(apart).total_seconds()))
        raise ClockError(
            f"this machine's clock is {by} {way} that of {calls.base_url}, so nobody could tell from here "
            "what the service shows late. Nothing was sent. Set the clock",
            reason="CLOCK_OFF",
        )


def _date(response: Response) -> datetime | None:
    return response.date


def check_origin(plan: ResetPlan, here: Origin, proof: Proof | None = None) -> None:
    """Raise unless this is where the plan was made, and the reference server or a service with a proof."""
    check_place(plan, here)
    if not here.reference_server and proof is None:
        raise UnconfirmedFormatError(UNCONFIRMED.format(where=here.base_url) + _doubt(here))


def check_place(plan: ResetPlan, here: Origin, *, done: str = "sent") -> None:
    """Raise PlanMismatchError, saying that nothing was ``done``, unless this is where the plan was made."""
    made = plan.origin
    for there, now in (
        (f"on {made.base_url}", f"on {here.base_url}"),
        (f"in organisation {made.organisation_id}", f"in organisation {here.organisation_id}"),
        (_kind(made), _kind(here)),
    ):
        if there != now:
            doubt = _doubt(here) if there in KINDS else ""
            raise PlanMismatchError(
                f"the plan was made {there}, but this client works {now}. Nothing was {done}{doubt}"
            )


def check_owner(begun: Origin, here: Origin) -> None:
    """Raise PlanMismatchError if the token has another owner than when this was begun."""
    if here.user_id != begun.user_id:
        raise PlanMismatchError(
            f"this was begun as user {begun.user_id}, and the token is now that of user {here.user_id}, so the records "
            "would name somebody else than the service. Nothing was sent for these people. Go on as one user: "
            "client.resets.resume(plan, confirm=…)",
            reason="TOKEN_OWNER_CHANGED",
        )


def _kind(origin: Origin) -> str:
    return KINDS[0] if origin.reference_server else KINDS[1]


def _doubt(here: Origin) -> str:
    return f". {ONLY_MARKED}" if isinstance(here, Here) and here.is_only_marked else ""


@frozen
class _WaryCalls(Calls):
    """Calls that believe no answer of a doubtful origin, be it a success or a refusal."""

    @classmethod
    def of(cls, calls: Calls) -> Self:
        """The same calls, less trusting."""
        return cls(**{each.name: getattr(calls, each.name) for each in attrs.fields(Calls)})


@frozen
class ProvenCalls(_WaryCalls):
    """Calls that believe no answer but the reference server's.

    WhoAmI alone proves too little: a gateway may lead its path to one server and the training paths to another.
    """

    def doubt(self, request: Request, response: Response) -> TrainingError | None:
        """UnconfirmedFormatError if something else answers."""
        if response.is_reference:
            return None
        why = f". {ONLY_MARKED}" if response.is_only_marked else ""
        if not request.repeatable:  # it has been sent, and a reason to send nothing would be a lie
            return UnconfirmedFormatError(f"it was not the reference server that answered{why}")
        return UnconfirmedFormatError(UNCONFIRMED.format(where=f"what answers {request.path}") + why)


@frozen
class LiveCalls(_WaryCalls):
    """Calls that believe no answer of the reference server: nothing about a live service can be proved by those."""

    def doubt(self, request: Request, response: Response) -> TrainingError | None:
        """PlanMismatchError if the reference server answers, or something that has its mark."""
        if response.is_only_marked:
            return PlanMismatchError(
                f"nothing about a live service can be proved by what answers {request.path}. {ONLY_MARKED}"
            )
        if response.is_reference:
            return PlanMismatchError(
                f"it was the reference server that answered {request.path}, and nothing about a live service can "
                "be proved there. Check the base URL"
            )
        return None
