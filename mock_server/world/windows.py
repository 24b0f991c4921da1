"""The window of time in which the requests of one user are counted."""

from __future__ import annotations

from datetime import datetime

from attrs import define


@define
class Window:
    """How many requests have come since it began."""

    began_at: datetime
    spent: int = 0
