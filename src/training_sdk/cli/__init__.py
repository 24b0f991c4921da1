"""The command line and its output for people; the extra ``[cli]`` installs what it needs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

NEEDED = ("click", "rich", "jinja2")
"""Packages that the extra ``[cli]`` installs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``training-sdk`` and return the exit code, as documented in ``training_sdk.cli.exit_codes``."""
    if any(find_spec(name) is None for name in NEEDED):
        print(
            "training-sdk needs the extra [cli]. In a checkout of the SDK: pip install '.[cli]'",
            file=sys.stderr,
        )
        return 2
    from training_sdk.cli.group import is_about_program, show  # which needs them

    given = sys.argv[1:] if arguments is None else arguments
    if is_about_program(given):
        return show(given)
    from training_sdk.cli.program import run  # late: it imports the client

    return run(given)
