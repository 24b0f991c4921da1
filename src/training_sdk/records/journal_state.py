"""The state of an application, computed from the events of its journal; pure, and strict about their order.

A plan may reset a person once. So no request may name a person who was reset, or whose result is unknown: such an
event is refused before anything could be sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from attrs import define, evolve, field, frozen

from training_sdk._core.model import Key
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

APPLIED, NOT_APPLIED, UNDECIDED = "applied", "not applied", "unknown"


class ChunkFate(StrEnum):
    """The latest known step of one request."""

    PLANNED = "planned"
    INTENDED = "intended"
    SENT = "sent"
    ANSWERED = "answered"
    REFUSED = "refused"
    LOST = "lost"
    READ_BACK = "read back"


class Standing(StrEnum):
    """The state of one person in the application of a plan."""

    UNSENT = "unsent"
    """Not sent, or read back and seen not to have been reset."""
    REFUSED = "refused"
    """Sent, and known to have had no effect."""
    UNKNOWN = "unknown"
    """Sent, and the result is uncertain: to be read back before anything else."""
    RESET = "reset"
    SKIPPED = "skipped"


class OutOfOrderError(ValueError):
    """An event that cannot follow what is in the journal."""


@frozen
class Chunk:
    """One request: its people and its latest known step."""

    number: int
    course_id: str
    user_ids: tuple[str, ...]
    key: str
    fate: ChunkFate = ChunkFate.INTENDED
    count: int | None = None
    request_id: str | None = None
    message: str | None = None
    cause: str | None = None
    is_doubtful_refusal: bool = False
    """True if the request was refused, and may have been carried out in part before."""
    is_accepted: bool = False
    """True if the status of the answer was 2xx, even if the rest of the answer could not be read."""
    named_last: tuple[str, ...] = ()
    """Users outside the plan whom the request also names, and who cannot be reset."""
    refusal: int | None = None
    """The status of its refusal, if the status leaves the result uncertain."""
    in_course: int | None = None
    """The number of people on the course at the last reading before a call for everyone."""

    @property
    def people(self) -> tuple[Key, ...]:
        """The people in the request, each with the course."""
        return tuple((self.course_id, user_id) for user_id in self.user_ids)

    @property
    def reached_others(self) -> int:
        """The number of people who were reset although the request does not name them, by the count in the answer."""
        return counted_besides(self.count, self.named, self.in_course)

    @property
    def named(self) -> int:
        """The number of people whom the request names."""
        return len(self.user_ids) + len(self.named_last)

    @property
    def counts_everyone(self) -> bool | None:
        """Whether the answer also counts people on the course with nothing to reset; None if unknown."""
        if self.count is None or self.in_course in (None, self.named):
            return None
        return self.count == self.in_course


def counted_besides(count: int | None, named: int, in_course: int | None) -> int:
    """Return how many people an answer counts beyond those that the request was about.

    A call for everyone may count all people on the course, also those who had nothing to reset.
    """
    return 0 if count is None or count == in_course else max(0, count - named)


@define
class JournalState:
    """The state of an application so far. Users absent from ``users`` have not been sent."""

    opened: Opened | None = None
    packs: tuple[EvidenceKept, ...] = ()
    chunks: dict[int, Chunk] = field(factory=dict)
    users: dict[Key, Standing] = field(factory=dict)
    last: dict[Key, int] = field(factory=dict)
    """The latest request that named each person; an earlier one is resolved."""
    codes: dict[Key, str] = field(factory=dict)
    """The reason why each skipped person was skipped."""
    closed: Closed | None = None
    has_sent: bool = False
    processing_seconds: float | None = None
    """The longest time that the service may need for an accepted request; None in older journals."""
    reached_others: int = 0
    """The number of people outside the plan who may have been reset, as far as the service showed it."""
    others_seen: tuple[str, ...] = ()
    """The user ids of those people, as far as they were seen."""
    larger_count_at: datetime | None = None
    """The last time that an answer counted more people than its request named."""

    def copy(self) -> JournalState:
        """Return a copy that later events do not change."""
        return evolve(
            self,
            chunks=dict(self.chunks),
            users=dict(self.users),
            last=dict(self.last),
            codes=dict(self.codes),
        )

    @property
    def missing_lessons(self) -> tuple[Key, ...]:
        """Course and user of each person whose lessons are missing in the packs."""
        return tuple(dict.fromkeys(key for pack in self.packs for key in pack.missing_lessons))

    def fate(self, chunk: int) -> ChunkFate:
        """Return the latest known step of a request; ``PLANNED`` if the journal does not have the request."""
        return self.chunks[chunk].fate if chunk in self.chunks else ChunkFate.PLANNED

    def standing(self, course_id: str, user_id: str) -> Standing:
        """Return the state of one person."""
        return self.users.get((course_id, user_id), Standing.UNSENT)

    @property
    def to_read_back(self) -> tuple[Chunk, ...]:
        """The requests with people whose result is uncertain."""
        return tuple(
            chunk
            for chunk in self.chunks.values()
            if any(self.is_open(chunk, user_id) for user_id in chunk.user_ids)
        )

    def is_open(self, chunk: Chunk, user_id: str) -> bool:
        """Return whether this is the person's latest request, and it is uncertain whether it reset them."""
        key = (chunk.course_id, user_id)
        return self.users[key] is Standing.UNKNOWN and self.last[key] == chunk.number

    def take(self, event: Event) -> None:
        """Apply one event. Raises OutOfOrderError, and then nothing has changed."""
        _refuse_unless(self.closed is None, "the journal is closed: nothing can follow")
        _refuse_unless(self.opened is not None or isinstance(event, Opened), "a journal begins with 'opened'")
        match event:
            case Opened():
                self._open(event)
            case Resumed():
                _refuse_unless(self.has_sent, "nothing has been sent: it begins anew")
                self._allow(event.processing_seconds)
            case EvidenceKept():
                self.packs = (*self.packs, event)
            case SkippedUsers():
                self._skip(event)
            case Intent():
                self._intend(event)
            case ReadBack():
                self._read_back(event)
            case Closed():
                by_hand = event.reason is not None
                known = all(by_hand and chunk.fate is ChunkFate.READ_BACK for chunk in self.to_read_back)
                _refuse_unless(known, "people are unknown: it cannot be closed")
                self.closed = event
            case _:
                self._go_on(event)

    def _open(self, event: Opened) -> None:
        _refuse_unless(not self.has_sent, "a request has been sent: it can be resumed, and not begun anew")
        self.opened = event
        self.processing_seconds = event.processing_seconds
        self.chunks, self.users, self.last, self.codes = {}, {}, {}, {}

    def _allow(self, seconds: float | None) -> None:
        if seconds is not None:
            self.processing_seconds = max(seconds, self.processing_seconds or 0.0)

    def _skip(self, event: SkippedUsers) -> None:
        people = {(event.course_id, user_id): code for user_id, code in event.codes.items()}
        self._refuse_standing(people, Standing.RESET, Standing.UNKNOWN)
        self.users |= dict.fromkeys(people, Standing.SKIPPED)
        self.codes |= people

    def _intend(self, event: Intent) -> None:
        chunk = Chunk(
            event.chunk,
            event.course_id,
            event.user_ids,
            event.key,
            named_last=event.named_last,
            in_course=event.in_course,
        )
        open_fates = (ChunkFate.SENT, ChunkFate.LOST)
        _refuse_unless(
            self.fate(event.chunk) not in open_fates, f"the fate of request {event.chunk} is not known yet"
        )
        _refuse_unless(len(set(chunk.people)) == len(chunk.people) > 0, "it names nobody, or somebody twice")
        self._refuse_standing(chunk.people, Standing.RESET, Standing.UNKNOWN, Standing.SKIPPED)
        self.chunks[event.chunk] = chunk
        self.users |= dict.fromkeys(chunk.people, Standing.UNSENT)
        self.last |= dict.fromkeys(chunk.people, chunk.number)

    def _go_on(self, event: Sent | Answered | Refused | RefusedInDoubt | Lost) -> None:
        needed = (ChunkFate.INTENDED,) if isinstance(event, Sent) else (ChunkFate.SENT,)
        chunk = self._chunk(event.chunk, *needed)
        match event:
            case Sent():
                self._refuse_standing(chunk.people, Standing.RESET, Standing.UNKNOWN, Standing.SKIPPED)
                latest = all(self.last[key] == chunk.number for key in chunk.people)
                _refuse_unless(latest, f"somebody in request {event.chunk} is in a later one")
                self.has_sent = True
                self._settle(evolve(chunk, fate=ChunkFate.SENT), Standing.UNKNOWN)
            case Answered():
                chunk = evolve(
                    chunk,
                    fate=ChunkFate.ANSWERED,
                    count=event.count,
                    request_id=event.request_id,
                    is_accepted=True,
                )
                if chunk.reached_others:
                    self.reached_others += chunk.reached_others
                    self.larger_count_at = event.at
                self._settle(chunk, Standing.RESET if self._is_sure(chunk) else Standing.UNKNOWN)
            case Refused():
                chunk = evolve(
                    chunk, fate=ChunkFate.REFUSED, message=event.message, request_id=event.request_id
                )
                self._settle(chunk, Standing.REFUSED)
            case RefusedInDoubt():
                chunk = evolve(
                    chunk,
                    fate=ChunkFate.LOST,
                    message=event.message,
                    request_id=event.request_id,
                    cause=event.error,
                    is_doubtful_refusal=True,
                    refusal=event.status,
                )
                self._settle(chunk, Standing.UNKNOWN)
            case Lost():
                chunk = evolve(
                    chunk,
                    fate=ChunkFate.LOST,
                    message=event.message,
                    request_id=event.request_id,
                    cause=event.cause,
                    is_accepted=_was_accepted(event),
                )
                self._settle(chunk, Standing.UNKNOWN)

    def _is_sure(self, chunk: Chunk) -> bool:
        """Return whether the answer is enough; after a call for everyone, only reading back shows who was reset."""
        by_server = self.opened is not None and self.opened.server_side
        return chunk.count == chunk.named and not by_server

    def _read_back(self, event: ReadBack) -> None:
        chunk = self._chunk(
            event.chunk, ChunkFate.SENT, ChunkFate.LOST, ChunkFate.ANSWERED, ChunkFate.READ_BACK
        )
        found = {(chunk.course_id, user_id): verdict for user_id, verdict in event.verdicts.items()}
        _refuse_unless(found.keys() <= set(chunk.people), f"request {event.chunk} did not hold all of them")
        for key, verdict in found.items():
            _refuse_unless(verdict in _VERDICTS, f"{verdict!r} is no verdict")
            allowed = verdict == APPLIED or self.users[key] is not Standing.RESET
            _refuse_unless(allowed, f"{key[1]} has been reset already")
            _refuse_unless(self.last[key] == chunk.number, f"{key[1]} has been sent again since")
        self.chunks[chunk.number] = evolve(chunk, fate=ChunkFate.READ_BACK)
        self.reached_others += len(event.others)
        self.others_seen += event.others
        self.users |= {key: _VERDICTS[verdict] for key, verdict in found.items()}

    def _chunk(self, number: int, *fates: ChunkFate) -> Chunk:
        needed = " or ".join(fates)
        _refuse_unless(self.fate(number) in fates, f"request {number} is {self.fate(number)}, not {needed}")
        return self.chunks[number]

    def _settle(self, chunk: Chunk, standing: Standing) -> None:
        self.chunks[chunk.number] = chunk
        self.users |= dict.fromkeys(chunk.people, standing)

    def _refuse_standing(self, people: Iterable[Key], *standings: Standing) -> None:
        for key in people:
            standing = self.users.get(key)
            _refuse_unless(standing not in standings, f"user {key[1]} in course {key[0]} is {standing}")


_VERDICTS: Mapping[str, Standing] = {
    APPLIED: Standing.RESET,
    NOT_APPLIED: Standing.UNSENT,
    UNDECIDED: Standing.UNKNOWN,
}


def _was_accepted(event: Lost) -> bool:
    """Return whether a 2xx came that could not be read; older journals show it by the cause, or by the message."""
    if event.status is not None:
        return 200 <= event.status < 300
    return event.cause == "DecodingError" or (event.cause is None and _UNREADABLE in event.message)


_UNREADABLE = "with something unreadable"
"""In the messages of before, where the cause is not named."""


def fold(events: Iterable[Event]) -> JournalState:
    """Return the state after these events. Raises OutOfOrderError if one cannot follow those before it."""
    state = JournalState()
    for event in events:
        state.take(event)
    return state


def _refuse_unless(holds: bool, why: str) -> None:
    if not holds:
        raise OutOfOrderError(why)
