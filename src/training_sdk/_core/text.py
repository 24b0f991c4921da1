"""Text as a terminal may have it: what a terminal would act on, or not show, is written out as an escape."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import datetime
from html import escape
from itertools import islice
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Final, NoReturn, final
from unicodedata import category, name, normalize
from urllib.parse import unquote


def pattern(text: str, flags: int = 0) -> Callable[[], re.Pattern[str]]:
    """Return a function that returns a regular expression, compiled when it is first used.

    Compiling them all would take a third of the time of importing a client.
    """
    return functools.cache(lambda: re.compile(text, flags))


MOST_NAMED = 5
"""The number of people or things that a message names before it counts the rest."""

_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_SHOWN_FORMATS = pattern("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]")
"""Signs of numbers and verses, which are formats to Unicode and visible."""
_NOT_DRAWN = pattern(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
"""Letters and marks without a shape: fillers, variation selectors, tags."""
_JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
"""These hold emoji and some scripts together; beside ASCII they only hide."""
_KEYCAP = "\u20e3"


def visible(text: str) -> str:
    """Return a text of several lines: line breaks stay, invisible characters become escapes.

    An escape sequence begins with ``\\x1b``, written out; so are marks that turn the reading direction around,
    characters without width, and tags.
    """
    return "\n".join(map(_line, text.split("\n")))


def inline(text: str) -> str:
    """Return a text on one line: white space is collapsed, invisible characters become escapes."""
    return _line(" ".join(text.split()))


def sentence(text: str) -> str:
    """Return a text with a full stop, unless it ends with a mark of its own; so another sentence may follow.

    An indented last line, such as a phrase or an id to copy, stays as it is.
    """
    is_to_copy = text.rpartition("\n")[2][:1] == " " and "\n" in text
    return text if is_to_copy or text.rstrip().endswith((".", "?", "!", "…")) else f"{text}."


def sentence_of(error: BaseException) -> str:
    """Return the text of an error as a sentence; its class if it has no text, as after a decryption that failed."""
    return sentence(str(error) or type(error).__name__)


def opening(name: str) -> str:
    """Return a name as a sentence begins with it: several words get a capital letter, a parameter stays as it is."""
    return f"{name[:1].upper()}{name[1:]}" if " " in name else name


def number(count: int, one: str, many: str | None = None) -> str:
    """Return a number of things: ``1 score``, ``2 scores``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


class VisibleFormatter(logging.Formatter):
    """Formats a log record as a terminal may have it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message, and the traceback if there is one."""
        return visible(super().format(record))


