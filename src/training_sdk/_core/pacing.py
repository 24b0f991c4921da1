"""The pace: how soon the next request may go out under the vendor's limits; pure arithmetic, so it is tested as such.

What is kept of a family of requests is when each of them went out, in seconds from now: those behind us are negative,
those that somebody has been promised are positive. Nothing here knows a file or looks at a clock.

- The request that stands ``limit`` places back must be a window old. So no window of 60 s, wherever the server begins
  to count it, holds more than the limit. The window is taken a second longer than published, for the way there.
- Whoever asks is promised a time and waits for it; promises are kept in the order in which they were made.
- Clocks: time passes by what both clocks agree on. One that was set back, or forward, neither holds everybody up
  nor frees the budget: see ``elapsed``.
"""

from __future__ import annotations

import bisect
import hashlib
from typing import Protocol

from attrs import field, frozen

from training_sdk._core.flow import Family, Flow, Moment, Request, Response
from training_sdk._core.secrets import Secret

SILENT = 8.0
"""Seconds for which nobody asks after a 429 that names no time."""

_CATALOGUE = ("courses", "collections", "paths", "individualleaderboards", "rapid-refresh")


class Pace(Protocol):
    """What the send rules ask of a pace."""

    def turn(self, request: Request) -> Flow[float]:
        """Wait until this request may go out; the seconds that it took."""

    def hear(self, request: Request, response: Response) -> None:
        """Note what an answer says of the limits; does nothing else, for what was sent may not bear a delay."""

    def pass_on(self) -> Flow[None]:
        """Let the other processes know what was noted."""


class Unpaced:
    """No pace at all."""

    def turn(self, request: Request) -> Flow[float]:
        """At once."""
        yield from ()
        return 0.0

    def hear(self, request: Request, response: Response) -> None:
        """Nothing to note."""

    def pass_on(self) -> Flow[None]:
        """Nothing to pass on."""
        yield from ()


UNPACED = Unpaced()


@frozen
class Limits:
    """Requests of one user in a window of so many seconds, as published (P); ``margin`` is ours."""

    catalogue: int = 200
    general: int = 800
    window: float = 60.0
    margin: float = 1.0

    def of(self, family: Family) -> int:
        """The limit of a family."""
        return self.catalogue if family == "catalogue" else self.general

    @property
    def period(self) -> float:
        """How long a request counts, in seconds."""
        return self.window + self.margin


PUBLISHED = Limits()


@frozen
class Spent:
    """What one family of requests has used: times in order, and for how many seconds more the server takes none."""

    times: tuple[float, ...] = ()
    closed: float = field(default=0.0)


def elapsed(seen: Moment, now: Moment) -> float:
    """The seconds from one moment to another by the more cautious of two clocks, either of which may have jumped.

    The monotonic clock is the same for all processes of a machine and begins anew when that starts; a wall clock can
    be set. One that runs backwards is not believed, so 0 at least: a clock set back by an hour costs nobody an hour.
    The shorter of two sensible spans is believed, so a clock set forward frees nothing.
    """
    spans = (now.monotonic - seen.monotonic, (now.utc - seen.utc).total_seconds())
    return min((span for span in spans if span >= 0), default=0.0)


def aged(spent: Spent, seconds: float, period: float) -> Spent:
    """The same, so many seconds later; what is a period old no longer counts."""
    times = (time - seconds for time in spent.times)
    return Spent(tuple(time for time in times if time > -period), max(0.0, spent.closed - seconds))


def reserve(spent: Spent, limit: int, period: float) -> tuple[Spent, float]:
    """Count one request more, and the seconds to wait before it may go out."""
    times = spent.times
    promised = times[-1] if times else 0.0
    room = times[-limit] + period if len(times) >= limit else 0.0
    wait = max(0.0, spent.closed, promised, room)
    return Spent((*times, wait), spent.closed), wait


def told(spent: Spent, limits: Limits, limit: int, remaining: int, reset: float) -> Spent:
    """What the server's own count adds: requests of this user that we know nothing of, until its window ends.

    A server that leaves more room than we do frees nothing: it has not counted yet what is on its way.
    """
    began = min(0.0, reset - limits.window)
    where = bisect.bisect_left(spent.times, began)
    others = limit - remaining - len(spent.times[where:])
    if others <= 0:
        return spent
    return Spent((*spent.times[:where], *[began] * others, *spent.times[where:]), spent.closed)


def refused(spent: Spent, limits: Limits, wait: float | None) -> Spent:
    """After a 429: nobody asks until the window ends, or for a while where the server names no time."""
    seconds = SILENT if wait is None else wait + limits.margin
    return Spent(spent.times, max(spent.closed, min(seconds, limits.period)))


def plausible(spent: Spent, limit: int, period: float) -> bool:
    """Whether reserving could have led here; what could not would keep everybody waiting for ever."""
    latest = period * (len(spent.times) // limit + 2)
    in_order = all(a <= b for a, b in zip(spent.times, spent.times[1:], strict=False))
    return in_order and 0 <= spent.closed <= period and all(time <= latest for time in spent.times[-1:])


def fingerprint(token: str) -> str:
    """Tells tokens apart in the name of a file without giving them away."""
    return hashlib.sha256(b"training-sdk" + token.encode()).hexdigest()[:12]


def token_fingerprint(token: Secret) -> str | None:
    """The fingerprint of a client's token; None where a function gives it."""
    return None if callable(token.reveal()) else fingerprint(token.reveal())


def family_of(path: str) -> Family:
    """Which limit a request of the user's own making counts towards, by its path."""
    parts = path.strip("/").split("/")
    return "catalogue" if parts[:1] == ["training"] and parts[1:2] and parts[1] in _CATALOGUE else "general"
