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
    counted_besides,
    was_accepted,
)

APPLIED, NOT_APPLIED, UNDECIDED = "applied", "not applied", "unknown"


class RequestState(StrEnum):
    """The latest known step of one request."""

    PLANNED = "planned"
    INTENDED = "intended"
    SENT = "sent"
    ANSWERED = "answered"
    REFUSED = "refused"
    LOST = "lost"
    READ_BACK = "read back"


ChunkFate = RequestState
"""The earlier name of ``RequestState``."""


class PersonState(StrEnum):
    """The state of one person in the application of a plan."""

    UNSENT = "unsent"
    """Not sent, or read back and seen not to have been reset."""
    REFUSED = "refused"
    """Sent, and known to have had no effect."""
    UNKNOWN = "unknown"
    """Sent, and the result is uncertain. It must be read back first."""
    RESET = "reset"
    SKIPPED = "skipped"


Standing = PersonState
"""The earlier name of ``PersonState``."""
_NEVER_SENT_AGAIN = (PersonState.RESET, PersonState.UNKNOWN, PersonState.SKIPPED)


class OutOfOrderError(ValueError):
    """An event that cannot follow what is in the journal."""


@frozen
class RecordedRequest:
    """One request: its people and its latest known step."""

    number: int
    course_id: str
    user_ids: tuple[str, ...]
    key: str
    state: RequestState = RequestState.INTENDED
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
    def fate(self) -> RequestState:
        """The earlier name of ``state``."""
        return self.state

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
        """True if the answer also counts people on the course with nothing to reset; None if unknown."""
        if self.count is None or self.in_course in (None, self.named):
            return None
        return self.count == self.in_course


Chunk = RecordedRequest
"""The earlier name of ``RecordedRequest``."""


