"""The phrase: typed by somebody who has read what it is about, or given with ``--confirm``; never taken for granted."""

from __future__ import annotations

import sys

from training_sdk._core.text import code_point, confirms, difference, invisible_characters, same_text
from training_sdk.cli.output import Output, is_terminal
from training_sdk.errors import ConfirmationError
from training_sdk.plans.wording import number

TRIES = 3
_TYPOGRAPHIC = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02"
"""What editors, chats and phones make of a straight quotation mark."""
_STRAIGHT = str.maketrans(dict.fromkeys(_TYPOGRAPHIC, '"'))


def confirmed(out: Output, phrase: str, given: str | None, *, what: str = "The phrase of this plan") -> str:
    """The phrase as it was given or typed; white space around it, which pasting brings, does not count.

    Composed and decomposed letters are the same, and an invisible character may be typed as its escape. Asks up to
    three times where somebody sits at a terminal. Raises ConfirmationError otherwise, and nothing is sent.
    """
    if given is not None:
        if not confirms(given.strip(), phrase):
            raise ConfirmationError(f"--confirm does not fit. Nothing was sent. {_hint(given, phrase, what)}")
        return phrase
    if not (is_terminal(sys.stdin) and is_terminal(out.stderr)):
        raise ConfirmationError(
            f"not confirmed, so nothing was sent. {what} is\n  {phrase}\nRead what it is about, and pass the phrase "
            "with --confirm"
        )
    if failure := out.failure:
        raise ConfirmationError(
            f"not confirmed, so nothing was sent: what it is about could not be shown ({failure.strerror}). Print to a "
            "terminal, or pass the phrase with --confirm"
        )
    for left in reversed(range(TRIES)):
        out.prompt("Type the phrase to go on, or Ctrl-C to stop:\n>")
        line = _line()
        if confirms(line.strip(), phrase):
            return phrase
        if not line:
            break
        again = f" Try again ({number(left, 'attempt')} left)." if left else ""
        out.warn(f"The phrase is wrong.{again} {_hint(line, phrase, what)}")
    raise ConfirmationError("not confirmed, so nothing was sent")


def _line() -> str:
    """A line from the terminal; one with bytes that are no text is a wrong answer and not the end of the command."""
    try:
        return sys.stdin.readline()
    except UnicodeDecodeError as error:
        return bytes(error.object).decode(error.encoding, "surrogateescape")
    except OSError:  # the terminal has gone, and nobody can confirm
        return ""


def _hint(typed: str, phrase: str, what: str) -> str:
    """In what a phrase that was typed differs from the right one."""
    plain = typed.strip()
    if not plain:
        return f"Nothing was typed. {what} is:\n  {phrase}"
    differs = difference(plain, phrase)
    if unreadable := next((letter for letter in plain if "\udc80" <= letter <= "\udcff"), None):
        return f"It holds {code_point(unreadable)}."
    typographic = set(plain) & set(_TYPOGRAPHIC) - set(phrase)
    marks = "Its quotation marks are" if typographic else "The phrase itself has quotation marks that are"
    for reason, same in (
        ("The white space within it differs.", lambda text: " ".join(text.split())),
        (f"{marks} typographic.", lambda text: text.translate(_STRAIGHT)),
        ("Capital and small letters differ.", str.lower),
    ):
        if same_text(same(plain), same(phrase)):
            return f"{reason} {differs}"
    start, _, tail = phrase.rpartition("#")
    typed_start, _, typed_tail = plain.rpartition("#")
    if same_text(typed_start, start) and typed_tail != tail:
        said = f"It ends with #{tail}; the phrase of another plan, or of an earlier one, does not fit."
        return f"{said} {differs}".strip()
    hidden = invisible_characters(phrase)
    note = f"It contains {hidden}: type each as it is shown, or copy the phrase. " if hidden else ""
    return f"{differs} {note}{what} is:\n  {phrase}".strip()
