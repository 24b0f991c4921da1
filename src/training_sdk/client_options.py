"""Options of a client: read from arguments and environment, checked once, and changed for its siblings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from attrs import frozen

from training_sdk._core import argument_checks, urls
from training_sdk._core.exchange import Connection
from training_sdk._core.flow import UNPACED, Pace
from training_sdk._core.listing import Calls
from training_sdk._core.text import Secret, hidden, opening, token_fingerprint
from training_sdk._core.urls import BaseUrl
from training_sdk.errors import InvalidArgumentError

if TYPE_CHECKING:  # imported when they are used: most programs only read
    from training_sdk.records.request_budget import Limits
    from training_sdk.safeguards import ResetFormat, Safeguards

T = TypeVar("T")

DEFAULT_TIMEOUT = 30.0
DEFAULT_MAX_RETRY_SECONDS = 90.0
ENVIRONMENT = "SAFETYCULTURE_API_TOKEN"
BASE_URL_VARIABLE = "SAFETYCULTURE_BASE_URL"
ONLY_BASE_URL_VARIABLE = "SAFETYCULTURE_ONLY_BASE_URL"
READ_ONLY_VARIABLE = "SAFETYCULTURE_READ_ONLY"


@frozen
class Options:
    """The checked options of a client."""

    connection: Connection
    max_retry_seconds: float
    given_format: ResetFormat | None
    pace: bool | None
    given_safeguards: Safeguards | None
    state_dir: str | os.PathLike[str] | None
    limits: Limits | None = None
    """Those that the vendor has published, by default."""

    @property
    def reset_format(self) -> ResetFormat:
        """The format that was given, or the default."""
        from training_sdk.safeguards import ResetFormat

        return self.given_format or ResetFormat()

    @property
    def safeguards(self) -> Safeguards:
        """The safeguards that were given, or the defaults."""
        from training_sdk.safeguards import Safeguards

        return self.given_safeguards or Safeguards()

    @property
    def calls(self) -> Calls:
        """The facts that every operation of the client is given."""
        connection = self.connection
        return Calls(connection.base_url, self.max_retry_seconds, connection.read_only, self._make_pace())

    def _make_pace(self) -> Pace:
        origin, token = self.connection.base_url.origin, self.connection.token
        automatic = self.pace is None
        if self.pace is False or (automatic and urls.is_loopback(urlsplit(origin).hostname or "")):
            return UNPACED
        from training_sdk.records import request_budget

        limits = self.limits or request_budget.PUBLISHED
        return request_budget.Budget(origin, token_fingerprint(token), automatic, limits, self.state_dir)


def checked_timeout(seconds: float) -> float:
    """Return the limit for one attempt. Raises InvalidArgumentError."""
    return argument_checks.seconds(seconds, "timeout", least=0.001)


def checked_retry_time(seconds: float | None) -> float:
    """Return the limit for all attempts, by default 90 s. Raises InvalidArgumentError."""
    return argument_checks.seconds(
        DEFAULT_MAX_RETRY_SECONDS if seconds is None else seconds, "max_retry_seconds"
    )


def checked_token(token: Secret | None) -> Secret:
    """Return the token, or that of the environment. Raises InvalidArgumentError."""
    if token is not None and callable(token.reveal()):
        return token
    return argument_checks.token(hidden(os.environ.get(ENVIRONMENT)) if token is None else token)


def chosen_address(base_url: str | None, *, allow_insecure_http: bool) -> BaseUrl:
    """Return the address of the server, by default that of the environment or the vendor's."""
    insecure = argument_checks.yes_or_no(allow_insecure_http, "allow_insecure_http")
    if base_url is not None:
        return allowed_address(base_url, allow_insecure_http=insecure)
    named = os.environ.get(BASE_URL_VARIABLE)
    if named is not None and not named.strip():
        raise InvalidArgumentError(
            f"{BASE_URL_VARIABLE} must not be empty. Unset it to use {urls.LIVE}, or set it to the server's address."
        )
    return allowed_address(named or urls.LIVE, allow_insecure_http=insecure, name=BASE_URL_VARIABLE)


def allowed_address(text: str, *, allow_insecure_http: bool, name: str = "base_url") -> BaseUrl:
    """Check a base URL. Raises InvalidArgumentError, also if the environment allows another service only.

    ``name`` is what holds the URL, for errors.
    """
    address = urls.parse_base_url(text, allow_insecure_http=allow_insecure_http, name=name)
    only = os.environ.get(ONLY_BASE_URL_VARIABLE)
    if only is None:
        return address
    if not only.strip():
        raise InvalidArgumentError(
            f"{ONLY_BASE_URL_VARIABLE} must not be empty. Unset it, or set it to the one address that is allowed."
        )
    allowed = urls.parse_base_url(only, allow_insecure_http=True, name=ONLY_BASE_URL_VARIABLE)
    if urls.service_of(address) != urls.service_of(allowed):
        raise InvalidArgumentError(
            f"{opening(name)} {str(address)!r} is not allowed: {ONLY_BASE_URL_VARIABLE} allows {str(allowed)!r} only, "
            "as in a rehearsal. Nothing was sent. Use the allowed address, or unset the variable for real work.",
            argument=name,
            reason="OTHER_SERVICE",
        )
    return address


def read_only_by_environment() -> bool:
    """Return whether the environment forbids every client of this process to write; no client can be exempted."""
    value = os.environ.get(READ_ONLY_VARIABLE, "0")
    if value not in ("0", "1"):
        raise InvalidArgumentError(
            f"{READ_ONLY_VARIABLE} must be 0 or 1, not {value!r}. Set it to 1 to forbid all writing, or unset it."
        )
    return value == "1"


def checked_pace(pace: bool | None) -> bool | None:
    """Return whether to keep the published limits; None to decide by the server. Raises InvalidArgumentError."""
    return None if pace is None else argument_checks.yes_or_no(pace, "pace")


def checked_setting(given: T, kind: str, argument: str) -> T:
    """Return an object of this class of ``safeguards``, or None. Raises InvalidArgumentError for anything else."""
    if given is not None:
        from training_sdk import safeguards

        if not isinstance(given, getattr(safeguards, kind)):
            raise InvalidArgumentError(
                f"{argument} must be a {kind} object, not {type(given).__name__}.", argument=argument
            )
    return given


def still_read_only(connection: Connection, chosen: bool) -> bool:
    """Return ``chosen``. Raises InvalidArgumentError if it would let a read-only client write."""
    if not argument_checks.yes_or_no(chosen, "read_only") and connection.read_only:
        raise InvalidArgumentError(
            "This client is read-only, and so are all clients that with_options makes of it. To write, create a new "
            "TrainingClient.",
            argument="read_only",
        )
    return chosen
