"""The whole state of a world as one JSON document, and a world from such a document.

`State` is the format for writing and reading. Rosters and counters are not stored; they are computed again. The lag
history is not stored: no document holds progress that a reset cleared before (R15), so a feed that lags shows a loaded
state at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import attrs
from attrs import field, frozen, validators

from mock_server.policy import Policy
from mock_server.refusal import check_argument
from mock_server.world import parts
from mock_server.world.clock import Clock
from mock_server.world.codec import StateError, decode, encode
from mock_server.world.ledger import (
    AuditEntry,
    IdempotencyKeys,
    Notification,
    Outbox,
    QueuedReset,
    Webhook,
    Window,
)
from mock_server.world.parts import OrganisationState, unique
from mock_server.world.people import Token, digest
from mock_server.world.world import Ids, World

W = TypeVar("W", bound=World)

LARGEST_FILE = 1024**3
"""Largest file with a state, in bytes."""


@frozen
class ClockState:
    """State of the clock."""

    frozen_at: datetime | None = None
    ahead_seconds: float = 0.0
    """Offset from real time, while the clock runs."""


@frozen
class IdsState:
    """State of the ids."""

    key: str = field(validator=validators.matches_re("[0-9a-f]{64}"))
    counters: dict[str, int] = field(factory=dict)


@frozen
class KeptAnswer:
    """Answer stored under an idempotency key."""

    organisation_id: str
    actor_id: str
    operation: str
    key: str
    fingerprint: str
    answer: str


@frozen
class KeptWindow:
    """Requests of one user counted against one limit."""

    user_id: str
    limit: int
    began_at: datetime
    spent: int


@frozen
class State:
    """Whole state of a world, API tokens included; keep it as secret as the tokens."""

    clock: ClockState
    ids: IdsState
    main: str
    """Id of the main organisation."""
    organisations: tuple[OrganisationState, ...]
    format: Literal["training-mock-state"] = "training-mock-state"
    version: Literal[1] = 1
    policy: Policy = field(factory=Policy)
    tokens: dict[str, Token] = field(factory=dict)
    """By digest."""
    token_names: dict[str, str] = field(factory=dict)
    """Tokens by name."""
    outbox: tuple[Notification, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    kept_answers: tuple[KeptAnswer, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
    webhook_secrets: dict[str, int] = field(factory=dict)
    """Number of secrets that each organisation has requested."""
    windows: tuple[KeptWindow, ...] = ()
    """Requests counted against a rate limit."""
    is_loaded: bool = False
    """True if the people come from a file and may be real."""
    queued: tuple[QueuedReset, ...] = ()
    """Accepted resets that are not carried out yet."""


def document(world: World, token_names: dict[str, str]) -> dict[str, Any]:
    """Return the state of a world as plain JSON data."""
    with world.lock:
        data: dict[str, Any] = encode(_state(world, token_names))
        for name in ("is_loaded", "queued"):
            if not data[name]:
                del data[name]  # documents of most worlds do not have it
        return data


def read(data: object) -> State:
    """Return the state in a document. Raises StateError, naming the place, unless it describes a whole world."""
    state = decode(State, data, "$")
    _validate(state)
    try:
        _set(Clock(), state.clock)
    except OverflowError:
        raise StateError("$.clock: ahead_seconds sets the clock to a year after 9999.") from None
    except ValueError as fault:
        raise StateError(f"$.clock: {fault}") from None
    return state


def read_file(path: Path) -> State:
    """Return the state in a file. Raises StateError, also for a file that is too large or not JSON, and OSError."""
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise StateError(f"{path} is larger than {LARGEST_FILE // 1024**2} MiB.")
    try:
        document = json.loads(content.decode("utf-8"))
    except ValueError as fault:
        raise StateError(f"{path} is not JSON: {fault}.") from None
    return read(document)


def write_file(path: Path, document: Mapping[str, Any]) -> None:
    """Write a state document into a file that only its owner can read. Raises OSError."""
    text = json.dumps(document, ensure_ascii=False, indent=1)
    path.touch(mode=0o600)
    if path.is_file():  # one that was there before may have been open to others
        path.chmod(0o600)
    path.write_text(text, encoding="utf-8")


def outlined(name: str, given: object) -> Mapping[str, Any]:
    """Return the argument if it has the required fields of a state. Raises StateError or TypeError, naming it."""
    document: Mapping[str, Any] = check_argument(
        name, given, dict, "a state document that mock.state() returned"
    )
    needed = [each.name for each in attrs.fields(State) if each.default is attrs.NOTHING]
    missing = [each for each in needed if each not in document]
    if missing:
        raise StateError(
            f"$: {name} is not a state document that mock.state() returned. It lacks {', '.join(missing)}."
        )
    return document


def build(state: State, kind: type[W], clock: Clock, ids: Ids) -> W:
    """Return a new world in a state; set clock and ids last, once nothing else can fail."""
    organisations = {each.id: parts.load(each, clock) for each in state.organisations}
    world = kind(
        policy=state.policy,
        clock=clock,
        ids=ids,
        main=organisations[state.main],
        organisations=organisations,
        tokens=dict(state.tokens),
        outbox=Outbox(state.outbox),
        audit=list(state.audit),
        webhooks={each.id: each for each in state.webhooks},
        webhook_secrets=dict(state.webhook_secrets),
        keys=IdempotencyKeys(
            {_slot(each): (each.fingerprint, each.answer.encode()) for each in state.kept_answers}
        ),
        is_loaded=state.is_loaded,
        queued=list(state.queued),
        windows={(each.user_id, each.limit): Window(each.began_at, each.spent) for each in state.windows},
    )
    _set(clock, state.clock)
    ids.restore(state.ids.key, state.ids.counters)
    return world


def _set(clock: Clock, state: ClockState) -> None:
    clock.restore(state.frozen_at, timedelta(seconds=state.ahead_seconds))


def load(state: State, kind: type[W]) -> W:
    """Return a new world in a state."""
    return build(state, kind, Clock(), Ids(""))


def restore(world: World, state: State) -> None:
    """Bring a world into a state, in place; later changes are lost. For tests only, never over the wire."""
    with world.lock:
        fresh = build(state, type(world), world.clock, world.ids)
        fresh.is_loaded |= world.is_loaded
        # Requests in flight keep a reference to the register of keys, so replace its content.
        world.keys.kept.clear()
        world.keys.kept.update(fresh.keys.kept)
        for each in attrs.fields(type(world)):
            if each.name not in ("lock", "keys", "webhook_hosts"):
                setattr(world, each.name, getattr(fresh, each.name))


def _state(world: World, token_names: dict[str, str]) -> State:
    frozen_at, ahead = world.clock.state()
    return State(
        clock=ClockState(frozen_at, ahead.total_seconds()),
        ids=IdsState(*world.ids.state()),
        main=world.main.id,
        organisations=tuple(map(parts.save, world.organisations.values())),
        policy=world.policy,
        tokens=world.tokens,
        token_names=token_names,
        outbox=tuple(world.outbox),
        audit=tuple(world.audit),
        webhooks=tuple(world.webhooks.values()),
        webhook_secrets=world.webhook_secrets,
        kept_answers=tuple(
            KeptAnswer(*slot, fingerprint, answer.decode())
            for slot, (fingerprint, answer) in world.keys.kept.items()
        ),
        is_loaded=world.is_loaded,
        queued=tuple(world.queued),
        windows=tuple(
            KeptWindow(*key, window.began_at, window.spent) for key, window in world.windows.items()
        ),
    )


def _slot(kept: KeptAnswer) -> tuple[str, str, str, str]:
    return kept.organisation_id, kept.actor_id, kept.operation, kept.key


def fresh_copy(built: World, policy: Policy, now: datetime | None, kind: type[W]) -> W:
    """Return a copy of a world that was just built; the two share nothing that can change.

    What a world only fills while it is used begins empty."""
    clock, ids = Clock(now), Ids("")
    ids.restore(*built.ids.state())
    organisations = {each.id: parts.copy(each, clock) for each in built.organisations.values()}
    return kind(
        policy=policy,
        clock=clock,
        ids=ids,
        main=organisations[built.main.id],
        organisations=organisations,
        tokens=dict(built.tokens),
    )


def _validate(state: State) -> None:
    """Raise StateError, naming the place, if a document contradicts itself."""
    organisations = unique((each.id for each in state.organisations), "$.organisations")
    if state.main not in organisations:
        raise StateError(f"$.main: There is no organisation {state.main}.")
    for number, each in enumerate(state.organisations):
        parts.validate(each, f"$.organisations[{number}]")
    _check_tokens(state)
    _check_queue(state)
    unique((each.id for each in state.webhooks), "$.webhooks")
    for number, hook in enumerate(state.webhooks):
        if hook.organisation_id not in organisations:
            raise StateError(f"$.webhooks[{number}]: There is no organisation {hook.organisation_id}.")


def _check_tokens(state: State) -> None:
    known = {(each.id, person.id) for each in state.organisations for person in each.people}
    for key, token in state.tokens.items():
        if (token.organisation_id, token.user_id) not in known:
            raise StateError(f"$.tokens.{key}: There is no user {token.user_id} in its organisation.")
    for name, text in state.token_names.items():
        if digest(text) not in state.tokens:
            raise StateError(f"$.token_names.{name}: This token is not in $.tokens.")


def _check_queue(state: State) -> None:
    people = {(each.id, person.id) for each in state.organisations for person in each.people}
    courses = {(each.id, found.course.id) for each in state.organisations for found in each.courses}
    for number, each in enumerate(state.queued):
        if (each.organisation_id, each.course_id) not in courses:
            raise StateError(f"$.queued[{number}]: There is no course {each.course_id} in its organisation.")
        for user_id in (each.user_id, each.actor_id):
            if (each.organisation_id, user_id) not in people:
                raise StateError(f"$.queued[{number}]: There is no user {user_id} in its organisation.")
