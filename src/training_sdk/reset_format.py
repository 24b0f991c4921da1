"""The field names in the body of a reset request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from attrs import Attribute, field, frozen

from training_sdk._core import argument_checks
from training_sdk.errors import InvalidArgumentError


def _name(_: object, attribute: Attribute[str], value: object) -> None:
    argument_checks.text(value, f"ResetFormat.{attribute.name}", longest=100)


def _spelling(_: object, attribute: Attribute[str], value: object) -> None:
    if value not in ("prefixed", "uuid"):
        raise InvalidArgumentError(
            f"ResetFormat.{attribute.name} must be 'prefixed' or 'uuid', not {value!r}.",
            argument=f"ResetFormat.{attribute.name}",
        )


@frozen
class ResetFormat:
    """The field names in the body of a reset (**assumed**; only the path is published).

    Arguments:

    - ``course``: The field with the course id.
    - ``users``: The field with the list of user ids.
    - ``everyone``: The field that is true in a request for everyone in the course.
    - ``user_ids``: The form of user ids: ``"prefixed"`` is ``user_`` and 32 hexadecimal digits, ``"uuid"`` is a UUID
      with hyphens and the same digits.

    Raises InvalidArgumentError for a name that is empty, too long or used twice, and for another form of user ids.
    """

    course: str = field(default="courseId", validator=_name)
    users: str = field(default="userIds", validator=_name)
    everyone: str = field(default="allUsers", validator=_name)
    user_ids: Literal["prefixed", "uuid"] = field(default="prefixed", validator=_spelling)

    def __attrs_post_init__(self) -> None:
        if len({self.course, self.users, self.everyone}) < 3:
            raise InvalidArgumentError(
                "ResetFormat must have a different name for each field: one of two equal names would silently replace "
                "the other.",
                argument="reset_format",
            )

    def listed(self, course_id: str, user_ids: Sequence[str]) -> dict[str, Any]:
        """Return the body that resets exactly these users."""
        return {self.course: course_id, self.users: [self._spelled(user_id) for user_id in user_ids]}

    def for_everyone(self, course_id: str) -> dict[str, Any]:
        """Return the body that resets everyone, as the server understands it."""
        return {self.course: course_id, self.everyone: True}

    def _spelled(self, user_id: str) -> str:
        if self.user_ids == "prefixed":
            return user_id
        try:
            return str(UUID(user_id.removeprefix("user_")))
        except ValueError:
            raise InvalidArgumentError(
                f"The user id {user_id!r} is not user_ and 32 hexadecimal digits, so it cannot be sent as a UUID. "
                "Nothing was sent for this request."
            ) from None
