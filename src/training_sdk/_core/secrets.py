"""A secret on its way to a header: no representation, traceback, log or pickle shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NoReturn, final
from urllib.parse import unquote

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


def drawn(source: Secret) -> Secret:
    """Return what a function in a Secret returns, hidden; any other Secret stays what it is."""
    return Secret(source.reveal()()) if callable(source.reveal()) else source


def masked(text: str, secret: Secret) -> str:
    """The text without the secret, also if it is percent-encoded there."""
    if not secret.reveal():
        return text
    if secret.reveal() not in text and secret.reveal() in unquote(text):
        text = unquote(text)
    return text.replace(secret.reveal(), MASK)


def masked_body(body: bytes, secret: Secret) -> bytes:
    """A body without the secret, however JSON spells it there; empty if it is nested too deep to look through."""
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
