"""Checks of arguments that tests pass, so that an error names the argument where it is passed."""

from __future__ import annotations

from datetime import datetime
from os import PathLike
from typing import TypeVar

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
