"""Ctrl-C and SIGTERM as one orderly end: between two requests of a check, never while a world is made or removed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from attrs import define

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@define
class Stopping:
    """Remembers the first signal, and raises KeyboardInterrupt for it only where that is allowed."""

    asked: str = ""
    """The name of the signal that came; "" for none."""
    _may_raise: bool = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals. Only the main thread may, so that in another nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self._take) for each in SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Inside, a signal ends what is done, at once; one that came before does so on entering."""
        try:
            self._may_raise = True
            if self.asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._may_raise = False

    def _take(self, number: int, frame: FrameType | None) -> None:
        """A second signal ends everything, also what should be finished: somebody does not want to wait for it."""
        again, self.asked = bool(self.asked), self.asked or signal.Signals(number).name
        if again or self._may_raise:
            self._may_raise = False
            raise KeyboardInterrupt
