"""How late a service may be, and so how long nobody can tell what a request did that was sent."""

from __future__ import annotations

from datetime import timedelta

LAG = timedelta(hours=2)
"""How old the feed of a live service may be (published)."""
MARGIN = timedelta(minutes=15)
"""Added to it, for a warehouse that is late."""
