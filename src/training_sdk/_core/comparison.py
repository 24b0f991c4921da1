"""Comparison of names and phrases: narrow to choose people, wide to hold them back, composed to confirm."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase
from unicodedata import category, name, normalize

from training_sdk._core.printable import is_drawn, is_seen, visible

_ASCII_CASE = str.maketrans(ascii_uppercase, ascii_lowercase)


def mailbox(address: str) -> str:
    """An e-mail address as it is compared to choose people: white space around it and ASCII letter case do not count.

    Other letters that fold alike may be another person's mailbox: ``straße`` and ``strasse`` are two domains.
    """
    return address.strip().translate(_ASCII_CASE)


def widely(name: str) -> str:
    """A name as it is compared to hold people back: the canonical caseless matching of Unicode (D145).

    White space around the name, letter case, and composed or decomposed letters do not count.
    """
    return normalize("NFC", normalize("NFD", name.strip()).casefold())


def same_text(typed: object, wanted: str) -> bool:
    """Whether a typed text is the wanted one: ``ü`` as one character or two is the same letter (NFC)."""
    return type(typed) is str and normalize("NFC", typed) == normalize("NFC", wanted)


def confirms(typed: object, wanted: str) -> bool:
    """Whether a typed text is the wanted one, also as it is shown: with an invisible character as its escape."""
    return same_text(typed, wanted) or same_text(typed, visible(wanted))


def difference(typed: object, wanted: str) -> str:
    """Where a typed text differs first from the wanted one, by code point.

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
    return f"After {len(right)} characters it goes on with {code_point(left[len(right)])}."


def code_point(letter: str) -> str:
    """A character by number and name, such as ``U+200B (ZERO WIDTH SPACE, invisible)``."""
    if "\udc80" <= letter <= "\udcff":
        return f"the byte 0x{ord(letter) - 0xDC00:02X}, which is not text in this terminal's encoding"
    invisible = ", invisible" if is_invisible(letter) else ""
    called = name(letter, "a control character" if category(letter) == "Cc" else "no name")
    return f"U+{ord(letter):04X} ({called}{invisible})"


def is_invisible(letter: str) -> bool:
    """Whether nobody can see a character by itself, or tell it from a space."""
    return letter != " " and (category(letter) == "Zs" or not is_drawn(letter))


def invisible_characters(text: str) -> str:
    """The invisible characters of a text, each once, by number and name; empty if there are none."""
    return ", ".join(code_point(one) for one in dict.fromkeys(text) if is_invisible(one))


def hidden_characters(text: str) -> str:
    """As ``invisible_characters``, without those that hold an emoji or a script together where they are."""
    hidden = dict.fromkeys(
        letter
        for place, letter in enumerate(text)
        if is_invisible(letter) and (category(letter) in ("Cc", "Zs") or not is_seen(text, place, letter))
    )
    return ", ".join(map(code_point, hidden))
