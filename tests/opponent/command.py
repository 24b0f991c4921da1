"""``training-sdk`` as a process of its own, in whose clock time has passed and waits take no time.

The seconds that time has passed come first, then the command. What it has waited is added to the file WAITED.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

from training_sdk._core import drivers
from training_sdk._core.flow import Moment, Sleep
from training_sdk.cli import main

_now = drivers.now


class Time:
    """The process's clock."""

    ahead = 0.0

    def now(self) -> Moment:
        """Both clocks."""
        real = _now()
        return Moment(real.monotonic + self.ahead, real.utc + timedelta(seconds=self.ahead))

    def pause(self, effect: Sleep) -> float:
        """Let the time of a wait pass at once."""
        self.ahead += effect.seconds
        return 0.0


if __name__ == "__main__":
    time = Time()
    begun = time.ahead = float(sys.argv.pop(1))
    drivers.now, drivers.pause = time.now, time.pause
    code = main()
    Path(os.environ["WAITED"]).write_text(str(time.ahead - begun))
    sys.exit(code)
