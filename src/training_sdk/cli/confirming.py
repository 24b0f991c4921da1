"""The phrase: typed by somebody who has read what it is about, or given with ``--confirm``; never taken for granted."""

from __future__ import annotations

import sys
import unicodedata

from training_sdk.cli.output import Output, is_terminal
from training_sdk.errors import ConfirmationError

TRIES = 3
_QUOTES = dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02"), '"')
"""What editors, chats and phones make of a straight quotation mark."""


def confirmed(out: Output, phrase: str, given: str | None, *, what: str = "The phrase of this plan") -> str:
    """The phrase as it was given or typed; white space around it, which pasting brings, does not count.

    Asks up to three times where somebody sits at a terminal. Raises ConfirmationError otherwise, and nothing is sent.
    """
    if given is not None:
        if given.strip() != phrase:
            raise ConfirmationError(f"--confirm does not fit. {_hint(given, phrase, what)} Nothing was sent")
        return phrase
    if not (is_terminal(sys.stdin) and is_terminal(out.stderr)):
        raise ConfirmationError(
            f"not confirmed, so nothing was sent. {what} is\n  {phrase}\nRead what it is about, and pass the phrase "
            "with --confirm"
        )
    for left in reversed(range(TRIES)):
        out.prompt("Type the phrase to go on, or Ctrl-C to stop:\n>")
        line = sys.stdin.readline()
        if line.strip() == phrase:
            return phrase
        if not line:
            break
        out.note(f"That is not it. {_hint(line, phrase, what)}{' Once more.' if left else ''}")
    raise ConfirmationError("not confirmed, so nothing was sent")


def _hint(typed: str, phrase: str, what: str) -> str:
    """In what a phrase that was typed differs from the right one, where it is a slip of the fingers."""
    plain = " ".join(typed.split())
    if not plain:
        return f"Nothing was typed; {what[0].lower()}{what[1:]} is {phrase}"
    straight = unicodedata.normalize("NFC", plain.translate(_QUOTES))
    if plain == phrase:
        return "The white space within it differs."
    if straight == phrase:
        return 'Its quotation marks are typographic; it takes straight ones: "'
    if straight.casefold() == phrase.casefold():
        return "Capital and small letters differ."
    if plain.rpartition("#")[2] != phrase.rpartition("#")[2]:
        tail = phrase.rpartition("#")[2]
        return f"It ends with #{tail}; the phrase of another plan, or of an earlier one, does not fit."
    return f"{what} is {phrase}"
