"""Where we are: who answers on this client's own connection, asked anew each time and never remembered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

import attrs
from attrs import frozen

from training_sdk._flow import Flow, Moment, Now, Request, Response
from training_sdk._pages import Calls
from training_sdk._send import Attempt
from training_sdk.errors import ClockError, PlanMismatchError, UnconfirmedFormatError
from training_sdk.models.users import Me
from training_sdk.resets.plan import Origin, ResetPlan
from training_sdk.resets.proofs import Proof
from training_sdk.resources.users import WHO_AM_I, read_me, reference_server

T = TypeVar("T")

UNCONFIRMED = (
    "{where} has not identified itself as the reference server, so nothing was sent. Only the path of a reset is "
    "published; the names of the fields in its body are assumed. A service that does not know the field that lists "
    "the users could drop it and reset everyone. Prove the format on a sacrificial course first "
    "(client.resets.prove_format), or use the web app there"
)

LARGEST_DIFFERENCE = timedelta(minutes=5)
"""Between this machine's clock and a live service's, while what is late there is judged by the clock here."""


def who_and_where(calls: Calls) -> Flow[Origin]:
    """Whose token this is, and what kind of server answers."""

    def read(response: Response) -> tuple[Me, bool]:
        return read_me(response), reference_server(response)

    me, is_reference = yield from calls.call(WHO_AM_I, read)
    return Origin(str(calls.base_url), me.organisation_id, me.user_id, is_reference)


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
    with suppress(ValueError):
        found = parsedate_to_datetime(response.header("date") or "")
        return found if found.tzinfo is not None else None
    return None


def check_origin(plan: ResetPlan, here: Origin, proof: Proof | None = None) -> None:
    """Raise unless this is where the plan was made, and the reference server or a service with a proof."""
    check_place(plan, here)
    if not here.reference_server and proof is None:
        raise UnconfirmedFormatError(UNCONFIRMED.format(where=here.base_url))


def check_place(plan: ResetPlan, here: Origin, *, done: str = "sent") -> None:
    """Raise PlanMismatchError, saying that nothing was ``done``, unless this is where the plan was made."""
    made = plan.origin
    for there, now in (
        (f"on {made.base_url}", f"on {here.base_url}"),
        (f"in organisation {made.organisation_id}", f"in organisation {here.organisation_id}"),
        (_kind(made), _kind(here)),
    ):
        if there != now:
            raise PlanMismatchError(
                f"the plan was made {there}, but this client works {now}. Nothing was {done}"
            )


def _kind(origin: Origin) -> str:
    return (
        "on the reference server"
        if origin.reference_server
        else "on a service that is not the reference server"
    )


@frozen
class ProvenCalls(Calls):
    """Calls that believe no answer but the reference server's.

    WhoAmI alone proves too little: a gateway may lead its path to one server and the training paths to another.
    """

    def call(
        self, request: Request, decode: Callable[[Response], T], *, once: Attempt | None = None
    ) -> Flow[T]:
        """Send, and raise UnconfirmedFormatError if something else answers."""

        def read(response: Response) -> T:
            value = decode(response)
            if not reference_server(response):
                raise UnconfirmedFormatError(UNCONFIRMED.format(where=f"what answers {request.path}"))
            return value

        return Calls.call(self, request, read, once=once)

    @classmethod
    def of(cls, calls: Calls) -> ProvenCalls:
        """The same calls, less trusting."""
        return cls(**attrs.asdict(calls, recurse=False))


@frozen
class LiveCalls(Calls):
    """Calls that believe no answer of the reference server: nothing about a live service can be proved by those."""

    def call(
        self, request: Request, decode: Callable[[Response], T], *, once: Attempt | None = None
    ) -> Flow[T]:
        """Send, and raise PlanMismatchError if the reference server answers."""

        def read(response: Response) -> T:
            if reference_server(response):
                raise PlanMismatchError(
                    f"it was the reference server that answered {request.path}, and nothing about a live service can "
                    "be proved there. Check the base URL"
                )
            return decode(response)

        return Calls.call(self, request, read, once=once)

    @classmethod
    def of(cls, calls: Calls) -> LiveCalls:
        """The same calls, which want a live service."""
        return cls(**attrs.asdict(calls, recurse=False))