@define
class JournalState:
    """The state of an application so far. Users absent from ``users`` have not been sent."""

    opened: Opened | None = None
    packs: tuple[EvidenceKept, ...] = ()
    requests: dict[int, RecordedRequest] = field(factory=dict)
    users: dict[Key, PersonState] = field(factory=dict)
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
            requests=dict(self.requests),
            users=dict(self.users),
            last=dict(self.last),
            codes=dict(self.codes),
        )

    @property
    def missing_lessons(self) -> tuple[Key, ...]:
        """Course and user of each person whose lessons are missing in the packs."""
        return tuple(dict.fromkeys(key for pack in self.packs for key in pack.missing_lessons))

    @property
    def not_read(self) -> tuple[tuple[str, str], ...]:
        """The listings that were not read for the packs, each with the reason of the last pack that lacks it."""
        return tuple({name: why for pack in self.packs for name, why in pack.not_read}.items())

    def request_state(self, number: int) -> RequestState:
        """Return the latest known step of a request; ``PLANNED`` if the journal does not have the request."""
        return self.requests[number].state if number in self.requests else RequestState.PLANNED

    def person_state(self, course_id: str, user_id: str) -> PersonState:
        """Return the state of one person."""
        return self.users.get((course_id, user_id), PersonState.UNSENT)

    @property
    def chunks(self) -> dict[int, RecordedRequest]:
        """The earlier name of ``requests``."""
        return self.requests

    def fate(self, chunk: int) -> RequestState:
        """Return ``request_state``, by its earlier name."""
        return self.request_state(chunk)

    def standing(self, course_id: str, user_id: str) -> PersonState:
        """Return ``person_state``, by its earlier name."""
        return self.person_state(course_id, user_id)

    def take(self, event: Event) -> None:
        """Call ``apply``, by its earlier name."""
        self.apply(event)

    @property
    def to_read_back(self) -> tuple[RecordedRequest, ...]:
        """The requests with people whose result is uncertain."""
        return tuple(
            request
            for request in self.requests.values()
            if any(self.is_open(request, user_id) for user_id in request.user_ids)
        )

    def is_open(self, request: RecordedRequest, user_id: str) -> bool:
        """Return whether this is the person's latest request, and it is uncertain whether it reset them."""
        key = (request.course_id, user_id)
        return self.users[key] is PersonState.UNKNOWN and self.last[key] == request.number

    def apply(self, event: Event) -> None:
        """Apply one event. Raises OutOfOrderError, and then nothing has changed."""
        _refuse_unless(self.closed is None, "the journal is closed, so no event can follow")
        _refuse_unless(
            self.opened is not None or isinstance(event, Opened), "a journal must begin with 'opened'"
        )
        match event:
            case Opened():
                self._open(event)
            case Resumed():
                _refuse_unless(
                    self.has_sent, "nothing was sent, so the application must be started, not resumed"
                )
                self._extend_processing_time(event.processing_seconds)
            case EvidenceKept():
                self.packs = (*self.packs, event)
            case SkippedUsers():
                self._skip(event)
            case Intent():
                self._add_request(event)
            case ReadBack():
                self._read_back(event)
            case Closed():
                by_hand = event.reason is not None
                known = all(
                    by_hand and request.state is RequestState.READ_BACK for request in self.to_read_back
                )
                _refuse_unless(known, "results of people are unknown, so it cannot be closed")
                self.closed = event
            case _:
                self._apply_to_request(event)

    def _open(self, event: Opened) -> None:
        _refuse_unless(
            not self.has_sent, "a request was sent, so the application can be resumed, but not started again"
        )
        self.opened = event
        self.processing_seconds = event.processing_seconds
        self.requests, self.users, self.last, self.codes = {}, {}, {}, {}

    def _extend_processing_time(self, seconds: float | None) -> None:
        if seconds is not None:
            self.processing_seconds = max(seconds, self.processing_seconds or 0.0)

    def _skip(self, event: SkippedUsers) -> None:
        people = {(event.course_id, user_id): code for user_id, code in event.codes.items()}
        self._refuse_people_in_state(people, PersonState.RESET, PersonState.UNKNOWN)
        self.users |= dict.fromkeys(people, PersonState.SKIPPED)
        self.codes |= people

    def _add_request(self, event: Intent) -> None:
        request = RecordedRequest(
            event.chunk,
            event.course_id,
            event.user_ids,
            event.key,
            named_last=event.named_last,
            in_course=event.in_course,
        )
        open_states = (RequestState.SENT, RequestState.LOST)
        _refuse_unless(
            self.request_state(event.chunk) not in open_states,
            f"the result of request {event.chunk} is not known yet",
        )
        _refuse_unless(
            len(set(request.people)) == len(request.people) > 0, "it names no person, or one person twice"
        )
        self._refuse_people_in_state(request.people, *_NEVER_SENT_AGAIN)
        self.requests[event.chunk] = request
        self.users |= dict.fromkeys(request.people, PersonState.UNSENT)
        self.last |= dict.fromkeys(request.people, request.number)

    def _apply_to_request(self, event: Sent | Answered | Refused | RefusedInDoubt | Lost) -> None:
        needed = (RequestState.INTENDED,) if isinstance(event, Sent) else (RequestState.SENT,)
        request = self._request_in_state(event.chunk, *needed)
        match event:
            case Sent():
                self._refuse_people_in_state(request.people, *_NEVER_SENT_AGAIN)
                latest = all(self.last[key] == request.number for key in request.people)
                _refuse_unless(latest, f"a person in request {event.chunk} is in a later one")
                self.has_sent = True
                self._set_state(evolve(request, state=RequestState.SENT), PersonState.UNKNOWN)
            case Answered():
                request = evolve(
                    request,
                    state=RequestState.ANSWERED,
                    count=event.count,
                    request_id=event.request_id,
                    is_accepted=True,
                )
                if request.reached_others:
                    self.reached_others += request.reached_others
                    self.larger_count_at = event.at
                self._set_state(
                    request, PersonState.RESET if self._proves_reset(request) else PersonState.UNKNOWN
                )
            case Refused():
                request = evolve(
                    request, state=RequestState.REFUSED, message=event.message, request_id=event.request_id
                )
                self._set_state(request, PersonState.REFUSED)
            case RefusedInDoubt():
                request = evolve(
                    request,
                    state=RequestState.LOST,
                    message=event.message,
                    request_id=event.request_id,
                    cause=event.error,
                    is_doubtful_refusal=True,
                    refusal=event.status,
                )
                self._set_state(request, PersonState.UNKNOWN)
            case Lost():
                request = evolve(
                    request,
                    state=RequestState.LOST,
                    message=event.message,
                    request_id=event.request_id,
                    cause=event.cause,
                    is_accepted=was_accepted(event),
                )
                self._set_state(request, PersonState.UNKNOWN)

    def _proves_reset(self, request: RecordedRequest) -> bool:
        """Return whether the answer is enough; after a call for everyone, only reading back shows who was reset."""
        by_server = self.opened is not None and self.opened.server_side
        return request.count == request.named and not by_server

    def _read_back(self, event: ReadBack) -> None:
        request = self._request_in_state(
            event.chunk, RequestState.SENT, RequestState.LOST, RequestState.ANSWERED, RequestState.READ_BACK
        )
        found = {(request.course_id, user_id): verdict for user_id, verdict in event.verdicts.items()}
        _refuse_unless(
            found.keys() <= set(request.people), f"request {event.chunk} did not name all of these people"
        )
        for key, verdict in found.items():
            _refuse_unless(verdict in _VERDICTS, f"{verdict!r} is not a valid result")
            allowed = verdict == APPLIED or self.users[key] is not PersonState.RESET
            _refuse_unless(allowed, f"{key[1]} was already reset")
            _refuse_unless(self.last[key] == request.number, f"{key[1]} was sent again later")
        self.requests[request.number] = evolve(request, state=RequestState.READ_BACK)
        self.reached_others += len(event.others)
        self.others_seen += event.others
        self.users |= {key: _VERDICTS[verdict] for key, verdict in found.items()}

    def _request_in_state(self, number: int, *states: RequestState) -> RecordedRequest:
        needed = " or ".join(states)
        _refuse_unless(
            self.request_state(number) in states,
            f"request {number} is {self.request_state(number)}, not {needed}",
        )
        return self.requests[number]

    def _set_state(self, request: RecordedRequest, state: PersonState) -> None:
        self.requests[request.number] = request
        self.users |= dict.fromkeys(request.people, state)

    def _refuse_people_in_state(self, people: Iterable[Key], *states: PersonState) -> None:
        for key in people:
            state = self.users.get(key)
            _refuse_unless(state not in states, f"user {key[1]} in course {key[0]} is {state}")


_VERDICTS: Mapping[str, PersonState] = {
    APPLIED: PersonState.RESET,
    NOT_APPLIED: PersonState.UNSENT,
    UNDECIDED: PersonState.UNKNOWN,
}


def replay(events: Iterable[Event]) -> JournalState:
    """Return the state after these events. Raises OutOfOrderError if one cannot follow those before it."""
    state = JournalState()
    for event in events:
        state.apply(event)
    return state


fold = replay
"""The earlier name of ``replay``."""


def _refuse_unless(holds: bool, why: str) -> None:
    if not holds:
        raise OutOfOrderError(why)