def show_logs(formatter: VisibleFormatter | None = None) -> None:
    """Escape invisible characters in logs to standard error, if logging is not configured."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(formatter or VisibleFormatter())


def is_plain(text: str) -> bool:
    """Return whether ``inline`` returns a text, and any part of it between spaces, as it is."""
    # Of all white space only the space is printable.
    return _is_seen(text) and "  " not in text and text == text.strip(" ")


def _is_seen(text: str) -> bool:
    return text.isprintable() and (text.isascii() or not _NOT_DRAWN().search(text))


def _line(text: str) -> str:
    if _is_seen(text):
        return text
    return "".join(
        letter if is_seen(text, place, letter) else _escaped(letter) for place, letter in enumerate(text)
    )


def is_seen(text: str, place: int, letter: str) -> bool:
    """Return whether the character at a place of a text is visible there; a joiner is if it joins something."""
    if letter in _JOINERS:
        after = text[place + 1 : place + 2]
        return after == _KEYCAP or (place > 0 and _is_joined(text[place - 1]) and not _hides(letter, after))
    return letter == "\t" or is_drawn(letter)


def is_drawn(letter: str) -> bool:
    """Return whether a character has a shape, or a width, of its own."""
    if _SHOWN_FORMATS().match(letter):
        return True
    return unicodedata.category(letter) not in _CATEGORIES and not _NOT_DRAWN().match(letter)


def _is_joined(letter: str) -> bool:
    return not letter.isascii() and unicodedata.category(letter) not in _CATEGORIES | {"Zs"}


def _hides(letter: str, after: str) -> bool:
    """Return whether a joiner, rather than a variation selector, joins nothing."""
    return letter in "\u200c\u200d" and not (after and _is_joined(after))


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_ASCII_CASE = str.maketrans(ascii_uppercase, ascii_lowercase)


def mailbox(address: str) -> str:
    """Return an e-mail address as it is compared to choose people, without white space around it and in lower ASCII.

    Other letters that fold alike may be another person's mailbox: ``straße`` and ``strasse`` are two domains.
    """
    return address.strip().translate(_ASCII_CASE)


def widely(name: str) -> str:
    """Return a name as it is compared to hold people back, by the canonical caseless matching of Unicode (D145).

    White space around the name, letter case, and composed or decomposed letters do not count.
    """
    return normalize("NFC", normalize("NFD", name.strip()).casefold())


def same_text(typed: object, wanted: str) -> bool:
    """Return whether a typed text is the wanted one: ``ü`` as one character or two is the same letter (NFC)."""
    return type(typed) is str and normalize("NFC", typed) == normalize("NFC", wanted)


def confirms(typed: object, wanted: str) -> bool:
    """Return whether a typed text is the wanted one, also as it is shown: with an invisible character as its escape."""
    return same_text(typed, wanted) or same_text(typed, visible(wanted))


def difference(typed: object, wanted: str) -> str:
    """Return where a typed text differs first from the wanted one, by code point.

    Empty if they are the same, or one is less than half as long as the other: then it is no slip.
    """
    if not isinstance(typed, str):
        return f"It must be text, not {type(typed).__name__}."
    left, right = normalize("NFC", typed), normalize("NFC", wanted)
    if left == right or 2 * len(left) < len(right) or 2 * len(right) < len(left):
        return ""
    at = next((n for n, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]), None)
    if at is not None:
        return f"Character {at + 1} is {code_point(left[at])} instead of {code_point(right[at])}."
    if len(left) < len(right):
        return f"It ends after {len(left)} characters; {code_point(right[len(left)])} is missing."
    return f"After {len(right)} characters it continues with {code_point(left[len(right)])}."


def code_point(letter: str) -> str:
    """Return a character by number and name, such as ``U+200B (ZERO WIDTH SPACE, invisible)``."""
    if "\udc80" <= letter <= "\udcff":
        return f"the byte 0x{ord(letter) - 0xDC00:02X}, which is not text in this terminal's encoding"
    invisible = ", invisible" if is_invisible(letter) else ""
    called = name(letter, "a control character" if category(letter) == "Cc" else "no name")
    return f"U+{ord(letter):04X} ({called}{invisible})"


def is_invisible(letter: str) -> bool:
    """Return whether a character is invisible by itself, or looks like a space."""
    return letter != " " and (category(letter) == "Zs" or not is_drawn(letter))


def invisible_characters(text: str) -> str:
    """Return the invisible characters of a text, each once, by number and name; empty if there are none."""
    return ", ".join(code_point(one) for one in dict.fromkeys(text) if is_invisible(one))


def hidden_characters(text: str) -> str:
    """Return the same as ``invisible_characters``, without those that hold an emoji or a script together."""
    hidden = dict.fromkeys(
        letter
        for place, letter in enumerate(text)
        if is_invisible(letter) and (category(letter) in ("Cc", "Zs") or not is_seen(text, place, letter))
    )
    return ", ".join(map(code_point, hidden))


_STARTS = "=+-@＝＋－＠"
_BREAKS = ";\t\r\n"
"""A spreadsheet set to semicolons or tabs begins a cell behind them, and a row behind a line break, quoted or not."""
_IGNORED = ' "\x00-\x1f\xa0\u200b-\u200f\u2060\ufeff'
"""Characters that a spreadsheet may drop in front of a formula."""

_FIRST_FORM = (*_STARTS, "\t", "\r", "\n")
# A run is tried from its first character alone, so that a long one takes linear time.
_RUN = pattern(rf"(?<![{_BREAKS}{_IGNORED}])[{_BREAKS}{_IGNORED}]++(?=[{re.escape(_STARTS)}])")


def first_form(value: Any) -> str:
    """Return a value as a cell of tables of form 1: safe where the separator is a comma."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FIRST_FORM) else text


