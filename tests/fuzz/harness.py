"""The whole server under fuzz, a witness of what it has understood, and what must hold after every connection."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from conformity import conformity
from fuzz.answers import answers
from fuzz.mutations import Delivery
from fuzz.seeds import RESET, prepared
from mock_server import MockTraining
from mock_server.api.openapi import PATH as CONTRACT
from mock_server.transports.serving import Guarded
from mock_server.wire.message import Request, Response
from mock_server.world.differences import Change, differences
from rawhttp import PATIENCE, Answer, connected, everything, read_answer, request

PAUSE = 0.002
_BEHIND = "behind.test"
_LOOK = 0.01
_DESCRIPTORS = Path("/proc/self/fd")
_AT_THE_DOOR = {400, 408, 413, 417, 431, 501, 505}
"""What bytes that never became a request are answered; the connection then ends."""
_CONTROL = "/_mock/"
_PROGRESS = {"record", "reset mark", "certificate"}


@frozen
class Exchange:
    """What the server understood, and what it meant to answer."""

    request: Request
    response: Response

    def did(self, method: str, *paths: str) -> bool:
        """Whether it carried out one of these."""
        asked = self.request.method == method and self.request.path.startswith(paths)
        return asked and self.response.status < 300


class _Errors(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take one line."""
        self.seen.append(self.format(record))


def settled(holds: Callable[[], bool]) -> bool:
    """Wait for what must come about by itself."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def _open() -> int:
    return len(list(_DESCRIPTORS.iterdir())) if _DESCRIPTORS.exists() else 0


@define
class WatchedServer:
    """A server with the demo world, and its witness."""

    mock: MockTraining
    port: int
    seen: list[Exchange] = field(repr=False)
    errors: list[str]
    before: dict[str, Any] = field(repr=False)
    _threads: int = field(factory=threading.active_count)
    _descriptors: int = field(factory=_open)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """How hypothesis prints it: in short too, for it refuses to print at length."""
        printer.text(repr(self))

    def try_out(self, delivery: Delivery) -> None:
        """Send it, and check everything that must hold whatever was sent."""
        try:
            self._try_out(delivery)
        except AssertionError as fault:
            fault.add_note(f"after {delivery}")
            raise

    def _try_out(self, delivery: Delivery) -> None:
        self.seen.clear()
        received = self._send(delivery)
        assert settled(self._is_quiet), "a thread or a socket is left over"
        now = self.mock.state()
        # Every request uses ids up; that is no change.
        changes = differences(self.before, now) if self._differs(now) else ()
        try:
            self._check_answers(received, delivery)
            self._check_changes(changes)
        finally:
            self._restore(changed=self._differs(now))
        self._check_honest()
        assert self.errors == []

    def resets(self) -> list[Request]:
        """Those that were carried out."""
        return [each.request for each in self.seen if each.did("POST", RESET) and each.request.path == RESET]

    def _is_quiet(self) -> bool:
        return threading.active_count() <= self._threads and _open() <= self._descriptors

    def _send(self, delivery: Delivery) -> bytes:
        with connected(self.port) as sock, contextlib.suppress(ConnectionError):
            for piece in delivery.pieces():
                sock.sendall(piece)
                time.sleep(PAUSE if delivery.cuts else 0)
            if delivery.end == "leave":
                sock.close()
                self._pass_behind()
                return b""
            if delivery.end == "half-close":
                sock.shutdown(socket.SHUT_WR)
            return self._read(sock)
        return b""

    def _pass_behind(self) -> None:
        """Be answered in turn, after which whoever came before has at least been let in."""
        everything(self.port, request("GET", "/", (("connection", "close"),), host=_BEHIND))
        assert settled(self._is_quiet)
        self.seen[:] = [each for each in self.seen if each.request.header("host") != _BEHIND]

    def _read(self, sock: socket.socket) -> bytes:
        """Everything until the server hangs up, which it is asked to once it has answered all it has understood."""
        received, is_open = bytearray(), True
        with contextlib.suppress(ConnectionError):
            while True:
                sock.settimeout(_LOOK if is_open else PATIENCE)
                try:
                    piece = sock.recv(65536)
                except TimeoutError:
                    assert is_open, "the server does not hang up"
                    sock.shutdown(socket.SHUT_WR)
                    is_open = False
                    continue
                if not piece:
                    break
                received += piece
        return bytes(received)

    def _check_answers(self, received: bytes, delivery: Delivery) -> None:
        """The answers, which are those the server meant to give, in order, and nothing but them."""
        if delivery.end == "leave" or self._is_troubled():
            return
        given = answers(received, [each.request.method for each in self.seen])
        assert len(given) >= len(self.seen), "an answer is missing"
        for exchange, answer in zip(self.seen, given, strict=False):
            _check_answer(exchange, answer)
        for answer in given[len(self.seen) :]:
            assert answer.status in _AT_THE_DOOR, answer
            reason = "BODY_TOO_LARGE" if answer.status == 413 else "INVALID_ARGUMENT"
            assert json.loads(answer.body)["details"][0]["reason"] == reason
        assert len(given) <= len(self.seen) + 1, "more than one refusal on a connection"

    def _is_troubled(self) -> bool:
        """Whether it was asked, by these very bytes, for answers that do not add up."""
        return any(each.did("POST", "/_mock/faults") or each.did("PUT", "/_mock/state") for each in self.seen)

    def _differs(self, now: dict[str, Any]) -> bool:
        return any(now[part] != self.before[part] for part in now if part != "ids")

    def _check_changes(self, changes: Sequence[Change]) -> None:
        """Nobody's progress has changed but by a sound reset that was answered so, or by the control plane."""
        resets = self.resets()
        if (
            any(each.did("POST", "/_mock/learners/", "/_mock/marks/") for each in self.seen)
            or self._is_troubled()
        ):
            return
        for change in changes:
            if change.kind in _PROGRESS:
                assert any(_accounts_for(each, change, self.mock) for each in resets), str(change)

    def _restore(self, *, changed: bool) -> None:
        for kept in self.mock.worlds.all():
            self.mock.worlds.delete(kept.id)
        self.mock.faults.clear()
        self.mock.marks.clear()
        self.mock.calls.clear()
        if changed:
            self.mock.become(self.before)  # of whatever organisation PUT has made of it
        self.mock.marks["kept"] = self.before

    def _check_honest(self) -> None:
        """An honest client is served at once."""
        bearer = ("authorization", f"Bearer {self.mock.token('admin')}")
        with connected(self.port) as sock:
            sock.sendall(
                request("GET", "/accounts/user/v1/user:WhoAmI", (bearer, ("user-agent", "honest/1")))
            )
            answer = read_answer(sock)
        assert (answer.status, "user_id" in json.loads(answer.body)) == (200, True)
        del self.seen[-1]


