"""Refusals: of a request, with a reason, and of an argument of a call in Python."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from os import PathLike
from typing import TypeVar

CODES = {
    400: 3,
    401: 16,
    403: 7,
    404: 5,
    405: 12,
    409: 10,
    412: 9,
    413: 3,
    415: 3,
    422: 3,
    428: 9,
    429: 8,
    500: 13,
    501: 12,
    502: 14,
    503: 14,
    504: 14,
}
"""The gRPC code of each HTTP status."""


def _hidden(what: str, them: str = "it") -> tuple[int, str]:
    return 404, f"The {what} does not exist in the token's organisation, or its owner may not see {them}."


class Reason(Enum):
    """A stable, machine-readable reason with its HTTP status and its meaning."""

    INVALID_ARGUMENT = (400, "The request does not have the required form. The message names the field.")
    UNAUTHENTICATED = (401, "The token is missing, unknown, expired or revoked.")
    PERMISSION_DENIED = (403, "The owner of the token lacks a permission. The message names it.")
    HOST_NOT_ALLOWED = (403, "The Host header names a host for which this server does not answer.")
    ORIGIN_NOT_ALLOWED = (403, "The request comes from a web page of another origin.")
    CONTROL_SECRET_REQUIRED = (
        403,
        "The control plane requires its secret, and the request does not have it.",
    )
    COURSE_NOT_FOUND = _hidden("course")
    LESSON_NOT_FOUND = _hidden("lesson")
    PATH_NOT_FOUND = _hidden("learning path")
    COLLECTION_NOT_FOUND = _hidden("collection")
    RAPID_REFRESH_NOT_FOUND = _hidden("rapid refresh")
    LEADERBOARD_NOT_FOUND = _hidden("leaderboard")
    USER_NOT_FOUND = _hidden("user", "them")
    GROUP_NOT_FOUND = (404, "The group does not exist in the token's organisation.")
    SITE_NOT_FOUND = (404, "The site does not exist in the token's organisation.")
    WORLD_NOT_FOUND = (404, "The world does not exist on this server.")
    WEBHOOK_NOT_FOUND = (404, "The webhook does not exist in the token's organisation.")
    UNKNOWN_PATH = (404, "No operation has this path.")
    METHOD_NOT_ALLOWED = (
        405,
        "The path does not support this method. The header Allow lists the methods that it supports.",
    )
    NOT_ASSIGNED = (409, "The course is not assigned to the learner who acts in it.")
    LATE_WRITE = (409, "A learner's action was made before a reset, and arrived after it.")
    IDEMPOTENCY_KEY_IN_FLIGHT = (409, "The first request with this Idempotency-Key is still running.")
    CONFIRMATION_MISMATCH = (412, "The confirmation is not true now. The metadata has the true values.")
    BODY_TOO_LARGE = (413, "The body is larger than 1 MiB.")
    UNSUPPORTED_MEDIA_TYPE = (415, "The content type of the body is not application/json.")
    IDEMPOTENCY_KEY_REUSED = (422, "This Idempotency-Key was used before with another body or confirmation.")
    CONFIRMATION_REQUIRED = (428, "The reset has no confirmation, and one is required.")
    RATE_LIMITED = (429, "The user has sent too many requests in one minute.")
    WORLDS_EXHAUSTED = (429, "The server has no room for one more world. Delete some.")
    INTERNAL = (500, "The reference server itself failed.")
    UNIMPLEMENTED = (
        501,
        "The operation exists at the vendor, is not part of Training, and is not served here.",
    )

    def __init__(self, status: int, description: str) -> None:
        self.status = status
        self.code = CODES[status]
        self.description = description


class RefusedError(Exception):
    """A rule refuses the request: nothing has been changed, and the answer is an error with this reason."""

    def __init__(self, reason: Reason, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.headers: tuple[tuple[str, str], ...] = ()
        self.hint = ""
        """Help that only the reference server gives, not a live service."""
        self.is_brief = False

    def brief(self) -> RefusedError:
        """Return the refusal of a service that names no permission, and of a bad request only the first field."""
        message = {
            Reason.PERMISSION_DENIED: "Permission Denied",
            Reason.INVALID_ARGUMENT: f"`{self.metadata.get('field', 'request')}`: invalid value",
        }.get(self.reason)
        if message is None:
            return self
        told = RefusedError(self.reason, message)
        told.headers, told.is_brief = self.headers, True
        return told


def invalid(message: str, field: str = "") -> RefusedError:
    """Return a refusal with 400 INVALID_ARGUMENT, which names the field if there is one."""
    return RefusedError(Reason.INVALID_ARGUMENT, message, {"field": field} if field else None)


def not_found(reason: Reason, what: str, wanted: str) -> RefusedError:
    """Return a refusal with 404; ``what`` is the noun of the message."""
    return RefusedError(reason, f"There is no {what} {wanted}.", {"ids": wanted})


_T = TypeVar("_T")
_MOMENT = "a datetime with a time zone, such as datetime(2026, 11, 30, 9, tzinfo=UTC)"


def check_argument(name: str, given: object, kind: type[_T], how: str) -> _T:
    """Return the argument if it is of this type. TypeError otherwise, with name, value and what is allowed."""
    # bool is a subclass of int; reject it, because True is a mistake here.
    if isinstance(given, kind) and not (isinstance(given, bool) and kind is not bool):
        return given
    raise TypeError(f"{name} must be {how}, not {_shown(given)}.")


def check_datetime(name: str, given: object) -> datetime:
    """Return a datetime. ValueError for one without a time zone."""
    moment = check_argument(name, given, datetime, _MOMENT)
    if moment.tzinfo is None:
        raise ValueError(f"{name} must be {_MOMENT}, not {given!r}.")
    return moment


def check_path(name: str, given: object, how: str = "a path, as text or a Path") -> None:
    """Raise TypeError for anything but the path of a file or folder."""
    if not isinstance(given, str | PathLike):
        check_argument(name, given, str, how)


def check_host_name(name: str, given: object) -> str:
    """Return a host name or address in lower case. ValueError for a scheme or port, which would never match."""
    host = check_argument(name, given, str, "a host name, such as localhost").lower()
    if not host or set(host) & set("/@?#[]* ") or host.count(":") == 1:
        raise ValueError(
            f"{name} must be a host name without scheme and port, such as localhost, not {given!r}."
        )
    return host


def _shown(given: object) -> str:
    shown = repr(given)
    return shown if len(shown) <= 100 else f"{shown[:100]}... ({type(given).__name__})"
