"""A last look at what is about to be kept: no token gets into a record, also not inside a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from training_sdk._pace import fingerprint
from training_sdk.errors import InvalidArgumentError

_NAMES = re.compile(r"(?:api_?)?token|authorization|password|secret", re.IGNORECASE)
# A run of letters is tried from its first eyJ alone, for no later one fits where that does not: tried from each,
# a long run of them would take the square of its length.
_SHAPES = re.compile(
    r"\bbearer\s+(?=\S*\d)[\w.~+/=-]{16,}|\b(?:mock|scapi)_[\w-]{16,}"
    r"|(?<![\w-])(?>[\w-]*?\beyJ)[\w-]{8,}\.[\w-]{8,}\.",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\s\"'`<>(),;]{8,}")


def refuse_tokens(facts: Mapping[str, Any], known: str | None) -> None:
    """Raise InvalidArgumentError if anything in it looks like a token, or is the one with the ``known`` fingerprint."""
    for path, value in _texts(facts, ""):
        named = _NAMES.fullmatch(path.rpartition(".")[2])
        is_known = known is not None and any(
            fingerprint(word) == known for word in _WORD.findall(value) if word.isascii()
        )
        if named or is_known or _SHAPES.search(value):
            raise InvalidArgumentError(
                f"{path} looks like a token or a password, and none is ever kept. Leave it out; nothing was written"
            )


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text in plain data, keys of objects included, and where it stands."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield f"a name in {path or 'the entry'}", str(key)
            yield from _texts(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, path)
