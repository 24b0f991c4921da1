"""Client-side rate limiting: when the next request may be sent under the vendor's rate limits, and after a 429.

The first part is pure arithmetic on the times of requests, in seconds from now: sent ones are negative, reserved ones
positive. The second part stores these times in a small file in the state directory, which all processes of this machine
with the same token and server share, under a lock. The file is replaced whole, never synced, and replaced if damaged.
If it cannot be used, requests are paced within the process, and this is logged once.

- The request ``limit`` places back must be a window old. So no window of 60 s, wherever the server starts it, contains
  more than the limit. The window is a second longer than published, for the time on the network.
- Each request reserves a time and waits for it; reservations are kept in order.
- Time passes by the more cautious of two clocks, so a clock that was set neither blocks requests nor frees the budget.
"""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import json
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from attrs import define, evolve, field, frozen
from filelock import FileLock, Timeout

from training_sdk._core import codec
from training_sdk._core.flow import (
    FAMILIES,
    Family,
    Flow,
    Moment,
    Now,
    Request,
    Response,
    RunLocally,
    Sleep,
    TokenFingerprint,
    asked_wait,
    seconds_until,
)
from training_sdk._core.urls import service_name
from training_sdk.errors import DecodingError, TrainingError
from training_sdk.records import storage
from training_sdk.records.state import StateDirectory

SILENT = 8.0
"""Seconds without requests after a 429 that names no time."""


@frozen
class Limits:
    """Requests of one user in a window of so many seconds, as published (P); ``margin`` is ours."""

    catalogue: int = 200
    general: int = 800
    window: float = 60.0
    margin: float = 1.0

    def of(self, family: Family) -> int:
        """Return the limit of a family."""
        return self.catalogue if family == "catalogue" else self.general

    @property
    def period(self) -> float:
        """The seconds for which a request counts."""
        return self.window + self.margin


PUBLISHED = Limits()


@frozen
class Usage:
    """The requests of one family: their times in order, and for how many seconds more the server refuses any."""

    times: tuple[float, ...] = ()
    closed: float = field(default=0.0)


def elapsed(seen: Moment, now: Moment) -> float:
    """Return the seconds between two moments by the more cautious of two clocks, either of which may have jumped.

    The monotonic clock is the same for all processes of a machine and restarts with it; a wall clock can be set. A
    clock that ran backwards is ignored, so the result is 0 at least: a clock set back by an hour blocks no request.
    The shorter of two sensible spans is believed, so a clock set forward frees nothing.
    """
    spans = (now.monotonic - seen.monotonic, (now.utc - seen.utc).total_seconds())
    return min((span for span in spans if span >= 0), default=0.0)


def aged(spent: Usage, seconds: float, period: float) -> Usage:
    """Return the usage so many seconds later, without requests that are a period old."""
    times = (time - seconds for time in spent.times)
    return Usage(tuple(time for time in times if time > -period), max(0.0, spent.closed - seconds))


def reserve(spent: Usage, limit: int, period: float) -> tuple[Usage, float]:
    """Count one more request; return the usage and the seconds to wait before it may be sent."""
    times = spent.times
    promised = times[-1] if times else 0.0
    room = times[-limit] + period if len(times) >= limit else 0.0
    wait = max(0.0, spent.closed, promised, room)
    return Usage((*times, wait), spent.closed), wait


def with_server_count(spent: Usage, limits: Limits, limit: int, remaining: int, reset: float) -> Usage:
    """Return the usage with the server's own count: requests of this user that are unknown here.

    A server that leaves more room than we do frees nothing: it has not counted yet what is on its way.
    """
    began = min(0.0, reset - limits.window)
    where = bisect.bisect_left(spent.times, began)
    others = limit - remaining - len(spent.times[where:])
    if others <= 0:
        return spent
    return Usage((*spent.times[:where], *[began] * others, *spent.times[where:]), spent.closed)


def with_refusal(spent: Usage, limits: Limits, wait: float | None) -> Usage:
    """Return the usage after a 429: no request until the window ends, or for SILENT seconds if no time is named."""
    seconds = SILENT if wait is None else wait + limits.margin
    return Usage(spent.times, max(spent.closed, min(seconds, limits.period)))


