"""Requests in flight: sent, not known to be refused, and not read back late enough; and how late a service may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from attrs import frozen

from training_sdk._core.model import Key
from training_sdk.records.events import Event, Opened, ReadBack, Resumed, Sent
from training_sdk.records.journal_state import JournalState, RecordedRequest, RequestState

LAG = timedelta(hours=2)
"""The oldest that the feed of a live service may be (published)."""
MARGIN = timedelta(minutes=15)
"""Added to it, for a warehouse that is late."""
PROCESSING_TIME = timedelta(hours=1)
"""The longest that a service works on an accepted request, unless the safeguards or a proof set more (assumed)."""


LONGEST_PROCESSING_TIME = timedelta(days=366)


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
