"""The digest of a plan as people see and type it."""

from __future__ import annotations

import re

from training_sdk.errors import InvalidArgumentError

GROUP = 4
GROUPS = 4
"""64 bits of the digest: enough that no other plan can be found that begins with them."""


OLD_DIGITS = 6
"""Of a plan of form 2 and before."""

_TYPED = re.compile(r"#?([0-9a-f]{4}(?:-[0-9a-f]{4})+|[0-9a-f]{6,64})\.?")
"""A full stop behind it comes from a sentence that it was copied from."""


def short_digest(digest: str) -> str:
    """Return the first 64 bits of a digest, such as ``a1b2-c3d4-e5f6-0718``; all of a shorter one."""
    return "-".join(digest[at : at + GROUP] for at in range(0, min(len(digest), GROUP * GROUPS), GROUP))


def typed_digest(text: str) -> str | None:
    """Return the beginning of a typed digest as plain hexadecimal digits; None if the text is not a digest.

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