def plausible(spent: Usage, limit: int, period: float) -> bool:
    """Return whether ``reserve`` can have led to this usage; any other could block every process permanently."""
    latest = period * (len(spent.times) // limit + 2)
    in_order = all(a <= b for a, b in zip(spent.times, spent.times[1:], strict=False))
    return in_order and 0 <= spent.closed <= period and all(time <= latest for time in spent.times[-1:])


FIRST_TRY = 0.005
MOST_TRIES = 9
"""Of having the file, each wait twice as long as the one before: 1.3 s in all, and as much again at random."""
MOST_RESERVATIONS = 3
"""The number of times that one request is delayed; then it is sent, and the server may refuse it."""

Change: TypeAlias = Callable[[Usage], tuple[Usage, float]]

log = logging.getLogger("training_sdk")


def _clocks() -> Moment:
    return Moment(time.monotonic(), datetime.now(UTC))


@frozen
class _UsageFile:
    """The content of the file: both clocks in seconds, and the usage of each family."""

    utc: float
    monotonic: float
    families: dict[str, Usage]


@frozen
class _StoredUsage:
    """The usage of all families, and the moment at which it was last read."""

    seen: Moment
    families: dict[str, Usage] = field(factory=dict)

    def changed(
        self, family: Family, change: Change, now: Moment, limits: Limits
    ) -> tuple[_StoredUsage, float]:
        """Return the usage as of now with one family changed, and the answer of the change."""
        passed = elapsed(self.seen, now)
        families = {name: aged(spent, passed, limits.period) for name, spent in self.families.items()}
        families[family], answer = change(families.get(family, Usage()))
        return _StoredUsage(now, families), answer


_own_usage: dict[str, _StoredUsage] = {}
_own_locks = [threading.Lock()]


def _make_own_lock() -> None:
    """In a process that was forked: another thread may have had the lock, and is not here to release it."""
    _own_locks[0] = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_make_own_lock)


@define
class UsageStore:
    """The usage of one token on one server: in the file that all processes share, else in this process."""

    name: str
    limits: Limits = PUBLISHED
    clocks: Callable[[], Moment] = _clocks
    state_dir: str | os.PathLike[str] | None = None
    _file: Path | None = field(default=None, init=False)
    _alone: bool = field(default=False, init=False)

    @classmethod
    def of(
        cls, origin: str, fingerprint: str, limits: Limits, state_dir: str | os.PathLike[str] | None = None
    ) -> UsageStore:
        """Return the store for a token on a server; the vendor's hosts are one server."""
        name = hashlib.sha256(f"{service_name(origin)}\n{fingerprint}".encode()).hexdigest()
        return cls(name, limits, state_dir=state_dir)

    def change(self, family: Family, change: Change, *, last: bool = True) -> float:
        """Change the usage of a family and return the answer of the change. Works without the file too.

        Raises Timeout if another process has the file at the moment, unless this is the ``last`` try.
        """
        if not self._alone:
            try:
                return self._change_file(family, change)
            except (OSError, TrainingError) as problem:  # a Timeout is an OSError
                if isinstance(problem, Timeout) and not last:
                    raise
                self._alone = True
                said = "Requests are paced within this process only: the shared request budget cannot be used: %s"
                log.warning(said, problem)
        with _own_locks[0]:
            now = self.clocks()
            book = _own_usage.get(self.name) or _StoredUsage(now)
            _own_usage[self.name], answer = book.changed(family, change, now, self.limits)
        return answer

    def _change_file(self, family: Family, change: Change) -> float:
        file = self._file or StateDirectory.open(self.state_dir).budgets / f"{self.name}.json"
        lock = FileLock(file.with_suffix(".lock"), timeout=0, mode=storage.PRIVATE_FILE, thread_local=False)
        with lock:
            now = self.clocks()  # under the lock: an older reading would let time pass twice
            book, answer = (_read(file, self.limits) or _StoredUsage(now)).changed(
                family, change, now, self.limits
            )
            _write(file, book)
        self._file = file
        return answer


def _read(file: Path, limits: Limits) -> _StoredUsage | None:
    """Return the usage stored in a file; None if there is no file or it is damaged."""
    try:
        return _usage_in(json.loads(file.read_bytes()), limits)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError, OverflowError, DecodingError):
        log.warning("The request budget %s is damaged. It is replaced.", file)
        return None


def _usage_in(value: Any, limits: Limits) -> _StoredUsage:
    found = codec.structure_value(value, _UsageFile)
    families: dict[str, Usage] = {name: found.families[name] for name in FAMILIES if name in found.families}
    if not math.isfinite(found.monotonic):
        raise ValueError("the time is not finite")
    if not all(
        plausible(families[name], limits.of(name), limits.period) for name in FAMILIES if name in families
    ):
        raise ValueError("these times would block every process")
    return _StoredUsage(Moment(found.monotonic, datetime.fromtimestamp(found.utc, UTC)), families)


