"""Refusals of the reference server: one enum of reasons, and the exception that carries one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Reason(Enum):
    """A stable, machine-readable reason; its HTTP status, its gRPC code and what it means."""

    INVALID_ARGUMENT = (400, 3, "The request is not of the form asked for; the message names the field.")
    UNAUTHENTICATED = (401, 16, "No token, or one that is unknown, expired or revoked.")
    PERMISSION_DENIED = (403, 7, "The token's owner lacks a permission; it is named in the message.")
    HOST_NOT_ALLOWED = (403, 7, "The Host header names a host that this server does not answer for.")
    ORIGIN_NOT_ALLOWED = (403, 7, "The request comes from a web page of another origin.")
    CONTROL_SECRET_REQUIRED = (403, 7, "The control plane asks for its secret and did not get it.")
    COURSE_NOT_FOUND = (404, 5, "No such course in the token's organisation, or none its owner may see.")
    LESSON_NOT_FOUND = (404, 5, "No such lesson in the token's organisation, or none its owner may see.")
    PATH_NOT_FOUND = (404, 5, "No such learning path in the token's organisation, or none its owner may see.")
    COLLECTION_NOT_FOUND = (
        404,
        5,
        "No such collection in the token's organisation, or none its owner may see.",
    )
    RAPID_REFRESH_NOT_FOUND = (
        404,
        5,
        "No such rapid refresh in the token's organisation, or none its owner may see.",
    )
    LEADERBOARD_NOT_FOUND = (
        404,
        5,
        "No such leaderboard in the token's organisation, or none its owner may see.",
    )
    USER_NOT_FOUND = (404, 5, "No such user in the token's organisation, or none its owner may see.")
    GROUP_NOT_FOUND = (404, 5, "No such group in the token's organisation.")
    SITE_NOT_FOUND = (404, 5, "No such site in the token's organisation.")
    WORLD_NOT_FOUND = (404, 5, "No such world behind this server.")
    WEBHOOK_NOT_FOUND = (404, 5, "No such webhook in the token's organisation.")
    UNKNOWN_PATH = (404, 5, "No operation has this path.")
    METHOD_NOT_ALLOWED = (
        405,
        12,
        "The path does not take this method; the header Allow lists those it takes.",
    )
    NOT_ASSIGNED = (409, 10, "A learner acts in a course that is not assigned to them.")
    LATE_WRITE = (409, 10, "A learner's write was made before the reset that it comes after.")
    IDEMPOTENCY_KEY_IN_FLIGHT = (409, 10, "The first request with this Idempotency-Key is still running.")
    CONFIRMATION_MISMATCH = (412, 9, "The confirmation is not true now; the metadata says what is.")
    BODY_TOO_LARGE = (413, 3, "The body is larger than 1 MiB.")
    UNSUPPORTED_MEDIA_TYPE = (415, 3, "The body is not sent as application/json.")
    IDEMPOTENCY_KEY_REUSED = (422, 3, "This Idempotency-Key was used before with other content.")
    CONFIRMATION_REQUIRED = (428, 9, "A reset needs a confirmation and came without one.")
    RATE_LIMITED = (429, 8, "Too many requests of this user in one minute.")
    WORLDS_EXHAUSTED = (429, 8, "The server holds as many worlds as it may; delete some.")
    INTERNAL = (500, 13, "A fault of the reference server itself.")
    UNIMPLEMENTED = (
        501,
        12,
        "An operation of the vendor's that is not part of Training, and not served here.",
    )

    def __init__(self, status: int, code: int, description: str) -> None:
        self.status = status
        self.code = code
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
