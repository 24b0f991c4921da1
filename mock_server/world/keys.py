"""Idempotency keys: the answers kept under them, and which are in use at this moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from attrs import define, field

Slot = tuple[str, str, str, str]
"""Organisation, actor, operation and key: what a key is scoped to."""


@define(eq=False)
class Keys:
    """The answers kept by key, and the keys of requests that are still running."""

    kept: dict[Slot, tuple[str, bytes]] = field(factory=dict)
    """Fingerprint and body of the first 200."""
    _running: Counter[Slot] = field(factory=Counter)
    _lock: Lock = field(factory=Lock)

    @contextmanager
    def running(self, slot: Slot | None) -> Iterator[bool]:
        """Mark a request as running from its arrival on; tells whether another with its key was so already."""
        if slot is None:
            yield False
            return
        with self._lock:
            is_repeat = self._running[slot] > 0
            self._running[slot] += 1
        try:
            yield is_repeat
        finally:
            with self._lock:
                self._running -= Counter((slot,))
