"""The built-in server: HTTP/1.1 on the standard library alone, one thread a connection, one write a small answer.

One write, because two small ones wait for each other (Nagle and delayed acknowledgement): 44 ms a request and
not 0.2. A thread a connection, because then a slow client holds up nobody but itself. Only errors of the
server itself are logged.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator

from mock_server.refusal import Reason, RefusedError
from mock_server.transports import http1
from mock_server.transports.common import BodyBuffer, Handler, Limits, ServerAnswers, origin_form
from mock_server.transports.http1 import Head, ProtocolError, Reading, ReceiveBuffer
from mock_server.wire.message import MAX_DRAIN, Delivery, Request, Response

_log = logging.getLogger("mock_server.transports.stdlib")
_PIECE = 64 * 1024
_SHORTEST = 0.001
"""Seconds of the shortest wait: no wait at all would make the socket one that never waits."""
_BACKLOG = 512
_AFTER_ERROR = 0.05
# Those that are answered 503 at the same time; more are closed without an answer.
_MOST_TURNED_AWAY = 64


class _Stream:
    """Buffered reading from a socket, each read against one deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._inflow = ReceiveBuffer()
        self._deadline = 0.0

    def allow(self, seconds: float) -> None:
        """Set the deadline of what is read from now on."""
        self._deadline = time.monotonic() + seconds

    def _receive(self) -> None:
        """Wait for more bytes. TimeoutError past the deadline, EOFError at the end of the stream."""
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._socket.settimeout(remaining)
        received = self._socket.recv(_PIECE)
        if not received:
            raise EOFError
        self._inflow.feed(received)

    def wait(self) -> None:
        """Return as soon as there is anything to read."""
        if not self._inflow:
            self._receive()

    def head(self) -> Head:
        """Return the next request's head. ProtocolError for anything malformed."""
        reading = self._inflow.head()
        while True:
            try:
                next(reading)
            except StopIteration as end:
                return http1.parse_head(end.value)
            self._receive()

    def body(self, head: Head) -> Iterator[bytes]:
        """Yield the pieces of a request's body, as they arrive."""
        return self._received(self._inflow.body(head))

    def discard(self) -> None:
        """Read and discard until the client stops sending, at most MAX_DRAIN bytes."""
        with contextlib.suppress(OSError, EOFError):
            for _ in self._received(self._inflow.pieces(MAX_DRAIN)):
                pass

    def _received(self, reading: Reading) -> Iterator[bytes]:
        for piece in reading:
            if piece:
                yield piece
            else:
                self._receive()


class _Connection:
    """One client's connection: requests in, answers out, in order, until either side ends it."""

    def __init__(self, server: StdlibServer, sock: socket.socket) -> None:
        self._server = server
        self._socket = sock
        self._stream = _Stream(sock)
        self._busy = False
        self._aborted = threading.Event()

    def run(self) -> None:
        """Serve until the connection ends; a client that left or was too slow is no fault."""
        self._live(self._serve)

    def turn_away(self) -> None:
        """Refuse the client for want of room."""
        self._live(lambda: self._part("GET", self._server.busy()))

    def _serve(self) -> None:
        while self._next_request():
            pass

    def _live(self, life: Callable[[], object]) -> None:
        try:
            with contextlib.suppress(OSError, EOFError):
                life()
        finally:
            # In this order, so that a client who sees the end may come in again at once.
            self._server.forget(self)
            self._socket.close()

    def retire(self) -> None:
        """End the connection if no request is under way on it or waits to be read."""
        with contextlib.suppress(OSError, ValueError), selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            if not self._busy and not selector.select(0):
                self._shut(socket.SHUT_RD)

    def abort(self) -> None:
        """End the connection at once."""
        self._aborted.set()
        self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(how)

    def _next_request(self) -> bool:
        """Serve one request; whether another may follow."""
        self._busy = False
        if self._server.stopping:
            return False
        self._stream.allow(self._server.limits.idle)
        self._stream.wait()
        self._busy = True
        try:
            head, request, complete = self._read()
        except ProtocolError as error:
            return self._part("GET", http1.refusal(error, self._server.front))
        except TimeoutError:
            return self._part("GET", http1.refusal(http1.too_late(), self._server.front))
        response = self._server.answer(request)
        if not complete:
            return self._part(head.method, response)
        if response.delivery is not None:
            return self._deliver(head.method, response, response.delivery) and head.keep_alive
        keep = head.keep_alive and not self._server.stopping
        self._send(head.method, response, close=not keep)
        return keep

    def _read(self) -> tuple[Head, Request, bool]:
        self._stream.allow(self._server.limits.head)
        head = self._stream.head()
        self._stream.allow(self._server.limits.body)
        body = BodyBuffer()
        complete = self._read_body(head, body)
        path, _, query = head.target.partition("?")
        request = Request(head.method, path, query, head.headers, body.value(), body.too_large)
        return head, origin_form(request), complete

    def _read_body(self, head: Head, body: BodyBuffer) -> bool:
        """Read the body; False when it is so long that the rest is not even drained."""
        if head.expects_continue and head.length != 0:
            self._socket.sendall(http1.CONTINUE)
        return all(map(body.feed, self._stream.body(head)))

    def _send(self, method: str, response: Response, *, close: bool) -> None:
        head, body = self._server.render(method, response, close=close)
        end = time.monotonic() + self._server.limits.answer
        self._socket.settimeout(self._server.limits.answer)
        self._socket.sendall(head + body[:_PIECE])
        if len(body) > _PIECE:  # the rest is not copied
            self._socket.settimeout(max(_SHORTEST, end - time.monotonic()))
            self._socket.sendall(memoryview(body)[_PIECE:])

    def _deliver(self, method: str, response: Response, delivery: Delivery) -> bool:
        """Answer with a delay, in pieces, cut short or not at all; return whether the connection stays open."""
        self._hold(delivery.delay)
        if delivery.dropped:
            return False
        self._socket.settimeout(self._server.limits.answer)
        head, body = self._server.render(method, response, close=False)
        self._socket.sendall(head)
        for piece in delivery.parts(body):
            self._socket.sendall(piece)
            self._hold(delivery.pause)
        return delivery.keep is None or not body

    def _hold(self, seconds: float) -> None:
        """Wait, at most until the connection ends."""
        if seconds and self._aborted.wait(seconds):
            raise EOFError

    def _part(self, method: str, response: Response) -> bool:
        """Answer and end the connection, so that a client which is still sending gets to read the answer.

        Closing a socket with unread bytes resets it, and a reset may overtake the answer.
        """
        self._send(method, response, close=True)
        self._socket.shutdown(socket.SHUT_WR)
        self._busy = False
        self._stream.allow(self._server.limits.linger)
        self._stream.discard()
        return False


