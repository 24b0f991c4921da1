"""What authors of tests hand in, checked where it comes in: an error of theirs is named, not met deep inside."""

from __future__ import annotations

from datetime import datetime
from os import PathLike
from typing import TypeVar

_T = TypeVar("_T")
_MOMENT = "a datetime with a time zone, such as datetime(2026, 11, 30, 9, tzinfo=UTC)"


def check_argument(name: str, given: object, kind: type[_T], how: str) -> _T:
    """The argument, if it is of the kind wanted. TypeError, naming it, what was given and how to write it, if not."""
    # True is an int to Python, and a slip to everybody else.
    if isinstance(given, kind) and not (isinstance(given, bool) and kind is not bool):
        return given
    raise TypeError(f"{name} must be {how}, not {_shown(given)}")


def check_datetime(name: str, given: object) -> datetime:
    """The same for a moment. ValueError for one without a time zone."""
    moment = check_argument(name, given, datetime, _MOMENT)
    if moment.tzinfo is None:
        raise ValueError(f"{name} has no time zone: write {_MOMENT}, not {given!r}")
    return moment


def check_path(name: str, given: object, how: str = "a path, as text or a Path") -> None:
    """The same for the path of a file or folder."""
    if not isinstance(given, str | PathLike):
        check_argument(name, given, str, how)


def check_host_name(name: str, given: object) -> str:
    """A host's name or address, in lower case. ValueError for anything around it, for it would never match."""
    host = check_argument(name, given, str, "a host name, such as localhost").lower()
    if not host or set(host) & set("/@?#[]* ") or host.count(":") == 1:
        raise ValueError(
            f"{name}: {given!r} given; give host names without scheme and port, such as localhost"
        )
    return host


def _shown(given: object) -> str:
    shown = repr(given)
    return shown if len(shown) <= 100 else f"{shown[:100]}... ({type(given).__name__})"
