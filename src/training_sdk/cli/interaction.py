"""Interaction with the person at the terminal: confirmation phrase, Ctrl-C and progress bar."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from attrs import define

from training_sdk._core.text import code_point, confirms, difference, invisible_characters, same_text
from training_sdk.cli.output import Output, is_terminal
from training_sdk.errors import (
    ConfirmationError,
)
from training_sdk.plans.wording import number
from training_sdk.resets.reset_request import Progress

TRIES = 3
_TYPOGRAPHIC = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02"
"""Characters that editors, chats and phones use in place of a straight quotation mark."""
_STRAIGHT = str.maketrans(dict.fromkeys(_TYPOGRAPHIC, '"'))


def confirmed(out: Output, phrase: str, given: str | None, *, what: str = "The phrase of this plan") -> str:
    """Return the phrase that was given or typed; white space around it is ignored.

    Composed and decomposed letters are equal, and an invisible character may be typed as its escape. Asks up to three
    times at a terminal. Raises ConfirmationError if the phrase is wrong or missing; then nothing is sent.
    """
    if given is not None:
        if not confirms(given.strip(), phrase):
            raise ConfirmationError(
                f"The phrase of --confirm is wrong. Nothing was sent. {_hint(given, phrase, what)}"
            )
        return phrase
    if not (is_terminal(sys.stdin) and is_terminal(out.stderr)):
        raise ConfirmationError(
            f"The phrase was not typed. Nothing was sent. {what} is\n  {phrase}\nRead the text above, then pass the "
            "phrase with --confirm."
        )
    if failure := out.failure:
        raise ConfirmationError(
            f"The text to confirm could not be shown ({failure.strerror}). Nothing was sent. Print to a terminal, or "
            "pass the phrase with --confirm."
        )
    for left in reversed(range(TRIES)):
        out.prompt("Type the phrase to continue, or press Ctrl-C to stop:\n>")
        line = _line()
        if confirms(line.strip(), phrase):
            return phrase
        if not line:
            break
        again = f" Try again ({number(left, 'attempt')} left)." if left else ""
        out.warn(f"The phrase is wrong.{again} {_hint(line, phrase, what)}")
    raise ConfirmationError("The phrase was not typed. Nothing was sent.")


def _line() -> str:
    """Read a line from the terminal; invalid text counts as a wrong answer and does not end the command."""
    try:
        return sys.stdin.readline()
    except UnicodeDecodeError as error:
        return bytes(error.object).decode(error.encoding, "surrogateescape")
    except OSError:  # the terminal has gone, and nobody can confirm
        return ""


def _hint(typed: str, phrase: str, what: str) -> str:
    """Return a hint about how the typed phrase differs from the correct one."""
    plain = typed.strip()
    if not plain:
        return f"Nothing was typed. {what} is:\n  {phrase}"
    differs = difference(plain, phrase)
    if unreadable := next((letter for letter in plain if "\udc80" <= letter <= "\udcff"), None):
        return f"Your input contains {code_point(unreadable)}."
    typographic = set(plain) & set(_TYPOGRAPHIC) - set(phrase)
    marks = (
        "The quotation marks of your input are"
        if typographic
        else "The phrase itself has quotation marks that are"
    )
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
        said = f"{what} ends with #{tail}, and your input does not: it may be the phrase of another or an older plan."
        return f"{said} {differs}".strip()
    hidden = invisible_characters(phrase)
    note = f"It contains {hidden}: type each as it is shown, or copy the phrase. " if hidden else ""
    return f"{differs} {note}{what} is:\n  {phrase}".strip()


STOPPING = (
    b"\nStopping before the next request. A request that has begun is finished first. Press Ctrl-C again to stop at "
    b"once, which may leave the result of its people unknown.\n"
)


@define
class _Stop:
    """Record of a request to stop, made by Ctrl-C or SIGTERM."""

    out: Output
    asked: bool = False

    def __call__(self) -> bool:
        return self.asked

    def hear(self, *_: object) -> None:
        """Stop between two requests at the first signal, and at once at the second."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # Write to the file descriptor directly: the signal may have interrupted a write to the stream.
        with suppress(OSError, ValueError):
            os.write(self.out.stderr.fileno(), STOPPING)


@contextmanager
def stoppable(out: Output) -> Iterator[_Stop]:
    """Let Ctrl-C, or SIGTERM from a service manager, stop a reset between two requests."""
    stop = _Stop(out)
    before = {number: signal.signal(number, stop.hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def telling(out: Output, begins_with: str = "writing evidence") -> Iterator[Callable[[Progress], None]]:
    """Report progress: a progress bar at a terminal, lines in a log."""
    if out.json:
        yield lambda progress: None
        return
    if not is_terminal(out.stderr):
        yield lambda progress: out.note(f"{_step(progress)}: {progress.done} of {progress.total}")
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(file=out.stderr, markup=False, highlight=False, emoji=False)
    with Bars(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bars:
        task = bars.add_task(begins_with, total=None)
        yield lambda progress: bars.update(
            task, description=_step(progress), completed=progress.done, total=progress.total
        )


def _step(progress: Progress) -> str:
    """Return the name of a step; the count that follows is of resets, not of evidence packs."""
    return "evidence is written; resets" if progress.what == "evidence" else progress.what
