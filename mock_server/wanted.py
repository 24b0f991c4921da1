"""What authors of tests hand in, checked where it comes in: an error of theirs is named, not met deep inside."""

from __future__ import annotations

from typing import TypeVar

_T = TypeVar("_T")


def wanted(name: str, given: object, kind: type[_T], how: str) -> _T:
    """The argument, if it is of the kind wanted. TypeError, naming it, what was given and how to write it, if not."""
    # True is an int to Python, and a slip to everybody else.
    if isinstance(given, kind) and not (isinstance(given, bool) and kind is not bool):
        return given
    raise TypeError(f"{name} must be {how}, not {_shown(given)}")


def _shown(given: object) -> str:
    shown = repr(given)
    return shown if len(shown) <= 100 else f"{shown[:100]}... ({type(given).__name__})"
