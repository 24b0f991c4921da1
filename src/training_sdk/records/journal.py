"""The file of a plan's journal, ``journal.jsonl``: every step of its application, on the disk before the next step.

``events`` has the format of its lines, ``journal_state`` the state that they lead to.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs
from attrs import define, field, frozen

from training_sdk._core import codec
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
    _held: ExitStack
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
        self._held.close()

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
