"""Rate limits per user, as published: a number of requests of a family in a window of 60 s (P).

Assumed: a window begins with its first request, and a family shares one count.
"""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING

from mock_server.policy import Behaviour
from mock_server.refusal import Reason, RefusedError
from mock_server.world.ledger import Window

if TYPE_CHECKING:
    from mock_server.rules.access import Actor
    from mock_server.world.world import World

Headers = tuple[tuple[str, str], ...]

WINDOW = timedelta(seconds=60)
MANY, FEW = 800, 200
"""The limit of most operations, and that of training content (P)."""


def spend(world: World, actor: Actor, limit: int) -> Headers:
    """Count one request to an operation with this limit, and return the headers of its answer; 429 if it is reached."""
    if world.policy.rate_limits == "off":
        return ()
    now = world.clock.now()
    window = world.windows.get((actor.id, limit))
    # After the clock was set back, the present can be before the window's beginning.
    if window is None or not timedelta(0) <= now - window.began_at < WINDOW:
        window = world.windows[actor.id, limit] = Window(now)
    window.spent += 1
    seconds = ceil((window.began_at + WINDOW - now).total_seconds())
    headers = _headers(world, limit, limit - window.spent, seconds)
    if window.spent > limit:
        # The policy "silent" hides the limit in the body as well as in the headers.
        is_told = world.policy.rate_limits != "silent"
        said = f"More than {limit} requests were sent in a minute. The next window begins in {seconds} s."
        refusal = RefusedError(
            Reason.RATE_LIMITED,
            said if is_told else "Too many requests.",
            {"limit": str(limit)} if is_told else {},
        )
        refusal.headers = headers
        raise refusal
    return headers


def _headers(world: World, limit: int, remaining: int, seconds: int) -> Headers:
    if world.policy.rate_limits == "silent":
        return ()
    if Behaviour.RATE_LIMIT_RESET_EPOCH in world.policy.emulates:
        seconds += ceil(world.clock.now().timestamp())
    return (
        ("x-ratelimit-limit", str(limit)),
        ("x-ratelimit-remaining", str(max(0, remaining))),
        ("x-ratelimit-reset", str(seconds)),
    )
