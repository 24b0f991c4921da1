"""The commands that a text advises for a plan, to be pasted into a shell."""

from __future__ import annotations

import shlex

from attrs import frozen


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