def _write(file: Path, usage: _StoredUsage) -> None:
    families = {
        name: Usage(tuple(round(time, 3) for time in one.times), round(one.closed, 3))
        for name, one in usage.families.items()
    }
    stored = codec.plain(_UsageFile(usage.seen.utc.timestamp(), usage.seen.monotonic, families))
    beside = file.with_suffix(".new")  # one name for all: only the process with the lock writes it
    out = storage.open_private(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        storage.write_all(out, json.dumps(stored).encode("ascii"))
    finally:
        os.close(out)
    beside.replace(file)


@define(eq=False)
class Budget:
    """A client's pace. ``automatic``: not kept while only the reference server answers, which has no limits."""

    origin: str
    fingerprint: str | None
    """Of the token; None if a callable gives the token, which is then called once for it."""
    automatic: bool = False
    limits: Limits = PUBLISHED
    state_dir: str | os.PathLike[str] | None = None
    _opened: UsageStore | None = field(default=None, init=False)
    _is_paced: bool = field(init=False)
    _notes: deque[tuple[Family, Change]] = field(factory=deque, init=False)

    def __attrs_post_init__(self) -> None:
        self._is_paced = not self.automatic

    def acquire(self, request: Request) -> Flow[float]:
        """Wait until this request may be sent; return the seconds that it took."""
        yield from self.flush()
        if not self._is_paced:
            return 0.0
        store = yield from self._store()
        limit, family = self.limits.of(request.limit), request.limit
        waited = 0.0
        for _ in range(MOST_RESERVATIONS):
            reservation = partial(reserve, limit=limit, period=self.limits.period)
            wait = yield from _changed(store, family, reservation, f"budget: {family}")
            if wait <= 0:
                break
            before: Moment = yield Now()
            yield Sleep(wait, why=f"Requests are paced to {limit} in {self.limits.window:g} s.", planned=True)
            after: Moment = yield Now()
            waited += after.monotonic - before.monotonic
            # While this one slept, another may have got a 429; then the reservation is void.
            closed = yield from _changed(store, family, _closed, f"budget: {family} open?")
            if closed <= 0:
                break
        return waited

    def observe(self, request: Request, response: Response) -> None:
        """Note what an answer says about the limits."""
        change = _change_by(request, response, self.limits)
        if not self._is_paced:
            if change is None and response.is_reference:
                return
            self._is_paced = True  # a live service: count the request just sent, and all from here on
            self._notes.append((request.limit, _with_uncounted))
        if change is not None:
            self._notes.append((request.limit, change))

    def flush(self) -> Flow[None]:
        """Store what was noted, for the other processes."""
        if not self._notes:
            return
        with contextlib.suppress(Exception):  # the token may be unusable; the request itself reports that
            store = yield from self._store()
            while self._notes:
                family, change = self._notes.popleft()
                yield from _changed(store, family, change, f"budget: {family} heard")

    def _store(self) -> Flow[UsageStore]:
        if self._opened is None:
            if self.fingerprint is None:
                self.fingerprint = yield TokenFingerprint()
            self._opened = UsageStore.of(self.origin, self.fingerprint or "", self.limits, self.state_dir)
        return self._opened


def _changed(store: UsageStore, family: Family, change: Change, what: str) -> Flow[float]:
    """Change the usage. Wait between tries while another process has the file, without blocking an event loop."""
    pause = FIRST_TRY
    answer: float
    for _ in range(MOST_TRIES - 1):
        with contextlib.suppress(Timeout):
            answer = yield RunLocally(partial(store.change, family, change, last=False), what)
            return answer
        yield Sleep(pause, jitter=pause, why="Another process is counting its request.", planned=True)
        pause *= 2
    answer = yield RunLocally(partial(store.change, family, change, last=True), what)
    return answer


def _closed(spent: Usage) -> tuple[Usage, float]:
    return spent, spent.closed


def _with_uncounted(spent: Usage) -> tuple[Usage, float]:
    """Return the usage with one more request, which was sent before it could be counted."""
    reserved = [time for time in spent.times if time > 0]
    behind = spent.times[: len(spent.times) - len(reserved)]
    return evolve(spent, times=(*behind, 0.0, *reserved)), 0.0


def _change_by(request: Request, response: Response, limits: Limits) -> Change | None:
    """Return the change of the usage that an answer causes; None if it says nothing about limits."""
    if response.status == 429:
        wait = asked_wait(response)
        return lambda spent: (with_refusal(spent, limits, wait), 0.0)
    remaining = _count(response, "x-ratelimit-remaining")
    reset = seconds_until(response, "x-ratelimit-reset")
    if remaining is None or reset is None:
        return None
    limit = limits.of(request.limit)
    return lambda spent: (with_server_count(spent, limits, limit, int(remaining), reset), 0.0)


def _count(response: Response, name: str) -> float | None:
    with contextlib.suppress(ValueError):
        value = float(response.header(name) or "")
        return value if math.isfinite(value) and value >= 0 else None
    return None
