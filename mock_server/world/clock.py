"""The world's only source of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mock_server.world.times import aware


class Clock:
    """Real time by default; can be frozen, moved and let go again."""

    def __init__(self, now: datetime | None = None) -> None:
        self._frozen = None if now is None else aware(now)
        self._offset = timedelta(0)

    def now(self) -> datetime:
        """The present moment of this world, in UTC."""
        return self._frozen if self._frozen is not None else datetime.now(UTC) + self._offset

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still."""
        return self._frozen is not None

    def freeze(self, at: datetime | None = None) -> None:
        """Stop at a moment, by default at the present one. ValueError without a time zone."""
        self._frozen = self.now() if at is None else aware(at)

    def advance(self, by: timedelta) -> None:
        """Move on, frozen or running."""
        if self._frozen is not None:
            self._frozen += by
        else:
            self._offset += by

    def resume(self) -> None:
        """Run with the real time again."""
        self._frozen, self._offset = None, timedelta(0)

    def state(self) -> tuple[datetime | None, timedelta]:
        """The moment it stands still at, if it does, and how far it is ahead of real time."""
        return self._frozen, self._offset

    def restore(self, frozen: datetime | None, offset: timedelta) -> None:
        """Go on as the clock whose `state` this was."""
        self._frozen, self._offset = frozen, offset

    def __repr__(self) -> str:
        return f"Clock({self.now().isoformat()}{', frozen' if self._frozen is not None else ''})"
