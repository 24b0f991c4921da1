"""`MockTraining`: the reference server as a library."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mock_server import app
from mock_server.control.faults import Faults, check_target
from mock_server.control.journal import Journal
from mock_server.control.naming import NamedTokens
from mock_server.control.worlds import Worlds
from mock_server.learner_actions import LiveWorld
from mock_server.policy import Policy, policy_or_default
from mock_server.refusal import check_argument, check_host_name, check_path
from mock_server.rules.completion import shown_certificates
from mock_server.transports.common import VENDOR_HOSTS, Unhandled, library
from mock_server.transports.webhooks import Webhooks
from mock_server.wire.message import Request, Response
from mock_server.world import state
from mock_server.world.clock import Clock
from mock_server.world.codec import StateError
from mock_server.world.differences import Change, differences
from mock_server.world.ledger import AuditEntry, Certificate, Notification
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
    """A simulated organisation with the HTTP API of the vendor. Every method is safe across threads.

    A process can have any number of them; they share nothing.
    """

    def __init__(self, world: LiveWorld, tokens: dict[str, str]) -> None:
        # No part refers back to this object, so that a world ends with its last user, not with a garbage collection.
        self.world = world
        self._tokens = NamedTokens(world, tokens)
        self.faults = Faults(check=partial(check_target, world))
        """The script of faults, empty at first."""
        self._is_closed = False
        self.worlds = Worlds(world)
        """More worlds on the servers of this one, from ``POST /_mock/worlds``; the token selects one."""
        self.among = self.worlds.together
        """All worlds that share a server with this one."""
        self.marks: dict[str, dict[str, Any]] = {}
        """State documents that ``POST /_mock/marks`` stored, by name."""
        self.webhooks = Webhooks(world)
        """Deliveries of webhooks, and a way to wait for them."""
        self.calls = Journal(self._tokens.known)
        """The request log with assertions: ``mock.calls.of("reset").once()``; without requests to ``/_mock/``."""

    @classmethod
    def demo(cls, *, policy: Policy | None = None, now: datetime | None = None) -> MockTraining:
        """Return the demo organisation, which is always the same.

        Arguments:

        - ``policy``: How the server works where the vendor's documents leave it open.
        - ``now``: The moment at which the clock is frozen. By default the clock runs.
        """
        built, tokens = demo_prototype()
        return cls(fresh_copy(built, policy_or_default(policy), now, LiveWorld), tokens)

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
        """Return a generated organisation in which every course is assigned to every user.

        The same arguments give the same organisation.

        Arguments:

        - ``users``: The number of users, from 1.
        - ``courses``: The number of courses, from 1.
        - ``seed``: The seed of the generated data.
        - ``policy``: As for `demo`.
        - ``now``: As for `demo`.

        Raises ValueError for a number below 1.
        """
        for name, number in (("users", users), ("courses", courses), ("seed", seed)):
            check_argument(name, number, int, "a whole number")
        builder = build_generated(users, courses, seed, now=now)
        return cls(builder.build(policy_or_default(policy), LiveWorld), builder.tokens)

    @classmethod
    def from_exporter_csv(
        cls, path: str | PathLike[str], *, policy: Policy | None = None, now: datetime | None = None
    ) -> MockTraining:
        """Return the organisation that a ``training_course_progresses.csv`` of the vendor's exporter describes.

        Arguments:

        - ``path``: The path of the file.
        - ``policy``: As for `demo`.
        - ``now``: As for `demo`.

        Raises ExporterCsvError, with line and column, if the file is not valid. Warns with CompletedOnlyWarning if all
        people are completed, as in every file of the vendor's exporter: then it is not the whole organisation.
        """
        from mock_server.world.seeds.exporter_csv import build_exporter_csv

        check_path("path", path)
        builder = build_exporter_csv(path, now=now)
        return cls(builder.build(policy_or_default(policy), LiveWorld), builder.tokens)

    @classmethod
    def from_evidence(
        cls,
        folder: str | PathLike[str],
        *,
        unseal: Callable[[bytes], bytes] | None = None,
        policy: Policy | None = None,
        now: datetime | None = None,
    ) -> MockTraining:
        """Return the organisation that an evidence pack describes: the people of a plan with their progress.

        People of a pseudonymised pack have their pseudonyms.

        Arguments:

        - ``folder``: The folder of the pack.
        - ``unseal``: The hook that decrypts the files of a sealed pack.
        - ``policy``: As for `demo`.
        - ``now``: As for `demo`.

        Raises ExporterCsvError, with file and line, if the pack is not valid, not finished or was changed.
        """
        from mock_server.world.seeds.evidence_pack import build_evidence

        check_path("folder", folder)
        builder = build_evidence(folder, unseal=unseal, now=now)
        return cls(builder.build(policy_or_default(policy), LiveWorld), builder.tokens)

    @classmethod
    def load(cls, document: Mapping[str, Any] | str | PathLike[str]) -> MockTraining:
        """Return the world of a state document, or of a file with one. It continues as the saved world would have.

        Feed and analytics show the loaded state at once, also with a lag: a document contains no cleared progress
        (R15). Raises StateError, with the place in the document, if it does not describe a whole world.
        """
        if not isinstance(document, Mapping):
            check_path("document", document, "a state document, or the path of a file with one")
            read = state.read_file(Path(document))
        else:
            read = state.read(state.outlined("document", document))
        return cls(state.load(read, LiveWorld), read.token_names)

    def state(self) -> dict[str, Any]:
        """Return the whole state as one JSON document, for `load`, `diff` and `rollback`. It contains the tokens."""
        with self.world.up_to_date():
            return state.document(self.world, self._tokens.by_name)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the whole state into a file that only its owner can read, because it contains the tokens."""
        check_path("path", path)
        state.write_file(Path(path), self.state())

    def diff(self, before: Mapping[str, Any]) -> tuple[Change, ...]:
        """Return the changes since ``before = mock.state()``, record by record, without clock and counters of ids."""
        return differences(state.outlined("before", before), self.state())

    def rollback(self, before: Mapping[str, Any]) -> None:
        """Return to ``before = mock.state()``, in place, for tests that share a world.

        Clock, lag and policy return to their earlier values. The script of faults is emptied. Journal and marks stay.
        Feed and analytics show the restored state at once, also with a lag. The product cannot undo a reset (R15), so
        no operation of the vendor does this.

        Raises StateError, with nothing changed, if the document

        - does not describe a whole world,
        - is of another organisation (use `load`),
        - or has a token that opens another world of the same server.
        """
        found = state.read(state.outlined("before", before))
        if found.main != self.world.main.id:
            raise StateError(
                f"$.main: This is the state of another organisation ({found.main}, not {self.world.main.id})."
                " Load it with MockTraining.load, which makes a new world."
            )
        self._take(found)

    def become(self, document: Mapping[str, Any]) -> None:
        """Replace this world by that of a state document, of any organisation. Raises StateError as `rollback` does."""
        self._take(state.read(state.outlined("document", document)))

    def _take(self, read: State) -> None:
        self.among.check_state(self.world, read)
        known = self._tokens.by_name
        with self.world.lock:
            state.restore(self.world, read)
            self._tokens.replace(read.token_names)
            self.faults.clear()
            if self._is_closed and self._tokens.by_name != known:
                self.draw_tokens()

    def token(self, name: TokenName) -> str:
        """Return a token by its name. Raises LookupError, with the known names, for an unknown one."""
        return self._tokens.token(name)

    def draw_tokens(self) -> None:
        """Replace every token by a random one. The old tokens are no longer valid."""
        self._tokens.draw()

    def tokens(self) -> list[dict[str, Any]]:
        """Return every token with its owner and permissions, as ``GET /_mock/tokens`` lists them."""
        return self._tokens.described()

    def handle(self, request: Request) -> Response:
        """Answer one request. Never raises."""
        chosen = self.worlds.selected(request)
        if chosen is not None:
            return chosen.handle(request)
        response = app.handle(self, request)
        self.webhooks.wake()
        if not app.is_control(request.path):
            self.calls.record(request, response, self._tokens.names)
        return response

    @property
    def policy(self) -> Policy:
        """The policy of this world."""
        return self.world.policy

    @property
    def clock(self) -> Clock:
        """The clock of this world. It shows real time until a test freezes or advances it."""
        return self.world.clock

    @property
    def lag(self) -> timedelta:
        """The age of the data in feed and analytics: 0 to 2 h in whole seconds, by default 0.

        All other operations show the present. After ``mock.lag = timedelta(hours=1)`` feed and analytics show the
        state of that moment until the clock has advanced by the lag. Raises ValueError for any other value.
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
            return shown_certificates(self.world)

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
        """Answer the requests of all httpx clients without a transport of their own: ``with mock.respx():``.

        The context manager returns the router of respx, with which other hosts can be mocked too.

        Arguments:

        - ``hosts``: The host names to answer for, without scheme and port.
        - ``unhandled``: ``"refuse"`` raises an AssertionError for a request to another host, ``"pass"`` sends it.

        Raises ImportError if respx is not installed.
        """
        with library("respx"):
            from mock_server.transports.respx import MockRouter

        return MockRouter(self, hosts, unhandled)

    def responses(
        self, *, hosts: str | Iterable[str] = VENDOR_HOSTS, unhandled: Unhandled = "refuse"
    ) -> RequestsMock:
        """Answer the requests of all sessions of requests: ``with mock.responses():``.

        The context manager returns the mock of the library responses, with which other hosts can be mocked too.

        Arguments:

        - ``hosts``: The host names to answer for, without scheme and port.
        - ``unhandled``: ``"refuse"`` raises ``requests.ConnectionError`` for a request to another host, ``"pass"``
          sends it.

        Raises ImportError if responses is not installed.
        """
        with library("responses"):
            from mock_server.transports.responses import requests_mock

        return requests_mock(self, hosts, unhandled)

    @property
    def asgi(self) -> MockASGI:
        """This world as an ASGI 3 application, for a server of your own.

        For httpx use `transport`: ``httpx.ASGITransport`` ignores timeouts, and raises ConnectionAbortedError instead
        of an error of httpx for faults that drop or cut an answer. ``/_mock/``, which returns the tokens, is not
        protected here. `serve` and ``mock_server.asgi:app`` protect it.
        """
        from mock_server.transports.asgi import MockASGI

        return MockASGI(self)

    def serve(self, *, host: str = "127.0.0.1", port: int = 0, **options: Any) -> Server:
        """Serve this world on a socket, in a thread: ``with mock.serve() as server: server.url``.

        Arguments:

        - ``host``: The address to listen on. An address other than loopback needs a ``secret``.
        - ``port``: The port to listen on. 0 selects a free one.

        Options:

        - ``secret``: The secret that requests below ``/_mock/`` must have in the header ``X-Training-Mock-Secret``. If
          the people of the world come from a file, the default is a random secret (``server.secret``).
        - ``engine``: ``"stdlib"`` (default) or ``"uvicorn"``.
        - ``allow_hosts``: More host names by which clients may call the server.

        With a ``secret`` the world gets new random tokens, because every user of this package knows the usual ones. A
        state that is loaded later gets new tokens too. Webhooks are delivered only to hosts that
        ``mock.webhooks.allow`` names afterwards.

        Raises ServeError, with nothing changed, if the world cannot be served.
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
        self.worlds.together.served_by(server)
        return server

    @property
    def is_served_openly(self) -> bool:
        """True while a server without a secret runs. Every user of this machine can list its tokens."""
        return self.worlds.together.are_served_openly

    def _serve_by_asgi(self, secret: str | None) -> None:
        """Prepare this world to be served by ``mock_server.asgi``, which guards it: as `serve` does, by the secret."""
        if secret is None:
            self.worlds.together.is_open = True
        else:
            self._close()

    def _close(self) -> None:
        """Replace the tokens and forbid all webhooks; once, because the world may be served again."""
        if not self._is_closed:
            self._is_closed = True
            self.draw_tokens()
            self.webhooks.close()

    def __repr__(self) -> str:
        main = self.world.main
        return f"<MockTraining {main.name}: {len(main.people)} users, {len(main.courses)} courses>"
