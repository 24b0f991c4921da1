"""References to a plan in texts that people read, type and paste: its short digest, and commands about it."""

from __future__ import annotations

import re
import shlex

from attrs import frozen

from training_sdk.errors import InvalidArgumentError

GROUP = 4
GROUPS = 4
"""64 bits of the digest, so that a person cannot make another plan that begins with them."""

OLD_DIGITS = 6
"""The number of digits in a phrase of a plan of form 2 and before."""

_TYPED = re.compile(r"#?([0-9a-f]{4}(?:-[0-9a-f]{4})+|[0-9a-f]{6,64})\.?")
"""The full stop may be copied from the sentence around the digest."""


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


@frozen
class ShellCommands:
    """Commands of training-sdk about a plan, to be pasted into a shell."""

    options: str = ""
    """Options that each command has, quoted: the service and the records that it is about."""
    plan: str = "PLAN.json"
    """The file of the plan, quoted."""

    def apply(self, *more: str) -> str:
        """Return the command that applies the plan in the file."""
        return self._command("apply", self.plan, "--reason TEXT", *more)

    def resume(self, digest: str = "") -> str:
        """Return the command that resumes a plan: that in the file, unless a digest is given."""
        return self._command("resume", digest or self.plan)

    def report(self, digest: str = "") -> str:
        """Return the command that reports on a plan."""
        return self._command("report", digest or self.plan)

    def close(self, digest: str = "") -> str:
        """Return the command that closes a plan."""
        return self._command("plan close", digest or self.plan, "--reason TEXT")

    def prove(self, *words: str) -> str:
        """Return the command that proves the format with these words, unquoted."""
        return self._command("prove", shlex.join(words), "--reason TEXT")

    def _command(self, name: str, *words: str) -> str:
        return " ".join(filter(None, ("training-sdk", name, self.options, *words)))


COMMANDS = ShellCommands()
"""The commands without options, for the plan in PLAN.json."""
