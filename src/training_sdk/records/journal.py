"""The file of a plan's journal, ``journal.jsonl``: every step of its application, on the disk before the next step.

``events`` has the format of its lines, ``journal_state`` the state that they lead to. ``RequestsInFlight`` are requests
that were sent, are not known to be refused, and were not read back late enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs
from attrs import define, field, frozen

from training_sdk._core import codec
from training_sdk._core.model import Key
from training_sdk._core.text import sentence
from training_sdk.errors import DecodingError, RecordsDamagedError, RecordsError
from training_sdk.records.audit import CLOSED, AuditLog, contradicts
from training_sdk.records.chain import (
    RESERVED,
    START,
    Head,
    Lines,
    check_chain,
    damaged_line,
    head_of,
    next_entry,
)
from training_sdk.records.events import (
    Answered,
    Closed,
    Event,
    EvidenceKept,
    Intent,
    Lost,
    Opened,
    ReadBack,
    Refused,
    RefusedInDoubt,
    Resumed,
    Sent,
    SkippedUsers,
)
from training_sdk.records.journal_state import (
    JournalState,
    OutOfOrderError,
    RecordedRequest,
    RequestState,
    replay,
)
from training_sdk.records.state import StateDirectory

FILE = "journal.jsonl"
KINDS: Mapping[str, type[Event]] = {
    "opened": Opened,
    "resumed": Resumed,
    "evidence": EvidenceKept,
    "skipped": SkippedUsers,
    "intent": Intent,
    "sent": Sent,
    "answered": Answered,
    "refused": Refused,
    "refused-in-doubt": RefusedInDoubt,
    "lost": Lost,
    "read-back": ReadBack,
    "closed": Closed,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def read_journal(folder: Path) -> tuple[Event, ...]:
    """Return the events in the journal of a plan's folder; an empty tuple if there is no journal.

    The journal is not locked. Raises RecordsDamagedError with file and line if it was changed.
    """
    return JournalCopy.read(folder).events


@frozen
class JournalCopy:
    """A journal as it was read at one moment, without its lock."""

    events: tuple[Event, ...] = ()
    heads: tuple[Head, ...] = ()
    """The head of the hash chain after each event."""
    _state: JournalState = field(factory=JournalState)

    @classmethod
    def read(cls, folder: Path) -> JournalCopy:
        """Read the journal in a plan's folder; empty if there is none. Raises RecordsDamagedError with its line."""
        return _read(Lines(folder / FILE))

    @classmethod
    def of_plan(cls, state: StateDirectory | None, digest: str) -> JournalCopy:
        """Read the journal of a plan on this machine; empty if it was never applied here."""
        return cls() if state is None else cls.read(state.path / "plans" / digest)

    def state(self) -> JournalState:
        """Return the state of the application after the last event."""
        return self._state.copy()


def is_closed(state: StateDirectory, digest: str) -> bool:
    """Return whether the application of a plan has ended, so that its evidence may be purged.

    If a plan has no journal, or its journal is damaged or contradicts the audit log, a line in the log must close it.
    """
    entries = AuditLog(state.audit).entries(plan_digest=digest)  # before the journal, which is written first
    try:
        journal = JournalCopy.of_plan(state, digest)
    except RecordsDamagedError:
        journal = JournalCopy()
    found = journal.state()
    if journal.events and not contradicts(entries, found, journal.heads):
        return found.closed is not None
    return any(entry["event"] == CLOSED for entry in entries)


@frozen
class _Write:
    """A line that is being written: its event, the head of the chain after it, and where events and file ended."""

    event: Event
    head: Head
    events: int
    length: int


