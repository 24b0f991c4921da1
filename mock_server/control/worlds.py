"""Many worlds behind one server: each has tokens of its own, and the token of a request selects the world.

So parallel workers share one server without affecting each other. A request without a token is for the first world;
one with an unknown token is refused, on the vendor's wire by the first world. The control plane follows the token
as well, except for ``/_mock/worlds`` itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from mock_server.policy import Policy
from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.rules.access import bearer
from mock_server.wire import answers, reading
from mock_server.wire.fields import Fields
from mock_server.wire.message import Request, Response
from mock_server.world import clock
from mock_server.world.clock import within
from mock_server.world.codec import StateError, encode
from mock_server.world.people import digest

if TYPE_CHECKING:
    from mock_server.mock import MockTraining
    from mock_server.transports.serving import Server
    from mock_server.world.state import State
    from mock_server.world.world import World

PATH = "/_mock/worlds"
MAX_WORLDS = 100
MAX_ROWS = 100_000
"""Users times courses of one generated world."""
MAX_ROWS_TOGETHER = 1_000_000

_FIELDS = ("seed", "users", "courses", "random_seed", "policy", "now")
_MAX_SEED = 2**31 - 1


@frozen
class _Kept:
    """One world and its description."""

    id: str
    seed: str
    rows: int
    mock: MockTraining = field(repr=False)

    def described(self) -> dict[str, Any]:
        """Return everything but the tokens."""
        world = self.mock.world
        return {
            "id": self.id,
            "seed": self.seed,
            "policy": _switched(world.policy),
            "organisation_id": world.main.id,
            "users": len(world.users),
            "courses": len(world.courses),
        }


class WorldsTogether:
    """The worlds of one server, the first one included, and who can reach them.

    Every `MockTraining` of the server refers to this object, so it refers to none of them.
    """

    def __init__(self, first: World) -> None:
        self.worlds: tuple[World, ...] = (first,)
        self.is_open = False
        """True if a server without a secret that this package did not start serves them."""
        self._servers: tuple[Server, ...] = ()

    def check_state(self, world: World, state: State) -> None:
        """Raise StateError if a state must not be loaded into a world of this server."""
        if any(state.tokens.keys() & each.tokens.keys() for each in self.worlds if each is not world):
            raise StateError(
                "$.tokens: One of the tokens opens another world of this server. Load the state into that world."
            )
        if state.is_loaded and self.are_served_openly:
            raise StateError(
                "$.is_loaded: The people of this state come from a file, and this server has no secret, so every user"
                " of this machine could read their data. Serve with a secret."
            )

    def served_by(self, server: Server) -> None:
        """Add a server that was started."""
        self._servers = (*(each for each in self._servers if not each.is_stopped), server)

    @property
    def are_served_openly(self) -> bool:
        """True if a server without a secret shows their tokens to every user of this machine."""
        return self.is_open or any(each.secret is None and not each.is_stopped for each in self._servers)


class Worlds:
    """The additional worlds of one server, by id. Each world knows the tokens that open it."""

    def __init__(self, first: World) -> None:
        self._first = first
        self.together = WorldsTogether(first)
        self.policy = first.policy
        """The policy that the server was started with: further worlds have it, also if the first one changes."""
        self._by_id: dict[str, _Kept] = {}
        self._lock = Lock()

    def selected(self, request: Request) -> MockTraining | None:
        """Return the world that the token of a request opens; None for the server's first one."""
        if not self._by_id or is_of_the_server(request.path):
            return None
        token = bearer(request.all_headers("authorization"))
        if token is None:
            return None
        known = digest(token)
        return next((each.mock for each in self.all() if known in each.mock.world.tokens), None)

    def all(self) -> Sequence[_Kept]:
        """Return every world, oldest first."""
        with self._lock:
            return tuple(self._by_id.values())

    def check_room(self, rows: int) -> None:
        """Raise RefusedError if there is no room for a world with this number of rows."""
        with self._lock:
            self._check_room(rows)

    def _check_room(self, rows: int) -> None:
        together = rows + sum(each.rows for each in self._by_id.values())
        if len(self._by_id) >= MAX_WORLDS or together > MAX_ROWS_TOGETHER:
            raise RefusedError(
                Reason.WORLDS_EXHAUSTED,
                f"There is no room for one more world: the limits are {MAX_WORLDS} worlds and {MAX_ROWS_TOGETHER}"
                f" rows together. Delete worlds that are no longer needed: DELETE {PATH}/{{id}}.",
            )

    def keep(self, mock: MockTraining, seed: str, rows: int) -> _Kept:
        """Add a world. RefusedError if there is no room."""
        kept = _Kept(f"world_{secrets.token_hex(8)}", seed, rows, mock)
        mock.among = self.together
        # One server, one answer to where webhooks may go.
        mock.world.webhook_hosts = self._first.webhook_hosts
        with self._lock:
            self._check_room(rows)
            self._by_id[kept.id] = kept
            self._tell()
        return kept

    def delete(self, world_id: str) -> _Kept:
        """Remove a world; its tokens open nothing from now on. RefusedError for an unknown id."""
        with self._lock:
            kept = self._by_id.pop(world_id, None)
            if kept is None:
                raise RefusedError(Reason.WORLD_NOT_FOUND, f"This server has no world {world_id[:100]!r}.")
            self._tell()
        return kept

    def _tell(self) -> None:
        self.together.worlds = (self._first, *(each.mock.world for each in self._by_id.values()))


