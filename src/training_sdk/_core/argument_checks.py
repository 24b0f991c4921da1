"""Argument checks: at the call, before anything is sent, naming the argument and the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar
from urllib.parse import urlsplit

from training_sdk._core.secrets import Secret, hidden
from training_sdk.errors import InvalidArgumentError

LONGEST_ID = 128

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
E = TypeVar("E", bound=Enum)


def one_id(value: object, name: str) -> str:
    """An id that can stand in a path: 1–128 characters, not ``.`` or ``..``, no slash or control character."""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be text, not {type(value).__name__}")
    if not value.strip():
        raise InvalidArgumentError(f"{name} is empty")
    if len(value) > LONGEST_ID:
        raise InvalidArgumentError(f"{name} is {len(value)} characters long; ids have at most {LONGEST_ID}")
    if value in (".", "..") or "/" in value or "\\" in value or _UNPRINTABLE.search(value):
        raise InvalidArgumentError(
            f"{name} {value!r} is not an id: '.', '..', slashes, backslashes and control characters are refused"
        )
    return value


def optional_id(value: object, name: str) -> str | None:
    """An id, or None for "not asked for"."""
    return None if value is None else one_id(value, name)


def some_ids(values: object, name: str) -> tuple[str, ...]:
    """A list of ids, repeated ones once. Empty is refused: an empty list never means everyone."""
    ids = tuple(dict.fromkeys(one_id(value, f"an id in {name}") for value in listed(values, name)))
    if not ids:
        raise InvalidArgumentError(f"{name} is empty, and an empty list never means everyone")
    return ids


def optional_ids(values: object, name: str) -> tuple[str, ...] | None:
    """A list of ids, or None for "not asked for"; an empty list is refused all the same."""
    return None if values is None else some_ids(values, name)


def any_ids(values: object, name: str) -> tuple[str, ...]:
    """A list of ids that may be empty, where empty truly means none."""
    return tuple(dict.fromkeys(one_id(value, f"an id in {name}") for value in listed(values, name)))


def members(values: object, kind: type[E], name: str) -> tuple[str, ...]:
    """A list of enum members as their wire values. Empty is refused."""
    chosen = tuple(
        dict.fromkeys(one_of(value, kind, f"an entry of {name}").value for value in listed(values, name))
    )
    if not chosen:
        raise InvalidArgumentError(f"{name} is empty; leave it out to ask for all")
    return chosen


def texts(values: object, name: str) -> tuple[str, ...]:
    """A list of non-empty texts. An empty list is refused."""
    chosen = tuple(dict.fromkeys(text(value, f"an entry of {name}") for value in listed(values, name)))
    if not chosen:
        raise InvalidArgumentError(f"{name} is empty; leave it out to ask for all")
    return chosen


def text(value: object, name: str, *, longest: int = 1000) -> str:
    """A text of bounded length without control characters."""
    if not isinstance(value, str) or not value or len(value) > longest or _UNPRINTABLE.search(value):
        raise InvalidArgumentError(
            f"{name} must be 1–{longest} characters of text without control characters"
        )
    return value


def optional_text(value: object, name: str, *, longest: int = 1000) -> str | None:
    """A text, or None."""
    return None if value is None else text(value, name, longest=longest)


def web_address(value: object, name: str) -> str:
    """An http or https address with a host; never repeated in the message, for it may hold a password."""
    address = text(value, name, longest=2000)
    try:
        parts = urlsplit(address)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or " " in address or not address.isascii():
        raise InvalidArgumentError(f"{name} is not an http or https address in ASCII, with a host")
    return address


def one_of(value: object, kind: type[E], name: str) -> E:
    """A member of an enum, by itself or by its value; unknown ones are refused when *we* send them."""
    allowed = list(kind)
    for member in allowed:
        if value == member.value:
            return member
    raise InvalidArgumentError(
        f"{name} {value!r} is none of {', '.join(repr(member.value) for member in allowed)}"
    )


def yes_or_no(value: object, name: str) -> bool:
    """True or False and nothing that merely looks like it."""
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{name} must be True or False, not {value!r}")
    return value


def moment(value: object, name: str) -> datetime:
    """A date and time that names its zone."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidArgumentError(
            f"{name} must be a datetime with a time zone, such as datetime.now(timezone.utc)"
        )
    return value


def in_utc(when: datetime) -> datetime:
    """The same moment in UTC; at either end of the calendar, where UTC would leave it, in its own zone."""
    try:
        return when.astimezone(UTC)
    except OverflowError:
        return when


def seconds(value: object, name: str, *, least: float = 0.0) -> float:
    """A finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < 1e9:
        raise InvalidArgumentError(f"{name} must be a number of seconds from {least:g} up, not {value!r}")
    return float(value)


def token(value: object) -> Secret:
    """A token that can stand in a header; neither a message nor a traceback shows the value."""
    value = hidden(value)  # this parameter is shown in a traceback
    problem = _wrong_with_token(value)
    if value is None or problem:
        raise InvalidArgumentError(problem)
    return value


def _wrong_with_token(secret: Secret | None) -> str:
    text = "" if secret is None else secret.reveal()
    if not isinstance(text, str):
        return f"the API token must be text, not {type(text).__name__}"
    if not text.strip():
        return "no API token: pass token=…, or set SAFETYCULTURE_API_TOKEN (an empty one counts as missing)"
    if not text.isascii() or not text.isprintable() or " " in text:
        return (
            "the API token holds a space, a line break or another character that no token has; "
            "was a trailing newline read from a file? Use .strip()"
        )
    return ""


def listed(values: object, name: str) -> Sequence[Any]:
    """What was given as a list, whatever is in it. A bare string is refused."""
    if isinstance(values, str | bytes):
        raise InvalidArgumentError(f"{name} must be a list of ids; a single one is written [{values!r}]")
    if not isinstance(values, Iterable):
        raise InvalidArgumentError(f"{name} must be a list of ids, not {values!r}")
    return tuple(values)
