"""HTTP client of the contract tests: any body to any path, as any user or none, never repeated."""

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
"""Requests other than GET that change nothing."""
MOST_SHOWN = 300
SHORTEST_SECRET = 8
"""Characters; a shorter secret would be masked inside ordinary words."""
LISTS = ("data", "items", "users")
"""Fields that contain lists of objects; in a preview, ``users`` is one object."""
SHOWN_HEADERS = ("reset-confirmation", "idempotency-key")


class MissingFieldError(KeyError):
    """Error: an object of an answer lacks a field that the rules need; not an error in the contract tests."""


class Told(dict[str, Any]):
    """JSON object of an answer. A missing field is the server's fault: it raises MissingFieldError."""

    def __missing__(self, name: str) -> Any:
        raise MissingFieldError(name)


@frozen
class Answer:
    """Summary of a request without tokens, and the answer to it."""

    sent: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """Texts that must not be shown if the server repeats them."""

    def json(self) -> Any:
        """Return the body as JSON; a rule counts as broken if it is not JSON."""
        try:
            return json.loads(self.body, object_hook=Told)
        except (ValueError, RecursionError):
            raise BrokenRuleError(self.sent, "an answer in JSON", self.came) from None

    def object(self) -> dict[str, Any]:
        """Return the body of a 200: a JSON object whose lists are lists of objects."""
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
        """Body as text, even if it is not JSON, without tokens."""
        body = self.body
        if b"\\" in body:  # an escape in JSON may spell a secret in another way
            for each in self.secrets:
                body = masked_body(body, Secret(each)) if len(each) >= SHORTEST_SECRET else body
        return without(self.secrets, body.decode(errors="replace"))

    @property
    def reason(self) -> str:
        """Reason in capitals from an error's details; "" if there is none."""
        return next((str(each["reason"]) for each in self._details() if "reason" in each), "")

    @property
    def blamed(self) -> str:
        """Field of the request that an error's details name; "" if there is none."""
        named = (each.get("metadata") for each in self._details())
        fields = (each.get("field") for each in named if isinstance(each, dict))
        return next((each for each in fields if isinstance(each, str)), "")

    @property
    def message(self) -> str:
        """Message of an error, without tokens; "" if there is none."""
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

    def needed(self, status: int = 200) -> Answer:
        """Return this answer; skip the check if the status is another, because it is not what the check is about."""
        if self.status != status:
            raise NotCheckedError(f"The server should answer {self.sent} with {status}: {self.came}")
        return self

    def expect(self, status: int, reason: str = "") -> Answer:
        """Raise BrokenRuleError unless the status is this one and, if given, the reason too."""
        if self.status == 429 and status != 429:
            raise NotCheckedError(
                f"The server answered {self.sent} with 429: the rate limit is used up. Try again later."
            )
        if self.status != status or (reason and self.reason != reason):
            raise BrokenRuleError(self.sent, f"{status} {reason}".rstrip(), self.came)
        return self


@frozen
class Wire:
    """Connection to the implementation; a request is never repeated."""

    base_url: urls.BaseUrl
    driver: SyncDriver
    secret: str = field(default="", repr=False)
    """Secret of the control plane, if it requires one."""
    tokens: set[str] = field(factory=set, repr=False)
    """All tokens in use now. They are never shown, whatever the server does with them."""
    left: list[str] = field(factory=list)
    """Objects that were made over it and could not be removed, and how to remove them."""

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
        """Return a connection to this address; it can change nothing if ``read_only`` or the environment says so.

        Raises InvalidArgumentError for an invalid address.
        """
        address = allowed_address(base_url, allow_insecure_http=allow_insecure_http)
        # Each request names its own token, so the connection's is never sent.
        may_only_read = read_only or read_only_by_environment()
        connection = Connection(address, Secret("none"), timeout, read_only=may_only_read)
        return cls(address, SyncDriver(connection, http_client), secret)

    @property
    def is_vendors(self) -> bool:
        """True if it leads to the vendor's live service."""
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
        """Send ``body`` as JSON, or ``content`` unchanged; without a token, no Authorization header is sent.

        Bypasses ``client.request`` and its guard on purpose: with the guard, the contract tests could not check
        whether the server protects itself. Only the contract tests do this, in organisations that they have made, or
        in one that a person has named and confirmed by typing the course's title.
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
        """Return the text without tokens and the secret."""
        return without({self.secret, *self.tokens}, text)

    def control(
        self, method: str, path: str, token: str = "", *, body: object = None, who: str = ""
    ) -> Answer:
        """Call the control plane; the token selects the organisation.

        Raises CannotRunError for the vendor's service.
        """
        if self.is_vendors:
            raise CannotRunError(
                "The vendor's own service has no control plane, and must not receive the secret."
            )
        headers = [("x-training-mock-secret", self.secret)] if self.secret else []
        return self.send(method, f"/_mock/{path}", token, body=body, who=who, headers=headers)

    def close(self) -> None:
        """Close the connection, unless it came from outside."""
        self.driver.close()


def _once(request: Request) -> Flow[Response]:
    """Send a request once: no retry, and no error for any status."""
    response: Response = yield request
    return response


def _told(
    method: str, target: str, who: str, content: bytes | None, headers: Sequence[tuple[str, str]]
) -> str:
    """Describe a request for a person: never the token, and only the headers that a rule is about."""
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
    """Return the text with each secret masked."""
    for each in secrets:
        if len(each) >= SHORTEST_SECRET:
            text = text.replace(each, "***")
    return text


def unused_hex(length: int) -> str:
    """Return random hex digits, so that an id made of them exists nowhere."""
    return secrets.token_hex(length)[:length]
