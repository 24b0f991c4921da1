"""R06: a reset must confirm its course and the number of users it clears, or it does nothing."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.wire.reading import strict_json

HEADER = "reset-confirmation"
_MAX = 16 * 1024
_FORM = 'Reset-Confirmation must be {"courseTitle": "...", "users": N} in ASCII'


@frozen
class Confirmation:
    """Course title and number of users that a request confirms."""

    course_title: str
    users: int


def read(headers: Sequence[str]) -> Confirmation | None:
    """Return the confirmation of a request, None without one; 400 if it is malformed."""
    if not headers:
        return None
    if len(headers) > 1:
        raise invalid(f"{_FORM}, and sent once, not {len(headers)} times.", "Reset-Confirmation")
    text = headers[0]
    if not text.isascii() or len(text) > _MAX:
        raise invalid(
            f"{_FORM}, at most {_MAX} bytes. Write other characters as \\uXXXX.", "Reset-Confirmation"
        )
    value = strict_json(text.encode(), "header Reset-Confirmation")
    if not isinstance(value, dict) or set(value) != {"courseTitle", "users"}:
        raise invalid(f"{_FORM}, with these two keys.", "Reset-Confirmation")
    title, users = value["courseTitle"], value["users"]
    if not isinstance(title, str) or type(users) is not int:
        raise invalid(f"{_FORM}: a text and a whole number.", "Reset-Confirmation")
    return Confirmation(title, users)


def check(confirmation: Confirmation | None, course_title: str, users: int) -> None:
    """Refuse a request without a confirmation (428), or whose confirmation is not true now (412).

    Titles are compared code point by code point.
    """
    if confirmation is None:
        raise RefusedError(
            Reason.CONFIRMATION_REQUIRED,
            f"A reset must be confirmed. Nothing was changed. {_FORM}. Send the same body to"
            " /training/courseprogress/v1/reset:preview to get both values.",
        )
    if confirmation != Confirmation(course_title, users):
        raise RefusedError(
            Reason.CONFIRMATION_MISMATCH,
            f'Nothing was changed: the course is "{course_title}" and {users} user{"s" * (users != 1)} would be reset.',
            {"courseTitle": course_title, "users": str(users)},
        )