def _check_answer(exchange: Exchange, answer: Answer) -> None:
    """What arrives is what was meant, and documented."""
    asked, meant = exchange.request, exchange.response
    assert answer.status == meant.status
    assert answer.body == (b"" if asked.method == "HEAD" else meant.body)
    assert answer.status < 500 or (answer.status == 501 and meant.status == 501), answer
    if answer.status == 501:
        found = conformity().find(asked.method, asked.path)
        assert found is not None
        assert not found.spec["x-served"]
        assert meant.body.count(b'"UNIMPLEMENTED"') == 1
    if not asked.path.startswith(_CONTROL) and asked.path != CONTRACT:
        conformity().check_answer(asked, Response(answer.status, answer.headers, meant.body))


def _accounts_for(asked: Request, change: Change, mock: MockTraining) -> bool:
    """Whether this reset, read anew, is allowed and means this course and this user."""
    tokens = {f"Bearer {mock.token(name)}" for name in ("admin", "manager", "resetter", "teamlead")}
    if len(granted := asked.all_headers("authorization")) != 1 or granted[0] not in tokens:
        return False
    body = json.loads(asked.body)
    course, user = (
        change.key if len(change.key) == 2 else (change.before["course_id"], change.before["user_id"])
    )
    return body.get("courseId") == course and (
        body.get("allUsers") is True or user in body.get("userIds", ())
    )


@contextlib.contextmanager
def watched_server() -> Iterator[WatchedServer]:
    """A server, watched from within for as long as it runs."""
    seen: list[Exchange] = []
    handle = Guarded.handle

    def witnessed(guarded: Guarded, asked: Request) -> Response:
        response = handle(guarded, asked)
        seen.append(Exchange(asked, response))
        return response

    errors = _Errors()
    mock = prepared()
    mock.webhooks.pause(timedelta(0))
    with pytest.MonkeyPatch.context() as patch, mock.serve() as server:
        patch.setattr(Guarded, "handle", witnessed)
        logging.getLogger().addHandler(errors)
        try:
            made = WatchedServer(mock, server.port, seen, errors.seen, mock.state())
            assert settled(made._is_quiet)
            yield made
        finally:
            logging.getLogger().removeHandler(errors)
