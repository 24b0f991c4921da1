"""Secret detection: no token gets into a record, also not inside a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from training_sdk._core.text import fingerprint, pattern
from training_sdk.errors import InvalidArgumentError

_NAMES = pattern(r"(?:api_?)?token|authorization|password|secret", re.IGNORECASE)
# A run of letters is tried from its first eyJ alone, for no later one fits where that does not: tried from each,
# a long run of them would take the square of its length.
_SHAPES = pattern(
    r"\bbearer\s+(?=\S*\d)[\w.~+/=-]{16,}|\b(?:mock|scapi)_[\w-]{16,}"
    r"|(?<![\w-])(?>[\w-]*?\beyJ)[\w-]{8,}\.[\w-]{8,}\.",
    re.IGNORECASE,
)
_WORDS = (pattern(r"[^\s\"'`<>(),;]{8,}"), pattern(r"[\w.~-]{8,}"))
"""A token in a sentence, and after a name and a sign, as in ``token=…`` or ``…/x?key=…``."""

REDACTED = "[looks like a secret, not stored]"


def looks_secret(text: str, known: str | None = None) -> bool:
    """Return whether a text looks like a token, or holds the one with the ``known`` fingerprint."""
    return bool(_SHAPES().search(text)) or (known is not None and _holds(text, known))


def _holds(text: str, known: str) -> bool:
    words = (word for words_of in _WORDS for word in words_of().findall(text))
    spelt = (one for word in words if word.isascii() for one in {word, word.strip(".!?:~-")})
    return any(fingerprint(one) == known for one in spelt)


def redacted(facts: Any, known: str | None) -> Any:
    """Return facts that come from a server, with every text in them that looks like a secret replaced.

    A server must not be able to stop a record from being written, so such facts are not refused.
    """
    if isinstance(facts, str):
        return REDACTED if looks_secret(facts, known) else facts
    if isinstance(facts, Mapping):
        return {
            redacted(str(key), known): REDACTED
            if isinstance(item, str) and _NAMES().fullmatch(str(key))
            else redacted(item, known)
            for key, item in facts.items()
        }
    if isinstance(facts, list | tuple):
        return [redacted(item, known) for item in facts]
    return facts


def refuse_typed(known: str | None = None, **typed: str | None) -> None:
    """Raise InvalidArgumentError, before anything is opened, where what a person typed looks like a token."""
    refuse_tokens({name: text for name, text in typed.items() if text is not None}, known)


def refuse_tokens(facts: Mapping[str, Any], known: str | None) -> None:
    """Raise InvalidArgumentError if anything in it looks like a token, or is the one with the ``known`` fingerprint."""
    for path, value in _texts(facts, ""):
        named = _NAMES().fullmatch(path.rpartition(".")[2])
        if named or looks_secret(value, known):
            raise InvalidArgumentError(
                f"{path} must not look like a token or a password: neither is ever stored. Nothing was sent or "
                "written. Leave it out.",
                argument=path,
            )


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Return every text in plain data, keys of objects included, and its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield f"a name in {path or 'the entry'}", str(key)
            yield from _texts(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, path)
