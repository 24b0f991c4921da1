"""What a driver does on this machine: looks at the clocks, says in the log what goes on, and how long a wait is."""

from __future__ import annotations

import inspect
import logging
import random
import time
from datetime import UTC, datetime
from typing import Any

from training_sdk._core.flow import Flow, Moment, Request, Response, Sleep

log = logging.getLogger("training_sdk")
_jitter = random.SystemRandom()


def note(request: Request, answer: Response, started: float) -> None:
    """Log an exchange."""
    milliseconds = (time.monotonic() - started) * 1000
    log.debug(
        "%s %s: %d in %.0f ms, request %s",
        request.method,
        request.path,
        answer.status,
        milliseconds,
        answer.request_id,
    )


def pause(effect: Sleep) -> float:
    """The seconds of a wait, said in the log."""
    seconds = effect.seconds + _jitter.uniform(0, effect.jitter)
    if effect.planned:
        if effect.why:
            log.info("%s; going on in %.1f s", effect.why, seconds)
    else:
        log.warning("%s; trying again in %.1f s", effect.why, seconds)
    return seconds


def now() -> Moment:
    """Both clocks."""
    return Moment(time.monotonic(), datetime.now(UTC))


def is_waiting(flow: Flow[Any]) -> bool:
    """Whether a flow waits for the result of an effect, so that it can be told what has happened."""
    return inspect.getgeneratorstate(flow) == inspect.GEN_SUSPENDED