class StdlibServer:
    """Serves a handler on a listening socket, which it owns from now on, until `stop`."""

    def __init__(
        self,
        handler: Handler,
        listener: socket.socket,
        limits: Limits | None = None,
        front: ServerAnswers | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.front = front or ServerAnswers()
        self.stopping = False
        self._handler = handler
        self._listener = listener
        self._connections: set[_Connection] = set()
        self._turned_away: set[_Connection] = set()
        self._changed = threading.Condition()
        self._waker, self._wakened = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="training-mock accept", daemon=True)

    def start(self) -> None:
        """Listen; returns when connections are taken."""
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        self._acceptor.start()

    def stop(self, grace: float) -> None:
        """Take no more connections, finish requests under way, cut off what outlasts the grace (seconds)."""
        self.stopping = True
        self._waker.send(b"\0")
        self._acceptor.join()
        for each in (self._listener, self._waker, self._wakened):
            each.close()
        self._all(_Connection.retire)
        if not self._empty_within(grace):
            self._all(_Connection.abort)
            self._empty_within(grace)

    def _all(self, action: Callable[[_Connection], None]) -> None:
        with self._changed:
            for connection in (*self._connections, *self._turned_away):
                action(connection)

    def _empty_within(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not (self._connections or self._turned_away), seconds)

    def forget(self, connection: _Connection) -> None:
        """Remove a connection that has ended."""
        with self._changed:
            self._connections.discard(connection)
            self._turned_away.discard(connection)
            self._changed.notify_all()

    def answer(self, request: Request) -> Response:
        """Return the handler's answer; an exception of the handler is logged and answered 500."""
        try:
            return self._handler.handle(request)
        except Exception:
            _log.exception("A request could not be answered.")
            fault = RefusedError(Reason.INTERNAL, "The server failed. Its log shows the reason.")
            return self.front.refused(fault, request)

    def render(self, method: str, response: Response, *, close: bool) -> tuple[bytes, bytes]:
        """Return head and body of an answer as they are sent."""
        return http1.render(method, response, close=close, front=self.front)

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wakened, selectors.EVENT_READ)
            while not self.stopping:
                selector.select()
                self._admit()

    def _admit(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError:
            # Out of file handles, or a client that left the queue: neither may end or spin the server.
            time.sleep(_AFTER_ERROR)
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(self, sock)
        if self._begin(connection, connection.run, self._connections, self.limits.connections):
            return
        if not self._begin(connection, connection.turn_away, self._turned_away, _MOST_TURNED_AWAY):
            sock.close()

    def _begin(
        self, connection: _Connection, life: Callable[[], None], among: set[_Connection], most: int
    ) -> bool:
        """Start a thread for a connection, if there is room for one more of its kind."""
        with self._changed:
            if len(among) >= most:
                return False
            among.add(connection)
        try:
            threading.Thread(target=life, name="training-mock connection", daemon=True).start()
        except RuntimeError:  # the system grants no more threads
            self.forget(connection)
            return False
        return True

    def busy(self) -> Response:
        """Return the answer to a client for which there is no room."""
        return http1.refusal(http1.too_many(len(self._connections)), self.front)
