"""How late a service may be, and so how long nobody can tell what a request did that was sent."""

from __future__ import annotations

from datetime import timedelta

LAG = timedelta(hours=2)
"""How old the feed of a live service may be (published)."""
MARGIN = timedelta(minutes=15)
"""Added to it, for a warehouse that is late."""
PROCESSING_TIME = timedelta(hours=1)
"""For how long a service may work on what it has accepted, unless the safeguards or a proof say more (assumed)."""


LONGEST_PROCESSING_TIME = timedelta(days=366)


def processing_time_of(seconds: float) -> timedelta:
    """Return a time that was kept, within what the safeguards allow."""
    return max(timedelta.resolution, timedelta(seconds=min(seconds, LONGEST_PROCESSING_TIME.total_seconds())))


def waiting_time(processing_time: timedelta) -> timedelta:
    """Return how long after a request the feed may still show what was before it."""
    return LAG + MARGIN + processing_time
