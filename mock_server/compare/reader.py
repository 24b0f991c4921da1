"""Read a live service: only GET, only one host, with a token that is never printed."""

from __future__ import annotations

import json
import socket
import ssl
import time
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from mock_server._version import __version__
from mock_server.terminal_text import CommandError
from mock_server.transports.guard import is_loopback

TOKEN_VARIABLE = "SAFETYCULTURE_API_TOKEN"  # noqa: S105 - the name of a variable, not what is in it
_LARGEST = 64 * 1024 * 1024
_PATIENCE = 60.0
_WINDOW = 60.0


class LiveError(CommandError):
    """A service that cannot be read at all; the message names the remedy."""


class NoAnswerError(LiveError):
    """One request that was not answered; a later request may be answered."""


@frozen
class Answer:
    """The part of an answer that is compared."""

    status: int
    value: object = field(default=None, repr=False)
    trouble: str = ""
    """The reason why there is no value; it never contains a part of the answer."""
    wait: float = 0.0
    """The seconds after which to send the request again, from a 429."""


_URL = "a URL with scheme and host only, such as https://api.safetyculture.io"


@frozen
class Reader:
    """One host that is read with one token."""

    scheme: str
    host: str
    port: int | None
    _token: str = field(repr=False)

    @classmethod
    def to(cls, url: str, token: str) -> Reader:
        """Return a reader. LiveError for a bad token, a URL with more than a host, or http to another machine."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise LiveError(f"--live must be {_URL}.") from None
        host = parts.hostname or ""
        is_plain = not (
            parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password
        )
        if parts.scheme not in ("https", "http") or not host or not is_plain:
            raise LiveError(f"--live must be {_URL}.")
        if parts.scheme == "http" and not is_loopback(host):
            raise LiveError(
                "--live must use https. With http, others could read the token, so http is for this machine only."
            )
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise LiveError(
                f"The environment variable {TOKEN_VARIABLE} must be an API token. An option would show it to others."
            )
        return cls(parts.scheme, host, port, token)

    def get(self, path: str) -> Answer:
        """Read one path of the host; after a 429, wait and read it again. NoAnswerError without an answer."""
        if not path.startswith("/") or path.startswith("//"):
            raise ValueError("path must be a path of the host itself.")
        answer = self._ask(path)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            time.sleep(answer.wait)
            answer = self._ask(path)
        return answer

    def _ask(self, path: str) -> Answer:
        connection = self._connection()
        try:
            connection.request("GET", path, headers=self._headers())
            response = connection.getresponse()
            body = response.read(_LARGEST + 1)
            if response.length and len(body) <= _LARGEST:
                raise IncompleteRead(b"", response.length)
            kind = response.headers.get_content_type()
        except (OSError, HTTPException) as error:
            raise NoAnswerError(f"{self._where} cannot be read: {_why(error)}.") from None
        finally:
            connection.close()
        return evolve(_answer(response.status, kind, body), wait=_pause(response))

    @property
    def _where(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port or (443 if self.scheme == 'https' else 80)}"

    def _connection(self) -> HTTPConnection:
        if self.scheme == "http":
            return HTTPConnection(self.host, self.port, timeout=_PATIENCE)
        return HTTPSConnection(self.host, self.port, timeout=_PATIENCE, context=ssl.create_default_context())

    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/json",
            "User-Agent": f"training-mock-compare/{__version__}",
        }


def _why(error: OSError | HTTPException) -> str:
    """Return the cause of an error in words, without any part of an answer."""
    match error:
        case ConnectionRefusedError():
            return "no server listens at this address"
        case socket.gaierror():
            return "there is no such host"
        case TimeoutError():
            return f"there was no answer within {_PATIENCE:.0f} s"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return "the server does not use TLS"
        case ConnectionError() | IncompleteRead():
            return "the server ended the connection before the answer was complete"
        case OSError():
            return error.strerror or type(error).__name__
    return "the answer is not HTTP"


def _pause(response: HTTPResponse) -> float:
    """Return the pause that a 429 asks for, in whole seconds; by default a minute, which is the vendor's window."""
    said = response.headers.get("retry-after") or response.headers.get("x-ratelimit-reset") or ""
    return min(float(said), _WINDOW) if said.isascii() and said.isdigit() else _WINDOW


def _answer(status: int, kind: str, body: bytes) -> Answer:
    if 300 <= status < 400:
        return Answer(status, trouble="redirects, which is not followed")
    if status != 200:
        return Answer(status, trouble=f"was answered with status {status}")
    if kind != "application/json":
        return Answer(status, trouble="is not application/json")
    if len(body) > _LARGEST:
        return Answer(status, trouble=f"is longer than {_LARGEST} bytes")
    try:
        return Answer(status, json.loads(body))
    except (ValueError, RecursionError):
        return Answer(status, trouble="is not JSON")
