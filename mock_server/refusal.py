"""Refusals of the reference server: one enum of reasons, and the exception that carries one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Reason(Enum):
    """A stable, machine-readable reason with its HTTP status, its gRPC code and its meaning."""

    INVALID_ARGUMENT = (400, 3, "The request does not have the required form. The message names the field.")
    UNAUTHENTICATED = (401, 16, "The token is missing, unknown, expired or revoked.")
    PERMISSION_DENIED = (403, 7, "The owner of the token lacks a permission. The message names it.")
    HOST_NOT_ALLOWED = (403, 7, "The Host header names a host for which this server does not answer.")
    ORIGIN_NOT_ALLOWED = (403, 7, "The request comes from a web page of another origin.")
    CONTROL_SECRET_REQUIRED = (
        403,
        7,
        "The control plane requires its secret, and the request does not have it.",
    )
    COURSE_NOT_FOUND = (
        404,
        5,
        "The course does not exist in the token's organisation, or its owner may not see it.",
    )
    LESSON_NOT_FOUND = (
        404,
        5,
        "The lesson does not exist in the token's organisation, or its owner may not see it.",
    )
    PATH_NOT_FOUND = (
        404,
        5,
        "The learning path does not exist in the token's organisation, or its owner may not see it.",
    )
    COLLECTION_NOT_FOUND = (
        404,
        5,
        "The collection does not exist in the token's organisation, or its owner may not see it.",
    )
    RAPID_REFRESH_NOT_FOUND = (
        404,
        5,
        "The rapid refresh does not exist in the token's organisation, or its owner may not see it.",
    )
    LEADERBOARD_NOT_FOUND = (
        404,
        5,
        "The leaderboard does not exist in the token's organisation, or its owner may not see it.",
    )
    USER_NOT_FOUND = (
        404,
        5,
        "The user does not exist in the token's organisation, or its owner may not see them.",
    )
    GROUP_NOT_FOUND = (404, 5, "The group does not exist in the token's organisation.")
    SITE_NOT_FOUND = (404, 5, "The site does not exist in the token's organisation.")
    WORLD_NOT_FOUND = (404, 5, "The world does not exist on this server.")
    WEBHOOK_NOT_FOUND = (404, 5, "The webhook does not exist in the token's organisation.")
    UNKNOWN_PATH = (404, 5, "No operation has this path.")
    METHOD_NOT_ALLOWED = (
        405,
        12,
        "The path does not support this method. The header Allow lists the methods that it supports.",
    )
    NOT_ASSIGNED = (409, 10, "The course is not assigned to the learner who acts in it.")
    LATE_WRITE = (409, 10, "A learner's action was made before a reset, and arrived after it.")
    IDEMPOTENCY_KEY_IN_FLIGHT = (409, 10, "The first request with this Idempotency-Key is still running.")
    CONFIRMATION_MISMATCH = (412, 9, "The confirmation is not true now. The metadata has the true values.")
    BODY_TOO_LARGE = (413, 3, "The body is larger than 1 MiB.")
    UNSUPPORTED_MEDIA_TYPE = (415, 3, "The content type of the body is not application/json.")
    IDEMPOTENCY_KEY_REUSED = (
        422,
        3,
        "This Idempotency-Key was used before with another body or confirmation.",
    )
    CONFIRMATION_REQUIRED = (428, 9, "The reset has no confirmation, and one is required.")
    RATE_LIMITED = (429, 8, "The user has sent too many requests in one minute.")
    WORLDS_EXHAUSTED = (429, 8, "The server has no room for one more world. Delete some.")
    INTERNAL = (500, 13, "The reference server itself failed.")
    UNIMPLEMENTED = (
        501,
        12,
        "The operation exists at the vendor, is not part of Training, and is not served here.",
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
