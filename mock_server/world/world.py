"""The simulated world: organisations, clock, ids, tokens, ledgers, and one lock around them all."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import partial
from hashlib import blake2b
from threading import Lock, RLock
from typing import Any, TypeVar

from attrs import define, evolve, field

from mock_server.policy import Policy
from mock_server.refusal import check_argument
from mock_server.world import clock, parts
from mock_server.world.clock import Clock
from mock_server.world.codec import encode
from mock_server.world.courses import Course, RapidRefresh, RefreshAnswer
from mock_server.world.ledger import (
    AuditEntry,
    IdempotencyKeys,
    MadeWhenRead,
    Message,
    Outbox,
    QueuedReset,
    Webhook,
    Window,
)
from mock_server.world.organisation import Organisation
from mock_server.world.people import Person, Token
from mock_server.world.progress import LONGEST, Record


class Ids:
    """Source of new ids of every kind; two instances with the same seed give the same ids."""

    def __init__(self, seed: str) -> None:
        self._set_key(blake2b(seed.encode(), digest_size=32).digest())
        self._counters = Counter[str]()
        # Request ids are taken outside the world's lock.
        self._lock = Lock()

    def _set_key(self, key: bytes) -> None:
        self._key = key
        self._keyed = blake2b(
            key=key, digest_size=32
        )  # copied for each id: to read the key takes as long as the id

    def _number(self, kind: str, many: int = 1) -> int:
        """Count this many ids of a kind; return the number of the last one."""
        with self._lock:
            self._counters[kind] += many
            return self._counters[kind]

    def state(self) -> tuple[str, dict[str, int]]:
        """Return the key in hexadecimal and the number of ids given of each kind: all that the next ids depend on."""
        with self._lock:
            return self._key.hex(), dict(self._counters)

    def restore(self, key: str, counters: Mapping[str, int]) -> None:
        """Continue as the instance that returned this `state`. Raises ValueError unless the key has 64 hex digits."""
        found = bytes.fromhex(key)
        if len(found) != len(self._key):
            raise ValueError("The key of the ids must be 64 hexadecimal digits.")
        with self._lock:
            self._set_key(found)
            self._counters = Counter(counters)

    def derive(self, name: str, digits: int) -> str:
        """Return hexadecimal digits (at most 64) that depend only on the seed and the name."""
        return _digits(self._keyed, name)[:digits]

    def _next(self, kind: str, digits: int) -> str:
        return self.derive(f"{kind}/{self._number(kind)}", digits)

    def user(self) -> str:
        """Return ``user_`` and 32 digits."""
        return f"user_{self._next('user', 32)}"

    def role(self) -> str:
        """Return ``role_`` and 32 digits, for organisations and groups."""
        return f"role_{self._next('role', 32)}"

    def content(self, created: datetime) -> str:
        """Return 24 digits for a course or lesson; they begin with its creation time, so ids sort by age."""
        return f"{int(created.timestamp()):08x}{self._next('content', 16)}"

    def uuid(self, kind: str) -> str:
        """Return a dashed UUID, for sites, permission sets, attempts and notifications."""
        (one,) = self.uuids(kind, 1)
        return one

    def uuids(self, kind: str, many: int) -> Iterable[str]:
        """Return so many dashed UUIDs. They are counted now, and each is made when it is read."""
        last = self._number(kind, many) if many else 0  # a kind without ids has no counter
        return MadeWhenRead(partial(map, partial(_uuid, self._keyed, kind), range(last - many + 1, last + 1)))

    def certificate(self) -> str:
        """Return a new certificate number."""
        number = self._number("certificate")
        return f"TC-{number:06d}-{self.derive(f'certificate/{number}', 6).upper()}"

    def request(self) -> str:
        """Return an id for a request without one."""
        return f"req-{self._next('request', 24)}"


def _digits(keyed: blake2b, name: str) -> str:
    named = keyed.copy()
    named.update(name.encode())
    return named.hexdigest()


def _uuid(keyed: blake2b, kind: str, number: int) -> str:
    each = _digits(keyed, f"{kind}/{number}")
    return f"{each[:8]}-{each[8:12]}-{each[12:16]}-{each[16:20]}-{each[20:32]}"


_T = TypeVar("_T")
_MOST_NEAR = 3
_IN_SNAPSHOT = ("policy", "tokens", "outbox", "webhooks", "webhook_secrets", "audit", "queued")
# The time to look for similar names grows with both.
_LONGEST_NAME, _MOST_NAMES = 100, 5000


@define(eq=False, repr=False)
class World:
    """All state of one server. Worlds share nothing."""

    policy: Policy
    clock: Clock
    ids: Ids
    main: Organisation
    """Organisation of lookups and learner actions."""
    organisations: dict[str, Organisation] = field(factory=dict)
    tokens: dict[str, Token] = field(factory=dict)
    """By digest."""
    outbox: Outbox = field(factory=Outbox)
    audit: list[AuditEntry] = field(factory=list)
    webhooks: dict[str, Webhook] = field(factory=dict)
    webhook_secrets: dict[str, int] = field(factory=dict)
    """Number of secrets that each organisation has requested."""
    webhook_hosts: set[str] = field(factory=lambda: {"localhost"})
    """Hosts that webhooks may name; localhost means all loopback addresses. Only the process owner adds hosts."""
    pending: deque[Message] = field(factory=deque)
    """Webhook messages to send."""
    queued: list[QueuedReset] = field(factory=list)
    """Accepted resets that are not carried out yet, in order of time."""
    keys: IdempotencyKeys = field(factory=IdempotencyKeys)
    windows: dict[tuple[str, int], Window] = field(factory=dict)
    """Requests counted, by user and limit; empty without a rate limit."""
    is_loaded: bool = False
    """True if the people come from a file and may be real: a server of it is closed to other local users."""
    lock: RLock = field(factory=RLock)
    """Held for every request and learner action, so that no reader sees half a change."""

    @contextmanager
    def up_to_date(self) -> Iterator[None]:
        """Hold the lock, after carrying out the queued resets that are due."""
        with self.lock:
            self._run_due_resets()
            yield

    def _run_due_resets(self) -> None:
        """Carry out queued resets that are due, with the lock held; a subclass has the rules for it."""

    @property
    def courses(self) -> tuple[Course, ...]:
        """The main organisation's courses, by id."""
        with self.lock:
            return tuple(self.main.courses.values())

    @property
    def users(self) -> tuple[Person, ...]:
        """The main organisation's people."""
        with self.lock:
            return tuple(self.main.people.values())

    def course(self, title_or_id: str) -> Course:
        """The course with this id or exact title; LookupError if there is none, or more than one."""
        with self.lock:
            return _find("course", title_or_id, self.main.courses, "title", "a title")

    def user(self, email_or_id: str) -> Person:
        """The person with this id or e-mail address; LookupError if there is none, or more than one."""
        with self.lock:
            return _find("user", email_or_id, self.main.people, "email", "an e-mail address")

    def record(self, course: str, user: str) -> Record | None:
        """The record of a person in a course, None if there is none."""
        with self.up_to_date():
            return self.main.progress[self.course(course).id].records.get(self.user(user).id)

    def rapid_refresh(self, title_or_id: str) -> RapidRefresh:
        """The rapid refresh with this id or exact title; LookupError if there is none, or more than one."""
        with self.lock:
            return _find("rapid refresh", title_or_id, self.main.rapid_refreshes, "title", "a title")

    def answer_rapid_refresh(
        self, refresh: str, user: str, answer: str, *, question: str | None = None
    ) -> RefreshAnswer:
        """Answer a question of a rapid refresh for a user, by default the first question.

        Raises LookupError if it does not exist or is not assigned to the user, ValueError for an unknown option.
        """
        with self.lock:
            asked, person = self.rapid_refresh(refresh), self.user(user)
            put = asked.question(question)
            if asked.assigned.since(person) is None:
                raise LookupError(f"{asked.title!r} is not assigned to {person.email or person.id}.")
            if answer not in put.options:
                raise ValueError(
                    f"The answer to {put.question!r} must be one of {', '.join(put.options)}, not {answer!r}."
                )
            given = RefreshAnswer(
                asked.id, put.id, person.id, answer, answer == put.right, clock.to_text(self.clock.now())
            )
            self.main.refresh_answers.add(given)
            return given

    def update_user(self, user: str, **changes: Any) -> Person:
        """Change fields of a person; assignments follow."""
        with self.up_to_date():
            changed = evolve(self.user(user), **changes)
            self.main.put_person(changed)
            return changed

    def update_course(self, course: str, **changes: Any) -> Course:
        """Change fields of a course."""
        with self.lock:
            changed = evolve(self.course(course), **changes)
            self.main.put_course(changed)
            return changed

    @property
    def lag(self) -> timedelta:
        """Age of the data in feed and analytics: 0 to 2 h, in whole seconds. Setting it updates ``policy``.

        Changes are kept from when a lag is first set; the warehouse knows nothing older.
        """
        return timedelta(seconds=self.policy.lag_seconds)

    @lag.setter
    def lag(self, lag: timedelta) -> None:
        check_argument("lag", lag, timedelta, "a timedelta, such as timedelta(hours=1)")
        if lag != timedelta(seconds=int(lag.total_seconds())) or not timedelta(0) <= lag <= LONGEST:
            raise ValueError(f"lag must be whole seconds from 0 to 2 hours, not {lag.total_seconds():g} s.")
        with self.lock:
            self.policy = evolve(self.policy, lag_seconds=int(lag.total_seconds()))
            self._remember()

    def __attrs_post_init__(self) -> None:
        self._remember()

    def _remember(self) -> None:
        lags = self.policy.lag_seconds or self.policy.refresh_seconds
        for each in self.organisations.values():
            each.progress.remember(self.clock if lags else None)

    def warehouse_time(self) -> datetime | None:
        """Return the moment that feed and analytics show; None for the present."""
        lag, refresh = self.policy.lag_seconds, self.policy.refresh_seconds
        if not (lag or refresh):
            return None
        moment = self.clock.now() - timedelta(seconds=lag)
        if not refresh:
            return moment
        return datetime.fromtimestamp(moment.timestamp() // refresh * refresh, UTC)

    def snapshot(self) -> dict[str, Any]:
        """Every record as plain JSON data. Left out: the present moment, and the counters behind new ids."""
        with self.lock:
            kept = self.keys.kept.items()
            return {
                **{name: encode(getattr(self, name)) for name in _IN_SNAPSHOT},
                "organisations": {each.id: parts.snapshot(each) for each in self.organisations.values()},
                "idempotency": {"/".join(slot): [fingerprint] for slot, (fingerprint, _) in kept},
            }

    def __repr__(self) -> str:
        return f"<World of {', '.join(o.name for o in self.organisations.values())}>"


def _find(kind: str, asked: str, every: Mapping[str, _T], name: str, what: str) -> _T:
    """Return the one with this id, or else with this title or address. Raises LookupError unless it is one."""
    if check_argument(kind, asked, str, f"an id or {what}") in every:
        return every[asked]
    found = [each for each in every.values() if getattr(each, name) == asked]
    if len(found) == 1:
        return found[0]
    if not found:
        near = _near(asked, [getattr(each, name) for each in every.values()])
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise LookupError(f"There is no {kind} {asked!r} in this world.{hint}")
    raise LookupError(f"{len(found)} {_plural(kind)} are called {asked!r}. Name one by its id.")


def _plural(kind: str) -> str:
    return f"{kind}es" if kind.endswith("sh") else f"{kind}s"


def _near(asked: str, names: Sequence[str]) -> Sequence[str]:
    """Return names that contain the text, or else the most similar one."""
    if not asked or len(asked) > _LONGEST_NAME or len(names) > _MOST_NAMES:
        return ()
    holding = sorted({each for each in names if asked.casefold() in each.casefold()})
    return holding[:_MOST_NEAR] or get_close_matches(asked, names, n=1)
