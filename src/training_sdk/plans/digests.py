"""The short form of a digest: how it is shown, and how it is read when somebody types it."""

from __future__ import annotations

import re

from training_sdk.errors import InvalidArgumentError

GROUP = 4
GROUPS = 4
"""64 bits of the digest: too many for anybody to find another plan that begins with them."""
OLD_DIGITS = 6
"""Of a plan of form 2 and before."""

_TYPED = re.compile(r"#?([0-9a-f]{4}(?:-[0-9a-f]{4})+|[0-9a-f]{6,64})\.?")
"""A full stop behind it comes from a sentence that it was copied from."""


def short(digest: str) -> str:
    """The first 64 bits of a digest, or what there is of them, such as ``a1b2-c3d4-e5f6-0718``."""
    return "-".join(digest[at : at + GROUP] for at in range(0, min(len(digest), GROUP * GROUPS), GROUP))


def typed(text: str) -> str | None:
    """The beginning of a digest that somebody typed, as plain hexadecimal digits; None if the text is no digest.

    It may be short or whole, with ``#`` and hyphens or without. Raises InvalidArgumentError for capital letters.
    """
    found = _TYPED.fullmatch(text)
    if found is not None:
        return found[1].replace("-", "")
    if _TYPED.fullmatch(text.lower()):
        raise InvalidArgumentError(
            f"{text!r} has capital letters, and a digest has none. Write it as it is shown: {text.lower()}"
        )
    return None


def close_command(digest: str) -> str:
    """What closes a plan by hand, to be pasted into a shell."""
    return f"training-sdk plan close {digest} --reason TEXT"
