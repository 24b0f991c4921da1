"""The way out: webhook messages are posted to their receivers, outside the world's lock, by a thread of their own.

The thread runs while there is something to send and ends by itself. Delivery is best effort: four attempts (P), and
nothing but this machine, and not even that behind a secret, is called unless its host is allowed. The address is
checked at each attempt, because a webhook can come from a state document, or be older than the secret.
"""

from __future__ import annotations

import time
from collections import deque
from datetime import timedelta
from threading import Condition, Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attrs import frozen

from mock_server._version import __version__
from mock_server.refusal import RefusedError, check_argument, check_host_name
from mock_server.rules.webhooks import SIGNATURE, body, check_url, signature

if TYPE_CHECKING:
    from mock_server.world.ledger import Message
    from mock_server.world.world import World


ATTEMPTS = 4
MAX_KEPT = 10_000
_TIMEOUT = 5.0
_LONGEST_ERROR = 300
_OK = range(200, 300)


@frozen
class Delivery:
    """One attempt to deliver one message."""

    webhook_id: str
    user_id: str
    course_id: str
    attempt: int
    """The number of the attempt, 1 to 4."""
    status: int
    """The status of the receiver's answer; 0 if it did not answer or was not called."""
    error: str = ""
    """The reason why there is no answer; otherwise ""."""

    @property
    def is_delivered(self) -> bool:
        """True if the receiver accepted the message with a 2xx."""
        return self.status in _OK


class Webhooks:
    """The deliveries of webhooks of a world, `mock.webhooks`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept: deque[Delivery] = deque(maxlen=MAX_KEPT)
        self._is_running = False
        self._changed = Condition()
        self._pause = 0.1

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """The latest attempts, oldest first; at most 10,000."""
        with self._changed:
            return tuple(self._kept)

    def pause(self, between: timedelta) -> None:
        """Set the time between two attempts. The default is 0.1 s; the vendor waits 100 s (P).

        Raises ValueError for a negative time.
        """
        if check_argument(
            "between", between, timedelta, "a timedelta, such as timedelta(seconds=1)"
        ) < timedelta(0):
            raise ValueError(f"between must be at least 0 s, not {between.total_seconds():g} s.")
        self._pause = between.total_seconds()

    def close(self) -> None:
        """Forbid all hosts for webhooks, this machine included, but those allowed from now on.

        Called where other machines reach the server: they must not reach through it what listens on loopback only.
        """
        with self._world.lock:
            self._world.webhook_hosts.clear()

    def allow(self, host: str) -> None:
        """Allow webhooks to a host, by its name without scheme and port.

        ``localhost`` means all loopback addresses. Raises ValueError for anything but a host name.
        """
        name = check_host_name("host", host)
        with self._world.lock:
            self._world.webhook_hosts.add(name)

    def wait(self, timeout: float = 10.0) -> tuple[Delivery, ...]:
        """Wait until all messages are delivered or given up. Return the attempts.

        Raises TimeoutError after ``timeout`` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not (self._is_running or self._world.pending), timeout):
                raise TimeoutError(
                    f"Webhooks are still being delivered after {timeout} s: {len(self._world.pending)} waiting."
                )
            return tuple(self._kept)

    def wake(self) -> None:
        """Start to send the messages that wait, if there are any."""
        if not self._world.pending:
            return
        with self._changed:
            if self._is_running:
                return
            self._is_running = True
        Thread(target=self._run, name="training-mock webhooks", daemon=True).start()

    def _run(self) -> None:
        while (message := self._next()) is not None:
            self._deliver(message)

    def _next(self) -> Message | None:
        with self._changed:
            try:
                return self._world.pending.popleft()
            except IndexError:
                self._is_running = False
                self._changed.notify_all()
                return None

    def _deliver(self, message: Message) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            forbidden = self._forbidden(message)
            status, error = (0, forbidden) if forbidden else _post(message)
            made = Delivery(message.webhook.id, message.user_id, message.course_id, attempt, status, error)
            with self._changed:
                self._kept.append(made)
            if made.is_delivered or forbidden:
                return
            if attempt < ATTEMPTS:
                time.sleep(self._pause)

    def _forbidden(self, message: Message) -> str:
        """Return the reason why the address of a webhook must not be called; "" if it may be called."""
        try:
            with self._world.lock:
                check_url(self._world, message.webhook.url)
        except RefusedError as refusal:
            return f"not sent: {refusal.message}"[:_LONGEST_ERROR]
        return ""


def _post(message: Message) -> tuple[int, str]:
    """Return the receiver's status, or 0 and the error. Redirects are not followed; proxies are not used."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    parts, payload = urlsplit(message.webhook.url), body(message)
    # A loopback name is never looked up, so that no resolver can send it elsewhere.
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "User-Agent": f"training-mock/{__version__}",
        SIGNATURE: signature(message.secret, payload),
    }
    # Named in any case: without one, http.client looks for it in the host, and finds one in ::1.
    connection = kind(host, kind.default_port if parts.port is None else parts.port, timeout=_TIMEOUT)
    try:
        connection.request("POST", target, payload, headers)
        return connection.getresponse().status, ""
    except (OSError, HTTPException) as fault:
        return 0, f"{type(fault).__name__}: {fault}"[:_LONGEST_ERROR]
    finally:
        connection.close()