@define
class Journal:
    """The journal of one plan, locked by this process until it is closed."""

    _lines: Lines
    _locks: ExitStack
    _events: list[Event]
    _heads: list[Head]
    """The head of the chain after each event."""
    _state: JournalState
    _write: _Write | None = field(default=None, init=False)

    @classmethod
    def open(cls, folder: Path) -> Journal:
        """Open and lock the journal in a plan's folder; it is created if there is none.

        Raises RecordsLockedError, naming the process that has it, and RecordsDamagedError with file and line.
        """
        lines, held = Lines(folder / FILE), ExitStack()
        held.enter_context(lines.writing())
        try:
            found = _read(lines)
        except BaseException:
            held.close()
            raise
        return cls(lines, held, [*found.events], [*found.heads], found.state())

    @property
    def events(self) -> tuple[Event, ...]:
        """All events of the journal."""
        self._catch_up()
        return tuple(self._events)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The head of the chain after each event: what the audit log quotes of this journal."""
        self._catch_up()
        return tuple(self._heads)

    def state(self) -> JournalState:
        """Return the state of the application after the last event."""
        self._catch_up()
        return self._state.copy()

    def check_process(self) -> None:
        """Raise RecordsLockedError in a process that was forked from the one that has taken this journal."""
        self._lines.check_process()

    def note(self, event: Event) -> None:
        """Write an event; it is on the disk when this returns.

        Raises RecordsError, before anything is written, if the event cannot follow those before it: above all if it
        would send a person who was reset, or whose result is unknown. Raises RecordsUnwritableError if it cannot be
        written, and then the journal is unchanged.
        """
        self._catch_up()
        after = self._heads[-1] if self._heads else START
        entry = next_entry({"event": _NAMES[type(event)], **codec.plain(event)}, after)
        self._write = _Write(event, head_of(entry), len(self._events), self._lines.length)
        try:
            self._state.apply(event)
        except OutOfOrderError as error:
            self._write = None  # nothing has changed
            name = _NAMES[type(event)]
            raise RecordsError(
                f"{self._lines.path} must not have {name!r} now: {sentence(str(error))} Nothing was written."
            ) from None
        self._lines.append(entry)
        self._events.append(event)
        self._heads.append(self._write.head)
        self._write = None

    def _catch_up(self) -> None:
        """Update the memory from the disk after a write that failed or was interrupted."""
        write = self._write
        if write is None:
            return
        is_written = self._lines.length > write.length
        self._events[write.events :] = [write.event] if is_written else []
        self._heads[write.events :] = [write.head] if is_written else []
        self._state = replay(self._events)
        self._write = None

    def close(self) -> None:
        """Release the journal; another process may open it then."""
        self._locks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read(lines: Lines) -> JournalCopy:
    """Read and check a journal, line by line."""
    state = JournalState()
    events: list[Event] = []
    heads: list[Head] = []
    for link in check_chain(lines.raw()):
        try:
            if link.entry is None or link.fault:
                raise OutOfOrderError(link.fault)
            event = _event(link.entry)
            state.apply(event)
        except (OutOfOrderError, DecodingError) as error:
            raise damaged_line(lines.path, link.line, str(error)) from None
        events.append(event)
        heads.append(head_of(link.entry))
    return JournalCopy(tuple(events), tuple(heads), state)


def _event(entry: Mapping[str, Any]) -> Event:
    kind = KINDS.get(entry.get("event", ""))
    if kind is None:
        raise OutOfOrderError(
            f"the event {entry.get('event')!r} is unknown. A newer version of the SDK may have written it"
        )
    facts = {name: value for name, value in entry.items() if name not in (*RESERVED, "event")}
    unknown = facts.keys() - {attribute.name for attribute in attrs.fields(kind)}
    if unknown:
        raise OutOfOrderError(
            f"the fields {sorted(unknown)} are unknown. A newer version of the SDK may have written them"
        )
    return codec.structure_value(facts, kind)


LAG = timedelta(hours=2)
"""The oldest that the feed of a live service may be (published)."""
MARGIN = timedelta(minutes=15)
"""Added to it, for a warehouse that is late."""
PROCESSING_TIME = timedelta(hours=1)
"""The longest that a service works on an accepted request, unless the safeguards or a proof set more (assumed)."""
LONGEST_PROCESSING_TIME = timedelta(days=366)
LARGEST_DIFFERENCE = timedelta(minutes=5)
"""The largest accepted difference between this machine's clock and that of a live service.