def is_of_the_server(path: str) -> bool:
    """Return whether a path is one of ``/_mock/worlds``, for which no token selects a world."""
    return path == PATH or path.startswith(f"{PATH}/")


def list_worlds(mock: MockTraining, request: Request) -> Response:
    """GET /_mock/worlds: the worlds beside the first one, without their tokens."""
    reading.no_body(request)
    return answers.ok({"worlds": [each.described() for each in mock.worlds.all()]})


def create_world(mock: MockTraining, request: Request) -> Response:
    """POST /_mock/worlds: a new world with tokens that no other world has."""
    body = reading.json_body(request) if request.body or request.too_large else {}
    given = Fields.read(body, _FIELDS)
    seed = given.choice("seed", ("demo", "generated")) if given.has("seed") else "demo"
    switches, now = _switches(given.values.get("policy", {})), _now(given)
    policy = _policy(switches, mock.worlds.policy)
    if seed == "demo":
        _refuse_sizes(given)
        mock.worlds.check_room(0)
        made, rows = type(mock).demo(policy=policy, now=now), 0
    else:
        made, rows = _generated(mock, given, policy, now)
    made.draw_tokens()  # unlike those that follow from the seed, no other world has them
    kept = mock.worlds.keep(made, seed, rows)
    described = kept.described()
    # The switches asked for are named even where they are the usual ones: so the client sees that they were taken.
    described["policy"] |= switches
    answer = answers.ok(described | {"tokens": kept.mock.tokens()})
    return attrs.evolve(answer, status=201)


def delete_world(mock: MockTraining, request: Request) -> Response:
    """DELETE /_mock/worlds/{id}."""
    reading.no_body(request)
    return answers.ok({"deleted": mock.worlds.delete(request.path.removeprefix(f"{PATH}/")).id})


def _refuse_sizes(given: Fields) -> None:
    for name in ("users", "courses", "random_seed"):
        if given.has(name):
            raise invalid(f'{name} is for generated worlds only. Send "seed": "generated" with it.', name)


def _generated(
    mock: MockTraining, given: Fields, policy: Policy, now: datetime | None
) -> tuple[MockTraining, int]:
    users, courses = given.number("users", 50, 1, MAX_ROWS), given.number("courses", 12, 1, MAX_ROWS)
    if users * courses > MAX_ROWS:
        message = f"users times courses must be at most {MAX_ROWS}, not {users * courses}. Serve a larger world alone."
        raise invalid(message, "users")
    mock.worlds.check_room(users * courses)
    seed = given.number("random_seed", 0, 0, _MAX_SEED)
    made = type(mock).generate(users=users, courses=courses, seed=seed, policy=policy, now=now)
    return made, users * courses


def _switches(given: object) -> dict[str, Any]:
    known = tuple(each.name for each in attrs.fields(Policy))
    if not isinstance(given, dict) or not given.keys() <= set(known):
        raise invalid(f"policy must be an object with some of these fields: {', '.join(known)}.", "policy")
    return given


def _policy(switches: dict[str, Any], otherwise: Policy) -> Policy:
    try:
        return otherwise.changed(switches)
    except (ValueError, TypeError) as error:
        raise invalid(str(error), "policy") from None


def _switched(policy: Policy) -> dict[str, Any]:
    """Return the switches that differ from the defaults."""
    usual = encode(Policy())
    return {name: value for name, value in encode(policy).items() if value != usual[name]}


def _now(given: Fields) -> datetime | None:
    if not given.has("now"):
        return None
    try:
        return within(clock.parse(given.text("now")))
    except ValueError:
        message = (
            "now must be a moment with a time zone, in the years 1970 to 8999, such as 2026-11-30T09:00:00Z;"
            " it freezes the clock."
        )
        raise invalid(message, "now") from None
