"""The last reading before a request: whose token it is and what everyone's progress is, with no wait after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeVar

from attrs import define, field

from training_sdk._core.flow import DrawToken, Family, Flow, Pace, Request, Response, noting_waits
from training_sdk.api.pagination import LARGEST_PAGE
from training_sdk.errors import APITimeoutError
from training_sdk.resets.preflight import Preflight

T = TypeVar("T")

MOST_LOOKS = 3


@define(eq=False)
class ReservedPace(Pace):
    """A pace whose turns are taken beforehand, so that none is waited for between a reading and its request."""

    inner: Pace
    left: Counter[Family] = field(factory=Counter)
    used: Counter[Family] = field(factory=Counter)

    def take(self, number: Mapping[Family, int]) -> Flow[None]:
        """Wait for so many turns of each family."""
        for family, turns in number.items():
            for _ in range(turns):
                yield from self.inner.acquire(Request("GET", "", limit=family))
                self.left[family] += 1

    def acquire(self, request: Request) -> Flow[float]:
        """At once while any is left; then as usual."""
        self.used[request.limit] += 1
        if self.left[request.limit]:
            self.left[request.limit] -= 1
            return 0.0
        return (yield from self.inner.acquire(request))

    def observe(self, request: Request, response: Response) -> None:
        """Note what an answer says of the limits."""
        self.inner.observe(request, response)

    def flush(self) -> Flow[None]:
        """Nothing yet: what was noted is passed on with the next request."""
        yield from ()


def slots_for(people: int) -> Counter[Family]:
    """How many turns a look at so many people takes: WhoAmI, the course, the pages of the feed, the request."""
    return Counter({"general": 2 + people // LARGEST_PAGE + 1, "catalogue": 1})


def read_without_waiting(
    preflight: Preflight, turns: Counter[Family], look: Callable[[Preflight], Flow[T]]
) -> Flow[tuple[T, Preflight]]:
    """Look, with one token and with turns taken beforehand; what was found, and by which calls the request follows.

    Where anything was waited for meanwhile (a turn, a 429, a 503), it is done again, at most three times in all. Then
    APITimeoutError is raised, and nothing was sent.
    """
    for _ in range(MOST_LOOKS):
        pace = ReservedPace(preflight.calls.pace)
        yield from pace.take(turns)
        token = yield DrawToken()
        found, has_waited = yield from noting_waits(look(preflight.by(token, pace)))
        if not has_waited:
            return found, preflight.by(token, preflight.calls.pace)
        pace.used["general"] += 1  # the request
        turns = turns | pace.used
    raise APITimeoutError(
        f"this client had to wait {MOST_LOOKS} times in a row between WhoAmI, the last reading and the request, so the "
        "reading would not have been the last. Nothing was sent for these people. Try again when the service answers "
        "without delay: client.resets.resume(plan, confirm=…)",
        reason="NO_QUIET_MOMENT",
    )
