"""How the kit speaks: anything to any path, as anybody or nobody, sent once; no answer is an error of its own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from attrs import field, frozen

from training_sdk._core import urls
from training_sdk._core.connections import HttpClient
from training_sdk._core.drivers import SyncDriver
from training_sdk._core.exchange import Connection
from training_sdk._core.flow import (
    Flow,
    InterruptedSendError,
    NotDeliveredError,
    Request,
    Response,
    TransportError,
    UnsentError,
)
from training_sdk._core.text import Secret, masked_body
from training_sdk.client_options import allowed_address, read_only_by_environment
from training_sdk.testing.contract.findings import (
    BrokenRuleError,
    CannotRunError,
    HangingError,
    NotCheckedError,
)

RESET = urls.RESET_PATH
JSON_TYPE = "application/json"
USERS = "/users/v1/users/list"
READING = frozenset({("POST", USERS)})
"""What changes nothing beside GET."""
MOST_SHOWN = 300
SHORTEST_SECRET = 8
"""Characters: what is shorter hides nothing, and would be struck out of every other word."""
LISTS = ("data", "items", "users")
"""What answers list objects by; of a preview, users are one object."""
SHOWN_HEADERS = ("reset-confirmation", "idempotency-key")


class MissingFieldError(KeyError):
    """An object of an answer lacks a field that the rules need; not to be taken for a fault of the kit."""


class Told(dict[str, Any]):
    """A JSON object of an answer. What it lacks is the server's fault: MissingFieldError."""

    def __missing__(self, name: str) -> Any:
        raise MissingFieldError(name)


@frozen
class Answer:
    """What was sent, in short and without tokens, and what came."""

    sent: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """What must not be shown, should the server repeat it."""

    def json(self) -> Any:
        """The body; a rule counts as broken if it is no JSON."""
        try:
            return json.loads(self.body, object_hook=Told)
        except (ValueError, RecursionError):
            raise BrokenRuleError(self.sent, "an answer in JSON", self.came) from None

    def object(self) -> dict[str, Any]:
        """The body of a 200, a JSON object whose lists are lists of objects."""
        self.expect(200)
        value = self.json()
        if not isinstance(value, dict):
            raise BrokenRuleError(self.sent, "a JSON object", self.came)
        for name in LISTS:
            listed = value.get(name, [])
            if not isinstance(listed, dict) and not _are_objects(listed):
                raise BrokenRuleError(self.sent, f"a list of objects in {name}", self.came)
        return value

    @property
    def text(self) -> str:
        """The body as text, whatever it is, without tokens."""
        body = self.body
        if b"\\" in body:  # an escape in JSON may spell a secret in another way
            for each in self.secrets:
                body = masked_body(body, Secret(each)) if len(each) >= SHORTEST_SECRET else body
        return without(self.secrets, body.decode(errors="replace"))

    @property
    def reason(self) -> str:
        """The reason in capitals of an error's details; "" where there is none."""
        return next((str(each["reason"]) for each in self._details() if "reason" in each), "")

    @property
    def blamed(self) -> str:
        """The field of the request that an error's details name; "" where there is none."""
        named = (each.get("metadata") for each in self._details())
        fields = (each.get("field") for each in named if isinstance(each, dict))
        return next((each for each in fields if isinstance(each, str)), "")

    @property
    def message(self) -> str:
        """An error's message, without tokens; "" where there is none."""
        said = self._error().get("message")
        return without(self.secrets, said)[:MOST_SHOWN] if isinstance(said, str) else ""

    def _details(self) -> list[dict[str, Any]]:
        listed = self._error().get("details")
        return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []

    def _error(self) -> dict[str, Any]:
        try:
            told = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return told if isinstance(told, dict) else {}

    @property
    def came(self) -> str:
        """Status and reason, or the beginning of the body, for a person to read."""
        reason = without(self.secrets, self.reason) if self.status >= 400 else ""
        return f"{self.status} {(reason or self.text)[:MOST_SHOWN]}".rstrip()

    def expect(self, status: int, reason: str = "") -> Answer:
        """BrokenRuleError unless the status is this one, and the reason too where one is named."""
        if self.status == 429 and status != 429:
            raise NotCheckedError(f"{self.sent} was answered 429: the rate limit is spent, try again later")
        if self.status != status or (reason and self.reason != reason):
            raise BrokenRuleError(self.sent, f"{status} {reason}".rstrip(), self.came)
        return self


