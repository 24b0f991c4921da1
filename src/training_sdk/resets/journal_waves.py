"""Waves in a journal: plain data, from which the same waves come back."""

from __future__ import annotations

from datetime import time, timedelta

from training_sdk.records.events import WavesKept
from training_sdk.resets.waves import EVERY_DAY, Waves


def kept(waves: Waves) -> WavesKept:
    """What a journal keeps of them."""
    between = None if waves.between is None else tuple(one.isoformat() for one in waves.between)
    return WavesKept(waves.size, waves.every.total_seconds(), between, waves.days, waves.zone)


def restored(found: WavesKept) -> Waves:
    """The waves that were kept."""
    between = None
    if found.between is not None:
        begin, end = found.between
        between = time.fromisoformat(begin), time.fromisoformat(end)
    return Waves(
        size=found.size,
        every=timedelta(seconds=found.every_seconds),
        between=between,
        days=tuple(day for day in EVERY_DAY if day in found.days),
        zone=found.zone,
    )
