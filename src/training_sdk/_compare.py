"""Comparison of names: narrow to choose people, wide to hold them back."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase
from unicodedata import normalize

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
