"""The limits that a team sets for its client, and the field names in the body of a reset request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from attrs import Attribute, field, frozen

from training_sdk._core import argument_checks
from training_sdk._core.text import number, widely
from training_sdk.errors import InvalidArgumentError
from training_sdk.records.journal import PROCESSING_TIME

FourEyes = Literal["signed", "procedural"]
DEFAULT_PLAN_LIFETIME = timedelta(hours=24)


def _ids(values: Iterable[str]) -> frozenset[str]:
    return frozenset(argument_checks.any_ids(values, "protected_courses"))


def _optional_path(value: str | PathLike[str] | None) -> Path | None:
    return None if value is None else Path(value)


def _positive(_: object, attribute: Attribute[int | None], value: object) -> None:
    if value is not None and (type(value) is not int or value < 1):
        raise argument_checks.refusal(attribute.name, f"must be a whole number of at least 1, not {value!r}.")


def _duration(_: object, attribute: Attribute[timedelta], value: object) -> None:
    if not isinstance(value, timedelta) or not timedelta(0) < value <= timedelta(days=366):
        raise argument_checks.refusal(
            attribute.name, f"must be a timedelta above 0 and at most 366 days, not {value!r}."
        )


def is_function(_: object, attribute: Attribute[Any], value: object) -> None:
    """Raise InvalidArgumentError for a value that is neither a function nor None."""
    if value is not None and not callable(value):
        raise argument_checks.refusal(attribute.name, f"must be a function, not {type(value).__name__}.")


def is_truth(_: object, attribute: Attribute[bool], value: object) -> None:
    """Raise InvalidArgumentError for a value that is neither True nor False."""
    argument_checks.yes_or_no(value, attribute.name)


def _four_eyes(_: object, __: object, value: object) -> None:
    if value not in (None, "signed", "procedural"):
        raise argument_checks.refusal(
            "four_eyes", f"must be one of None, 'signed', 'procedural', not {value!r}."
        )


@frozen(kw_only=True)
class Safeguards:
    """Limits for planning and applying resets. Each limit is off, or at its default, unless it is set.

    Arguments:

    - ``protected_courses``: Ids of courses that must not be in a plan. Letter case and white space around an id do not
      matter.
    - ``max_users``: The highest number of different people in one plan.
    - ``plan_lifetime``: The time in which a plan can be applied, from the time at which its data was read.
    - ``processing_time``: The time that a live service may need for a reset that it accepted (assumed; longer if the
      verification of the format took longer). It is added to the 2 h 15 min after which the feed counts as up to date.
    - ``evidence_lifetime``: The highest age of evidence when a request is sent.
    - ``four_eyes``: Require the approval of a second person: ``"signed"`` with an SSH key that ``allowed_signers``
      lists, or ``"procedural"`` (unsigned), which proves only that two tokens were used.
    - ``allowed_signers``: The file that lists the SSH keys that may approve and sign plans.
    - ``signed_plans``: Accept only plans that their planner signed with such a key.
    - ``seal``: A function that encrypts evidence: it receives the bytes of each file, and returns the bytes to store.
      If it fails, nothing is sent.

    Raises InvalidArgumentError for a value that cannot be used.
    """

    protected_courses: frozenset[str] = field(default=frozenset(), converter=_ids)
    max_users: int | None = field(default=None, validator=_positive)
    plan_lifetime: timedelta = field(default=DEFAULT_PLAN_LIFETIME, validator=_duration)
    processing_time: timedelta = field(default=PROCESSING_TIME, validator=_duration)
    evidence_lifetime: timedelta = field(default=timedelta(hours=4), validator=_duration)
    four_eyes: FourEyes | None = field(default=None, validator=_four_eyes)
    allowed_signers: Path | None = field(default=None, converter=_optional_path)
    signed_plans: bool = field(default=False, validator=is_truth)
    seal: Callable[[bytes], bytes] | None = field(default=None, validator=is_function, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.signed_plans and self.allowed_signers is None:
            raise argument_checks.refusal(
                "allowed_signers",
                "must be set if signed_plans is True. Name the file that lists the SSH keys that may "
                "sign plans.",
            )
        if self.four_eyes == "signed" and self.allowed_signers is None:
            raise argument_checks.refusal(
                "allowed_signers",
                "must be set if four_eyes is 'signed'. Name the file that lists the SSH keys that may "
                "approve.",
            )

    def check_course(self, course_id: str) -> None:
        """Raise InvalidArgumentError if a course is protected."""
        if widely(course_id) in map(widely, self.protected_courses):
            raise InvalidArgumentError(
                f"Course {course_id!r} is protected (protected_courses), so this client resets no progress in it. "
                "Nothing was sent.",
                reason="COURSE_PROTECTED",
                argument="protected_courses",
            )

    def check_people(self, people: int) -> None:
        """Raise InvalidArgumentError if the number of people exceeds ``max_users``."""
        if self.max_users is not None and people > self.max_users:
            raise InvalidArgumentError(
                f"The plan would reset {number(people, 'person', 'people')}, and max_users is {self.max_users}. "
                "Nothing was sent. Plan fewer people, or ask the person who set the limit to raise it.",
                reason="TOO_MANY_USERS",
                argument="max_users",
            )


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