This machine's clock decides when a live service must show what it shows late.
"""


def processing_time_of(seconds: float) -> timedelta:
    """Return a time that was kept, within what the safeguards allow."""
    return max(timedelta.resolution, timedelta(seconds=min(seconds, LONGEST_PROCESSING_TIME.total_seconds())))


def waiting_time(processing_time: timedelta) -> timedelta:
    """Return how long after a request the feed may still show what was before it."""
    return LAG + MARGIN + processing_time


_NEARLY_A_MINUTE = timedelta(minutes=1) - timedelta.resolution
_ON_ITS_WAY = (RequestState.SENT, RequestState.LOST, RequestState.ANSWERED, RequestState.READ_BACK)


@frozen
class Since:
    """The times of the first and the last request that may have reset a person."""

    first: datetime
    last: datetime


@frozen
class RequestInFlight:
    """One request that was sent and is not known to have been refused."""

    recorded: RecordedRequest
    sent_at: datetime
    by: str
    """The user whose token it carried."""
    wait: timedelta
    """The time after which the request is done, and the feed shows its effect."""

    @property
    def settled_at(self) -> datetime:
        """The time from which on reading back shows its effect."""
        return self.sent_at + self.wait


@frozen
class RequestsInFlight:
    """All requests of one journal that may still be in flight."""

    all: tuple[RequestInFlight, ...]
    read_at: Mapping[Key, datetime]
    """The time of the last reading back of each person."""
    wait: timedelta
    _by_person: Mapping[Key, Sequence[RequestInFlight]]

    @classmethod
    def of(
        cls, events: Sequence[Event], state: JournalState, processing_time: timedelta | None = None
    ) -> RequestsInFlight:
        """Return the requests in flight by a journal; a longer ``processing_time`` than that of the journal counts."""
        wait = waiting_time(max(journal_processing_time(state), processing_time or timedelta(0)))
        sent: dict[int, tuple[datetime, str]] = {}
        read: dict[Key, datetime] = {}
        by = ""
        for event in events:
            match event:
                case Opened() | Resumed():
                    by = event.applied_by
                case Sent():
                    sent[event.chunk] = event.at, by
                case ReadBack():
                    course_id = state.requests[event.chunk].course_id
                    read |= {(course_id, user_id): event.at for user_id in event.verdicts}
                case _:
                    pass
        found = tuple(
            RequestInFlight(recorded, *sent[number], wait)
            for number, recorded in state.requests.items()
            if recorded.state in _ON_ITS_WAY and number in sent
        )
        by_person: dict[Key, list[RequestInFlight]] = {}
        for flight in found:
            for key in flight.recorded.people:
                by_person.setdefault(key, []).append(flight)
        return cls(found, read, wait, by_person)

    def latest(self, *people: Key) -> RequestInFlight | None:
        """Return the request that was sent last of those that named any of these people."""
        holding = (one for key in people for one in self._by_person.get(key, ()))
        return max(holding, key=lambda one: one.sent_at, default=None)

    def since(self, person: Key) -> Since | None:
        """Return between which requests a person may have been reset; None if none was sent for them."""
        sent = [one.sent_at for one in self._by_person.get(person, ())]
        return Since(min(sent), max(sent)) if sent else None

    def settled_at(self, *people: Key) -> datetime | None:
        """Return from when on reading back shows the truth about these people; None if none was sent for them."""
        latest = self.latest(*people)
        return None if latest is None else latest.settled_at

    def of_request(self, number: int, person: Key) -> RequestInFlight | None:
        """Return the request with this number, if it named the person and is not known to have been refused."""
        return next((one for one in self._by_person.get(person, ()) if one.recorded.number == number), None)

    def has_accepted(self, person: Key) -> bool:
        """Return whether the service has accepted a request that named a person: such people are never sent again."""
        return any(one.recorded.is_accepted for one in self._by_person.get(person, ()))

    def open(self, person: Key, now: datetime | None) -> tuple[RequestInFlight, ...]:
        """Return the requests that may still reset a person, as far as is known at this time (None: at any time)."""
        read_at = self.read_at.get(person)
        return tuple(
            one
            for one in self._by_person.get(person, ())
            if (read_at is None or read_at < one.settled_at) and (now is None or now < one.settled_at)
        )


def journal_processing_time(state: JournalState) -> timedelta:
    """Return for how long the service may work on what it has accepted, by a journal; older ones take the default."""
    seconds = state.processing_seconds
    return PROCESSING_TIME if seconds is None else processing_time_of(seconds)


def minute_text(moment: datetime) -> str:
    """Return a moment in a message, rounded up to the minute."""
    return f"{moment + _NEARLY_A_MINUTE:%Y-%m-%d %H:%M} UTC"
