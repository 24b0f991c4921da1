"""`MockTraining`: the reference server as a library."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mock_server import app
from mock_server.control.faults import Fault, Faults
from mock_server.control.journal import Journal
from mock_server.control.worlds import Worlds
from mock_server.learner_actions import LiveWorld
from mock_server.policy import Policy
from mock_server.rules.authentication import actor_of
from mock_server.transports.common import VENDOR_HOSTS, Unhandled, library
from mock_server.transports.webhooks import Webhooks
from mock_server.wire.message import Request, Response
from mock_server.world import state
from mock_server.world.argument_checks import check_argument, check_host_name, check_path
from mock_server.world.clock import Clock
from mock_server.world.codec import StateError
from mock_server.world.differences import Change, differences
from mock_server.world.ledger import AuditEntry, Certificate, Notification
from mock_server.world.people import digest
from mock_server.world.seeds.demo import demo_prototype
from mock_server.world.seeds.generate import build_generated
from mock_server.world.state import State, fresh_copy

if TYPE_CHECKING:
    from responses import RequestsMock

    from mock_server.transports.asgi import MockASGI
    from mock_server.transports.httpx import MockTransport
    from mock_server.transports.respx import MockRouter
    from mock_server.transports.serving import Server

TokenName = Literal["admin", "manager", "teamlead", "learner", "outsider", "revoked", "resetter", "expired"]


class MockTraining:
    """A world behind the vendor's wire. Any number live side by side; every method is safe across threads."""

    def __init__(self, world: LiveWorld, tokens: dict[str, str]) -> None:
        self.world = world
        self._tokens = dict(tokens)
        self.faults = Faults(check=self._strikes_somebody)
        """The script of faults: empty, until a test adds to it."""
        self._names = {token: name for name, token in tokens.items()}
        self._is_closed = False
        self._is_open = False
        self._servers: list[Server] = []
        self.worlds = Worlds(self)
        """Further worlds of this one's servers, made over ``/_mock/worlds``; a request's token selects one."""
        self.among = self.worlds
        """All the worlds that this one shares a server with: its own further ones, or those it is one of."""
        self.marks: dict[str, dict[str, Any]] = {}
        """State documents kept by name over ``/_mock/marks``."""
        self.webhooks = Webhooks(world)
        """Deliveries of webhooks, and a way to wait for those under way."""
        self.calls = Journal(lambda: tuple(self._tokens))
        """Every request so far but the control plane's own, with assertions: ``mock.calls.of("reset").once()``."""

    @classmethod
    def demo(cls, *, policy: Policy | None = None, now: datetime | None = None) -> MockTraining:
        """A realistic organisation, the same every time. ``now`` freezes its clock; without, time is real."""
        built, tokens = demo_prototype()
        return cls(fresh_copy(built, _switches(policy), now, LiveWorld), tokens)

    @classmethod
    def generate(
        cls,
        *,
        users: int,
        courses: int,
        seed: int = 0,
        policy: Policy | None = None,
        now: datetime | None = None,
    ) -> MockTraining:
        """A world of any size, the same for the same numbers, with every course assigned to every user.

        ValueError for numbers below one.
        """
        for name, number in (("users", users), ("courses", courses), ("seed", seed)):
            check_argument(name, number, int, "a whole number")
        builder = build_generated(users, courses, seed, now=now)
        return cls(builder.build(_switches(policy), LiveWorld), builder.tokens)

    @classmethod
    def from_exporter_csv(
        cls, path: str | PathLike[str], *, policy: Policy | None = None, now: datetime | None = None
    ) -> MockTraining:
        """Return the world that a ``training_course_progresses.csv`` of the vendor's exporter describes.

        ExporterCsvError, naming line and column, if anything in the file is wrong. CompletedOnlyWarning if all of
        it is completed, as in every file that the vendor's exporter writes: then it is not the whole organisation.
        """
        from mock_server.world.seeds.exporter_csv import build_exporter_csv

        check_path("path", path)
        builder = build_exporter_csv(path, now=now)
        return cls(builder.build(_switches(policy), LiveWorld), builder.tokens)

    @classmethod
    def from_evidence(
        cls,
        folder: str | PathLike[str],
        *,
        unseal: Callable[[bytes], bytes] | None = None,
        policy: Policy | None = None,
        now: datetime | None = None,
    ) -> MockTraining:
        """Return the world that an evidence pack describes: people to be reset, progress, lessons, attempts.

        ``unseal`` opens the files of a sealed pack. In a pseudonymised one people go by their pseudonyms.
        ExporterCsvError, naming file and line, if anything in it is wrong, unfinished or not what was written.
        """
        from mock_server.world.seeds.evidence_pack import build_evidence

        check_path("folder", folder)
        builder = build_evidence(folder, unseal=unseal, now=now)
        return cls(builder.build(_switches(policy), LiveWorld), builder.tokens)

    @classmethod
    def load(cls, document: Mapping[str, Any] | str | PathLike[str]) -> MockTraining:
        """Return the world of a state document, or of a file with one; it continues as the saved world would have.

        Feed and analytics that lag show its state at once, for a document holds nothing that was cleared (R15).
        StateError, naming the place, if it does not describe a whole world.
        """
        if not isinstance(document, Mapping):
            check_path("document", document, "a state document, or the path of a file with one")
            read = state.read_file(Path(document))
        else:
            read = state.read(state.outlined("document", document))
        return cls(state.load(read, LiveWorld), read.token_names)

    def state(self) -> dict[str, Any]:
        """Return the whole state as one JSON document, for `load`, `diff` and `rollback`. It holds the tokens."""
        with self.world.up_to_date():
            return state.document(self.world, self._tokens)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the whole state into a file, which then holds the tokens as well and is closed to others."""
        check_path("path", path)
        file, text = Path(path), json.dumps(self.state(), ensure_ascii=False, indent=1)
        file.touch(mode=0o600)
        if file.is_file():  # one that was there before may have been open to others
            file.chmod(0o600)
        file.write_text(text, encoding="utf-8")

    def diff(self, before: Mapping[str, Any]) -> tuple[Change, ...]:
        """Return the changes since ``before = mock.state()``, record by record, without time and new ids."""
        return differences(state.outlined("before", before), self.state())

    def rollback(self, before: Mapping[str, Any]) -> None:
        """Return to ``before = mock.state()``, in place, for tests that share a world.

        Clock, lag and policy are those of then, and the script of faults is empty, so that the next test
        has none; journal and marks stay. Feed and analytics that lag show the state of then at once, for a document
        holds nothing that was cleared. The product has nothing of the kind (R15), so no vendor operation leads here.

        StateError, and nothing has changed, if the document does not describe a whole world, is of another
        organisation (`load` makes a world of it), or has a token that opens another world of the same server
        already, for a token selects the world.
        """
        found = state.read(state.outlined("before", before))
        if found.main != self.world.main.id:
            raise StateError(
                f"$.main: This is the state of another organisation ({found.main}, not {self.world.main.id})."
                " Load it with MockTraining.load, which makes a new world."
            )
        self._take(found)

    def become(self, document: Mapping[str, Any]) -> None:
        """Become the world of a state document, of any organisation, with the same StateErrors."""
        self._take(state.read(state.outlined("document", document)))

    def _take(self, read: State) -> None:
        if self.among.opened_elsewhere(self, read.tokens.keys()):
            raise StateError(
                "$.tokens: One of the tokens opens another world of this server. Load the state into that world."
            )
        if read.is_loaded and self.among.are_served_openly:
            raise StateError(
                "$.is_loaded: The people of this state come from a file, and this server has no secret, so every user"
                " of this machine could read their data. Serve with a secret."
            )
        known = self._tokens
        with self.world.lock:
            state.restore(self.world, read)
            self._tokens = dict(read.token_names)
            self._names = {token: name for name, token in self._tokens.items()}
            self.faults.clear()
            if self._is_closed and self._tokens != known:
                self.draw_tokens()

    def _strikes_somebody(self, fault: Fault) -> None:
        """LookupError for a fault whose course or user is not in this world, or whose learner is not in the course."""
        with self.world.lock:
            course = self.world.course(fault.course) if fault.course else None
            person = self.world.user(fault.user) if fault.user else None
            if course and person and not self.world.main.progress[course.id].has(person.id):
                raise LookupError(
                    f"{course.title!r} is not assigned to {person.email or person.id}. Name a user who is assigned."
                )

    def token(self, name: TokenName) -> str:
        """Return a token by its name; LookupError lists the known names."""
        check_argument("name", name, str, 'the name of a token, such as "admin"')
        if name not in self._tokens:
            raise LookupError(
                f"There is no token {name!r}. The tokens are {', '.join(sorted(self._tokens))}."
            )
        return self._tokens[name]

    def draw_tokens(self) -> None:
        """Replace every token by one drawn at random; those there were open nothing any more."""
        with self.world.lock:
            drawn = {name: f"mock_{secrets.token_hex(24)}" for name in self._tokens}
            known = self.world.tokens
            self.world.tokens = {
                digest(drawn[name]): known[digest(old)] for name, old in self._tokens.items()
            }
            self._tokens = drawn
            self._names = {token: name for name, token in drawn.items()}

    def tokens(self) -> list[dict[str, Any]]:
        """Return every token with its owner and permissions, as ``GET /_mock/tokens`` lists them."""
        with self.world.lock:
            return [self._described(name, token) for name, token in self._tokens.items()]

    def _described(self, name: str, token: str) -> dict[str, Any]:
        actor = actor_of(self.world, self.world.tokens[digest(token)])
        return {
            "name": name,
            "token": token,
            "user_id": actor.id,
            "organisation_id": actor.organisation.id,
            "permissions": sorted(actor.permissions),
        }

    def handle(self, request: Request) -> Response:
        """Answer one request; never raises."""
        chosen = self.worlds.selected(request)
        if chosen is not None:
            return chosen.handle(request)
        response = app.handle(self, request)
        self.webhooks.wake()
        if not app.is_control(request.path):
            self.calls.record(request, response, self._names)
        return response

    @property
    def policy(self) -> Policy:
        """The switches of this world."""
        return self.world.policy

    @property
    def clock(self) -> Clock:
        """This world's time: real, or frozen and moved as a test wants it."""
        return self.world.clock

    @property
    def lag(self) -> timedelta:
        """The age of feed and analytics: 0 to 2 h, by default 0. Everything else shows the present.

        ``mock.lag = timedelta(hours=1)`` sets it; what is there at that moment is what the warehouse knows, until
        the clock has moved on. ValueError out of range, or for fractions of a second.
        """
        return self.world.lag

    @lag.setter
    def lag(self, lag: timedelta) -> None:
        self.world.lag = lag

    @property
    def outbox(self) -> tuple[Notification, ...]:
        """Every notification sent, oldest first."""
        with self.world.up_to_date():
            return tuple(self.world.outbox)

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """Every certificate that is shown, oldest first."""
        with self.world.up_to_date():
            found = [
                each
                for organisation in self.world.organisations.values()
                for several in organisation.certificates.values()
                for each in several
            ]
        return tuple(sorted(found, key=lambda each: (each.issued_at, each.number)))

    @property
    def audit(self) -> tuple[AuditEntry, ...]:
        """Every reset asked for, done or refused, oldest first."""
        with self.world.up_to_date():
            return tuple(self.world.audit)

    def transport(self) -> MockTransport:
        """Return a transport for ``httpx.Client`` and ``httpx.AsyncClient`` that answers from this world."""
        from mock_server.transports.httpx import MockTransport

        return MockTransport(self)

    def respx(
        self, *, hosts: str | Iterable[str] = VENDOR_HOSTS, unhandled: Unhandled = "refuse"
    ) -> MockRouter:
        """Put this world behind every httpx client that has no transport of its own: ``with mock.respx():``.

        It answers for ``hosts``. Requests to others fail with an AssertionError, or go out with
        ``unhandled="pass"``; what is given is respx's router, so other hosts can be mocked beside. ImportError
        without respx.
        """
        with library("respx"):
            from mock_server.transports.respx import MockRouter

        return MockRouter(self, hosts, unhandled)

    def responses(
        self, *, hosts: str | Iterable[str] = VENDOR_HOSTS, unhandled: Unhandled = "refuse"
    ) -> RequestsMock:
        """Put this world behind every session of requests: ``with mock.responses():``.

        It answers for ``hosts``. Requests to others fail with ``requests.ConnectionError``, or go out with
        ``unhandled="pass"``; what is given is the mock of the library responses, so other hosts can be mocked
        beside. ImportError without responses.
        """
        with library("responses"):
            from mock_server.transports.responses import requests_mock

        return requests_mock(self, hosts, unhandled)

    @property
    def asgi(self) -> MockASGI:
        """This world as an ASGI 3 application, for a server of your own.

        For httpx take `transport`: ``httpx.ASGITransport`` keeps no timeouts, and turns the faults that drop or cut
        an answer into ConnectionAbortedError instead of an error of httpx. Nothing guards ``/_mock/``, which hands
        out the tokens: `serve` does, and ``mock_server.asgi:app``.
        """
        from mock_server.transports.asgi import MockASGI

        return MockASGI(self)

    def serve(self, *, host: str = "127.0.0.1", port: int = 0, **options: Any) -> Server:
        """Serve this world: ``with mock.serve() as server: server.url``. Port 0 picks a free one.

        A world whose people come from a file is never open to every user of this machine: without a ``secret`` one is
        drawn, which the control plane asks for (``server.secret``).

        With a ``secret`` it takes new tokens, drawn at random, since whoever has this package knows those it was made
        with; and webhooks are delivered to no host but those that ``mock.webhooks.allow`` names afterwards. A state
        that has other tokens than these gets new ones when it is loaded from then on. ServeError, naming what is in
        the way, if it cannot be served; nothing is changed then.
        """
        from mock_server.transports.serving import serve

        check_argument("port", port, int, "a whole number, such as 0 for a free port")
        for each in options.get("allow_hosts", ()):
            check_host_name("allow_hosts", each)
        closing = self._close if options.get("secret") is not None else None
        options = {"is_marked": self.policy.is_reference, "when_bound": closing, **options}
        if closing is None and self.world.is_loaded:
            options |= {"secret": secrets.token_urlsafe(24), "local_only": True}
        server = serve(self, host=host, port=port, **options)
        self._servers = [*(each for each in self._servers if not each.is_stopped), server]
        return server

    @property
    def is_served_openly(self) -> bool:
        """Whether a server without a secret is running, whose tokens every user of this machine can list."""
        return self._is_open or any(each.secret is None and not each.is_stopped for each in self._servers)

    def _serve_by_asgi(self, secret: str | None) -> None:
        """Prepare this world to be served by ``mock_server.asgi``, which guards it: as `serve` does, by the secret."""
        if secret is None:
            self._is_open = True
        else:
            self._close()

    def _close(self) -> None:
        """Known tokens open nothing any more, and webhooks go nowhere; once, for it may be served again."""
        if not self._is_closed:
            self._is_closed = True
            self.draw_tokens()
            self.webhooks.close()

    def __repr__(self) -> str:
        main = self.world.main
        return f"<MockTraining {main.name}: {len(main.people)} users, {len(main.courses)} courses>"


_USUAL = Policy()


def _switches(policy: Policy | None) -> Policy:
    how = 'a Policy, such as Policy(eligibility="completed")'
    return _USUAL if policy is None else check_argument("policy", policy, Policy, how)