@frozen
class Wire:
    """One connection to the implementation; a request is never repeated."""

    base_url: urls.BaseUrl
    driver: SyncDriver
    secret: str = field(default="", repr=False)
    """What the control plane asks for, where it asks."""
    tokens: set[str] = field(factory=set, repr=False)
    """Those in use now, whoever's they are: never shown, whatever the server does with them."""
    left: list[str] = field(factory=list)
    """What was made over it and could not be removed, and how to remove it."""

    @classmethod
    def to(
        cls,
        base_url: str,
        *,
        http_client: HttpClient | None = None,
        timeout: float = 30.0,
        secret: str = "",
        read_only: bool = False,
        allow_insecure_http: bool = False,
    ) -> Wire:
        """A connection to this address, over which nothing can be changed if ``read_only``, or by the environment.

        InvalidArgumentError for an address that is none.
        """
        address = allowed_address(base_url, allow_insecure_http=allow_insecure_http)
        # Each request names its own token, so the connection's is never sent.
        may_only_read = read_only or read_only_by_environment()
        connection = Connection(address, Secret("none"), timeout, read_only=may_only_read)
        return cls(address, SyncDriver(connection, http_client), secret)

    @property
    def is_vendors(self) -> bool:
        """Whether it leads to the vendor's live service."""
        return urls.is_vendors(urlsplit(self.base_url.origin).hostname or "")

    def send(
        self,
        method: str,
        path: str,
        token: str = "",
        *,
        who: str = "",
        query: Mapping[str, object] | None = None,
        body: object = None,
        content: bytes | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """Send ``body`` as JSON, or ``content`` as it stands; no token means no Authorization header.

        Past ``client.request`` and its guard on purpose: what guards a user against resetting by accident would keep
        the kit from asking whether the server guards itself. Nothing but the kit does it, in worlds that it has made,
        or that somebody has named for it and confirmed by typing the course's title.
        """
        secret, token = Secret(token), ""  # a traceback shows the parameter
        content = json.dumps(body).encode() if body is not None else content
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        sent = _told(method, target, who, content, headers)
        reads = method == "GET" or (method, path) in READING
        said = (("authorization", f"Bearer {secret.reveal()}" if secret.reveal() else ""), *headers)
        request, said = Request(method, target, content, said, repeatable=False, reads=reads), ()
        try:
            response = self.driver.run(_once(request))
        except (UnsentError, InterruptedSendError) as stop:
            raise stop.original from None
        except NotDeliveredError as failure:
            raise CannotRunError(failure.message) from failure
        except TransportError as failure:
            if failure.timeout:
                raise HangingError(f"{sent}: {failure.message}") from failure
            raise BrokenRuleError(sent, "an answer", failure.message) from failure
        hidden = frozenset({secret.reveal(), self.secret, *self.tokens})
        return Answer(sent, response.status, response.headers, response.body, hidden)

    def masked(self, text: str) -> str:
        """The same without tokens and the secret."""
        return without({self.secret, *self.tokens}, text)

    def control(
        self, method: str, path: str, token: str = "", *, body: object = None, who: str = ""
    ) -> Answer:
        """Ask the control plane; the token selects the world. CannotRunError before the vendor's service is asked."""
        if self.is_vendors:
            raise CannotRunError(
                "the vendor's own service has no control plane, and must not learn our secret"
            )
        headers = [("x-training-mock-secret", self.secret)] if self.secret else []
        return self.send(method, f"/_mock/{path}", token, body=body, who=who, headers=headers)

    def close(self) -> None:
        """Close the connection, unless it came from outside."""
        self.driver.close()


def _once(request: Request) -> Flow[Response]:
    """The shortest flow there is: no retry, no error for any status."""
    response: Response = yield request
    return response


def _told(
    method: str, target: str, who: str, content: bytes | None, headers: Sequence[tuple[str, str]]
) -> str:
    """A request for a person to read: never the token, and of the headers those that a rule is about."""
    parts = [method, "reset" if target == RESET else target, *([f"as {who}"] if who else [])]
    if content is not None:
        dots = "…" if len(content) > MOST_SHOWN else ""
        parts.append(content[:MOST_SHOWN].decode(errors="replace") + dots)
    said = {name: value for name, value in headers if name in SHOWN_HEADERS}
    parts += [f"{name} {value[:MOST_SHOWN]}" for name, value in said.items()]
    return " ".join(parts)


def _are_objects(listed: object) -> bool:
    return isinstance(listed, list) and all(isinstance(each, dict) for each in listed)


def without(secrets: Iterable[str], text: str) -> str:
    """A text in which each secret is struck out."""
    for each in secrets:
        if len(each) >= SHORTEST_SECRET:
            text = text.replace(each, "***")
    return text


def unused_hex(length: int) -> str:
    """Random hex digits, so that an id made of them exists nowhere."""
    return secrets.token_hex(length)[:length]