def second_form(value: Any) -> str:
    """Return a value as a cell of tables of form 2: safe with comma, semicolon and tab.

    An apostrophe goes in front of anything that would begin a formula. JSON stays JSON: its semicolons are escaped.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return text_cell(value)
    return str(value) if type(value) is int else _json_cell(json.dumps(value))


def text_cell(text: str) -> str:
    """Return a text as a cell that no spreadsheet runs."""
    guarded = _RUN().sub(_guarded, text)
    return f"'{guarded}" if text.startswith(_FIRST_FORM) else guarded


def json_cell(value: Any) -> str:
    """Plain data as JSON in a cell that no spreadsheet runs."""
    text = _json_cell(json.dumps(value, ensure_ascii=False, sort_keys=True))
    return f"'{text}" if text.startswith(_FIRST_FORM) else text


def plain_cell(value: Any) -> str:
    """Return plain data as a cell that no spreadsheet runs: what would begin a formula gets an apostrophe in front."""
    if value is None:
        return ""
    return text_cell(value) if isinstance(value, str) else json_cell(value)


def _guarded(run: re.Match[str]) -> str:
    begins_cell = run.start() == 0 or any(mark in run[0] for mark in _BREAKS)
    return f"{run[0]}'" if begins_cell else run[0]


def _json_cell(text: str) -> str:
    return text.replace(";", "\\u003b")


# --- tables in notebooks ---

MOST_IN_HTML = 100
LONGEST_CELL = 500


def table_html(head: Iterable[str], rows: Iterable[Iterable[object]], most: int = MOST_IN_HTML) -> str:
    """Return a table in HTML with at most so many rows; every cell is escaped, on one line, and cut if it is long."""
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = ("".join(f"<td>{_cell_html(cell)}</td>" for cell in row) for row in islice(rows, most))
    return f"<table><tr>{names}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _cell_html(cell: object) -> str:
    if isinstance(cell, datetime):
        cell = f"{cell:%Y-%m-%d %H:%M}"
    text = "" if cell is None else inline(str(cell))
    return escape(text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…")


def paragraphs_html(lines: Iterable[str]) -> str:
    """Return each line as a paragraph in HTML, escaped."""
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def notebook_html(html: str) -> str:
    """Return HTML in which notebooks typeset no formulas (a title may have two ``$``), and nothing is invisible."""
    return visible(f'<div class="mathjax_ignore tex2jax_ignore">{html}</div>')


MASK: Final = "***"


@final
class Secret:
    """A value that shows itself only to code that calls ``reveal``; a token, or a function that returns one."""

    __slots__ = ("reveal",)

    reveal: Callable[[], Any]
    """Return the value. Call it where it is used, and assign it to no variable: tracebacks show those."""

    def __init__(self, value: object) -> None:
        self.reveal = lambda: value

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and bool(self.reveal() == other.reveal())

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def hidden(value: object) -> Secret | None:
    """Return the value as a Secret; None stays None, and a Secret stays what it is."""
    return value if value is None or isinstance(value, Secret) else Secret(value)


def call_hidden(source: Secret) -> Secret:
    """Return what a function in a Secret returns, hidden; any other Secret stays what it is."""
    return Secret(source.reveal()()) if callable(source.reveal()) else source


def masked(text: str, secret: Secret) -> str:
    """Return the text without the secret, also if it is percent-encoded there."""
    if not secret.reveal():
        return text
    if secret.reveal() not in text and secret.reveal() in unquote(text):
        text = unquote(text)
    return text.replace(secret.reveal(), MASK)


def masked_body(body: bytes, secret: Secret) -> bytes:
    """Return a body without the secret, however JSON spells it; empty if it is nested too deep to search."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return body.replace(str(secret.reveal()).encode(), MASK.encode()) if secret.reveal() else body
    try:
        clean = _masked_value(document, secret)
        return body if clean == document else json.dumps(clean).encode("ascii")
    except RecursionError:
        return b""


def _masked_value(value: Any, secret: Secret) -> Any:
    if isinstance(value, str):
        return masked(value, secret)
    if isinstance(value, list):
        return [_masked_value(item, secret) for item in value]
    if isinstance(value, dict):
        return {masked(key, secret): _masked_value(item, secret) for key, item in value.items()}
    return value


def fingerprint(token: str) -> str:
    """Return a short digest that tells tokens apart in file names without revealing them."""
    return hashlib.sha256(b"training-sdk" + token.encode()).hexdigest()[:12]


def token_fingerprint(token: Secret) -> str | None:
    """Return the fingerprint of a client's token; None if a function gives the token."""
    return None if callable(token.reveal()) else fingerprint(token.reveal())
