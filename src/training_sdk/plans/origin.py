"""The server, organisation and user behind this client: read again each time, and compared with those of a plan."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

import attrs
from attrs import frozen

from training_sdk._core.flow import ONLY_MARKED, Flow, Moment, Now, Request, Response
from training_sdk._core.listing import Calls
from training_sdk._core.text import sentence
from training_sdk.api.users import WHO_AM_I, Me, read_me
from training_sdk.errors import ClockError, PlanMismatchError, Remedy, TrainingError, UnconfirmedFormatError
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.planned import Origin

LARGEST_DIFFERENCE = timedelta(minutes=5)
"""The largest accepted difference between this machine's clock and that of a live service.

This machine's clock decides when a live service must show what it shows late.
"""

UNCONFIRMED = (
    "{where} has not identified itself as the reference server, so nothing was sent. Only the path of a reset is "
    "published; the names of the fields in its body are assumed. A service that does not know the field that lists "
    "the users could drop it and reset everyone."
)
PROVE_THE_FORMAT = Remedy(
    "prove_first",
    "Prove the format on a test course first (client.resets.prove_format), or use the web app there.",
)
RESUME_AS_ONE_USER = Remedy(
    "resume_as_one_user", "Continue with a token of the first user: client.resets.resume(plan, confirm=…)."
)


@frozen
class CurrentOrigin(Origin):
    """The origin of a client's connection, from an answer to WhoAmI, and the clocks of both sides at that moment."""

    read_at: datetime
    """By this machine's clock, in UTC."""
    server_time: datetime | None = None
    """By the ``Date`` of the answer; None if it has none that can be read."""
    is_only_marked: bool = False
    """The answer had the header of the reference server, and not its identity."""

    @classmethod
    def of(cls, calls: Calls, me: Me, response: Response, read_at: datetime) -> CurrentOrigin:
        """Return the origin in an answer to WhoAmI."""
        return cls(
            str(calls.base_url),
            me.organisation_id,
            me.user_id,
            response.is_reference,
            read_at,
            response.date,
            response.is_only_marked,
        )

    @property
    def origin(self) -> Origin:
        """The part that a plan stores."""
        return Origin(self.base_url, self.organisation_id, self.user_id, self.reference_server)

    @property
    def time(self) -> datetime:
        """The time by the server; by this machine's clock if the answer has none."""
        return self.read_at if self.server_time is None else self.server_time

    def check_clock(self) -> None:
        """Raise ClockError if this machine's clock differs from the server's by more than LARGEST_DIFFERENCE."""
        apart = self.read_at - self.time
        if abs(apart) > LARGEST_DIFFERENCE:
            way = "ahead of" if apart > timedelta(0) else "behind"
            by = timedelta(seconds=round(abs(apart).total_seconds()))
            raise ClockError(
                f"This machine's clock is {by} {way} that of {self.base_url}, so this machine cannot tell "
                "what the service shows late. Nothing was sent. Set the clock.",
                reason="CLOCK_OFF",
            )


def read_origin(calls: Calls) -> Flow[CurrentOrigin]:
    """Return the owner of the token as ids, and the server that answers.

    REST: WhoAmI.
    """
    _, here = yield from read_me_and_origin(calls)
    return here


def read_me_and_origin(calls: Calls) -> Flow[tuple[Me, CurrentOrigin]]:
    """Return the owner of the token with the origin.

    REST: WhoAmI.
    """
    me, response = yield from calls.call(WHO_AM_I, lambda response: (read_me(response), response))
    now: Moment = yield Now()
    return me, CurrentOrigin.of(calls, me, response, now.utc)


def check_origin(plan: ResetPlan, here: Origin, *, is_proved: bool) -> None:
    """Raise unless the plan was made here, and on the reference server or a service whose format is proved."""
    check_same_origin(plan, here)
    if not here.reference_server and not is_proved:
        raise UnconfirmedFormatError(
            UNCONFIRMED.format(where=here.base_url) + _doubt(here), remedy=PROVE_THE_FORMAT
        )


def check_same_origin(plan: ResetPlan, here: Origin, *, done: str = "sent") -> None:
    """Raise PlanMismatchError, which says that nothing was ``done``, unless the plan was made here.

    Compared are the base URL, the organisation, and whether it is the reference server.
    """
    made = plan.origin
    for there, now, doubt in (
        (f"on {made.base_url}", f"on {here.base_url}", ""),
        (f"in organisation {made.organisation_id}", f"in organisation {here.organisation_id}", ""),
        (_kind(made), _kind(here), _doubt(here)),
    ):
        if there != now:
            raise PlanMismatchError(
                f"The plan was made {there}, but this client works {now}. Nothing was {done}.{doubt}"
            )


def check_same_user(begun: Origin, here: Origin) -> None:
    """Raise PlanMismatchError if the token belongs to another user than when this was begun."""
    if here.user_id != begun.user_id:
        raise PlanMismatchError(
            f"User {begun.user_id} started this, and the token now belongs to user {here.user_id}, so the records "
            "would name another user than the service. Nothing was sent for these people.",
            reason="TOKEN_OWNER_CHANGED",
            remedy=RESUME_AS_ONE_USER,
        )


def _kind(origin: Origin) -> str:
    return f"on {'the' if origin.reference_server else 'a service that is not the'} reference server"


def _doubt(here: Origin) -> str:
    return f" {sentence(ONLY_MARKED)}" if isinstance(here, CurrentOrigin) and here.is_only_marked else ""


# --- calls that check the server of each answer ---


@frozen
class _CheckedCalls(Calls):
    """Calls that refuse answers of a doubtful origin, successes and refusals."""

    @classmethod
    def of(cls, calls: Calls) -> Self:
        """Return the same calls with this check."""
        return cls(**{each.name: getattr(calls, each.name) for each in attrs.fields(Calls)})


@frozen
class ProvenCalls(_CheckedCalls):
    """Calls that accept only answers of the reference server.

    WhoAmI alone proves too little: a gateway may route its path to one server and the training paths to another.
    """

    def doubt(self, request: Request, response: Response) -> TrainingError | None:
        """Return an UnconfirmedFormatError if another server answers."""
        if response.is_reference:
            return None
        why = f" {sentence(ONLY_MARKED)}" if response.is_only_marked else ""
        if not request.repeatable:  # it has been sent, so the error must not say that nothing was sent
            return UnconfirmedFormatError(f"Another server than the reference server answered.{why}")
        where = f"The server that answers {request.path}"
        return UnconfirmedFormatError(UNCONFIRMED.format(where=where) + why, remedy=PROVE_THE_FORMAT)


@frozen
class LiveCalls(_CheckedCalls):
    """Calls that refuse answers of the reference server: they prove nothing about a live service."""

    def doubt(self, request: Request, response: Response) -> TrainingError | None:
        """Return a PlanMismatchError if the reference server answers, or a server with its header."""
        if response.is_only_marked:
            return PlanMismatchError(
                f"The server that answers {request.path} cannot prove anything about a live service. "
                f"{sentence(ONLY_MARKED)}"
            )
        if response.is_reference:
            return PlanMismatchError(
                f"The reference server answered {request.path}, and it cannot prove anything about a live service. "
                "Check the base URL."
            )
        return None
