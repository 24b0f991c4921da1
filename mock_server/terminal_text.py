"""The terminal: text that is safe to print, invisible characters replaced by escapes, and errors that end a command."""

from __future__ import annotations

import logging
import re
import unicodedata

_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_SHOWN_FORMATS = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]")
"""Signs of numbers and verses, which are formats to Unicode and visible."""
_NOT_DRAWN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
"""Letters and marks without a shape: fillers, variation selectors, tags."""
_JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
"""These hold emoji and some scripts together; beside ASCII they only hide."""
_KEYCAP = "\u20e3"


class CommandError(Exception):
    """A command that cannot be carried out; the message names the remedy."""


def visible(text: str) -> str:
    """Return a text of several lines with every invisible character but line breaks escaped.

    An escape sequence begins with ``\\x1b``, written out; so are marks that turn the reading direction around,
    characters without width, and tags.
    """
    return "\n".join(map(_line, text.split("\n")))


def inline(text: str) -> str:
    """Return a text on one line: white space collapsed, every invisible character escaped."""
    return _line(" ".join(text.split()))


class VisibleFormatter(logging.Formatter):
    """A formatter that escapes invisible characters of log records."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message, and the traceback if there is one."""
        return visible(super().format(record))


def show_logs() -> None:
    """Escape what is logged to standard error where logging is not configured."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(VisibleFormatter())


def _line(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        letter if _is_seen(text, place, letter) else _escaped(letter) for place, letter in enumerate(text)
    )


def _is_seen(text: str, place: int, letter: str) -> bool:
    if letter in _JOINERS:
        after = text[place + 1 : place + 2]
        return after == _KEYCAP or (place > 0 and _is_joined(text[place - 1]) and not _hides(letter, after))
    if letter == "\t" or _SHOWN_FORMATS.match(letter):
        return True
    return unicodedata.category(letter) not in _CATEGORIES and not _NOT_DRAWN.match(letter)


def _is_joined(letter: str) -> bool:
    return not letter.isascii() and unicodedata.category(letter) not in _CATEGORIES | {"Zs"}


def _hides(letter: str, after: str) -> bool:
    """Return whether a joiner, rather than a variation selector, joins nothing."""
    return letter in "\u200c\u200d" and not (after and _is_joined(after))


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
