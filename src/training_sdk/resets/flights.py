"""Which requests may still be on their way: sent, not known to be refused, and not read back late enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from attrs import frozen

from training_sdk.records.events import Event, Opened, ReadBack, Resumed, Sent
from training_sdk.records.folding import Chunk, ChunkFate, JournalState
from training_sdk.resets.freshness import LAG, MARGIN
from training_sdk.resets.plan import Key

WAIT = LAG + MARGIN
"""After which nobody expects a request to arrive any more, nor the feed to show what was before it."""

_NEARLY_A_MINUTE = timedelta(minutes=1) - timedelta.resolution
_ON_ITS_WAY = (ChunkFate.SENT, ChunkFate.LOST, ChunkFate.ANSWERED, ChunkFate.READ_BACK)


@frozen
class Flight:
    """One request that was sent and is not known to have been refused."""

    chunk: Chunk
    sent_at: datetime
    by: str
    """The user whose token it carried."""

    @property
    def settled_at(self) -> datetime:
        """From when on reading back tells the truth about it."""
        return self.sent_at + WAIT


@frozen
class Flights:
    """All of them in one journal."""

    all: tuple[Flight, ...]
    read_at: Mapping[Key, datetime]
    """When each person was read back last."""
    _by_person: Mapping[Key, Sequence[Flight]]

    @classmethod
    def of(cls, events: Sequence[Event], state: JournalState) -> Flights:
        """From what a journal holds."""
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
                    course_id = state.chunks[event.chunk].course_id
                    read |= {(course_id, user_id): event.at for user_id in event.verdicts}
                case _:
                    pass
        found = tuple(
            Flight(chunk, *sent[number])
            for number, chunk in state.chunks.items()
            if chunk.fate in _ON_ITS_WAY and number in sent
        )
        by_person: dict[Key, list[Flight]] = {}
        for flight in found:
            for key in flight.chunk.people:
                by_person.setdefault(key, []).append(flight)
        return cls(found, read, by_person)

    def latest(self, *people: Key) -> Flight | None:
        """The one that was sent last of those that named any of these people."""
        holding = (one for key in people for one in self._by_person.get(key, ()))
        return max(holding, key=lambda one: one.sent_at, default=None)

    def settled_at(self, *people: Key) -> datetime | None:
        """From when on reading back tells the truth about these people; None if nothing was sent for them."""
        latest = self.latest(*people)
        return None if latest is None else latest.settled_at

    def open(self, person: Key, now: datetime | None) -> tuple[Flight, ...]:
        """Those that may yet reach somebody, as far as is known at this time (None: at any time)."""
        read_at = self.read_at.get(person)
        return tuple(
            one
            for one in self._by_person.get(person, ())
            if (read_at is None or read_at < one.settled_at) and (now is None or now < one.settled_at)
        )


def until(moment: datetime) -> str:
    """A moment in a message, rounded up to the minute."""
    return f"{moment + _NEARLY_A_MINUTE:%Y-%m-%d %H:%M} UTC"
