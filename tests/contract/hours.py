"""Hours that take no time: the clock of the SDK's drivers moves on by what they would have waited."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel
import pytest
from attrs import define, field

from training_sdk._core import drivers
from training_sdk._core.flow import Moment


@define
class Hours:
    """What has been waited so far; ``on_wait`` is told of every wait, so that a world may move on too."""

    passed: timedelta = timedelta(0)
    on_wait: list[Callable[[timedelta], None]] = field(factory=list)

    def wait(self, by: timedelta) -> None:
        """Let time go by."""
        self.passed += by
        for tell in self.on_wait:
            tell(by)

    def now(self) -> Moment:
        """What the drivers take for the time."""
        gone = self.passed.total_seconds()
        return Moment(time.monotonic() + gone, datetime.now(UTC) + self.passed)


def quick_hours(monkeypatch: pytest.MonkeyPatch) -> Hours:
    """Both drivers wait no time at all, and take it for time that went by."""
    hours = Hours()

    def pause(seconds: float) -> None:
        hours.wait(timedelta(seconds=seconds))

    async def async_pause(seconds: float) -> None:
        hours.wait(timedelta(seconds=seconds))
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(drivers, "now", hours.now)
    monkeypatch.setattr("time.sleep", pause)
    monkeypatch.setattr("anyio.sleep", async_pause)
    return hours
